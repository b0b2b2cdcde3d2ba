"""Convolutions by columns and matrix products; see cpu.conv for what the arguments are, and kernels/conv.cu.

They take what conv_depthwise, conv_pointwise and conv_implicit leave. Without groups, the columns of each image are a
matrix and the product is the result as it should be. With groups there is a product for each group, over all images,
whose result has yet to be turned: (m, n, *outs) to (n, m, *outs). The columns of at most `WORKSPACE` bytes are made at
a time.

Images that are channels last are copied to be C-contiguous, and the results are turned back.
"""

from math import prod

from chainlite.backends import cuda
from chainlite.backends.cpu.conv import compute_dtype, convolve, deconvolve, filter_grad
from chainlite.backends.gpu import conv_depthwise, conv_implicit, conv_pointwise, gpu  # noqa: F401  (asked first)
from chainlite.backends.gpu._gemm import gemm
from chainlite.backends.gpu._launch import contiguous, function, index_type, is_float, launch
from chainlite.backends.gpu._transpose import as_layout_of
from chainlite.backends.gpu._windows import windows

WORKSPACE = 128 << 20


def _takes(a, b, *rest):
    return is_float(a, b) and 3 <= a.ndim <= 5


def _same(a, b):
    """Both in one dtype: their own or, if these differ, that to compute in."""
    if a.dtype != b.dtype:
        dtype = compute_dtype(a, b)
        a, b = a.astype(dtype, copy=False), b.astype(dtype, copy=False)
    return a, b


class _Columns:
    """The columns of some images at a time: (n, rows, outs), or (rows, n, outs) if `together`."""

    def __init__(self, x_shape, dtype, ksize, stride, pad, dilate, outs, together):
        n, self.channels, *dims = x_shape
        self.windows = windows(tuple(dims), tuple(ksize), tuple(stride), tuple(pad), tuple(dilate), tuple(outs))
        self.rows, self.outs, self.together = self.channels * prod(ksize), prod(outs), together
        self.ndim, self.dtype = len(outs), dtype
        step = min(n, max(1, WORKSPACE // (self.rows * self.outs * dtype.itemsize)))
        self.parts = [slice(i, min(i + step, n)) for i in range(0, n, step)]
        self.buffer = cuda.cupy.empty(step * self.rows * self.outs, dtype)
        self.pointwise = prod(ksize) == prod(stride) == 1 and not any(pad) and tuple(outs) == tuple(dims)

    def of(self, n):
        """Room for the columns of n images."""
        shape = (self.rows, n, self.outs) if self.together else (n, self.rows, self.outs)
        return self.buffer[: n * self.rows * self.outs].reshape(shape)

    def _steps(self, n):
        return (self.outs, n * self.outs) if self.together else (self.rows * self.outs, self.outs)

    def read(self, x):
        """The columns of images."""
        if self.pointwise and (len(x) == 1 or not self.together):
            return x.reshape(self.of(len(x)).shape)
        col = self.of(len(x))
        run = function('conv.im2col', self.dtype, index_type(x, col), self.ndim)
        steps = self._steps(len(x))
        launch(run, len(x) * self.channels * self.outs, x, col, self.windows, self.channels, *steps)
        return col

    def write(self, col, b, x):
        """Sums columns up to images."""
        run = function('conv.col2im', col.dtype, x.dtype, index_type(x, col), self.ndim)
        launch(run, x.size, col, b, x, self.windows, self.channels, *self._steps(len(x)))


def _turned(y):
    """(m, n, o) of (n, m, *outs)."""
    (y,) = contiguous(y.reshape(*y.shape[:2], -1).swapaxes(0, 1))
    return y


def _of_groups(a, groups):
    """A matrix for each group."""
    return a.reshape(groups, len(a) // groups, -1)


def _plus(y, b):
    """y, to which the bias has been added."""
    if b is not None:
        y += b.astype(y.dtype, copy=False).reshape(-1, *[1] * (y.ndim - 2))
    return y


@convolve.when(gpu, _takes)
def _(x, W, b, stride, pad, dilate, groups, outs, dtype):
    given = x
    x, W = _same(x, W)
    shape = len(x), len(W), *outs
    x, W = contiguous(x, W)
    y = cuda.cupy.empty(shape, x.dtype)
    if not y.size:
        return y.astype(dtype, copy=False)
    columns = _Columns(x.shape, x.dtype, W.shape[2:], stride, pad, dilate, outs, together=groups > 1)
    w = _of_groups(W, groups)
    for part in columns.parts:
        col, out = columns.read(x[part]), y[part]
        if groups == 1:
            gemm(w, col, out.reshape(len(out), len(W), -1))
        else:
            turned = cuda.cupy.empty((len(W), len(out), columns.outs), y.dtype)
            gemm(w, _of_groups(col, groups), _of_groups(turned, groups))
            out[...] = turned.swapaxes(0, 1).reshape(out.shape)
    return as_layout_of(given, _plus(y, b).astype(dtype, copy=False))


@deconvolve.when(gpu, _takes)
def _(y, W, b, stride, pad, dilate, groups, dims, dtype):
    given = y
    y, W = _same(y, W)
    shape = len(y), W.shape[1] * groups, *dims
    y, W = contiguous(y, W)
    x = cuda.cupy.empty(shape, y.dtype)
    if not x.size:
        return x.astype(dtype, copy=False)
    if b is not None:
        (b,) = contiguous(b.astype(x.dtype, copy=False))
    window = W.shape[2:], stride, pad, dilate, y.shape[2:]
    columns = _Columns(x.shape, compute_dtype(y), *window, together=groups > 1)
    w = _of_groups(W, groups).swapaxes(1, 2)
    for part in columns.parts:
        image = y[part]
        col = columns.of(len(image))
        if groups == 1:
            gemm(w, image.reshape(len(image), len(W), -1), col)
        else:
            gemm(w, _of_groups(_turned(image), groups), _of_groups(col, groups))
        columns.write(col, b, x[part])
    return as_layout_of(given, x.astype(dtype, copy=False))


@filter_grad.when(gpu, _takes)
def _(x, gy, ksize, stride, pad, dilate, groups, dtype):
    x, gy = _same(x, gy)
    x, gy = contiguous(x, gy)
    columns = _Columns(x.shape, x.dtype, ksize, stride, pad, dilate, gy.shape[2:], together=True)
    gW = cuda.cupy.empty((gy.shape[1], x.shape[1] // groups, *ksize), compute_dtype(x))
    for part in columns.parts:
        col = _of_groups(columns.read(x[part]), groups).swapaxes(1, 2)
        gemm(_of_groups(_turned(gy[part]), groups), col, _of_groups(gW, groups), add=part.start > 0)
    return gW.astype(dtype, copy=False)
