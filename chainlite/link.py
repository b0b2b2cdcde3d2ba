"""Links: the building blocks of models.

A :class:`Link` holds parameters (learned by optimizers) and persistent values (only saved) under the names of its
attributes. A :class:`Chain` holds other links by name as well, a :class:`ChainList` by number, and a
:class:`Sequential` calls its links one after the other. Their common methods walk the tree of children, which each
class shows by :meth:`Link._named_children`.

One module, though a long one: :meth:`Link.repeat` makes a Sequential, which is a Link.
"""

import collections.abc
import contextlib
import copy
import inspect
import numbers
import warnings

import numpy

from chainlite import backend, initializers
from chainlite.device_resident import DeviceResident
from chainlite.link_hook import LinkHook, _ForwardPostprocessCallbackArgs, _ForwardPreprocessCallbackArgs, _hooks
from chainlite.utils._changes import changes
from chainlite.variable import Parameter


def _is_shape(value):
    if value is None or isinstance(value, numbers.Integral):
        return True
    return isinstance(value, collections.abc.Sequence) and all(isinstance(x, numbers.Integral) for x in value)


class Link(DeviceResident):
    """A parametrized function that can be moved between devices, copied, and saved.

    A subclass assigns its parameters within ``with self.init_scope():`` and defines ``forward``, which calling the
    link runs, or ``__call__`` itself.

    Args:
        params: Names of parameters to add, each with a shape or a pair of a shape and a dtype.

    Attributes:
        name: Name by which the parent chain knows this link, None without a parent.
    """

    _within_init_scope = False
    _local_link_hooks = None
    __init_done = False
    __mixed_in_call = None

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        # A class that is mixed in after Link (class A(Link, Mixin)) may bring the call; it then replaces `forward`.
        after_link = cls.__mro__[cls.__mro__.index(Link) + 1 :]
        cls.__mixed_in_call = next((vars(base)['__call__'] for base in after_link if '__call__' in vars(base)), None)

    def __init__(self, **params):
        super().__init__()
        self._params = set()
        self._persistent = set()
        self._within_init_scope = False
        self.name = None
        self.__init_done = True
        for name, spec in params.items():
            shape, dtype = (spec, numpy.float32) if _is_shape(spec) else spec
            self.add_param(name, shape, dtype=dtype)

    def __check_init_done(self):
        if not self.__init_done:
            raise RuntimeError('Link.__init__() has not been called.')

    # -- calling --

    def __call__(self, *args, **kwargs):
        if not self.__init_done:
            self.__check_init_done()
        if _hooks.table or self._local_link_hooks:
            return self.__call_with_hooks(args, kwargs)
        if self.__mixed_in_call is not None:
            return self.__mixed_in_call(*args, **kwargs)
        return self.forward(*args, **kwargs)

    def __call_with_hooks(self, args, kwargs):
        hooks = {**(_hooks.table or {}), **(self._local_link_hooks or {})}.values()
        name = 'forward' if self.__mixed_in_call is None else '__call__'
        forward = self.__mixed_in_call or self.forward
        before = _ForwardPreprocessCallbackArgs(self, name, args, kwargs)
        for hook in hooks:
            hook.forward_preprocess(before)
        out = forward(*args, **kwargs)
        after = _ForwardPostprocessCallbackArgs(self, name, args, kwargs, out)
        for hook in hooks:
            hook.forward_postprocess(after)
        return out

    @property
    def local_link_hooks(self):
        """Dictionary of this link's own hooks, in the order in which they were added."""
        if self._local_link_hooks is None:
            self._local_link_hooks = {}
        return self._local_link_hooks

    def add_hook(self, hook, name=None):
        """Adds a :class:`~chainlite.LinkHook` to this link, under its own name unless one is given. Returns self."""
        if not isinstance(hook, LinkHook):
            raise TypeError('Hook must be of type LinkHook')
        name = hook.name if name is None else name
        if name in self.local_link_hooks:
            raise KeyError(f'Hook {name} already exists')
        self.local_link_hooks[name] = hook
        hook.added(self)
        return self

    def delete_hook(self, name):
        """Deletes the hook of that name from this link."""
        if name not in self.local_link_hooks:
            raise KeyError(f'Hook {name} does not exist')
        self.local_link_hooks.pop(name).deleted(self)

    # -- text --

    @property
    def printable_specs(self):
        """Generator of (name, value) for the text form of this link; subclasses override it."""
        yield from ()

    def __str__(self):
        return f'{type(self).__name__}({", ".join(f"{name}={value}" for name, value in self.printable_specs)})'

    def _str_tree(self, named_parts):
        lines = [f'({name}): {part}'.replace('\n', '\n  ') for name, part in named_parts]
        body = ''.join(f'  {line},\n' for line in lines)
        return f'{type(self).__name__}(\n{body})' if body else f'{type(self).__name__}()'

    # -- registration --

    @property
    def within_init_scope(self):
        """Whether assigned attributes are registered now."""
        return self._within_init_scope

    @contextlib.contextmanager
    def init_scope(self):
        """Context in which Parameters (in a Chain also links) assigned to attributes are registered."""
        self.__check_init_done()
        outer = self._within_init_scope
        self._within_init_scope = True
        try:
            yield
        finally:
            self._within_init_scope = outer

    def __setattr__(self, name, value):
        if self._within_init_scope and isinstance(value, Parameter):
            value.name = name
            value.to_device(self.device)
            self._params.add(name)
            self._persistent.discard(name)
        if isinstance(value, _PARTS) or isinstance(self.__dict__.get(name), _PARTS):
            changes.note()
        super().__setattr__(name, value)

    def __delattr__(self, name):
        super().__delattr__(name)
        changes.note()
        self._params.discard(name)
        self._persistent.discard(name)

    def add_param(self, name, shape=None, dtype=numpy.float32, initializer=None):
        """Registers a new parameter.

        Args:
            name: Attribute name.
            shape: Shape; None leaves the parameter uninitialized until its ``initialize(shape)``.
            dtype: Dtype if no initializer is given; an initializer decides for itself.
            initializer: Initializer, scalar or array; NaN by default.
        """
        if name in self.__dict__:
            raise AttributeError(f'cannot register a new parameter {name}: attribute exists')
        param = Parameter(initializers.NaN(dtype) if initializer is None else initializer, shape)
        with self.init_scope():
            setattr(self, name, param)

    def add_persistent(self, name, value):
        """Registers a value, usually an array or a number, to be saved and loaded with the parameters."""
        if name in self.__dict__:
            raise AttributeError(f'cannot register a new persistent value {name}: attribute exists')
        self._persistent.add(name)
        setattr(self, name, value)

    def register_persistent(self, name):
        """Makes an existing attribute persistent; a parameter ceases to be one."""
        if not hasattr(self, name):
            raise AttributeError(f'cannot register non-existent attribute {name} as a persistent value')
        self._persistent.add(name)
        self._params.discard(name)
        changes.note()

    @classmethod
    def from_params(cls, *args, **kwargs):
        """Makes a link that holds the given parameters, where the class says how."""
        raise NotImplementedError('This link does not implement `from_params`.')

    # -- the tree --

    def _named_children(self):
        """Returns pairs of name and child in a fixed order."""
        return ()

    def _child_links(self):
        """Returns the children in the same order."""
        return ()

    def _own_params(self):
        d = self.__dict__
        return [(name, d[name]) for name in sorted(self._params)]

    def params(self, include_uninit=True):
        """Generator of all parameters under this link, sorted by name; optionally only the initialized ones."""
        links = [self]
        while links:  # instead of generators in generators: optimizers walk at each update
            link = links.pop()
            if type(link).params is not Link.params and link is not self:
                yield from link.params(include_uninit)
                continue
            d, names = link.__dict__, link._params
            for name in sorted(names) if len(names) > 1 else names:
                if include_uninit or d[name].is_initialized:
                    yield d[name]
            children = link._child_links()
            if children:
                links += reversed(children)

    def namedparams(self, include_uninit=True):
        """Generator of (path, parameter); the path, such as ``'/conv1/W'``, starts at this link."""
        for name, param in self._own_params():
            if include_uninit or param.is_initialized:
                yield '/' + name, param
        for name, child in self._named_children():
            for path, param in child.namedparams(include_uninit):
                yield f'/{name}{path}', param

    def links(self, skipself=False):
        """Generator of this link (unless ``skipself``) and all under it."""
        if not skipself:
            yield self
        for child in self._child_links():
            yield from child.links()

    def namedlinks(self, skipself=False):
        """Generator of (path, link) of this link, which is ``'/'`` (unless ``skipself``), and all under it."""
        if not skipself:
            yield '/', self
        for name, child in self._named_children():
            yield '/' + name, child
            for path, link in child.namedlinks(skipself=True):
                yield f'/{name}{path}', link

    def children(self):
        """Generator of the links directly under this one."""
        yield from self._child_links()

    def device_resident_accept(self, visitor):
        super().device_resident_accept(visitor)
        d = self.__dict__
        for name in self._params:
            visitor.visit_variable(d[name])
        for name in self._persistent:
            if isinstance(d[name], backend.get_array_types()):
                d[name] = visitor.visit_array(d[name])
        for child in self._child_links():
            child.device_resident_accept(visitor)

    # -- parameters and their gradients --

    def count_params(self):
        """Returns the number of scalars in all parameters, with a warning for each that has no shape yet."""
        count = 0
        for path, param in self.namedparams():
            if param.is_initialized:
                count += param.size
            else:
                warnings.warn(
                    f"Parameter '{path}' has not been initialized, so the resulting count will not include "
                    'the number of parameters in it.'
                )
        return count

    def cleargrads(self):
        """Drops all gradients; to be called before each backward pass."""
        for param in self.params():
            param.cleargrad()

    def zerograds(self):
        """Fills all gradients with zeros. Deprecated since v1.15: use :meth:`cleargrads`."""
        warnings.warn('Link.zerograds is deprecated. Use Link.cleargrads instead.', DeprecationWarning, stacklevel=2)
        for param in self.params():
            param.zerograd()

    def addgrads(self, link):
        """Adds the gradients of another link of the same structure, wherever it lives, to those of this one."""
        theirs = link.__dict__
        for name, param in self._own_params():
            param.addgrad(theirs[name])
        for name, child in self._named_children():
            child.addgrads(link._get_child(name))

    def enable_update(self):
        """Lets optimizers update all parameters again."""
        self._set_update_enabled(True)

    def disable_update(self):
        """Keeps optimizers from updating the parameters, for example those of a pretrained part."""
        self._set_update_enabled(False)

    def _set_update_enabled(self, enabled):
        for param in self.params():
            if param.update_rule is not None:
                param.update_rule.enabled = enabled

    @property
    def update_enabled(self):
        """Whether any parameter has an update rule that is enabled."""
        return any(param.update_rule is not None and param.update_rule.enabled for param in self.params())

    # -- copies --

    def copy(self, mode='share'):
        """Copies this link and all under it.

        Args:
            mode: ``'share'``: new links, whose parameters share the arrays of these but not their gradients;
                ``'copy'``: new arrays with the same values; ``'init'``: new arrays, initialized anew.
        """
        if mode == 'share':
            new = copy.copy(self)
            new.name = None
            new._params = set(self._params)
            new._persistent = set(self._persistent)
            if self._local_link_hooks is not None:
                new._local_link_hooks = dict(self._local_link_hooks)
            for name, param in self._own_params():
                new.__dict__[name] = param = copy.copy(param)
                param.grad = None
            return new
        if mode not in ('copy', 'init'):
            raise ValueError(f"The 'mode' argument should be either 'init','copy', or 'share'. But {mode} was given.")
        new = copy.deepcopy(self)
        if mode == 'init':
            for param in new.params(include_uninit=False):
                param.initialize(param.shape)
        return new

    def repeat(self, n_repeat, mode='init'):
        """Returns a :class:`Sequential` of ``n_repeat`` copies of this link, made by :meth:`copy` in that mode."""
        return Sequential(*(self.copy(mode) for _ in range(n_repeat)))

    def copyparams(self, link, copy_persistent=True):
        """Copies the values of another link's parameters, wherever it lives, into this link's.

        Args:
            link: A link of the same structure.
            copy_persistent: Whether to copy persistent values too.
        """
        theirs = link.__dict__
        _check_shapes(self, link)
        for name, param in self._own_params():
            param.copydata(theirs[name])
        if copy_persistent:
            mine = self.__dict__
            for name in sorted(self._persistent):
                if isinstance(mine[name], backend.get_array_types()):
                    backend.copyto(mine[name], theirs[name])
                else:
                    mine[name] = copy.deepcopy(theirs[name])
        for name, child in self._named_children():
            child.copyparams(link._get_child(name), copy_persistent)

    def _get_child(self, name):
        return self.__dict__[name]

    def serialize(self, serializer):
        """Saves or loads parameters and persistent values; a parameter without a shape takes that of the file."""
        d = self.__dict__
        for name, param in self._own_params():
            data = serializer(name, param.array)
            if param.is_initialized or data is None:
                continue
            param.initialize(data.shape)
            param.array[...] = param.device.send(data)
        for name in sorted(self._persistent):
            value = serializer(name, d[name])
            # What had no value yet comes as it is in the file, on the host.
            d[name] = self.device.send(value) if d[name] is None and isinstance(value, numpy.ndarray) else value
        for name, child in self._named_children():
            child.serialize(serializer[name])


