"""Fourier transforms."""

from chainlite import backend
from chainlite.function_node import FunctionNode
from chainlite.variable import Variable


class FFT(FunctionNode):
    """Transform along the last axis; the method is 'fft' or 'ifft'. Real and imaginary parts are two arrays."""

    check = 'real: f (*s), imag: =real (*s)'

    def __init__(self, method):
        self.method = method

    def forward(self, inputs):
        real, imag = inputs
        y = getattr(backend.get_array_module(real).fft, self.method)(real + imag * 1j)
        self.dtype = real.dtype
        return y.real.astype(self.dtype), y.imag.astype(self.dtype)

    def backward(self, target_input_indexes, grad_outputs):
        # The transpose of the (real) linear map: the inverse transform but for its factor.
        known = next(g for g in grad_outputs if g is not None)
        zeros = backend.get_array_module(known).zeros_like(known.array)
        gys = [Variable(zeros, requires_grad=False) if g is None else g for g in grad_outputs]
        n = known.shape[-1]
        method, factor = ('ifft', n) if self.method == 'fft' else ('fft', 1 / n)
        gxs = FFT(method).apply(gys)
        return tuple([gxs[i] * factor for i in target_input_indexes])


def fft(x):
    """Fourier transform along the last axis.

    Args:
        x: pair of float arrays, real and imaginary part.

    Returns:
        Pair of Variables, real and imaginary part.
    """
    real, imag = x
    return FFT('fft').apply((real, imag))


def ifft(x):
    """Inverse Fourier transform along the last axis; arguments as for `fft`."""
    real, imag = x
    return FFT('ifft').apply((real, imag))
