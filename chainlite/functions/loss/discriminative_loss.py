"""Discriminative loss for instance segmentation."""

from chainlite import backend
from chainlite.functions.activation.relu import relu
from chainlite.functions.array.broadcast import broadcast_to
from chainlite.functions.math.basic_math import absolute
from chainlite.functions.math.sqrt import sqrt
from chainlite.functions.math.sum import sum
from chainlite.utils import type_check
from chainlite.variable import as_variable

_check = type_check.compile_check('embeddings: f (n d h w), labels: i (n h w)')


def discriminative_margin_based_clustering_loss(
    embeddings, labels, delta_v, delta_d, max_embedding_dim, norm=1, alpha=1.0, beta=1.0, gamma=0.001
):
    """Pulls the pixels of an instance to their mean, and the means of different instances apart.

    Labels 1 to d are instances; 0 is background. The pull starts at a distance of `delta_v` from the mean, the push
    ends at one of 2 `delta_d`. An instance that no pixel of an image shows has its mean at 0.

    Args:
        embeddings: float array (n, d, height, width), a vector of length d for each pixel.
        labels: int array (n, height, width).
        delta_v, delta_d: margins of the variance and of the distance.
        max_embedding_dim: d, which is also the largest number of instances.
        norm: 1 or 2, for distances by absolute values or by squares.
        alpha, beta, gamma: weights of the three losses.

    Returns:
        Three scalars: the losses of the variance, of the distance, and of the means' size.

    See: https://arxiv.org/abs/1708.02551
    """
    if norm not in (1, 2):
        raise ValueError(f'norm must be 1 or 2, but {norm} is given')
    x, t = as_variable(embeddings), as_variable(labels).array
    _check('DiscriminativeMarginBasedClusteringLoss', (x.array, t))
    n, d = x.shape[:2]
    if d != max_embedding_dim:
        raise ValueError(
            f'max_embedding_dim is {max_embedding_dim}, but embeddings of shape {x.shape} have {d} channels'
        )
    xp, x, t = backend.get_array_module(t), x.reshape(1, n, d, -1), t.reshape(n, -1)
    mask = (t == xp.arange(1, d + 1)[:, None, None]).astype(x.dtype)[:, :, None]  # (instance, n, 1, pixel)

    def length(v, axis):
        if norm == 1:
            return sum(absolute(v), axis)
        square = sum(v * v, axis)
        zero = (square.array == 0).astype(x.dtype)
        return sqrt(square + zero) * (1 - zero)  # where the square is 0, so is the gradient

    # The d x n means of instances; an instance without pixels divides by 1.
    means = sum(broadcast_to(x, (d, *x.shape[1:])) * mask, 3) / xp.maximum(mask.sum(3), 1)
    pull = relu(length((x - means.reshape(d, n, d, 1)) * mask, 2) - delta_v) ** 2
    variance = sum(sum(pull, (1, 2)) / xp.maximum(mask.sum((1, 2, 3)), 1)) / d
    others = (1 - xp.eye(d, dtype=x.dtype))[:, :, None]
    push = relu(2 * delta_d - length(means.reshape(d, 1, n, d) - means.reshape(1, d, n, d), 3)) ** 2
    distance = sum(push * others) / max(d * (d - 1) * n, 1)
    return alpha * variance, beta * distance, gamma * sum(length(means, (1, 2))) / (d * n)
