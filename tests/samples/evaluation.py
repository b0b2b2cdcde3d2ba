import numpy as np

from samples import Sample, distinct, given, labels


def samples(chainer):
    F = chainer.functions
    ignored = given(np.array([2, -1, 0, 1], np.int32))
    return [
        Sample('accuracy', F.accuracy, distinct(4, 3), labels(3, 4), order=0),
        Sample('accuracy_ignore', lambda y, t: F.accuracy(y, t, ignore_label=-1), distinct(4, 3), ignored, order=0),
        Sample('accuracy_map', F.accuracy, distinct(2, 3, 2), labels(3, 2, 2), order=0),
    ]
