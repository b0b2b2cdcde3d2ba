"""Symbols: what an elementwise formula is made of, and how it is differentiated.

A formula is an ordinary Python function of symbols. Calling it once with `name` symbols gives an expression per output;
`differentiate` turns expressions into the expressions of their derivatives. Each primitive is one row of a table: what
it is in NumPy, in CUDA, and its vector-Jacobian product, written in primitives again, so that derivatives of every
order follow.

The rules select (`where`) and never multiply by a mask: `inf * 0` would be NaN.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Primitive(NamedTuple):
    numpy: Callable  # an array function; takes `out=` unless it is np.where
    cuda: str  # an expression in {0}, {1}, ...
    vjp: Callable  # (g, r, *args) -> the gradient of each argument, given that of the result r; None: no gradient


class Expr:
    """A node of a formula. Equal formulas are the same object, so that sharing is free."""

    __slots__ = ('op', 'args')
    _interned: dict = {}

    def __new__(cls, op, *args):
        # 1, 1.0 and True are equal in Python but not the same constant
        key = (op, *[id(a) if isinstance(a, Expr) else (type(a), repr(a)) for a in args])
        self = cls._interned.get(key)
        if self is None:
            self = object.__new__(cls)
            self.op, self.args = op, args
            self = cls._interned.setdefault(key, self)  # another thread may have been faster
        return self

    def __bool__(self):
        raise TypeError('a symbol of a formula has no truth value: use where(condition, a, b) instead of if, and, or')

    # fmt: off
    def __add__(self, b): return call('add', self, b)
    def __radd__(self, a): return call('add', a, self)
    def __sub__(self, b): return call('sub', self, b)
    def __rsub__(self, a): return call('sub', a, self)
    def __mul__(self, b): return call('mul', self, b)
    def __rmul__(self, a): return call('mul', a, self)
    def __truediv__(self, b): return call('div', self, b)
    def __rtruediv__(self, a): return call('div', a, self)
    def __floordiv__(self, b): return call('floordiv', self, b)
    def __rfloordiv__(self, a): return call('floordiv', a, self)
    def __pow__(self, b): return call('pow', self, b)
    def __rpow__(self, a): return call('pow', a, self)
    def __neg__(self): return call('neg', self)
    def __abs__(self): return call('abs', self)
    def __gt__(self, b): return call('gt', self, b)
    def __lt__(self, b): return call('gt', b, self)
    def __ge__(self, b): return call('ge', self, b)
    def __le__(self, b): return call('ge', b, self)
    def __and__(self, b): return call('and', self, b)
    def __invert__(self): return call('not', self)
    # fmt: on


ZERO, ONE = Expr('const', 0), Expr('const', 1)


def as_expr(value):
    return value if isinstance(value, Expr) else Expr('const', value)


def call(op, *args):
    """Applies a primitive, folding the trivial zeros and ones away."""
    args = [as_expr(a) for a in args]
    a, b = (args + [None])[:2]
    zero = [x.op == 'const' and x.args[0] == 0 for x in args]
    one = [x.op == 'const' and x.args[0] == 1 for x in args]
    if op == 'mul':
        if any(zero):
            return ZERO
        if any(one):
            return b if one[0] else a
    elif op == 'add' and any(zero):
        return b if zero[0] else a
    elif op == 'sub' and zero[1]:
        return a
    elif op == 'div' and zero[0]:
        return ZERO
    elif op in ('div', 'pow') and one[1]:
        return a
    elif op == 'neg' and (zero[0] or a.op == 'neg'):
        return ZERO if zero[0] else a.args[0]
    elif op == 'where' and args[1] is args[2]:
        return args[1]
    return Expr(op, *args)


def _function(op):
    def apply(*args):
        return call(op, *args)

    apply.__name__ = op
    return apply


where, maximum, minimum, sign, equal, isnan, arctan2, fmod = map(
    _function, ['where', 'maximum', 'minimum', 'sign', 'equal', 'isnan', 'arctan2', 'fmod']
)
exp, expm1, log, log1p, log2, log10, sqrt, rsqrt, sigmoid, tanh = map(
    _function, ['exp', 'expm1', 'log', 'log1p', 'log2', 'log10', 'sqrt', 'rsqrt', 'sigmoid', 'tanh']
)
sin, cos, tan, arcsin, arccos, arctan, arctanh, sinh, cosh, trunc, floor, ceil = map(
    _function, ['sin', 'cos', 'tan', 'arcsin', 'arccos', 'arctan', 'arctanh', 'sinh', 'cosh', 'trunc', 'floor', 'ceil']
)


def _sigmoid(x, out=None):
    half = x.dtype.type(0.5)
    y = np.multiply(x, half, out=np.empty_like(x) if out is None else out)
    np.tanh(y, out=y)
    np.multiply(y, half, out=y)
    return np.add(y, half, out=y)


def _power(x, exponent, out=None):
    if getattr(exponent, 'ndim', 0) == 0:
        if exponent == 2:  # an order of magnitude faster
            return np.square(x, out=out)
        if exponent == 1:  # in the derivative of squares
            return np.positive(x, out=out)
    return np.power(x, exponent, out=out)


def _rsqrt(x, out=None):
    return np.reciprocal(np.sqrt(x, out=out), out=out)


def _beside_constant(ufunc, limits):
    """maximum or minimum, which NumPy vectorizes between arrays alone: beside a constant, clipping is the fast way."""

    def apply(a, b, out=None):
        if a.size >= 1024 and b.ndim == 0 and a.dtype.kind == 'f':
            return a.clip(*limits(b), out=out)
        return ufunc(a, b) if out is None else ufunc(a, b, out=out)

    return apply


_maximum = _beside_constant(np.maximum, lambda b: (b, np.inf))
_minimum = _beside_constant(np.minimum, lambda b: (-np.inf, b))


def _mask(condition, x):
    """All ones where the condition holds, as integers of x's size; None where it does not pay or x is no such array."""
    long = isinstance(x, np.ndarray) and x.size >= 256 and x.shape == condition.shape
    if long and x.dtype.kind == 'f' and x.itemsize in (4, 8):
        condition = condition if condition.dtype == bool else condition != 0  # cast with the other inputs
        return np.negative(condition.view(np.int8)).astype(f'i{x.itemsize}')
    return None


