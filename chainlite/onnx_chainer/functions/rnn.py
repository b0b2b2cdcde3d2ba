"""Recurrent networks: :mod:`chainlite.functions.rnn` unrolls them into functions that have converters of their own."""

from chainlite.onnx_chainer.functions.opset_version import support as support
