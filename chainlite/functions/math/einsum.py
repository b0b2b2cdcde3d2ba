"""Einstein summation."""

# More than 150 lines: reading the subscripts, and what they mean for sums and gradients, belong together.

import math
import string

import numpy as np

from chainlite import backend
from chainlite.backends.cpu.product import product
from chainlite.function_node import FunctionNode
from chainlite.utils import type_check
from chainlite.variable import as_variable

einsum_symbols = string.ascii_uppercase + string.ascii_lowercase
einsum_symbols_set = set(einsum_symbols)


class EinSum(FunctionNode):
    """A sum over products: 'ij,jk' to 'ik', one letter for each axis."""

    def __init__(self, in_subs, out_sub):
        self.in_subs, self.out_sub = in_subs, out_sub

    def check_type_forward(self, in_types):
        type_check.argname(in_types, [f'x{i}' for i in range(self.in_subs.count(',') + 1)])
        seen = {}
        for sub, x in zip(self.in_subs.split(','), in_types):
            type_check.expect(x.dtype.kind == 'f', x.ndim == len(sub))
            for axis, letter in enumerate(sub):
                type_check.expect(seen.setdefault(letter, x.shape[axis]) == x.shape[axis])

    def forward(self, inputs):
        self.retain_inputs(tuple(range(len(inputs))))
        xp = backend.get_array_module(*inputs)
        dtype = np.result_type(*[x.dtype for x in inputs])
        y = _matrix_product(*self.in_subs.split(','), self.out_sub, *inputs) if len(inputs) == 2 else None
        if y is not None:
            return (y.astype(dtype, order='C', copy=False),)
        if dtype.itemsize == 2:
            inputs = [x.astype(np.float32) for x in inputs]
        y = xp.einsum(f'{self.in_subs}->{self.out_sub}', *inputs, optimize=len(inputs) > 1)
        return (xp.asarray(y, dtype),)

    def backward(self, target_input_indexes, grad_outputs):
        xs = self.get_retained_inputs()
        return tuple([self._gradient(i, xs, grad_outputs[0]) for i in target_input_indexes])

    def _gradient(self, i, xs, gy):
        """The sum over the others, whose result has the axes of input i."""
        subs, shape = self.in_subs.split(','), xs[i].shape
        subs = [self.out_sub, *subs[:i], *subs[i + 1 :], subs[i]]
        return DiagEinSum(','.join(subs[:-1]), subs[-1], shape).apply((gy, *xs[:i], *xs[i + 1 :]))[0]


def _matrix_product(in_a, in_b, out, a, b):
    """The sum over products of two arrays as a product of stacks of matrices, or None if it is none."""
    inner = [s for s in in_a if s in in_b and s not in out]
    stack = [s for s in out if s in in_a and s in in_b]
    rows, columns = [s for s in out if s not in in_b], [s for s in out if s not in in_a]
    if (
        not inner
        or sorted(in_a) != sorted([*stack, *rows, *inner])
        or sorted(in_b) != sorted([*stack, *columns, *inner])
    ):
        return None  # also where an array is summed by itself, or has a diagonal
    sizes = dict(zip(in_a + in_b, a.shape + b.shape))

    def matrices(x, sub, *axes):
        shape = [math.prod([sizes[s] for s in part]) for part in axes]
        return x.transpose([sub.index(s) for part in axes for s in part]).reshape(shape)

    y = product(matrices(a, in_a, stack, rows, inner), matrices(b, in_b, stack, inner, columns))
    order = [*stack, *rows, *columns]
    return y.reshape([sizes[s] for s in order]).transpose([order.index(s) for s in out])


class DiagEinSum:
    """An EinSum whose result may have letters of no input (it is the same along them), and letters twice (a diagonal).

    Both come from more operands: vectors of ones, and unit matrices.
    """

    def __init__(self, in_subs, out_sub, out_shape):
        self.in_subs, self.out_sub, self.out_shape = in_subs, out_sub, out_shape

    def apply(self, inputs):
        xp, dtype = backend.get_array_module(*inputs), inputs[0].dtype
        in_subs, out_sub, operands = self.in_subs, '', list(inputs)
        unused = iter(sorted(einsum_symbols_set.difference(self.in_subs, self.out_sub)))
        for letter, n in zip(self.out_sub, self.out_shape):
            if letter in out_sub:
                fresh = next(unused)
                in_subs += f',{letter}{fresh}'
                operands.append(xp.eye(n, dtype=dtype))
                letter = fresh
            elif letter not in in_subs:
                in_subs += ',' + letter
                operands.append(xp.ones(n, dtype))
            out_sub += letter
        return EinSum(in_subs, out_sub).apply(operands)


def einsum(*operands):
    """Einstein summation, as in NumPy.

    Args:
        operands: subscripts ('ij,jk->ik', also with '...') and float arrays; or arrays and lists of ints (or Ellipsis)
            in turn, and the list of the result.
    """
    subscripts, xs = _subscripts(operands)
    in_subs, arrow, out_sub = subscripts.replace(' ', '').partition('->')
    in_subs = in_subs.split(',')
    if len(in_subs) != len(xs):
        raise ValueError('Number of einsum subscripts must be equal to the number of operands.')
    for letter in ''.join([*in_subs, out_sub]).replace('...', ''):
        if letter not in einsum_symbols_set:
            raise ValueError(f'Character {letter} is not a valid symbol.')
    xs, dotted = [as_variable(x) for x in xs], any('...' in sub for sub in in_subs)
    in_subs, dots = _without_ellipsis(in_subs, xs)
    if not arrow:
        letters = ''.join(in_subs)
        out_sub = '...' * bool(dots) + ''.join(sorted(s for s in set(letters) - set(dots) if letters.count(s) == 1))
    if dots and '...' not in out_sub:
        raise ValueError(
            'einsum should not support summing over Ellipsis, while NumPy 1.14 sometimes accidentally '
            'supports it. This feature is no longer supported by Chainer. '
            'See also NumPy issues #10926, #9984.'
        )
    if '...' in out_sub and not dotted:
        raise ValueError('Output character ... did not appear in the input')
    out_sub = out_sub.replace('...', dots)
    for letter in out_sub:
        if out_sub.count(letter) > 1:
            raise ValueError(f"einstein sum subscripts string includes output subscript '{letter}' multiple times")
        if not any(letter in s for s in in_subs):
            raise ValueError(f'Output character {letter} did not appear in the input')
    return EinSum(','.join(in_subs), out_sub).apply(xs)[0]


def _subscripts(operands):
    """The two forms of arguments as one: a string and arrays."""
    if not operands:
        raise ValueError('No input operands')
    if isinstance(operands[0], str):
        return operands[0], operands[1:]
    subs = [''.join('...' if s is Ellipsis else einsum_symbols[s] for s in sub) for sub in operands[1::2]]
    text = ','.join(subs)
    if len(operands) % 2:
        text += '->' + ''.join('...' if s is Ellipsis else einsum_symbols[s] for s in operands[-1])
    return text, operands[: len(operands) // 2 * 2 : 2]


def _without_ellipsis(in_subs, xs):
    """The subscripts with letters in place of '...', and those letters."""
    counts = [x.ndim - len(sub) + 3 for sub, x in zip(in_subs, xs) if '...' in sub]
    dots = ''.join(sorted(einsum_symbols_set.difference(*in_subs))[: max(counts, default=0)])
    return [sub.replace('...', dots) for sub in in_subs], dots
