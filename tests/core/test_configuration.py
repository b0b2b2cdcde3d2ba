"""Settings: thread-local values over global ones."""

import io
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest

from chainlite.configuration import GlobalConfig, LocalConfig, config, get_dtype, global_config, mixed16, using_config

pytestmark = pytest.mark.host('settings compute nothing')


@pytest.fixture
def configs():
    base = GlobalConfig()
    base.x = 'global x'
    base.y = 'global y'
    return base, LocalConfig(base)


def test_a_local_value_hides_the_global_one_until_it_is_deleted(configs):
    base, local = configs
    local.y = 'local y'
    assert (local.x, local.y, base.y) == ('global x', 'local y', 'global y')
    del local.y
    assert local.y == 'global y'
    with pytest.raises(AttributeError):
        del local.x
    with pytest.raises(AttributeError, match="no attribute 'w'"):
        local.w  # noqa: B018


def test_later_changes_of_the_global_value_are_seen(configs):
    base, local = configs
    base.x = 'new'
    base.z = 'z'
    assert (local.x, local.z) == ('new', 'z')
    del base.x
    assert not hasattr(local, 'x')


def test_views_of_different_global_configs_do_not_mix(configs):
    base, local = configs
    other = GlobalConfig()
    other.x = 'other'
    assert LocalConfig(other).x == 'other'
    assert local.x == 'global x'


def test_threads_have_values_of_their_own(configs):
    base, local = configs
    local.y = 'main'
    seen = []

    def run():
        seen.append(local.y)
        local.y = 'thread'
        base.x = 'set in thread'

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == ['global y']
    assert (local.x, local.y) == ('set in thread', 'main')


@pytest.mark.parametrize('value', [len, lambda: 3, property(), type, None, [1]])
def test_a_value_of_any_kind_comes_back_as_it_is(configs, value):
    base, local = configs
    base.x = value
    assert local.x is value


def test_using_config_restores_what_was_there(configs):
    base, local = configs
    local.y = 'local y'
    with using_config('x', 1, local), using_config('y', 2, local):
        assert (local.x, local.y, base.x) == (1, 2, 'global x')
    assert (local.x, local.y) == ('global x', 'local y')
    base.x = 'new'
    assert local.x == 'new'


def test_using_config_restores_after_an_error():
    with pytest.raises(KeyError), using_config('train', False):
        assert config.train is False
        raise KeyError
    assert config.train is True


def test_show_lists_local_and_global_values(configs):
    base, local = configs
    local.y = 'local y'
    local.abc = 1
    out = io.StringIO()
    local.show(out)
    assert out.getvalue() == 'abc 1\nx   global x\ny   local y\n'
    out = io.StringIO()
    base.show(out)
    assert out.getvalue() == 'x global x\ny global y\n'


def test_defaults_are_chainers():
    assert {name: value for name, value in vars(global_config).items() if not name.startswith('_')} == dict(
        autotune=False,
        compute_mode=None,
        cudnn_deterministic=False,
        cudnn_fast_batch_normalization=False,
        debug=False,
        dtype=np.dtype('float32'),
        enable_backprop=True,
        in_recomputing=False,
        keep_graph_on_report=False,
        lazy_grad_sum=False,
        schedule_func=None,
        train=True,
        type_check=True,
        use_cudnn='auto',
        use_cudnn_tensor_core='auto',
        use_ideep='auto',
        use_static_graph=True,
        warn_nondeterministic=False,
    )


@pytest.mark.parametrize(
    'variable, value, shown',
    [
        ('CHAINER_DEBUG', '1', ('debug', 'True')),
        ('CHAINER_TYPE_CHECK', '0', ('type_check', 'False')),
        ('CHAINER_KEEP_GRAPH_ON_REPORT', '1', ('keep_graph_on_report', 'True')),
        ('CHAINER_LAZY_GRAD_SUM', '1', ('lazy_grad_sum', 'True')),
        ('CHAINER_USE_CUDNN', 'never', ('use_cudnn', 'never')),
        ('CHAINER_USE_IDEEP', 'never', ('use_ideep', 'never')),
        ('CHAINER_DTYPE', 'float16', ('dtype', 'float16')),
        ('CHAINER_DTYPE', 'mixed16', ('dtype', "dtype('mixed16')")),
    ],
)
def test_environment_variables_set_the_defaults(monkeypatch, variable, value, shown):
    monkeypatch.setenv(variable, value)
    code = 'from chainlite.configuration import config; config.show()'
    out = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout
    assert dict(line.split(None, 1) for line in out.splitlines())[shown[0]] == shown[1]


def test_an_unknown_dtype_in_the_environment_is_refused(monkeypatch):
    monkeypatch.setenv('CHAINER_DTYPE', 'int7')
    run = subprocess.run([sys.executable, '-c', 'import chainlite.configuration'], capture_output=True, text=True)
    assert 'incorrect dtype name in CHAINER_DTYPE: "int7"' in run.stderr


def test_get_dtype_maps_none_and_mixed16():
    assert get_dtype() == np.float32
    assert get_dtype('d') == np.float64
    assert get_dtype(mixed16) == np.float16
    assert get_dtype(mixed16, map_mixed16=np.float32) == np.float32
    with using_config('dtype', mixed16):
        assert get_dtype() == np.float16
        assert get_dtype(None, map_mixed16='f') == np.float32
        assert get_dtype('d', map_mixed16='f') == np.float64


def test_bfloat16_comes_from_ml_dtypes_or_says_how_to_get_it(monkeypatch):
    ml_dtypes = pytest.importorskip('ml_dtypes')
    assert get_dtype('bfloat16') == ml_dtypes.bfloat16
    monkeypatch.setitem(sys.modules, 'ml_dtypes', None)
    with pytest.raises(ImportError, match=r'pip install chainlite\[bfloat16\]'):
        get_dtype('bfloat16')


def test_mixed16_survives_pickling():
    assert pickle.loads(pickle.dumps(mixed16)) is mixed16
    assert repr(mixed16) == "dtype('mixed16')"
