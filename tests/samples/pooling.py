import numpy as np

from samples import Sample, distinct, normal


def samples(chainer):
    F = chainer.functions
    image, row, volume = distinct(2, 3, 5, 4), distinct(2, 3, 5), distinct(1, 2, 3, 4, 3)
    rois = np.array([[1, 1, 6, 6], [2, 6, 8, 7], [1, 3, 7, 5], [3, 3, 3, 3], [1.1, 2.2, 3.3, 4.4], [-2, -1, 12, 9]])
    roi_indices = np.array([0, 1, 1, 0, 1, 0], np.int32)
    boxes = np.concatenate([roi_indices[:5, None], np.minimum(rois[:5, [1, 0, 3, 2]], 5)], axis=1)
    feature_map = distinct(2, 2, 8, 6)

    def roi(function, *args):
        return lambda x: function(x, rois.astype(x.dtype), roi_indices, *args)

    def upsampling(x):
        _, indexes = F.max_pooling_2d(x.xp.arange(120, dtype='f').reshape(2, 3, 5, 4) % 7, 3, 2, 1, return_indices=True)
        return F.upsampling_2d(x, indexes, 3, 2, 1, (5, 4))

    return [
        Sample('max_pooling_2d', lambda x: F.max_pooling_2d(x, 2), image),
        Sample('max_pooling_2d_overlapping', lambda x: F.max_pooling_2d(x, 3, 2, 1), image),
        Sample('max_pooling_2d_not_all', lambda x: F.max_pooling_2d(x, (3, 2), (1, 2), (2, 1), cover_all=False), image),
        Sample('max_pooling_2d_gaps', lambda x: F.max_pooling_2d(x, 2, 3), image),
        Sample('max_pooling_2d_empty', lambda x: F.max_pooling_2d(x, 2), normal(0, 3, 4, 4), chainer=False),
        Sample('max_pooling_1d', lambda x: F.max_pooling_1d(x, 3, 2, 1), row),
        Sample('max_pooling_3d', lambda x: F.max_pooling_3d(x, 2, 1), volume),
        Sample('max_pooling_nd_large', lambda x: F.max_pooling_nd(x, 20, 20, 8, cover_all=False), image),
        Sample('average_pooling_2d', lambda x: F.average_pooling_2d(x, 2), image),
        Sample('average_pooling_2d_overlapping', lambda x: F.average_pooling_2d(x, 3, 2, 1), image),
        Sample('average_pooling_2d_global', lambda x: F.average_pooling_2d(x, (5, 4)), image),
        Sample('average_pooling_1d', lambda x: F.average_pooling_1d(x, 3, 2, 1), row),
        Sample('average_pooling_3d', lambda x: F.average_pooling_3d(x, 2, 1), volume),
        Sample('average_pooling_nd_no_padding_counted', lambda x: F.average_pooling_nd(x, 3, 2, 1, None), image),
        Sample('unpooling_2d', lambda x: F.unpooling_2d(x, 2), image),
        Sample('unpooling_2d_overlapping', lambda x: F.unpooling_2d(x, 3, 2, 1), image),
        Sample('unpooling_2d_outsize', lambda x: F.unpooling_2d(x, 2, 2, 0, (9, 8)), image),
        Sample('unpooling_1d', lambda x: F.unpooling_1d(x, 3, 2, cover_all=False), row),
        Sample('unpooling_3d', lambda x: F.unpooling_3d(x, 2), volume),
        Sample('upsampling_2d', upsampling, normal(2, 3, 3, 3)),
        Sample('spatial_pyramid_pooling_2d', lambda x: F.spatial_pyramid_pooling_2d(x, 3, 'max'), distinct(2, 2, 8, 7)),
        Sample('roi_max_pooling_2d', roi(F.roi_max_pooling_2d, 3, 0.6), feature_map),
        Sample('roi_average_pooling_2d', roi(F.roi_average_pooling_2d, (2, 3), 0.6), feature_map),
        Sample('roi_max_align_2d', roi(F.roi_max_align_2d, 2, 0.6, (1, 2)), feature_map, tolerance=4),
        Sample('roi_average_align_2d', roi(F.roi_average_align_2d, (2, 3), 0.6), feature_map, tolerance=4),
        Sample('roi_pooling_2d', lambda x: F.roi_pooling_2d(x, boxes.astype(x.dtype), 2, 3, 0.6), feature_map),
    ]
