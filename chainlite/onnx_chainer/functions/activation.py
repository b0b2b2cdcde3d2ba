"""Converters of activation functions."""

from chainlite.onnx_chainer.functions.elementwise import operator
from chainlite.onnx_chainer.functions.opset_version import support as support
from chainlite.onnx_chainer.onnx_helper import building

convert_ELU = operator('Elu', alpha=lambda func: float(func.alpha))
convert_HardSigmoid = operator('HardSigmoid', alpha=0.2, beta=0.5)
convert_LeakyReLU = operator('LeakyRelu', alpha=lambda func: float(func.slope))
convert_PReLUFunction = operator('PRelu')
convert_ReLU = operator('Relu')
convert_Selu = operator('Selu')
convert_Sigmoid = operator('Sigmoid')
convert_Tanh = operator('Tanh')


@building
def convert_ClippedReLU(func, builder, x):
    builder.clip(x, 0.0, float(func.cap), func.inputs[0].dtype)


def _softmax(name):
    @building
    def convert(func, builder, x):
        builder.softmax(name, x, func.axis, len(func.inputs[0].shape))

    return convert


convert_Softmax = _softmax('Softmax')
convert_LogSoftmax = _softmax('LogSoftmax')


@building
def convert_Softplus(func, builder, x):
    beta = builder.const(func.beta, 'beta', func.inputs[0].dtype)
    builder.op('Div', [builder.op('Softplus', [builder.op('Mul', [x, beta])]), beta])
