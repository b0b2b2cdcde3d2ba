"""Devices, and what there is of them on a machine without a GPU."""

import subprocess
import sys

import numpy as np
import pytest

from chainlite import backend
from chainlite.backends import cuda, intel64
from chainlite.backends.onednn import _library
from chainlite.configuration import using_config
from chainlite.variable import Variable

without_cuda = pytest.mark.skipif(cuda.available, reason='there is a GPU')


@pytest.mark.host('specifiers of the CPU')
@pytest.mark.parametrize('spec', ['@numpy', -1, '-1', np.int32(-1), np, backend.CpuDevice()], ids=repr)
def test_specifiers_of_the_cpu(spec):
    device = backend.get_device(spec)
    assert device == backend.CpuDevice() and hash(device) == hash(backend.CpuDevice())
    assert (str(device), repr(device), device.xp) == ('@numpy', '<CpuDevice (numpy)>', np)
    with backend.using_device(spec):
        pass


@pytest.mark.host('texts of errors')
@pytest.mark.parametrize('spec', ['@foo', '@foo:0', '@cupy', '@numpy:', '@numpy:0', '@:numpy', '@intel64:0'])
def test_malformed_specifiers_are_refused(spec):
    with pytest.raises(ValueError, match='must be followed by a module name'):
        backend.get_device(spec)


@pytest.mark.host('texts of errors')
def test_numbers_of_devices_must_be_numbers():
    with pytest.raises(ValueError, match='invalid literal'):
        backend.get_device('@cupy::0')


@pytest.mark.host('texts of errors')
@pytest.mark.parametrize('spec', ['native', 'cuda:0', 'foo', ''])
def test_specifiers_of_chainerx_say_that_it_is_missing(spec):
    with pytest.raises(RuntimeError, match='ChainerX is not available'):
        backend.get_device(spec)


@pytest.mark.host('texts of errors')
@pytest.mark.parametrize('spec', [None, 1.5, ('native', 0), cuda.DummyDevice])
def test_other_things_are_no_devices(spec):
    with pytest.raises(TypeError, match='Device specifier must be'):
        backend.get_device(spec)


@pytest.mark.host('there is no GPU')
@without_cuda
@pytest.mark.parametrize('spec', [0, '1', '@cupy:0', True], ids=repr)
def test_specifiers_of_gpus_say_what_is_missing(spec):
    with pytest.raises(RuntimeError, match='CUDA environment is not correctly set up'):
        backend.get_device(spec)


@pytest.mark.host('texts of errors')
def test_a_device_is_no_context_manager():
    with pytest.raises(RuntimeError, match='using_device'), backend.get_device('@numpy'):
        pass


def test_arrays_are_sent_to_their_own_device_as_they_are(device):
    xp = device.xp
    a, b = xp.ones(2), xp.ones(3)
    assert device.send(a) is a
    assert device.send(None) is None
    sent = device.send([a, None, b, a])
    assert type(sent) is list and sent[0] is sent[3] is a and sent[1] is None and sent[2] is b
    assert type(device.send((a,))) is tuple
    assert device.send(np.float32(3)).dtype == np.float32
    assert device.is_array_supported(a) and not device.is_array_supported(3)
    with pytest.raises(TypeError, match='cannot be converted into an numpy.ndarray|sent to gpu must be an array'):
        device.send({'a': a})


def test_the_device_of_arrays(device):
    a = device.xp.ones(1)
    assert backend.get_device_from_array(a, None) == device
    assert backend.get_device_from_array() == backend.CpuDevice()
    assert type(device).from_array(a) == device
    for other in {backend.CpuDevice, backend.GpuDevice} - {type(device)}:
        assert other.from_array(a) is None
    for device in (backend.CpuDevice, backend.GpuDevice, backend.Intel64Device, backend.ChainerxDevice):
        assert device.from_array(1) is None


