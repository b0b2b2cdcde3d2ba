"""The nodes of convolutions of any number of dimensions.

The form <conv(x, W), y> has three arrays, x (n, c, *dims), y (n, m, *outs) and W (m, c / groups, *ksize). Convolution
yields y from x and W, transposed convolution x from y and W, and the third node W, the gradient of the filter, from x
and y. Results have the dtype of the first input, gradients that of what they are the gradient of.
"""

import functools
from math import gcd, prod

import numpy as np

from chainlite._trilinear import Bilinear
from chainlite.backends._deferred import Convolved
from chainlite.backends._layout import is_last, preferred, roll
from chainlite.backends.cpu.conv import convolve, convolve_later, deconvolve, filter_grad
from chainlite.configuration import config
from chainlite.utils import type_check
from chainlite.utils._check import kind_of
from chainlite.utils.conv_nd import as_tuple, get_conv_outsize, get_deconv_outsize


class ConvolutionNode(Bilinear):
    """Base of the three.

    Attributes:
        ndim: the number N of spatial dimensions.
        stride, pad, dilate: tuples of N ints.
        groups: number of groups that the channels are split into.
        cover_all: whether the windows cover every element of x.
    """

    parameters = ('ndim', 'stride', 'pad', 'dilate', 'groups', 'cover_all')
    cover_all = False
    any_layout = gives_new = new_gradients = True

    def __init__(self, ndim, stride=1, pad=0, dilate=1, groups=1):
        self.ndim = ndim
        self.stride, self.pad, self.dilate = as_tuple(stride, ndim), as_tuple(pad, ndim), as_tuple(dilate, ndim)
        self.groups = groups
        for d in self.dilate:
            if d <= 0:
                raise ValueError(f'Dilate should be positive, but {d} is supplied.')
        if any([p < 0 for p in self.pad]):
            raise ValueError(f'pad must not be negative, but {self.pad} is supplied.')

    def forward(self, inputs):
        x, *others = inputs
        return (self.run(x if isinstance(x, np.ndarray) else preferred(x), *others),)

    def backward_arrays(self, target_input_indexes, grad_outputs):
        return super().backward_arrays(target_input_indexes, (preferred(grad_outputs[0]),))

    def bias_gradient(self, gy):
        if gy.dtype.itemsize == 2 or not isinstance(gy, np.ndarray):
            return super().bias_gradient(gy)
        if is_last(gy):
            n, m = gy.size // gy.shape[1], gy.shape[1]
            k = gcd(n, 1 << max(512 // m, 1).bit_length() - 1)  # pixels in a row, so that few long rows are added
            return (np.ones(n // k, gy.dtype) @ roll(gy).reshape(n // k, k * m)).reshape(k, m).sum(0)
        n, m, *outs = gy.shape
        if prod(outs) == 1:
            return gy.reshape(n, m).sum(0)
        # by matrix products: NumPy's fastest way to sum rows
        return (gy.reshape(n * m, prod(outs)) @ np.ones(prod(outs), gy.dtype)).reshape(n, m).sum(0)

    def _check_data_type_forward(self, in_data):
        if not 2 <= len(in_data) <= 3 or not self._fits(*in_data):  # then see in detail what is wrong, if anything is
            super()._check_data_type_forward(in_data)

    def _fits(self, *in_data):
        return False

    def _check_two_or_three(self, in_types):
        n_in = in_types.size()
        type_check.expect(2 <= n_in, n_in <= 3)
        x, W = in_types[:2]
        type_check.expect(x.dtype.kind == 'f', W.dtype.kind == 'f', x.ndim == self.ndim + 2, W.ndim == self.ndim + 2)
        return x, W, in_types[2] if type_check.eval(n_in) == 3 else None

    def _check_bias(self, b, x, size):
        if b is not None:
            type_check.expect(b.dtype == x.dtype if self.ndim == 2 else b.dtype.kind == 'f')
            type_check.expect(b.ndim == 1, b.shape[0] == size)


class Convolution(ConvolutionNode):
    """y from x, W and perhaps a bias (m).

    A prediction leaves it to be computed with what comes next, see backends._deferred.
    """

    place, input_names = 1, ('x', 'W', 'b')
    always_any = True

    def __init__(self, ndim, stride=1, pad=0, cover_all=False, dilate=1, groups=1):
        super().__init__(ndim, stride, pad, dilate, groups)
        self.cover_all = cover_all

    def _fits(self, x, W, b=None):
        return (
            x.ndim == W.ndim == self.ndim + 2
            and x.shape[1] == W.shape[1] * self.groups
            and len(W) % self.groups == 0
            and kind_of(x.dtype) == kind_of(W.dtype) == 'f'
            and (b is None or b.dtype == x.dtype and b.shape == W.shape[:1])
        )

    def check_type_forward(self, in_types):
        x, W, b = self._check_two_or_three(in_types)
        type_check.expect(x.shape[1] == W.shape[1] * self.groups, W.shape[0] % self.groups == 0)
        self._check_bias(b, x, W.shape[0])

    def _private_data(self, xs):
        x = xs[0]
        self._owns_x = x._private
        if x._private and not config.enable_backprop:
            x._lend()
        return super()._private_data(xs)

    def forward_any(self, inputs):
        x, W, *b = inputs
        if not config.enable_backprop and not config.debug and self.shape is None:
            last = x if self._owns_x else preferred(x)
            if self._owns_x or last is not x:
                window = self.stride, self.pad, self.dilate, self.groups, self._outs(x, W)
                run = convolve_later(last, W, *b or [None], *window)
                if run is not None:
                    return (Convolved(run, x, (len(x), len(W), *window[-1])),)
        return self.forward(inputs)

    def _outs(self, x, W):
        return self._windows(x.shape[2:], W.shape[2:], self.stride, self.pad, self.dilate, self.cover_all)

    def run(self, x, W, b=None):
        outs = self._outs(x, W) if self.shape is None else self.shape[2:]
        return convolve(x, W, b, self.stride, self.pad, self.dilate, self.groups, outs, self.dtype or x.dtype)

    @staticmethod
    @functools.lru_cache(1024)
    def _windows(dims, ksize, stride, pad, dilate, cover_all):
        windows = zip(dims, ksize, stride, pad, dilate)
        outs = tuple([get_conv_outsize(size, k, s, p, cover_all, d) for size, k, s, p, d in windows])
        if len(dims) == 2:
            assert outs[0] > 0, 'Height in the output should be positive.'
            assert outs[1] > 0, 'Width in the output should be positive.'
        assert all([out > 0 for out in outs]), 'Output sizes should be positive.'
        return outs


class Deconvolution(ConvolutionNode):
    """x from y, W and perhaps a bias (c).

    Attributes:
        outs: sizes of the result.
    """

    place, input_names = 0, ('x', 'W', 'b')
    outs = None

    def __init__(self, ndim, stride=1, pad=0, outsize=None, dilate=1, groups=1):
        super().__init__(ndim, stride, pad, dilate, groups)
        if outsize is not None:
            assert len(outsize) == ndim
            self.outs = tuple(outsize)

    def _fits(self, y, W, b=None):
        if self.shape is not None:
            return True  # a gradient
        return (
            self.outs is None
            and y.ndim == W.ndim == self.ndim + 2
            and y.shape[1] == len(W)
            and len(W) % self.groups == 0
            and kind_of(y.dtype) == kind_of(W.dtype) == 'f'
            and (b is None or b.dtype == y.dtype and b.shape == (W.shape[1] * self.groups,))
        )

    def check_type_forward(self, in_types):
        y, W, b = self._check_two_or_three(in_types)
        type_check.expect(y.shape[1] == W.shape[0], y.shape[1] % self.groups == 0)
        if self.outs is not None:
            for i, (out, s, p, d) in enumerate(zip(self.outs, self.stride, self.pad, self.dilate), 2):
                type_check.expect(
                    get_conv_outsize(out, W.shape[i], s, p, d=d) <= y.shape[i],
                    y.shape[i] <= get_conv_outsize(out, W.shape[i], s, p, cover_all=True, d=d),
                )
        self._check_bias(b, y, W.shape[1] * self.groups)

    def run(self, y, W, b=None):
        if self.shape is not None:
            self.outs = self.shape[2:]  # those of an array
        else:
            if self.outs is None:
                sizes = zip(y.shape[2:], W.shape[2:], self.stride, self.pad, self.dilate)
                self.outs = tuple([get_deconv_outsize(size, k, s, p, d=d) for size, k, s, p, d in sizes])
            self._check_positive(self.outs)
        return deconvolve(y, W, b, self.stride, self.pad, self.dilate, self.groups, self.outs, self.dtype or y.dtype)

    def _check_positive(self, outs):
        assert all([out > 0 for out in outs]), 'Output sizes should be positive.'


class GradW(ConvolutionNode):
    """W from x and y."""

    place = 2

    def run(self, x, y):
        return filter_grad(x, y, self.shape[2:], self.stride, self.pad, self.dilate, self.groups, self.dtype)
