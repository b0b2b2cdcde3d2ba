"""Long formulas in as few passes over memory as they have results, and in threads.

A formula of float32 arrays is cut into passes. A pass is one binary primitive with operations after it: it computes a
value from two arrays and goes on with it in registers, by one more array or scalar or one function at a time, until it
is written: `v * momentum - grad * lr` in one pass, an Adam step in four. Each operation rounds by itself, as NumPy's
does: results are equal bit by bit, those of sigmoid and tanh within four units in the last place. What has other
functions, or would treat NaN in another way, is left to NumPy.
"""

import math
from contextlib import nullcontext
from ctypes import c_float
from typing import NamedTuple

import numpy as np

from chainlite.backends import _equations
from chainlite.backends._equations import new_of_long, run_long, run_long_new
from chainlite.backends._symbols import PRIMITIVES, ZERO, Expr, leaf
from chainlite.backends.onednn._backend import onednn
from chainlite.backends.onednn._primitive import (
    OPERANDS,
    RESULT,
    SCALE_0,
    SCALE_1,
    SRC_0,
    SRC_1,
    Descriptors,
    Operation,
    address,
)
from chainlite.backends.onednn._threads import get_num_threads, one_thread, operation

BLOCK = 1 << 19  # elements: what the passes of a formula read and write stays in the last cache

_BINARY = {'add': 0x1FFF0, 'mul': 0x1FFF1, 'div': 0x1FFF4, 'sub': 0x1FFF5}
_LIMITS = {'maximum': 0x1FFF2, 'minimum': 0x1FFF3}
_ALGORITHMS = {**_BINARY, **_LIMITS, 'lt': 0x1FFF9}
_FUNCTIONS = {'sqrt': 0x25, 'abs': 0x24, 'tanh': 0x21, 'sigmoid': 0x29}
_ROUNDED = 'tanh', 'sigmoid'  # not as NumPy's
_PASSES = {'sigmoid': 4}  # over memory in NumPy; other operations take one
_MOST = 30  # operations after the first: oneDNN takes 32

_ONE, _MINUS, _LOWEST = Expr('const', 1), Expr('const', -1), Expr('const', -np.inf)


class _Unable(Exception):
    """The formula has an operation that a pass cannot do."""


class _Pass(NamedTuple):
    """`left * scales[0] <first> right * scales[1]`, then the operations `after` on what that gives, into `result`.

    Operands are places (str) or scalar expressions; `after` are pairs (operation, operand), of functions (name,
    None).
    """

    first: str
    left: str
    right: object
    scales: tuple
    after: list
    result: str

    def key(self):
        """What its primitive is made for."""
        after = [(op, _is_scalar(b)) for op, b in self.after]
        return self.first, _is_scalar(self.right), len(self.scales), tuple(after)

    def operands(self):
        """Arrays and scalars in the order of the primitive's arguments."""
        return [self.left, self.right, self.result, *self.scales, *[b for _, b in self.after if b is not None]]


def _is_scalar(operand):
    return isinstance(operand, Expr)


