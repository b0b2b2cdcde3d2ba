"""Averages and maxima over regions of interest; see cpu.roi for what the arguments are, and kernels/roi.cu."""

import numpy as np

from chainlite.backends import cuda
from chainlite.backends.cpu.roi import align_maxima, average, average_grad, maxima, sample_weights
from chainlite.backends.gpu import gpu
from chainlite.backends.gpu._launch import alike, contiguous, function, index_type, is_float, launch


def _numbers(images):
    (images,) = alike(np.int32, images)
    return images


@sample_weights.when(gpu, lambda first, *_: is_float(first))
def _(first, size, n_cells, ratio, limit):
    first, size = contiguous(first, size)
    weights = cuda.cupy.empty((len(first), n_cells, limit), first.dtype)
    run = function('roi.sample_weights', first.dtype, index_type(weights))
    launch(run, weights.size, first, size, weights, ratio, n_cells, limit)
    return weights


def _takes(x, images, rows, columns):
    return is_float(x, rows, columns) and rows.dtype == columns.dtype == np.result_type(x.dtype, 'f')


@average.when(gpu, _takes)
def _(x, images, rows, columns):
    x, rows, columns = contiguous(x, rows, columns)
    _, c, h, w = x.shape
    y = cuda.cupy.empty((len(images), c, rows.shape[1], columns.shape[1]), x.dtype)
    run = function('roi.roi_average', x.dtype, rows.dtype, index_type(x, y, rows, columns))
    launch(run, y.size, x, y, _numbers(images), rows, columns, c, h, w, *y.shape[2:])
    return y


@average_grad.when(gpu, lambda gy, in_shape, *rest: _takes(gy, *rest))
def _(gy, in_shape, images, rows, columns):
    gy, rows, columns = contiguous(gy, rows, columns)
    gx = cuda.cupy.empty(in_shape, gy.dtype)
    run = function('roi.roi_average_grad', gy.dtype, rows.dtype, index_type(gx, gy, rows, columns))
    launch(run, gx.size, gy, gx, _numbers(images), rows, columns, *gy.shape[:2], *in_shape[2:], *gy.shape[2:])
    return gx


def _find(name, x, images, boxes, n, dtype, types, *rest):
    """Positions and weights, (n, r, c, outh, outw)."""
    x, boxes = contiguous(x, boxes)
    _, c, h, w = x.shape
    *rest, outh, outw = rest
    positions = cuda.cupy.empty((n, len(images), c, outh, outw), np.int64)
    weights = cuda.cupy.empty(positions.shape, dtype)
    run = function(name, *types, index_type(positions))
    launch(run, weights.size // n, x, _numbers(images), boxes, positions, weights, *rest, c, h, w, outh, outw)
    return positions, weights


@maxima.when(gpu, lambda x, *_: isinstance(x, cuda.cupy.ndarray))
def _(x, images, boxes, outh, outw):
    return _find('roi.roi_maxima', x, images, *alike(np.int32, boxes), 1, x.dtype, (x.dtype,), outh, outw)


@align_maxima.when(gpu, lambda x, *_: isinstance(x, cuda.cupy.ndarray))
def _(x, images, boxes, ratios, outh, outw):
    types = x.dtype, boxes.dtype
    return _find('roi.roi_align_maxima', x, images, boxes, 4, boxes.dtype, types, *ratios, outh, outw)
