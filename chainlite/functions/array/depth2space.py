"""Channels to space: the rearrangement of sub-pixel convolution."""

from chainlite._adjoint import adjoint_pair
from chainlite.variable import as_variable


def _spread(x, in_shape, r):
    n, c, h, w = x.shape
    if c % (r * r):
        raise ValueError(f'depth2space: the number of channels, {c}, must be divisible by r ** 2, {r * r}')
    return x.reshape(n, r, r, c // r**2, h, w).transpose(0, 3, 4, 1, 5, 2).reshape(n, c // r**2, h * r, w * r)


def _gather(y, in_shape, r):
    n, c, h, w = y.shape
    if h % r or w % r:
        raise ValueError(f'space2depth: height and width, {h} and {w}, must be divisible by r, {r}')
    return y.reshape(n, c, h // r, r, w // r, r).transpose(0, 3, 5, 1, 2, 4).reshape(n, c * r**2, h // r, w // r)


Depth2Space, Space2Depth = adjoint_pair(
    'Depth2Space', _spread, 'Space2Depth', _gather, __name__, check='x: f (n c h w)'
)
Space2Depth._checker = staticmethod(Depth2Space._checker)


def depth2space(X, r):
    """Rearranges each r * r channels into r x r pixels. See https://arxiv.org/abs/1609.05158.

    Args:
        X: float array (n, c * r ** 2, h, w).
        r: int, the factor of upscaling.

    Returns:
        Variable of shape (n, c, h * r, w * r).
    """
    X = as_variable(X)
    return Depth2Space(X.shape, r).apply((X,))[0]
