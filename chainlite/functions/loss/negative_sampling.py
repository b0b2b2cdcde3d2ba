"""Negative sampling loss."""

import numpy as np

from chainlite import backend
from chainlite.functions.activation.softplus import softplus
from chainlite.functions.array.expand_dims import expand_dims
from chainlite.functions.array.squeeze import squeeze
from chainlite.functions.connection.embed_id import embed_id
from chainlite.functions.math.matmul import matmul
from chainlite.functions.math.sum import sum
from chainlite.utils import argument, type_check
from chainlite.variable import as_array, as_variable

_check = type_check.compile_check('x: f (n d), t: i (n), W: =x (_ d)')


def negative_sampling(x, t, W, sampler, sample_size, reduce='sum', **kwargs):
    """-log sigmoid(W[t] x) - sum over samples of log sigmoid(-W[sample] x).

    Args:
        x: float array (n, d).
        t: int array (n,) of labels; -1 does not count.
        W: float array (v, d), one row for each word.
        sampler: function that draws an int array of a given shape.
        sample_size: number of negative samples for each label.
        reduce: 'sum' for a scalar, 'no' for an array (n,).
        return_samples: whether to return the samples, an int array (n, sample_size + 1), as well.

    See: https://arxiv.org/abs/1310.4546
    """
    (return_samples,) = argument.parse_kwargs(kwargs, ('return_samples', False))
    if reduce not in ('sum', 'no'):
        raise ValueError(f"only 'sum' and 'no' are valid for 'reduce', but '{reduce}' is given")
    x, t, W = as_variable(x), as_variable(t), as_variable(W)
    _check('NegativeSamplingFunction', (x.array, t.array, W.array))
    xp = backend.get_array_module(x.array)
    samples = xp.asarray(as_array(sampler((len(t), sample_size + 1)))).astype(np.int32)
    samples[:, 0] = t.array
    counts = t.array != -1
    chosen = xp.where(samples == -1, 0, samples)
    scores = squeeze(matmul(embed_id(chosen, W), expand_dims(x, 2)), 2)
    sign = xp.ones(samples.shape, x.dtype)
    sign[:, 0] = -1
    loss = sum(softplus(scores * sign) * counts[:, None].astype(x.dtype), 1)
    loss = sum(loss) if reduce == 'sum' else loss
    return (loss, samples) if return_samples else loss
