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


def _compute(build, a, b, window, shape, dtype):
    """A new array of that shape by the graph that `build` makes for two others; NotImplemented if it did not run."""
    window = _paddings(*window)
    if window is None or not (a.size and b.size and all(shape)):
        return NotImplemented
    last = wants_last(a)
    result = empty(shape, dtype, last)
    return result if run(build, [*_in(last, a, b), _wide(result)], window, last) else NotImplemented


def _plus(y, b):
    """y, to which the bias has been added."""
    if b is not None and y is not NotImplemented:
        y += b.astype(y.dtype, copy=False).reshape(-1, *[1] * (y.ndim - 2))
    return y


@convolve.when(cudnn, _takes)
def _(x, W, b, stride, pad, dilate, groups, outs, dtype):
    window = x.shape[2:], W.shape[2:], stride, pad, dilate, outs
    return _plus(_compute(build_forward, x, W, window, (len(x), len(W), *outs), dtype), b)


@deconvolve.when(cudnn, _takes)
def _(y, W, b, stride, pad, dilate, groups, dims, dtype):
    window = dims, W.shape[2:], stride, pad, dilate, y.shape[2:]
    return _plus(_compute(build_backward_data, y, W, window, (len(y), W.shape[1] * groups, *dims), dtype), b)


@filter_grad.when(cudnn, _takes)
def _(x, gy, ksize, stride, pad, dilate, groups, dtype):
    window = x.shape[2:], ksize, stride, pad, dilate, gy.shape[2:]
    shape = gy.shape[1], x.shape[1] // groups, *ksize
    gW = _compute(build_backward_filter, x, gy, window, shape, dtype)
    return gW if gW is NotImplemented or not is_last(gW) else from_last(gW)
