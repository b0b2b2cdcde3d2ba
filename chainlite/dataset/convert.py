"""From a list of examples to arrays on a device: the converters between iterators and models."""

import functools
import warnings
import weakref

import numpy

from chainlite import backend
from chainlite.backends import cuda


class Converter:
    """Base of converters: callables that turn a list of examples into arrays.

    A subclass overrides ``__call__(batch, device)``, where ``device`` is a :class:`~chainlite.backend.Device` or None.
    A plain function that is not wrapped by :func:`converter` gets Chainer's older form: -1, a GPU's number, or None.
    """

    def __call__(self, batch, device):
        """Returns the arrays of ``batch``, a list of examples, on ``device``; None leaves them where they are."""
        raise NotImplementedError('Concrete class must implement __call__.')


class _ArbitraryCallableConverter(Converter):
    """A function as a converter."""

    def __init__(self, func):
        if not callable(func):
            raise TypeError('Can not make a converter from a non-callable object: ' + str(type(func)))
        functools.update_wrapper(self, func)
        self._func = func

    def __call__(self, *args, **kwargs):
        return self._func(*args, **kwargs)

    def __reduce__(self):
        # The wrapped function usually carries its name over to the converter (it was a decorator), so that pickling
        # the function itself would find the converter under its name: let pickle look up the converter at once.
        found = _find_by_name(self)
        return found if found is not None else (type(self), (self._func,))


def _find_by_name(obj):
    import sys

    name = getattr(obj, '__qualname__', '')
    module = sys.modules.get(getattr(obj, '__module__', None))
    return name if module is not None and getattr(module, name, None) is obj else None


def converter():
    """Decorator that makes a converter of a function ``f(batch, device)``; ``device`` is a Device or None."""
    return _ArbitraryCallableConverter


def _call_converter(converter, batch, device):
    """Calls a converter, or a plain function in the older form of the device argument."""
    if isinstance(converter, Converter):
        return converter(batch, device)
    if device is None:
        return converter(batch, None)
    device = backend.get_device(device)
    if isinstance(device, backend.GpuDevice):
        return converter(batch, device.device.id)
    if device.xp is numpy:
        return converter(batch, -1)
    raise RuntimeError(f'Converter does not support {device}. Use chainer.dataset.converter decorator.')


def _arguments(converter, batch, device):
    """What a converter makes of a batch, as positional and keyword arguments of a loss function."""
    arrays = _call_converter(converter, batch, device)
    if isinstance(arrays, dict):
        return (), arrays
    return arrays if isinstance(arrays, tuple) else (arrays,), {}


def to_device(device, x):
    """Returns the array ``x`` on ``device`` (a device or anything that names one, -1 for the CPU); None: as it is."""
    if device is None:
        return x
    return backend.get_device(device).send(x)


def concat_examples_func(batch, device=None, padding=None):
    """Stacks a list of examples into arrays with a new first axis.

    Examples that are tuples give a tuple of arrays, dictionaries a dictionary of arrays, anything else one array.

    Args:
        batch: Non-empty list of examples: arrays, numbers, or tuples or dictionaries of them.
        device: Where the arrays are sent; None leaves them where they are.
        padding: None if all arrays have one shape. Otherwise arrays are extended at the end of each axis to the
            largest shape, with this value; a tuple or a dictionary gives one for each entry.

    Raises:
        ValueError: if the batch is empty, or shapes differ without padding.
    """
    if not len(batch):
        raise ValueError('batch is empty')
    first = batch[0]
    if isinstance(first, tuple):
        paddings = padding if isinstance(padding, tuple) else [padding] * len(first)
        return tuple(
            [
                to_device(device, _concat_arrays([example[i] for example in batch], paddings[i]))
                for i in range(len(first))
            ]
        )
    if isinstance(first, dict):
        paddings = padding if isinstance(padding, dict) else dict.fromkeys(first, padding)
        return {
            key: to_device(device, _concat_arrays([example[key] for example in batch], paddings[key])) for key in first
        }
    return to_device(device, _concat_arrays(batch, padding))


def _concat_arrays(arrays, padding):
    if not isinstance(arrays[0], backend.get_array_types()):
        arrays = numpy.asarray(arrays)
        if padding is None or arrays.ndim == 1:
            return arrays
    if padding is not None:
        return _concat_arrays_with_padding(arrays, padding)
    device = backend.get_device_from_array(arrays[0])
    with backend.using_device(device):
        return device.xp.concatenate([array[None] for array in arrays])


