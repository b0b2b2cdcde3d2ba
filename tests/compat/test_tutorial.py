"""Chainer's tutorial on convolutional networks, run under `python -m chainlite`.

The networks exist three times: written anew (convnets.py), and as the code blocks of the tutorial's current and older
editions, taken as they are from the folder that CHAINLITE_TEST_DOCUMENTS names. What is done with the networks is
done on each device.
"""

import os
import subprocess
import sys
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = os.environ.get('CHAINLITE_TEST_DOCUMENTS')


# ---- the programs


def code_blocks(text):
    """The fenced blocks of a Markdown text, as lists of lines."""
    blocks, inside = [], False
    for line in text.splitlines():
        if line.startswith('```'):
            inside = not inside
            if inside:
                blocks.append([])
        elif inside:
            blocks[-1].append(line)
    return blocks


def indent_like(lines, guide):
    """Indents lines that have lost their indentation as an edition of the same program that kept it.

    A line that the other edition lacks goes where the line before it says: four deeper after a colon, else as deep.
    """
    bare = [line.strip() for line in guide]
    depths = [len(line) - len(line.lstrip()) for line in guide]
    known = {}
    for tag, a, a_end, b, b_end in SequenceMatcher(None, lines, bare, autojunk=False).get_opcodes():
        if tag == 'equal' or (tag == 'replace' and a_end - a == b_end - b):  # a line for a line
            known.update(zip(range(a, a_end), depths[b:b_end]))
    depth, indented = 0, []
    for number, line in enumerate(lines):
        if line.startswith(('class ', 'from ', 'import ')):
            depth = 0
        elif line.startswith('def '):
            depth = 4
        elif number in known:
            depth = known[number]
        elif indented and indented[-1].endswith(':'):
            depth += 4
        indented.append(' ' * depth + line)
    return indented


def editions():
    """{edition: {what: program text}} of all editions that are here."""
    own = (ROOT / 'tests/compat/convnets.py').read_text()
    found = {'own': {what: own for what in ('lenet5', 'list', 'sequential', 'vgg16', 'resnet152')}}
    found['own']['list'] += '\nLeNet5 = LeNet5AsList\n'
    found['own']['sequential'] += '\nLeNet5 = LeNet5AsSequential\n'
    if not DOCUMENTS:
        return found
    folder = Path(DOCUMENTS)
    (current,) = (code_blocks(p.read_text(encoding='utf-8')) for p in folder.glob('000_*.txt'))
    (older,) = (code_blocks(p.read_text(encoding='utf-8')) for p in folder.glob('001_*.txt'))
    current = [indent_like(lines, guide) for lines, guide in zip(current, older)]
    for edition, blocks in ('current', current), ('older', older):
        imports, lenet5, as_list, loss, classifier, vgg16, resnet152, *_ = ['\n'.join(b) + '\n' for b in blocks]
        found[edition] = {
            'lenet5': imports + lenet5,
            'list': imports + as_list,
            'vgg16': imports + vgg16,
            'resnet152': imports + resnet152,
            'loss': imports + lenet5 + loss + 'plain, outside = model, loss\n' + classifier,
        }
    return found


# ---- what is asked of them: text that follows the program

ON_DEVICE = """
import sys
sys.path.append({tests!r})
import cuda_on_cpu
cuda_on_cpu.install()
import chainer
device = chainer.get_device({device!r})
device.use()
to_cpu = chainer.backends.cuda.to_cpu
"""

LOSS = """
import numpy as np
model = LeNet5().to_device(device)
x = device.send(np.random.rand(2, 1, 28, 28).astype('f'))
t = device.send(np.random.randint(0, 10, 2).astype('i'))
plain, outside = model, F.softmax_cross_entropy(model(x), t)
model = L.Classifier(LeNet5()).to_device(device)
loss = model(x, t)
"""

TRAIN = """
import numpy as np
from chainer import optimizers

random = np.random.RandomState(0)
model = {model}().to_device(device)
x = device.send(random.rand(*{shape}).astype('f'))
t = device.send(random.randint(0, {classes}, len(x)).astype('i'))
optimizer = optimizers.SGD(lr=.05).setup(model)
loss = F.softmax_cross_entropy(model(x), t)
print(model.count_params())

model.cleargrads()
loss.backward()
assert loss.dtype == np.float32 and np.isfinite(to_cpu(loss.array))
params = dict(model.namedparams())
assert all(p.device == device and np.isfinite(to_cpu(p.grad)).all() and p.grad.any() for p in params.values()), 'grads'
name = max(params)
expected = to_cpu(params[name].array) - np.float32(.05) * to_cpu(params[name].grad)
optimizer.update()
np.testing.assert_allclose(to_cpu(params[name].array), expected, rtol=1e-6, atol=0)

with chainer.using_config('train', False), chainer.no_backprop_mode():
    y = model(x)
assert y.shape == (len(x), {classes}) and y.creator is None
np.testing.assert_allclose(to_cpu(y.array).sum(axis=1), 1, rtol=1e-5)
"""

LEARN = """
before = float(F.softmax_cross_entropy(model(x), t).array)
for _ in range({steps}):
    optimizer.update(lambda: F.softmax_cross_entropy(model(x), t))
after = float(F.softmax_cross_entropy(model(x), t).array)
assert after < before, (before, after)
"""

