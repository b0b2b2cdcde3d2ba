"""Converters of mathematics."""

import numpy as np

from chainlite.onnx_chainer.functions.elementwise import operator, with_constant
from chainlite.onnx_chainer.functions.opset_version import support as support
from chainlite.onnx_chainer.onnx_helper import building

convert_Absolute = operator('Abs')
convert_Add = operator('Add')
convert_Arccos = operator('Acos')
convert_Arcsin = operator('Asin')
convert_Arctan = operator('Atan')
convert_Cos = operator('Cos')
convert_Cosh = operator('Cosh')
convert_Div = operator('Div')
convert_Erf = operator('Erf')
convert_Exp = operator('Exp')
convert_Identity = operator('Identity')
convert_Log = operator('Log')
convert_Maximum = operator('Max')
convert_Minimum = operator('Min')
convert_Mul = operator('Mul')
convert_MultiAdd = operator('Sum')
convert_Neg = operator('Neg')
convert_PowVarVar = operator('Pow')
convert_Sin = operator('Sin')
convert_Sinh = operator('Sinh')
convert_Sqrt = operator('Sqrt')
convert_Sub = operator('Sub')
convert_Tan = operator('Tan')
convert_ceil = operator('Ceil')
convert_floor = operator('Floor')
convert_sign = operator('Sign')

convert_AddConstant = with_constant('Add')
convert_MulConstant = with_constant('Mul')
convert_PowVarConst = with_constant('Pow')
convert_SubFromConstant = with_constant('Sub', constant_first=True)
convert_DivFromConstant = with_constant('Div', constant_first=True)
convert_PowConstVar = with_constant('Pow', constant_first=True)


@building
def convert_RsqrtGPU(func, builder, x):
    builder.op('Reciprocal', [builder.op('Sqrt', [x])])


@building
def convert_fix(func, builder, x):
    """Rounding towards zero."""
    whole = builder.op('Floor', [builder.op('Abs', [x])])
    builder.op('Mul', [builder.op('Sign', [x]), whole])


@building
def convert_Square(func, builder, x):
    builder.op('Mul', [x, x])


@building
def convert_Clip(func, builder, x):
    bounds = [None if v is None else float(v) for v in (func.x_min, func.x_max)]
    builder.clip(x, *bounds, func.inputs[0].dtype)


@building
def convert_LinearInterpolate(func, builder, p, x, y):
    """p x + (1 - p) y, as y + p (x - y)."""
    builder.op('Add', [y, builder.op('Mul', [p, builder.op('Sub', [x, y])])])


@building
def convert_BroadcastTo(func, builder, x):
    builder.op('Expand', [x, builder.ints(func.shape, 'shape')])


@building
def convert_MatMul(func, builder, *names):
    names = list(names)
    for i, transposed in enumerate((func.transa, func.transb)):
        ndim = len(func.inputs[i].shape)
        if transposed and ndim > 1:
            names[i] = builder.transpose(names[i], [*range(ndim - 2), ndim - 1, ndim - 2])
    y = builder.op('MatMul', names)
    if getattr(func, 'transc', False):
        ndim = len(func.outputs[0]().shape)
        builder.transpose(y, [*range(ndim - 2), ndim - 1, ndim - 2])


@building
def convert_EinSum(func, builder, *xs):
    if builder.opset < 12:
        raise ValueError(f'{func.label} needs opset 12 or later')
    subscripts = func.in_subs.replace('@', '...') + '->' + func.out_sub.replace('@', '...')
    builder.op('Einsum', xs, equation=subscripts)


@building
def convert_Cumsum(func, builder, x):
    if builder.opset < 11:
        raise ValueError(f'{func.label} needs opset 11 or later')
    axis = func.axis
    if axis is None:
        x, axis = builder.reshape(x, (-1,)), 0
    builder.op('CumSum', [x, builder.const(axis, 'axis', np.int64)])


def _reduction(name):
    @building
    def convert(func, builder, x):
        axis = getattr(func, 'axis', None)
        axes = None if axis is None else [axis] if isinstance(axis, int) else list(axis)
        builder.reduce(name, x, axes, getattr(func, 'keepdims', False))

    return convert


convert_Sum = _reduction('ReduceSum')
convert_Mean = _reduction('ReduceMean')
convert_Max = _reduction('ReduceMax')
convert_Min = _reduction('ReduceMin')
convert_Prod = _reduction('ReduceProd')
convert_LogSumExp = _reduction('ReduceLogSumExp')


def _index_of(name):
    """ONNX's indices are int64, Chainer's int32; over all axes, they are places in the flattened array."""

    @building
    def convert(func, builder, x):
        axis = func.axis
        if axis is None:
            x, axis = builder.reshape(x, (-1,)), 0
        builder.cast(builder.op(name, [x], axis=int(axis), keepdims=0), np.int32)

    return convert


convert_ArgMax = _index_of('ArgMax')
convert_ArgMin = _index_of('ArgMin')
