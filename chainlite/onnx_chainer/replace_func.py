"""Functions that appear in the graph as one node of a given name, whatever they compute with."""

import functools
import inspect

from chainlite._backprop import grad
from chainlite.backend import get_array_types
from chainlite.configuration import using_config
from chainlite.function_node import FunctionNode
from chainlite.utils import experimental
from chainlite.variable import Variable, as_array, as_variable


class WrappedFunctionNode(FunctionNode):
    """One node that calls any function of Variables.

    Args:
        name: of the node, by which the exporter finds the converter.
        func: the function; it may return Variables or arrays, also in lists, tuples and dictionaries.
        args, kwargs: its arguments, of which the Variables (in lists, tuples and dictionaries too) are replaced.
        arg_vars: list of these Variables.
        attributes: {name: value} of the other arguments; they become attributes of the node.
    """

    def __init__(self, name, func, args, kwargs, arg_vars, attributes=None):
        self.custom_function_node_name = name
        self.func, self.args, self.kwargs, self.arg_vars = func, args, kwargs, arg_vars
        self.internal_results = None
        for key, value in (attributes or {}).items():
            if not hasattr(type(self), key):
                setattr(self, key, value)

    @property
    def label(self):
        return self.custom_function_node_name

    def forward(self, xs):
        """Calls the function, with a graph of its own that `backward` follows."""
        replaced = {id(old): Variable(x) for old, x in zip(self.arg_vars, xs)}
        self.inner_inputs = [replaced[id(old)] for old in self.arg_vars]

        def replace(value):
            return replaced.get(id(value), value)

        with using_config('enable_backprop', True):
            result = self.func(*_map(replace, self.args), **_map(replace, self.kwargs))
        self.structure, self.inner_outputs = result, list(_leaves(result))
        for y in self.inner_outputs:
            if not isinstance(y, (Variable, *get_array_types())):
                raise TypeError(f'{self.label}: Variables or arrays must be returned, not {type(y)}')
        return tuple([as_array(y) for y in self.inner_outputs])

    def backward(self, target_input_indexes, grad_outputs):
        """Gradients through the inner graph; None where the function computed with arrays."""
        pairs = [(y, g) for y, g in zip(self.inner_outputs, grad_outputs) if g is not None and isinstance(y, Variable)]
        if not pairs:
            return (None,) * len(target_input_indexes)
        ys, gys = zip(*pairs)
        return tuple(grad(ys, [self.inner_inputs[i] for i in target_input_indexes], gys))

    def reconstruct_return_value(self, outputs):
        """The node's outputs in the structure that the function returned."""
        rest = iter(outputs)
        return _map(lambda _: next(rest), self.structure)


def _map(convert, value):
    """Applies `convert` to what lists, tuples and dictionaries hold."""
    if isinstance(value, dict):
        return {key: _map(convert, v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)([_map(convert, v) for v in value])
    return convert(value)


def _leaves(value):
    found = []
    _map(found.append, value)
    return found


def fake_as_funcnode(alt_func, name, rename_attributes=None, experimental_warning=True):
    """A function that does what `alt_func` does and appears in the graph as one node.

    For what computes with arrays, which would cut the graph, or should be exported as one operator::

        def full(x, value=0):
            return numpy.full(x.array.shape, value, 'f')

        model.full = fake_as_funcnode(model.full, 'NumpyFull')
        export(model, x, external_converters={'NumpyFull': converter})  # there, params.func.value is the argument

    Args:
        alt_func: function of which some arguments are Variables, or lists, tuples or dictionaries of them.
        name: of the node.
        rename_attributes: list of pairs (name or position of an argument, name of the node's attribute).
        experimental_warning: whether to warn that this is experimental.

    Returns:
        The function; it returns Variables where `alt_func` returns arrays.
    """
    renamed = dict(rename_attributes or ())

    @functools.wraps(alt_func)
    def call(*args, **kwargs):
        if experimental_warning:
            experimental('as_funcnode')
        bound = inspect.signature(alt_func).bind(*args, **kwargs)
        bound.apply_defaults()
        attributes = {}
        for position, (key, value) in enumerate(bound.arguments.items()):
            if not any(isinstance(v, Variable) for v in _leaves(value)):
                attributes[renamed.get(key, renamed.get(position, key))] = value
        arg_vars = list({id(v): v for v in _leaves([args, kwargs]) if isinstance(v, Variable)}.values())
        if not arg_vars and args and isinstance(args[0], get_array_types()):
            args = (as_variable(args[0]), *args[1:])
            arg_vars = [args[0]]
        if not arg_vars:
            return alt_func(*args, **kwargs)
        node = WrappedFunctionNode(name, alt_func, args, kwargs, arg_vars, attributes)
        return node.reconstruct_return_value(node.apply(tuple(arg_vars)))

    return call


def as_funcnode(name, rename_attributes=None):
    """Decorator: :func:`fake_as_funcnode`."""

    def decorate(func):
        return fake_as_funcnode(func, name, rename_attributes)

    return decorate