def _concat_arrays_with_padding(arrays, padding):
    shape = numpy.max([array.shape for array in arrays], axis=0)
    device = backend.get_device_from_array(arrays[0])
    with backend.using_device(device):
        result = device.xp.full((len(arrays), *shape.tolist()), padding, dtype=arrays[0].dtype)
        for i, array in enumerate(arrays):
            result[(i, *map(slice, array.shape))] = array
    return result


concat_examples = converter()(concat_examples_func)
# The object is found under its own name, which pickle needs.
concat_examples.__name__ = concat_examples.__qualname__ = 'concat_examples'


class ConcatWithAsyncTransfer:
    """:func:`concat_examples` that sends arrays to a GPU on a stream of its own, through page-locked memory.

    The copy of a batch then overlaps with the computation on the batch before. On the CPU it only stacks.

    Args:
        stream: CuPy stream for the copies; None makes one.
        compute_stream: CuPy stream of the computation, which waits for the copies; None is the current one.
    """

    def __init__(self, stream=None, compute_stream=None):
        self._stream = stream
        self.compute_stream = compute_stream
        self._device = None
        self._conveyors = {}  # by position or key in the example

    def __call__(self, batch, device=None, padding=None):
        """Returns what :func:`concat_examples` returns; ``device`` is -1, None or the number of a GPU."""
        if not len(batch):
            raise ValueError('batch is empty')
        if isinstance(device, backend.GpuDevice):
            device = device.device.id
        if not isinstance(device, int) or device < 0:
            return concat_examples_func(batch, device, padding)
        if self._device is None:
            self._device = device
        elif self._device != device:
            raise ValueError('device is different')
        with cuda.get_device_from_id(device):
            if self._stream is None:
                self._stream = cuda.Stream(non_blocking=True)
            return self._transfer(concat_examples_func(batch, None, padding))

    def _transfer(self, arrays):
        items = {None: arrays}
        if isinstance(arrays, tuple):
            items = dict(enumerate(arrays))
        elif isinstance(arrays, dict):
            items = arrays
        for key, array in items.items():
            if key not in self._conveyors:
                self._conveyors[key] = Conveyor(self._device, self._stream, self.compute_stream)
            self._conveyors[key].put(array)
        sent = {key: self._conveyors[key].get(sync=False) for key in items}
        (self.compute_stream or cuda.cupy.cuda.get_current_stream()).wait_event(self._stream.record())
        if isinstance(arrays, dict):
            return sent
        return tuple(sent.values()) if isinstance(arrays, tuple) else sent[None]


class Conveyor:
    """Brings arrays to one device, in order: :meth:`put` starts a copy, :meth:`get` returns its result.

    Args:
        device: Number of the GPU; None or -1 for the CPU, which passes arrays through.
        stream: CuPy stream of the copies; None copies synchronously.
        compute_stream: CuPy stream of the computation on the arrays; None is the current one.
    """

    def __init__(self, device=None, stream=None, compute_stream=None):
        self._device = device
        self._stream = stream
        self._compute_stream = compute_stream
        self._pending = []
        self._pinned = []  # (event, memory): page-locked memory lives until its copy is done
        self._sent = []  # [array, its memory, event]: what nobody holds any more lives until the work on it is done

    def put(self, array):
        """Starts to send ``array``."""
        if self._device is None or self._device < 0:
            self._pending.append(to_device(self._device, array))
            return
        if self._stream is None or not isinstance(array, numpy.ndarray):
            if not isinstance(array, numpy.ndarray):
                warnings.warn('An array that is on a GPU is sent synchronously.')
            self._pending.append(to_device(self._device, array))
            return
        self._pinned = [(event, memory) for event, memory in self._pinned if not event.done]
        with cuda.get_device_from_id(self._device):
            self._release()
            memory = cuda.cupy.cuda.alloc_pinned_memory(max(array.nbytes, 1))
            staged = numpy.frombuffer(memory, array.dtype, array.size).reshape(array.shape)
            staged[...] = array
            with self._stream:  # memory that no other stream works with
                sent = cuda.cupy.empty(array.shape, array.dtype)
            sent.set(staged, self._stream)
            self._pinned.append((self._stream.record(), memory))
            self._sent.append([weakref.ref(sent), sent.data, None])
        self._pending.append(sent)

    def _release(self):
        """Gives memory back to the pool, which the next copies write to, once the computation is done with it."""
        compute_stream = self._compute_stream or cuda.cupy.cuda.get_current_stream()
        for entry in self._sent:
            array, _, event = entry
            if event is None and array() is None:
                entry[2] = compute_stream.record()
        self._sent = [entry for entry in self._sent if entry[2] is None or not entry[2].done]

    def get(self, sync=True):
        """Returns the array put first; ``sync`` waits until it has arrived."""
        if sync and self._stream is not None:
            self._stream.synchronize()
        return self._pending.pop(0)
