import numpy as np

from samples import Sample, distinct, given, labels, normal


def samples(chainer):
    F = chainer.functions
    ignored = given(np.array([2, -1, 0, 1], np.int32))
    some = given(np.array([2, -1, 0, 1, 2, 2, 0, -1, 4, 0], np.int32))
    binary = given(np.array([[1, -1, 0], [0, 0, 1]], np.int32))

    def flat(pred, true):  # nothing to explain in one column
        true = chainer.as_variable(true).array.copy()
        true[:, 1] = 2
        return pred, true

    def summary(function, *args):
        """Scores are float64 whatever the dtype of y: what is compared here are their values."""

        def run(y, t):
            return [F.cast(v, y.dtype) if v.dtype.kind == 'f' else v for v in function(y, t, *args)]

        return run

    return [
        Sample('accuracy', F.accuracy, distinct(4, 3), labels(3, 4), order=0),
        Sample('accuracy_ignore', lambda y, t: F.accuracy(y, t, ignore_label=-1), distinct(4, 3), ignored, order=0),
        Sample('accuracy_map', F.accuracy, distinct(2, 3, 2), labels(3, 2, 2), order=0),
        Sample('binary_accuracy', F.binary_accuracy, distinct(2, 3), binary, order=0),
        Sample('summary', summary(F.classification_summary), distinct(10, 3), some, order=0),
        Sample('summary_map', summary(F.classification_summary), distinct(2, 3, 5), labels(3, 2, 5), order=0),
        Sample('summary_two', summary(F.classification_summary, 2, 0.5), distinct(10, 3), some, order=0),
        Sample('summary_many', summary(F.classification_summary, 7), distinct(10, 3), some, order=0),
        Sample('precision', summary(F.precision), distinct(10, 3), labels(3, 10), order=0),
        Sample('recall', summary(F.recall), distinct(10, 3), labels(3, 10), order=0),
        Sample('f1_score', summary(F.f1_score), distinct(10, 3), labels(3, 10), order=0),
        Sample('r2_score', F.r2_score, normal(6, 3), normal(6, 3), order=0, tolerance=4),
        Sample('r2_score_flat', lambda x, t: F.r2_score(*flat(x, t)), normal(6, 3), normal(6, 3), order=0),
        Sample(
            'r2_score_each',
            lambda x, t: F.r2_score(*flat(x, t), multioutput='raw_values'),
            *(normal(6, 3), normal(6, 3)),
            order=0,
            tolerance=4,
        ),
    ]
