"""Converters of mathematics."""

import numpy as np

from chainlite.onnx_chainer.functions.elementwise import operator, with_constant
from chainlite.onnx_chainer.functions.opset_version import support as support
from chainlite.onnx_chainer.onnx_helper import Builder

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


def convert_RsqrtGPU(func, opset_version, input_names, output_names, context):
    builder = Builder(opset_version, context)
    builder.op('Reciprocal', [builder.op('Sqrt', input_names)])
    return builder.nodes(output_names)


def convert_fix(func, opset_version, input_names, output_names, context):
    """Rounding towards zero."""
    builder = Builder(opset_version, context)
    whole = builder.op('Floor', [builder.op('Abs', input_names)])
    builder.op('Mul', [builder.op('Sign', input_names), whole])
    return builder.nodes(output_names)


def convert_Square(func, opset_version, input_names, output_names, context):
    builder = Builder(opset_version, context)
    builder.op('Mul', input_names * 2)
    return builder.nodes(output_names)


def convert_Clip(func, opset_version, input_names, output_names, context):
    builder = Builder(opset_version, context)
    bounds = [None if v is None else float(v) for v in (func.x_min, func.x_max)]
    builder.clip(*input_names, *bounds, func.inputs[0].dtype)
    return builder.nodes(output_names)


def convert_LinearInterpolate(func, opset_version, input_names, output_names, context):
    """p x + (1 - p) y, as y + p (x - y)."""
    builder = Builder(opset_version, context)
    p, x, y = input_names
    builder.op('Add', [y, builder.op('Mul', [p, builder.op('Sub', [x, y])])])
    return builder.nodes(output_names)


def convert_BroadcastTo(func, opset_version, input_names, output_names, context):
    builder = Builder(opset_version, context)
    builder.op('Expand', [*input_names, builder.ints(func.shape, 'shape')])
    return builder.nodes(output_names)


def convert_MatMul(func, opset_version, input_names, output_names, context):
    builder = Builder(opset_version, context)
    names = list(input_names)
    for i, transposed in enumerate((func.transa, func.transb)):
        ndim = len(func.inputs[i].shape)
        if transposed and ndim > 1:
            names[i] = builder.transpose(names[i], [*range(ndim - 2), ndim - 1, ndim - 2])
    y = builder.op('MatMul', names)
    if getattr(func, 'transc', False):
        ndim = len(func.outputs[0]().shape)
        builder.transpose(y, [*range(ndim - 2), ndim - 1, ndim - 2])
    return builder.nodes(output_names)


def convert_EinSum(func, opset_version, input_names, output_names, context):
    if opset_version < 12:
        raise ValueError(f'{func.label} needs opset 12 or later')
    builder = Builder(opset_version, context)
    subscripts = func.in_subs.replace('@', '...') + '->' + func.out_sub.replace('@', '...')
    builder.op('Einsum', input_names, equation=subscripts)
    return builder.nodes(output_names)


def convert_Cumsum(func, opset_version, input_names, output_names, context):
    if opset_version < 11:
        raise ValueError(f'{func.label} needs opset 11 or later')
    builder = Builder(opset_version, context)
    x, axis = input_names[0], func.axis
    if axis is None:
        x, axis = builder.reshape(x, (-1,)), 0
    builder.op('CumSum', [x, builder.const(axis, 'axis', np.int64)])
    return builder.nodes(output_names)


def _reduction(name):
    def convert(func, opset_version, input_names, output_names, context):
        builder = Builder(opset_version, context)
        axis = getattr(func, 'axis', None)
        axes = None if axis is None else [axis] if isinstance(axis, int) else list(axis)
        builder.reduce(name, input_names[0], axes, getattr(func, 'keepdims', False))
        return builder.nodes(output_names)

    return convert


convert_Sum = _reduction('ReduceSum')
convert_Mean = _reduction('ReduceMean')
convert_Max = _reduction('ReduceMax')
convert_Min = _reduction('ReduceMin')
convert_Prod = _reduction('ReduceProd')
convert_LogSumExp = _reduction('ReduceLogSumExp')


def _index_of(name):
    """ONNX's indices are int64, Chainer's int32; over all axes, they are places in the flattened array."""

    def convert(func, opset_version, input_names, output_names, context):
        builder = Builder(opset_version, context)
        x, axis = input_names[0], func.axis
        if axis is None:
            x, axis = builder.reshape(x, (-1,)), 0
        builder.cast(builder.op(name, [x], axis=int(axis), keepdims=0), np.int32)
        return builder.nodes(output_names)

    return convert


convert_ArgMax = _index_of('ArgMax')
convert_ArgMin = _index_of('ArgMin')
