"""The programs of examples/, with options so small that they take seconds: they end, print and write what they say."""

import gzip
import os
import re
import subprocess
import sys
from pathlib import Path

import cuda_on_cpu
import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / 'examples'
RUNNER = [Path(__file__).with_name('without_tensor_cores.py')] if cuda_on_cpu.enabled() else []
DATA = os.environ.get('CHAINLITE_TEST_DATA')


def run(program, *arguments, device=None):
    """What examples/<program> prints, which computes on a device."""
    paths = [str(EXAMPLES.parent), os.environ.get('PYTHONPATH', '')]
    environ = {**os.environ, 'OMP_NUM_THREADS': '1', 'OPENBLAS_NUM_THREADS': '1', 'MPLBACKEND': 'Agg'}
    environ['PYTHONPATH'] = os.pathsep.join(filter(None, paths))
    command = [sys.executable, '-W', 'error', *RUNNER, EXAMPLES / program, *map(str, arguments)]
    command += ['--device', device.name] if device else []
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def is_gpu(device):
    return device.xp is not np


def assert_png(*paths):
    for path in paths:
        assert path.read_bytes().startswith(b'\x89PNG'), path


def test_lenet5_prints_running_losses_and_an_accuracy_for_each_class(tmp_path, device):
    printed = run('cifar/lenet5.py', '--synthetic', 400, '--epoch', 2, '--every', 50, '--out', tmp_path, device=device)
    losses = [float(loss) for loss in re.findall(r'batches, +\d+ s\] loss: ([\d.]+)', printed)]
    assert len(losses) == 4
    assert losses[-1] < losses[0] / 5
    assert len(re.findall(r'accuracy of +\w+: +[\d.]+ % of \d+', printed)) == 10
    assert float(re.search(r'200 test pictures: ([\d.]+) %', printed)[1]) > 90
    assert 'made-up pictures' in printed
    assert_png(tmp_path / 'samples.png', tmp_path / 'loss.png')
    with np.load(tmp_path / 'lenet5.npz') as weights:
        assert sum(weights[name].size for name in weights) == 62006


def test_plane_or_bird_trains_validates_saves_and_loads(tmp_path, device):
    n, epochs = (400, [1, 4]) if is_gpu(device) else (1000, [1, 10, 12])
    options = '--synthetic', n, '--epoch', epochs[-1], '--lr', 0.1, '--out', tmp_path
    printed = run('cifar/plane_or_bird.py', *options, device=device)
    assert '18090 parameters: [432, 16, 1152, 8, 16384, 32, 64, 2]' in printed
    assert re.findall(r'epoch (\d+), training loss', printed) == [*map(str, epochs)]
    assert float(re.search(r'accuracy test: ([\d.]+)', printed)[1]) > 0.9
    assert 'and loaded: the accuracy is the same' in printed
    assert_png(tmp_path / 'loss.png')


def test_resnet_and_its_plain_twin_print_each_epoch_and_draw_both_losses(tmp_path, device):
    n, steps = (8, 3) if is_gpu(device) else (64, 7)
    options = '--synthetic', n, '--steps', steps, '--batchsize', n // 4, '--workers', 2
    printed = run('cifar/resnet.py', *options, '--out', tmp_path, device=device)
    epochs = [('1', '4'), ('2', '8')][: 1 + (steps > 4)]  # to the end of the last
    assert re.findall(rf'epoch (\d) \((\d)/{steps}\)', printed) == epochs * 2
    assert printed.count('269722 parameters') == 2
    assert re.findall(r'test accuracy of (\w+)', printed) == ['resnet', 'cnn']
    assert_png(tmp_path / 'loss.png')


