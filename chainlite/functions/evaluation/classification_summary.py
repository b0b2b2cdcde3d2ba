"""Precision, recall, F-score and support of a classification."""

import numpy as np

from chainlite import backend
from chainlite.function_node import FunctionNode
from chainlite.functions.evaluation.accuracy import Accuracy


class ClassificationSummary(FunctionNode):
    """Precision, recall, F-beta score and support of each class; without a gradient."""

    def __init__(self, label_num, beta, ignore_label):
        self.label_num, self.beta, self.ignore_label = label_num, beta, ignore_label

    check_type_forward = Accuracy.check_type_forward

    def forward(self, inputs):
        y, t = inputs
        xp = backend.get_array_module(y)
        counts = t != self.ignore_label
        predicted, t = y.argmax(axis=1).reshape(t.shape)[counts], t[counts]
        if t.size and t.min() < 0:
            raise ValueError(f'labels must not be negative, but for ignore_label={self.ignore_label}; got {t.min()}')
        n = self.label_num
        if n is None:
            n = int(t.max()) + 1 if t.size else 0

        def count(labels):
            return xp.bincount(labels, minlength=n)[:n]

        support, selected, correct = count(t), count(predicted), count(t[predicted == t])
        beta2 = self.beta**2
        with np.errstate(invalid='ignore', divide='ignore'):  # a class that is never there or never predicted: NaN
            precision, recall = correct / selected, correct / support
            f_score = (1 + beta2) * precision * recall / (beta2 * precision + recall)
        return precision, recall, f_score, support


def classification_summary(y, t, label_num=None, beta=1.0, ignore_label=-1):
    """Precision, recall, F-beta score and support of each class.

    Precision is the share of the samples predicted to be of a class that are, recall the share of the samples of a
    class that are predicted to be, F-beta their harmonic mean with weights 1 and beta^2, support the number of samples.

    Args:
        y: float array (n, k, *d) of scores.
        t: int array (n, *d) of labels.
        label_num: int, the number of classes c; by default the largest label and one.
        beta: float, the weight of recall over precision.
        ignore_label: int, a label that does not count.

    Returns:
        Four Variables (c), float64 and the last int64, without gradients. What has nothing to be a share of is NaN.
    """
    return ClassificationSummary(label_num, beta, ignore_label).apply((y, t))


def precision(y, t, label_num=None, ignore_label=-1):
    """Precision and support of each class; see `classification_summary`."""
    precision, _, _, support = classification_summary(y, t, label_num, 1.0, ignore_label)
    return precision, support


def recall(y, t, label_num=None, ignore_label=-1):
    """Recall and support of each class; see `classification_summary`."""
    _, recall, _, support = classification_summary(y, t, label_num, 1.0, ignore_label)
    return recall, support


def fbeta_score(y, t, label_num=None, beta=1.0, ignore_label=-1):
    """F-beta score and support of each class; see `classification_summary`."""
    _, _, f_score, support = classification_summary(y, t, label_num, beta, ignore_label)
    return f_score, support


def f1_score(y, t, label_num=None, ignore_label=-1):
    """F1 score, the harmonic mean of precision and recall, and support of each class."""
    return fbeta_score(y, t, label_num, 1.0, ignore_label)
