"""Layers over images: convolution, matrix product, pooling and normalization."""

from functools import partial

import numpy

from chainlite import functions as F
from chainlite.link import Link
from chainlite.links.caffe._reader import CaffeModelError, array_of, shape_of
from chainlite.links.caffe._registry import LARGEST, arrays_of, param_of, sets_up, values_of, within
from chainlite.links.connection.bias import Bias
from chainlite.links.connection.convolution_2d import Convolution2D
from chainlite.links.connection.deconvolution_2d import Deconvolution2D
from chainlite.links.connection.linear import Linear
from chainlite.links.connection.scale import Scale
from chainlite.links.normalization.batch_normalization import BatchNormalization
from chainlite.variable import Parameter

_LARGEST_PAD = 512
_MOST_DENSE_GROUPS = 8


# -- convolution and matrix product ------------------------------------------------------------------------------------


def _per_axis(listed, h, w, what, default, lowest, highest=LARGEST):
    """A number or a pair, of the three ways to say it."""
    if h or w:
        values = [h, w]
    elif len(listed) > 2:
        raise CaffeModelError(f'{what} has {len(listed)} numbers: only two-dimensional layers are supported')
    else:
        values = list(listed) or [default]
    for value in values:
        within(value, what, lowest, highest)
    return values[0] if len(values) == 1 else tuple(values)


def _geometry(param):
    ksize = _per_axis(param.kernel_size, param.kernel_h, param.kernel_w, 'kernel_size', 0, 1)
    stride = _per_axis(param.stride, param.stride_h, param.stride_w, 'stride', 1, 1)
    pad = _per_axis(param.pad, param.pad_h, param.pad_w, 'pad', 0, 0, _LARGEST_PAD)
    dilate = _per_axis(param.dilation, 0, 0, 'dilation', 1, 1)
    return ksize, stride, pad, dilate


def _grouped_filters(layer, param, ksize):
    """The filters of a convolution or deconvolution, and its number of groups.

    Chainer puts the filters of groups on the diagonal of one large array. So do we for up to eight; for more than that,
    as in depthwise convolutions, it would be a waste, and the convolution itself has groups.
    """
    groups = within(param.group, 'group', 1, 1 << 20)
    blob = arrays_of(layer, 1)[0]
    shape = shape_of(blob)
    if len(shape) != 4:
        raise CaffeModelError(f'filters of {len(shape)} axes are not supported')
    n, channels = shape[:2]
    W = array_of(blob, (n, channels, *(ksize if isinstance(ksize, tuple) else (ksize, ksize))), 'filters')
    if n == 0 or n % groups:
        raise CaffeModelError(f'{n} filters do not make {groups} groups')
    if not 1 < groups <= _MOST_DENSE_GROUPS:
        return W, groups
    dense = numpy.zeros((n, channels * groups, *W.shape[2:]), W.dtype)
    part = n // groups
    for i in range(groups):
        rows = slice(i * part, (i + 1) * part)
        dense[rows, i * channels : (i + 1) * channels] = W[rows]
    return dense, 1


def _convolve(layer, make, channels_of):
    param = layer.convolution_param
    if param.axis != 1:
        raise CaffeModelError(f'convolution along axis {param.axis} is not supported')
    ksize, stride, pad, dilate = _geometry(param)
    W, groups = _grouped_filters(layer, param, ksize)
    n_in, n_out = channels_of(W, groups)
    if param.num_output not in (0, n_out):
        raise CaffeModelError(f'num_output is {param.num_output}, but the filters make {n_out} channels')
    b = array_of(arrays_of(layer, 2)[1], (n_out,), 'the bias') if param.bias_term else None
    return make(
        n_in,
        n_out,
        ksize,
        stride,
        pad,
        nobias=b is None,
        initialW=W,
        initial_bias=b,
        dilate=dilate,
        groups=groups,
    )


@sets_up('Convolution', 'DepthwiseConvolution', 'ConvolutionDepthwise')
def _convolution(layer):
    return _convolve(layer, Convolution2D, lambda W, groups: (W.shape[1] * groups, W.shape[0]))


@sets_up('Deconvolution')
def _deconvolution(layer):
    return _convolve(layer, Deconvolution2D, lambda W, groups: (W.shape[0], W.shape[1] * groups))


