"""Padding."""

import numpy as np

from chainlite import backend
from chainlite._adjoint import adjoint_pair
from chainlite.backends._layout import is_last, roll, unroll
from chainlite.variable import as_variable

_GATHERING = ('edge', 'reflect', 'symmetric', 'wrap')


def _pad(x, in_shape, pad_width, mode, keywords):
    is_usual = _are_pairs(pad_width, x.ndim)
    if is_last(x):  # stays so
        if not is_usual:
            pad_width = np.broadcast_to(np.asarray(pad_width), (x.ndim, 2)).tolist()
        batch, channels, *others = map(tuple, pad_width)
        return unroll(_pad(roll(x), None, (batch, *others, channels), mode, keywords))
    xp = backend.get_array_module(x)
    if mode != 'constant' or keywords or not is_usual:
        return xp.pad(x, pad_width, mode=mode, **keywords)
    y = xp.zeros([before + n + after for (before, after), n in zip(pad_width, x.shape)], x.dtype)
    y[tuple([slice(before, before + n) for (before, _), n in zip(pad_width, x.shape)])] = x
    return y


def _are_pairs(pad_width, ndim):
    """Whether there is a tuple of two ints for each axis: zeros are added to those in a tenth of `numpy.pad`'s time."""
    return (
        type(pad_width) is tuple
        and len(pad_width) == ndim
        and all([type(w) is tuple and len(w) == 2 and type(w[0]) is type(w[1]) is int for w in pad_width])
        and all([before >= 0 <= after for before, after in pad_width])
    )


def _pad_back(y, in_shape, pad_width, mode, keywords):
    xp = backend.get_array_module(y)
    widths = np.broadcast_to(np.asarray(pad_width), (len(in_shape), 2)).tolist() if in_shape else []
    if mode == 'constant':
        return y[(..., *[slice(before, before + n) for (before, _), n in zip(widths, in_shape)])]  # of 0 axes, too
    if mode not in _GATHERING:
        raise RuntimeError(f'pad has no gradient in mode {mode!r}, only in constant, {", ".join(_GATHERING)}')
    for axis, (n, width) in enumerate(zip(in_shape, widths)):
        source = np.pad(np.arange(n), width, mode=mode, **keywords)  # where each element along the axis came from
        matrix = xp.asarray(source == np.arange(n)[:, None]).astype(y.dtype)
        y = xp.moveaxis(xp.tensordot(matrix, y, (1, axis)), 0, axis).astype(y.dtype, copy=False)
    return y


def _pad_bw(self):
    """Before and after, for each axis: what exporters read."""
    return np.broadcast_to(np.asarray(self.pad_width), (len(self.in_shape), 2))


_seen = dict(check='x: f', any_layout=True, gives_new=True, pad_bw=property(_pad_bw))
Pad, PadGrad = adjoint_pair('Pad', _pad, 'PadGrad', _pad_back, __name__, **_seen)


def _pad_again(self, target_input_indexes, grad_outputs):
    """Padding with constants is not linear but affine: the derivative pads with zeros."""
    pad_width, mode, keywords = self.params
    return Pad(self.in_shape, pad_width, mode, {} if mode == 'constant' else keywords).apply(grad_outputs)


PadGrad.backward, PadGrad.backward_arrays = _pad_again, None


def pad(x, pad_width, mode, **keywords):
    """Pads an array at both ends of each axis.

    Args:
        x: float array.
        pad_width: int; (before, after); or one such pair for each axis.
        mode: what `numpy.pad` takes. Gradients are there for 'constant', 'edge', 'reflect', 'symmetric' and 'wrap'.
        keywords: those of `numpy.pad`: `constant_values` and so on.
    """
    x = as_variable(x)
    return Pad(x.shape, pad_width, mode, keywords).apply((x,))[0]
