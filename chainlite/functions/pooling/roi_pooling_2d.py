"""Maximum over the cells of regions of interest, as Fast R-CNN has it."""

import numpy as np

from chainlite.backends.cpu.roi import maxima
from chainlite.functions.pooling._roi import ROIFunction, Take, TakeGrad
from chainlite.utils import type_check


class ROIPooling2D(ROIFunction):
    """The regions, (r, 5), are (image, x_min, y_min, x_max, y_max), and the last row and column belong to them."""

    input_names = 'x', 'rois'

    def __init__(self, outh, outw, spatial_scale):
        super().__init__((outh, outw), spatial_scale)

    def check_type_forward(self, in_types):
        type_check.expect(in_types.size() == 2)
        x, rois = in_types
        type_check.expect(x.dtype.kind == 'f', x.ndim == 4, x.dtype == rois.dtype, rois.ndim == 2, rois.shape[1] == 5)

    def forward(self, inputs):
        x, rois = inputs
        return super().forward((x, rois[:, 1:], rois[:, 0].astype(np.int32)))

    def plan(self, x, rois, images):
        corners = (rois * rois.dtype.type(self.spatial_scale)).round().astype(np.int32)
        boxes = corners.reshape(-1, 2, 2)[:, :, ::-1].reshape(-1, 4)  # rows before columns
        boxes[:, 2:] = (boxes[:, 2:] - boxes[:, :2] + 1).clip(1, None)
        return Take, maxima(x, images, boxes, self.outh, self.outw)


ROIPooling2DGrad = TakeGrad


def roi_pooling_2d(x, rois, outh, outw, spatial_scale):
    """Divides regions of interest into outh x outw cells of whole pixels and takes the maximum of each.

    Args:
        x: float array (n, c, h, w).
        rois: array (r, 5) of x's dtype: (image, x_min, y_min, x_max, y_max) of each region.
        outh, outw: ints, the number of cells.
        spatial_scale: float by which the regions' coordinates are multiplied.

    Returns:
        Variable (r, c, outh, outw).

    Ross Girshick: Fast R-CNN, 2015.
    """
    return ROIPooling2D(outh, outw, spatial_scale).apply((x, rois))[0]
