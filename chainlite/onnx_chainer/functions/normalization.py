"""Converters of normalizations."""

import numpy as np

from chainlite.onnx_chainer.functions.opset_version import support as support
from chainlite.onnx_chainer.onnx_helper import building


def _normalization(func, builder, *names):
    """ONNX's operator normalizes axis 1: several axes of keys are made one, if they are the first after the batch."""
    x, keys = func.inputs[0], func.key_axis
    if keys != tuple(range(1, len(keys) + 1)):
        raise ValueError(f'{func.label}: axis={func.axis} cannot be exported: the axes after the first must be kept')
    names = list(names)
    if len(keys) > 1:
        names[0] = builder.reshape(names[0], (x.shape[0], -1, *x.shape[len(keys) + 1 :]))
        names[1:] = [builder.reshape(name, (-1,)) for name in names[1:]]
    y = builder.op('BatchNormalization', names, epsilon=float(func.eps))
    if len(keys) > 1:
        builder.reshape(y, x.shape)


@building
def convert_BatchNormalization(func, builder, *names):
    """In training mode: the mean and the variance of the batch that the model was exported with become constants."""
    dtype = func.inputs[0].dtype
    statistics = []
    for value, running, name in (func.mean, func.running_mean, 'avg_mean'), (func.var, func.running_var, 'avg_var'):
        known = None if running is None else builder.context.param_names.get(id(running))
        value = np.asarray(value.get() if hasattr(value, 'get') else value, dtype).reshape(func.inputs[1].shape)
        statistics.append(builder.context.add_param(value, known or name, use_original_name=known is not None))
    _normalization(func, builder, *names, *statistics)


convert_FixedBatchNormalization = building(_normalization)


@building
def convert_GroupNormalization(func, builder, data, gamma, beta):
    """Instance normalization of the groups, then the scale and offset of each channel."""
    x, dtype = func.inputs[0], func.inputs[0].dtype
    ones = builder.const(np.ones(func.groups), 'ones', dtype)
    zeros = builder.const(np.zeros(func.groups), 'zeros', dtype)
    h = builder.reshape(data, (x.shape[0], func.groups, -1))
    h = builder.op('InstanceNormalization', [h, ones, zeros], epsilon=float(func.eps))
    h = builder.reshape(h, x.shape)
    channels = (1, x.shape[1], *[1] * (len(x.shape) - 2))
    h = builder.op('Mul', [h, builder.reshape(gamma, channels)])
    builder.op('Add', [h, builder.reshape(beta, channels)])


@building
def convert_LocalResponseNormalization(func, builder, x):
    """ONNX divides alpha by the number of channels in the window; runtimes want four axes."""
    shape = func.inputs[0].shape
    if len(shape) != 4:
        x = builder.reshape(x, (*shape[:2], -1, 1))
    attributes = {'size': int(func.n), 'alpha': float(func.alpha * func.n), 'beta': float(func.beta)}
    y = builder.op('LRN', [x], bias=float(func.k), **attributes)
    if len(shape) != 4:
        builder.reshape(y, shape)


@building
def convert_NormalizeL2(func, builder, x):
    norm = builder.reduce('ReduceL2', x, func.axis, True)
    eps = builder.const(func.eps, 'eps', func.inputs[0].dtype)
    builder.op('Div', [x, builder.op('Add', [norm, eps])])
