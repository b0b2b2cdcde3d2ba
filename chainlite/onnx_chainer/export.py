"""Export of a model as ONNX."""

import os
import warnings

from chainlite._fused import Fused
from chainlite._version import __version__
from chainlite.backend import get_array_types
from chainlite.configuration import using_config
from chainlite.function_node import FunctionNode
from chainlite.link_hook import LinkHook
from chainlite.onnx_chainer.context import Context
from chainlite.onnx_chainer.graph import Graph
from chainlite.onnx_chainer.mapping import patch_functions
from chainlite.onnx_chainer.onnx_helper import cleanse_param_name, require_onnx, tensor_type, to_tensor
from chainlite.utils.atomic import replacing
from chainlite.variable import Parameter, Variable, as_variable

MINIMUM_OPSET_VERSION = 9
MAXIMUM_OPSET_VERSION = 21


def convert_parameter(parameter, context):
    """TensorProto of a Parameter, Variable or array under its name in the context."""
    array = parameter.array if isinstance(parameter, Variable) else parameter
    if not isinstance(array, get_array_types()):
        raise ValueError(
            f'The type of parameter is unknown. It should be Parameter or Variable or ndarray: {type(array)}'
        )
    return to_tensor(array, context.get_name(parameter) or context.param_names.get(id(array), ''))


class RetainInputHook(LinkHook):
    """Keeps alive the variables that a model makes by itself, so that their arrays can be exported.

    These are inputs of functions that are neither made by functions, nor parameters, nor arguments of a link.

    Attributes:
        retain_inputs: list of these Variables.
        kept_inputs: {id of a function that has a formula: its input Variables}.
    """

    name = 'RetainInputHook'

    def __init__(self):
        self.retain_inputs, self.kept_inputs = [], {}
        self._arguments, self._parameters, self._apply = {}, [], None

    def forward_preprocess(self, args):
        for value in _variables([args.args, args.kwargs]):
            self._arguments[id(value.node)] = value

    def __enter__(self):
        self._apply = original = FunctionNode.apply

        def apply(function, inputs):
            inputs = [as_variable(x) for x in inputs]
            for x in inputs:
                if x.creator_node is None and id(x.node) not in self._arguments:
                    kept = self._parameters if isinstance(x, Parameter) else self.retain_inputs
                    if all(x is not y for y in kept):
                        kept.append(x)
            if isinstance(function, Fused):
                self.kept_inputs[id(function)] = inputs
            return original(function, tuple(inputs))

        FunctionNode.apply = apply
        return super().__enter__()

    def __exit__(self, *exc_details):
        FunctionNode.apply = self._apply
        return super().__exit__(*exc_details)


def _variables(value):
    """The Variables in lists, tuples and dictionaries."""
    if isinstance(value, Variable):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [v for x in value for v in _variables(x)] if isinstance(value, (list, tuple)) else []


def format_customized_shapes(args, shapes):
    """The shapes of the inputs that `input_shapes` asks for, one for each input.

    Args:
        args: the model's arguments: an array, or a list, tuple or dictionary of them.
        shapes: a tuple, or a list, tuple or dictionary of them; sizes are ints, or strings for what may change.

    Raises:
        ValueError: they do not go with `args`.
    """
    if isinstance(args, dict):
        arrays = list(args.values())
        if isinstance(shapes, dict):
            if set(args) != set(shapes):
                raise ValueError(f'input_shapes has the keys {sorted(shapes)}, the arguments {sorted(args)}')
            shapes = [shapes[key] for key in args]
    elif isinstance(args, (list, tuple)):
        arrays = list(args)
        shapes = [shapes] if len(arrays) == 1 and isinstance(shapes, tuple) else shapes
    else:
        arrays = [args]
        shapes = [shapes] if isinstance(shapes, tuple) else shapes
    if not isinstance(shapes, list) or len(shapes) != len(arrays):
        raise ValueError(f'input_shapes must have one shape for each of {len(arrays)} inputs: {shapes}')
    for x, shape in zip(arrays, shapes):
        if not isinstance(shape, tuple) or len(shape) != x.ndim:
            raise ValueError(f'an input has the shape {x.shape}, input_shapes has {shape} for it')
    return shapes


