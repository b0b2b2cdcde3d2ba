"""Pooling of regions of interest (RoIs).

A region is a box in an image; it is divided into outh x outw cells, and each cell gives one element. Rows and columns
can be treated one after the other. Where a cell's value is linear in the image, the average, the map is one matrix
for the rows and one for the columns; where it is a maximum, it is a weighted sum of the elements at positions that
have been found.
"""

import numbers

import numpy as np

from chainlite import backend
from chainlite._adjoint import adjoint_pair
from chainlite.backends.cpu import roi
from chainlite.backends.cpu.indexing import add_at
from chainlite.function_node import FunctionNode
from chainlite.utils import type_check


def check_outsize(outsize):
    """A pair of positive integers."""
    pair = tuple(outsize) if isinstance(outsize, (tuple, list)) else (outsize, outsize)
    for i, n in enumerate(pair):
        if not isinstance(n, numbers.Integral) or n <= 0:
            raise TypeError(f'outsize[{i}] must be positive integer: {type(n)}, {n}')
    return pair


def check_spatial_scale(scale):
    """A positive float."""
    if isinstance(scale, numbers.Integral):
        scale = float(scale)
    if not (isinstance(scale, numbers.Real) and scale > 0):
        raise TypeError(f'spatial_scale must be a positive float number: {type(scale)}, {scale}')
    return scale


def check_sampling_ratio(ratio):
    """A pair, each a positive integer or None."""
    pair = tuple(ratio) if isinstance(ratio, (tuple, list)) else (ratio, ratio)
    if not all(n is None or isinstance(n, numbers.Integral) and n >= 1 for n in pair):
        raise TypeError(f'sampling_ratio must be integer >= 1 or a pair of it: {pair}')
    return pair


# ---- linear: a matrix for the rows and one for the columns of each region --------------------------------------------


def _average(x, in_shape, images, rows, columns):
    return roi.average(x, images, rows, columns)


Average, AverageGrad = adjoint_pair('ROIAverage', _average, 'ROIAverageGrad', roi.average_grad, __name__)


# ---- maxima: positions in the flattened images, with weights ---------------------------------------------------------


def _take(x, in_shape, positions, weights):
    return (x.reshape(-1).take(positions) * weights).sum(axis=0).astype(x.dtype, copy=False)


def _put(gy, in_shape, positions, weights):
    xp = backend.get_array_module(gy)
    shares = xp.broadcast_to(gy, positions.shape) * weights
    size = int(np.prod(in_shape))
    if xp is np:
        gx = np.bincount(positions.ravel(), shares.ravel(), size)
    else:
        gx = add_at(shares, (positions,), (size,))
    return gx.astype(gy.dtype, copy=False).reshape(in_shape)


Take, TakeGrad = adjoint_pair('ROITake', _take, 'ROITakeGrad', _put, __name__)


# ---- nodes -----------------------------------------------------------------------------------------------------------


class ROIFunction(FunctionNode):
    """From x (n, c, h, w), rois (r, 4) as (y_min, x_min, y_max, x_max), and roi_indices (r) of images, to y (r, c,
    outh, outw).

    A subclass finds in `plan` the map of the images that it is: a node class of the above and its parameters.
    """

    input_names = 'x', 'rois', 'roi_indices'

    def __init__(self, outsize, spatial_scale):
        self.outh, self.outw = check_outsize(outsize)
        self.spatial_scale = check_spatial_scale(spatial_scale)

    def check_type_forward(self, in_types):
        type_check.expect(in_types.size() == 3)
        x, rois, indices = in_types
        type_check.expect(
            x.dtype.kind == 'f',
            x.ndim == 4,
            x.dtype == rois.dtype,
            rois.ndim == 2,
            rois.shape[1] == 4,
            indices.dtype == np.int32,
            indices.ndim == 1,
            rois.shape[0] == indices.shape[0],
        )

    def plan(self, x, rois, images):
        raise NotImplementedError

    def forward(self, inputs):
        x, rois, images = inputs
        self._node, self._params = self.plan(x, rois.astype(np.result_type(rois.dtype, 'f'), copy=False), images)
        self._in_shape = x.shape
        return (self._node.run(x, x.shape, *self._params),)

    def backward(self, target_input_indexes, grad_outputs):
        (gx,) = self._node.partner(self._in_shape, *self._params).apply(grad_outputs)
        return tuple([gx if i == 0 else None for i in target_input_indexes])

    def _boxes(self, rois):
        """Rounded to whole pixels: (first row, first column, rows, columns) of each region, ints (r, 4)."""
        rois = (rois * rois.dtype.type(self.spatial_scale)).round().astype(np.int32)
        rois[:, 2:] = (rois[:, 2:] - rois[:, :2]).clip(1, None)
        return rois


class ROIMaxFunction(ROIFunction):
    """Maxima; -inf for cells in which there is nothing."""

    def forward(self, inputs):
        (y,) = super().forward(inputs)
        _, weights = self._params
        y[...] = backend.get_array_module(y).where(weights.any(axis=0), y, y.dtype.type(-np.inf))
        return (y,)


class ROIAlignFunction(ROIFunction):
    """Cells of real sizes, sampled at a grid of places by bilinear interpolation."""

    def __init__(self, outsize, spatial_scale, sampling_ratio=None):
        super().__init__(outsize, spatial_scale)
        self.sampling_ratio = check_sampling_ratio(sampling_ratio)

    def _ratios(self):
        """Samples along each axis of a cell; 0 stands for the cell's size."""
        return tuple([int(n or 0) for n in self.sampling_ratio])

    def _boxes(self, rois):
        """(first row, first column, height, width) of each region, floats (r, 4)."""
        rois = rois * rois.dtype.type(self.spatial_scale)
        rois[:, 2:] = (rois[:, 2:] - rois[:, :2]).clip(1, None)
        return rois
