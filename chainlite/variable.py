"""Variables: arrays that remember how they were computed.

`Variable` is what users hold; it owns the array. `VariableNode` is its place in the graph, which must not keep the
array alive, and holds the gradient. `Parameter` is a variable that a link registers and an optimizer updates,
possibly of a shape not known yet.

Operators and array methods are written here once. What they do is the business of the functions floor, which fills
the table `operations` when it is imported.

Longer than other modules, because Variable has one method for every operator, for every device and for each of
Chainer's names, and users look them up in one place.
"""

from __future__ import annotations

import types
import warnings
import weakref

import numpy as np

from chainlite import backend, initializers
from chainlite._engine import Gradients
from chainlite.backends._deferred import Deferred, solid
from chainlite.backends._layout import from_last, is_last
from chainlite.configuration import config
from chainlite.utils import argument

operations = types.SimpleNamespace()
_new = object.__new__  # without __init__
_nothing = lambda: None  # noqa: E731  (like the weak reference to an output that is gone)

_ONE_ELEMENT = (
    'Treating a variable with only one element as a scalar in Variable.backward is deprecated. A scalar variable must '
    'be a 0-dimensional array. Apply chainer.functions.squeeze to obtain a scalar variable. If the size of this '
    'variable accidentally becomes one, set zero to grad.'
)


class VariableNode:
    """A variable's place in the graph.

    Attributes:
        creator_node: the FunctionNode that made it, or None.
        data: the array, if a function retained it.
        requires_grad: whether a backward pass computes its gradient.
        dtype, shape: of the array.
        name: of the variable.
        old_style: label of the old-style Function that made this gradient, which therefore has no graph.
        lent: whether an array that is not computed yet depends on `data`, which therefore must not change.
    """

    __slots__ = (
        '_variable',
        '_creator_node',
        'data',
        'grad_var',
        '_rank',
        'requires_grad',
        'dtype',
        'shape',
        'name',
        'old_style',
        'lent',
        '__weakref__',
    )

    def __init__(self, variable, name, **kwargs):
        if kwargs:
            argument.check_unexpected_kwargs(
                kwargs, grad='unexpected keyword argument "grad": pass the gradient to Variable instead'
            )
            argument.assert_kwargs_empty(kwargs)
        self._variable = weakref.ref(variable)
        self._creator_node = self.data = self.grad_var = self.old_style = None
        self._rank, self.requires_grad, self.name, self.lent = 0, variable.requires_grad, name, variable._lent
        form = variable._array if variable._hidden is None else variable._hidden
        self.dtype, self.shape = (None, None) if form is None else (form.dtype, form.shape)

    @staticmethod
    def _made_by(function, variable):
        """The node of a new output of `function`; what `__init__` and `creator_node` do, in fewer steps."""
        node = _new(VariableNode)
        array = variable._array
        if array is None:
            array = variable._hidden
        node._variable = weakref.ref(variable)
        node._creator_node = function
        node.data = node.grad_var = node.old_style = node.name = None
        node.lent, node._rank = False, function.rank + 1
        node.requires_grad = variable.requires_grad
        if array is not None:
            node.dtype, node.shape = array.dtype, array.shape
        else:
            node.dtype = node.shape = None
        variable._own_node = node
        return node

    def _update_data_info(self, array):
        if array is None:
            self.dtype = self.shape = None
        else:
            self.dtype, self.shape = array.dtype, array.shape
            if self.data is not None:
                self.data = array

    rank = property(lambda self: self._rank, doc='Length of the longest path from a leaf.')

    @property
    def creator_node(self):
        return self._creator_node

    @creator_node.setter
    def creator_node(self, function):
        self._creator_node = function
        if function is not None:
            self._rank = function.rank + 1

    @property
    def creator(self):
        """The function that made the variable: an old-style Function itself, not its adapter."""
        return getattr(self._creator_node, 'function', self._creator_node)

    @creator.setter
    def creator(self, function):
        self.creator_node = getattr(function, 'node', function)

    @property
    def grad(self):
        """Gradient array, or None."""
        return None if self.grad_var is None else self.grad_var.array

    @property
    def label(self):
        """Shape and dtype in a few characters."""
        return _label(self.shape, self.dtype)

    def set_grad(self, gradient):
        """Gives the variable a gradient (a Variable or None), if the variable is still there."""
        if self._variable() is not None:
            self.grad_var = gradient

    def get_variable(self):
        """The Variable of this node: the one that the user holds, or a new one."""
        variable = self._variable()
        if variable is None:
            variable = Variable._wrap_any(self.data, self.requires_grad)
            if self._creator_node is not None and variable._array is not None and self.data.flags.c_contiguous:
                variable._array, variable._hidden = None, self.data  # a function may have more to do with it
            variable._lent = self.lent
            variable._name, variable._own_node = self.name, self
            self._variable = weakref.ref(variable)
        return variable

    def get_variable_or_none(self):
        """The Variable that the user holds, or None."""
        return self._variable()

    def set_creator(self, creator):
        self.creator = creator

    def set_creator_node(self, creator_node):
        self.creator_node = creator_node

    def unchain(self):
        """Forgets the creator, and the creator this output: no gradient of it comes there any more."""
        function, self._creator_node = self._creator_node, None
        if function is not None and function.outputs is not None:
            function.outputs = tuple([_nothing if y() is self else y for y in function.outputs])

    def check_differentiable(self):
        """Raises RuntimeError for a gradient that has no graph, because an old-style Function made it."""
        if self.old_style is not None:
            raise RuntimeError(f'cannot twice-differentiate an old style Function "{self.old_style}"')

    def retain_data(self):
        """Keeps the array here, so that it outlives the Variable."""
        variable = self._variable()
        if variable is None:
            raise RuntimeError('cannot retain variable data: the variable has been already released')
        self.data = variable.array


