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
    xp = backend.get_array_module(x)
    return xp.stack([r @ x[i] @ c.T for i, r, c in zip(images.tolist(), rows, columns)]).astype(x.dtype, copy=False)


def _spread(gy, in_shape, images, rows, columns):
    gx = backend.get_array_module(gy).zeros(in_shape, np.result_type(gy.dtype, 'f'))
    for i, r, c, g in zip(images.tolist(), rows, columns, gy):
        gx[i] += r.T @ g @ c
    return gx.astype(gy.dtype, copy=False)


Average, AverageGrad = adjoint_pair('ROIAverage', _average, 'ROIAverageGrad', _spread, __name__)


# ---- maxima: positions in the flattened images, with weights ---------------------------------------------------------


def _take(x, in_shape, positions, weights):
    return (x.reshape(-1).take(positions) * weights).sum(axis=0).astype(x.dtype, copy=False)


def _put(gy, in_shape, positions, weights):
    xp = backend.get_array_module(gy)
    shares = xp.broadcast_to(gy, positions.shape) * weights
    return xp.bincount(positions.ravel(), shares.ravel(), np.prod(in_shape)).astype(gy.dtype).reshape(in_shape)


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
        device = backend.get_device_from_array(inputs[0])
        x, rois, images = [backend.CpuDevice().send(a) for a in inputs]
        self._node, self._params = self.plan(x, rois.astype(np.result_type(rois, 'f')), images)
        self._in_shape = x.shape
        y = self._node.run(x, x.shape, *self._params)
        self._params = [device.send(p) for p in self._params]  # found by the CPU, used by backward where gy is
        return (device.send(y),)

    def backward(self, target_input_indexes, grad_outputs):
        (gx,) = self._node.partner(self._in_shape, *self._params).apply(grad_outputs)
        return tuple([gx if i == 0 else None for i in target_input_indexes])

    def _boxes(self, rois):
        """Rounded to whole pixels: (first row, first column, rows, columns) of each region."""
        for y_min, x_min, y_max, x_max in np.round(rois * rois.dtype.type(self.spatial_scale)).astype(int):
            yield y_min, x_min, max(y_max - y_min, 1), max(x_max - x_min, 1)


def cells(first, size, n_cells, limit):
    """For whole pixels: the slices that `n_cells` cells of `size` pixels from `first` are, cut off at 0 and `limit`."""
    step = size / n_cells
    for i in range(n_cells):
        start, stop = int(np.floor(i * step)) + first, int(np.ceil((i + 1) * step)) + first
        yield slice(min(max(start, 0), limit), min(max(stop, 0), limit))


def maxima(x, boxes, images, outh, outw):
    """The parameters of `Take` for the maxima over cells of whole pixels; outside the image the weights are 0."""
    n, c, h, w = x.shape
    positions = np.zeros((1, len(images), c, outh, outw), int)
    weights = np.zeros(positions.shape, x.dtype)
    for r, (i, (top, left, height, width)) in enumerate(zip(images, boxes)):
        channels = np.arange(c) + i * c
        rows = list(cells(top, height, outh, h))
        for k, columns in enumerate(cells(left, width, outw, w)):
            if columns.start >= columns.stop:
                continue
            column = x[i, :, :, columns].argmax(axis=2) + columns.start  # (c, h): the largest of each row
            largest = np.take_along_axis(x[i], column[:, :, None], 2)[:, :, 0]
            for j, row in enumerate(rows):
                if row.start < row.stop:
                    y = largest[:, row].argmax(axis=1) + row.start
                    positions[0, r, :, j, k] = (channels * h + y) * w + column[np.arange(c), y]
                    weights[0, r, :, j, k] = 1
    return positions, weights


def samples(first, size, n_cells, ratio, limit):
    """Bilinear interpolation at `ratio` places in each of `n_cells` cells (None: as many as there are pixels, rounded
    up).

    Returns:
        ratio, and for each sample, in arrays (n_cells * ratio): the lower pixel, the upper one, the weight of the
        upper one, and whether the sample is inside the image.
    """
    step = size / n_cells
    ratio = int(np.ceil(step)) if ratio is None else int(ratio)
    places = first + (np.arange(n_cells * ratio, dtype=size.dtype) + size.dtype.type(0.5)) * (step / ratio)
    inside = (places >= -1) & (places <= limit)
    places = np.clip(places, 0, limit - 1)
    lower = places.astype(int)
    upper = np.minimum(lower + 1, limit - 1)
    return ratio, lower, upper, places - lower, inside


class ROIMaxFunction(ROIFunction):
    """Maxima; -inf for cells in which there is nothing."""

    def forward(self, inputs):
        (y,) = super().forward(inputs)
        _, weights = self._params
        empty = ~weights.any(axis=0)
        if empty.any():
            y[backend.get_array_module(y).asarray(empty)] = -np.inf
        return (y,)


class ROIAlignFunction(ROIFunction):
    """Cells of real sizes, sampled at a grid of places by bilinear interpolation."""

    def __init__(self, outsize, spatial_scale, sampling_ratio=None):
        super().__init__(outsize, spatial_scale)
        self.sampling_ratio = check_sampling_ratio(sampling_ratio)

    def _grids(self, x, rois):
        """For each region the `samples` of its rows and of its columns."""
        h, w = x.shape[2:]
        scaled = rois * rois.dtype.type(self.spatial_scale)
        one = scaled.dtype.type(1)
        for y_min, x_min, y_max, x_max in scaled:
            yield (
                samples(y_min, max(y_max - y_min, one), self.outh, self.sampling_ratio[0], h),
                samples(x_min, max(x_max - x_min, one), self.outw, self.sampling_ratio[1], w),
            )
