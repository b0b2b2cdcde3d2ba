import numpy as np

from samples import Sample, given, normal


def samples(chainer):
    F = chainer.functions
    mask = (np.arange(12).reshape(3, 4) % 3 != 0) * 1.5

    def dropout(x):
        return F.dropout(x, mask=mask.astype(x.dtype))

    def gaussian(mean, ln_var):
        return F.gaussian(mean, ln_var, eps=(mask - 0.7).astype(mean.dtype))

    def drawn(function):
        """The function with the same random numbers each time."""

        def run(*xs):
            state = np.random.get_state()
            chainer.backend.get_array_module(*xs).random.seed(5)
            ys = function(*xs)
            np.random.set_state(state)
            return ys

        run.random = True
        return run

    def dropconnect(batchwise):
        return drawn(lambda *xs: F.simplified_dropconnect(*xs, ratio=0.4, use_batchwise_mask=batchwise))

    mask_of_weights = np.arange(24).reshape(2, 4, 3) % 5 != 0
    scalar = given(np.array(0.3))
    return [
        Sample('dropout_mask', dropout, normal(3, 4)),
        Sample('dropout', drawn(F.dropout), normal(3, 4)),
        Sample('gaussian', gaussian, normal(3, 4), normal(3, 4)),
        Sample('gaussian_drawn', drawn(F.gaussian), normal(5), normal(5)),
        Sample('gaussian_0d', drawn(F.gaussian), scalar, scalar),
        Sample('gumbel_softmax', drawn(lambda x: F.gumbel_softmax(x, tau=0.7)), normal(3, 4), tolerance=4),
        Sample('gumbel_softmax_axis', drawn(lambda x: F.gumbel_softmax(x, 1.3, axis=0)), normal(3, 4), tolerance=4),
        Sample('dropconnect', dropconnect(True), normal(2, 3), normal(4, 3), normal(4)),
        Sample('dropconnect_nobias', dropconnect(True), normal(2, 3), normal(4, 3)),
        Sample('dropconnect_one_mask', dropconnect(False), normal(2, 3, 2), normal(4, 6), normal(4)),
        Sample(
            'dropconnect_mask',
            lambda x, W: F.simplified_dropconnect(x, W, mask=mask_of_weights),
            normal(2, 3),
            normal(4, 3),
        ),
        Sample('zoneout', drawn(lambda h, x: F.zoneout(h, x, 0.3)), normal(4, 5), normal(4, 5)),
        Sample('zoneout_0d', drawn(F.zoneout), scalar, scalar, chainer=False),
    ]
