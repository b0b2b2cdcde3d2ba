"""Arithmetic operators.

Arrays broadcast. A scalar or an array takes the dtype of the Variable beside it; two Variables must have one dtype.
Floor division is not differentiable.
"""

import numpy as np

from chainlite import backend
from chainlite._elementwise import Elementwise, _sum_to, constant_text, elementwise
from chainlite.backends._deferred import Deferred, solid
from chainlite.function_node import FunctionNode
from chainlite.variable import Variable, as_array, operations

_ANY, _FLOAT = 'lhs: *, rhs: =lhs', 'lhs: f, rhs: =lhs'


def _operand(x, value):
    """What stands beside x: a Variable of the same dtype, or an array, which takes that dtype."""
    if isinstance(value, Variable):
        return value
    if isinstance(value, backend.get_array_types()):
        return value if value.dtype == x.dtype else value.astype(x.dtype)
    raise TypeError(f'Value must be a scalar, `numpy.ndarray`, `cupy.ndarray` or a `Variable`.\nActual: {type(value)}')


def _is_scalar(value):
    return not isinstance(value, Variable) and np.isscalar(value)  # the second takes its time


def _convert_value_to_string(value):
    """An operand as it stands in a label."""
    return constant_text(value) if _is_scalar(value) else 'constant array'


class _Addition(Elementwise):
    """To what has not been computed yet the other array is added by the kernel that will, see backends._deferred."""

    any_layout = gives_new = takes_deferred = True

    def _private_data(self, xs):
        for x, h in xs, xs[::-1]:
            if h is not x and h._private and _alike(h._form, x._form):
                y = x._unfinished('takes_more')
                if y is not None:
                    return (y, h._lend()) if x is xs[0] else (h._lend(), y)
        return super()._private_data(xs)

    def forward_any(self, inputs):
        a, b = inputs
        y = a.plus(b) if isinstance(a, Deferred) else b.plus(a) if isinstance(b, Deferred) else None
        return self.forward((solid(a), solid(b))) if y is None else (y,)

    def backward_arrays(self, target_input_indexes, grad_outputs):
        (gy,) = grad_outputs
        if isinstance(gy, Deferred):
            if all([x.shape == gy.shape for x in self.inputs]):
                gy.shared = len(target_input_indexes) > 1
            else:
                gy = gy.array()
        return (gy,) * len(target_input_indexes)


def _alike(a, b):
    return a is not None and b is not None and a.shape == b.shape and a.dtype == b.dtype


@elementwise(label='_ + _', check=_ANY, base=_Addition)
def Add(lhs, rhs):
    return lhs + rhs


@elementwise(label='_ + {value}', check='x: *')
def AddConstant(x, *, value):
    return x + value


@elementwise(label='_ - _', check=_ANY)
def Sub(lhs, rhs):
    return lhs - rhs


@elementwise(label='{value} - _', check='x: *')
def SubFromConstant(x, *, value):
    return value - x


@elementwise(label='_ * _', check=_FLOAT)
def Mul(lhs, rhs):
    return lhs * rhs


@elementwise(label='_ * {value}', check='x: *')
def MulConstant(x, *, value):
    return x * value


@elementwise(label='_ / _', check=_FLOAT)
def Div(lhs, rhs):
    return lhs / rhs


@elementwise(label='{value} / _', check='x: f')
def DivFromConstant(x, *, value):
    return value / x


@elementwise(label='_ ** _', check=_FLOAT)
def PowVarVar(lhs, rhs):
    return lhs**rhs


@elementwise(label='_ ** {value}', check='x: f')
def PowVarConst(x, *, value):
    return x**value


@elementwise(label='{value} ** _', check='x: f')
def PowConstVar(x, *, value):
    return value**x


@elementwise(label='__neg__', check='x: *')
def Neg(x):
    return -x


@elementwise(label='|_|', check='x: f')
def Absolute(x):
    return abs(x)


