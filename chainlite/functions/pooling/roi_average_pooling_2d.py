"""Average over the cells of regions of interest."""

from chainlite.backends.cpu.roi import cell_weights
from chainlite.functions.pooling._roi import Average, ROIFunction


class ROIAveragePooling2D(ROIFunction):
    def plan(self, x, rois, images):
        boxes, outs = self._boxes(rois).T, (self.outh, self.outw)
        return Average, (
            images,
            *[cell_weights(boxes[k], boxes[k + 2], outs[k], x.shape[2 + k], rois.dtype) for k in (0, 1)],
        )


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