def rename_variable_name(context, variables, named_vars, new_names, prefix='Input'):
    """Names Variables in a context, for good.

    Args:
        variables: dictionary, list or tuple of Variables, as the user knows them.
        named_vars: the same as a list.
        new_names: list of names, dictionary {key of `variables`: name}, or None for `prefix` and a number.

    Returns:
        Dictionary {name: Variable}.
    """
    if new_names is None:
        new_names = [f'{prefix}_{i}' for i in range(len(named_vars))]
    elif isinstance(new_names, dict):
        if not isinstance(variables, dict) or set(new_names) - set(variables):
            raise ValueError(f'Replacing name list is not match with {list(variables)}: {new_names}')
        new_names = [new_names.get(key, str(key)) for key in variables]
    if len(new_names) != len(named_vars) or len(set(new_names)) != len(new_names):
        raise ValueError(f'{len(named_vars)} different names are expected. Actual: {list(new_names)}')
    for variable, name in zip(named_vars, new_names):
        context.set_name(variable, name, pinned=True)
    return dict(zip(new_names, named_vars))


def check_onnx_model(onnx_model, external_converters, external_opset_imports):
    """Runs ONNX's checker. Operators of the user may be unknown to it: then what it says is a UserWarning."""
    onnx = require_onnx()
    try:
        onnx.checker.check_model(onnx_model)
    except onnx.checker.ValidationError as e:
        if external_converters is None:
            raise
        warnings.warn(f'ValidationError occurred: {e}', stacklevel=2)


def export(
    model,
    args,
    filename=None,
    export_params=True,
    graph_name='Graph',
    save_text=False,
    opset_version=None,
    input_names=None,
    output_names=None,
    train=False,
    return_named_inout=False,
    external_converters=None,
    external_opset_imports=None,
    input_shapes=None,
    no_testcase=False,
):
    """Runs a model and exports the functions that it called as an ONNX graph.

    The parameters are initializers named by their paths: ``/conv1/W`` is ``param_conv1_W``. Control flow and shapes are
    those of this run, but the first axis of a Reshape follows the input.

    Args:
        model: Chain to call.
        args: array or Variable, a list or tuple of them for several arguments, or a dictionary for keyword arguments.
        filename: path or file to write to, or None.
        export_params: whether the parameters' values are part of the file; otherwise they are inputs.
        graph_name: str.
        save_text: whether to write the graph as text too, to `filename` + '.txt'.
        opset_version: int, 9 to 21; by default the latest that the installed onnx knows.
        input_names, output_names: lists of names, or dictionaries from the keys of `args` and of what is returned.
        train: whether to run in training mode.
        return_named_inout: whether to return the inputs and outputs as well.
        external_converters: {name of a function: converter}; a converter takes a FunctionConverterParams and returns a
            node or several, see :mod:`onnx_helper`.
        external_opset_imports: {domain: version} of operators that such converters use.
        input_shapes: shapes in the form of `args` with strings for sizes that may change.
        no_testcase: whether not to warn that :func:`export_testcase` writes inputs and outputs to test with as well.

    Returns:
        ModelProto; or with `return_named_inout`, a tuple of it and the dictionaries {name: Variable} of the inputs and
        outputs.

    Raises:
        ValueError: a function has no converter or its arguments cannot be expressed, or an argument here is wrong.
        RuntimeError: the model returns something else than Variables.
    """
    if not no_testcase and filename is not None:
        warnings.warn(
            'Exporting ONNX without testcases is deprecated. Use export_testcase instead',
            DeprecationWarning,
            stacklevel=2,
        )
    onnx = require_onnx()
    latest = min(onnx.defs.onnx_opset_version(), MAXIMUM_OPSET_VERSION)
    opset_version = latest if opset_version is None else opset_version
    if not MINIMUM_OPSET_VERSION <= opset_version <= latest:
        raise ValueError(f'opset_version must be {MINIMUM_OPSET_VERSION} to {latest}, not {opset_version}')
    shapes = None if input_shapes is None else format_customized_shapes(args, input_shapes)

    args, inputs = _as_inputs(args)
    hook = RetainInputHook()
    with using_config('train', train), using_config('enable_backprop', True), hook, patch_functions():
        outputs = model(**args) if isinstance(args, dict) else model(*args)
    flat_outputs = _flat_outputs(outputs)

    context = Context(model)
    for path, param in model.namedparams():
        if param.array is None:
            warnings.warn(f'The parameter {path} is not initialized: it is not exported', stacklevel=2)
    network_inputs = rename_variable_name(context, args, inputs, input_names)
    for name, x in network_inputs.items():
        context.set_input(x, name)
    if output_names is not None:
        names = output_names if isinstance(output_names, dict) else list(output_names)
        rename_variable_name(context, outputs, flat_outputs, names, 'Output')

    graph = Graph(context, external_converters, opset_version, network_inputs, flat_outputs)
    graph.kept_inputs = hook.kept_inputs
    nodes = graph.to_onnx_graph()
    names, more = graph.make_outputs()
    network_outputs = dict(zip(names, flat_outputs))
    onnx_graph = onnx.helper.make_graph(
        nodes + more,
        graph_name,
        _value_infos(network_inputs, shapes)
        + ([] if export_params else [_info(t.name, t.data_type, t.dims) for t in context.parameters]),
        _value_infos(network_outputs, shapes and [(None,) * y.ndim for y in flat_outputs]),
        initializer=context.parameters if export_params else [],
    )
    imports = {'': opset_version, **(external_opset_imports or {})}
    imports = [onnx.helper.make_operatorsetid(domain, version) for domain, version in imports.items()]
    onnx_model = onnx.helper.make_model(
        onnx_graph,
        producer_name='chainlite',
        producer_version=__version__,
        opset_imports=imports,
        ir_version=onnx.helper.find_min_ir_version_for([onnx.helper.make_operatorsetid('', opset_version)]),
    )
    check_onnx_model(onnx_model, external_converters, external_opset_imports)
    if filename is not None:
        _write(onnx_model, filename, save_text)
    return (onnx_model, network_inputs, network_outputs) if return_named_inout else onnx_model