@pytest.mark.host('draws plots')
def test_curves_show_a_single_value_too(tmp_path):
    pyplot = pytest.importorskip('matplotlib.image', reason='matplotlib is not installed')
    sys.path.insert(0, str(EXAMPLES / 'cifar'))
    try:
        import plots
    finally:
        sys.path.pop(0)

    def drawn(values):
        """How much of the figure has the colour of the line."""
        plots.curves(tmp_path / 'curve.png', {'training': values}, 'epoch', 'loss')
        pixels = pyplot.imread(tmp_path / 'curve.png')[..., :3]
        return (abs(pixels - np.array([31, 119, 180]) / 255).max(2) < 0.02).sum()

    assert drawn([3.0]) > drawn([]) + 20
    assert drawn([3.0, 2.0]) > drawn([3.0]) + 200


@pytest.mark.host('reads files')
@pytest.mark.skipif(not DATA, reason='no folder with cifar10/ is named by CHAINLITE_TEST_DATA')
def test_pictures_come_from_a_folder(tmp_path):
    printed = run('cifar/plane_or_bird.py', '--data', Path(DATA) / 'cifar10', '--epoch', 2, '--out', tmp_path)
    assert '10000 training and 10000 test pictures' in printed
    assert '2037 training and 2000 test pictures of planes and birds' in printed
    assert float(re.search(r'accuracy test: ([\d.]+)', printed)[1]) > 0.6


@pytest.mark.host('texts of errors')
def test_a_folder_without_pictures_is_said_in_one_line(tmp_path):
    with pytest.raises(AssertionError, match='must hold test_batch and data_batch_1'):
        run('cifar/plane_or_bird.py', '--data', tmp_path)


@pytest.mark.host('texts of errors')
def test_a_file_that_would_run_code_is_refused(tmp_path):
    for name in 'data_batch_1', 'test_batch':
        (tmp_path / name).write_bytes(b'cos\nsystem\n(S"touch unpickled"\ntR.')
    with pytest.raises(AssertionError, match='test_batch is no batch of CIFAR-10: it refers to os.system'):
        run('cifar/plane_or_bird.py', '--data', tmp_path)


@pytest.mark.host('many pictures; on CuPy, test_simple_net_takes_the_folder_that_it_is_given')
def test_simple_net_learns_and_validates(tmp_path):
    printed = run('mnist/simple_net.py', '--epoch', 1, '--out', tmp_path)
    assert '1197 digits to train, 240 to validate, 360 to test' in printed
    assert float(re.search(r'test accuracy ([\d.]+)', printed)[1]) > 0.7
    assert (tmp_path / 'simple_net.npz').exists()


@pytest.mark.host('reads files')
@pytest.mark.skipif(not DATA, reason='no folder with mnist/ is named by CHAINLITE_TEST_DATA')
def test_simple_net_reads_mnist_from_a_folder():
    sys.path.insert(0, str(EXAMPLES / 'mnist'))
    try:
        from simple_net import get_mnist
    finally:
        sys.path.pop(0)
    train, test = get_mnist(Path(DATA) / 'mnist')
    assert (len(train), len(test)) == (60000, 10000)
    assert train[0][0].shape == (1, 28, 28)
    assert [int(t) for _, t in train[:5]] == [5, 0, 4, 1, 9]


def test_simple_net_takes_the_folder_that_it_is_given(tmp_path, device):
    rng = np.random.RandomState(0)
    n_train = 6 if is_gpu(device) else 60
    for part, n in ('train', n_train), ('t10k', n_train // 6):
        files = {'images-idx3': rng.randint(0, 256, (n, 28, 28)), 'labels-idx1': rng.randint(0, 10, n)}
        for name, values in files.items():
            header = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, '>i4').tobytes()
            content = gzip.compress(header + values.astype('u1').tobytes())
            (tmp_path / f'{part}-{name}-ubyte.gz').write_bytes(content)
    printed = run('mnist/simple_net.py', '--data', tmp_path, '--epoch', 1, '--out', tmp_path, device=device)
    held = n_train // 6
    assert f'{n_train - held} digits to train, {held} to validate, {held} to test' in printed


