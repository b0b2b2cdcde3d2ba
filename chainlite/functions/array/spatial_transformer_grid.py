"""Sampling grids of spatial transformers."""

import numpy as np

from chainlite import backend
from chainlite.functions.array.reshape import reshape
from chainlite.functions.math.matmul import matmul
from chainlite.utils.argument import removed_arguments
from chainlite.utils.type_check import compile_check
from chainlite.variable import as_variable

REMOVED = {
    'use_cudnn': 'The argument "use_cudnn" is not supported anymore. '
    "Use chainer.using_config('use_cudnn', value) context where value can be `always`, `never`, or `auto`."
}

_check = compile_check('theta: f (n 2 3)')


@removed_arguments(**REMOVED)
def spatial_transformer_grid(theta, output_shape):
    """Where affine transforms take the pixels of an image; with `spatial_transformer_sampler`, a spatial transformer.

    See Jaderberg et al., https://arxiv.org/abs/1506.02025.

    Args:
        theta: float array (n, 2, 3), affine transforms.
        output_shape: pair (h, w).

    Returns:
        Variable of shape (n, 2, h, w): x and y coordinates, in [-1, 1] within the image, of each pixel of the result.
    """
    theta = as_variable(theta)
    _check('SpatialTransformerGrid', (theta.array,))
    h, w = output_shape
    xp = backend.get_array_module(theta)
    y, x = np.meshgrid(np.linspace(-1, 1, h), np.linspace(-1, 1, w), indexing='ij')
    pixels = xp.asarray(np.stack([x.ravel(), y.ravel(), np.ones(h * w)])).astype(theta.dtype)
    return reshape(matmul(theta, pixels), (theta.shape[0], 2, h, w))