class _Plan:
    """The passes of a formula.

    Args:
        equations: the formula.
        alias: for each output, the number of the input whose array it overwrites, or None.

    Raises:
        _Unable: if there are none.
    """

    def __init__(self, equations, alias):
        self._arrays, self._uses = set(), {}
        for e in equations._order:
            if e.op == 'name' or not leaf(e) and any([a in self._arrays for a in e.args]):
                self._arrays.add(e)
            for a in () if leaf(e) else e.args:
                self._uses[a] = self._uses.get(a, 0) + 1
        self._place = {Expr('name', x): f'x{i}' for i, x in enumerate(equations.inputs)}
        self.passes = []
        self.temporaries = 0
        results = {e: f'o{k}' for k, e in enumerate(equations.outputs.values())}
        if len(results) < len(alias) or any([leaf(e) for e in results]):
            raise _Unable
        self._results = results
        for e in equations._order:
            if e in results:
                self._array(e)
        if any([len(p.after) > _MOST for p in self.passes]):
            raise _Unable
        self._refuse_late_reads({f'o{k}': f'x{i}' for k, i in enumerate(alias) if i is not None})
        passes, operations = len(self.passes), sum([_PASSES.get(e.op, 1) for e in equations._order if not leaf(e)])
        self.saves = passes < operations
        self.rounds = any([op in _ROUNDED for p in self.passes for op, _ in p.after])
        if self.rounds and not self.saves:
            raise _Unable  # NumPy's tanh takes two thirds of the time
        self._worth = 2  # in one thread, times LONG
        if set(alias) == {None}:  # NumPy computes in the new arrays, too, and a pass takes longer than its operations
            gain = operations - 1.75 * passes
            self._worth = max(2, 4 / gain) if gain > 0 else math.inf
        self._scalars = list(dict.fromkeys([b for p in self.passes for b in p.operands() if _is_scalar(b)]))
        self._scalar_names = equations.scalars
        places = [f'x{i}' for i in range(len(equations.inputs))] + [f'o{k}' for k in range(len(alias))]
        places += [f't{i}' for i in range(self.temporaries)] + self._scalars
        self.steps = [(p.key(), tuple([places.index(b) for b in p.operands()])) for p in self.passes]

    def _refuse_late_reads(self, inputs):
        """An input must not be read after the pass that overwrites it."""
        gone = set()
        for p in self.passes:
            if not gone.isdisjoint([b for b in p.operands() if isinstance(b, str)]):
                raise _Unable
            gone.add(inputs.get(p.result))

    def _array(self, e):
        """The place where the value of e is, after passes that compute it if need be."""
        if e not in self._place:
            head, *after = self._chain(e, True)
            if head.__class__ is str:  # one array: the first operation on it is the pass's own
                (op, b), *after = after if after[0][1] is not None else [('mul', _ONE), *after]
                scale = _ONE
                if op == 'mul' and _is_scalar(b) and after and after[0][1] is not None:  # the array's scale
                    scale, ((op, b), *after) = b, after
                head = op, (head, scale), (b, _ONE)
            first, (left, scale), (right, other) = head
            if scale is _ONE and first in ('mul', 'div') and after and after[0] == ('mul', _MINUS):
                scale, after = _MINUS, after[1:]
            result = self._results.get(e)
            if result is None:
                result = f't{self.temporaries}'
                self.temporaries += 1
            scales = (scale, other) if other is not _ONE else (scale,) if scale is not _ONE else ()
            self.passes.append(_Pass(first, left, right, scales, after, result))
            self._place[e] = result
        return self._place[e]

    def _chain(self, e, is_root=False):
        """[where it begins, (operation, operand), ...]: e as operations on one value. It begins with a place, or with
        (operation, (place, factor), (place, factor))."""
        if not is_root and (e in self._place or e in self._results or self._uses[e] > 1):
            return [self._array(e)]
        if e.op == 'neg':
            return [*self._chain(e.args[0]), ('mul', _MINUS)]
        if e.op in _FUNCTIONS:
            return [*self._chain(e.args[0]), (e.op, None)]
        if e.op not in _ALGORITHMS:
            raise _Unable
        a, b = e.args
        if e.op in _LIMITS:
            return self._limited(e.op, a, b)
        if b not in self._arrays:
            return [*self._chain(a), (e.op, b)]
        if e.op in ('add', 'sub') and a in self._arrays:
            scaled = self._scaled(a), self._scaled(b)
            if None not in scaled:
                return [(e.op, *scaled)]
        if a not in self._arrays or self._is_ready(a) and not self._is_ready(b):  # go on with b
            other = self._array(a) if a in self._arrays else a
            if e.op in ('add', 'mul'):
                return [*self._chain(b), (e.op, other)]
            if e.op == 'sub':  # a - b is a + (-b), to the last bit
                return [*self._chain(b), ('mul', _MINUS), ('add', other)]
            if a not in self._arrays:
                raise _Unable
        other = self._array(b)
        return [*self._chain(a), (e.op, other)]

    def _limited(self, op, a, b):
        """maximum or minimum of an array and a scalar. The primitive's gives the second one if either is NaN, so the
        scalar has to be first: no number is less than the lowest, which gives 0, and the scalar is added to that."""
        if b in self._arrays or not self._is_ready(a):  # a pass more would take longer than NumPy does
            raise _Unable
        place = self._place[a]
        start = [] if b is ZERO else [('add', b)]
        return [place, ('lt', _LOWEST), *start, (op, place)]

    def _is_ready(self, e):
        return e in self._place

    def _scaled(self, e):
        """(place, factor) of an array times a scalar, None of anything else."""
        if self._is_ready(e):
            return self._place[e], _ONE
        if e.op == 'mul' and e not in self._results and self._uses[e] == 1:
            for a, b in (e.args, e.args[::-1]):
                if b not in self._arrays and self._is_ready(a):
                    return self._place[a], b
        return None

    def pays(self, size):
        """Whether it takes less time than in NumPy. In several threads it does from fewer elements, since each finds
        those in its cache that it computed last; but bits must not depend on the number of threads."""
        return size >= self._worth * _equations.LONG or not self.rounds and get_num_threads() > 1

    def run(self, rows, scalars):
        """Runs it on rows of arrays of one length: inputs, then outputs."""
        numbers = self._numbers(scalars)
        temporaries = np.empty((self.temporaries, min(BLOCK, max([row[0].size for row in rows]))), 'f')
        fixed = [address(temporaries) + i * temporaries.strides[0] for i in range(self.temporaries)]
        fixed += [address(numbers) + 4 * i for i in range(len(numbers))]
        for row in rows:
            length, places = row[0].size, [address(a) for a in row]
            for begin in range(0, length, BLOCK):
                size = min(BLOCK, length - begin)
                here = [place + 4 * begin for place in places] + fixed
                for key, operands in self.steps:
                    operation(_build, size, *key).at(*[here[i] for i in operands])

    def _numbers(self, scalars):
        """A float32 array of the values of all scalars."""
        known = dict(zip(self._scalar_names, scalars))

        def value(e):
            if e.op == 'const':
                return np.float32(e.args[0])
            if e.op == 'scalar':
                return np.float32(known[e.args[0]])
            return PRIMITIVES[e.op].numpy(*map(value, e.args))

        return np.array([value(e) for e in self._scalars], 'f')


