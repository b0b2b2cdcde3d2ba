"""Layers without windows: activations, arithmetic, losses and changes of shape.

Functions are named by the module `functions` when a layer is set up or called, and made partial by their parameters, so
that they can be pickled.
"""

import math
from functools import partial

from chainlite import functions as F
from chainlite.links.activation.prelu import PReLU
from chainlite.links.caffe._reader import CaffeModelError
from chainlite.links.caffe._registry import LARGEST, SETUPS, arrays_of, param_of, sets_up, type_of, values_of, within
from chainlite.links.caffe.protobuf3 import caffe_pb2

# -- activations and arithmetic ----------------------------------------------------------------------------------------


@sets_up('ReLU')
def _relu(layer):
    slope = layer.relu_param.negative_slope
    return partial(F.leaky_relu, slope=slope) if slope else F.relu


@sets_up('PReLU')
def _prelu(layer):
    W = values_of(arrays_of(layer, 1)[0], 'the slopes')
    if layer.prelu_param.channel_shared:
        if len(W) != 1:
            raise CaffeModelError(f'there should be one slope for all channels, not {len(W)}')
        W = W.reshape(())
    return PReLU(W.shape, W)


SETUPS['Sigmoid'] = lambda layer: F.sigmoid
SETUPS['TanH'] = lambda layer: F.tanh
SETUPS['AbsVal'] = lambda layer: F.absolute
SETUPS['BNLL'] = lambda layer: F.softplus
SETUPS['ELU'] = lambda layer: partial(F.elu, alpha=layer.elu_param.alpha)
SETUPS['Dropout'] = lambda layer: partial(F.dropout, ratio=layer.dropout_param.dropout_ratio)
SETUPS['Swish'] = lambda layer: partial(_swish, beta=layer.swish_param.beta)
SETUPS['Clip'] = lambda layer: partial(F.clip, x_min=layer.clip_param.min, x_max=layer.clip_param.max)
SETUPS['Threshold'] = lambda layer: partial(_threshold, threshold=layer.threshold_param.threshold)


def _swish(x, beta):
    return x * F.sigmoid(x * beta)


def _threshold(x, threshold):
    return x.xp.asarray(x.array > threshold, x.dtype)


@sets_up('Power')
def _power(layer):
    param = layer.power_param
    return partial(_raise, power=param.power, scale=param.scale, shift=param.shift)


def _raise(x, power, scale, shift):
    y = x * scale if scale != 1 else x
    y = y + shift if shift else y
    return y**power if power != 1 else y


@sets_up('Exp', 'Log')
def _exp_or_log(layer):
    exp = type_of(layer) == 'Exp'
    param = layer.exp_param if exp else layer.log_param
    if param.base <= 0 and param.base != -1 or param.base == 1:
        raise CaffeModelError(f'the base is {param.base}, it should be positive, or -1 for e')
    log_base = 1.0 if param.base == -1 else math.log(param.base)
    return partial(_exp if exp else _log, log_base=log_base, scale=param.scale, shift=param.shift)


def _exp(x, log_base, scale, shift):
    return F.exp((x * scale + shift) * log_base)


def _log(x, log_base, scale, shift):
    return F.log(x * scale + shift) / log_base


@sets_up('Softmax')
def _softmax(layer):
    axis = layer.softmax_param.axis
    if axis == 0:
        raise CaffeModelError('Softmax along non-channel axis is not supported')
    return F.softmax if axis == 1 else partial(F.softmax, axis=axis)


@sets_up('SoftmaxWithLoss')
def _softmax_with_loss(layer):
    if param_of(layer, 'softmax_param', 'SoftmaxParameter').axis != 1:
        raise CaffeModelError('Softmax along non-channel axis is not supported')
    if layer.loss_param.HasField('ignore_label'):
        return partial(F.softmax_cross_entropy, ignore_label=layer.loss_param.ignore_label)
    return F.softmax_cross_entropy


SETUPS['SigmoidCrossEntropyLoss'] = lambda layer: F.sigmoid_cross_entropy
SETUPS['EuclideanLoss'] = lambda layer: _half_squared_distance
SETUPS['Accuracy'] = lambda layer: F.accuracy


def _half_squared_distance(x, t):
    return F.mean_squared_error(x, t) * (x.size / len(x) / 2)


@sets_up('Eltwise')
def _eltwise(layer):
    param = layer.eltwise_param
    within(param.operation, 'the operation', 0, 2)
    return partial((_multiply, _add, _maximum)[param.operation], coeffs=tuple(param.coeff))


def _multiply(x, *others, coeffs):
    for other in others:
        x = x * other
    return x


def _add(*xs, coeffs):
    if coeffs:
        if len(coeffs) != len(xs):
            raise AssertionError(f'there are {len(coeffs)} coefficients for {len(xs)} inputs')
        xs = [x if c == 1 else x * c for x, c in zip(xs, coeffs)]
    total = xs[0]
    for x in xs[1:]:
        total = total + x
    return total


def _maximum(x, *others, coeffs):
    for other in others:
        x = F.maximum(x, other)
    return x


# -- shapes ------------------------------------------------------------------------------------------------------------


@sets_up('Concat')
def _concat(layer):
    param = layer.concat_param
    return partial(_join, axis=param.concat_dim if param.HasField('concat_dim') else param.axis)


def _join(*xs, axis):
    return F.concat(xs, axis=axis)


