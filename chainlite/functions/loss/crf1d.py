"""Linear-chain conditional random fields."""

import numpy as np

from chainlite import backend
from chainlite.functions.array.broadcast import broadcast_to
from chainlite.functions.array.concat import concat
from chainlite.functions.array.expand_dims import expand_dims
from chainlite.functions.array.reshape import reshape
from chainlite.functions.array.select_item import select_item
from chainlite.functions.array.split_axis import split_axis
from chainlite.functions.math.average import average
from chainlite.functions.math.logsumexp import logsumexp
from chainlite.functions.math.minmax import argmax, max
from chainlite.variable import as_array, as_variable


def crf1d(cost, xs, ys, reduce='mean'):
    """Negative log likelihood of label sequences.

    Args:
        cost: float array (k, k): how well label j follows label i.
        xs: list over time of float arrays (n_t, k), the scores of the labels; n_t does not grow.
        ys: list over time of int arrays (n_t,), the labels.
        reduce: 'mean' for a scalar, 'no' for an array (n_0,).
    """
    if reduce not in ('mean', 'no'):
        raise ValueError(f"only 'mean' and 'no' are valid for 'reduce', but '{reduce}' is given")
    assert xs[0].shape[1] == cost.shape[0], f'cost is {cost.shape}, xs[0] is {xs[0].shape}'
    cost, xs = as_variable(cost), [as_variable(x) for x in xs]
    k = cost.shape[0]
    flat = reshape(cost, (k * k, 1))
    alpha, alphas = xs[0], []
    score, scores = select_item(xs[0], ys[0]), []
    for x, y, before in zip(xs[1:], ys[1:], ys):
        n = len(x)
        if len(alpha) > n:  # the sequences that have ended
            alpha, ended = split_axis(alpha, [n], 0)
            score, ended_score = split_axis(score, [n], 0)
            alphas.append(ended)
            scores.append(ended_score)
        every = expand_dims(alpha, 2) + broadcast_to(expand_dims(cost, 0), (n, k, k))
        alpha = logsumexp(every, 1) + x
        step = as_array(before)[:n] * k + as_array(y)
        score = score + select_item(x, y) + reshape(flat[step], (n,))
    alpha, score = [
        concat([last, *reversed(rest)], 0) if rest else last for last, rest in ((alpha, alphas), (score, scores))
    ]
    loss = logsumexp(alpha, 1) - score
    return loss if reduce == 'no' else average(loss)


def argmax_crf1d(cost, xs):
    """The most likely label sequences.

    Args:
        cost, xs: as for `crf1d`.

    Returns:
        tuple of the scores (Variable (n_0,)) and a list over time of int arrays (n_t,).
    """
    cost, xs = as_variable(cost), [as_variable(x) for x in xs]
    k = cost.shape[0]
    alpha, alphas, best = xs[0], [], []
    for x in xs[1:]:
        n = len(x)
        if len(alpha) > n:
            alpha, ended = split_axis(alpha, [n], 0)
            alphas.append(ended)
        every = expand_dims(alpha, 2) + broadcast_to(expand_dims(cost, 0), (n, k, k))
        best.append(argmax(every, 1).array)
        alpha = max(every, 1) + x
    xp = backend.get_array_module(alpha.array)
    scores = max(concat([alpha, *reversed(alphas)], 0) if alphas else alpha, 1)
    path = [argmax(alpha, 1).array.astype(np.int32)]
    for i, chosen in reversed(list(enumerate(best))):
        last = xp.take_along_axis(chosen, path[-1][: len(chosen), None], 1)[:, 0]
        longer = xs[i].shape[0] - len(chosen)
        if longer:
            ended = alphas.pop()
            last = xp.concatenate([last, argmax(ended, 1).array])
        path.append(last.astype(np.int32))
    return scores, path[::-1]