@pytest.mark.host('pictures are prepared on the host')
def test_pictures_are_cut_out_mirrored_and_normalized(monkeypatch):
    """Each of the 162 results of shifting and mirroring comes as often as the others; less a mean, by a deviation."""
    monkeypatch.syspath_prepend(str(EXAMPLES / 'cifar'))
    import data

    np.random.seed(0)
    picture = np.random.randint(0, 256, (3, 32, 32)).astype('u1')
    padded = np.pad(picture, ((0, 0), (4, 4), (4, 4)))
    windows = [padded[:, i : i + 32, j : j + 32] for i in range(9) for j in range(9)]
    counts = {result.tobytes(): 0 for window in windows for result in (window, window[:, :, ::-1])}
    augment = data.Augment()
    for _ in range(16200):
        result, label = augment((picture, 7))
        assert label == 7
        counts[result.tobytes()] += 1
    assert len(counts) == 162
    assert sum((n - 100) ** 2 / 100 for n in counts.values()) < 230  # chi-square of 161: 221 at .001

    result, label = data.Chained(data.Normalize(), lambda pair: pair)((picture, 7))
    assert label == 7 and result.dtype == np.float32
    for channel, mean, deviation in zip(range(3), (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)):
        expected = (picture[channel].astype('d') / 255 - mean) / deviation
        np.testing.assert_allclose(result[channel], expected, rtol=1e-5, atol=1e-6)


def test_dcgan_learns_and_writes_generated_pictures(tmp_path, device):
    n, features = (16, 2) if is_gpu(device) else (64, 8)
    options = '--synthetic', n, '--features', features, '--epoch', 2, '-b', n // 4, '--n-z', 20
    printed = run('dcgan/train_dcgan.py', *options, '--out', tmp_path, device=device)
    assert 'generator/loss' in printed
    assert_png(*(tmp_path / f'generated_00{epoch}.png' for epoch in (1, 2)), tmp_path / 'loss.png')
    assert (tmp_path / 'generator.npz').exists()


@pytest.mark.host('the program has no device')
def test_every_number_of_the_chapter_is_what_is_computed():
    printed = run('convolution/chapter.py')
    for line in [
        'figure 5: columns, rows, product: [(250, 289), (20, 250), (20, 289)]',
        'exercise 2, first: (1, 10, 31, 31)',
        'transposed, 2 x 2, f 3, s 2, p 1: (1, 1, 3, 3)',
        'exercise 1: diagonal: equal, 3 x 3',
    ]:
        assert line in printed.splitlines()


def test_batch_normalization_is_shown_by_histograms(tmp_path, device):
    printed = run('convolution/batch_normalization.py', '--out', tmp_path, device=device)
    (mean, deviation), (mean_after, deviation_after) = [
        map(float, found) for found in re.findall(r'mean (-?[\d.]+), deviation ([\d.]+)', printed)
    ]
    assert abs(mean) < 2
    assert abs(deviation - 100) < 1
    assert abs(mean_after) < 1e-3
    assert abs(deviation_after - 1) < 0.01
    assert_png(tmp_path / 'batch_normalization.png')


def test_resnet50_is_used_for_its_features_and_trained_on(tmp_path, device):
    train, test = (2, 2) if is_gpu(device) else (64, 32)
    options = '--train', train, '--test', test, '--size', 32, '--epoch', 1
    printed = run('fine_tuning/digits.py', *options, '--out', tmp_path / 'weights.npz', device=device)
    assert 'no --weights: ResNet-50 starts from random ones' in printed
    assert f'features ({train}, 2048) and ({test}, 2048)' in printed
    assert re.search(r'linear classifier on features: test accuracy [01]\.\d+', printed)
    assert re.search(r'fine tuning, epoch 1: loss [\d.]+, test accuracy', printed)
    assert (tmp_path / 'weights.npz').exists()


@pytest.mark.host('counts parameters')
def test_parameters_of_vgg16_and_resnet152():
    assert run('imagenet/nets.py').splitlines() == [
        'VGG16: 138,357,544 parameters',
        'ResNet152: 60,192,808 parameters',
    ]
