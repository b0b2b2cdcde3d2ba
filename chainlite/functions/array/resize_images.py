"""Resizing of images by interpolation."""

from __future__ import division  # noqa: UP010 (the name is part of the module's interface)

import numpy as np

from chainlite import backend
from chainlite._adjoint import adjoint_pair
from chainlite.backends.cpu.product import product
from chainlite.variable import as_variable

_MODES = ('bilinear', 'nearest')


def compute_indices_and_weights(out_size, in_size, mode, align_corners, xp):
    """Where the pixels of the result come from, along each axis.

    Args:
        out_size, in_size: pairs (h, w).
        mode: 'bilinear' or 'nearest'.
        align_corners: see `resize_images`.
        xp: the array module.

    Returns:
        (v, u), (vw, uw): for both axes, int arrays (2, n) of pixels and float arrays (2, n) of their weights.
    """
    pairs = [_axis(out, n, mode, align_corners, xp) for out, n in zip(out_size, in_size)]
    return tuple(zip(*pairs))


def _axis(out, n, mode, align_corners, xp):
    i = xp.arange(out)
    if mode == 'nearest':
        near = i * n // out
        return xp.stack([near, near]), xp.stack([xp.ones(out), xp.zeros(out)])
    place = i * ((n - 1) / max(out - 1, 1)) if align_corners else (i + 0.5) * (n / out) - 0.5
    place = xp.clip(place, 0, n - 1)
    low = xp.clip(xp.floor(place), 0, max(n - 2, 0)).astype(xp.intp)
    return xp.stack([low, xp.minimum(low + 1, n - 1)]), xp.stack([1 - (place - low), place - low])


def _matrix(pixels, weights, n, dtype):
    """The matrix (out, n) that interpolates along one axis."""
    xp = backend.get_array_module(pixels)
    places = xp.arange(n)
    return sum((p[:, None] == places) * w[:, None] for p, w in zip(pixels, weights)).astype(dtype)


def _resize(x, in_shape, out_size, mode, align_corners):
    (v, u), (vw, uw) = _tables(x, in_shape, out_size, mode, align_corners)
    dtype = x.dtype
    x = x.astype(np.promote_types(dtype, np.float32), copy=False)
    vw, uw = vw.astype(x.dtype)[:, :, None], uw.astype(x.dtype)
    x = x[:, :, v[0]] * vw[0] + x[:, :, v[1]] * vw[1]
    return (x[..., u[0]] * uw[0] + x[..., u[1]] * uw[1]).astype(dtype, copy=False)


def _resize_back(y, in_shape, out_size, mode, align_corners):
    (v, u), (vw, uw) = _tables(y, in_shape, out_size, mode, align_corners)
    dtype = y.dtype
    y = y.astype(np.promote_types(dtype, np.float32), copy=False)
    rows, columns = _matrix(v, vw, in_shape[2], y.dtype), _matrix(u, uw, in_shape[3], y.dtype)
    return product(rows.T, product(y, columns)).astype(dtype, copy=False)


def _tables(x, in_shape, out_size, mode, align_corners):
    return compute_indices_and_weights(out_size, in_shape[2:], mode, align_corners, backend.get_array_module(x))


ResizeImages, ResizeImagesGrad = adjoint_pair(
    'ResizeImages', _resize, 'ResizeImagesGrad', _resize_back, __name__, check='x: f (n c h w)'
)


def resize_images(x, output_shape, *, mode='bilinear', align_corners=True):
    """Resizes images.

    Args:
        x: float array (n, c, h, w).
        output_shape: pair (h, w) of the result.
        mode: 'bilinear', or 'nearest': the pixel at the same fraction of the size, rounded down.
        align_corners: whether 'bilinear' keeps the centers of the corner pixels in place (True), or the images' edges.

    Returns:
        Variable of shape (n, c, *output_shape).
    """
    assert mode in _MODES, f'mode must be one of {_MODES}, not {mode!r}'
    height, width = output_shape
    x = as_variable(x)
    return ResizeImages(x.shape, (height, width), mode, align_corners).apply((x,))[0]
