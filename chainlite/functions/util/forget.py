"""Forgetting what can be computed again."""

from chainlite._backprop import backward
from chainlite.configuration import config, using_config
from chainlite.function_node import FunctionNode
from chainlite.variable import Variable


class Forget(FunctionNode):
    """Runs a function without its graph, and once more with it in the backward pass."""

    def __init__(self, func):
        if not callable(func):
            raise TypeError('func must be callable')
        self.func = func

    def _run(self, xs):
        ys = self.func(*xs)
        if isinstance(ys, Variable):
            return (ys,)
        if not isinstance(ys, tuple):
            raise RuntimeError(f'A tuple of Variables or a Variable are expected, but {type(ys)} is returned.')
        for i, y in enumerate(ys, 1):
            if not isinstance(y, Variable):
                raise RuntimeError(f'{_ordinal(i)} element of a returned tuple is not Variable, but is {type(y)}')
        return ys

    def forward(self, inputs):
        self.retain_inputs(tuple(range(len(inputs))))
        with using_config('enable_backprop', False), using_config('_will_recompute', True):
            return tuple([y.array for y in self._run([Variable(x) for x in inputs])])

    def backward(self, target_input_indexes, grad_outputs):
        if config.enable_backprop:
            raise RuntimeError('double backpropagation in functions.forget is not allowed.')
        xs = [Variable(x.array) for x in self.get_retained_inputs()]
        with using_config('enable_backprop', True), using_config('in_recomputing', True):
            ys = self._run(xs)
        known = [(y, gy) for y, gy in zip(ys, grad_outputs) if gy is not None]
        backward([y for y, _ in known], [gy for _, gy in known])
        return tuple([xs[i].grad_var for i in target_input_indexes])


def _ordinal(i):
    suffix = 'th' if 10 <= i % 100 < 20 else {1: 'st', 2: 'nd', 3: 'rd'}.get(i % 10, 'th')
    return f'{i}{suffix}'


def forget(func, *xs):
    """Calls a function without keeping what it computes on the way; the backward pass calls it again. Saves memory.

    The second call must compute the same as the first: functions that draw random numbers, such as dropout, do not
    belong in `func`, nor do links with a memory. (Batch normalization updates its averages in the first call alone: the
    second runs with `config.in_recomputing` set.) The gradient cannot be differentiated again.

    Args:
        func: callable of Variables that returns a Variable or a tuple of Variables.
        xs: Variables or arrays.

    Returns:
        What `func` returns.

    Raises:
        RuntimeError: `func` returns something else, or the gradient itself is to have a graph.
    """
    ys = Forget(func).apply(xs)
    return ys if len(ys) > 1 else ys[0]
