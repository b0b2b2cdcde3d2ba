"""Maximum of samples in the cells of regions of interest."""

import numpy as np

from chainlite.functions.pooling._roi import ROIAlignFunction, ROIMaxFunction, Take


class ROIMaxAlign2D(ROIAlignFunction, ROIMaxFunction):
    def plan(self, x, rois, images):
        n, c, h, w = x.shape
        positions = np.zeros((4, len(rois), c, self.outh, self.outw), int)
        weights = np.zeros(positions.shape, x.dtype)
        for r, (i, (rows, columns)) in enumerate(zip(images, self._grids(x, rois))):
            positions[:, r], weights[:, r] = self._region(x[i], rows, columns)
            positions[:, r] += (i * c + np.arange(c)[:, None, None]) * (h * w)
        return Take, (positions, weights)

    def _region(self, x, rows, columns):
        """Where in x (c, h, w) the largest samples are, four neighbours each, and their weights: (4, c, outh, outw)."""
        (ny, *rows), (nx, *columns) = rows, columns
        (y0, y1, v, in_y), (x0, x1, u, in_x) = [[a.reshape(-1, 1) for a in rows], columns]
        w = x.shape[2]
        positions = np.stack([y0 * w + x0, y0 * w + x1, y1 * w + x0, y1 * w + x1])
        weights = np.stack([(1 - v) * (1 - u), (1 - v) * u, v * (1 - u), v * u]) * (in_y & in_x)
        samples = np.where(in_y & in_x, (x.reshape(len(x), -1)[:, positions] * weights).sum(axis=1), -np.inf)
        samples = self._by_cell(samples, ny, nx)
        largest = samples.argmax(axis=-1)  # (c, outh, outw)
        return [
            np.stack(
                [
                    np.take_along_axis(
                        np.broadcast_to(self._by_cell(a, ny, nx), samples.shape), largest[..., None], -1
                    )[..., 0]
                    for a in four
                ]
            )
            for four in (positions, weights)
        ]

    def _by_cell(self, a, ny, nx):
        """(..., outh * ny, outw * nx) -> (..., outh, outw, ny * nx)."""
        a = a.reshape(*a.shape[:-2], self.outh, ny, self.outw, nx)
        return np.moveaxis(a, -3, -2).reshape(*a.shape[:-4], self.outh, self.outw, ny * nx)


def roi_max_align_2d(x, rois, roi_indices, outsize, spatial_scale, sampling_ratio=None):
    """Divides regions of interest into cells and takes the maximum of interpolated samples in each; -inf where all
    are outside the image.

    Args:
        x: float array (n, c, h, w).
        rois: array (r, 4) of x's dtype: (y_min, x_min, y_max, x_max) of each region.
        roi_indices: int32 array (r): the number of the image that each region is in.
        outsize: int or pair of ints (outh, outw): the number of cells.
        spatial_scale: float by which the regions' coordinates are multiplied.
        sampling_ratio: int or pair of ints: samples along each axis of a cell; None: the cell's size, rounded up.

    Returns:
        Variable (r, c, outh, outw).
    """
    return ROIMaxAlign2D(outsize, spatial_scale, sampling_ratio).apply((x, rois, roi_indices))[0]
