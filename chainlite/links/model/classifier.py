from chainlite import reporter
from chainlite.functions.evaluation.accuracy import accuracy
from chainlite.functions.loss.softmax_cross_entropy import softmax_cross_entropy
from chainlite.link import Chain


class Classifier(Chain):
    """Wraps a predictor so that calling it gives the loss, and reports loss and accuracy.

    Args:
        predictor: Link that maps inputs to scores.
        lossfun: Function of scores and labels, giving the loss.
        accfun: Function of scores and labels, giving the accuracy.
        label_key: Which argument of a call is the labels: a number, or a keyword.

    Attributes:
        y: Scores of the last call.
        loss: Loss of the last call.
        accuracy: Accuracy of the last call.
        compute_accuracy: Whether to compute it (True).
    """

    compute_accuracy = True

    def __init__(self, predictor, lossfun=softmax_cross_entropy, accfun=accuracy, label_key=-1):
        if not isinstance(label_key, (int, str)):
            raise TypeError(f'label_key must be int or str, but is {type(label_key)}')
        super().__init__()
        self.lossfun = lossfun
        self.accfun = accfun
        self.y = None
        self.loss = None
        self.accuracy = None
        self.label_key = label_key
        with self.init_scope():
            self.predictor = predictor

    def forward(self, *args, **kwargs):
        """Returns the loss of the predictor on all arguments but the labels."""
        if isinstance(self.label_key, int):
            if not -len(args) <= self.label_key < len(args):
                raise ValueError(f'Label key {self.label_key} is out of bounds')
            args = list(args)
            t = args.pop(self.label_key)
        else:
            if self.label_key not in kwargs:
                raise ValueError(f'Label key "{self.label_key}" is not found')
            t = kwargs.pop(self.label_key)

        self.y = self.accuracy = self.loss = None  # frees the last graph before the next is made
        self.y = self.predictor(*args, **kwargs)
        self.loss = self.lossfun(self.y, t)
        reporter.report({'loss': self.loss}, self)
        if self.compute_accuracy:
            self.accuracy = self.accfun(self.y, t)
            reporter.report({'accuracy': self.accuracy}, self)
        return self.loss