def test_the_module_of_arrays(xp):
    assert backend.get_array_module(xp.ones(1), None, 3) is xp
    assert backend.get_array_module() is np


def test_copyto_broadcasts_and_checks(xp):
    for source in xp.arange(3), np.arange(3):
        dst = xp.zeros((2, 3))
        backend.copyto(dst, source)
        assert dst.tolist() == [[0, 1, 2]] * 2
    for dst in xp.zeros((2, 6))[:, ::-2], xp.zeros((2, 3), order='F'):
        backend.copyto(dst, np.arange(3))
        assert dst.tolist() == [[0, 1, 2]] * 2
    dst = np.zeros((2, 3))
    backend.copyto(dst, xp.arange(3))
    assert dst.tolist() == [[0, 1, 2]] * 2
    with pytest.raises(TypeError, match='cannot copy to non-array object'):
        backend.copyto([1], xp.ones(1))
    with pytest.raises(TypeError, match='Cannot cast'):
        backend.copyto(xp.zeros(2, 'i'), xp.ones(2))
    with pytest.raises(ValueError, match='broadcast'):
        backend.copyto(xp.zeros(2), xp.ones(3))


def test_chainerx_is_not_there(xp):
    x = xp.ones(1)
    assert backend.from_chx(x) is x and backend.from_chx([x])[0] is x and backend.to_chx(None) is None
    with pytest.raises(TypeError, match='invalid type'):
        backend.from_chx(3)
    for call in (lambda: backend.to_chx(x), lambda: backend.ChainerxDevice('native')):
        with pytest.raises(RuntimeError, match='ChainerX is not available'):
            call()


@pytest.mark.host('oneDNN is of the CPU')
def test_the_accelerated_cpu_says_that_it_is_missing(monkeypatch):
    monkeypatch.setattr(_library, 'library', lambda: None)
    with pytest.raises(RuntimeError, match='iDeep is not available'):
        backend.get_device('@intel64')
    with pytest.raises(RuntimeError, match='iDeep is not available'):
        Variable(np.ones(1, 'f')).to_intel64()
    with using_config('use_ideep', 'always'):
        assert not intel64.should_use_ideep('>=auto')
    assert not intel64.inputs_all_ready((np.ones((2, 2), 'f'),))


# ---- backends.cuda where there is none -------------------------------------------------------------------------------


@pytest.mark.host('there is no GPU')
@without_cuda
@pytest.mark.parametrize(
    'call',
    [
        cuda.check_cuda_available,
        lambda: cuda.to_gpu(np.ones(1)),
        lambda: cuda.copy(np.ones(1)),
        lambda: cuda.get_device_from_id(0),
        lambda: cuda.elementwise('T x', 'T y', 'y = x', 'f'),
        lambda: cuda.reduce('T x', 'T y', 'x', 'a + b', 'y = a', '0', 'f'),
        lambda: cuda.raw('', 'f'),
    ],
)
def test_what_needs_a_gpu_says_what_is_missing(call):
    with pytest.raises(RuntimeError, match='CUDA environment is not correctly set up: .+'):
        call()


@pytest.mark.host('there is no GPU')
def test_a_missing_cupy_says_how_to_get_it():
    code = (
        'import sys; sys.modules["cupy"] = None\n'
        'from chainlite.backends import cuda\n'
        'for call in (cuda.check_cuda_available, cuda.Device(0).__enter__):\n'
        '    try: call()\n'
        '    except RuntimeError as e: print(e)'
    )
    out = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout
    assert out.count('pip install chainlite[cuda12] or chainlite[cuda13]') == 2


