"""Export of a model with inputs and outputs to test a runtime with."""

import os

from chainlite.onnx_chainer.export import export
from chainlite.onnx_chainer.onnx_helper import cleanse_param_name, write_tensor_pb


def export_testcase(model, args, out_dir, output_grad=False, **kwargs):
    """:func:`export` to a folder, in the layout of ONNX's own tests.

    The folder holds `model.onnx`, and `test_data_set_0` the inputs, outputs and gradients as `input_0.pb`,
    `output_0.pb`, `gradient_0.pb` and so on.

    Args:
        model, args: those of :func:`export`.
        out_dir: path of the folder; it is made where it is missing.
        output_grad: whether to write the parameters' gradients too, of the sum of the outputs.
        kwargs: other arguments of :func:`export`.

    Raises:
        ValueError: with `output_grad`, a parameter has no gradient.
    """
    out_dir = os.fspath(out_dir)
    data_dir = os.path.join(out_dir, 'test_data_set_0')
    os.makedirs(data_dir, exist_ok=True)
    if output_grad:
        model.cleargrads()
    _, inputs, outputs = export(
        model, args, os.path.join(out_dir, 'model.onnx'), return_named_inout=True, no_testcase=True, **kwargs
    )
    for kind, variables in ('input', inputs), ('output', outputs):
        for i, (name, x) in enumerate(variables.items()):
            write_tensor_pb(os.path.join(data_dir, f'{kind}_{i}.pb'), name, x.array)
    if output_grad:
        _write_gradients(model, outputs.values(), data_dir)


def _write_gradients(model, outputs, data_dir):
    for y in outputs:
        y.grad = y.xp.ones_like(y.array)
        y.backward()
    params = [(path, param) for path, param in sorted(model.namedparams()) if param.array is not None]
    for i, (path, param) in enumerate(params):
        if param.grad is None:
            raise ValueError(f'Parameter `{path}` has no gradient value')
        write_tensor_pb(os.path.join(data_dir, f'gradient_{i}.pb'), cleanse_param_name(path), param.grad)
