import numpy as np

from samples import Sample, normal, uniform


def samples(chainer):
    F = chainer.functions
    x, gamma, beta = normal(4, 3, 2), normal(3), normal(3)
    positive = uniform(0.3, 2, 3)
    mean, projection = np.array([[0.3, -0.2]] * 2), np.array([[[1, 0.3], [0.2, 2]], [[0.5, 0], [0.1, 1]]])

    def renormalization(x, gamma, beta):
        xp, dtype = gamma.xp, gamma.dtype
        return F.batch_renormalization(
            *(x, gamma, beta, 1.2, 0.1),
            running_mean=xp.array([0.1, 2, -0.3], dtype),
            running_var=xp.array([0.5, 1.4, 1], dtype),
        )

    return [
        Sample('batch_normalization', F.batch_normalization, x, gamma, beta, tolerance=4),
        Sample('batch_normalization_empty', F.batch_normalization, normal(0, 3, 2), gamma, beta, chainer=False),
        Sample('batch_normalization_2d', F.batch_normalization, normal(5, 3), gamma, beta, tolerance=4),
        Sample(
            'batch_normalization_4d',
            lambda *xs: F.batch_normalization(*xs, eps=0.1),
            normal(3, 3, 2, 2),
            gamma,
            beta,
            tolerance=4,
        ),
        Sample(
            'batch_normalization_keys', F.batch_normalization, normal(4, 3, 2), normal(3, 2), normal(3, 2), tolerance=4
        ),
        Sample(
            'batch_normalization_last_axis',
            lambda *xs: F.batch_normalization(*xs, axis=(0, 1)),
            normal(4, 2, 3),
            gamma,
            beta,
            tolerance=4,
        ),
        Sample(
            'batch_normalization_middle_axis',
            lambda *xs: F.batch_normalization(*xs, axis=1),
            normal(3, 4, 2),
            normal(3, 2),
            normal(3, 2),
            tolerance=4,
        ),
        Sample(
            'fixed_batch_normalization', F.fixed_batch_normalization, x, gamma, beta, normal(3), positive, tolerance=4
        ),
        Sample(
            'fixed_batch_normalization_last_axis',
            lambda *xs: F.fixed_batch_normalization(*xs, eps=0.1, axis=(0, 1)),
            *(normal(4, 2, 3), gamma, beta, normal(3), positive),
            tolerance=4,
        ),
        # its corrections r and d count as constants, which no difference can see
        Sample('batch_renormalization', renormalization, x, gamma, beta, order=0, tolerance=4),
        Sample(
            'decorrelated_batch_normalization',
            lambda x: F.decorrelated_batch_normalization(x, groups=2, eps=0.1),
            normal(6, 4, 2),
            order=1,
            tolerance=8,
        ),
        Sample(
            'fixed_decorrelated_batch_normalization',
            lambda x: F.fixed_decorrelated_batch_normalization(
                x, mean.astype(x.dtype), projection.astype(x.dtype), groups=2
            ),
            normal(3, 4, 2),
            order=1,
        ),
        Sample(
            'group_normalization',
            lambda x, g, b: F.group_normalization(x, 2, g, b),
            normal(2, 4, 3),
            normal(4),
            normal(4),
            tolerance=4,
        ),
        Sample(
            'group_normalization_2d',
            lambda x, g, b: F.group_normalization(x, 1, g, b, 0.1),
            normal(2, 4),
            normal(4),
            normal(4),
            tolerance=4,
        ),
        Sample('layer_normalization', F.layer_normalization, normal(3, 5), normal(5), normal(5), tolerance=4),
        Sample('normalize', F.normalize, normal(3, 4, 2)),
        Sample('normalize_axes', lambda x: F.normalize(x, axis=(0, 2)), normal(3, 4, 2)),
        Sample('local_response_normalization', lambda x: F.local_response_normalization(x, alpha=0.1), normal(2, 7, 2)),
        Sample(
            'local_response_normalization_any_power',
            lambda x: F.local_response_normalization(x, 3, 1, 0.5, 0.6),
            normal(2, 5, 2),
        ),
    ]