def _as_inputs(args):
    """The arguments with new Variables in the place of arrays and Variables, and these as a list."""

    def variable(x):
        if not isinstance(x, (Variable, *get_array_types())):
            raise ValueError(f'the arguments must be arrays or Variables. Actual: {type(x)}')
        return Variable(x.array if isinstance(x, Variable) else x)

    if isinstance(args, dict):
        args = {key: variable(x) for key, x in args.items()}
        return args, list(args.values())
    args = [variable(x) for x in (args if isinstance(args, (list, tuple)) else [args])]
    return args, args


def _flat_outputs(outputs):
    if isinstance(outputs, Variable):
        return [outputs]
    if isinstance(outputs, dict):
        outputs = list(outputs.values())
    if not isinstance(outputs, (list, tuple)):
        raise RuntimeError(f'Unexpected output type from the model: {type(outputs)}')
    for y in outputs:
        if not isinstance(y, Variable):
            raise ValueError(f'The elements of the output must be Chainer Variables. Actual: {type(y)}')
    return list(outputs)


def _info(name, data_type, shape):
    return require_onnx().helper.make_tensor_value_info(name, data_type, shape)


def _value_infos(variables, shapes):
    """ValueInfoProtos of {name: Variable}, with these shapes or the Variables' own."""
    shapes = shapes or [x.shape for x in variables.values()]
    return [_info(name, tensor_type(x.dtype), shape) for (name, x), shape in zip(variables.items(), shapes)]


def _write(onnx_model, filename, save_text):
    content = onnx_model.SerializeToString()
    if hasattr(filename, 'write'):
        filename.write(content)
        return
    with replacing(filename) as temporary, open(temporary, 'wb') as f:
        f.write(content)
    if save_text:
        with replacing(os.fspath(filename) + '.txt') as temporary, open(temporary, 'w') as f:
            f.write(str(onnx_model))


__all__ = ['RetainInputHook', 'cleanse_param_name', 'convert_parameter', 'export']
