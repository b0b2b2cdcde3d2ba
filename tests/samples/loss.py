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

    sequences = [np.array(y, np.int32) for y in ([0, 2, 1, 1], [1, 1, 0, 2], [2, 0])]
    samples_of_words = np.array([[1, 2], [0, 3], [4, 4], [2, 1]], np.int32)
    lengths = dict(input_length=np.array([4, 3], 'i'), label_length=np.array([2, 1], 'i'), reduce='no')

    def crf(cost, *xs):
        return F.crf1d(cost, xs, sequences)

    def viterbi(cost, *xs):
        score, path = F.argmax_crf1d(cost, xs)
        return (score, *map(chainer.Variable, path))

    def ctc(**kwargs):
        t = np.array([[1, 1], [2, 3]], np.int32)
        return lambda *xs: F.connectionist_temporal_classification([chainer.as_variable(x) for x in xs], t, 0, **kwargs)

    instances = given(np.array([[[0, 1, 1], [2, 2, 1]], [[0, 1, 0], [1, 0, 1]]], np.int32))

    def discriminative(**kwargs):  # Chainer's needs as many images as instances
        def loss(x, t):
            return F.discriminative_margin_based_clustering_loss(x, getattr(t, 'array', t), 0.3, 1.5, 2, **kwargs)

        return loss

    def black_out(x, t, W):
        return F.black_out(x, t, W, samples_of_words)

    def sampler(shape):
        return np.arange(np.prod(shape)).reshape(shape) * 7 % 5

    def negative_sampling(x, t, W):
        return F.negative_sampling(x, t, W, sampler, 3, reduce='no')

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
        Sample('absolute_error', F.absolute_error, x, normal(4, 3)),
        Sample('squared_error', F.squared_error, x, normal(4, 3)),
        Sample('mean_absolute_error', F.mean_absolute_error, x, normal(4, 3)),
        Sample('huber_loss', lambda x, t: F.huber_loss(x, t, 0.9), x, normal(4, 3)),
        Sample('huber_loss_each', lambda x, t: F.huber_loss(x, t, 0.9, reduce='no'), x, normal(4, 3)),
        Sample('contrastive', F.contrastive, uniform(-0.4, 0.4, 4, 3), uniform(-0.4, 0.4, 4, 3), labels(2, 4)),
        Sample('triplet', lambda a, p, n: F.triplet(a, p, n, margin=3), x, normal(4, 3), normal(4, 3)),
        Sample('triplet_each', lambda a, p, n: F.triplet(a, p, n, 3, 'no'), x, normal(4, 3), normal(4, 3)),
        Sample('discriminative', discriminative(), normal(2, 2, 2, 3), instances),
        Sample('discriminative_l2', discriminative(norm=2), normal(2, 2, 2, 3), instances, order=0),
        Sample('discriminative_l2_slope', discriminative(norm=2), normal(2, 2, 2, 3), instances, chainer=False),  # NaN
        Sample('cross_covariance', F.cross_covariance, x, normal(4, 2)),
        Sample('cross_covariance_matrix', lambda y, z: F.cross_covariance(y, z, 'no'), x, normal(4, 2)),
        Sample('decov', F.decov, x),
        Sample('decov_matrix', lambda h: F.decov(h, 'no'), x),
        Sample('gaussian_kl_divergence', F.gaussian_kl_divergence, x, normal(4, 3)),
        Sample('bernoulli_nll', lambda x, y: F.bernoulli_nll(x, y, 'mean'), uniform(0, 1, 4, 3), normal(4, 3)),
        Sample('gaussian_nll', lambda x, m, v: F.gaussian_nll(x, m, v, 'no'), x, normal(4, 3), normal(4, 3)),
        Sample('crf1d', crf, normal(3, 3), normal(4, 3), normal(4, 3), normal(2, 3)),
        Sample('argmax_crf1d', viterbi, normal(3, 3), normal(4, 3), normal(4, 3), normal(2, 3), order=0),
        Sample('ctc', ctc(), normal(2, 4), normal(2, 4), normal(2, 4), normal(2, 4), order=1),
        Sample('ctc_lengths', ctc(**lengths), normal(2, 4), normal(2, 4), normal(2, 4), normal(2, 4), order=1),
        Sample('black_out', black_out, x, labels(5, 4), normal(5, 3)),
        Sample('negative_sampling', negative_sampling, x, ignored, normal(5, 3)),
    ]
