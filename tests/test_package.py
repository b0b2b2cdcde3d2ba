"""The wheel: what it holds, and that it works installed outside the checkout."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

TRAIN = """
import sys
sys.path.append({tests!r})
import cuda_on_cpu
cuda_on_cpu.install()
import numpy as np
import chainlite
import chainlite.functions as F
import chainlite.links as L
from chainlite import optimizers

assert chainlite.__file__.startswith(sys.argv[1]), chainlite.__file__
device = chainlite.get_device({device!r})
x = np.linspace(-1, 1, 20, dtype='f').reshape(10, 2)
x, t = device.send((x, (x.sum(axis=1) > 0).astype('i')))
model = L.Classifier(chainlite.Sequential(L.Linear(2, 8), F.tanh, L.Linear(8, 2))).to_device(device)
optimizer = optimizers.Adam(alpha=.1).setup(model)
first = float(model(x, t).array)
for _ in range(20):
    optimizer.update(model, x, t)
assert float(model(x, t).array) < first / 4
"""

KERNELS = """
import sys
from chainlite.backends._kernel_files import kernel_folder, kernel_source

assert str(kernel_folder()) == sys.argv[1] + '/chainlite/_kernels', kernel_folder()
assert 'GRID_STRIDE_LOOP' in kernel_source('common.cuh')
"""


# What is imported on use; without it `import chainlite` is quick, and works where it is not installed.
ON_USE = {'cupy', 'google', 'h5py', 'matplotlib', 'ml_dtypes', 'multiprocessing', 'onnx', 'PIL', 'scipy', 'sklearn'}

IMPORT = """
import sys
import chainlite, chainlite.functions, chainlite.links, chainlite.optimizers
print(*sys.modules)
"""


def pip(*args):
    command = [sys.executable, '-m', 'pip', '--quiet', '--disable-pip-version-check', *args]
    return subprocess.run(command, check=True, capture_output=True, text=True)


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    # Built from a copy: setuptools writes into the tree, and would take files from an earlier build there.
    source = tmp_path_factory.mktemp('source')
    for name in ('chainlite', 'kernels'):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns('__pycache__'))
    for name in ('setup.py', 'pyproject.toml', 'README.md', 'LICENSE'):
        shutil.copy(ROOT / name, source)
    target = tmp_path_factory.mktemp('wheel')
    pip('wheel', '--no-deps', '--no-build-isolation', '--wheel-dir', target, source)
    (path,) = target.glob('*.whl')
    return path


@pytest.fixture(scope='module')
def run(wheel, tmp_path_factory):
    """Runs a program, in an empty folder, where the wheel is what `chainlite` means."""
    site = tmp_path_factory.mktemp('site')
    pip('install', '--no-deps', '--target', site, wheel)
    elsewhere = tmp_path_factory.mktemp('elsewhere')

    def run(*args):
        environ = {**os.environ, 'PYTHONPATH': str(site)}
        command = [sys.executable, '-W', 'error', *args, str(site)]
        done = subprocess.run(command, cwd=elsewhere, env=environ, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.mark.host('what a wheel holds and what is imported')
def test_importing_loads_nothing_optional():
    done = subprocess.run([sys.executable, '-c', IMPORT], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ON_USE & set(done.stdout.split()) == set()


@pytest.mark.host('what a wheel holds and what is imported')
def test_the_wheel_holds_every_module_and_kernel(wheel):
    held = set(zipfile.ZipFile(wheel).namelist())
    modules = {f'{p.relative_to(ROOT)}' for p in (ROOT / 'chainlite').rglob('*.py')}
    kernels = {f'chainlite/_kernels/{p.name}' for p in (ROOT / 'kernels').glob('*.cu*')}
    assert kernels and modules
    assert (modules | kernels | {'chainlite/py.typed'}) - held == set()


@pytest.mark.host('what a wheel holds and what is imported')
def test_the_wheel_requires_numpy_alone(wheel):
    with zipfile.ZipFile(wheel) as z:
        (name,) = (n for n in z.namelist() if n.endswith('.dist-info/METADATA'))
        lines = z.read(name).decode().splitlines()
    required = [line for line in lines if line.startswith('Requires-Dist:') and 'extra ==' not in line]
    assert required == ['Requires-Dist: numpy>=1.26']


@pytest.mark.host('what a wheel holds and what is imported')
def test_hints_name_extras_that_exist(wheel):
    with zipfile.ZipFile(wheel) as z:
        texts = {name: z.read(name).decode() for name in z.namelist() if name.endswith(('.py', 'METADATA'))}
    extras = set(re.findall(r'^Provides-Extra: (.*)$', '\n'.join(texts.values()), re.MULTILINE))
    hints = {(name, extra) for name, text in texts.items() for extra in re.findall(r'chainlite\[([\w,]+)\]', text)}
    assert hints and [hint for hint in sorted(hints) if not set(hint[1].split(',')) <= extras] == []


@pytest.mark.host('what a wheel holds and what is imported')
def test_an_installed_wheel_finds_its_kernels(run):
    run('-c', KERNELS)


def test_an_installed_wheel_trains_a_model(run, device):
    run('-c', TRAIN.format(tests=str(ROOT / 'tests'), device=str(device)))


@pytest.mark.host('what a wheel holds and what is imported')
def test_an_installed_wheel_runs_programs_written_for_chainer(run, tmp_path):
    script = tmp_path / 'script.py'
    script.write_text('import sys, chainer\nprint(chainer.__name__, chainer.__file__.startswith(sys.argv[1]))\n')
    assert run('-m', 'chainlite', str(script)) == 'chainlite True\n'