class MultiAdd(FunctionNode):
    """Sum of several arrays, which broadcast."""

    check = '*x: *'
    label = '_ + ... + _'

    def forward(self, inputs):
        y = inputs[0] + inputs[1]
        for x in inputs[2:]:
            if x.shape == y.shape:
                y += x
            else:
                y = y + x
        return (y if isinstance(y, type(inputs[0])) else np.asarray(y),)

    def backward(self, target_input_indexes, grad_outputs):
        return tuple([operations.sum_to(grad_outputs[0], self.inputs[i].shape) for i in target_input_indexes])

    def backward_arrays(self, target_input_indexes, grad_outputs):
        return tuple([_sum_to(grad_outputs[0], self.inputs[i]) for i in target_input_indexes])


def add(*xs):
    """Sum of two or more arrays, which broadcast (or of an array and a scalar)."""
    if len(xs) == 1:
        return xs[0]
    if len(xs) == 2:
        lhs, rhs = xs
        if isinstance(rhs, Variable):
            return Add().apply(xs)[0]
        if np.isscalar(rhs):
            return AddConstant(value=rhs).apply((lhs,))[0]
        return Add().apply((lhs, _operand(lhs, rhs)))[0]
    return MultiAdd().apply(xs)[0]


def sub(self, rhs):
    """`self - rhs`."""
    if _is_scalar(rhs):
        return AddConstant(value=-rhs).apply((self,))[0]
    return Sub().apply((self, _operand(self, rhs)))[0]


def rsub(self, rhs):
    """`rhs - self`."""
    if _is_scalar(rhs):
        return SubFromConstant(value=rhs).apply((self,))[0]
    return Sub().apply((_operand(self, rhs), self))[0]


def mul(self, rhs):
    """Elementwise product."""
    if _is_scalar(rhs):
        return MulConstant(value=rhs).apply((self,))[0]
    return Mul().apply((self, _operand(self, rhs)))[0]


def div(self, rhs):
    """`self / rhs`."""
    if _is_scalar(rhs):
        return MulConstant(value=1.0 / rhs).apply((self,))[0]
    return Div().apply((self, _operand(self, rhs)))[0]


def rdiv(self, rhs):
    """`rhs / self`."""
    if _is_scalar(rhs):
        return DivFromConstant(value=rhs).apply((self,))[0]
    return Div().apply((_operand(self, rhs), self))[0]


def floordiv(self, rhs):
    """`self // rhs`, without a gradient."""
    return _floor_divide(self, self, rhs)


def rfloordiv(self, rhs):
    """`rhs // self`, without a gradient."""
    return _floor_divide(self, rhs, self)


def _floor_divide(x, lhs, rhs):
    lhs, rhs = (a if _is_scalar(a) else _operand(x, a) for a in (lhs, rhs))
    y = np.asarray(as_array(lhs) // as_array(rhs)) if x.xp is np else as_array(lhs) // as_array(rhs)
    return Variable(y.astype(x.dtype, copy=False), requires_grad=False)


def pow(self, rhs):
    """`self ** rhs`."""
    if _is_scalar(rhs):
        return PowVarConst(value=rhs).apply((self,))[0]
    return PowVarVar().apply((self, _operand(self, rhs)))[0]


def rpow(self, rhs):
    """`rhs ** self`."""
    if _is_scalar(rhs):
        return PowConstVar(value=rhs).apply((self,))[0]
    return PowVarVar().apply((_operand(self, rhs), self))[0]


def neg(self):
    """`-self`."""
    return Neg().apply((self,))[0]


def absolute(self):
    """Elementwise absolute value."""
    return Absolute().apply((self,))[0]


operations.__dict__.update(
    add=add,
    sub=sub,
    rsub=rsub,
    mul=mul,
    div=div,
    rdiv=rdiv,
    floordiv=floordiv,
    rfloordiv=rfloordiv,
    pow=pow,
    rpow=rpow,
    neg=neg,
    absolute=absolute,
)
