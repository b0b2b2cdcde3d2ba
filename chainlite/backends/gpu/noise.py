"""Random numbers and dropout; see cpu.noise, and kernels/noise.cu.

Each device has a generator: a seed and the number of draws, in the device's memory. It belongs to CuPy's RandomState
there and follows its seed: `cupy.random.seed(n)`, `chainlite.seed(n)`, and the environment variables CUPY_SEED and
CHAINER_SEED set both. A CUDA graph reads the generator each time it runs, and counts on: it draws new numbers.
"""

import os

import numpy as np

from chainlite.backends import cuda
from chainlite.backends.cpu.noise import dropout, dropout_again, gumbel, normal, uniform
from chainlite.backends.gpu import gpu
from chainlite.backends.gpu._launch import contiguous, function, is_float, launch

_UNIFORM, _NORMAL, _GUMBEL = range(3)  # as in the CUDA source


class Generator:
    """The generator of a device.

    Attributes:
        array: uint64 array (2) on the device: the seed, and how many draws there were. It stays at its address.
    """

    def __init__(self, random_state):
        self.array = cuda.cupy.zeros(2, np.uint64)
        self.state = _seed_of(random_state), 0

        def seed(seed=None):
            type(random_state).seed(random_state, seed)
            self.state = _seed_of(random_state), 0

        random_state.seed = seed  # which cupy.random.seed calls

    @property
    def state(self):
        """The seed and the number of draws, as ints; reading waits for the device."""
        return tuple(self.array.get().tolist())

    @state.setter
    def state(self, state):
        with self.array.device:
            self.array.set(np.array(state, np.uint64))

    def draw(self):
        """An array (2) that the functions of noise.cu make numbers of, again and again the same."""
        draw = cuda.cupy.empty(2, np.uint64)
        function('noise.begin_draw')((1,), (1,), (self.array, draw))
        return draw


def _seed_of(random_state):
    seed = getattr(random_state, '_rk_seed', None)
    return int.from_bytes(os.urandom(8), 'little') if seed is None else int(seed) % (1 << 64)


def generator():
    """The current device's generator. It is made when it is first asked for, which must not be in a capture."""
    random_state = cuda.cupy.random.get_random_state()
    found = getattr(random_state, 'chainlite_generator', None)
    if found is None:
        found = random_state.chainlite_generator = Generator(random_state)
        generators.devices.add(cuda.cupy.cuda.runtime.getDevice())
    return found


class Generators:
    """The generators of all devices that have drawn numbers: of the RandomState that each device has at the time."""

    def __init__(self):
        self.devices = set()  # their numbers

    @property
    def state(self):
        """{number of the device: [seed, draws]}, to be saved with a training and to be set when it goes on."""
        state = {}
        for device in sorted(self.devices):
            with cuda.cupy.cuda.Device(device):
                state[str(device)] = list(generator().state)
        return state

    @state.setter
    def state(self, state):
        for device, numbers in state.items():
            if cuda.available and int(device) < cuda.cupy.cuda.runtime.getDeviceCount():
                with cuda.cupy.cuda.Device(int(device)):
                    generator().state = [int(n) for n in numbers]


generators = Generators()


def _drop(x, draw, ratio):
    (x,) = contiguous(x)
    y = cuda.cupy.empty(x.shape, x.dtype)
    pack = max(4, 16 // x.dtype.itemsize)
    if x.data.ptr % (pack * x.dtype.itemsize):
        pack = 1
    threshold = min(round(ratio * 2**32), 2**32 - 1)
    packs = -(-x.size // pack)
    launch(function('noise.dropout', x.dtype, pack), packs, x, y, draw, threshold, 1 / (1 - ratio), x.size)
    return y


@dropout.when(gpu, lambda x, ratio: is_float(x))
def _(x, ratio):
    draw = generator().draw()
    return _drop(x, draw, ratio), draw


@dropout_again.when(gpu, lambda x, draw, ratio: is_float(x) and draw.dtype.kind == 'u')
def _(x, draw, ratio):
    return _drop(x, draw, ratio)


def _numbers(x, shape, kind):
    y = cuda.cupy.empty(shape, np.result_type(x.dtype, 'f'))
    run = function('noise.random_numbers', y.dtype, kind)
    launch(run, -(-y.nbytes // 16), y, generator().draw(), y.size)
    return y


@uniform.when(gpu)
def _(x, shape):
    return _numbers(x, shape, _UNIFORM)


@normal.when(gpu)
def _(x, shape):
    return _numbers(x, shape, _NORMAL)


@gumbel.when(gpu)
def _(x, shape):
    return _numbers(x, shape, _GUMBEL)
