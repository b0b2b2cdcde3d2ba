"""Converters of losses."""

import numpy as np

from chainlite.onnx_chainer.functions.opset_version import support as support
from chainlite.onnx_chainer.onnx_helper import Builder


def convert_SoftmaxCrossEntropy(func, opset_version, input_names, output_names, context):
    if func.class_weight is not None:
        raise ValueError(f'{func.label}: class_weight cannot be exported')
    x, t = func.inputs
    builder = Builder(opset_version, context)
    log_p = builder.softmax('LogSoftmax', input_names[0], 1, len(x.shape))
    label = builder.cast(input_names[1], np.int64)
    ignored = builder.op('Equal', [label, builder.const(func.ignore_label, 'ignore_label', np.int64)])
    valid = builder.cast(builder.op('Not', [ignored]), x.dtype)
    chosen = builder.op('Mul', [log_p, builder.one_hot(label, x.shape[1], 1, x.dtype)])
    loss = builder.op('Mul', [builder.op('Neg', [builder.reduce('ReduceSum', chosen, [1], False)]), valid])
    if func.reduce == 'mean':
        if func.normalize:
            count = builder.reduce('ReduceSum', valid, None, False)
            count = builder.op('Max', [count, builder.const(1, 'one', x.dtype)])
        else:
            count = builder.const(x.shape[0], 'count', x.dtype)
        builder.op('Div', [builder.reduce('ReduceSum', loss, None, False), count])
    return builder.nodes(output_names)


def convert_MeanSquaredError(func, opset_version, input_names, output_names, context):
    builder = Builder(opset_version, context)
    d = builder.op('Sub', input_names)
    builder.reduce('ReduceMean', builder.op('Mul', [d, d]), None, False)
    return builder.nodes(output_names)