class Variable:
    """An array with its place in the graph.

    Args:
        data: array, or None.
        name: shown in graphs and in `repr`.
        grad: initial gradient, an array like `data`.
        requires_grad: whether backward passes compute its gradient.
    """

    __array_priority__ = 200  # array + Variable is ours, not NumPy's

    _array = None
    # Instead of `_array`, until somebody looks at it: an array in any layout, or Deferred.
    _hidden = None
    _private = False  # whether nobody else can have the hidden array: it is new, and our own function made it
    _lent = False  # whether what is not computed yet depends on the hidden array, which therefore must not change
    _own_node = None  # made when it is first asked for
    _name = None
    _device = None  # where it was sent, where the array does not tell (two devices of one array type)
    _loss_scale = None
    _has_chainerx_array = False
    requires_grad = True
    _owns_gradient = False  # gradients may be shared, as in Chainer: (x + y).backward() computes one array

    def __init__(self, data=None, **kwargs):
        name, grad, requires_grad, grad_valid, layout = argument.parse_kwargs(
            kwargs,
            ('name', None),
            ('grad', None),
            ('requires_grad', True),
            ('_grad_valid', True),
            ('layout', None),
            volatile='volatile argument is not supported anymore. Use chainer.using_config',
        )
        if data is not None and not isinstance(data, backend.get_array_types()):
            raise TypeError(f'{_expected_arrays()} are expected. Actual: {type(data)}')
        self._array, self._name, self.requires_grad = data, name, requires_grad
        if grad is not None:
            self.grad = grad

    @staticmethod
    def _wrap(array, requires_grad):
        """A Variable of an array, without checks."""
        x = _new(Variable)
        x._array, x.requires_grad = array, requires_grad
        return x

    @staticmethod
    def _wrap_any(array, requires_grad):
        """`_wrap` for what a function gave, which may be channels last."""
        x = _new(Variable)
        if array is None or array.ndim < 3 or not is_last(array):
            x._array = array
        else:
            x._hidden = array
        x.requires_grad = requires_grad
        return x

    @staticmethod
    def _wrap_private(array, requires_grad):
        """`_wrap_any` for an array that nobody else has, or a Deferred one."""
        x = _new(Variable)
        if array is None or array.ndim < 3:  # what can be made of private arrays is made of images
            x._array = solid(array) if isinstance(array, Deferred) else array
        else:
            x._hidden, x._private = array, True
        x.requires_grad = requires_grad
        return x

    # -- the array ----------------------------------------------------------------------------------------------------
    @property
    def array(self):
        """The array, or None. Assigning to it does not change the graph."""
        array = self._array
        if array is None and self._hidden is not None:
            array = self._show()
        return array

    @array.setter
    def array(self, array):
        node = self._own_node
        if node is not None:
            node._update_data_info(array)
            if node._creator_node is not None and array is not None:
                node._creator_node._replace_retained(self._form, array)
        self._array, self._hidden, self._private = array, None, False
        self._device = None

    data = property(array.fget, array.fset, doc='The array; `array` is the clearer name.')  # type: ignore[attr-defined]

    def _show(self):
        """Replaces the hidden array by a C-contiguous one that may change, also where the graph has kept it."""
        hidden, node = self._any_array, self._own_node
        if not hidden.flags.c_contiguous:
            array = from_last(hidden)
        else:
            array = hidden.copy() if self._lent else hidden
        self._array, self._hidden, self._private = array, None, False
        if node is not None:
            node._update_data_info(array)
            if node._creator_node is not None:
                node._creator_node._replace_retained(hidden, array)
        return array

    @property
    def _any_array(self):
        """The array in whatever layout."""
        hidden = self._hidden
        if hidden is None:
            return self._array
        if isinstance(hidden, Deferred):
            hidden = self._hidden = hidden.array()
        return hidden

    def _lend(self):
        """The hidden array, which from now on will not change."""
        self._lent = True
        if self._own_node is not None:
            self._own_node.lent = True
        return self._any_array

    def _unfinished(self, takes):
        """What this Variable is, if that has not been computed yet and `takes` more, the name of an attribute of
        Deferred; otherwise None."""
        form = self._hidden
        if isinstance(form, Deferred) and getattr(form, takes) and not config.debug:
            self._lent, form.holder = True, weakref.ref(self)
            return form
        return None

    @property
    def _form(self):
        """What knows the shape and the dtype: the array in whatever layout, or Deferred."""
        return self._array if self._hidden is None else self._hidden

    raw_array = property(lambda self: self.array)

    @property
    def chx_array(self):
        raise ValueError(f'chx_array is not available for device {self.device}: chainlite has no ChainerX')

    @property
    def layout(self):
        """Memory layout; None is the standard one, the only one that can be seen from outside."""
        return None

    def as_layout(self, layout):
        if layout is not None:
            raise ValueError(f'unknown memory layout: {layout}')
        return self

    shape = property(lambda self: self._form.shape, doc='Shape of the array.')
    ndim = property(lambda self: self._form.ndim, doc='Number of axes.')
    size = property(lambda self: self._form.size, doc='Number of elements.')
    dtype = property(lambda self: self._form.dtype, doc='Dtype of the array.')
    xp = property(lambda self: self.device.xp, doc='The array module: numpy or cupy.')

    @property
    def device(self):
        """The device that the array is on: the one it was sent to, if that was not the array's own choice."""
        form = self._form
        return self._device or backend.get_device_from_array(form.like if isinstance(form, Deferred) else form)

    def item(self):
        """The only element as a Python scalar."""
        return self.array.item()

    def __dlpack__(self, **options):
        """The array for another library (`torch.from_dlpack(x)`), which then shares its memory; the graph stays here.

        Keyword arguments (stream, max_version, dl_device, copy) are those of the array API's `__dlpack__`.
        """
        return self._to_share().__dlpack__(**options)

    def __dlpack_device__(self):
        """(kind, number) of the device in DLPack's numbering."""
        return self._to_share().__dlpack_device__()

    def _to_share(self):
        if self.array is None:
            raise ValueError(f'{type(self).__name__} {self.name or ""} without an array cannot be shared by DLPack')
        return self.array

    # -- the graph ----------------------------------------------------------------------------------------------------
    @property
    def node(self):
        """The VariableNode."""
        node = self._own_node
        if node is None:
            node = self._own_node = VariableNode(self, self._name)
        return node

    _node = node

    @property
    def name(self):
        return self._name

    @name.setter
    def name(self, name):
        self._name = name
        if self._own_node is not None:
            self._own_node.name = name

    @property
    def creator_node(self):
        """The FunctionNode that made the variable, or None."""
        return None if self._own_node is None else self._own_node.creator_node

    @creator_node.setter
    def creator_node(self, function):
        self.node.creator_node = function

    @property
    def creator(self):
        """The function that made the variable: an old-style Function itself, not its adapter."""
        return None if self._own_node is None else self._own_node.creator

    @creator.setter
    def creator(self, function):
        self.node.creator = function

    @property
    def rank(self):
        return 0 if self._own_node is None else self._own_node._rank

    @property
    def label(self):
        """Shape and dtype in a few characters."""
        return self.node.label

    def set_creator(self, gen_func):
        self.node.creator = gen_func

    def set_creator_node(self, fnode):
        self.node.creator_node = fnode

    def retain_data(self):
        """Lets the graph keep the array."""
        self.node.data = self.array

    def unchain(self):
        """Makes this variable a leaf: its creator is forgotten."""
        self.node.unchain()

    def unchain_backward(self):
        """Forgets the graph behind this variable."""
        seen, functions = set(), [self.creator_node]
        while functions:
            function = functions.pop()
            if function is None or function in seen:
                continue
            seen.add(function)
            functions += [x.creator_node for x in function.inputs or ()]
            function.unchain()

    # -- gradients ----------------------------------------------------------------------------------------------------
    @property
    def grad_var(self):
        """Gradient as a Variable, or None."""
        return None if self._own_node is None else self._own_node.grad_var

    @grad_var.setter
    def grad_var(self, gradient):
        if gradient is not None:
            self._check_grad(gradient._any_array)
        self.node.grad_var = gradient

    @property
    def grad(self):
        """Gradient array, or None."""
        node = self._own_node
        gradient = None if node is None else node.grad_var
        return None if gradient is None else gradient.array

    @grad.setter
    def grad(self, gradient):
        if gradient is None:
            if self._own_node is not None:
                self._own_node.grad_var = None
        else:
            self._check_grad(gradient)
            self.node.grad_var = Variable._wrap(gradient, True)

    _grad = property(lambda self: self.grad, doc="Chainer's own name of the gradient array, which some programs read.")

    def _check_grad(self, gradient):
        x = self._array
        if type(x) is type(gradient) is np.ndarray and x.shape == gradient.shape and x.dtype is gradient.dtype:
            return
        if not isinstance(gradient, backend.get_array_types()):
            raise TypeError(
                f'Type of grad is invalid:\nExpected: Any of {backend.get_array_types()}\nActual: {type(gradient)}'
            )
        x = self._any_array
        if x is None or gradient is None:
            return
        if not backend.is_arrays_compatible((gradient, x)):
            raise TypeError(f'Type of data and grad mismatch\ngrad: {type(gradient)} != data: {type(x)}')
        if gradient.dtype != x.dtype:
            raise TypeError(f'Dtype of data and grad mismatch\ngrad: {gradient.dtype} != data: {x.dtype}')
        if gradient.shape != x.shape:
            raise ValueError(f'Shape of data and grad mismatch\ngrad: {gradient.shape} != data: {x.shape}')

    def cleargrad(self):
        """Drops the gradient."""
        if self._own_node is not None:
            self._own_node.grad_var = None

    def zerograd(self):
        """Fills the gradient with zeros. Deprecated since v1.15: use `cleargrad`."""
        warnings.warn('Variable.zerograd is deprecated. Use Variable.cleargrad instead.', DeprecationWarning)
        if self.array is None:
            return
        if self.grad_var is None:
            self.grad = self.xp.zeros_like(self.array)
        else:
            self.grad_var.unchain()
            self.grad_var.array.fill(0)

    def copydata(self, var):
        """Copies the array of another variable into this one's, across devices.

        Of two Parameters, the one that is not initialized yet is initialized with the other's shape.
        """
        if self.array is None and var.array is None:
            return
        late = next((v for v in (self, var) if v.array is None), None)
        if late is not None:
            if not isinstance(late, Parameter):
                raise AttributeError('copydata: a Variable without an array is no Parameter: it cannot be initialized')
            late.initialize((var if late is self else self).shape)
        backend.copyto(self.array, var.array)

    def addgrad(self, var):
        """Adds the gradient of another variable to this one's, across devices."""
        source = var.grad_var
        if source is None:
            return
        if self.array is None:
            self.initialize(var.shape)
            self.cleargrad()
        if source.device != self.device:
            source = operations.copy(source, self.device)
        self.grad_var = source if self.grad_var is None else self.grad_var + source

    def backward(self, retain_grad=False, enable_double_backprop=False, loss_scale=None):
        """Computes the gradients of all variables that this one depends on, and adds them to `grad` of the leaves.

        Args:
            retain_grad: whether variables between here and the leaves keep their gradients as well.
            enable_double_backprop: whether the gradients get a graph of their own.
            loss_scale: number that the gradient of this variable starts from instead of 1; optimizers divide by it.

        The gradient of this variable must be set, unless it has one element: then 1 is taken. Other outputs of the
        functions on the way count too if their gradients were set.
        """
        node = self._own_node
        gy = None if node is None else node.grad_var
        if gy is None and self._any_array is not None and self.size == 1:
            if self.shape != ():
                warnings.warn(_ONE_ELEMENT, DeprecationWarning, stacklevel=2)
            gy = _gradient_variable(_like(self._any_array, 1 if loss_scale is None else loss_scale))
        elif node is None or node._creator_node is None or not self.requires_grad:
            return
        elif gy is None and not any([y() is not None and y().grad_var is not None for y in node._creator_node.outputs]):
            raise TypeError(
                f'backward starts from a variable of shape {self.shape} that has no gradient: set its grad, or sum it '
                'up first'
            )
        backward_from([self], [gy], retain_grad, enable_double_backprop, loss_scale)

    # -- devices ------------------------------------------------------------------------------------------------------
    def to_device(self, device):
        """Moves array and gradient to a device, in place. Returns None, as in Chainer."""
        device = backend.get_device(device)
        gradient = self.grad_var
        if self.array is not None:
            self.array = device.send(self.array)
            natural = backend.get_device_from_array(self.array)
            self._device = None if type(device) is type(natural) else device
        if gradient is not None:
            moved = Variable._wrap(device.send(gradient.array), gradient.requires_grad)
            self.node.grad_var = moved
            if self.array is not None and self.node.data is not None:
                self.node.data = self.array

    def to_cpu(self):
        """Moves array and gradient to NumPy, in place."""
        self.to_device(backend.CpuDevice())

    def to_gpu(self, device=None):
        """Moves array and gradient to a GPU (the current one by default), in place."""
        backend.cuda.check_cuda_available()
        self.to_device(backend.cuda._device_or_current(device))

    def to_intel64(self):
        """Moves array and gradient to the CPU's accelerated form, in place."""
        self.to_device(backend.Intel64Device())

    def to_chx(self):
        """Would move to ChainerX: raises, since there is none."""
        self.to_device(backend.get_device('native'))

    def from_chx(self):
        """Moves from ChainerX to the array it is made of: nothing to do."""

    # -- operators and array methods ----------------------------------------------------------------------------------
    # fmt: off
    def __add__(self, rhs): return operations.add(self, rhs)
    def __radd__(self, lhs): return operations.add(self, lhs)
    def __sub__(self, rhs): return operations.sub(self, rhs)
    def __rsub__(self, lhs): return operations.rsub(self, lhs)
    def __mul__(self, rhs): return operations.mul(self, rhs)
    def __rmul__(self, lhs): return operations.mul(self, lhs)
    def __truediv__(self, rhs): return operations.div(self, rhs)
    def __rtruediv__(self, lhs): return operations.rdiv(self, lhs)
    def __floordiv__(self, rhs): return operations.floordiv(self, rhs)
    def __rfloordiv__(self, lhs): return operations.rfloordiv(self, lhs)
    def __pow__(self, rhs): return operations.pow(self, rhs)
    def __rpow__(self, lhs): return operations.rpow(self, lhs)
    def __matmul__(self, rhs): return operations.matmul(self, rhs)
    def __rmatmul__(self, lhs): return operations.rmatmul(self, lhs)
    def __neg__(self): return operations.neg(self)
    def __pos__(self): return self
    def __abs__(self): return operations.absolute(self)
    # fmt: on
    __div__, __rdiv__ = __truediv__, __rtruediv__

    def __getitem__(self, slices):
        """Basic and advanced indexing, differentiable."""
        return operations.get_item(self, slices)

    @property
    def T(self):
        """Transpose."""
        return self.transpose()

    def reshape(self, *shape):
        """The same elements in another shape: `x.reshape(2, 3)` or `x.reshape((2, 3))`."""
        return operations.reshape(self, shape[0] if len(shape) == 1 else shape)

    def transpose(self, *axes):
        """Permuted axes (reversed by default): `x.transpose(1, 0)` or `x.transpose((1, 0))`."""
        if not axes:
            axes = None
        elif len(axes) == 1 and (isinstance(axes[0], (tuple, list)) or axes[0] is None):
            axes = axes[0]
        return operations.transpose(self, axes)

    def mean(self, axis=None, *, weights=None, keepdims=False):
        """Weighted mean over axes."""
        return operations.average(self, axis, weights, keepdims)

    def __len__(self):
        form = self._form
        return form.shape[0] if isinstance(form, Deferred) else len(form)

    def __bool__(self):
        raise TypeError('Variables cannot be evaluated as Python bool.')

    __nonzero__ = __bool__

    # -- copies and texts ---------------------------------------------------------------------------------------------
    def __copy__(self):
        return self._copy_to(Variable())

    def _copy_to(self, target):
        if self._hidden is not None:
            self._show()  # since from now on two have it
        target.__dict__.update(self.__dict__)
        if target._own_node is not None:
            target._own_node = _copy_node(target, self._own_node)
        return target

    def __reduce__(self):
        array, device = _portable(self)
        return _create_variable, (array, self.name, _host(self.grad), self.requires_grad, device)

    def __repr__(self):
        return variable_repr(self)

    def __str__(self):
        return variable_str(self)

    def summary(self):
        """Name, or address, in one line."""
        return f'<variable {self.name}>' if self.name else f'<variable at 0x{id(self):x}>'

    def debug_print(self):
        """A table of what is known about the array and its gradient, with mean and deviation."""
        array, xp = self.array, None if self.array is None else self.xp
        if array is None:
            known = dict.fromkeys(['device', 'backend', 'shape', 'dtype', 'statistics', 'grad'])
        else:
            grad = self.grad
            known = dict(
                device=_device_text(array),
                backend=type(array),
                shape=array.shape,
                dtype=array.dtype,
                statistics=_statistics(xp, array),
                grad=None if grad is None else 0 if not grad.any() else _statistics(xp, grad),
            )
        return '\n'.join([self.summary(), *(f'- {key}: {value}' for key, value in known.items())])


