"""BlackOut loss."""

from chainlite.functions.array.concat import concat
from chainlite.functions.array.expand_dims import expand_dims
from chainlite.functions.array.squeeze import squeeze
from chainlite.functions.connection.embed_id import embed_id
from chainlite.functions.math.average import average
from chainlite.functions.math.exponential import exp, log
from chainlite.functions.math.logsumexp import logsumexp
from chainlite.functions.math.matmul import matmul
from chainlite.functions.math.sum import sum
from chainlite.variable import as_variable


def black_out(x, t, W, samples, reduce='mean'):
    """Softmax over the label and some sampled words, each sample counted as a mistake.

    Args:
        x: float array (n, d).
        t: int array (n,) of labels.
        W: float array (v, d), one row for each word.
        samples: int array (n, s) of negative samples.
        reduce: 'mean' for a scalar, 'no' for an array (n,).

    See: https://arxiv.org/abs/1511.06909
    """
    if reduce not in ('mean', 'no'):
        raise ValueError(f"only 'mean' and 'no' are valid for 'reduce', but '{reduce}' is given")
    x = as_variable(x)
    positive = sum(embed_id(t, W) * x, 1, keepdims=True)
    negative = squeeze(matmul(embed_id(samples, W), expand_dims(x, 2)), 2)
    log_z = logsumexp(concat([positive, negative], 1), 1)
    loss = -(squeeze(positive, 1) - log_z) - sum(log(1 - exp(negative - expand_dims(log_z, 1))), 1)
    return loss if reduce == 'no' else average(loss)
