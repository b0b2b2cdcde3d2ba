"""Arithmetic operators.

Arrays broadcast. A scalar or an array takes the dtype of the Variable beside it; two Variables must have one dtype.
Floor division is not differentiable.
"""

import numpy as np

from chainlite import backend
from chainlite._elementwise import _sum_to, constant_text, elementwise
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


def _convert_value_to_string(value):
    """An operand as it stands in a label."""
    return constant_text(value) if np.isscalar(value) else 'constant array'


@elementwise(label='_ + _', check=_ANY)
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
        if np.isscalar(rhs):
            return AddConstant(value=rhs).apply((lhs,))[0]
        return Add().apply((lhs, _operand(lhs, rhs)))[0]
    return MultiAdd().apply(xs)[0]


def sub(self, rhs):
    """`self - rhs`."""
    if np.isscalar(rhs):
        return AddConstant(value=-rhs).apply((self,))[0]
    return Sub().apply((self, _operand(self, rhs)))[0]


def rsub(self, rhs):
    """`rhs - self`."""
    if np.isscalar(rhs):
        return SubFromConstant(value=rhs).apply((self,))[0]
    return Sub().apply((_operand(self, rhs), self))[0]


def mul(self, rhs):
    """Elementwise product."""
    if np.isscalar(rhs):
        return MulConstant(value=rhs).apply((self,))[0]
    return Mul().apply((self, _operand(self, rhs)))[0]


def div(self, rhs):
    """`self / rhs`."""
    if np.isscalar(rhs):
        return MulConstant(value=1.0 / rhs).apply((self,))[0]
    return Div().apply((self, _operand(self, rhs)))[0]


def rdiv(self, rhs):
    """`rhs / self`."""
    if np.isscalar(rhs):
        return DivFromConstant(value=rhs).apply((self,))[0]
    return Div().apply((_operand(self, rhs), self))[0]


def floordiv(self, rhs):
    """`self // rhs`, without a gradient."""
    return _floor_divide(self, self, rhs)


def rfloordiv(self, rhs):
    """`rhs // self`, without a gradient."""
    return _floor_divide(self, rhs, self)


def _floor_divide(x, lhs, rhs):
    lhs, rhs = (a if np.isscalar(a) else _operand(x, a) for a in (lhs, rhs))
    y = np.asarray(as_array(lhs) // as_array(rhs)) if x.xp is np else as_array(lhs) // as_array(rhs)
    return Variable(y.astype(x.dtype, copy=False), requires_grad=False)


def pow(self, rhs):
    """`self ** rhs`."""
    if np.isscalar(rhs):
        return PowVarConst(value=rhs).apply((self,))[0]
    return PowVarVar().apply((self, _operand(self, rhs)))[0]


def rpow(self, rhs):
    """`rhs ** self`."""
    if np.isscalar(rhs):
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
