import numpy as np

from samples import Sample, normal, uniform


def samples(chainer):
    F = chainer.functions
    image, row, volume = normal(2, 4, 5, 4), normal(2, 4, 6), normal(1, 2, 3, 4, 3)
    ids = np.array([[1, 0, 3], [3, 3, -1]], np.int32)
    return [
        Sample('linear', F.linear, normal(3, 4), normal(5, 4), normal(5)),
        Sample('linear_no_bias', F.linear, normal(3, 4), normal(5, 4)),
        Sample('linear_flattens', F.linear, normal(3, 2, 2), normal(5, 4), normal(5)),
        Sample(
            'linear_batch_axes',
            lambda x, W, b: F.linear(x, W, b, n_batch_axes=2),
            normal(2, 3, 4),
            normal(5, 4),
            normal(5),
        ),
        Sample('linear_empty', F.linear, normal(0, 4), normal(5, 4), normal(5)),
        Sample('convolution_2d', F.convolution_2d, image, normal(3, 4, 3, 2), normal(3)),
        Sample('convolution_2d_no_bias', lambda x, W: F.convolution_2d(x, W, pad=1), image, normal(3, 4, 3, 3)),
        Sample(
            'convolution_2d_stride',
            lambda x, W, b: F.convolution_2d(x, W, b, 2, 1),
            image,
            normal(3, 4, 3, 3),
            normal(3),
        ),
        Sample(
            'convolution_2d_all',
            lambda x, W, b: F.convolution_2d(x, W, b, (2, 3), (1, 2), cover_all=True, dilate=(1, 2)),
            *(image, normal(3, 4, 3, 2), normal(3)),
        ),
        Sample(
            'convolution_2d_groups',
            lambda x, W, b: F.convolution_2d(x, W, b, 1, 1, groups=2),
            image,
            normal(6, 2, 3, 3),
            normal(6),
        ),
        Sample('convolution_2d_pointwise', F.convolution_2d, image, normal(3, 4, 1, 1), normal(3)),
        Sample(
            'convolution_2d_pointwise_stride', lambda x, W: F.convolution_2d(x, W, stride=2), image, normal(3, 4, 1, 1)
        ),
        Sample('convolution_2d_wide_pad', lambda x, W: F.convolution_2d(x, W, pad=3), image, normal(3, 4, 2, 2)),
        Sample('convolution_2d_empty', lambda x, W: F.convolution_2d(x, W), normal(0, 4, 5, 4), normal(3, 4, 2, 2)),
        Sample('convolution_1d', lambda x, W, b: F.convolution_1d(x, W, b, 2, 1), row, normal(3, 4, 3), normal(3)),
        Sample(
            'convolution_3d',
            lambda x, W, b: F.convolution_3d(x, W, b, 1, (1, 0, 1)),
            volume,
            normal(3, 2, 2, 2, 2),
            normal(3),
        ),
        Sample('convolution_nd_dilate', lambda x, W: F.convolution_nd(x, W, dilate=2, groups=2), row, normal(2, 2, 3)),
        Sample('deconvolution_2d', F.deconvolution_2d, normal(2, 3, 3, 2), normal(3, 4, 3, 2), normal(4)),
        Sample(
            'deconvolution_2d_stride',
            lambda x, W, b: F.deconvolution_2d(x, W, b, 2, 1),
            normal(2, 3, 3, 2),
            normal(3, 4, 4, 4),
            normal(4),
        ),
        Sample(
            'deconvolution_2d_outsize',
            lambda x, W: F.deconvolution_2d(x, W, None, 2, 1, (6, 4), dilate=(1, 2)),
            *(normal(2, 3, 3, 2), normal(3, 4, 3, 2)),
        ),
        Sample(
            'deconvolution_2d_groups',
            lambda x, W: F.deconvolution_2d(x, W, groups=2),
            normal(2, 4, 3, 2),
            normal(4, 3, 2, 2),
        ),
        Sample('deconvolution_2d_pointwise', F.deconvolution_2d, normal(2, 3, 3, 2), normal(3, 4, 1, 1), normal(4)),
        Sample(
            'deconvolution_1d',
            lambda x, W, b: F.deconvolution_1d(x, W, b, 2),
            normal(2, 3, 4),
            normal(3, 4, 3),
            normal(4),
        ),
        Sample(
            'deconvolution_3d',
            lambda x, W, b: F.deconvolution_3d(x, W, b, 2, 1),
            normal(1, 2, 3, 2, 2),
            normal(2, 3, 3, 3, 3),
            normal(3),
        ),
        Sample(
            'deconvolution_nd_outsize',
            lambda x, W: F.deconvolution_nd(x, W, None, 2, outsize=(10,)),
            normal(2, 3, 4),
            normal(3, 4, 3),
        ),
        Sample(
            'depthwise_convolution_2d',
            lambda x, W, b: F.depthwise_convolution_2d(x, W, b, 2, 1),
            image,
            normal(2, 4, 3, 3),
            normal(8),
        ),
        Sample(
            'dilated_convolution_2d',
            lambda x, W: F.dilated_convolution_2d(x, W, None, 1, 2, 2),
            image,
            normal(3, 4, 3, 3),
        ),
        Sample(
            'local_convolution_2d',
            F.local_convolution_2d,
            normal(2, 3, 4, 3),
            normal(2, 3, 2, 3, 2, 2),
            normal(2, 3, 2),
        ),
        Sample(
            'local_convolution_2d_stride',
            lambda x, W: F.local_convolution_2d(x, W, None, (2, 1)),
            normal(2, 3, 5, 3),
            normal(2, 2, 2, 3, 2, 2),
        ),
        Sample(
            'deformable_convolution_2d_sampler',
            lambda x, offset, W, b: F.deformable_convolution_2d_sampler(x, offset, W, b, 1, 1),
            *(normal(1, 2, 4, 4), uniform(0.1, 0.9, 1, 8, 5, 5), normal(2, 2, 2, 2), normal(2)),
        ),
        Sample('embed_id', lambda W: F.embed_id(ids, W), normal(5, 3)),
        Sample('embed_id_ignore', lambda W: F.embed_id(ids, W, ignore_label=-1), normal(5, 3)),
        Sample('embed_id_scalar', lambda W: F.embed_id(W.xp.array(2, np.int64), W), normal(5, 3), chainer=False),
        Sample(
            'bilinear', F.bilinear, normal(3, 2), normal(3, 4), normal(2, 4, 3), normal(2, 3), normal(4, 3), normal(3)
        ),
        Sample('bilinear_no_linear', F.bilinear, normal(3, 2, 1), normal(3, 2, 2), normal(2, 4, 3)),
        Sample('shift', F.shift, normal(1, 20, 4, 3)),
        Sample('shift_dilate', lambda x: F.shift(x, (3, 1), 2), normal(2, 7, 4, 3)),
    ]
