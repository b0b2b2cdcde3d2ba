"""What converters build ONNX nodes with.

The onnx package is imported on first use, so that importing this one is cheap and needs nothing.
"""

import functools

import numpy as np

from chainlite.utils.atomic import replacing

_state = {'function': ''}  # name of the function that is being converted: its nodes are named after it


def require_onnx():
    """The onnx package."""
    try:
        import onnx
        import onnx.checker
        import onnx.helper
        import onnx.numpy_helper
    except ImportError as e:
        raise ImportError('onnx is needed to export models: pip install chainlite[onnx]') from e
    return onnx


def set_func_name(func_name):
    """Sets the name that nodes and constants made from now on are named after."""
    _state['function'] = func_name


def get_func_name():
    """The name of the function that is being converted."""
    return _state['function']


def make_node(*args, **kwargs):
    """`onnx.helper.make_node`, with the name of the function that is being converted."""
    return require_onnx().helper.make_node(*args, name=get_func_name(), **kwargs)


def cleanse_param_name(name):
    """A parameter's path as a name in ONNX: '/conv/W' -> 'param_conv_W'."""
    return 'param' + name.replace('/', '_')


def is_support_non_standard_domain():
    """Whether the checker of the installed onnx lets nodes of other domains pass."""
    return True


def to_tensor(array, name=''):
    """TensorProto of an array of any device."""
    array = array.get() if hasattr(array, 'get') else np.asarray(array)
    return require_onnx().numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)


def tensor_type(dtype):
    """ONNX's number of a dtype."""
    return require_onnx().helper.np_dtype_to_tensor_dtype(np.dtype(dtype))


def write_tensor_pb(filename, name, value):
    """Writes an array as a TensorProto with a name."""
    with replacing(filename) as temporary, open(temporary, 'wb') as f:
        f.write(to_tensor(value, name).SerializeToString())


class GraphBuilder:
    """Collects the nodes of one function.

    Intermediate values are named `<function>_tmp_<number>`::

        gb = GraphBuilder()
        h = gb.op('Sqrt', params.input_names)
        gb.op_output_named('Reciprocal', [h], params.output_names)
        return gb.nodes()
    """

    def __init__(self):
        self._nodes = []
        self._func_name = get_func_name()

    def node_name(self):
        """Name of the next node."""
        return f'{self._func_name}_tmp_{len(self._nodes)}'

    def op(self, op_name, input_names, num_outputs=1, **kwargs):
        """Adds a node; returns the name of its output, or the list of the names of several.

        Args:
            op_name: ONNX's name of the operator.
            input_names: list of names; '' for an optional input that is left out.
            num_outputs: number of outputs.
            kwargs: attributes; None leaves one out.
        """
        name = self.node_name()
        outputs = [name] if num_outputs == 1 else [f'{name}_{i}' for i in range(num_outputs)]
        return self.op_output_named(op_name, input_names, outputs, **kwargs)

    def op_output_named(self, op_name, input_names, output_names, **kwargs):
        """:meth:`op` with outputs of given names."""
        kwargs = {name: value for name, value in kwargs.items() if value is not None}
        node = require_onnx().helper.make_node(op_name, input_names, output_names, name=self.node_name(), **kwargs)
        self._nodes.append(node)
        return output_names[0] if len(output_names) == 1 else output_names

    def nodes(self, output_names=None):
        """The nodes so far; the last is given the function's name, and `output_names` if there are any."""
        if output_names is not None:
            last = self._nodes[-1]
            assert len(output_names) == len(last.output), (output_names, last)
            last.output[:] = output_names
        if self._nodes:
            self._nodes[-1].name = self._func_name
        return tuple(self._nodes)


