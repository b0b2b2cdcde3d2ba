"""Maximum over the cells of regions of interest."""

from chainlite.backends.cpu.roi import maxima
from chainlite.functions.pooling._roi import ROIMaxFunction, Take


class ROIMaxPooling2D(ROIMaxFunction):
    def plan(self, x, rois, images):
        return Take, maxima(x, images, self._boxes(rois), self.outh, self.outw)


def roi_max_pooling_2d(x, rois, roi_indices, outsize, spatial_scale):
    """Divides regions of interest into cells of whole pixels and takes the maximum of each; -inf where a cell is
    outside the image.

    Args:
        x: float array (n, c, h, w).
        rois: array (r, 4) of x's dtype: (y_min, x_min, y_max, x_max) of each region.
        roi_indices: int32 array (r): the number of the image that each region is in.
        outsize: int or pair of ints (outh, outw): the number of cells.
        spatial_scale: float by which the regions' coordinates are multiplied.

    Returns:
        Variable (r, c, outh, outw).

    Ross Girshick: Fast R-CNN, 2015.
    """
    return ROIMaxPooling2D(outsize, spatial_scale).apply((x, rois, roi_indices))[0]
