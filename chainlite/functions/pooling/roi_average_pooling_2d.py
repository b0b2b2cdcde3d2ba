"""Average over the cells of regions of interest."""

import numpy as np

from chainlite.functions.pooling._roi import Average, ROIFunction, cells


def _averaging(first, size, n_cells, limit, dtype):
    """The matrix (n_cells, limit) that averages over cells."""
    matrix = np.zeros((n_cells, limit), dtype)
    for i, cell in enumerate(cells(first, size, n_cells, limit)):
        matrix[i, cell] = 1 / max(cell.stop - cell.start, 1)
    return matrix


class ROIAveragePooling2D(ROIFunction):
    def plan(self, x, rois, images):
        h, w = x.shape[2:]
        boxes = list(self._boxes(rois))
        rows = [_averaging(top, height, self.outh, h, rois.dtype) for top, _, height, _ in boxes]
        columns = [_averaging(left, width, self.outw, w, rois.dtype) for _, left, _, width in boxes]
        return Average, (images, rows, columns)


def roi_average_pooling_2d(x, rois, roi_indices, outsize, spatial_scale):
    """Divides regions of interest into cells of whole pixels and averages over each; 0 where a cell is outside the
    image.

    Args:
        x: float array (n, c, h, w).
        rois: array (r, 4) of x's dtype: (y_min, x_min, y_max, x_max) of each region.
        roi_indices: int32 array (r): the number of the image that each region is in.
        outsize: int or pair of ints (outh, outw): the number of cells.
        spatial_scale: float by which the regions' coordinates are multiplied.

    Returns:
        Variable (r, c, outh, outw).
    """
    return ROIAveragePooling2D(outsize, spatial_scale).apply((x, rois, roi_indices))[0]
