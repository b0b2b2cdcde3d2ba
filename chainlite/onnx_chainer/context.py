"""Names of everything in the graph that is being made."""

import numpy as np

from chainlite.onnx_chainer.onnx_helper import cleanse_param_name, get_func_name, to_tensor
from chainlite.variable import Parameter, Variable


class Context:
    """What converters name variables by, and where they put constants and parameters.

    Attributes:
        name_list: {id of a VariableNode or array: (name, whether it is pinned)}.
        parameters: list of TensorProtos, the initializers.
        constants: {name: array}, which become Constant nodes.
        implicit_inputs: {name: Variable} of leaves that the model made by itself.
        param_names: {id of an array: name} of the model's parameters and persistents.
        unused: {name: array} of the model's parameters that no function has used yet.
    """

    def __init__(self, model):
        self.name_list, self._inputs = {}, set()
        self.parameters, self.constants, self.implicit_inputs = [], {}, {}
        self._kept = []  # objects whose ids are used must stay alive
        self.param_names, self._links, self.unused = {}, {}, {}
        for path, link in model.namedlinks():
            prefix = '' if path == '/' else path
            for name in sorted(link._params):
                param = link.__dict__[name]
                self._links[id(param)] = (prefix, link)
                if param.array is not None:
                    self._name_array(param.array, f'{prefix}/{name}')
                    self.set_name(param, cleanse_param_name(f'{prefix}/{name}'))
                    self.unused[cleanse_param_name(f'{prefix}/{name}')] = param.array
            for name in sorted(link._persistent):
                value = link.__dict__[name]
                if hasattr(value, 'dtype'):
                    self._name_array(value, f'{prefix}/{name}')

    def _name_array(self, array, path):
        self.param_names.setdefault(id(array), cleanse_param_name(path))
        self._kept.append(array)

    def _key(self, variable):
        if isinstance(variable, Variable):
            variable = variable.node
        self._kept.append(variable)
        return id(variable)

    def get_name(self, variable):
        """Name of a Variable, VariableNode or array; '' if it has none yet."""
        return self.name_list.get(self._key(variable), ('', False))[0]

    def set_name(self, variable, name, pinned=False):
        """Names a Variable, VariableNode or array. A pinned name stays whatever is set later."""
        if not self.is_pinned(variable):
            self.name_list[self._key(variable)] = name, pinned

    def is_pinned(self, variable):
        return self.name_list.get(self._key(variable), ('', False))[1]

    def set_input(self, variable, name):
        """Names a Variable behind which nothing is exported."""
        self.set_name(variable, name, pinned=True)
        self._inputs.add(self._key(variable))

    def is_input(self, variable):
        return self._key(variable) in self._inputs

    def get_link(self, param):
        """The link of the model that a parameter belongs to, or None."""
        return self._links.get(id(param), ('', None))[1]

    def add_param(self, array, name, use_original_name=False):
        """Makes an array an initializer; returns its name, `<function>_param_<name>` unless `use_original_name`."""
        if not use_original_name:
            name = f'{get_func_name()}_param_{name}'
        if all(tensor.name != name for tensor in self.parameters):
            self.parameters.append(to_tensor(array, name))
        return name

    def use(self, name):
        """Makes sure that the parameter of that name, if it is one, is an initializer; returns the name."""
        if name in self.unused:
            self.add_param(self.unused.pop(name), name, use_original_name=True)
        return name

    def add_const(self, array, name):
        """Makes an array a constant of the graph; returns its name, `<function>_const_<name>`."""
        name = f'{get_func_name()}_const_{name}'
        self.constants[name] = array.get() if hasattr(array, 'get') else np.asarray(array)
        return name

    def name_leaf(self, node, role):
        """Names a node of the graph without creator and name: what the model made by itself is an initializer."""
        variable = node.get_variable_or_none()
        array = node.data if variable is None else variable.array
        if array is None:
            raise ValueError(f'{get_func_name()}: its input {role} has no array any more')
        name = self.param_names.get(id(array))
        if name:
            self.add_param(array, name, use_original_name=True)
        else:
            given = variable.name if isinstance(variable, Parameter) and variable.name else role
            name = self.add_param(array, given)
            self.implicit_inputs[name] = variable
        self.set_name(node, name)
