"""Converters of pooling."""

import warnings

import numpy as np

from chainlite.onnx_chainer.functions.opset_version import support as support
from chainlite.onnx_chainer.onnx_helper import building, make_node


def _pads(func):
    """Padding before and behind; what `cover_all` reaches beyond the end is padding too."""
    sizes, outs = func.inputs[0].shape[2:], func.outputs[0]().shape[2:]
    reach = [(o - 1) * s + k - n - p for n, o, k, s, p in zip(sizes, outs, func.ksize, func.stride, func.pad)]
    behind = [max(r, p) for r, p in zip(reach, func.pad)] if func.cover_all else func.pad
    if any(p >= k for p, k in zip(behind, func.ksize)):
        raise ValueError(f'{func.label}: windows that lie outside of the image altogether cannot be exported')
    return (*func.pad, *behind)


def convert_MaxPoolingND(func, opset_version, input_names, output_names, context):
    attributes = {'kernel_shape': func.ksize, 'strides': func.stride, 'pads': _pads(func)}
    return (make_node('MaxPool', input_names, output_names, **attributes),)


def convert_AveragePoolingND(func, opset_version, input_names, output_names, context):
    """By default padding counts as zeros; `pad_value=None` of the function in n dimensions leaves it out."""
    attributes = {'kernel_shape': func.ksize, 'strides': func.stride, 'pads': _pads(func)}
    counts = getattr(func, 'pad_value', 0) is not None
    return (make_node('AveragePool', input_names, output_names, count_include_pad=int(counts), **attributes),)


convert_MaxPooling2D = convert_MaxPoolingND
convert_AveragePooling2D = convert_AveragePoolingND


def convert_ROIPooling2D(func, opset_version, input_names, output_names, context):
    warnings.warn(
        'ROIPooling2D: the rounding of the borders in ONNX may differ, and with it some results', stacklevel=2
    )
    attributes = {'pooled_shape': [func.outh, func.outw], 'spatial_scale': float(func.spatial_scale)}
    return (make_node('MaxRoiPool', input_names, output_names, **attributes),)


@building
def convert_Unpooling2D(func, builder, x):
    """Repetition of pixels, cut to the size of the output."""
    if func.ksize != func.stride or any(func.pad):
        raise ValueError(
            f'{func.label}: only windows that neither overlap nor leave gaps, without padding, are exported'
        )
    scales = builder.const([1, 1, *func.ksize], 'scales', np.float32)
    if builder.opset < 10:
        y = builder.op('Upsample', [x, scales], mode='nearest')
    elif builder.opset < 11:
        y = builder.op('Resize', [x, scales], mode='nearest')
    else:
        attributes = {'coordinate_transformation_mode': 'asymmetric', 'nearest_mode': 'floor'}
        roi = '' if builder.opset >= 13 else builder.const([], 'roi', np.float32)
        y = builder.op('Resize', [x, roi, scales], mode='nearest', **attributes)
    sizes = [n * k for n, k in zip(func.inputs[0].shape[2:], func.ksize)]
    if tuple(func.outs) != tuple(sizes):
        axes = list(range(2, 2 + len(sizes)))
        builder.slice(y, axes, [0] * len(axes), list(func.outs))


convert_UnpoolingND = convert_Unpooling2D
