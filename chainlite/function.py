"""Old-style functions: gradients on plain arrays, once differentiable. New code subclasses FunctionNode."""

import weakref

from chainlite import backend
from chainlite.configuration import using_config
from chainlite.function_hook import FunctionHook  # noqa: F401  (part of this module's interface)
from chainlite.function_node import FunctionNode
from chainlite.variable import Variable


def no_backprop_mode():
    """Context manager: variables made inside have no graph. Saves memory and time when only values are wanted."""
    return using_config('enable_backprop', False)


def force_backprop_mode():
    """Context manager: makes the graph even inside `no_backprop_mode`."""
    return using_config('enable_backprop', True)


class FunctionAdapter(FunctionNode):
    """The node of an old-style Function."""

    _function = None
    _weak_function = None

    def __init__(self, function):
        super().__init__()
        self._weak_function = weakref.ref(function)
        function._owned_node = self

    @property
    def function(self):
        """The Function that this node runs."""
        function = self._function
        if function is None and self._weak_function is not None:
            function = self._weak_function()
        return function

    @property
    def label(self):
        return self.function.label

    @property
    def _impl_name(self):
        return self.function._impl_name

    def check_type_forward(self, in_types):
        self.function.check_type_forward(in_types)

    def forward(self, inputs):
        # from here on the node, which the graph keeps, owns the function; before, it was the other way round
        self._function = self.function
        self._function._owned_node = None
        self._function._weak_node = weakref.ref(self)
        self._input_indexes_to_retain = tuple(range(len(inputs)))  # unless the function chooses
        return self._function.forward(inputs)

    def backward_arrays(self, target_input_indexes, grad_outputs):
        in_data = tuple([x.data for x in self.inputs])
        gxs = self.function.backward(in_data, grad_outputs)
        for gx in gxs:
            if gx is not None and not isinstance(gx, backend.get_array_types()):
                raise TypeError(f'gradient of {self.label} must be an array\nActual: {type(gx)}')
        return tuple([gxs[i] for i in target_input_indexes])

    def backward(self, target_input_indexes, grad_outputs):
        gys = tuple([None if g is None else g.array for g in grad_outputs])
        result = []
        for array in self.backward_arrays(target_input_indexes, gys):
            gx = None if array is None else Variable(array)
            if gx is not None:
                gx.node.old_style = self.label  # asking for its derivative is an error
            result.append(gx)
        return tuple(result)


class Function:
    """Base class of old-style functions: `forward` and `backward` on arrays (tuples in, tuples out).

    An instance may be called many times. All inputs are retained unless `retain_inputs` is called in `forward`; outputs
    only if `retain_outputs` is.
    """

    _owned_node = None
    _weak_node = None

    def __call__(self, *inputs):
        node = self.node
        if node.inputs is not None or node._function is not None:  # used already: a new node for a new call
            node = FunctionAdapter(self)
        node._input_indexes_to_retain = None
        ys = node.apply(inputs)
        return ys[0] if len(ys) == 1 else ys

    @property
    def node(self):
        """The node of the last call."""
        node = self._owned_node
        if node is None and self._weak_node is not None:
            node = self._weak_node()
        return FunctionAdapter(self) if node is None else node

    inputs = property(lambda self: self.node.inputs, doc='VariableNodes of the inputs.')
    outputs = property(lambda self: self.node.outputs, doc='Weak references to the VariableNodes of the outputs.')
    output_data = property(lambda self: self.node.output_data, doc='Retained output arrays.')
    rank = property(lambda self: self.node.rank, doc='Length of the longest path from a leaf.')
    stack = property(lambda self: self.node.stack, doc='Where the function was called, in debug mode.')
    local_function_hooks = property(lambda self: self.node.local_function_hooks, doc='Hooks of this function.')

    @property
    def label(self):
        return type(self).__name__

    @property
    def _impl_name(self):
        return type(self).__name__

    def check_type_forward(self, in_types):
        """Checks the inputs with `utils.type_check`; override as needed."""

    # Tuple of output arrays from the tuple of input arrays, as in new functions.
    forward, forward_cpu, forward_gpu = FunctionNode.forward, FunctionNode.forward_cpu, FunctionNode.forward_gpu

    def backward(self, inputs, grad_outputs):
        """Tuple of gradients (None: zero), one for each input; `backward_cpu` or `backward_gpu` by default."""
        if any(isinstance(x, backend.cuda.ndarray) for x in inputs + grad_outputs):
            return self.backward_gpu(inputs, grad_outputs)
        return self.backward_cpu(inputs, grad_outputs)

    def backward_cpu(self, inputs, grad_outputs):
        return (None,) * len(inputs)

    def backward_gpu(self, inputs, grad_outputs):
        return (None,) * len(inputs)

    def retain_inputs(self, indexes):
        """Keeps only these inputs for `backward`; to be called in `forward`."""
        self.node.retain_inputs(indexes)

    def retain_outputs(self, indexes, retain_after_backward=False):
        """Keeps these outputs for `backward`, in `output_data`; to be called in `forward`."""
        self.node.retain_outputs(indexes)

    def unchain(self):
        self.node.unchain()

    def add_hook(self, hook, name=None):
        self.node.add_hook(hook, name)

    def delete_hook(self, name):
        self.node.delete_hook(name)
