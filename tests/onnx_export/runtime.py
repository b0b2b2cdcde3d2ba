"""Shared by the tests of this folder: ONNX Runtime computes what was exported."""

import numpy as np
import onnxruntime

import chainlite
from chainlite.backends import cuda


class Function(chainlite.Chain):
    """A model that calls a function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *xs):
        return self.function(*xs)


def session(model):
    """A session without warnings, in one thread."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=['CPUExecutionProvider'])


def run(model, inputs):
    """The outputs of an exported model for {name: array}, of the host or a device; it need not use all of them."""
    runtime = session(model)
    used = {x.name for x in runtime.get_inputs()}
    return runtime.run(None, {name: cuda.to_cpu(x) for name, x in inputs.items() if name in used})


def assert_equal(ys, expected, rtol=1e-5, atol=1e-5):
    for y, e in zip(ys, expected, strict=True):
        assert y.dtype == e.dtype
        assert y.shape == e.shape
        np.testing.assert_allclose(y, cuda.to_cpu(e), rtol=rtol, atol=atol)
