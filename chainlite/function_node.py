"""Function nodes: the differentiable operations that the computational graph is made of.

A graph alternates between variable nodes and function nodes:

    Variable --holds--> VariableNode --creator_node--> FunctionNode --inputs--> VariableNode ...

A function node refers to its outputs weakly and a variable node does not hold the array, so that an array lives only
as long as somebody uses it: the user through a Variable, or a function that asked for it with `retain_inputs` or
`retain_outputs`.
"""

import contextlib
import re
import traceback
import weakref

import numpy as np

from chainlite import backend
from chainlite._backprop import grad  # noqa: F401  (part of this module's interface)
from chainlite.backends import cuda
from chainlite.backends._cuda_errors import explain
from chainlite.backends._deferred import Deferred, solid
from chainlite.configuration import config
from chainlite.function_hook import _hooks
from chainlite.utils import type_check
from chainlite.variable import Variable, VariableNode, as_variable

_OUTPUT_TYPES = {np.ndarray, type(None)}  # and what else is found to be an array


class FunctionNode:
    """Base class of differentiable functions.

    A subclass implements `forward`, on arrays, and `backward`, on Variables (so that the gradients are differentiable
    in turn); an instance is used once: `y, = MyFunction().apply((x,))`.

    A node whose gradients can also be computed on plain arrays may define `backward_arrays(target_input_indexes,
    grad_outputs)`, which returns what `backward` does, one entry per target, as arrays: a backward pass whose own graph
    nobody wants takes that shorter way.

    Attributes:
        inputs: tuple of VariableNodes, once applied with the graph enabled.
        outputs: tuple of weak references to VariableNodes.
        rank: length of the longest path from a leaf.
        stack: where the node was made, in debug mode.
        check: one line that says what the inputs must be (see utils.type_check), or None.
        input_names: what an error calls the inputs if `check` does not say it.
        any_layout: whether `forward` takes arrays that are channels last as they are. Otherwise, and for every subclass
            that has a `forward` of its own and does not say so, what our own functions give is made C-contiguous first.
        always_any: whether, if `any_layout`, `forward_any` is called for NumPy arrays that everybody can see, too.
        gives_new: whether, if `any_layout`, outputs are arrays that nobody else has.
        new_gradients: whether `backward_arrays` gives such arrays.
        takes_deferred: whether `backward_arrays` takes gradients that are Deferred.
    """

    inputs = None
    outputs = None
    rank = 0
    stack = None
    check = None
    input_names: tuple = ()
    backward_arrays = None
    lazy_grad_sum = False
    any_layout = always_any = gives_new = new_gradients = takes_deferred = False
    _accumulates = False  # whether backward_accumulate is a subclass's own
    is_elementwise = False
    chainerx_device = None
    _needs_grad = ()  # the indexes of the inputs that do, once recorded
    _input_indexes_to_retain = None
    _output_indexes_to_retain = None
    _retained_output_data = None
    _local_function_hooks = None
    _checker = None

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        own = vars(cls)
        if own.get('check'):
            cls._checker = staticmethod(type_check.compile_check(cls.check))
        elif 'check_type_forward' in own:
            cls._checker = None  # a subclass's own checks replace the line that it inherits
        if 'backward_accumulate' in own:
            cls._accumulates = True
        if 'backward_arrays' not in own and ('backward' in own or 'backward_accumulate' in own):
            cls.backward_arrays = None  # and so does its own backward
        if 'backward_arrays' in own:
            cls.new_gradients, cls.takes_deferred = own.get('new_gradients', False), own.get('takes_deferred', False)
        if 'any_layout' not in own and ('forward' in own or 'forward_cpu' in own or 'forward_gpu' in own):
            cls.any_layout = cls.gives_new = False

    @property
    def label(self):
        """Name of the function, as it is shown in graphs and error messages."""
        return type(self).__name__

    @property
    def _impl_name(self):
        return type(self).__name__

    @property
    def local_function_hooks(self):
        """Hooks of this function alone, by name, in the order they were added."""
        if self._local_function_hooks is None:
            self._local_function_hooks = {}
        return self._local_function_hooks

    @property
    def _n_local_function_hooks(self):
        return len(self._local_function_hooks or ())

    @property
    def output_data(self):
        """Tuple of the output arrays that were retained, None in place of the others."""
        if self.outputs is None:
            return None
        if self._retained_output_data is None:
            return (None,) * len(self.outputs)
        kept = dict(zip(self._output_indexes_to_retain, map(solid, self._retained_output_data)))
        return tuple(kept.get(i) for i in range(len(self.outputs)))

    @property
    def input_layouts(self):
        return (None,) * len(self.inputs)

    @property
    def output_layouts(self):
        return (None,) * len(self.outputs)

    def __call__(self, *args, **kwargs):
        cls = type(self)
        text = f'({cls.__name__}) which is derived from chainer.FunctionNode has been called as if it were a callable. '
        if cls.__module__.startswith('chainlite.'):
            raise RuntimeError(
                f"Chainer's built-in function class object {text}Use FunctionNode.apply() method instead.\n"
                "Furthermore, it's not recommended that you use built-in function classes directly; use corresponding "
                'function aliases (those with snake_case name, such as F.convolution_nd) instead.'
            )
        raise RuntimeError(f'A function class object {text}Use apply() method instead.')

    # -- forward ------------------------------------------------------------------------------------------------------
    def apply(self, inputs):
        """Runs the function and, if the graph is enabled, records it.

        Args:
            inputs: tuple of Variables or arrays.

        Returns:
            tuple of Variables, one for each array that `forward` returns.
        """
        xs, in_data, needs_grad, device = [], (), (), None
        plain = not self.always_any  # NumPy arrays
        for i, x in enumerate(inputs):
            if not isinstance(x, Variable):
                x = as_variable(x)
            xs.append(x)
            if x.requires_grad:
                needs_grad += (i,)
            array = x._array
            in_data += (array,)
            if type(array) is not np.ndarray:
                plain = False
        hooks = self._active_hooks() if _hooks.table or self._local_function_hooks else ()
        if not plain:
            private = self.any_layout and not hooks
            in_data = self._private_data(xs) if private else tuple([x.array for x in xs])
            device = self._check_arrays(in_data)
            forward = self.forward_any if private else self.forward
        if config.type_check:
            if self._checker is not None:
                self._checker(self, in_data)
            else:
                self._check_data_type_forward(in_data)
        for hook in hooks:
            hook.forward_preprocess(self, in_data)
        if self._input_indexes_to_retain is not None:  # of an earlier use of this object
            self._input_indexes_to_retain = self._output_indexes_to_retain = None
        try:
            if plain:
                arrays = self.forward(in_data)
            elif device is None:
                arrays = forward(in_data)
            else:
                with device:
                    arrays = forward(in_data)
        except Exception as error:
            explain(error, f'{self.label}, forward', in_data)
            raise
        if not isinstance(arrays, tuple):
            raise TypeError(f'forward output must be a tuple ({self.label})\nActual: {type(arrays)}')
        if self.gives_new:
            wrap = Variable._wrap_private
        else:
            wrap = Variable._wrap_any if self.any_layout else Variable._wrap
        ys, requires_grad = (), needs_grad != ()
        for y in arrays:
            if type(y) not in _OUTPUT_TYPES:
                self._check_output(y, arrays)
            ys += (wrap(y, requires_grad),)
        if len(ys) > 1 and len(set(map(type, arrays))) > 1:
            self._check_alike(arrays)
        for hook in hooks:
            hook.forward_postprocess(self, in_data)
        if config.debug:
            self.stack = traceback.extract_stack()[:-1]
            if any(_has_nan(y) for y in arrays):
                raise RuntimeError(f'NaN is detected on forward computation of {self.label}')
        if config.enable_backprop:
            self._record(xs, in_data, arrays, ys, needs_grad)
        return ys

    def _check_output(self, y, arrays):
        if not isinstance(y, (Deferred, *backend.get_array_types())):
            raise TypeError(
                f'forward output must be a tuple of ndarrays ({self.label})\nActual: {tuple(map(type, arrays))}'
            )
        _OUTPUT_TYPES.add(type(y))

    def _check_alike(self, arrays):
        arrays = [y.like if isinstance(y, Deferred) else y for y in arrays]
        if not backend.is_arrays_compatible(arrays):
            raise TypeError(
                f'incompatible array types are mixed in the forward output ({self.label}).\n'
                f'Actual: {", ".join(str(type(y)) for y in arrays)}'
            )

    def _private_data(self, xs):
        """The arrays of the inputs as they are inside, for a node that takes them in any layout.

        A node that takes more of what has not been computed yet, or leaves its own result to be computed, does so here.
        """
        return tuple([x._any_array for x in xs])

    def forward_any(self, inputs):
        """`forward` for what `_private_data` gives."""
        return self.forward(inputs)

    def _record(self, xs, in_data, arrays, ys, needs_grad):
        inputs, rank = (), 0
        for x in xs:
            node = x._own_node or x.node
            inputs += (node,)
            if node._rank > rank:
                rank = node._rank
        self.inputs, self.rank, self._needs_grad = inputs, rank, needs_grad
        self.select_retained(needs_grad)
        outputs = ()
        for y in ys:
            outputs += (weakref.ref(VariableNode._made_by(self, y)),)
        self.outputs = outputs
        if self._input_indexes_to_retain is not None:
            for i in self._input_indexes_to_retain:
                inputs[i].data = in_data[i]
        if self._output_indexes_to_retain is not None:
            self._retained_output_data = tuple([arrays[i] for i in self._output_indexes_to_retain])

    def select_retained(self, needs_grad):
        """Called when the node is recorded, with the indexes of the inputs that need gradients (`inputs` is set).

        A node that learns only here what its backward pass will read calls `retain_inputs` and `retain_outputs` here.
        """

    def forward(self, inputs):
        """Computes the outputs: a tuple of arrays from a tuple of arrays.

        By default `forward_gpu` is called if an input is a CuPy array, `forward_cpu` otherwise.
        """
        if any(isinstance(x, backend.cuda.ndarray) for x in inputs):
            return self.forward_gpu(inputs)
        return self.forward_cpu(inputs)

    def forward_cpu(self, inputs):
        raise NotImplementedError(f'{self.label}: neither forward nor forward_cpu is implemented')

    def forward_gpu(self, inputs):
        raise NotImplementedError(f'{self.label}: neither forward nor forward_gpu is implemented')

    def forward_chainerx(self, inputs):
        """What a node without a ChainerX implementation answers."""
        return backend._chainerx.FallbackToChainer

    def retain_inputs(self, indexes):
        """Keeps the inputs of these indexes for `backward`; to be called in `forward`."""
        self._input_indexes_to_retain = indexes

    def retain_outputs(self, indexes):
        """Keeps the outputs of these indexes for `backward`; to be called in `forward`."""
        self._output_indexes_to_retain = indexes

    # -- checks -------------------------------------------------------------------------------------------------------
    def check_type_forward(self, in_types):
        """Checks dtypes and shapes of the inputs with `utils.type_check`; override as needed."""

    def check_layout_forward(self, inputs):
        """Called by Chainer to check memory layouts; every layout but the standard one is private here."""

    def _check_data_type_forward(self, in_data):
        if getattr(self.check_type_forward, '__func__', None) is FunctionNode.check_type_forward:
            return
        in_light = type_check.get_light_types(in_data)
        try:
            with type_check.light_mode:
                self.check_type_forward(in_light)
                return
        except type_check.InvalidType:
            pass  # once more with symbols, which can say what was expected
        with type_check.get_function_check_context(self):
            self.check_type_forward(type_check.get_types(in_data, 'in_types', False))

    def _check_arrays(self, in_data):
        """Whether they can be taken together; returns the device that they are on if it is not the current one."""
        if _all_numpy(in_data) or cuda.all_here(in_data):
            return None
        arrays = [x.like if isinstance(x, Deferred) else x for x in in_data]
        if not backend.is_arrays_compatible(arrays):
            raise self._mixed('types', arrays)
        if len({x.device.id for x in arrays if cuda.is_cupy_array(x)}) > 1:
            raise self._mixed('devices', arrays)
        return cuda.elsewhere(arrays)

    def _mixed(self, what, arrays):
        """The error that the inputs cannot be taken together."""
        kinds = ', '.join(str(type(x)) for x in arrays)
        places = [
            f'{name} is a {type(x).__module__.split(".")[0]}.{type(x).__name__}'
            + (f' on device {x.device.id}' if cuda.is_cupy_array(x) else '')
            for name, x in zip(self._names_of_inputs(arrays), arrays)
        ]
        return TypeError(
            f'incompatible array {what} are mixed in the forward input ({self.label}).\nActual: {kinds}\n'
            f'{", ".join(places)}; to_device brings arrays and links to one device.'
        )

    def _names_of_inputs(self, arrays):
        """What the checks call the inputs."""
        if self.input_names:
            return self.input_names
        types = type_check.get_types(tuple(arrays), 'input', True)
        if self.check is None:
            with contextlib.suppress(Exception):  # whether they are right does not matter here
                self.check_type_forward(types)
        names = re.findall(r'(\w+)\??:', self.check or '')
        return names if len(names) == len(arrays) else [t.name for t in types]

    def _active_hooks(self):
        return [*(_hooks.table or {}).values(), *(self._local_function_hooks or {}).values()]

    # -- backward -----------------------------------------------------------------------------------------------------
    def backward(self, target_input_indexes, grad_outputs):
        """Computes the gradients of the inputs `target_input_indexes` from those of all outputs.

        Args:
            target_input_indexes: sorted tuple of the input indexes that need a gradient.
            grad_outputs: tuple of Variables, None for an output whose gradient is not known (zero).

        Returns:
            tuple of Variables or None, one for each target (or one for each input).
        """
        return (None,) * len(target_input_indexes)

    def fit(self, gradient, x):
        """What `backward_arrays` gave for an input, of the shape and dtype of that input's node `x`.

        A node whose inputs broadcast sums here over the axes that broadcasting added.
        """
        return gradient

    def backward_accumulate(self, target_input_indexes, grad_outputs, grad_inputs):
        """Like `backward`, but adds to the gradients known so far. Override it where adding can be fused into the
        computation."""
        gxs = self.checked_backward(target_input_indexes, grad_outputs)
        return tuple([gx if g is None else g if gx is None else g + gx for gx, g in zip(gxs, grad_inputs)])

    def checked_backward(self, target_input_indexes, grad_outputs):
        """`backward`, with exactly one entry for each target."""
        gxs = self.backward(target_input_indexes, grad_outputs)
        if len(gxs) == len(target_input_indexes):
            return gxs
        if len(gxs) == len(self.inputs):
            return tuple([gxs[i] for i in target_input_indexes])
        raise ValueError(
            f'number of gradients returned from backward is incorrect: '
            f'{len(gxs)} != expected {len(target_input_indexes)}\n{self.describe()}'
        )

    def describe(self):
        """Function, inputs and outputs in a few lines, for error messages."""
        lines = [f'  function={self._impl_name} ({self.label})']
        for name, nodes in ('input', self.inputs), ('output', [y() for y in self.outputs]):
            for i, x in enumerate(nodes):
                lines.append(
                    f'    {name} {i}: ' + ('not available' if x is None else f'shape={x.shape} dtype={x.dtype}')
                )
        return '\n'.join(lines)

    def get_retained_inputs(self):
        """Tuple of the retained inputs as differentiable Variables, None for an input that was None."""
        if self._input_indexes_to_retain is None or self.inputs is None:
            return ()
        nodes = [self.inputs[i] for i in self._input_indexes_to_retain]
        return tuple([None if node.data is None else node.get_variable() for node in nodes])

    def get_retained_outputs(self):
        """Tuple of the retained outputs as Variables, differentiable."""
        if self._output_indexes_to_retain is None or self.outputs is None:
            return ()
        return tuple(
            [
                self._retained_output(i, array)
                for i, array in zip(self._output_indexes_to_retain, self._retained_output_data)
            ]
        )

    def _retained_output(self, index, array):
        if array is None:
            return None
        array, node = solid(array), self.outputs[index]()
        if node is None:  # nobody else kept it: make it again
            y = Variable._wrap(None, True)
            y._hidden = array
            y.node.creator_node = self
            self.outputs = (*self.outputs[:index], weakref.ref(y.node), *self.outputs[index + 1 :])
            return y
        y = node.get_variable()
        if y._form is None:
            y._hidden = array
        return y

    def _replace_retained(self, old, new):
        if self._retained_output_data is not None:
            self._retained_output_data = tuple(
                [new if y is old or getattr(y, 'result', y) is old else y for y in self._retained_output_data]
            )

    # -- the rest -----------------------------------------------------------------------------------------------------
    def unchain(self):
        """Cuts the graph here: the inputs are forgotten, the outputs have no creator."""
        for ref in self.outputs or ():
            y = ref()
            if y is not None:
                y.unchain()
        self.inputs = None

    def add_hook(self, hook, name=None):
        """Shows this function to a FunctionHook, under `name` (the hook's own name by default)."""
        name = name or hook.name
        if name in self.local_function_hooks:
            raise KeyError(f'Hook {name} already exists')
        self.local_function_hooks[name] = hook
        hook.added(self)

    def delete_hook(self, name):
        """Takes the hook `name` off this function."""
        if name not in self.local_function_hooks:
            raise KeyError(f'No hook named {name} exists in {self.label}')
        self.local_function_hooks.pop(name).deleted(self)


def _all_numpy(arrays):
    """Whether all are NumPy arrays, what is not computed yet counting as the array that it is `like`."""
    for x in arrays:
        if type(x) is not np.ndarray and type(getattr(x, 'like', None)) is not np.ndarray:
            return False
    return True


def _has_nan(array):
    return array is not None and array.dtype.kind == 'f' and bool(backend.get_array_module(array).isnan(array).any())
