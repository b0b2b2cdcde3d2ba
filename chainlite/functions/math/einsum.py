"""Einstein summation."""

import string

import numpy as np

from chainlite import backend
from chainlite.function_node import FunctionNode
from chainlite.functions.array.reshape import reshape
from chainlite.utils import type_check
from chainlite.variable import Variable, as_variable

einsum_symbols = string.ascii_uppercase + string.ascii_lowercase
einsum_symbols_set = set(einsum_symbols)


class EinSum(FunctionNode):
    """A sum over products with the subscripts spelled out: one letter for each axis, no ellipsis."""

    def __init__(self, in_subs, out_sub):
        self.in_subs, self.out_sub = in_subs, out_sub

    def check_type_forward(self, in_types):
        type_check.argname(in_types, [f'x{i}' for i in range(len(self.in_subs))])
        seen = {}
        for sub, x in zip(self.in_subs, in_types):
            type_check.expect(x.dtype.kind == 'f', x.ndim == len(sub))
            for axis, letter in enumerate(sub):
                type_check.expect(seen.setdefault(letter, x.shape[axis]) == x.shape[axis])

    def forward(self, inputs):
        self.retain_inputs(tuple(range(len(inputs))))
        xp = backend.get_array_module(*inputs)
        dtype = np.result_type(*[x.dtype for x in inputs])
        if dtype.itemsize == 2:
            inputs = [x.astype(np.float32) for x in inputs]
        subscripts = ','.join(self.in_subs) + '->' + self.out_sub
        y = xp.einsum(subscripts, *inputs, optimize=len(inputs) > 1)
        return (xp.asarray(y, dtype),)

    def backward(self, target_input_indexes, grad_outputs):
        xs = self.get_retained_inputs()
        return tuple([self._gradient(i, xs, grad_outputs[0]) for i in target_input_indexes])

    def _gradient(self, i, xs, gy):
        """The sum over the others, whose result has the axes of input i."""
        operands = [gy] + [x for k, x in enumerate(xs) if k != i]
        subs = [self.out_sub] + [s for k, s in enumerate(self.in_subs) if k != i]
        x, target = xs[i], ''
        xp, unused = backend.get_array_module(x), iter(sorted(einsum_symbols_set.difference(*subs, self.in_subs[i])))
        for letter, n in zip(self.in_subs[i], x.shape):
            if letter in target:  # again: x was read on a diagonal, and has zeros elsewhere
                fresh = next(unused)
                subs, operands = [*subs, letter + fresh], [*operands, xp.eye(n, dtype=x.dtype)]
                letter = fresh
            elif not any(letter in s for s in subs):  # only here: it was summed over, and every element has the same
                subs, operands = [*subs, letter], [*operands, xp.ones(n, x.dtype)]
            target += letter
        operands = [a if isinstance(a, Variable) else Variable(a, requires_grad=False) for a in operands]
        (gx,) = EinSum(tuple(subs), target).apply(operands)
        return gx


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
    in_subs, xs, dots = _without_ellipsis(in_subs, [as_variable(x) for x in xs])
    if not arrow:
        letters = ''.join(in_subs)
        out_sub = '...' * bool(dots) + ''.join(sorted(s for s in set(letters) - set(dots) if letters.count(s) == 1))
    if dots and '...' not in out_sub:
        raise ValueError(
            'einsum should not support summing over Ellipsis, while NumPy 1.14 sometimes accidentally '
            'supports it. This feature is no longer supported by Chainer. '
            'See also NumPy issues #10926, #9984.'
        )
    out_sub = out_sub.replace('...', dots)
    for letter in out_sub:
        if out_sub.count(letter) > 1:
            raise ValueError(f"einstein sum subscripts string includes output subscript '{letter}' multiple times")
        if not any(letter in s for s in in_subs):
            raise ValueError(f'Output character {letter} did not appear in the input')
    return EinSum(tuple(in_subs), out_sub).apply(xs)[0]


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
    """Letters in place of '...': the subscripts, the operands without axes that were broadcast, and the letters."""
    counts = [x.ndim - len(sub.replace('...', '')) if '...' in sub else 0 for sub, x in zip(in_subs, xs)]
    unused = sorted(einsum_symbols_set.difference(*in_subs))
    dots = ''.join(unused[: max(counts)])
    starts = [sub.index('...') if '...' in sub else 0 for sub in in_subs]
    sizes = dict.fromkeys(dots, 1)
    for x, start, count in zip(xs, starts, counts):
        for letter, n in zip(dots[len(dots) - count :], x.shape[start : start + count]):
            sizes[letter] = max(sizes[letter], n) if n else 0
    found_subs, found = [], []
    for sub, x, count in zip(in_subs, xs, counts):
        sub = sub.replace('...', dots[len(dots) - max(count, 0) :])
        if len(sub) == x.ndim:
            kept = [a for a in range(x.ndim) if not (sub[a] in sizes and x.shape[a] == 1 != sizes[sub[a]])]
            if len(kept) < x.ndim:
                x = reshape(x, tuple([x.shape[a] for a in kept]))
                sub = ''.join([sub[a] for a in kept])
        found_subs.append(sub)
        found.append(x)
    return found_subs, found, dots
