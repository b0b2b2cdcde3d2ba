"""What Chainer 7.8.1's links make of given seeds and inputs.

`python tests/links/chainer_links.py`, run where Chainer is installed, writes data/links.npz.

The same functions give this package's values to the tests: initial parameters, outputs, gradients, what else is saved,
the text form, and the next random number, which says how many were drawn.
"""

import copy
from pathlib import Path

import numpy as np

FILE = Path(__file__).parent / 'data' / 'links.npz'


def floats(*shape):
    return np.random.RandomState(sum(shape)).uniform(-1, 1, shape).astype(np.float32)


def ints(high, *shape):
    return np.random.RandomState(1).randint(0, high, shape).astype(np.int32)


def black_out(L, N):
    link = L.BlackOut(3, [1, 2, 3, 4], 2)
    link.W.array[...] = floats(4, 3)
    return link


# name: function of (links, Normal) that makes the link, and the inputs of each call.
CASES = {
    'Linear': (lambda L, N: L.Linear(3, 2, initial_bias=N(1)), [floats(4, 3)]),
    'Linear lazy': (lambda L, N: L.Linear(2, initial_bias=None), [floats(4, 3, 2)]),
    'Linear constants': (lambda L, N: L.Linear(3, 2, True, np.arange(6).reshape(2, 3)), [floats(4, 3)]),
    'Convolution2D': (lambda L, N: L.Convolution2D(4, 6, 3, 2, 1, groups=2, initial_bias=N(1)), [floats(2, 4, 5, 5)]),
    'Convolution2D lazy': (
        lambda L, N: L.Convolution2D(None, 3, (3, 2), nobias=True, dilate=2),
        [floats(2, 4, 6, 6)],
    ),
    'Convolution2D short': (lambda L, N: L.Convolution2D(3, 2), [floats(1, 2, 4, 4)]),
    'Convolution1D': (lambda L, N: L.Convolution1D(2, 3, 2, initial_bias=N(1)), [floats(2, 2, 5)]),
    'Convolution3D': (lambda L, N: L.Convolution3D(None, 4, 2, 2, cover_all=True), [floats(1, 2, 4, 4, 4)]),
    'ConvolutionND': (lambda L, N: L.ConvolutionND(2, 4, 6, (2, 1), groups=2, dilate=2), [floats(1, 4, 4, 4)]),
    'Deconvolution2D': (
        lambda L, N: L.Deconvolution2D(4, 6, 3, 2, 1, groups=2, initial_bias=N(1)),
        [floats(1, 4, 3, 3)],
    ),
    'Deconvolution2D lazy': (lambda L, N: L.Deconvolution2D(None, 3, 3, 2, outsize=(8, 8)), [floats(1, 2, 3, 3)]),
    'Deconvolution1D': (lambda L, N: L.Deconvolution1D(2, 3, 2), [floats(1, 2, 4)]),
    'Deconvolution3D': (lambda L, N: L.Deconvolution3D(None, 3, 2, initial_bias=N(1)), [floats(1, 2, 2, 2, 2)]),
    'DeconvolutionND': (lambda L, N: L.DeconvolutionND(2, 2, 3, (2, 1)), [floats(1, 2, 3, 3)]),
    'DepthwiseConvolution2D': (
        lambda L, N: L.DepthwiseConvolution2D(None, 2, 3, initial_bias=N(1)),
        [floats(2, 3, 4, 4)],
    ),
    'DilatedConvolution2D': (
        lambda L, N: L.DilatedConvolution2D(None, 2, 2, dilate=2, initial_bias=N(1)),
        [floats(1, 3, 4, 4)],
    ),
    'LocalConvolution2D': (
        lambda L, N: L.LocalConvolution2D(None, 4, None, 2, initial_bias=N(1)),
        [floats(2, 3, 4, 5)],
    ),
    'DeformableConvolution2D': (
        lambda L, N: L.DeformableConvolution2D(None, 4, 2, deform_initialW=N(1)),
        [floats(1, 3, 4, 4)],
    ),
    'MLPConvolution2D': (lambda L, N: L.MLPConvolution2D(None, (4, 5), 2, bias_init=N(1)), [floats(1, 3, 4, 4)]),
    'EmbedID': (lambda L, N: L.EmbedID(4, 3, ignore_label=0), [ints(4, 5)]),
    'Bilinear': (lambda L, N: L.Bilinear(2, 3, 4, initial_bias=(N(1), N(1), N(1))), [floats(5, 2), floats(5, 3)]),
    'Highway': (lambda L, N: L.Highway(3, init_bh=N(1)), [floats(4, 3)]),
    'Inception': (lambda L, N: L.Inception(None, 1, 2, 3, 4, 5, 6, bias_init=N(1)), [floats(1, 3, 5, 5)]),
    'InceptionBN': (lambda L, N: L.InceptionBN(3, 1, 2, 3, 4, 5, 'avg', 6), [floats(2, 3, 4, 4)]),
    'InceptionBN stride': (lambda L, N: L.InceptionBN(None, 0, 2, 3, 4, 5, 'max', stride=2), [floats(2, 3, 4, 4)]),
    'InceptionBN stride, negative': (
        lambda L, N: L.InceptionBN(3, 0, 2, 3, 4, 5, 'max', stride=2),
        [floats(2, 3, 4, 4) - np.float32(1)],  # the pooled branch is not rectified
    ),
    'Bias': (lambda L, N: L.Bias(1, (3,)), [floats(4, 3, 2)]),
    'Scale': (lambda L, N: L.Scale(1, (3,), True), [floats(4, 3, 2)]),
    'Parameter': (lambda L, N: L.Parameter(floats(3, 2)), []),
    'Maxout': (lambda L, N: L.Maxout(None, 2, 4, initial_bias=N(1)), [floats(5, 3)]),
    'Maxout constants': (lambda L, N: L.Maxout(3, 2, 4, floats(2, 4, 3), floats(2, 4)), [floats(5, 3)]),
    'PReLU': (lambda L, N: L.PReLU((3,), N(1)), [floats(4, 3, 2)]),
    'Swish': (lambda L, N: L.Swish(None, 0.5), [floats(4, 3)]),
    'BatchNormalization': (
        lambda L, N: L.BatchNormalization(
            3, 0.8, 1e-3, None, True, True, N(1), N(1), initial_avg_mean=N(1), initial_avg_var=N(1)
        ),
        [floats(5, 3, 2)],
    ),
    'BatchNormalization axis': (lambda L, N: L.BatchNormalization(axis=(0, 2), initial_gamma=N(1)), [floats(4, 3, 2)]),
    'BatchNormalization plain': (lambda L, N: L.BatchNormalization(3, use_gamma=False, use_beta=False), [floats(5, 3)]),
    'BatchRenormalization': (lambda L, N: L.BatchRenormalization(3, 2, 1, initial_gamma=N(1)), [floats(5, 3, 2)]),
    'DecorrelatedBatchNormalization': (lambda L, N: L.DecorrelatedBatchNormalization(4, 2), [floats(6, 4, 3)]),
    'LayerNormalization': (lambda L, N: L.LayerNormalization(None, 1e-3, N(1), N(1)), [floats(4, 5)]),
    'GroupNormalization': (lambda L, N: L.GroupNormalization(2, None, 1e-3, N(1), N(1)), [floats(3, 4, 2, 2)]),
    'LSTM': (lambda L, N: L.LSTM(None, 2, bias_init=N(1), forget_bias_init=N(1)), [[floats(4, 3), floats(2, 3)]]),
    'StatelessLSTM': (lambda L, N: L.StatelessLSTM(3, 2), [floats(4, 2), floats(4, 2), floats(4, 3)]),
    'StatefulGRU': (lambda L, N: L.StatefulGRU(3, 2, bias_init=N(1)), [[floats(4, 3), floats(4, 3)]]),
    'StatelessGRU': (lambda L, N: L.StatelessGRU(None, 2), [floats(4, 2), floats(4, 3)]),
    'GRU': (lambda L, N: L.GRU(3, 2, N(1), N(1)), [[floats(4, 3), floats(4, 3)]]),
    'StatefulMGU': (lambda L, N: L.StatefulMGU(3, 2), [[floats(4, 3), floats(4, 3)]]),
    'StatelessMGU': (lambda L, N: L.StatelessMGU(3, 2), [floats(4, 2), floats(4, 3)]),
    'StatefulPeepholeLSTM': (lambda L, N: L.StatefulPeepholeLSTM(3, 2), [[floats(4, 3), floats(4, 3)]]),
    'StatefulZoneoutLSTM': (lambda L, N: L.StatefulZoneoutLSTM(3, 2), [[floats(4, 3), floats(4, 3)]]),
    'ChildSumTreeLSTM': (
        lambda L, N: L.ChildSumTreeLSTM(3, 2),
        [floats(4, 2), None, floats(4, 2), floats(4, 2), floats(4, 3)],
    ),
    'ChildSumTreeLSTM leaf': (lambda L, N: L.ChildSumTreeLSTM(3, 2), [floats(4, 3)]),
    'NaryTreeLSTM': (lambda L, N: L.NaryTreeLSTM(3, 2), [floats(4, 2), None, floats(4, 2), None, floats(4, 3)]),
    **{
        name: (
            lambda L, N, name=name: getattr(L, name)(2, 3, 4, 0.0, initial_bias=N(1)),
            [*[None] * (2 if 'LSTM' in name else 1), (floats(2, 3), floats(5, 3), floats(4, 3))],
        )
        for name in (
            *('NStepLSTM', 'NStepBiLSTM', 'NStepGRU', 'NStepBiGRU'),
            *('NStepRNNTanh', 'NStepRNNReLU', 'NStepBiRNNTanh', 'NStepBiRNNReLU'),
        )
    },
    'CRF1d': (lambda L, N: L.CRF1d(3, N(1)), [(floats(4, 3), floats(2, 3)), (ints(3, 4), ints(3, 2))]),
    'BlackOut': (black_out, [floats(5, 3), ints(4, 5)]),
    'SimplifiedDropconnect': (lambda L, N: L.SimplifiedDropconnect(6, 2, 0.3), [floats(4, 3, 2)]),
    'SimplifiedDropconnect lazy': (lambda L, N: L.SimplifiedDropconnect(None, 2, nobias=True), [floats(4, 3)]),
    'NegativeSampling': (lambda L, N: L.NegativeSampling(3, [1, 2, 3, 4], 2), [floats(5, 3), ints(4, 5)]),
    'BinaryHierarchicalSoftmax': (
        lambda L, N: L.BinaryHierarchicalSoftmax(3, ((0, 1), ((2, 3), 4))),
        [floats(6, 3), ints(5, 6)],
    ),
}


