"""Average of samples in the cells of regions of interest."""

import numpy as np

from chainlite.functions.pooling._roi import Average, ROIAlignFunction


def _averaging(grid, limit):
    """The matrix (cells, limit) that averages the samples of each cell."""
    ratio, lower, upper, weight, inside = grid
    matrix = np.zeros((len(lower), limit), weight.dtype)
    sample = np.arange(len(lower))
    matrix[sample, lower] += (1 - weight) * inside
    matrix[sample, upper] += weight * inside
    return matrix.reshape(-1, ratio, limit).mean(axis=1)


class ROIAverageAlign2D(ROIAlignFunction):
    def plan(self, x, rois, images):
        h, w = x.shape[2:]
        grids = list(self._grids(x, rois))
        return Average, (
            images,
            [_averaging(rows, h) for rows, _ in grids],
            [_averaging(columns, w) for _, columns in grids],
        )


def roi_average_align_2d(x, rois, roi_indices, outsize, spatial_scale, sampling_ratio=None):
    """Divides regions of interest into cells and averages over interpolated samples in each.

    Args:
        x: float array (n, c, h, w).
        rois: array (r, 4) of x's dtype: (y_min, x_min, y_max, x_max) of each region.
        roi_indices: int32 array (r): the number of the image that each region is in.
        outsize: int or pair of ints (outh, outw): the number of cells.
        spatial_scale: float by which the regions' coordinates are multiplied.
        sampling_ratio: int or pair of ints: samples along each axis of a cell; None: the cell's size, rounded up.

    Returns:
        Variable (r, c, outh, outw).

    Kaiming He et al.: Mask R-CNN, 2017.
    """
    return ROIAverageAlign2D(outsize, spatial_scale, sampling_ratio).apply((x, rois, roi_indices))[0]