def _build(size, first, right_is_scalar, scales, after):
    with Descriptors() as make:
        array, scalar = make.plain((size,)), make.plain((1,))
        right = scalar if right_is_scalar else array
        arguments = [(SRC_0, array, False), (SRC_1, right, False), (RESULT, array, True)]
        arguments += [(factor, scalar, False) for factor in (SCALE_0, SCALE_1)[:scales]]
        operations = []
        for place, (op, is_scalar) in zip(OPERANDS, after):
            if op in _FUNCTIONS:
                operations.append(('eltwise', _FUNCTIONS[op], c_float(0), c_float(0)))
            else:
                operand = scalar if is_scalar else array
                operations.append(('binary', _ALGORITHMS[op], operand))
                arguments.append((place, operand, False))
        attributes = make.attributes(operations, [n for n, _ in (SRC_0, SRC_1)[:scales]])
        primitive = make.primitive('binary', _ALGORITHMS[first], array, right, array, attributes=attributes)
        return Operation(make, primitive, *arguments)


def _plan(equations, alias):
    """The plan, or None."""
    key = 'onednn', alias
    if key not in equations.plans:
        try:
            equations.plans[key] = _Plan(equations, alias)
        except _Unable:
            equations.plans[key] = None
    return equations.plans[key]


def _pays(x, equations, rows, scalars, alias):
    if any([a.dtype != np.float32 for a in rows[0]]):
        return False
    plan = _plan(equations, alias)
    return plan is not None and plan.pays(max([row[0].size for row in rows]))


@run_long.when(onednn, _pays)
def _(x, equations, rows, scalars, alias):
    _plan(equations, alias).run(rows, scalars)


def _pays_for_new(x, equations, arrays, scalars):
    if any([a.dtype != np.float32 for a in arrays]):
        return False
    plan = _plan(equations, (None,) * len(equations.outputs))
    if plan is None:
        return False
    # Where other programs compute, too, each pass of several threads waits for the last one, half a millisecond: as
    # long as a single operation takes for a million elements. NumPy does most of those as fast in one thread.
    if not plan.saves:
        return x.size >= _equations.WORTH_THREADS and get_num_threads() > 1
    return plan.pays(x.size) and (plan.rounds or get_num_threads() == 1 or x.size >= 8 * _equations.LONG)


@run_long_new.when(onednn, _pays_for_new)
def _(x, equations, arrays, scalars):
    alone = equations.is_single and x.size < _equations.WORTH_THREADS
    with one_thread() if alone else nullcontext():
        return new_of_long(equations, arrays, scalars)
