"""oneDNN writes to nothing but what it was given: all memory of its operations lies between red zones here, also their
workspaces, which otherwise it allocates by itself."""

import numpy as np
import pytest

from chainlite.backends import onednn
from chainlite.backends.cpu.conv import convolve, deconvolve, filter_grad
from chainlite.backends.onednn import _library, _primitive, _threads

pytestmark = [pytest.mark.usefixtures('library', 'red_zones'), pytest.mark.host('oneDNN is of the CPU')]

_WORKSPACE, _ASKS, _BY_USER = (80, None), 136, 1
_ZONE, _RED = 1 << 12, 0xCD


class Guarded(_primitive.Primitive):
    """A primitive whose memory is copied to between red zones, and back."""

    def __init__(self, primitive, arguments):
        library = _library.library()
        workspace = _primitive.c_void_p(library.query_md(primitive, _ASKS, 0))
        if library.memory_desc_size(workspace):
            arguments = [*arguments, (_WORKSPACE, workspace)]
        super().__init__(primitive, arguments)
        self.sizes = [library.memory_desc_size(memory) for _, memory in arguments]

    def __call__(self, *addresses):
        buffers, places = [], []
        for i, size in enumerate(self.sizes):
            buffer = np.full(size + 2 * _ZONE + 64, _RED, np.uint8)
            start = _ZONE + -(_primitive.address(buffer) + _ZONE) % 64
            if i < len(addresses):
                _primitive.ctypes.memmove(_primitive.address(buffer) + start, addresses[i], size)
            buffers.append((buffer, start, start + size))
            places.append(_primitive.address(buffer) + start)
        super().__call__(*places)
        for buffer, start, stop in buffers:
            assert (buffer[:start] == _RED).all() and (buffer[stop:] == _RED).all()
        for address, place, size in zip(addresses, places, self.sizes):
            _primitive.ctypes.memmove(address, place, size)


@pytest.fixture
def red_zones(monkeypatch):
    make = _primitive.Descriptors.primitive

    def primitive(self, kind, *arguments, relu=False, attributes=None):
        assert not relu
        attributes = attributes or self.attributes([])
        self._library.call('primitive_attr_set_scratchpad_mode', attributes, _BY_USER)
        return make(self, kind, *arguments, attributes=attributes)

    before = _threads.get_num_threads()
    monkeypatch.setattr(_primitive.Descriptors, 'primitive', primitive)
    monkeypatch.setattr(_primitive, 'Primitive', Guarded)
    monkeypatch.setattr(onednn.layout, 'Primitive', Guarded)
    _threads._thread.cached.cache_clear()
    yield
    _threads._thread.cached.cache_clear()
    _threads.set_num_threads(before)


def check(n, c, m, sizes, k, s, p):
    rng = np.random.default_rng(0)
    window = [(value,) * len(sizes) for value in (s, p, 1)]
    outs = tuple([(size + 2 * p - k) // s + 1 for size in sizes])
    x, gy, W, b = [
        rng.standard_normal(shape).astype('f')
        for shape in ((n, c, *sizes), (n, m, *outs), (m, c, *[k] * len(sizes)), m)
    ]
    for kernel, arrays, arguments in (
        (convolve, (x, W, b), (*window, 1, outs)),
        (deconvolve, (gy, W, None), (*window, 1, sizes)),
        (filter_grad, (x, gy), (W.shape[2:], *window, 1)),
    ):
        wide = [a if a is None else a.astype('d') for a in arrays]
        expected = kernel.reference(*wide, *arguments, np.dtype('d'))
        np.testing.assert_allclose(
            kernel(*arrays, *arguments, np.dtype('f')), expected, 1e-4, 1e-5 * abs(expected).max()
        )


@pytest.mark.parametrize('seed', range(30))
def test_convolutions(seed):
    rng = np.random.default_rng(seed)
    pick = lambda *values: values[int(rng.integers(len(values)))]  # noqa: E731
    _threads.set_num_threads(pick(1, 2, 3, 4))
    sizes = tuple(map(int, rng.integers(5, 17, pick(1, 2, 2, 2))))
    window = pick((1, 1, 0), (1, 2, 0), (1, 3, 0), (3, 1, 1), (3, 2, 1), (5, 2, 0))
    check(pick(1, 2, 3), pick(1, 3, 8, 12, 16, 20), pick(1, 2, 8, 16, 32), sizes, *window)


@pytest.mark.parametrize('threads', [2, 3, 4])
@pytest.mark.parametrize('c', [1, 3, 8, 12, 15])
def test_few_channels_of_pixels_that_are_apart(c, threads):
    _threads.set_num_threads(threads)
    for n, m, sizes in (2, 16, (10, 8)), (3, 8, (14, 14)), (5, 16, (16, 14)), (2, 32, (9, 21)), (3, 20, (16, 10)):
        check(n, c, m, sizes, 1, 2, 0)