COMPARE_LOSSES = """
wrapped = model.predictor
wrapped.copyparams(plain)
reporter = chainer.Reporter()
reporter.add_observer('main', model)
with reporter.scope({}) as _:
    loss = model(x, t)
    seen = dict(reporter.observation)
assert float(loss.array) == float(outside.array), (loss, outside)
assert sorted(seen) == ['main/accuracy', 'main/loss'] and float(seen['main/loss'].array) == float(loss.array)
"""


def run(tmp_path, text, device='@numpy', **environ):
    path = tmp_path / 'program.py'
    text = ON_DEVICE.format(tests=str(ROOT / 'tests'), device=str(device)) + text
    path.write_text(text, encoding='utf-8')
    env = {**os.environ, 'PYTHONPATH': str(ROOT), **environ}
    command = [sys.executable, '-W', 'error', '-m', 'chainlite', path]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def pytest_generate_tests(metafunc):
    if 'program' in metafunc.fixturenames:
        (what,) = (m.args[0] for m in metafunc.definition.iter_markers('what'))
        programs = {edition: texts[what] for edition, texts in editions().items() if what in texts}
        absent = pytest.mark.skip(reason='no folder with the tutorial is named by CHAINLITE_TEST_DOCUMENTS')
        params = [pytest.param(text, id=edition) for edition, text in programs.items()]
        if not DOCUMENTS and what != 'sequential':
            params += [pytest.param(None, id=edition, marks=absent) for edition in ('current', 'older')]
        metafunc.parametrize('program', params)


def lenet5_learns(device):
    """What LeNet-5 is asked: for less on CuPy, as the stand-in for a GPU takes its time."""
    n, steps = (32, 10) if device.xp is np else (1, 1)
    return TRAIN.format(model='LeNet5', shape=(n, 1, 28, 28), classes=10) + LEARN.format(steps=steps)


@pytest.mark.what('lenet5')
def test_lenet5_has_its_parameters_and_learns(tmp_path, program, device):
    text = program + lenet5_learns(device)
    assert run(tmp_path, text, device) == ['44426']


@pytest.mark.what('list')
def test_lenet5_as_a_list_has_its_parameters_and_learns(tmp_path, program, device):
    text = program + lenet5_learns(device)
    assert run(tmp_path, text, device) == ['44426']


@pytest.mark.what('sequential')
def test_lenet5_as_a_sequential_has_its_parameters_and_learns(tmp_path, program, device):
    text = program + lenet5_learns(device)
    assert run(tmp_path, text, device) == ['44426']


def test_our_classifier_computes_the_same_loss_and_reports_it(tmp_path, device):
    run(tmp_path, (ROOT / 'tests/compat/convnets.py').read_text() + LOSS + COMPARE_LOSSES, device)


@pytest.mark.host('the tutorial makes arrays of NumPy; that of ours, above, is on each device')
@pytest.mark.what('loss')
def test_a_classifier_computes_the_same_loss_and_reports_it(tmp_path, program):
    run(tmp_path, program + COMPARE_LOSSES)


@pytest.mark.host('millions of weights take the stand-in for a GPU minutes; LeNet-5 and the links run on it')
@pytest.mark.what('vgg16')
def test_vgg16_has_its_parameters_and_takes_a_step(tmp_path, program):
    text = program + TRAIN.format(model='VGG16', shape=(1, 3, 224, 224), classes=1000)
    assert run(tmp_path, text) == ['138357544']


@pytest.mark.host('millions of weights take the stand-in for a GPU minutes; LeNet-5 and the links run on it')
@pytest.mark.what('resnet152')
def test_resnet152_has_its_parameters_and_takes_a_step(tmp_path, program):
    text = program + TRAIN.format(model='ResNet152', shape=(1, 3, 224, 224), classes=1000)
    assert run(tmp_path, text) == ['60192808']


@pytest.mark.host('reads a text')
def test_lines_that_lost_their_indentation_get_it_back():
    guide = ['class A:', '    def f(self):', '        with x:', '            a = 1', '        return a']
    lines = ['class A:', 'def g(self):', 'with y:', 'b = 2', 'a = 1', 'return a']
    assert indent_like(lines, guide) == [
        *(
            'class A:',
            '    def g(self):',
            '        with y:',
            '            b = 2',
            '            a = 1',
            '        return a',
        )
    ]


# ---- networks with published weights, which are not here


@pytest.mark.host('texts of errors')
def test_resnet152_layers_without_their_file_say_where_to_get_it(tmp_path):
    text = """
import chainer.dataset
from chainer.links import ResNet152Layers

chainer.dataset.set_dataset_root('.')
try:
    ResNet152Layers()
except OSError as e:
    print(e)
"""
    message = ' '.join(run(tmp_path, text))
    assert 'The pre-trained caffemodel does not exist. Please download it from' in message
    assert "'https://github.com/KaimingHe/deep-residual-networks', and place it on" in message


@pytest.mark.host('texts of errors')
def test_vgg16_layers_without_a_network_say_what_to_download_and_where_to_put_it(tmp_path):
    text = """
from chainer.links import VGG16Layers

try:
    VGG16Layers()
except OSError as e:
    print(e)
"""
    nowhere = dict.fromkeys(('http_proxy', 'https_proxy'), 'http://127.0.0.1:9')
    message = ' '.join(run(tmp_path, text, CHAINER_DATASET_ROOT=str(tmp_path), **nowhere))
    address = 'https://www.robots.ox.ac.uk/%7Evgg/software/very_deep/caffe/VGG_ILSVRC_16_layers.caffemodel'
    assert f'can not be downloaded from {address}' in message
    assert f'place it on {tmp_path}/pfnet/chainer/models/VGG_ILSVRC_16_layers.caffemodel' in message
