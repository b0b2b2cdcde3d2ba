"""Crops of images."""

import numpy


def oversample(images, crop_dims):
    """Ten crops of each image: the corners and the centre, then their mirror images.

    Args:
        images: array (n, c, h, w).
        crop_dims: height and width of the crops.

    Returns:
        Array (10 * n, c, *crop_dims).
    """
    n, c, h, w = images.shape
    ch, cw = crop_dims
    ys, xs = (0, h - ch), (0, w - cw)
    corners = [(y, x) for y in ys for x in xs] + [((h - ch) // 2, (w - cw) // 2)]
    crops = numpy.stack([images[:, :, y : y + ch, x : x + cw] for y, x in corners], axis=1)
    return numpy.concatenate([crops, crops[..., ::-1]], axis=1).reshape(10 * n, c, ch, cw)
