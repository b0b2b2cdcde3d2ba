"""Names, files, options and errors of the export; functions replaced by nodes of their own."""

import subprocess
import sys

import numpy as np
import pytest

import chainlite
import chainlite.functions as F
import chainlite.links as L
from chainlite import onnx_chainer
from chainlite.backends import cuda

onnx = pytest.importorskip('onnx', reason='onnx is not installed')
pytest.importorskip('onnxruntime', reason='ONNX Runtime is not installed')
from onnx_export.runtime import Function, run  # noqa: E402

from chainlite.onnx_chainer import onnx_helper  # noqa: E402
from chainlite.onnx_chainer.export import RetainInputHook  # noqa: E402
from chainlite.onnx_chainer.replace_func import as_funcnode, fake_as_funcnode  # noqa: E402
from chainlite.onnx_chainer.testing.test_onnxruntime import check_model_expect  # noqa: E402

X = np.arange(12, dtype='f').reshape(3, 4)


@pytest.fixture
def model(device):
    np.random.seed(0)
    return chainlite.Sequential(L.Linear(4, 5), F.relu, L.Linear(5, 2)).to_device(device)


@pytest.fixture
def x(device):
    return device.send(X)


def names(values):
    return [value.name for value in values]


def test_names_follow_functions_and_paths(model, x):
    graph = onnx_chainer.export(model, x).graph
    assert names(graph.input) == ['Input_0']
    assert names(graph.output) == ['LinearFunction_1']
    assert names(graph.node) == ['LinearFunction_0', 'ReLU_0', 'LinearFunction_1']
    assert set(names(graph.initializer)) == {'param_0_W', 'param_0_b', 'param_1_W', 'param_1_b'}
    values = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    np.testing.assert_array_equal(values['param_0_W'], cuda.to_cpu(model[0].W.array))


@pytest.mark.parametrize('opset', range(9, 22))
def test_every_opset_passes_the_checker_with_its_number(model, opset, x):
    exported = onnx_chainer.export(model, x, opset_version=opset)
    assert [(o.domain, o.version) for o in exported.opset_import] == [('', opset)]
    np.testing.assert_allclose(run(exported, {'Input_0': X})[0], cuda.to_cpu(model(x).array), rtol=1e-5)


@pytest.mark.parametrize('opset', [8, 22])
def test_other_opsets_are_refused(model, opset, x):
    with pytest.raises(ValueError, match=f'opset_version must be 9 to 21, not {opset}'):
        onnx_chainer.export(model, x, opset_version=opset)


def test_an_unsupported_function_is_named_and_can_be_given(x):
    class Mystery(chainlite.FunctionNode):
        def forward(self, inputs):
            return (inputs[0] + 1,)

    chain = Function(lambda x: Mystery().apply((x,))[0])
    with pytest.raises(ValueError, match=r"the function Mystery .*external_converters=\{'Mystery': converter\}"):
        onnx_chainer.export(chain, x)

    def convert(params):
        one = params.context.add_const(np.float32(1), 'one')
        return onnx_helper.make_node('Add', [*params.input_names, one], params.output_names)

    exported = onnx_chainer.export(chain, x, external_converters={'Mystery': convert})
    np.testing.assert_array_equal(run(exported, {'Input_0': X})[0], X + 1)


def test_inputs_and_outputs_take_names_in_every_form(x):
    chain = Function(lambda a, b: {'sum': a + b, 'product': a * b})
    exported = onnx_chainer.export(chain, (x, x), input_names=['a', 'b'], output_names={'sum': 's', 'product': 'p'})
    assert (names(exported.graph.input), names(exported.graph.output)) == (['a', 'b'], ['s', 'p'])
    s, p = run(exported, {'a': X, 'b': X + 1})
    np.testing.assert_array_equal(s, 2 * X + 1)
    np.testing.assert_array_equal(p, X * (X + 1))
    with pytest.raises(ValueError, match='2 different names are expected'):
        onnx_chainer.export(chain, (x, x), input_names=['a', 'a'])