@sets_up('Slice')
def _slice(layer):
    param = layer.slice_param
    axis = param.slice_dim if param.HasField('slice_dim') else param.axis
    points = list(param.slice_point)
    if points and (len(points) != len(layer.top) - 1 or sorted(set(points)) != points):
        raise CaffeModelError(f'{len(layer.top)} slices can not be cut at {points}')
    if not layer.top:
        raise CaffeModelError('it has no outputs')
    return partial(_split, indices_or_sections=points or len(layer.top), axis=axis)


def _split(x, **params):
    return F.split_axis(x, **params)


@sets_up('Reshape')
def _reshape(layer):
    param = layer.reshape_param
    dims = list(param.shape.dim)
    if any(dim < -1 for dim in dims) or dims.count(-1) > 1:
        raise CaffeModelError(f'{dims} is no shape')
    if 0 in dims or param.axis != 0 or param.num_axes != -1:
        return partial(_reshape_some, dims=dims, axis=param.axis, num_axes=param.num_axes)
    return partial(_reshape_all, shape=dims)


def _reshape_all(x, shape):
    return F.reshape(x, shape=shape)


def _reshape_some(x, dims, axis, num_axes):
    """Some axes in a new shape, where 0 stands for the size that is there."""
    start = axis if axis >= 0 else x.ndim + axis + 1
    end = x.ndim if num_axes == -1 else start + num_axes
    kept = [x.shape[start + i] if dim == 0 else dim for i, dim in enumerate(dims)]
    return F.reshape(x, (*x.shape[:start], *kept, *x.shape[end:]))


@sets_up('Flatten')
def _flatten(layer):
    param = param_of(layer, 'flatten_param', 'FlattenParameter')
    return partial(_flatten_axes, start=param.axis, end=param.end_axis)


def _flatten_axes(x, start, end):
    start, end = start % x.ndim, end % x.ndim
    return F.reshape(x, (*x.shape[:start], math.prod(x.shape[start : end + 1]), *x.shape[end + 1 :]))


@sets_up('Permute')
def _permute(layer):
    order = list(layer.permute_param.order)
    if len(order) > 32 or len(set(order)) != len(order) or max(order, default=0) > 31:
        raise CaffeModelError(f'{order[:8]} is no order of axes')
    return partial(_transpose, order=order)


def _transpose(x, order):
    rest = [axis for axis in range(x.ndim) if axis not in order]
    return F.transpose(x, (*order, *rest))


@sets_up('Crop')
def _crop(layer):
    param = param_of(layer, 'crop_param', 'CropParameter')
    return partial(_cut_out, axis=param.axis, offsets=list(param.offset))


def _cut_out(x, like, axis, offsets):
    """The part of x that has the size of another array, from an axis on."""
    axis %= x.ndim
    sizes = like.shape[axis:]
    offsets = (offsets or [0]) * (len(sizes) if len(offsets) < 2 else 1)
    if len(offsets) != len(sizes):
        raise ValueError(f'there should be one offset or {len(sizes)}, not {len(offsets)}')
    for offset, size, have in zip(offsets, sizes, x.shape[axis:]):
        if offset + size > have:
            raise ValueError(f'{size} from {offset} on can not be cut out of {have}')
    return x[(slice(None),) * axis + tuple(slice(o, o + n) for o, n in zip(offsets, sizes))]


@sets_up('Interp')
def _interp(layer):
    # Its parameters have, in the versions of Caffe that know it, the number that Input's have in others.
    InterpParameter = caffe_pb2.make_messages(lean=True)['InterpParameter']
    param = InterpParameter.FromString(layer.input_param.SerializeToString())
    for name in ('height', 'width', 'zoom_factor', 'shrink_factor'):
        within(getattr(param, name), name, 0 if name in ('height', 'width') else 1)
    for name in ('pad_beg', 'pad_end'):
        within(getattr(param, name), name, -LARGEST, 0)
    return partial(
        _resize,
        size=(param.height, param.width) if param.height and param.width else None,
        zoom=param.zoom_factor,
        shrink=param.shrink_factor,
        cut=(-param.pad_beg, -param.pad_end),
    )


def _resize(x, like=None, *, size, zoom, shrink, cut):
    """Bilinear interpolation between the corners, to a size, that of another array, or by factors."""
    if any(cut):
        h, w = x.shape[2:]
        x = x[:, :, cut[0] : h - cut[1], cut[0] : w - cut[1]]
    if like is not None:
        size = like.shape[2:]
    elif size is None:
        sizes = [(n - 1) // shrink + 1 for n in x.shape[2:]]
        size = tuple(n + (n - 1) * (zoom - 1) for n in sizes)
    return F.resize_images(x, size)


@sets_up('ArgMax')
def _argmax(layer):
    param = param_of(layer, 'argmax_param', 'ArgMaxParameter')
    if param.top_k != 1 or param.out_max_val or not param.HasField('axis'):
        raise CaffeModelError('ArgMax is supported for the largest value along an axis')
    return partial(_index_of_max, axis=param.axis)


def _index_of_max(x, axis):
    return x.xp.expand_dims(x.array.argmax(axis), axis).astype(x.dtype)


@sets_up('Reduction')
def _reduction(layer):
    param = param_of(layer, 'reduction_param', 'ReductionParameter')
    within(param.operation, 'the operation', 1, 4)
    return partial(_reduce, operation=param.operation, axis=param.axis, coeff=param.coeff)


def _reduce(x, operation, axis, coeff):
    axes = tuple(range(axis % x.ndim, x.ndim))
    x = {2: F.absolute, 3: F.square}.get(operation, F.identity)(x)
    return (F.mean if operation == 4 else F.sum)(x, axis=axes) * coeff
