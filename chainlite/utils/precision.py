"""Computing in float32 what is kept in float16."""

import functools

import numpy


def _fp16_mixed_precision_helper(f):
    """A decorator for `forward(self, inputs)`: float16 inputs come as float32, float32 outputs are made float16.

    It does nothing if there are inputs in a wider float.
    """

    @functools.wraps(f)
    def wrapper(self, inputs):
        if not all(x.dtype == numpy.float16 or x.dtype.kind != 'f' for x in inputs):
            return f(self, inputs)
        inputs = tuple(x.astype(numpy.float32) if x.dtype == numpy.float16 else x for x in inputs)
        outputs = f(self, inputs)
        return tuple(y.astype(numpy.float16) if y is not None and y.dtype == numpy.float32 else y for y in outputs)

    return wrapper