_PARTS = Parameter, Link


def _check_shapes(link, source):
    """Finds what copyparams cannot copy before it has begun."""
    theirs = dict(source.namedparams(include_uninit=False))
    for path, param in link.namedparams(include_uninit=False):
        if path in theirs and param.shape != theirs[path].shape:
            raise ValueError(
                f'copyparams: parameter {path} has shape {param.shape}, but that of the given link has '
                f'shape {theirs[path].shape}'
            )


def _check_link(link):
    if not isinstance(link, Link):
        raise TypeError('cannot register a non-link object as a child')


class Chain(Link):
    """A link that holds other links as attributes.

    Args:
        links: Child links by name; more are added by assigning them within ``with self.init_scope():``.
    """

    def __init__(self, **links):
        super().__init__()
        self._children = set()
        for name, link in links.items():
            self.add_link(name, link)

    def __str__(self):
        return self._str_tree(self._named_children())

    def __getitem__(self, name):
        """Returns the child of that name."""
        return getattr(self, name)

    def __setattr__(self, name, value):
        if self._within_init_scope and isinstance(value, Link):
            if hasattr(self, name):
                raise AttributeError(f'cannot register a new link {name}: attribute exists')
            value.name = name
            self._children.add(name)
        super().__setattr__(name, value)

    def __delattr__(self, name):
        self._children.discard(name)
        super().__delattr__(name)

    def add_link(self, name, link):
        """Registers a child under ``name``; assigning it within :meth:`init_scope` does the same."""
        if name in self.__dict__:
            raise AttributeError(f'cannot register a new link {name}: attribute exists')
        _check_link(link)
        with self.init_scope():
            setattr(self, name, link)

    def _named_children(self):
        d = self.__dict__
        return [(name, d[name]) for name in sorted(self._children)]

    def _child_links(self):
        d = self.__dict__
        return [d[name] for name in sorted(self._children)]

    def copy(self, mode='share'):
        new = super().copy(mode)
        if mode == 'share':
            new._children = set(self._children)
            for name, child in self._named_children():
                new.__dict__[name] = child = child.copy(mode)
                child.name = name
        return new