@functools.cache
def _zero(dtype):
    return np.zeros((), dtype)  # np.where takes longer for a scalar


def select(condition, x, out=None):
    """`x` where the condition holds, 0 elsewhere; many times as fast as np.where on long arrays: bits, not branches."""
    mask = _mask(condition, x) if x.size >= 256 else None
    if mask is not None:
        bits = mask.dtype
        return np.bitwise_and(mask, x.view(bits), out=mask if out is None else out.view(bits)).view(x.dtype)
    if out is None and x.shape == condition.shape and condition.dtype.kind == 'b':
        y = np.zeros(x.shape, x.dtype)
        np.putmask(y, condition, x)  # in half the time of copyto
        return y
    y = np.where(condition, x, _zero(x.dtype))
    if out is not None:
        out[...] = y
    return y


def _where(condition, a, b):
    """np.where, with bits instead of branches where `a` and `b` are long arrays."""
    if isinstance(b, np.ndarray) and isinstance(a, np.ndarray) and a.dtype == b.dtype and a.shape == b.shape:
        mask = _mask(condition, a)
        if mask is not None:
            bits = mask.dtype
            mask &= a.view(bits) ^ b.view(bits)
            mask ^= b.view(bits)
            return mask.view(a.dtype)
    return np.where(condition, a, b)


