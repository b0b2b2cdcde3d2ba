"""Convolutions by cuDNN; see cpu.conv for what the arguments are.

Images of 16 bits, and float32 where TF32 is allowed, are computed channels last, which is what tensor cores read;
others in the layout that they come in. One spatial dimension is computed as two.
"""

from chainlite.backends import cuda
from chainlite.backends._layout import as_last, from_last, is_last, unroll
from chainlite.backends.cpu.conv import convolve, deconvolve, filter_grad
from chainlite.backends.cudnn._backend import cudnn
from chainlite.backends.cudnn._plans import aligned, run
from chainlite.configuration import config


def _takes(a, b, *rest):
    dtype = rest[-1]
    return isinstance(b, cuda.ndarray) and a.dtype == b.dtype == dtype and a.dtype.char in 'eEfd' and 3 <= a.ndim <= 5


def wants_last(x):
    """Whether images are computed channels last."""
    return x.dtype.itemsize == 2 or is_last(x) or x.dtype == 'f' and config.compute_mode == 'tf32'


def _in(layout_last, *arrays):
    """The arrays in that layout, with two spatial dimensions if they have one."""
    change = as_last if layout_last else cuda.cupy.ascontiguousarray
    return [aligned(_wide(change(a))) for a in arrays]


def _wide(a):
    return a[:, :, None] if a.ndim == 3 else a


def empty(shape, dtype, last):
    """A new array in that layout."""
    n, c, *sizes = shape
    return unroll(cuda.cupy.empty((n, *sizes, c), dtype)) if last else cuda.cupy.empty(shape, dtype)


def _paddings(dims, ksize, stride, pad, dilate, outs):
    """cuDNN's description of the windows; None if it has none.

    The padding behind is that before, or what the last windows reach if these are more (`cover_all`) or fewer.
    """
    if len(dims) == 1:
        dims, ksize, stride, dilate, outs = [(1, *sizes) for sizes in (dims, ksize, stride, dilate, outs)]
        pad = 0, *pad
    behind = []
    for size, k, s, p, d, out in zip(dims, ksize, stride, pad, dilate, outs):
        reach = (out - 1) * s + d * (k - 1) + 1 - p - size
        behind.append(p if reach <= p < reach + s else reach)
    if min(behind) < 0:
        return None
    return tuple(pad), tuple(behind), tuple(stride), tuple(dilate)


def _window(pre, post, stride, dilate):
    return dict(pre_padding=list(pre), post_padding=list(post), stride=list(stride), dilation=list(dilate))


def build_forward(make, arrays, *window):
    """y of x and W."""
    x, W, y = arrays
    result = make.graph.conv_fprop(image=make.tensor(x), weight=make.tensor(W), **_window(*window))
    make.result(result, y)


def build_backward_data(make, arrays, *window):
    """x of y and W."""
    y, W, x = arrays
    make.result(make.graph.conv_dgrad(loss=make.tensor(y), filter=make.tensor(W), **_window(*window)), x)


def build_backward_filter(make, arrays, *window):
    """W of x and y."""
    x, y, W = arrays
    make.result(make.graph.conv_wgrad(image=make.tensor(x), loss=make.tensor(y), **_window(*window)), W)


def _add_bias(y, b):
    if b is not None:
        y += b.astype(y.dtype, copy=False).reshape(-1, *[1] * (y.ndim - 2))
    return y


@convolve.when(cudnn, _takes)
def _(x, W, b, stride, pad, dilate, groups, outs, dtype):
    window = _paddings(x.shape[2:], W.shape[2:], stride, pad, dilate, outs)
    shape = len(x), len(W), *outs
    if window is None or not (x.size and W.size and all(shape)):
        return NotImplemented
    last = wants_last(x)
    y = empty(shape, dtype, last)
    ran = run(build_forward, [*_in(last, x, W), _wide(y)], window, last)
    return _add_bias(y, b) if ran else NotImplemented


@deconvolve.when(cudnn, _takes)
def _(y, W, b, stride, pad, dilate, groups, dims, dtype):
    window = _paddings(dims, W.shape[2:], stride, pad, dilate, y.shape[2:])
    shape = len(y), W.shape[1] * groups, *dims
    if window is None or not (y.size and W.size and all(shape)):
        return NotImplemented
    last = wants_last(y)
    x = empty(shape, dtype, last)
    ran = run(build_backward_data, [*_in(last, y, W), _wide(x)], window, last)
    return _add_bias(x, b) if ran else NotImplemented


@filter_grad.when(cudnn, _takes)
def _(x, gy, ksize, stride, pad, dilate, groups, dtype):
    window = _paddings(x.shape[2:], ksize, stride, pad, dilate, gy.shape[2:])
    if window is None or not (x.size and gy.size):
        return NotImplemented
    last = wants_last(x)
    gW = empty((gy.shape[1], x.shape[1] // groups, *ksize), dtype, last)
    if not run(build_backward_filter, [*_in(last, x, gy), _wide(gW)], window, last):
        return NotImplemented
    return from_last(gW) if is_last(gW) else gW
