"""From the graph of functions to nodes of ONNX."""

from collections import Counter

from chainlite._fused import Fused
from chainlite.configuration import using_config
from chainlite.onnx_chainer import mapping
from chainlite.onnx_chainer.functions.converter import FunctionConverterParams
from chainlite.onnx_chainer.onnx_helper import GraphBuilder, require_onnx, set_func_name, to_tensor
from chainlite.variable import Variable

# What initializers are called that the model gives to a function without having them as parameters.
_ARGUMENTS = {name: ('x', 'gamma', 'beta', 'avg_mean', 'avg_var') for name in mapping.NORMALIZATIONS}


def function_name(func):
    """Name by which converters are found: the class's, or that of a replaced function."""
    return getattr(func, 'custom_function_node_name', type(func).__name__)


class Graph:
    """The functions that computed some outputs, in order, as ONNX nodes.

    Args:
        context: a Context, in which the inputs and those outputs that have been given names are named.
        converters: {name of a function: converter} of the user, or None.
        opset_version: int.
        explicit_input_names: names of the inputs; what is behind these Variables is not exported.
        network_outputs: list of the Variables.

    Attributes:
        kept_inputs: {id of a FunctionNode: its input Variables}, for those that are exported by their formula.
    """

    def __init__(self, context, converters, opset_version, explicit_input_names, network_outputs):
        self.kept_inputs = {}
        self.context, self.converters, self.opset_version = context, converters or {}, opset_version
        self.explicit_input_names, self.network_outputs = set(explicit_input_names), network_outputs
        self._numbers, self._converted = Counter(), {}

    def _functions(self, outputs):
        """All functions behind the outputs, each after those that it depends on."""
        order, seen = [], set()
        stack = [(y.node, False) for y in reversed(outputs)]
        while stack:
            node, finished = stack.pop()
            function = node if finished else self._creator(node)
            if finished:
                order.append(function)
            elif function is not None and id(function) not in seen:
                seen.add(id(function))
                stack.append((function, True))
                stack += [(x, False) for x in reversed(function.inputs)]
        return order

    def _creator(self, node):
        return None if self.context.is_input(node) else node.creator_node

    def create_node(self, func_name, func, input_names, output_names):
        """The nodes of one function."""
        converter = mapping.find(func, func_name, self.converters)
        params = FunctionConverterParams(func, self.opset_version, input_names, output_names, self.context)
        nodes = converter(params)
        return list(nodes) if isinstance(nodes, (list, tuple)) else [nodes]

    def convert_to_onnx_node(self, function):
        """Names the outputs of a function and converts it; one that has a formula but no converter, by its formula."""
        name = function_name(function)
        if isinstance(function, Fused) and mapping.lookup(function, name, self.converters) is None:
            return self._convert_formula(function)
        unique = f'{name}_{self._numbers[name]}'
        self._numbers[name] += 1
        set_func_name(unique)
        inputs = [self._input_name(x, i, name) for i, x in enumerate(function.inputs)]
        outputs = []
        for i, ref in enumerate(function.outputs):
            output = unique if len(function.outputs) == 1 else f'{unique}_{i}'
            y = ref()
            if y is not None:
                self.context.set_name(y, output)
                output = self.context.get_name(y)
            outputs.append(output)
        return self.create_node(name, function, inputs, outputs)

    def _convert_formula(self, function):
        xs = [Variable(x.array) for x in self.kept_inputs[id(function)]]
        for i, (x, old) in enumerate(zip(xs, function.inputs)):
            self.context.set_input(x, self._input_name(old, i, function_name(function)))
        with using_config('enable_backprop', True):
            try:
                ys = function.formula(*xs)
            except NotImplementedError:  # it has none
                mapping.find(function, function_name(function), self.converters)
        nodes = []
        for y, ref in zip(ys if isinstance(ys, tuple) else (ys,), function.outputs):
            old = ref()
            if old is None:
                continue
            for inner in self._functions([y]):
                if id(inner) not in self._converted:
                    self._converted[id(inner)] = inner
                    nodes += self.convert_to_onnx_node(inner)
            self._alias(nodes, y, old)
        return nodes

    def _alias(self, nodes, y, old):
        """Gives `old` the name of `y`; an Identity where it has one already."""
        name = self._input_name(y.node, 0, 'Identity')
        if self.context.is_pinned(old):
            set_func_name(self.context.get_name(old))
            builder = GraphBuilder()
            builder.op('Identity', [name])
            nodes += builder.nodes([self.context.get_name(old)])
        else:
            self.context.set_name(old, name)

    def _input_name(self, node, position, name):
        if node.creator_node is None and not self.context.get_name(node):
            known = _ARGUMENTS.get(name, ())
            self.context.name_leaf(node, known[position] if position < len(known) else str(position))
        return self.context.use(self.context.get_name(node))

    def to_onnx_graph(self):
        """All nodes, constants first."""
        nodes = []
        for function in self._functions(self.network_outputs):
            nodes += self.convert_to_onnx_node(function)
        make_node = require_onnx().helper.make_node
        constants = [
            make_node('Constant', [], [name], name=name, value=to_tensor(array, name))
            for name, array in self.context.constants.items()
        ]
        return constants + nodes

    def make_outputs(self):
        """Names of the outputs, and nodes for those that are an input, a parameter or another output as well."""
        names, nodes = [], []
        for number, y in enumerate(self.network_outputs):
            set_func_name(f'Identity_{self._numbers["Identity"]}')
            name = self.context.get_name(y) or self._input_name(y.node, number, 'Identity')
            if name in names or name in self.explicit_input_names or y.creator_node is None:
                builder = GraphBuilder()
                self._numbers['Identity'] += 1
                builder.op('Identity', [name])
                name = builder._func_name
                nodes += builder.nodes([name])
            names.append(name)
        return names, nodes
