"""Connectionist temporal classification."""

import functools

import numpy as np

from chainlite import backend
from chainlite._fused import Fused
from chainlite.backends._joining import stack
from chainlite.backends._kernel import Kernel
from chainlite.backends.cpu.softmax import log_softmax
from chainlite.utils import type_check
from chainlite.variable import as_array

_LOG_ZERO = -1e10  # Chainer's: labels that do not fit their input have a large loss, and a gradient that is a number


@Kernel
def ctc(log_y, path, path_length, input_length, blank):
    """(loss (n,), gradient of the scores (time, n, k)) by the forward-backward algorithm, in logarithms.

    Args:
        log_y: log softmax of the scores, (time, n, k).
        path: the labels with blanks before, between and after them, int (n, p).
        path_length, input_length: how much of each path and of each sequence counts, int (n,).
        blank: the label of blanks.
    """
    xp = backend.get_array_module(log_y)
    time, n, _ = log_y.shape
    rows, log_zero = xp.arange(n), log_y.dtype.type(_LOG_ZERO)
    emitted = xp.maximum(log_y[:, rows[:, None], path], log_zero)  # (time, n, p)
    jump = xp.zeros(path.shape, bool)  # may the blank before be left out?
    jump[:, 2:] = (path[:, 2:] != blank) & (path[:, 2:] != path[:, :-2])

    def step(states, jumps, places):
        """From the states of one time: to each, from itself, from its neighbour and, where allowed, from the next."""
        total = states.copy()
        total[:, places(1)[0]] = xp.logaddexp(total[:, places(1)[0]], states[:, places(1)[1]])
        far = xp.where(jumps, states[:, places(2)[1]], log_zero)
        total[:, places(2)[0]] = xp.logaddexp(total[:, places(2)[0]], far)
        return total

    def forward(d):
        return slice(d, None), slice(None, -d)

    def backward(d):
        return slice(None, -d), slice(d, None)

    start = xp.full(path.shape, log_zero, log_y.dtype)
    start[:, :2] = 0
    alphas = [start + emitted[0]]
    for t in range(1, time):
        alphas.append(step(alphas[-1], jump[:, 2:], forward) + emitted[t])
    end = xp.full(path.shape, log_zero, log_y.dtype)
    end[rows, path_length - 1] = 0
    end[rows, xp.maximum(path_length - 2, 0)] = 0
    last = stack(alphas)[input_length - 1, rows] + end
    log_p = functools.reduce(xp.logaddexp, last.T)

    gradient = xp.exp(log_y)
    beta = end
    for t in reversed(range(time)):
        is_last, over = (input_length - 1 == t)[:, None], (input_length <= t)[:, None]
        if t < time - 1:
            beta = xp.where(is_last, end, step(beta + emitted[t + 1], jump[:, 2:], backward))
        posterior = xp.exp(alphas[t] + beta - log_p[:, None])
        for s in range(path.shape[1]):
            gradient[t, rows, path[:, s]] -= posterior[:, s]
        gradient[t] = xp.where(over, 0, gradient[t])
    return -log_p, gradient


class ConnectionistTemporalClassification(Fused):
    """-log of the probability of the labels, over all alignments with blanks."""

    def __init__(self, blank_symbol, reduce='mean', path=None, path_length=None, input_length=None):
        self.blank_symbol, self.reduce = blank_symbol, reduce
        self.path, self.path_length, self.input_length = path, path_length, input_length

    def check_type_forward(self, in_types):
        first = in_types[0]
        for x in in_types:
            type_check.expect(x.dtype.kind == 'f', x.ndim == 2, x.shape == first.shape, x.dtype == first.dtype)

    def forward_kernel(self, *xs):
        xp = backend.get_array_module(*xs)
        log_y = log_softmax(stack(xs).astype('f' if xs[0].itemsize == 2 else xs[0].dtype), 2)
        loss, gradient = ctc(log_y, self.path, self.path_length, self.input_length, self.blank_symbol)
        loss = loss if self.reduce == 'no' else xp.asarray(loss.mean())
        return loss.astype(xs[0].dtype), gradient

    def backward_kernel(self, gradient, gloss, *xs):
        scale = gloss[:, None] if self.reduce == 'no' else gloss / len(xs[0])
        return tuple((gradient * scale).astype(xs[0].dtype))


def connectionist_temporal_classification(x, t, blank_symbol, input_length=None, label_length=None, reduce='mean'):
    """-log of the probability of label sequences that are not aligned with their inputs.

    Args:
        x: list over time of float arrays (n, k), the scores of k labels.
        t: int array (n, l), the labels.
        blank_symbol: int, the label of no output.
        input_length: int array (n,), the length of each input; all of `x` by default.
        label_length: int array (n,), the number of labels of each; all l by default.
        reduce: 'mean' for a scalar, 'no' for an array (n,).

    Only the first derivative is available. Labels that do not fit their input, which is too short for them, have a loss
    of 1e10.

    See: http://machinelearning.wustl.edu/mlpapers/paper_files/icml2006_GravesFGS06.pdf
    """
    if not isinstance(x, (list, tuple)):
        raise TypeError('x must be a list of Variables')
    if not isinstance(blank_symbol, int):
        raise TypeError('blank_symbol must be non-negative integer.')
    assert 0 <= blank_symbol < x[0].shape[1], f'blank_symbol is {blank_symbol}, there are {x[0].shape[1]} labels'
    if reduce not in ('mean', 'no'):
        raise ValueError(f"only 'mean' and 'no' are valid for 'reduce', but '{reduce}' is given")
    t = as_array(t)
    xp = backend.get_array_module(as_array(x[0]))
    n, l = t.shape
    input_length = xp.full(n, len(x)) if input_length is None else as_array(input_length)
    label_length = xp.full(n, l) if label_length is None else as_array(label_length)
    assert len(input_length) == len(label_length) == n == x[0].shape[0], 'x, t and the lengths are of different batches'
    path = xp.full((n, 2 * l + 1), blank_symbol, np.int32)
    path[:, 1::2] = t
    path = xp.where(xp.arange(2 * l + 1) < 2 * label_length[:, None], path, blank_symbol)
    function = ConnectionistTemporalClassification(blank_symbol, reduce, path, 2 * label_length + 1, input_length)
    return function.apply(x)[0]
