"""The layers of Caffe that functions become."""

from collections import Counter

import numpy

from chainlite.backends import cuda
from chainlite.links.caffe.protobuf3 import caffe_pb2 as caffe_pb

_LAYERS: dict = {}  # class name of a function node: method of Converter

_PLAIN = {
    'ReLU': 'ReLU',
    'Sigmoid': 'Sigmoid',
    'Tanh': 'TanH',
    'Absolute': 'AbsVal',
    'Exp': 'Exp',
    'Log': 'Log',
}


def _of(*functions):
    def register(method):
        _LAYERS.update(dict.fromkeys(functions, method))
        return method

    return register


def make_blob(array):
    """A BlobProto of an array (a lean one)."""
    array = numpy.asarray(cuda.to_cpu(array), '<f4')
    proto = caffe_pb.make_messages(lean=True)['BlobProto'](data=[array.tobytes()])
    proto.shape.dim.extend(array.shape)
    return proto


class Converter:
    """Adds the layers of functions to a network, one function after the other.

    Args:
        net: NetParameter (a lean one: see :func:`caffe_pb2.make_messages`).
        names: Dictionary from VariableNodes to names of blobs; what is not in it (nor computed from it) is constant.
    """

    def __init__(self, net, names):
        self._net = net
        self._names = names
        self._counts = Counter()

    def convert(self, function, in_data):
        """Adds what a function does.

        Args:
            function: FunctionNode that was applied.
            in_data: Tuple of its input arrays.
        """
        if not any(x in self._names for x in function.inputs):
            return  # of constants: what takes the result has it
        place = f'{function.label}-{function.rank}'
        self._counts[place] += 1
        self._function, self._in_data = function, in_data
        self._name = f'{place}-{self._counts[place]}'
        self._out_shapes = [None if y() is None else y().shape for y in function.outputs]
        kind = type(function).__name__
        bottoms = [self._names[x] for x in function.inputs if x in self._names]
        if kind in _PLAIN:
            self._add(_PLAIN[kind])
        elif kind in _LAYERS:
            _LAYERS[kind](self, function, *in_data)
        else:
            self._refuse('no layer does this')
        if len(function.outputs) == 1:
            y = function.outputs[0]()
            if y is not None:  # somebody still needs it
                self._names[y] = (
                    self._name if self._net.layer and self._net.layer[-1].name == self._name else bottoms[0]
                )

    def _refuse(self, why):
        function = self._function
        inputs = [self._names.get(x, 'a constant') for x in function.inputs]
        raise ValueError(
            f'Cannot convert, name={self._name}, rank={function.rank}, label={function.label}, inputs={inputs}: {why}'
        )

    def _add(self, kind, *blobs, bottoms=None, name=None, tops=None):
        """Adds a layer of all inputs that are not constant, or of `bottoms`; returns it."""
        if bottoms is None:
            bottoms = [self._names[x] for x in self._function.inputs if x in self._names]
        name = name or self._name
        layer = self._net.layer.add(name=name, type=kind, bottom=bottoms, top=tops or [name], phase=caffe_pb.TEST)
        layer.blobs.extend(map(make_blob, blobs))
        return layer

    def _only_first_varies(self):
        if any(x in self._names for x in self._function.inputs[1:]):
            self._refuse('its parameters are computed from the inputs')

    def _bottom(self):
        return self._names[self._function.inputs[0]]

    # -- with parameters --

    @_of('Convolution2DFunction', 'Deconvolution2DFunction')
    def _convolution(self, function, x, W, b=None):
        self._only_first_varies()
        transposed = type(function).__name__ == 'Deconvolution2DFunction'
        geometry = list(zip(x.shape[2:], W.shape[2:], function.stride, function.pad, function.dilate))
        if transposed and tuple(function.outs) != tuple(
            s * (n - 1) + d * (k - 1) + 1 - 2 * p for n, k, s, p, d in geometry
        ):
            self._refuse(f'the output should have the size {tuple(function.outs)}')
        if not transposed and function.cover_all:
            self._refuse('cover_all is set')
        layer = self._add('Deconvolution' if transposed else 'Convolution', W, *([] if b is None else [b]))
        param = layer.convolution_param
        param.num_output = W.shape[1] * function.groups if transposed else W.shape[0]
        param.bias_term = b is not None
        param.kernel_h, param.kernel_w = W.shape[2:]
        param.stride_h, param.stride_w = function.stride
        param.pad_h, param.pad_w = function.pad
        param.group = function.groups
        if tuple(function.dilate) != (1, 1):
            param.dilation.extend(function.dilate)

    @_of('LinearFunction')
    def _linear(self, function, x, W, b=None):
        self._only_first_varies()
        layer = self._add('InnerProduct', W, *([] if b is None else [b]))
        layer.inner_product_param.num_output = len(W)
        layer.inner_product_param.bias_term = b is not None

    @_of('FixedBatchNormalization')
    def _batch_normalization(self, function, x, gamma, beta, mean, var):
        self._only_first_varies()
        if tuple(function.key_axis) != (1,):
            self._refuse(
                f'statistics are kept along the axes {tuple(function.key_axis)}, in Caffe along the second alone'
            )
        inner = self._name + '_bn'
        normalize = self._add('BatchNorm', mean, var, numpy.ones(1, 'f'), name=inner)
        normalize.batch_norm_param.use_global_stats = True
        normalize.batch_norm_param.eps = function.eps
        scale = self._add('Scale', gamma, beta, bottoms=[inner])
        scale.scale_param.axis = 1
        scale.scale_param.bias_term = True

    @_of('PReLUFunction')
    def _prelu(self, function, x, W):
        self._only_first_varies()
        if W.size not in (1, x.shape[1]) or W.size > 1 and W.shape[1] != W.size:
            self._refuse('there should be one slope, or one for each channel')
        self._add('PReLU', W.ravel()).prelu_param.channel_shared = W.size == 1

    # -- windows --

    @_of('MaxPoolingND', 'AveragePooling2D')
    def _pooling(self, function, x):
        if function.ndim != 2:
            self._refuse('only two-dimensional pooling is supported')
        geometry = list(zip(x.shape[2:], function.ksize, function.stride, function.pad))
        bottom = self._bottom()
        wanted, given = self._out_shapes[0][2:], [_pooled_size(*g) for g in geometry]
        for axis, (want, (n, k, s, p)) in enumerate(zip(wanted, geometry), 2):
            used = (want - 1) * s + k
            if want < given[axis - 2] and p == 0 and used < n:  # Caffe would take incomplete windows as well
                bottom = self._cut_off(bottom, axis, used)
                given[axis - 2] = want
        layer = self._add('Pooling', bottoms=[bottom])
        param = layer.pooling_param
        param.pool = int(type(function).__name__ == 'AveragePooling2D')
        param.kernel_h, param.kernel_w = function.ksize
        param.stride_h, param.stride_w = function.stride
        param.pad_h, param.pad_w = function.pad
        if list(wanted) != given:
            if list(wanted) != [(n + 2 * p - k) // s + 1 for n, k, s, p in geometry]:
                self._refuse(f'the output has the size {tuple(wanted)}, in Caffe it would be {tuple(given)}')
            param.round_mode = 1

    def _cut_off(self, bottom, axis, size):
        """Leaves out what lies behind on an axis."""
        name = f'{self._name}_cut{axis}'
        layer = self._add('Slice', bottoms=[bottom], name=name, tops=[name, name + '_rest'])
        layer.slice_param.axis = axis
        layer.slice_param.slice_point.append(size)
        return name

    @_of('LocalResponseNormalization')
    def _lrn(self, function, x):
        # With k = 1, which is all that some readers know, and a factor.
        factor = function.k**-function.beta
        inner = self._name if factor == 1 else self._name + '_lrn'
        param = self._add('LRN', name=inner).lrn_param
        param.local_size = function.n
        param.alpha = function.alpha * function.n / function.k
        param.beta = function.beta
        if factor != 1:
            self._add('Power', bottoms=[inner]).power_param.scale = factor

    @_of('Sum')
    def _sum(self, function, x):
        """A sum over the image, as its average times its size."""
        axes = range(x.ndim) if function.axis is None else sorted(a % x.ndim for a in function.axis)
        if x.ndim != 4 or list(axes) != [2, 3]:
            self._refuse('a sum is supported over both axes of images')
        average, total = self._name + '_average', self._name if function.keepdims else self._name + '_sum'
        param = self._add('Pooling', name=average).pooling_param
        param.pool, param.global_pooling = 1, True
        self._add('Power', bottoms=[average], name=total).power_param.scale = x.shape[2] * x.shape[3]
        if total != self._name:
            self._add('Flatten', bottoms=[total])

    # -- pointwise --

    @_of('LeakyReLU')
    def _leaky_relu(self, function, x):
        self._add('ReLU').relu_param.negative_slope = function.slope

    @_of('ELU')
    def _elu(self, function, x):
        self._add('ELU').elu_param.alpha = function.alpha

    @_of('ClippedReLU')
    def _clipped_relu(self, function, x):
        param = self._add('Clip').clip_param
        param.min, param.max = 0, function.cap

    @_of('Softplus')
    def _softplus(self, function, x):
        if function.beta != 1:
            self._refuse(f'beta is {function.beta}, in Caffe it is 1')
        self._add('BNLL')

    @_of('Softmax')
    def _softmax(self, function, x):
        layer = self._add('Softmax')
        if function.axis != 1:
            layer.softmax_param.axis = function.axis

    @_of('Neg', 'AddConstant', 'MulConstant', 'SubFromConstant', 'PowVarConst')
    def _power(self, function, x):
        kind = type(function).__name__
        value = -1.0 if kind == 'Neg' else function.value
        if numpy.ndim(value):
            self._refuse('its constant is an array')
        param = self._add('Power').power_param
        if kind in ('Neg', 'MulConstant'):
            param.scale = value
        elif kind == 'PowVarConst':
            param.power = value
        else:
            param.shift = value
            param.scale = 1 if kind == 'AddConstant' else -1

    @_of('Add', 'Sub', 'Mul', 'Maximum', 'MultiAdd')
    def _arithmetic(self, function, *xs):
        kind = type(function).__name__
        constant = [i for i, x in enumerate(function.inputs) if x not in self._names]
        if not constant:
            if any(x.shape != xs[0].shape for x in xs):
                self._refuse('the shapes differ')
            param = self._add('Eltwise').eltwise_param
            param.operation = {'Mul': 0, 'Maximum': 2}.get(kind, 1)
            if kind == 'Sub':
                param.coeff.extend([1, -1])
        elif len(xs) == 2 and kind in ('Add', 'Sub', 'Mul') and (kind != 'Sub' or constant == [1]):
            x, c = xs[1 - constant[0]], xs[constant[0]]
            c = _per_channel(numpy.broadcast_to(cuda.to_cpu(c), self._out_shapes[0]), x.shape)
            if c is None:
                self._refuse('the constant should have one value for each channel')
            if kind == 'Mul':
                self._add('Scale', c)
            else:  # as a Scale, which more readers know than Bias
                self._add('Scale', numpy.ones_like(c), -c if kind == 'Sub' else c).scale_param.bias_term = True
        else:
            self._refuse('an operand is constant')

    # -- shapes --

    @_of('Reshape')
    def _reshape(self, function, x):
        shape = self._out_shapes[0] or function.shape
        if x.shape == shape:
            return
        keeps_batch = len(shape) > 1 and shape[0] == x.shape[0]
        if keeps_batch and len(shape) == 2:
            self._add('Flatten')
        else:  # 0: as many samples as there are
            self._add('Reshape').reshape_param.shape.dim.extend((0, *shape[1:]) if keeps_batch else function.shape)

    @_of('Concat')
    def _concat(self, function, *xs):
        if any(x not in self._names for x in function.inputs):
            self._refuse('a part is constant')
        self._add('Concat').concat_param.axis = function.axis

    @_of('Transpose')
    def _transpose(self, function, x):
        axes = range(x.ndim)[::-1] if function.axes is None else [a % x.ndim for a in function.axes]
        self._add('Permute').permute_param.order.extend(axes)

    @_of('SplitAxis')
    def _split_axis(self, function, x):
        tops = [f'{self._name}-{i}' for i in range(len(function.outputs))]
        layer = self._add('Slice', tops=tops)
        layer.slice_param.axis = function.axis % x.ndim
        ends = numpy.cumsum([shape[function.axis] for shape in function.shapes])[:-1]
        layer.slice_param.slice_point.extend(ends.tolist())
        for top, y in zip(tops, function.outputs):
            if y() is not None:
                self._names[y()] = top


def _pooled_size(n, k, s, p):
    """The size that Caffe computes for the output of pooling."""
    size = -((k - n - 2 * p) // s) + 1
    return size - 1 if p and (size - 1) * s >= n + p else size


def _per_channel(c, shape):
    """The values of an array for the channels of another, None if there is more to it."""
    if len(shape) < 2 or c.shape != shape:
        return None
    values = c[(0, slice(None), *[0] * (c.ndim - 2))]
    return values if (c == values.reshape(1, -1, *[1] * (c.ndim - 2))).all() else None