def flat(y):
    """All Variables in tuples and lists."""
    return [v for part in y for v in flat(part)] if isinstance(y, (tuple, list)) else [y]


def sent(x, device):
    """The arrays of nested lists and tuples on a device."""
    return type(x)(sent(part, device) for part in x) if isinstance(x, (list, tuple)) else device.send(x)


def link_values(chainer, name, device=None):
    """{what: array} of one case, from `chainer` or ours; with a device, computed there from the same parameters."""
    make, inputs = CASES[name]
    np.random.seed(3)
    link = make(chainer.links, chainer.initializers.Normal)
    calls = inputs[0] if inputs and isinstance(inputs[0], list) else [inputs]  # a list is a sequence of calls
    if device is not None and device.xp is not np:
        initialized = copy.deepcopy(link)  # random numbers are those of NumPy
        initialized(*calls[0] if isinstance(calls[0], list) else [calls[0]])
        state = np.random.get_state()
        link.copyparams(initialized, copy_persistent=False)  # draws too, before it copies
        np.random.set_state(state)
        link.to_device(device)
        calls = sent(calls, device)
    for x in calls:
        y = link(*x) if isinstance(x, list) else link(x)
    values = {'text': np.array(str(link)), 'next random number': np.random.rand(1)}
    ys = [v for v in flat(y) if isinstance(v, chainer.Variable)]
    link.cleargrads()
    weights = np.random.RandomState(5)
    loss = sum(chainer.functions.sum(y * y.xp.asarray(weights.uniform(-1, 1, y.shape).astype(y.dtype))) for y in ys)
    if not name.startswith('Deconvolution2D'):  # Chainer 7.8.1 cannot differentiate these
        loss.backward()
    for i, y in enumerate(ys):
        values[f'output {i}'] = chainer.backends.cuda.to_cpu(y.array)
    for path, param in link.namedparams():
        values[f'value {path}'] = chainer.backends.cuda.to_cpu(param.array)
        if param.grad is not None:
            values[f'gradient {path}'] = chainer.backends.cuda.to_cpu(param.grad)
    for path, inner in link.namedlinks():
        for persistent in sorted(inner._persistent):
            values[f'persistent {path}:{persistent}'] = np.asarray(
                chainer.backends.cuda.to_cpu(getattr(inner, persistent))
            )
    return values


if __name__ == '__main__':
    import chainer
    import chainer.links

    np.savez_compressed(
        FILE, **{f'{name}|{what}': a for name in CASES for what, a in link_values(chainer, name).items()}
    )