LN2, LN10 = float(np.log(2)), float(np.log(10))
# fmt: off
PRIMITIVES = {
    # name         NumPy             CUDA                        vector-Jacobian product
    'neg':         (np.negative,     '(-{0})',                   lambda g, r, a: (-g,)),
    'add':         (np.add,          '({0} + {1})',              lambda g, r, a, b: (g, g)),
    'sub':         (np.subtract,     '({0} - {1})',              lambda g, r, a, b: (g, -g)),
    'mul':         (np.multiply,     '({0} * {1})',              lambda g, r, a, b: (g * b, g * a)),
    'div':         (np.true_divide,  '({0} / {1})',              lambda g, r, a, b: (g / b, -g * r / b)),
    'pow':         (_power,          'pow({0}, {1})',            lambda g, r, a, b: (g * b * a ** (b - 1), g * r * log(a))),
    'floordiv':    (np.floor_divide, 'floor({0} / {1})',         lambda g, r, a, b: (None, None)),
    'fmod':        (np.fmod,         'fmod({0}, {1})',           lambda g, r, a, b: (g, -g * trunc(a / b))),
    'gt':          (np.greater,      '({0} > {1})',              lambda g, r, a, b: (None, None)),
    'ge':          (np.greater_equal, '({0} >= {1})',            lambda g, r, a, b: (None, None)),
    'equal':       (np.equal,        '({0} == {1})',             lambda g, r, a, b: (None, None)),
    'and':         (np.logical_and,  '({0} && {1})',             lambda g, r, a, b: (None, None)),
    'not':         (np.logical_not,  '(!{0})',                   lambda g, r, a: (None,)),
    'isnan':       (np.isnan,        '({0} != {0})',             lambda g, r, a: (None,)),
    'where':       (_where,          '({0} ? {1} : {2})',        lambda g, r, c, a, b: (None, where(c, g, 0), where(c, 0, g))),
    'maximum':     (_maximum,       'nan_max({0}, {1})',        lambda g, r, a, b: (where(a >= b, g, 0), where(a >= b, 0, g))),
    'minimum':     (_minimum,       'nan_min({0}, {1})',        lambda g, r, a, b: (where(b >= a, g, 0), where(b >= a, 0, g))),
    'sign':        (np.sign,         'sign({0})',                lambda g, r, a: (None,)),
    'abs':         (np.absolute,     'abs({0})',                 lambda g, r, a: (g * sign(a),)),
    'exp':         (np.exp,          'exp({0})',                 lambda g, r, a: (g * r,)),
    'expm1':       (np.expm1,        'expm1({0})',               lambda g, r, a: (g * (r + 1),)),
    'log':         (np.log,          'log({0})',                 lambda g, r, a: (g / a,)),
    'log1p':       (np.log1p,        'log1p({0})',               lambda g, r, a: (g / (1 + a),)),
    'log2':        (np.log2,         'log2({0})',                lambda g, r, a: (g / a * (1 / LN2),)),
    'log10':       (np.log10,        'log10({0})',               lambda g, r, a: (g / a * (1 / LN10),)),
    'sqrt':        (np.sqrt,         'sqrt({0})',                lambda g, r, a: (g * 0.5 / r,)),
    'rsqrt':       (_rsqrt,          'rsqrt({0})',               lambda g, r, a: (g * -0.5 * r / a,)),
    'sigmoid':     (_sigmoid,        'sigmoid({0})',             lambda g, r, a: (g * r * (1 - r),)),
    'tanh':        (np.tanh,         'tanh({0})',                lambda g, r, a: (g * (1 - r * r),)),
    'sin':         (np.sin,          'sin({0})',                 lambda g, r, a: (g * cos(a),)),
    'cos':         (np.cos,          'cos({0})',                 lambda g, r, a: (-g * sin(a),)),
    'tan':         (np.tan,          'tan({0})',                 lambda g, r, a: (g * (1 + r * r),)),
    'arcsin':      (np.arcsin,       'asin({0})',                lambda g, r, a: (g / sqrt(1 - a * a),)),
    'arccos':      (np.arccos,       'acos({0})',                lambda g, r, a: (-g / sqrt(1 - a * a),)),
    'arctan':      (np.arctan,       'atan({0})',                lambda g, r, a: (g / (1 + a * a),)),
    'arctanh':     (np.arctanh,      'atanh({0})',               lambda g, r, a: (g / (1 - a * a),)),
    'arctan2':     (np.arctan2,      'atan2({0}, {1})',          lambda g, r, a, b: (g * b / (a * a + b * b), -g * a / (a * a + b * b))),
    'sinh':        (np.sinh,         'sinh({0})',                lambda g, r, a: (g * cosh(a),)),
    'cosh':        (np.cosh,         'cosh({0})',                lambda g, r, a: (g * sinh(a),)),
    'trunc':       (np.trunc,        'trunc({0})',               lambda g, r, a: (None,)),
    'floor':       (np.floor,        'floor({0})',               lambda g, r, a: (None,)),
    'ceil':        (np.ceil,         'ceil({0})',                lambda g, r, a: (None,)),
}
# fmt: on
PRIMITIVES = {name: Primitive(*row) for name, row in PRIMITIVES.items()}  # type: ignore[arg-type]
BOOLEAN = {'gt', 'ge', 'equal', 'and', 'not', 'isnan'}

# What the CUDA expressions use beyond CUDA's own functions. C is the type that is computed in.
CUDA_PREAMBLE = """
template <typename C> __device__ inline C nan_max(C a, C b) { return a > b || a != a ? a : b; }
template <typename C> __device__ inline C nan_min(C a, C b) { return a < b || a != a ? a : b; }
template <typename C> __device__ inline C sign(C a) { return a != a ? a : C((a > C(0)) - (a < C(0))); }
template <typename C> __device__ inline C sigmoid(C a) { return tanh(a * C(.5)) * C(.5) + C(.5); }
"""


def leaf(e):
    return e.op in ('name', 'scalar', 'const')


def topological(roots):
    """Every expression below the roots, arguments first."""
    order, done = [], set()

    def visit(e):
        if e not in done:
            done.add(e)
            if not leaf(e):
                for a in e.args:
                    visit(a)
            order.append(e)

    for root in roots:
        visit(root)
    return order


def names(roots):
    return {e.args[0] for e in topological(roots) if e.op == 'name'}


def substitute(roots, table):
    """The same expressions with the sub-expressions in `table` replaced."""
    new = {}
    for e in topological(roots):
        new[e] = table[e] if e in table else e if leaf(e) else call(e.op, *[new[a] for a in e.args])
    return [new[root] for root in roots]


def differentiate(roots, seeds, wrt):
    """Reverse mode: for each x in `wrt`, the sum over k of seeds[k] * d roots[k] / dx."""
    order, active = topological(roots), set(wrt)
    active.update(e for e in order if not leaf(e) and any(a in active for a in e.args))
    adjoint = {}
    for root, seed in zip(roots, seeds):
        adjoint[root] = adjoint.get(root, ZERO) + seed
    for e in reversed(order):
        g = adjoint.get(e, ZERO)
        if leaf(e) or e not in active or g is ZERO:
            continue
        for a, ga in zip(e.args, PRIMITIVES[e.op].vjp(g, e, *e.args)):
            if ga is not None and a in active:
                adjoint[a] = adjoint.get(a, ZERO) + ga
    return [adjoint.get(x, ZERO) for x in wrt]
