"""Devices, and functions that work on arrays of any of them."""

import sys

import numpy

from chainlite._backend import Device
from chainlite.backends import cuda
from chainlite.backends._chainerx import ChainerxDevice, from_chx, to_chx
from chainlite.backends._cpu import CpuDevice
from chainlite.backends.cuda import GpuDevice, get_array_module
from chainlite.backends.intel64 import Intel64Device

__all__ = [
    'ChainerxDevice',
    'CpuDevice',
    'Device',
    'GpuDevice',
    'Intel64Device',
    'copyto',
    'from_chx',
    'get_array_module',
    'get_device',
    'get_device_from_array',
    'to_chx',
    'using_device',
]

_cpu_device = CpuDevice()


def get_array_types():
    """The array types that Variables may hold here: NumPy's, and CuPy's if CuPy has been imported."""
    cupy = sys.modules.get('cupy')
    return (numpy.ndarray,) if cupy is None else (numpy.ndarray, cupy.ndarray)


def get_cpu_array_types():
    """The array types whose data are in the memory of the host."""
    return (numpy.ndarray,)


def is_arrays_compatible(arrays):
    """Whether all arrays (Nones aside) are of one library, so that a function can take them together."""
    arrays = [a for a in arrays if a is not None]
    return all(isinstance(a, numpy.ndarray) for a in arrays) or all(cuda.is_cupy_array(a) for a in arrays)


def copyto(dst, src):
    """Copies `src` into `dst`, an array of the same or a broadcast shape, on whatever devices they are."""
    if isinstance(dst, numpy.ndarray):
        numpy.copyto(dst, src.get() if cuda.is_cupy_array(src) else src)
    elif cuda.is_cupy_array(dst):
        if isinstance(src, numpy.ndarray):
            src = numpy.broadcast_to(src, dst.shape).astype(dst.dtype, order='C', casting='same_kind', copy=False)
            if dst.flags.forc:
                dst.set(src)
            else:  # a view, which is filled by a kernel
                with dst.device:
                    dst[...] = cuda.cupy.asarray(src)
        elif cuda.is_cupy_array(src):
            cuda.cupy.copyto(dst, src)
        else:
            raise TypeError(f'cannot copy from non-array object of type {type(src)}')
    else:
        raise TypeError(f'cannot copy to non-array object of type {type(dst)}')


def get_device(device_spec):
    """The device that `device_spec` names.

    Args:
        device_spec: '@numpy', '@intel64', '@cupy:0'; a device of this package or of CuPy; the number of a GPU, where
            negative ones are the CPU; a module or a tuple of a module and a number, `(cupy, 0)`.
    """
    if isinstance(device_spec, Device):
        return device_spec
    if isinstance(device_spec, (int, numpy.integer)):
        return _from_number(int(device_spec))
    if isinstance(device_spec, str):
        return _from_text(device_spec)
    if device_spec is numpy:
        return CpuDevice()
    if isinstance(device_spec, tuple) and len(device_spec) == 2 and device_spec[0] is cuda.cupy:
        return GpuDevice.from_device_id(device_spec[1])
    if isinstance(device_spec, cuda.Device):
        return GpuDevice(device_spec)
    raise TypeError(
        'Device specifier must be a backend.Device, cuda.Device, chainerx.Device, integer or a string. '
        f'Actual: {type(device_spec)}'
    )


def _from_number(number):
    return GpuDevice.from_device_id(number) if number >= 0 else CpuDevice()


def _from_text(text):
    try:
        return _from_number(int(text))
    except ValueError:
        pass
    if not text.startswith('@'):
        raise RuntimeError(
            f"Tried to parse ChainerX device specifier '{text}', but ChainerX is not available. "
            "Note that device specifiers without '@' prefix are assumed to be ChainerX device specifiers."
        )
    library, colon, number = text[1:].partition(':')
    if library == 'numpy' and not colon:
        return CpuDevice()
    if library == 'intel64' and not colon:
        return Intel64Device()
    if library == 'cupy' and colon:
        return GpuDevice.from_device_id(int(number))
    raise ValueError(
        "Device specifiers starting with '@' must be followed by a module name and depending on the module, "
        f'module specific precise device specifiers. Actual: {text}'
    )


def using_device(device_spec):
    """A context manager in which the device is the current one."""
    return get_device(device_spec).create_context()


def get_device_from_array(*arrays):
    """The device of the first of `arrays` (or Variables) that is known to live on one; otherwise the CPU."""
    for array in arrays:
        if isinstance(array, numpy.ndarray):
            continue
        device = GpuDevice.from_array(array) or getattr(array, 'device', None)
        if isinstance(device, Device):
            return device
    return _cpu_device
