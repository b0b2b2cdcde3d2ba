"""Five updates by every optimizer against values stored from Chainer 7.8.1 (trajectories.py made them)."""

import importlib.util
import pathlib

import numpy as np
import pytest
from comparing import assert_allclose, assert_array_equal

import chainlite

_spec = importlib.util.spec_from_file_location('trajectories', pathlib.Path(__file__).parent / 'trajectories.py')
trajectories = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(trajectories)

STORED = dict(np.load(trajectories.FILE))
CASES = dict(trajectories.cases())

# Chainer computes in float16 on NumPy, except Adam, and some of its eps are 0 there; the formulas here compute in
# float32 and round what they store, which is closer to Chainer's float64 than its float16 is. Chainer's first
# M-SVAG step is 0 / 0 but for rounding errors in float32.
TOLERANCE = {'e': dict(rtol=1e-2, atol=4e-3), 'f': dict(rtol=2e-5, atol=2e-6), 'd': dict(rtol=1e-11, atol=1e-13)}


def reference(key):
    plain = key.count('/') == 1
    if plain and key.endswith('/e') or key.startswith('MSVAG') and not key.endswith('/fp32'):
        return key.partition('/')[0] + '/d'
    return key


def states_of(key):
    return {name.partition(':')[2]: value for name, value in STORED.items() if name.startswith(key + ':')}


def assert_chainers(key, device=None):
    found, opt = trajectories.run(chainlite, **CASES[key], device=device)
    tolerance = TOLERANCE[CASES[key]['dtype']]
    assert found.dtype == STORED[key].dtype
    assert_allclose(found, STORED[reference(key)], **tolerance)
    state, expected = opt.target.w.update_rule.state, states_of(reference(key))
    assert list(state) == list(expected)
    for name, value in expected.items():
        assert_allclose(state[name], value, **tolerance)
    assert [s.dtype for s in state.values()] == [s.dtype for s in states_of(key).values()]


@pytest.mark.parametrize('key', [key for key in CASES if 'GradientNoise' not in key])
def test_updates_are_chainers(device, key):
    assert_chainers(key, device)


@pytest.mark.host('CuPy draws other numbers')
@pytest.mark.parametrize('key', [key for key in CASES if 'GradientNoise' in key])
def test_updates_with_noise_are_chainers(key):
    assert_chainers(key)


@pytest.mark.parametrize('optimizer', trajectories.OPTIMIZERS)
def test_float16_updates_are_those_of_float64_rounded(device, optimizer):
    """Each step is computed in float32 at least, from what is stored in float16: one rounding per stored value."""
    random = np.random.RandomState(2)
    w, g = (random.uniform(0.5, 2, 40).astype('e') for _ in range(2))
    results = []
    for dtype in 'ed':
        param = chainlite.Parameter(device.send(w.astype(dtype)))
        param.grad = device.send(g.astype(dtype))
        name, arguments = trajectories.OPTIMIZERS[optimizer]
        rule = getattr(chainlite.optimizers, name)(**arguments).create_update_rule()
        rule.update(param)
        results.append(param.array)
    assert_array_equal(results[0], results[1].astype('e'))
