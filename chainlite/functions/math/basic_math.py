"""Arithmetic operators.

Arrays broadcast. A scalar takes the dtype of the array beside it. Floor division is not differentiable.
"""

import numpy as np

from chainlite import backend
from chainlite._elementwise import constant_text, elementwise
from chainlite.function_node import FunctionNode
from chainlite.variable import Variable, operations

_ANY = 'lhs: *, rhs: *'


def _operand(value):
    """What may stand beside a Variable: a Variable or an array."""
    if isinstance(value, (Variable, *backend.get_array_types())):
        return value
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


@elementwise(label='_ * _', check=_ANY)
def Mul(lhs, rhs):
    return lhs * rhs


@elementwise(label='_ * {value}', check='x: *')
def MulConstant(x, *, value):
    return x * value


@elementwise(label='_ / _', check=_ANY)
def Div(lhs, rhs):
    return lhs / rhs


@elementwise(label='{value} / _', check='x: *')
def DivFromConstant(x, *, value):
    return value / x


@elementwise(label='_ ** _', check=_ANY)
def PowVarVar(lhs, rhs):
    return lhs**rhs


@elementwise(label='_ ** {value}', check='x: *')
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
    """Sum of several arrays of one shape."""

    def check_type_forward(self, in_types):
        for in_type in in_types:
            if in_type.shape != in_types[0].shape or in_type.dtype != in_types[0].dtype:
                raise ValueError

    label = '_ + ... + _'

    def forward(self, inputs):
        y = inputs[0] + inputs[1]
        for x in inputs[2:]:
            y += x
        return (y if isinstance(y, type(inputs[0])) else np.asarray(y),)

    def backward(self, target_input_indexes, grad_outputs):
        return grad_outputs * len(target_input_indexes)

    backward_arrays = backward


def add(*xs):
    """Sum of two or more arrays, which broadcast (or of an array and a scalar)."""
    if len(xs) == 2:
        lhs, rhs = xs
        if np.isscalar(rhs):
            return AddConstant(value=rhs).apply((lhs,))[0]
        return Add().apply((lhs, _operand(rhs)))[0]
    return MultiAdd().apply(xs)[0]


def sub(self, rhs):
    """`self - rhs`."""
    if np.isscalar(rhs):
        return AddConstant(value=-rhs).apply((self,))[0]
    return Sub().apply((self, _operand(rhs)))[0]


def rsub(self, rhs):
    """`rhs - self`."""
    if np.isscalar(rhs):
        return SubFromConstant(value=rhs).apply((self,))[0]
    return Sub().apply((_operand(rhs), self))[0]


def mul(self, rhs):
    """Elementwise product."""
    if np.isscalar(rhs):
        return MulConstant(value=rhs).apply((self,))[0]
    return Mul().apply((self, _operand(rhs)))[0]


def div(self, rhs):
    """`self / rhs`."""
    if np.isscalar(rhs):
        return MulConstant(value=1.0 / rhs).apply((self,))[0]
    return Div().apply((self, _operand(rhs)))[0]


def rdiv(self, rhs):
    """`rhs / self`."""
    if np.isscalar(rhs):
        return DivFromConstant(value=rhs).apply((self,))[0]
    return Div().apply((_operand(rhs), self))[0]


def floordiv(self, rhs):
    """`self // rhs`, without a gradient."""
    return Variable(np.asarray(self.array // (rhs.array if isinstance(rhs, Variable) else rhs)), requires_grad=False)


def rfloordiv(self, rhs):
    """`rhs // self`, without a gradient."""
    return Variable(np.asarray((rhs.array if isinstance(rhs, Variable) else rhs) // self.array), requires_grad=False)


def pow(self, rhs):
    """`self ** rhs`."""
    if np.isscalar(rhs):
        return PowVarConst(value=rhs).apply((self,))[0]
    return PowVarVar().apply((self, _operand(rhs)))[0]


def rpow(self, rhs):
    """`rhs ** self`."""
    if np.isscalar(rhs):
        return PowConstVar(value=rhs).apply((self,))[0]
    return PowVarVar().apply((_operand(rhs), self))[0]


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
