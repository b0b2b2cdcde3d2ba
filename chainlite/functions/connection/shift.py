"""Shifts of channels."""

from chainlite import backend
from chainlite._adjoint import adjoint_pair
from chainlite.utils import type_check
from chainlite.utils.conv_nd import as_tuple
from chainlite.variable import as_variable


def _distances(ksize, dilate):
    """How far each group of channels moves. The last group stays, and takes the remaining channels too."""
    kh, kw = ksize
    distances = [((i - kh // 2) * dilate[0], (j - kw // 2) * dilate[1]) for i in range(kh) for j in range(kw)]
    center = len(distances) // 2
    distances[center], distances[-1] = distances[-1], distances[center]
    return distances


def _ends(distance, size):
    """Where what moves by `distance` comes from and goes to."""
    moved = abs(distance)
    if moved >= size:
        return slice(0, 0), slice(0, 0)
    near, far = slice(0, size - moved), slice(moved, size)
    return (near, far) if distance > 0 else (far, near)


def _move(x, sign, ksize, dilate):
    xp = backend.get_array_module(x)
    y = xp.zeros_like(x)
    distances = _distances(ksize, dilate)
    size = x.shape[1] // len(distances)
    for group, (dy, dx) in enumerate(distances):
        channels = slice(group * size, (group + 1) * size if group < len(distances) - 1 else None)
        (from_y, to_y), (from_x, to_x) = _ends(sign * dy, x.shape[2]), _ends(sign * dx, x.shape[3])
        y[:, channels, to_y, to_x] = x[:, channels, from_y, from_x]
    return y


def _shift(x, in_shape, ksize, dilate):
    return _move(x, 1, ksize, dilate)


def _shift_back(y, in_shape, ksize, dilate):
    return _move(y, -1, ksize, dilate)


def _check(self, in_types):
    type_check.expect(in_types.size() == 1)
    type_check.argname(in_types, ('x',))
    (x,) = in_types
    kh, kw = self.params[0]
    type_check.expect(x.dtype.kind == 'f', x.ndim == 4, x.shape[1] >= kh * kw)


Shift, ShiftGrad = adjoint_pair('Shift', _shift, 'ShiftGrad', _shift_back, __name__, check_type_forward=_check)


def shift(x, ksize=3, dilate=1):
    """Moves groups of channels, each by another of the kh kw distances in a window.

    Args:
        x: float array (n, c, h, w), c >= kh kw.
        ksize: int or pair of odd ints: size of the window.
        dilate: int or pair of ints: how far apart the distances are.

    Returns:
        Variable of x's shape.

    Bichen Wu et al.: Shift: A Zero FLOP, Zero Parameter Alternative to Spatial Convolutions, 2017.
    """
    x = as_variable(x)
    ksize = as_tuple(ksize, 2)
    for name, k in zip(('kh', 'kw'), ksize):
        if k % 2 == 0:
            raise ValueError(f'{name} must be odd')
    return Shift(x.shape, ksize, as_tuple(dilate, 2)).apply((x,))[0]
