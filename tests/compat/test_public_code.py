"""Public code written for Chainer, run unchanged under `python -m chainlite`.

CHAINLITE_TEST_CHECKOUTS names a folder of checkouts of the repositories below, CHAINLITE_TEST_DATA one with the trained
weights; what is not there is skipped.
"""

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CHECKOUTS = os.environ.get('CHAINLITE_TEST_CHECKOUTS')
DATA = os.environ.get('CHAINLITE_TEST_DATA')


def checkout(name):
    if not CHECKOUTS or not (Path(CHECKOUTS) / name).is_dir():
        pytest.skip(f'no checkout of {name} in CHAINLITE_TEST_CHECKOUTS')
    return Path(CHECKOUTS) / name


def chainlite(*arguments, cwd, paths=()):
    path = os.pathsep.join(map(str, [ROOT, *paths]))
    environment = {**os.environ, 'PYTHONPATH': path, 'OPENBLAS_NUM_THREADS': '1', 'OMP_NUM_THREADS': '1'}
    done = subprocess.run(
        [sys.executable, '-m', 'chainlite', *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    return done.stdout


@pytest.mark.host('programs of others choose their device, and these choose the CPU')
def test_waifu2x_with_trained_weights_gives_chainers_outputs(tmp_path):
    """github.com/tsurumeso/waifu2x-chainer: convolution, deconvolution, leaky relu, squeeze-and-excitation blocks."""
    source = checkout('waifu2x-chainer')
    weights = Path(DATA or '') / 'chainer_models' / 'waifu2x_chainer'
    if not DATA or not weights.is_dir():
        pytest.skip('no weights of waifu2x-chainer in CHAINLITE_TEST_DATA')
    chainlite(HERE / 'waifu2x_outputs.py', source, weights, tmp_path / 'out.npz', cwd=tmp_path)
    with np.load(tmp_path / 'out.npz') as actual, np.load(HERE / 'data' / 'waifu2x.npz') as expected:
        assert set(actual.files) == set(expected.files) == {'VGG7', 'UpConv7', 'UpResNet10'}
        for name in expected.files:
            assert actual[name].dtype == np.float32
            # Sums of up to 2,304 products in another order, seven layers deep; the outputs are pixels in [0, 1].
            np.testing.assert_allclose(actual[name], expected[name], rtol=0, atol=1e-5, err_msg=name)


# NumPy 2 has no np.float and so on, which these projects' own code still uses.
OLD_NUMPY = 'import numpy as np\nnp.float, np.int, np.object = float, int, object\n'
SUITES = {
    # A function hook that reads the attributes of nodes. Left out: tests that make nodes by Chainer 4's constructors.
    'belltailjp/chainer_computational_cost': (
        'six texttable',
        'tests/test_computational_cost_hook.py tests/test_cost_calculators/test_activation.py '
        'tests/test_cost_calculators/test_connection.py tests/test_cost_calculators/test_normalization.py '
        '-k "not custom_cost_calculator_invalid and not test_shift"',
    ),
    # Networks for images, their parts and what surrounds them. Left out: what needs ChainerMN or, in the checkout's
    # tests, an older NumPy.
    'chainer/chainercv': (
        'chainercv',
        'tests/functions_tests tests/links_tests tests/transforms_tests tests/extensions_tests tests/utils_tests '
        '--ignore tests/utils_tests/mask_tests --ignore tests/links_tests/connection_tests/test_conv_2d_bn_activ.py '
        '--ignore tests/links_tests/model_tests/mobilenet_tests --ignore tests/extensions_tests/evaluator_tests '
        '--ignore tests/links_tests/model_tests/ssd_tests/test_multibox_loss.py '
        '--ignore tests/utils_tests/iterator_tests/test_apply_to_iterator.py '
        '-m "not gpu and not slow" -k "not test_bbox_head_loss_pre_cpu"',
    ),
}


@pytest.mark.host('programs of others choose their device, and these choose the CPU')
@pytest.mark.parametrize('repository', SUITES)
def test_own_tests_of_public_code_pass(repository, tmp_path):
    source = checkout(repository.split('/')[1])
    needed, arguments = SUITES[repository]
    missing = [name for name in needed.split() if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f'the tests of {repository} need {", ".join(missing)}')
    (tmp_path / 'old_numpy.py').write_text(OLD_NUMPY)
    shutil.copytree(source / 'tests', tmp_path / 'tests')  # beside the checkout's package, an installed one is not seen
    paths = [tmp_path] if importlib.util.find_spec(source.name) else [tmp_path, source]
    options = ['-q', '-p', 'no:cacheprovider', '-p', 'old_numpy', '-W', 'ignore']
    chainlite('-m', 'pytest', *options, *shlex.split(arguments), cwd=tmp_path, paths=paths)
