"""Maximum of samples in the cells of regions of interest."""

from chainlite.backends.cpu.roi import align_maxima
from chainlite.functions.pooling._roi import ROIAlignFunction, ROIMaxFunction, Take


class ROIMaxAlign2D(ROIAlignFunction, ROIMaxFunction):
    def plan(self, x, rois, images):
        return Take, align_maxima(x, images, self._boxes(rois), self._ratios(), self.outh, self.outw)


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