@sets_up('InnerProduct')
def _inner_product(layer):
    param = layer.inner_product_param
    if param.axis < 1:
        raise CaffeModelError('Non-default axis in InnerProduct is not supported')
    blob = arrays_of(layer, 1)[0]
    shape = shape_of(blob)
    if len(shape) not in (2, 4):
        raise CaffeModelError(f'{len(shape)}-dimensional array is not supported')
    W = array_of(blob, shape[-2:], 'the matrix')
    if param.transpose:
        W = W.T.copy()
    if param.num_output not in (0, len(W)):
        raise CaffeModelError(f'num_output is {param.num_output}, but the matrix has {len(W)} rows')
    b = array_of(arrays_of(layer, 2)[1], (len(W),), 'the bias') if param.bias_term else None
    link = Linear(W.shape[1], len(W), nobias=b is None, initialW=W, initial_bias=b)
    return link if param.axis == 1 else (link, {'n_batch_axes': within(param.axis, 'axis', 1, 8)})


@sets_up('Embed')
def _embed(layer):
    W = array_of(arrays_of(layer, 1)[0], shape_of(layer.blobs[0])[-2:], 'the matrix')
    b = array_of(arrays_of(layer, 2)[1], (W.shape[1],), 'the bias') if layer.embed_param.bias_term else None
    return _Embedding(W, b)


class _Embedding(Link):
    """Rows of a matrix, plus a bias."""

    def __init__(self, W, b):
        super().__init__()
        with self.init_scope():
            self.W = Parameter(W.copy())
            if b is not None:
                self.b = Parameter(b.copy())

    def forward(self, x):
        y = F.embed_id(x.array.astype(numpy.int32), self.W)
        return F.bias(y, self.b, axis=y.ndim - 1) if hasattr(self, 'b') else y


# -- pooling -----------------------------------------------------------------------------------------------------------


@sets_up('Pooling')
def _pooling(layer):
    param = layer.pooling_param
    if param.pool == 2:
        raise CaffeModelError('Stochastic pooling is not supported')
    within(param.pool, 'the method of pooling', 0, 1)
    pool = (_max_pool, _average_pool)[param.pool]
    if param.global_pooling:
        return partial(_pool_all, pool=pool)
    ksize = _per_axis([param.kernel_size], param.kernel_h, param.kernel_w, 'kernel_size', 0, 1)
    stride = _per_axis([param.stride], param.stride_h, param.stride_w, 'stride', 1, 1)
    pad = _per_axis([param.pad], param.pad_h, param.pad_w, 'pad', 0, 0, _LARGEST_PAD)
    return partial(pool, ksize=ksize, stride=stride, pad=pad, ceil=param.round_mode == 0)


def _pool_all(x, pool):
    return pool(x, x.shape[2:], 1, 0)