class ChainList(Link, collections.abc.MutableSequence):
    """A link that holds a list of links.

    Args:
        links: Child links; :meth:`add_link` and the methods of lists add more.
    """

    def __init__(self, *links):
        super().__init__()
        self._children = []
        for link in links:
            self.add_link(link)

    def __str__(self):
        return self._str_tree(self._named_children())

    def __setattr__(self, name, value):
        if self._within_init_scope and isinstance(value, Link):
            raise TypeError('cannot register a new link within a "with chainlist.init_scope():" block.')
        super().__setattr__(name, value)

    def _named_children(self):
        return [(str(i), link) for i, link in enumerate(self._children)]

    def _child_links(self):
        return self._children

    def _get_child(self, name):
        return self._children[int(name)]

    def _rename_children(self):
        for name, link in self._named_children():
            link.name = name
        changes.note()

    def __len__(self):
        return len(self._children)

    def __iter__(self):
        return iter(self._children)

    def __getitem__(self, index):
        return self._children[index]

    def __setitem__(self, index, value):
        if isinstance(index, slice):
            value = list(value)
        for link in value if isinstance(index, slice) else [value]:
            _check_link(link)
        self._children[index] = value
        self._rename_children()

    def __delitem__(self, index):
        del self._children[index]
        self._rename_children()

    def insert(self, index, link):
        """Inserts a child before position ``index``."""
        _check_link(link)
        self._children.insert(index, link)
        self._rename_children()

    def add_link(self, link):
        """Registers a child at the end."""
        self.append(link)

    def copy(self, mode='share'):
        new = super().copy(mode)
        if mode == 'share':
            new._children = [child.copy(mode) for child in self._children]
            new._rename_children()
        return new


