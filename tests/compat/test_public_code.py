"""Public code written for Chainer, run unchanged under `python -m chainlite`.

CHAINLITE_TEST_CHECKOUTS names a folder of checkouts of the repositories below, CHAINLITE_TEST_DATA one with the trained
weights; what is not there is skipped.
"""

import os
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


def chainlite(*arguments, cwd):
    environment = {**os.environ, 'PYTHONPATH': str(ROOT), 'OPENBLAS_NUM_THREADS': '1'}
    done = subprocess.run(
        [sys.executable, '-m', 'chainlite', *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    return done.stdout


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
            np.testing.assert_allclose(actual[name], expected[name], rtol=1e-4, atol=2e-6, err_msg=name)


@pytest.mark.parametrize(
    'name, tests',
    [
        # github.com/belltailjp/chainer_computational_cost: a function hook over 70 functions' nodes.
        ('chainer_computational_cost', ['tests']),
    ],
)
def test_own_tests_of_public_code_pass(name, tests):
    source = checkout(name)
    chainlite('-m', 'pytest', '-q', '-p', 'no:cacheprovider', '-W', 'ignore', *tests, cwd=source)
