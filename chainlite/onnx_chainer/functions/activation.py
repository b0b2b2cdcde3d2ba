"""Converters of activation functions."""

from chainlite.onnx_chainer.functions.elementwise import operator
from chainlite.onnx_chainer.functions.opset_version import support as support
from chainlite.onnx_chainer.onnx_helper import Builder

convert_ELU = operator('Elu', alpha=lambda func: float(func.alpha))
convert_HardSigmoid = operator('HardSigmoid', alpha=0.2, beta=0.5)
convert_LeakyReLU = operator('LeakyRelu', alpha=lambda func: float(func.slope))
convert_PReLUFunction = operator('PRelu')
convert_ReLU = operator('Relu')
convert_Selu = operator('Selu')
convert_Sigmoid = operator('Sigmoid')
convert_Tanh = operator('Tanh')


def convert_ClippedReLU(func, opset_version, input_names, output_names, context):
    builder = Builder(opset_version, context)
    builder.clip(*input_names, 0.0, float(func.cap), func.inputs[0].dtype)
    return builder.nodes(output_names)


def _softmax(name):
    def convert(func, opset_version, input_names, output_names, context):
        builder = Builder(opset_version, context)
        builder.softmax(name, *input_names, func.axis, len(func.inputs[0].shape))
        return builder.nodes(output_names)

    return convert


convert_Softmax = _softmax('Softmax')
convert_LogSoftmax = _softmax('LogSoftmax')


def convert_Softplus(func, opset_version, input_names, output_names, context):
    builder = Builder(opset_version, context)
    beta = builder.const(func.beta, 'beta', func.inputs[0].dtype)
    builder.op('Div', [builder.op('Softplus', [builder.op('Mul', [*input_names, beta])]), beta])
    return builder.nodes(output_names)