def _unsupported(symbol):
    def compare(self, other):
        raise TypeError(f'Variables do not support {symbol} operator. You could use `array` attribute instead.')

    return compare


for _name, _symbol in dict(lt='<', le='<=', eq='==', ne='!=', gt='>', ge='>=').items():
    setattr(Variable, f'__{_name}__', _unsupported(_symbol))
Variable.__hash__ = None  # type: ignore[method-assign, assignment]


class Parameter(Variable):
    """A variable to be learned: its array may be made later, when its shape is known, by an initializer.

    Args:
        initializer: Initializer, scalar, array, or None (NaN, so that forgetting to set it shows).
        shape: shape; None leaves the parameter uninitialized until `initialize` is called (an array brings its own).
        name: name.

    The gradient of an initialized parameter starts as NaN: clear it (`cleargrad`) before the first backward pass. That
    of one which is made of its array is None.
    """

    initializer = None
    update_rule = None
    _owns_gradient = True  # optimizers and their hooks write to it
    _grad_initializer = None
    _initial_device = None
    _grad_known = False  # before there is an array: whether the gradient was set or cleared
    _copies = None  # by id: the parameters copied from each other, which share their array, also a later one

    def __init__(self, initializer=None, shape=None, name=None, *, layout=None):
        device = backend.CpuDevice()
        if initializer is None:
            initializer = initializers.NaN()
        elif np.isscalar(initializer):
            initializer = initializers.Constant(initializer)
        elif shape is not None and isinstance(initializer, backend.get_array_types()):
            device = backend.get_device_from_array(initializer)
            initializer = initializers.Constant(initializer)
        super().__init__(name=name)
        self._initial_device = device
        if shape is not None:
            self.initializer = initializer
            self._grad_initializer = initializers.NaN()
            self.initialize(shape)
            self._grad_initializer = None
        elif isinstance(initializer, backend.get_array_types()):
            self.array, self.initializer = initializer, initializers.Constant(initializer)
            self._initial_device = backend.get_device_from_array(initializer)
        else:
            self.initializer = initializer
            self._grad_initializer = initializers.NaN()

    @property
    def is_initialized(self):
        """Whether the array exists."""
        return self._array is not None

    @property
    def dtype(self):
        """Dtype, also before there is an array if the initializer says it."""
        if self.array is not None:
            return self.array.dtype
        dtype = getattr(self.initializer, 'dtype', None)
        if dtype is None:
            raise RuntimeError(
                "Dtype of the parameter is not determined yet because it's uninitialized and dtype was not "
                'explicitly given.'
            )
        return np.dtype(dtype)

    def _set_array(self, array):
        Variable.array.fset(self, array)
        if self._copies is not None:
            for p in self._copies.values():
                Variable.array.fset(p, array)

    array = property(Variable.array.fget, _set_array, doc=Variable.array.__doc__)  # type: ignore[attr-defined]
    data = property(Variable.array.fget, _set_array, doc=Variable.data.__doc__)  # type: ignore[attr-defined]

    @property
    def grad(self):
        """Gradient array, or None."""
        if self._array is None and not self._grad_known:
            raise RuntimeError(
                'Cannot retrieve Variable.grad. Either it must be set manually or Variable.cleargrad() must be called '
                'beforehand.'
            )
        return Variable.grad.fget(self)

    @grad.setter
    def grad(self, gradient):
        Variable.grad.fset(self, gradient)
        self._grad_known = True

    @property
    def device(self):
        """The device of the array, or where it will be made."""
        return self._initial_device if self.array is None else super().device

    def initialize(self, shape):
        """Makes the array (and a NaN gradient unless it was cleared) of this shape."""
        device = self.device
        xp = device.xp
        with device.create_context():
            array = initializers.generate_array(self.initializer, shape, xp, device=device)
            gradient = (
                None
                if self._grad_initializer is None
                else initializers.generate_array(self._grad_initializer, shape, xp, array.dtype, device)
            )
        self.array = array
        self.grad = gradient

    def cleargrad(self):
        """Drops the gradient, also the one that an uninitialized parameter would get."""
        if self._own_node is not None:
            self._own_node.grad_var = None
        self._grad_known = True
        self._grad_initializer = None

    def zerograd(self):
        super().zerograd()
        if not self.is_initialized:
            self._grad_initializer = initializers.Zero()

    def update(self):
        """Applies the update rule, if an optimizer has set one."""
        if self.update_rule is not None:
            self.update_rule.update(self)

    def to_device(self, device):
        device = backend.get_device(device)
        if self._copies is not None and device != self.device:
            del self._copies[id(self)]
            self._copies = None
        if self.array is None:
            self._initial_device = device
        else:
            super().to_device(device)

    def __copy__(self):
        if self._copies is None:
            self._copies = weakref.WeakValueDictionary({id(self): self})
        new = self._copy_to(Parameter())
        self._copies[id(new)] = new
        return new

    def __reduce__(self):
        array, device = _portable(self)
        gradient = None if array is None else _host(self.grad)
        known = (
            {'_grad_known': self._grad_known, '_grad_initializer': self._grad_initializer} if array is None else None
        )
        return (
            _recover_parameter,
            (array, self.name, gradient, self.requires_grad, self.initializer, self.update_rule, device),
            known,
        )


