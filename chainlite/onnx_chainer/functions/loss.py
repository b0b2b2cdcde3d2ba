"""Converters of losses."""

import numpy as np

from chainlite.onnx_chainer.functions.opset_version import support as support
from chainlite.onnx_chainer.onnx_helper import building


@building
def convert_SoftmaxCrossEntropy(func, builder, x, t):
    if func.class_weight is not None:
        raise ValueError(f'{func.label}: class_weight cannot be exported')
    shape, dtype = func.inputs[0].shape, func.inputs[0].dtype
    log_p = builder.softmax('LogSoftmax', x, 1, len(shape))
    label = builder.cast(t, np.int64)
    ignored = builder.op('Equal', [label, builder.const(func.ignore_label, 'ignore_label', np.int64)])
    valid = builder.cast(builder.op('Not', [ignored]), dtype)
    chosen = builder.op('Mul', [log_p, builder.one_hot(label, shape[1], 1, dtype)])
    loss = builder.op('Mul', [builder.op('Neg', [builder.reduce('ReduceSum', chosen, [1], False)]), valid])
    if func.reduce == 'mean':
        if func.normalize:
            count = builder.reduce('ReduceSum', valid, None, False)
            count = builder.op('Max', [count, builder.const(1, 'one', dtype)])
        else:
            count = builder.const(shape[0], 'count', dtype)
        builder.op('Div', [builder.reduce('ReduceSum', loss, None, False), count])


@building
def convert_MeanSquaredError(func, builder, x0, x1):
    d = builder.op('Sub', [x0, x1])
    builder.reduce('ReduceMean', builder.op('Mul', [d, d]), None, False)
