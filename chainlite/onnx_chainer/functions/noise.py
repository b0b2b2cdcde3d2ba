"""Converters of noise, which the exported graph passes by."""

import numpy as np

from chainlite.onnx_chainer.functions.opset_version import support as support
from chainlite.onnx_chainer.onnx_helper import building


@building
def convert_Dropout(func, builder, x):
    if builder.opset < 12:
        builder.op('Dropout', [x], ratio=float(func.dropout_ratio))
    else:
        builder.op('Dropout', [x, builder.const(func.dropout_ratio, 'ratio', np.float32)])