class Builder(GraphBuilder):
    """A GraphBuilder that knows the opset: what moved from attributes to inputs over the years has a method here.

    Args:
        opset_version: int.
        context: the Context that constants are added to.
    """

    def __init__(self, opset_version, context):
        super().__init__()
        self.opset, self.context = opset_version, context

    def end(self, value, output_names):
        """The nodes so far, the last of which makes the output out of `value`."""
        if not self._nodes or list(self._nodes[-1].output) != [value]:
            self.op('Identity', [value])
        return self.nodes(output_names)

    def const(self, value, name, dtype=None):
        """Name of a constant array."""
        return self.context.add_const(np.asarray(value, dtype), name)

    def ints(self, values, name):
        """Name of a constant array (n,) of int64."""
        return self.const(np.asarray(values, np.int64).reshape(-1), name)

    def _with_axes(self, op, x, axes, since, **kwargs):
        """A node whose axes are an attribute before opset `since`, and an input from there on."""
        if axes is None:
            return self.op(op, [x], **kwargs)
        if self.opset < since:
            return self.op(op, [x], axes=list(axes), **kwargs)
        return self.op(op, [x, self.ints(axes, f'axes{len(self._nodes)}')], **kwargs)

    def squeeze(self, x, axes):
        return self._with_axes('Squeeze', x, axes, 13) if axes else x

    def unsqueeze(self, x, axes):
        return self._with_axes('Unsqueeze', x, axes, 13) if axes else x

    def reduce(self, op, x, axes, keepdims):
        """ReduceSum and the like over axes (None: all)."""
        since = 13 if op == 'ReduceSum' else 18
        return self._with_axes(op, x, axes, since, keepdims=int(keepdims))

    def reshape(self, x, shape):
        return self.op('Reshape', [x, self.ints(shape, f'shape{len(self._nodes)}')])

    def transpose(self, x, perm):
        return x if list(perm) == sorted(perm) else self.op('Transpose', [x], perm=list(perm))

    def cast(self, x, dtype):
        return self.op('Cast', [x], to=tensor_type(dtype))

    def split(self, x, lengths, axis):
        """List of the names of the parts."""
        if len(lengths) == 1:
            return [self.op('Identity', [x])]
        if self.opset < 13:
            return self.op('Split', [x], len(lengths), axis=axis, split=list(lengths))
        return self.op('Split', [x, self.ints(lengths, 'lengths')], len(lengths), axis=axis)

    def slice(self, x, axes, starts, ends, steps=None):
        steps = steps or [1] * len(axes)
        if self.opset < 10:
            if any(step != 1 for step in steps):
                raise ValueError('slices with steps need opset 10 or later')
            return self.op('Slice', [x], axes=axes, starts=starts, ends=ends)
        inputs = zip((starts, ends, axes, steps), ('starts', 'ends', 'axes', 'steps'))
        return self.op('Slice', [x, *(self.ints(v, f'{name}{len(self._nodes)}') for v, name in inputs)])

    def clip(self, x, low, high, dtype):
        """`low` or `high` may be None."""
        if self.opset < 11:
            return self.op('Clip', [x], min=low, max=high)
        bounds = zip((low, high), ('min', 'max'))
        return self.op('Clip', [x, *('' if v is None else self.const(v, name, dtype) for v, name in bounds)])

    def pad(self, x, before, after, mode, value, dtype):
        pads = [*before, *after]
        if self.opset < 11:
            return self.op('Pad', [x], pads=pads, mode=mode, value=float(value) if mode == 'constant' else None)
        inputs = [x, self.ints(pads, 'pads')]
        if mode == 'constant':
            inputs.append(self.const(value, 'value', dtype))
        return self.op('Pad', inputs, mode=mode)

    def softmax(self, op, x, axis, ndim):
        """Softmax or LogSoftmax along one axis; before opset 13 they took all axes from `axis` on."""
        axis %= ndim
        if self.opset >= 13 or axis == ndim - 1:
            return self.op(op, [x], axis=axis)
        perm = list(range(ndim))
        perm[axis], perm[-1] = perm[-1], perm[axis]
        return self.transpose(self.op(op, [self.transpose(x, perm)], axis=ndim - 1), perm)

    def one_hot(self, index, depth, axis, dtype):
        """Ones where the position along the new axis is the index, zeros elsewhere."""
        values = self.const([0, 1], 'off_on', dtype)
        return self.op('OneHot', [index, self.const(depth, 'depth', np.int64), values], axis=axis)


def building(build):
    """Decorator: makes a converter of a function of the FunctionNode, a Builder and the names of the inputs.

    The last node that it adds gives the output, or what it returns the name of, if that may be an input as it is.
    """

    @functools.wraps(build)
    def convert(func, opset_version, input_names, output_names, context):
        builder = Builder(opset_version, context)
        value = build(func, builder, *input_names)
        return builder.nodes(output_names) if value is None else builder.end(value, output_names)

    return convert
