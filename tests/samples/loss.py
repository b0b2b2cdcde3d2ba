import numpy as np

from samples import Sample, given, labels, normal, uniform


def samples(chainer):
    F = chainer.functions
    x = normal(4, 3)
    t, ignored = labels(3, 4), given(np.array([2, -1, 0, 1], np.int32))
    soft = np.array([[0.2, 0.3, 0.5], [0, 1, 0], [0.1, 0.1, 0.8], [0.4, 0.6, 0]])
    weight = np.array([0.5, 1.0, 2.0])

    def cross_entropy(**kwargs):
        return lambda x, t: F.softmax_cross_entropy(x, t, enable_double_backprop=True, **kwargs)

    def weighted(x, t):
        return F.softmax_cross_entropy(x, t, class_weight=weight.astype(x.dtype), enable_double_backprop=True)

    return [
        Sample('softmax_cross_entropy', cross_entropy(), x, t),
        Sample('softmax_cross_entropy_ignore', cross_entropy(), x, ignored),
        Sample('softmax_cross_entropy_batch', cross_entropy(normalize=False), x, ignored),
        Sample('softmax_cross_entropy_each', cross_entropy(reduce='no'), x, ignored),
        Sample('softmax_cross_entropy_uncached', cross_entropy(cache_score=False), x, t),
        Sample('softmax_cross_entropy_weight', weighted, x, t),
        Sample('softmax_cross_entropy_map', cross_entropy(), normal(2, 3, 2, 2), labels(3, 2, 2, 2)),
        Sample('softmax_cross_entropy_soft', lambda x: F.softmax_cross_entropy(x, soft.astype(x.dtype)), x),
        Sample('sigmoid_cross_entropy', F.sigmoid_cross_entropy, x, labels(2, 4, 3)),
        Sample(
            'sigmoid_cross_entropy_each', lambda x, t: F.sigmoid_cross_entropy(x, t, reduce='no'), x, labels(2, 4, 3)
        ),
        Sample('mean_squared_error', F.mean_squared_error, x, normal(4, 3)),
        Sample('hinge', F.hinge, uniform(-0.9, 0.9, 4, 3), t),
        Sample('hinge_l2', lambda x, t: F.hinge(x, t, norm='L2'), uniform(-0.9, 0.9, 4, 3), t),
        Sample('hinge_each', lambda x, t: F.hinge(x, t, reduce='no'), uniform(-0.9, 0.9, 4, 3), t),
    ]