def test_an_output_may_be_an_input_or_appear_twice(x):
    def function(x):
        y = F.exp(x)
        return x, y, y

    ys = run(onnx_chainer.export(Function(function), x), {'Input_0': X})
    for y, expected in zip(ys, (X, np.exp(X), np.exp(X)), strict=True):
        np.testing.assert_allclose(y, expected, rtol=1e-6)


def test_an_intermediate_output_keeps_its_name(x):
    def function(x):
        y = F.exp(x)
        return y, F.relu(y)

    exported = onnx_chainer.export(Function(function), x, output_names=['first', 'second'])
    assert names(exported.graph.output) == ['first', 'second']
    assert len(run(exported, {'Input_0': X})) == 2


@pytest.mark.parametrize('returned, error', [(lambda x: x.array, RuntimeError), (lambda x: (x, x.array), ValueError)])
def test_arrays_as_outputs_are_refused(returned, error, x):
    with pytest.raises(error, match=r'[Oo]utput'):
        onnx_chainer.export(Function(returned), x)


def test_parameters_can_be_left_out(model, x):
    graph = onnx_chainer.export(model, x, export_params=False).graph
    assert not graph.initializer
    assert set(names(graph.input)) == {'Input_0', 'param_0_W', 'param_0_b', 'param_1_W', 'param_1_b'}


def test_parameters_without_a_shape_are_left_out_with_a_warning(x, device):
    class Net(chainlite.Chain):
        def __init__(self):
            super().__init__()
            with self.init_scope():
                self.used, self.unused = L.Linear(None, 2), L.Linear(None, 2)

        def forward(self, x):
            return self.used(x)

    with pytest.warns(UserWarning, match='/unused/W is not initialized'):
        graph = onnx_chainer.export(Net().to_device(device), x).graph
    assert set(names(graph.initializer)) == {'param_used_W', 'param_used_b'}


def test_a_testcase_holds_model_inputs_outputs_and_gradients(model, tmp_path, x):
    onnx_chainer.export_testcase(model, x, tmp_path / 'case', output_grad=True)
    check_model_expect(tmp_path / 'case')
    found = {path.name for path in (tmp_path / 'case' / 'test_data_set_0').iterdir()}
    assert found == {'input_0.pb', 'output_0.pb', *(f'gradient_{i}.pb' for i in range(4))}
    gradient = onnx.load_tensor(tmp_path / 'case' / 'test_data_set_0' / 'gradient_3.pb')
    assert gradient.name == 'param_1_b'
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(gradient), [3, 3])


def test_files_and_their_text(model, tmp_path, x):
    with pytest.warns(DeprecationWarning, match='export_testcase'):
        exported = onnx_chainer.export(model, x, tmp_path / 'net.onnx', save_text=True, graph_name='net')
    assert onnx.load(tmp_path / 'net.onnx') == exported
    assert 'name: "net"' in (tmp_path / 'net.onnx.txt').read_text()


@pytest.mark.host('writes files')
def test_files_stay_as_they_were_where_writing_fails(model, tmp_path, x, monkeypatch):
    onnx_chainer.export_testcase(model, x, tmp_path)
    files = {path: path.read_bytes() for path in sorted(tmp_path.rglob('*.*'))}

    def full(descriptor):
        raise OSError('no space left on device')

    monkeypatch.setattr('os.fsync', full)
    model[0].W.array[...] = 0
    tensor = tmp_path / 'test_data_set_0' / 'input_0.pb'
    for write in (
        lambda: onnx_chainer.export(model, x, tmp_path / 'model.onnx', no_testcase=True),
        lambda: onnx_helper.write_tensor_pb(tensor, 'x', np.zeros(9)),
    ):
        with pytest.raises(OSError, match='no space left'):
            write()
    assert {path: path.read_bytes() for path in sorted(tmp_path.rglob('*.*'))} == files