def _window_counts(shape, ksize, stride, pad, ceil):
    """How many windows there are, the last of which may leave the image, and how many of them are whole.

    As in Caffe, a window that would begin beyond the image and the padding before it is left out.
    """
    counts = []
    for n, k, s, p in zip(shape[-2:], *map(_pair, (ksize, stride, pad))):
        whole = (n + 2 * p - k) // s + 1
        count = whole if not ceil else -((k - n - 2 * p) // s) + 1
        if ceil and 0 < p < k and (count - 1) * s >= n + p:
            count -= 1
        counts.append((count, whole))
    return counts


def _pair(value):
    return value if isinstance(value, tuple) else (value, value)


def _max_pool(x, ksize, stride, pad, ceil=True):
    if not ceil:
        return F.max_pooling_2d(x, ksize, stride=stride, pad=pad, cover_all=False)
    y = F.max_pooling_2d(x, ksize, stride=stride, pad=pad)
    counts = [count for count, _ in _window_counts(x.shape, ksize, stride, pad, True)]
    if _pair(pad) != (0, 0) and any(have == count + 1 for have, count in zip(y.shape[2:], counts)):
        y = y[:, :, : counts[0], : counts[1]]
    return y


def _average_pool(x, ksize, stride, pad, ceil=True):
    """Average pooling; padding counts as zeros, what lies beyond the padding does not count."""
    (oh, whole_h), (ow, whole_w) = _window_counts(x.shape, ksize, stride, pad, ceil)
    if (oh, ow) == (whole_h, whole_w):
        return F.average_pooling_2d(x, ksize, stride=stride, pad=pad)
    ends, shares = [], []
    for n, out, k, s, p in zip(x.shape[2:], (oh, ow), *map(_pair, (ksize, stride, pad))):
        starts = numpy.arange(out) * s
        ends.append((p, max((out - 1) * s + k - n - p, 0)))
        shares.append(k / (numpy.minimum(starts + k, n + 2 * p) - starts))
    y = F.average_pooling_2d(F.pad(x, [(0, 0), (0, 0), *ends], 'constant'), ksize, stride=stride, pad=0)[:, :, :oh, :ow]
    share = y.xp.asarray(numpy.outer(*shares), y.dtype)
    return y * F.broadcast_to(share, y.shape)


# -- normalization -----------------------------------------------------------------------------------------------------


@sets_up('LRN')
def _lrn(layer):
    param = layer.lrn_param
    n = within(param.local_size, 'local_size', 1)
    if param.norm_region == 0:
        return partial(_normalize_across, n=n, k=param.k, alpha=param.alpha / n, beta=param.beta)
    if n % 2 == 0:
        raise CaffeModelError(f'local_size is {n}, within a channel it should be odd')
    return partial(_normalize_within, n=n, alpha=param.alpha, beta=param.beta)


def _normalize_across(x, **params):
    return F.local_response_normalization(x, **params)


def _normalize_within(x, n, alpha, beta):
    energy = F.average_pooling_2d(x * x, n, stride=1, pad=(n - 1) // 2)
    return x * (energy * alpha + 1) ** -beta


@sets_up('BatchNorm')
def _batch_norm(layer):
    param = layer.batch_norm_param
    mean, var = (values_of(blob, what) for blob, what in zip(arrays_of(layer, 2), ('the mean', 'the variance')))
    if len(mean) != len(var):
        raise CaffeModelError(f'there are {len(mean)} means and {len(var)} variances')
    if len(layer.blobs) > 2:  # sums were stored: their weight is the third
        (weight,) = array_of(layer.blobs[2], (1,), 'the weight of the statistics')
        scale = 0 if weight == 0 else 1 / weight
        mean, var = mean * scale, var * scale
    link = BatchNormalization(
        len(mean), decay=param.moving_average_fraction, eps=param.eps, use_gamma=False, use_beta=False
    )
    link.avg_mean[...] = mean
    link.avg_var[...] = var
    options = {'finetune': False}
    return (link, {**options, 'test': True} if param.use_global_stats else options)


def _broadcast_params(layer, index, what):
    blob = arrays_of(layer, index + 1)[index]
    if not blob.HasField('shape'):
        return values_of(blob, what)
    return array_of(blob, shape_of(blob), what)


@sets_up('Scale')
def _scale(layer):
    param = layer.scale_param
    W = _broadcast_params(layer, 0, 'the factors') if len(layer.bottom) < 2 else None
    b = None
    if param.bias_term:
        b = _broadcast_params(layer, 0 if W is None else 1, 'the bias')
        if W is not None and b.shape != W.shape:
            raise CaffeModelError(f'factors have the shape {W.shape}, the bias {b.shape}')
    link = Scale(param.axis, None if W is None else W.shape, b is not None, None if b is None else b.shape)
    if W is not None:
        link.W.array[...] = W
    if b is not None:
        link.bias.b.array[...] = b
    return link


@sets_up('Bias')
def _bias(layer):
    b = _broadcast_params(layer, 0, 'the bias') if len(layer.bottom) < 2 else None
    link = Bias(param_of(layer, 'bias_param', 'BiasParameter').axis, None if b is None else b.shape)
    if b is not None:
        link.b.array[...] = b
    return link


@sets_up('Normalize')
def _normalize(layer):
    param = param_of(layer, 'norm_param', 'NormalizeParameter')
    W = values_of(arrays_of(layer, 1)[0], 'the factors')
    if param.channel_shared and len(W) != 1:
        raise CaffeModelError(f'there should be one factor for all channels, not {len(W)}')
    return _Normalization(W, param.across_spatial, param.eps)


class _Normalization(Link):
    """Division by the norm, over the channels or all of an image, and multiplication by a factor for each channel."""

    def __init__(self, W, across_spatial, eps):
        super().__init__()
        self._axes = (1, 2, 3) if across_spatial else (1,)
        self._eps = eps
        with self.init_scope():
            self.W = Parameter(W.copy())

    def forward(self, x):
        norm = F.sqrt(F.sum(x * x, axis=self._axes, keepdims=True) + self._eps)
        W = F.reshape(self.W, (1, -1, 1, 1))
        return x / F.broadcast_to(norm, x.shape) * F.broadcast_to(W, x.shape)


@sets_up('MVN')
def _mvn(layer):
    param = param_of(layer, 'mvn_param', 'MVNParameter')
    return partial(
        _standardize,
        axes=(1, 2, 3) if param.across_channels else (2, 3),
        divide=param.normalize_variance,
        eps=param.eps,
    )


def _standardize(x, axes, divide, eps):
    x = x - F.broadcast_to(F.mean(x, axis=axes, keepdims=True), x.shape)
    if not divide:
        return x
    deviation = F.sqrt(F.mean(x * x, axis=axes, keepdims=True)) + eps
    return x / F.broadcast_to(deviation, x.shape)
