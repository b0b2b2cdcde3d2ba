"""Objects that move between devices, and the visitors that move them."""

import random

import numpy as np
import pytest

from chainlite import _random, _runtime_info, backend
from chainlite._version import __version__
from chainlite.backends import cuda
from chainlite.device_resident import DeviceResident, DeviceResidentsVisitor


class Box(DeviceResident):
    """Holds an array and other boxes."""

    def __init__(self, *children):
        super().__init__()
        self.array = np.ones(2)
        self.children = children

    def device_resident_accept(self, visitor):
        super().device_resident_accept(visitor)
        self.array = visitor.visit_array(self.array)
        for child in self.children:
            child.device_resident_accept(visitor)


class Recorder(DeviceResidentsVisitor):
    def __init__(self):
        self.seen = []

    def visit_device_resident(self, device_resident):
        self.seen.append(device_resident)

    def visit_array(self, arr):
        self.seen.append('array')
        return arr * 2


def test_a_visitor_sees_all_that_an_object_holds(device):
    inner = Box()
    outer = Box(inner).to_device(device)
    assert inner.device == device
    recorder = Recorder()
    outer.device_resident_accept(recorder)
    assert recorder.seen == [outer, 'array', inner, 'array']
    assert isinstance(inner.array, device.xp.ndarray) and inner.array.tolist() == [2, 2]


@pytest.mark.host('texts of errors')
@pytest.mark.parametrize('method', ['visit_device_resident', 'visit_array', 'visit_variable'])
def test_a_visitor_has_to_say_what_it_does(method):
    with pytest.raises(NotImplementedError):
        getattr(DeviceResidentsVisitor(), method)(None)


def test_objects_start_on_the_cpu_and_return_themselves(device):
    box = Box(Box())
    assert box.device == backend.CpuDevice() and box.xp is np
    assert box.to_device(device) is box and box.device == device and box.xp is device.xp
    array = box.array
    assert isinstance(array, device.xp.ndarray)
    assert box.to_device(device) is box and box.from_chx() is box and box.array is array
    with pytest.warns(DeprecationWarning, match=r"to_cpu is deprecated. Please use to_device\('@numpy'\)"):
        assert box.to_cpu() is box
    assert isinstance(box.array, np.ndarray) and isinstance(box.children[0].array, np.ndarray)


@pytest.mark.host('texts of errors')
def test_devices_that_are_not_there_say_so_before_anything_moves():
    box = Box()
    with pytest.raises(RuntimeError, match='ChainerX is not available'):
        box.to_chx()
    with pytest.raises(TypeError, match='Device specifier'):
        box.to_device(None)
    if not cuda.available:
        with pytest.raises(RuntimeError, match='CUDA environment'):
            box.to_gpu()
    assert box.device == backend.CpuDevice()


@pytest.mark.filterwarnings('ignore::DeprecationWarning')
def test_an_overriding_method_is_called_however_the_object_moves(device):
    class Old(Box):
        moved = 0

        def to_cpu(self):
            super().to_cpu()
            self.moved += 1

        def to_gpu(self, device=None):
            super().to_gpu(device)
            self.moved += 1

    def call(box):
        return box.to_cpu() if device.xp is np else box.to_gpu()

    for move in lambda box: box.to_device(device), call:
        old = Old()
        move(Box(old))
        assert old.moved == 1
        call(old)
        assert old.moved == 2
        old.to_device(device)
        assert old.moved == 3 and isinstance(old.array, device.xp.ndarray)


@pytest.mark.host('texts of errors')
def test_overriding_is_deprecated_or_refused():
    with pytest.warns(DeprecationWarning, match="Overriding method 'to_gpu'"):
        type('Old', (Box,), {'to_gpu': lambda self: self})
    for name in ('to_device', 'to_chx', 'from_chx'):
        with pytest.raises(TypeError, match=f'method {name!r} is final'):
            type('Old', (Box,), {name: lambda self: self})


def test_seed_sets_the_generators_of_python_numpy_and_cupy(xp):
    def draw():
        return random.random(), np.random.rand(), np.random.permutation(5).tolist(), xp.random.rand(3).tolist()

    _random.seed(3)
    first = draw()
    assert draw() != first
    _random.seed(3)
    assert draw() == first


@pytest.mark.host('prints a text')
def test_runtime_info_tells_versions(capsys):
    _runtime_info.print_runtime_info()
    lines = dict(line.split(': ', 1) for line in capsys.readouterr().out.splitlines())
    assert lines['NumPy'] == np.__version__ and lines['Chainlite'] == __version__ and 'CuPy' in lines


@pytest.mark.host('ChainerX is a device of its own, which is not there')
def test_the_first_names_of_moves_to_and_from_chainerx():
    box = Box()
    assert box.from_chainerx() is box
    with pytest.raises(RuntimeError, match='ChainerX is not available'):
        box.to_chainerx()
