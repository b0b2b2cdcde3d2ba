"""Converters of normalizations."""

import numpy as np

from chainlite.onnx_chainer.functions.opset_version import support as support
from chainlite.onnx_chainer.onnx_helper import Builder


def _convert_normalization(func, opset_version, input_names, output_names, context):
    """ONNX's operator normalizes axis 1: several axes of keys are made one, if they are the first after the batch."""
    x, keys = func.inputs[0], func.key_axis
    if keys != tuple(range(1, len(keys) + 1)):
        raise ValueError(f'{func.label}: axis={func.axis} cannot be exported: the axes after the first must be kept')
    builder = Builder(opset_version, context)
    names = list(input_names)
    if len(keys) > 1:
        names[0] = builder.reshape(names[0], (x.shape[0], -1, *x.shape[len(keys) + 1 :]))
        names[1:] = [builder.reshape(name, (-1,)) for name in names[1:]]
    y = builder.op('BatchNormalization', names, epsilon=float(func.eps))
    if len(keys) > 1:
        builder.reshape(y, x.shape)
    return builder.nodes(output_names)


def convert_BatchNormalization(func, opset_version, input_names, output_names, context):
    """In training mode: the mean and the variance of the batch that the model was exported with become constants."""
    dtype = func.inputs[0].dtype
    statistics = []
    for value, running, name in (func.mean, func.running_mean, 'avg_mean'), (func.var, func.running_var, 'avg_var'):
        known = None if running is None else context.param_names.get(id(running))
        value = np.asarray(value.get() if hasattr(value, 'get') else value, dtype).reshape(func.inputs[1].shape)
        statistics.append(context.add_param(value, known or name, use_original_name=known is not None))
    return _convert_normalization(func, opset_version, [*input_names, *statistics], output_names, context)


def convert_FixedBatchNormalization(func, opset_version, input_names, output_names, context):
    return _convert_normalization(func, opset_version, input_names, output_names, context)


def convert_GroupNormalization(func, opset_version, input_names, output_names, context):
    """Instance normalization of the groups, then the scale and offset of each channel."""
    x, dtype = func.inputs[0], func.inputs[0].dtype
    builder = Builder(opset_version, context)
    data, gamma, beta = input_names
    ones = builder.const(np.ones(func.groups), 'ones', dtype)
    zeros = builder.const(np.zeros(func.groups), 'zeros', dtype)
    h = builder.reshape(data, (x.shape[0], func.groups, -1))
    h = builder.op('InstanceNormalization', [h, ones, zeros], epsilon=float(func.eps))
    h = builder.reshape(h, x.shape)
    channels = (1, x.shape[1], *[1] * (len(x.shape) - 2))
    h = builder.op('Mul', [h, builder.reshape(gamma, channels)])
    builder.op('Add', [h, builder.reshape(beta, channels)])
    return builder.nodes(output_names)


def convert_LocalResponseNormalization(func, opset_version, input_names, output_names, context):
    """ONNX divides alpha by the number of channels in the window; runtimes want four axes."""
    shape = func.inputs[0].shape
    builder = Builder(opset_version, context)
    x = input_names[0] if len(shape) == 4 else builder.reshape(input_names[0], (*shape[:2], -1, 1))
    attributes = {'size': int(func.n), 'alpha': float(func.alpha * func.n), 'beta': float(func.beta)}
    y = builder.op('LRN', [x], bias=float(func.k), **attributes)
    if len(shape) != 4:
        builder.reshape(y, shape)
    return builder.nodes(output_names)


def convert_NormalizeL2(func, opset_version, input_names, output_names, context):
    builder = Builder(opset_version, context)
    norm = builder.reduce('ReduceL2', *input_names, func.axis, True)
    eps = builder.const(func.eps, 'eps', func.inputs[0].dtype)
    builder.op('Div', [*input_names, builder.op('Add', [norm, eps])])
    return builder.nodes(output_names)