# -- helpers ----------------------------------------------------------------------------------------------------------
def as_variable(obj):
    """`obj` itself if it is a Variable, a Variable that needs no gradient if it is an array."""
    if isinstance(obj, Variable):
        return obj
    return Variable._wrap(obj, False) if isinstance(obj, np.ndarray) else Variable(obj, requires_grad=False)


def as_array(obj):
    """The array of a Variable, or `obj` itself."""
    return obj.array if isinstance(obj, Variable) else obj


def backward_from(ys, gys, retain_grad=False, enable_double_backprop=False, loss_scale=None):
    """The backward pass from several variables; what `Variable.backward` and `chainlite.backward` have in common."""
    gradients = Gradients(_gradient_variable, enable_double_backprop, retain_grad)
    seen = set()  # the memory of gradients
    for y, gy in zip(ys, gys):
        node = y.node
        if gy is None:  # another output of its function has one
            gradients.push(node._creator_node)
            continue
        array = gy._any_array
        seen.add(_memory(array))
        node.check_differentiable()
        if node._creator_node is None:
            y.grad_var = gy if node.grad_var is None or node.grad_var is gy else node.grad_var + gy
            continue
        node.grad_var = None
        gradients.known[node] = gy if enable_double_backprop else array
        gradients.push(node._creator_node)
    for node in gradients.run():
        x = node._variable()
        if x is None:
            continue
        gx = gradients.known[node]
        if isinstance(gx, Deferred):
            gx = gx.array()
        if not enable_double_backprop:
            memory = _memory(gx)
            if x._owns_gradient and (memory in seen or not _writable(gx)):
                gx = gx.copy()  # its memory is part of another gradient as well, or cannot be written to
                memory = _memory(gx)
            seen.add(memory)
            gx = Variable._wrap_any(gx, True)
        node.grad_var = gx
        x._loss_scale = loss_scale
    if retain_grad:
        for y, gy in zip(ys, gys):
            y.node.grad_var = gy  # itself, not a copy


