"""Space to channels."""

from chainlite.functions.array.depth2space import Space2Depth
from chainlite.variable import as_variable


def space2depth(X, r):
    """Rearranges each r x r pixels into r * r channels: the inverse of `depth2space`.

    Args:
        X: float array (n, c, h * r, w * r).
        r: int, the factor of downscaling.

    Returns:
        Variable of shape (n, c * r ** 2, h, w).
    """
    X = as_variable(X)
    return Space2Depth(X.shape, r).apply((X,))[0]
