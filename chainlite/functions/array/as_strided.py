"""Views of memory by strides."""

import numpy as np

from chainlite import backend
from chainlite._adjoint import adjoint_pair
from chainlite.backends.cpu.indexing import add_at
from chainlite.function_node import FunctionNode
from chainlite.utils._check import kind_of
from chainlite.variable import as_variable

index_dtype = {1: np.int8, 2: np.int16, 4: np.int32, 8: np.int64}


class TensorGeometry:
    """Where an array lies in its memory: shape, strides and offset, all in elements."""

    def __init__(self, array):
        self.shape, self.ndim, self.itemsize = array.shape, array.ndim, array.itemsize
        self.strides = tuple([s // array.itemsize for s in array.strides])
        self.storage_offset = (_address(array) - _address(_base(array))) // array.itemsize

    def places(self, shape=None, strides=None, storage_offset=None):
        """The place in memory of each element, an int array; of another view of this memory if arguments are given."""
        shape, strides = (self.shape, self.strides) if shape is None else (shape, strides)
        places = np.full((), self.storage_offset if storage_offset is None else storage_offset, np.intp)
        for n, s in zip(shape, strides):
            places = places[..., None] + s * np.arange(n)
        return places


def _base(array):
    owner = array
    while (owner := getattr(owner, 'base', None)) is not None:
        if isinstance(owner, type(array)):  # between views of NumPy's as_strided stands something else
            array = owner
    if isinstance(array, np.ndarray) or array.flags.forc and array.data.ptr == array.data.mem.ptr:
        return array
    # A view that CuPy's as_strided made does not know its base, but the memory.
    xp, memory = backend.get_array_module(array), array.data.mem
    return xp.ndarray((memory.size // array.itemsize,), array.dtype, xp.cuda.MemoryPointer(memory, 0))


def _address(array):
    return array.__array_interface__['data'][0] if isinstance(array, np.ndarray) else array.data.ptr


def _stride_array(array, shape, strides, storage_offset):
    """The view of the memory of `array` with a shape, and strides and offset in elements."""
    if len(shape) != len(strides):
        raise ValueError('strides, if given, must be the same length as shape')
    ends = [storage_offset + sum((n - 1) * s for n, s in zip(shape, strides) if (s > 0) == up) for up in (False, True)]
    memory = _base(array).ravel(order='K')
    if 0 not in shape:
        if ends[0] < 0:
            raise ValueError('Out of buffer: too small index was specified')
        if ends[1] >= memory.size:
            raise ValueError('Out of buffer: too large index was specified')
    as_strided = backend.get_array_module(array).lib.stride_tricks.as_strided
    return as_strided(memory[storage_offset:], tuple(shape), tuple([s * array.itemsize for s in strides]))


class AsStrided(FunctionNode):
    def __init__(self, shape, strides, storage_offset=None):
        self.shape, self.strides, self.storage_offset = shape, strides, storage_offset

    def forward(self, inputs):
        (x,) = inputs
        self.geometry = TensorGeometry(x)
        if self.storage_offset is None:
            self.storage_offset = self.geometry.storage_offset
        return (_stride_array(x, self.shape, self.strides, self.storage_offset),)

    def backward(self, target_input_indexes, grad_outputs):
        if kind_of(self.inputs[0].dtype) != 'f':
            raise TypeError('as_strided has a gradient for floating point arrays only')
        inner = self.geometry.places().ravel()
        outer = self.geometry.places(self.shape, self.strides, self.storage_offset).ravel()
        size = max(inner.max(initial=-1), outer.max(initial=-1)) + 1
        shared = np.maximum(np.bincount(inner, minlength=size), 1)  # how many elements of x are in each place
        return AsStridedGrad(self.geometry.shape, inner, outer, shared, tuple(self.shape)).apply(grad_outputs)


def _through_memory(x, arriving, leaving, shared):
    xp = backend.get_array_module(x)
    memory = add_at(x.ravel(), (xp.asarray(arriving),), (len(shared),))
    memory /= xp.asarray(shared).astype(x.dtype)
    return memory[xp.asarray(leaving)]


def _view(x, in_shape, inner, outer, shared, shape):
    return _through_memory(x, inner, outer, shared).reshape(shape)


def _collect(y, in_shape, inner, outer, shared, shape):
    """Adds up what came from each place; elements of x that share a place share it evenly."""
    return _through_memory(y, outer, inner, shared).reshape(in_shape)


_View, AsStridedGrad = adjoint_pair('AsStridedGradGrad', _view, 'AsStridedGrad', _collect, __name__)


def as_strided(x, shape, strides, storage_offset=None):
    """A view of the memory of `x` with another shape and other strides; the gradient goes to every element it shows.

    Args:
        x: array.
        shape: tuple of ints.
        strides: tuple of ints, in elements (not bytes).
        storage_offset: int, where the first element is in the memory; where it is in `x` by default.
    """
    return AsStrided(shape, strides, storage_offset).apply((as_variable(x),))[0]