def _memory(array):
    """What tells whose memory an array, or a view of one, is."""
    base = array.base
    return id(array if base is None else base)


def _writable(array):
    """Whether elements can be written to, one by one: those of a broadcast array have one memory. CuPy does not say."""
    return array.flags.writeable if isinstance(array, np.ndarray) else 0 not in array.strides


def _gradient_variable(array):
    return Variable._wrap_any(array, True)


def _like(array, value):
    if isinstance(array, np.ndarray):
        return np.full(array.shape, value, array.dtype)
    device = backend.cuda.elsewhere((array,))
    if device is not None:
        with device:
            return backend.cuda.cupy.full_like(array, value)
    return backend.cuda.cupy.full_like(array, value)


def _copy_node(variable, node):
    new = VariableNode(variable, node.name)
    new._creator_node, new.data, new.grad_var = node._creator_node, node.data, node.grad_var
    new._rank, new.requires_grad, new.old_style = node._rank, node.requires_grad, node.old_style
    return new


def _expected_arrays():
    return ' or '.join(str(t) for t in backend.get_array_types())


def _host(array):
    return None if array is None else backend.CpuDevice().send(array)


def _portable(variable):
    return _host(variable.array), variable.device if variable.array is not None else getattr(
        variable, '_initial_device', None
    )


