"""Converters of functions with weights."""

from chainlite.onnx_chainer.functions.opset_version import support as support
from chainlite.onnx_chainer.onnx_helper import building, make_node


def convert_ConvolutionND(func, opset_version, input_names, output_names, context):
    if func.cover_all:
        raise ValueError(f'{func.label}: cover_all=True cannot be exported')
    x, W = func.inputs[:2]
    attributes = {
        'kernel_shape': W.shape[2:],
        'strides': func.stride,
        'pads': (*func.pad, *func.pad),
        'dilations': func.dilate,
        'group': func.groups,
    }
    return (make_node('Conv', input_names, output_names, **attributes),)


def convert_DeconvolutionND(func, opset_version, input_names, output_names, context):
    x, W = func.inputs[:2]
    ksize = W.shape[2:]
    # How much larger the output is than the window needs: cut off, or added, behind.
    natural = [
        s * (n - 1) + d * (k - 1) + 1 - 2 * p
        for n, k, s, p, d in zip(x.shape[2:], ksize, func.stride, func.pad, func.dilate)
    ]
    more = [out - n for out, n in zip(func.outs, natural)]
    attributes = {
        'kernel_shape': ksize,
        'strides': func.stride,
        'pads': (*func.pad, *(p - min(m, 0) for p, m in zip(func.pad, more))),
        'dilations': func.dilate,
        'group': func.groups,
    }
    if any(m > 0 for m in more):
        attributes['output_padding'] = [max(m, 0) for m in more]
    return (make_node('ConvTranspose', input_names, output_names, **attributes),)


convert_Convolution2DFunction = convert_ConvolutionND
convert_Deconvolution2DFunction = convert_DeconvolutionND


def convert_EmbedIDFunction(func, opset_version, input_names, output_names, context):
    if func.ignore_label is not None:
        raise ValueError(f'{func.label}: ignore_label cannot be exported')
    index, W = input_names
    return (make_node('Gather', [W, index], output_names, axis=0),)


@building
def convert_LinearFunction(func, builder, x, W, b=None):
    if b is None:
        builder.op('MatMul', [x, builder.transpose(W, (1, 0))])
    else:
        builder.op('Gemm', [x, W, b], transB=1)
