"""Converters of noise, which the exported graph passes by."""

import numpy as np

from chainlite.onnx_chainer.functions.opset_version import support as support
from chainlite.onnx_chainer.onnx_helper import Builder


def convert_Dropout(func, opset_version, input_names, output_names, context):
    builder = Builder(opset_version, context)
    if opset_version < 12:
        builder.op('Dropout', input_names, ratio=float(func.dropout_ratio))
    else:
        builder.op('Dropout', [*input_names, builder.const(func.dropout_ratio, 'ratio', np.float32)])
    return builder.nodes(output_names)
