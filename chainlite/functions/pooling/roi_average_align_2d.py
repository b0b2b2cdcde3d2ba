"""Average of samples in the cells of regions of interest."""

from chainlite.backends.cpu.roi import sample_weights
from chainlite.functions.pooling._roi import Average, ROIAlignFunction


class ROIAverageAlign2D(ROIAlignFunction):
    def plan(self, x, rois, images):
        boxes = self._boxes(rois).T
        ratios, outs = self._ratios(), (self.outh, self.outw)
        return Average, (
            images,
            *[sample_weights(boxes[k], boxes[k + 2], outs[k], ratios[k], x.shape[2 + k]) for k in (0, 1)],
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