def _check_layer(layer, where='All elements of the argument'):
    if not callable(layer):
        raise ValueError(f'{where} should be callable. But given {layer} is not callable.')


def _is_lambda(layer):
    return inspect.isfunction(layer) and layer.__name__ == '<lambda>'


def _layer_text(layer):
    """A lambda is shown by its source, anything else as it shows itself."""
    if _is_lambda(layer) and layer.__code__.co_filename != '<string>':  # text of `python -c` or `eval`, if any
        with contextlib.suppress(OSError):  # there is no source where there is no file
            return inspect.getsource(layer).strip().rstrip(',')
    return str(layer)


class Sequential(ChainList):
    """A list of layers, links or functions, each called with what the one before returned.

    Args:
        layers: Links and other callables. A tuple that a layer returns is passed as several arguments.
    """

    def __init__(self, *layers):
        super().__init__()
        self._layers = []
        self.extend(layers)

    def forward(self, *x):
        """Calls the layers in order with ``x``, the arguments of the first, and returns what the last returns."""
        if not self._layers:
            raise RuntimeError('Sequential does not have any layer.')
        for layer in self._layers:
            x = layer(*x) if isinstance(x, tuple) else layer(x)
        return x

    def __str__(self):
        return self._str_tree((i, _layer_text(layer)) for i, layer in enumerate(self._layers))

    # Files name a layer's link by its place among the children, which is Chainer's: a new link goes next to the first
    # one before it, so that links appended in turn become the children 0, n, ..., 2, 1.
    def _insert_child(self, i, layer):
        if isinstance(layer, Link):
            first = next((j for j, other in enumerate(self._layers[:i]) if isinstance(other, Link)), 0)
            self._children.insert(first + 1 if i else 0, layer)
            self._rename_children()

    def __len__(self):
        return len(self._layers)

    def __iter__(self):
        return iter(self._layers)

    def __getitem__(self, i):
        return self._layers[i]

    def __setitem__(self, i, layer):
        if isinstance(i, slice):
            layer = list(layer)
        for element in layer if isinstance(i, slice) else [layer]:
            _check_layer(element, 'All elements of a Sequential class')
        if isinstance(i, slice):
            layers = self._layers[:]
            layers[i] = layer
            self._layers, self._children = [], []
            self._rename_children()
            self.extend(layers)
        else:
            i = range(len(self))[i]
            del self[i]
            self.insert(i, layer)

    def __delitem__(self, i):
        removed = self._layers[i]
        del self._layers[i]
        for layer in removed if isinstance(i, slice) else [removed]:
            if isinstance(layer, Link):
                self._children.remove(layer)
        self._rename_children()

    def insert(self, i, layer):
        """Inserts a layer before position ``i``, which must be within the list."""
        if not -len(self) <= i <= len(self):
            raise IndexError(f'Index out of range: {i}')
        _check_layer(layer)
        i += len(self) if i < 0 else 0
        self._insert_child(i, layer)
        self._layers.insert(i, layer)

    def append(self, layer):
        """Adds a layer at the end."""
        self.insert(len(self), layer)

    def extend(self, sequential):
        """Adds the layers of a Sequential, or of any iterable, at the end."""
        for layer in list(sequential):
            self.append(layer)

    def __add__(self, other):
        if not isinstance(other, Sequential):
            raise ValueError(f'add (+) operator supports only objects of Sequential class, but {type(other)} is given.')
        return Sequential(*self, *other)

    def __iadd__(self, other):
        if not isinstance(other, Sequential):
            raise ValueError(f'add (+) operator supports only objects of Sequential class, but {type(other)} is given.')
        self.extend(other)
        return self

    def index(self, layer, start=None, end=None):
        """Returns the first position of a layer between ``start`` and ``end``."""
        return self._layers.index(layer, *slice(start, end).indices(len(self))[:2])

    def count(self, layer):
        """Returns how often a layer occurs."""
        return self._layers.count(layer)

    def pop(self, i=-1):
        """Removes the layer at ``i`` and returns it."""
        layer = self._layers[i]
        del self[i]
        return layer

    def remove(self, layer):
        """Removes the first occurrence of a layer."""
        if layer not in self._layers:
            raise ValueError(f'There is no layer object that is same as {layer}')
        del self[self._layers.index(layer)]

    def _names(self):
        return [getattr(layer, '__name__', type(layer).__name__) for layer in self._layers]

    def count_by_layer_type(self, type_name):
        """Returns how many layers are of the class, or are the function, named ``type_name``."""
        return self._names().count(type_name)

    def remove_by_layer_type(self, type_name):
        """Removes the layers that are of the class, or are the function, named ``type_name``."""
        self[:] = [layer for layer, name in zip(self._layers, self._names()) if name != type_name]

    def copy(self, mode='share'):
        new = super().copy(mode)
        layers = new._layers
        if mode == 'share':
            copies = dict(zip(map(id, self._children), new._children))
            layers = [copies.get(id(layer), layer) for layer in layers]
        new._layers, new._children = [], []
        new.extend(layers)
        return new

    def copyparams(self, link, copy_persistent=True):
        if not isinstance(link, Sequential):
            raise ValueError('Objects other than Sequential object cannot be copied to a Sequential object.')
        super().copyparams(link, copy_persistent)

    def flatten(self):
        """Returns a Sequential of the same layers, in which none is a Sequential itself."""
        return Sequential(
            *(
                inner
                for layer in self._layers
                for inner in (layer.flatten() if isinstance(layer, Sequential) else [layer])
            )
        )

    def __reduce__(self):
        if any(map(_is_lambda, self._layers)):
            raise ValueError(
                'This Sequential object has at least one lambda function as its component. Lambda function can not be '
                'pickled, so please consider to use functools.partial instead of the lambda function or use "dill", '
                'which is an external package that enables pickling an object including lambda functions intead of '
                'built-in pickle.'
            )
        return super().__reduce__()

    # Copies take lambdas as they are, which pickling cannot.
    def __copy__(self):
        new = object.__new__(type(self))
        new.__dict__.update(self.__dict__)
        return new

    def __deepcopy__(self, memo):
        new = object.__new__(type(self))
        memo[id(self)] = new
        new.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return new
