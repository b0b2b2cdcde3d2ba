import numpy as np

from samples import Sample, normal


def samples(chainer):
    F = chainer.functions
    mask = (np.arange(12).reshape(3, 4) % 3 != 0) * 1.5

    def dropout(x):
        return F.dropout(x, mask=mask.astype(x.dtype))

    return [Sample('dropout_mask', dropout, normal(3, 4))]
