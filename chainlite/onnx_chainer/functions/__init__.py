"""Converters of functions, `convert_<class of the FunctionNode>`, by the families of :mod:`chainlite.functions`."""

from chainlite.onnx_chainer.functions import activation, array, connection, loss, math, noise, normalization, pooling

_FAMILIES = activation, array, connection, loss, math, noise, normalization, pooling

globals().update(
    {name: value for family in _FAMILIES for name, value in vars(family).items() if name.startswith('convert_')}
)
