"""Sampling of images at any places."""

from chainlite import backend
from chainlite.functions.array.cast import cast
from chainlite.functions.array.expand_dims import expand_dims
from chainlite.functions.array.get_item import get_item
from chainlite.functions.array.pad import pad
from chainlite.functions.array.spatial_transformer_grid import REMOVED
from chainlite.functions.array.transpose import transpose
from chainlite.functions.math.clip import clip
from chainlite.utils.argument import removed_arguments
from chainlite.utils.type_check import compile_check
from chainlite.variable import Variable, as_variable

_check = compile_check('x: f (n c h w), grid: =x (n 2 oh ow)')


@removed_arguments(**REMOVED)
def spatial_transformer_sampler(x, grid):
    """Samples images at the places of a grid, by bilinear interpolation; outside the images there are zeros.

    See Jaderberg et al., https://arxiv.org/abs/1506.02025.

    Args:
        x: float array (n, c, h, w).
        grid: float array (n, 2, oh, ow): x and y coordinates, in [-1, 1] within the image.

    Returns:
        Variable of shape (n, c, oh, ow).
    """
    x, grid = as_variable(x), as_variable(grid)
    _check('SpatialTransformerSampler', (x.array, grid.array))
    if x.dtype.itemsize == 2:  # which has no numbers for the places between the pixels of a large image
        return cast(_sample(cast(x, 'f'), cast(grid, 'f')), x.dtype)
    return _sample(x, grid)


def _sample(x, grid):
    xp = backend.get_array_module(x)
    n, _, h, w = x.shape
    x = pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), 'constant')
    # In pixels of the padded image. Beyond the padding all is zero, and so is the gradient.
    u = clip((grid[:, 0] + 1) * ((w - 1) / 2) + 1, 0, w + 1)
    v = clip((grid[:, 1] + 1) * ((h - 1) / 2) + 1, 0, h + 1)
    u0 = xp.clip(xp.floor(u.array), 0, w).astype(xp.intp)
    v0 = xp.clip(xp.floor(v.array), 0, h).astype(xp.intp)
    right = expand_dims(u - Variable(u0.astype(x.dtype), requires_grad=False), 3)
    below = expand_dims(v - Variable(v0.astype(x.dtype), requires_grad=False), 3)
    image = xp.arange(n)[:, None, None]
    x = transpose(x, (0, 2, 3, 1))

    def row(v):
        return get_item(x, (image, v, u0)) * (1 - right) + get_item(x, (image, v, u0 + 1)) * right

    return transpose(row(v0) * (1 - below) + row(v0 + 1) * below, (0, 3, 1, 2))