@pytest.mark.host('there is no GPU')
@without_cuda
def test_names_exist_without_a_gpu():
    assert not cuda.available and not cuda.cudnn_enabled and cuda.cupy is not None
    assert not isinstance(np.ones(1), cuda.ndarray)
    assert cuda.get_device_from_id(None) is cuda.get_device_from_id(-1) is cuda.DummyDevice
    assert cuda.get_device_from_array(np.ones(1)) is cuda.DummyDevice
    assert not cuda.should_use_cudnn('>=auto')
    assert not cuda.should_use_cudnn_tensor_core('e')
    with pytest.raises(AttributeError, match='no_such_name'):
        cuda.no_such_name  # noqa: B018


@pytest.mark.host('there is no GPU')
def test_the_dummy_device_does_nothing():
    with cuda.DummyDevice as device:
        assert int(device) == -1 and device == cuda.DummyDeviceType() and device != 0
        device.use()
        device.synchronize()


def test_get_device_is_deprecated(xp):
    with pytest.warns(DeprecationWarning, match='get_device is deprecated'):
        assert cuda.get_device(xp.ones(1)) == (cuda.DummyDevice if xp is np else cuda.Device(0))


@pytest.mark.host('there is no GPU; test_on_cupy.py has the memos of devices')
def test_memoized_functions_run_once_until_the_memo_is_cleared():
    calls = []

    @cuda.memoize(for_each_device=True)
    def f(a, *, b=1):
        calls.append((a, b))
        return [a, b]

    assert f(1) is f(1) and f(1, b=2) is f(1, b=2)
    assert calls == [(1, 1), (1, 2)]
    cuda.clear_memo()
    f(1)
    assert len(calls) == 3


def test_fused_functions_take_arrays(xp):
    @cuda.fuse()
    def f(x, y):
        return x + y

    @cuda.fuse
    def g(x):
        return -x

    assert f(xp.ones(2), 1).tolist() == [2, 2] and g(xp.ones(1)).tolist() == [-1]


def test_arrays_go_to_the_cpu(xp):
    a = xp.arange(2)
    assert (cuda.to_cpu(a) is a) == (xp is np) and cuda.to_cpu(None) is None
    for sent in cuda.to_cpu(a), cuda.to_cpu([a, None])[0]:
        assert type(sent) is np.ndarray and sent.tolist() == [0, 1]
    assert cuda.to_cpu(np.int8(3)).dtype == np.int8


@pytest.mark.host('a name, and a number that is kept')
def test_the_workspace_size_is_remembered():
    before = cuda.get_max_workspace_size()
    cuda.set_max_workspace_size(1024)
    assert cuda.get_max_workspace_size() == 1024
    cuda.set_max_workspace_size(before)


@pytest.mark.host('there is no GPU')
def test_importing_does_not_look_for_cupy():
    code = (
        'import sys; sys.modules["cupy"] = None\n'  # an import of it would fail from here on
        'from chainlite.backends import cuda; import chainlite.device_resident, numpy\n'
        'cuda.get_array_module(numpy.ones(1)); assert "available" not in vars(cuda)\n'
        'assert not cuda.available'
    )
    subprocess.run([sys.executable, '-c', code], check=True)


@pytest.mark.host('a name, and a number that is kept')
def test_the_older_name_is_the_same_module():
    import chainlite.cuda

    assert chainlite.cuda is cuda


# ---- a GPU ----------------------------------------------------------------------------------------------------------


@pytest.mark.gpu
@pytest.mark.parametrize('spec', ['@cupy:0', 0, '0', np.int32(0), lambda c: (c, 0), lambda c: c.cuda.Device(0)])
def test_specifiers_of_a_gpu(spec):
    import cupy

    spec = spec(cupy) if callable(spec) else spec
    device, other = backend.get_device(spec), backend.get_device('@cupy:1')
    assert device == backend.GpuDevice.from_device_id(0) and hash(device) == hash(backend.get_device('@cupy:0'))
    assert device not in (other, backend.CpuDevice())
    assert (str(device), device.xp, device.device.id) == ('@cupy:0', cupy, 0)
    with backend.using_device(spec):
        assert backend.get_device_from_array(cupy.ones(1)) == device
