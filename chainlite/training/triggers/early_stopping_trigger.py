import operator
import warnings

from chainlite.reporter import DictSummary
from chainlite.training import util
from chainlite.training.triggers._previous import load_or
from chainlite.utils import argument


class EarlyStoppingTrigger:
    """Fires when a reported value has not become better for some time; for a Trainer's ``stop_trigger``.

    Args:
        check_trigger: Trigger that ends an interval, over which the value is averaged.
        monitor: Name of the value.
        patience: Number of intervals without a better value after which it fires.
        mode: ``'max'``, ``'min'``, or ``'auto'``: higher is better if the name has ``accuracy`` in it.
        verbose: Whether to print when it fires.
        max_trigger: Trigger that stops in any case.

    Attributes:
        count: Number of intervals since the best value.
        best: The best value so far.
    """

    def __init__(
        self,
        check_trigger=(1, 'epoch'),
        monitor='main/loss',
        patience=None,
        mode='auto',
        verbose=False,
        max_trigger=(100, 'epoch'),
        **kwargs,
    ):
        if 'patients' in kwargs:
            if patience is not None:
                raise TypeError(
                    "Both 'patience' and 'patients' arguments are specified. 'patients' is an alias of the "
                    "former. Specify only 'patience'."
                )
            patience = kwargs.pop('patients')
        argument.assert_kwargs_empty(kwargs)
        self.count = 0
        self.patience = 3 if patience is None else patience
        self.monitor = monitor
        self.verbose = verbose
        self.already_warning = False
        self._max_trigger = util.get_trigger(max_trigger)
        self._interval_trigger = util.get_trigger(check_trigger)
        self._summary = DictSummary()
        higher = mode == 'max' or mode != 'min' and 'accuracy' in monitor
        self._compare = operator.gt if higher else operator.lt
        self.best = -float('inf') if higher else float('inf')
        if verbose:
            print(f'early stopping: operator is {"greater" if higher else "less"}')

    def __call__(self, trainer):
        if self._max_trigger(trainer):
            return True
        observation = trainer.observation
        if self.monitor in observation:
            self._summary.add({self.monitor: observation[self.monitor]})
        if not self._interval_trigger(trainer):
            return False
        mean = self._summary.compute_mean()
        self._summary = DictSummary()
        if self.monitor not in mean:
            warnings.warn(f'{self.monitor} is not in observation')
            return False
        value = float(mean[self.monitor])
        if self._compare(value, self.best):
            self.best = value
            self.count = 0
            return False
        self.count += 1
        if self.count < self.patience:
            return False
        if self.verbose:
            print(f'Epoch {trainer.updater.epoch}: early stopping')
        return True

    def get_training_length(self):
        """Returns the length of the training if it is not stopped early, and its unit."""
        return self._max_trigger.get_training_length()

    def serialize(self, serializer):
        """Saves or loads the best value and how long ago it was. Files of Chainer have neither."""
        count = load_or(serializer, 'count', self.count, None)
        if count is None:
            return
        self.count = count
        self.best = serializer('best', self.best)
        for name, trigger in (('max_trigger', self._max_trigger), ('interval_trigger', self._interval_trigger)):
            if hasattr(trigger, 'serialize'):
                trigger.serialize(serializer[name])
        self._summary.serialize(serializer['summary'])
