"""Writing models for Caffe."""

import os

from chainlite.configuration import using_config
from chainlite.exporters import _caffe_layers
from chainlite.function import force_backprop_mode
from chainlite.function_hook import FunctionHook
from chainlite.links.caffe import CaffeFunction  # noqa: F401  (reads what is written; `links.caffe` is there with this)
from chainlite.links.caffe.protobuf3 import caffe_pb2 as caffe_pb
from chainlite.utils.atomic import replacing
from chainlite.variable import Variable, as_variable


def export(model, args, directory=None, export_params=True, graph_name='Graph'):
    """Writes a model as a network of Caffe: ``chainer_model.prototxt`` and ``chainer_model.caffemodel``.

    The model is run once, in test mode, and every function of the graph becomes a layer; its name is the function's
    label, rank and a number. Shapes are those of this run.

    Args:
        model: Callable of Variables, such as a link, that returns a Variable or a tuple, list or dictionary of them.
        args: Tuple of its inputs, float32 Variables or arrays. One is named ``data`` in the network, more ``data0``,
            ``data1``, ... A dictionary of keyword arguments gives their names.
        directory: Existing folder to write to; None only tries whether the model can be exported.
        export_params: Whether to write the parameters, in ``chainer_model.caffemodel``.
        graph_name: Name of the network.

    Raises:
        ValueError: if there is no layer of Caffe that does what a function does. It names the function.
    """
    net, inputs = make_network(model, args, graph_name)
    if directory is None:
        return
    from google.protobuf import text_format

    path = os.path.join(directory, 'chainer_model')
    text = caffe_pb.NetParameter(name=graph_name)
    for name, x in inputs.items():
        text.layer.add(name=name, type='Input', top=[name]).input_param.shape.add(dim=x.shape)
    for layer in net.layer:
        described = type(layer)()
        described.CopyFrom(layer)
        described.ClearField('blobs')
        described.ClearField('phase')
        text.layer.add().MergeFromString(described.SerializeToString())
    with replacing(path + '.prototxt') as temporary, open(temporary, 'w', encoding='utf-8') as f:
        f.write(text_format.MessageToString(text))
    if export_params:
        with replacing(path + '.caffemodel') as temporary, open(temporary, 'wb') as f:
            f.write(net.SerializeToString())


def make_network(model, args, graph_name):
    """Runs a model and describes what it did.

    Returns:
        NetParameter with parameters and without inputs, and a dictionary of the inputs.
    """
    inputs = _named(args)
    calls = _Calls()
    with using_config('train', False), force_backprop_mode(), calls:
        ys = model(**inputs) if isinstance(args, dict) else model(*inputs.values())
    if isinstance(ys, dict):
        ys = ys.values()
    elif isinstance(ys, Variable):
        ys = (ys,)
    net = caffe_pb.make_messages(lean=True)['NetParameter'](name=graph_name)  # parameters stay bytes, which is quick
    wanted = _ancestors(ys)
    converter = _caffe_layers.Converter(net, {x.node: name for name, x in inputs.items()})
    for function, in_data in calls.made:
        if function in wanted:
            converter.convert(function, in_data)
    return net, inputs


def _named(args):
    if isinstance(args, dict):
        return {name: as_variable(x) for name, x in args.items()}
    xs = args if isinstance(args, tuple | list) else (args,)
    return {'data' if len(xs) == 1 else f'data{i}': as_variable(x) for i, x in enumerate(xs)}


def _ancestors(ys):
    """The functions that lead to Variables."""
    found, queue = set(), [y.creator_node for y in ys]
    while queue:
        function = queue.pop()
        if function is not None and function not in found:
            found.add(function)
            queue.extend(x.creator_node for x in function.inputs)
    return found


class _Calls(FunctionHook):
    """Keeps the functions that are called, in their order, with the arrays they are given."""

    name = '_ExportedCalls'

    def __init__(self):
        self.made = []

    def forward_postprocess(self, function, in_data):
        self.made.append((function, in_data))