def test_the_model_and_the_configuration_stay_as_they_were(model, x):
    sign, apply = F.sign, chainlite.FunctionNode.apply
    with pytest.raises(ValueError):
        onnx_chainer.export(Function(lambda x: F.fft((x, x))[0]), x)
    assert (F.sign, chainlite.FunctionNode.apply) == (sign, apply)
    assert chainlite.config.train


def test_shapes_that_do_not_go_with_the_arguments_are_refused(model, x):
    for shapes in '?', ('?', 4, 4), [('?', 4), ('?', 4)]:
        with pytest.raises(ValueError, match='input_shapes'):
            onnx_chainer.export(model, x, input_shapes=shapes)


def test_functions_of_arrays_become_nodes_of_the_given_name(x):
    @as_funcnode('NumpyFull', rename_attributes=[('fill', 'value')])
    def full(x, fill=0):
        return chainlite.backend.get_array_module(x).full(x.shape, fill, 'f')

    def convert(params):
        builder = onnx_helper.GraphBuilder()
        shape = builder.op('Shape', params.input_names)
        value = onnx.helper.make_tensor('value', onnx.TensorProto.FLOAT, [1], [params.func.value])
        builder.op_output_named('ConstantOfShape', [shape], params.output_names, value=value)
        return builder.nodes()

    chain = Function(lambda x: F.exp(full(x, fill=2)))
    with pytest.warns(FutureWarning, match='experimental'):
        exported = onnx_chainer.export(chain, x, input_shapes=('n', 4), external_converters={'NumpyFull': convert})
    assert names(exported.graph.node)[-1] == 'Exp_0'
    np.testing.assert_allclose(run(exported, {'Input_0': X[:2]})[0], np.full((2, 4), np.exp(2)), rtol=1e-6)


def test_a_replaced_function_keeps_its_gradients_and_its_structure(device):
    def function(pair, scale):
        return {'a': pair[0] * scale, 'b': [pair[1] * pair[1]]}

    replaced = fake_as_funcnode(function, 'Pair', experimental_warning=False)
    x, y = map(chainlite.Variable, device.send((X, X + 1)))
    found = replaced((x, y), scale=3)
    assert found['a'].creator is found['b'][0].creator
    assert found['a'].creator.scale == 3
    F.sum(found['a'] + found['b'][0]).backward()
    np.testing.assert_array_equal(cuda.to_cpu(x.grad), np.full_like(X, 3))
    np.testing.assert_array_equal(cuda.to_cpu(y.grad), 2 * (X + 1))


def test_the_hook_keeps_what_the_model_makes_by_itself(device):
    chain = Function(lambda x: x + chainlite.Variable(device.xp.ones(4, 'f')))
    x = chainlite.Variable(device.send(X))
    with RetainInputHook() as hook:
        chain(x)
    (kept,) = hook.retain_inputs
    np.testing.assert_array_equal(cuda.to_cpu(kept.array), np.ones(4))


@pytest.mark.host('texts of errors')
def test_without_onnx_one_line_names_the_command(tmp_path):
    (tmp_path / 'onnx.py').write_text('raise ImportError("hidden")')
    script = (
        f'import sys; sys.path.insert(0, {str(tmp_path)!r})\n'
        'import numpy as np, chainlite\n'
        'from chainlite import onnx_chainer\n'
        'try:\n'
        '    onnx_chainer.export(chainlite.links.Linear(2, 2), np.zeros((1, 2), "f"))\n'
        'except ImportError as e:\n'
        '    print(e)\n'
    )
    done = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == 'onnx is needed to export models: pip install chainlite[onnx]'


@pytest.mark.host('names of modules')
def test_programs_for_onnx_chainer_run_unchanged():
    script = (
        'import chainlite.compat; chainlite.compat.install()\n'
        'import numpy as np, chainer, onnx_chainer\n'
        'from onnx_chainer.replace_func import fake_as_funcnode\n'
        'model = onnx_chainer.export(chainer.links.Linear(2, 2), np.zeros((1, 2), "f"))\n'
        'print(model.graph.output[0].name, onnx_chainer.MINIMUM_OPSET_VERSION)\n'
    )
    done = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ['LinearFunction_0', '9']