def _create_variable(data, name, grad, requires_grad, device=None):
    return _restore(Variable(data, name=name, requires_grad=requires_grad), grad, device)


def _recover_parameter(data, name, grad, requires_grad, initializer, update_rule, device=None):
    p = Parameter(initializer=initializer, name=name)
    p.array, p.requires_grad, p.update_rule = data, requires_grad, update_rule
    return _restore(p, grad, device)


def _restore(variable, grad, device):
    variable.grad = grad
    if device is not None:
        variable.to_device(device)
    return variable


def variable_repr(var):
    """What `repr` of a Variable gives."""
    return _text(var, repr)


def variable_str(var):
    """What `str` of a Variable gives."""
    return _text(var, str)


def _text(variable, form):
    name = f'variable {variable.name}' if variable.name is not None else 'variable'
    if variable.array is None:
        return f'{name}(None)'
    array = _host(variable.array)
    if array.ndim == 0 or array.size == 0:
        empty = '[]' if form is str or array.ndim == 1 else f'[], shape={array.shape}'
        body = np.array2string(array) if array.ndim == 0 else empty
    else:
        prefix = ' ' * (len(name) + 1)
        body = np.array2string(array, prefix=prefix, separator=', ' if form is repr else ' ')
    return f'{name}({body})'


def _label(shape, dtype):
    if dtype is None:
        return '(), None' if shape is None else f'({", ".join(map(str, shape))})'
    if shape == ():
        return str(dtype)
    return f'({", ".join(map(str, shape))}), {dtype}'


def _device_text(array):
    return 'None' if array is None else 'CPU' if isinstance(array, np.ndarray) else str(array.device)


def _statistics(xp, array):
    return f'mean={float(xp.mean(array)):.8f}, std={float(xp.std(array)):.8f}'
