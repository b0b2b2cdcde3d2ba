"""Averages and maxima over the cells of regions of interest.

Arrays: x (n, c, h, w); images (r), ints: which image a region is in. Results are (r, c, outh, outw).
"""

import numpy as np

from chainlite import backend
from chainlite.backends._kernel import Kernel


def cell_weights(first, size, n_cells, limit, dtype):
    """How much each of `limit` pixels counts in the averages over cells of whole pixels: (r, n_cells, limit).

    The cells are cut off at 0 and `limit`; together they are `size` (r) pixels, from `first` (r).
    """
    xp = backend.get_array_module(first)
    start, stop = [bound[:, :, None] for bound in _bounds(first, size, n_cells, limit)]
    pixel = xp.arange(limit)
    return ((start <= pixel) & (pixel < stop)).astype(dtype) / xp.maximum(stop - start, 1).astype(dtype)


def _bounds(first, size, n_cells, limit):
    """Where cells of whole pixels start and stop: arrays (r, n_cells)."""
    xp = backend.get_array_module(first)
    cell, step, first = xp.arange(n_cells), size[:, None] / n_cells, first[:, None]
    start, stop = xp.floor(cell * step).astype(int) + first, xp.ceil((cell + 1) * step).astype(int) + first
    return start.clip(0, limit), stop.clip(0, limit)


def _samples(first, size, n_cells, ratio, limit):
    """Bilinear interpolation at `ratio` places in each of `n_cells` cells (0: as many as there are pixels, rounded up).

    Returns:
        ratio, and for each sample, in arrays (n_cells * ratio): the lower pixel, the upper one, the weight of the
        upper one, and whether the sample is inside the image.
    """
    step = size / n_cells
    ratio = ratio or int(np.ceil(step))
    places = first + (np.arange(n_cells * ratio, dtype=size.dtype) + size.dtype.type(0.5)) * (step / ratio)
    inside = (places >= -1) & (places <= limit)
    places = np.clip(places, 0, limit - 1)
    lower = places.astype(int)
    upper = np.minimum(lower + 1, limit - 1)
    return ratio, lower, upper, places - lower, inside


@Kernel
def sample_weights(first, size, n_cells, ratio, limit):
    """How much each of `limit` pixels counts in the averages over samples: (r, n_cells, limit); see `_samples`."""
    matrices = np.zeros((len(first), n_cells, limit), first.dtype)
    for matrix, *box in zip(matrices, first, size):
        n, lower, upper, weight, inside = _samples(*box, n_cells, ratio, limit)
        of_samples = np.zeros((len(lower), limit), first.dtype)
        sample = np.arange(len(lower))
        of_samples[sample, lower] += (1 - weight) * inside
        of_samples[sample, upper] += weight * inside
        matrix[...] = of_samples.reshape(n_cells, n, limit).mean(axis=1)
    return matrices


@Kernel
def average(x, images, rows, columns):
    """Averages, by the weights of rows (r, outh, h) and columns (r, outw, w)."""
    xp = backend.get_array_module(x)
    if not len(images):
        return xp.zeros((0, x.shape[1], rows.shape[1], columns.shape[1]), x.dtype)
    return xp.stack([r @ x[i] @ c.T for i, r, c in zip(images.tolist(), rows, columns)]).astype(x.dtype, copy=False)


@Kernel
def average_grad(gy, in_shape, images, rows, columns):
    """The transpose of `average`, an array of `in_shape`."""
    gx = backend.get_array_module(gy).zeros(in_shape, np.result_type(gy.dtype, 'f'))
    for i, r, c, g in zip(images.tolist(), rows, columns, gy):
        gx[i] += r.T @ g @ c
    return gx.astype(gy.dtype, copy=False)


@Kernel
def maxima(x, images, boxes, outh, outw):
    """Where the maxima over cells of whole pixels are: positions in the flat x, (1, r, c, outh, outw), and weights.

    boxes (r, 4), ints: first row and column, numbers of rows and columns. The weights are 1, but 0 where a cell is
    outside the image.
    """
    n, c, h, w = x.shape
    positions = np.zeros((1, len(images), c, outh, outw), int)
    weights = np.zeros(positions.shape, x.dtype)
    rows = np.stack(_bounds(boxes[:, 0], boxes[:, 2], outh, h), axis=-1)
    columns = np.stack(_bounds(boxes[:, 1], boxes[:, 3], outw, w), axis=-1)
    for r, i in enumerate(images):
        channels = np.arange(c) + i * c
        for k, (left, right) in enumerate(columns[r]):
            if left >= right:
                continue
            column = x[i, :, :, left:right].argmax(axis=2) + left  # (c, h): the largest of each row
            largest = np.take_along_axis(x[i], column[:, :, None], 2)[:, :, 0]
            for j, (top, bottom) in enumerate(rows[r]):
                if top < bottom:
                    y = largest[:, top:bottom].argmax(axis=1) + top
                    positions[0, r, :, j, k] = (channels * h + y) * w + column[np.arange(c), y]
                    weights[0, r, :, j, k] = 1
    return positions, weights


@Kernel
def align_maxima(x, images, boxes, ratios, outh, outw):
    """Where the greatest samples of the cells are: positions in the flat x of the four pixels around each, and their
    weights, (4, r, c, outh, outw); weights 0 where a cell is outside the image.

    boxes (r, 4), floats: first row and column, height and width.
    """
    n, c, h, w = x.shape
    positions = np.zeros((4, len(images), c, outh, outw), int)
    weights = np.zeros(positions.shape, boxes.dtype)
    for r, (i, (top, left, height, width)) in enumerate(zip(images, boxes)):
        rows = _samples(top, height, outh, ratios[0], h)
        columns = _samples(left, width, outw, ratios[1], w)
        positions[:, r], weights[:, r] = _greatest_samples(x[i], rows, columns, outh, outw)
        positions[:, r] += (i * c + np.arange(c)[:, None, None]) * (h * w)
    return positions, weights


def _greatest_samples(x, rows, columns, outh, outw):
    """Where in x (c, h, w) the largest samples are, four neighbours each, and their weights: (4, c, outh, outw)."""
    (ny, *rows), (nx, *columns) = rows, columns

    def by_cell(a):
        """(..., outh * ny, outw * nx) -> (..., outh, outw, ny * nx)."""
        a = a.reshape(*a.shape[:-2], outh, ny, outw, nx)
        return np.moveaxis(a, -3, -2).reshape(*a.shape[:-4], outh, outw, ny * nx)

    (y0, y1, v, in_y), (x0, x1, u, in_x) = [[a.reshape(-1, 1) for a in rows], columns]
    w = x.shape[2]
    positions = np.stack([y0 * w + x0, y0 * w + x1, y1 * w + x0, y1 * w + x1])
    weights = np.stack([(1 - v) * (1 - u), (1 - v) * u, v * (1 - u), v * u]) * (in_y & in_x)
    samples = np.where(in_y & in_x, (x.reshape(len(x), -1)[:, positions] * weights).sum(axis=1), -np.inf)
    samples = by_cell(samples)
    largest = samples.argmax(axis=-1)[..., None]  # (c, outh, outw, 1)
    return [
        np.stack([np.take_along_axis(np.broadcast_to(by_cell(a), samples.shape), largest, -1)[..., 0] for a in four])
        for four in (positions, weights)
    ]
