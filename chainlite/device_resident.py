"""Objects that live on a device and can be sent to another: links, update rules.

Sending one means visiting it: `device_resident_accept(visitor)` shows the visitor the object itself and every array,
Variable and further object that it holds, and the visitor does the moving.
"""

import warnings

from chainlite import backend
from chainlite.backends import cuda, intel64
from chainlite.utils.meta import enable_final, final


class DeviceResident(enable_final()):  # type: ignore[misc]
    """Something that lives on a device."""

    _device = backend.CpuDevice()

    def __init__(self):
        # Ends the chain of constructors: a class that is mixed in after a link is initialized by name.
        pass

    def device_resident_accept(self, visitor):
        """Shows the visitor this object.  Subclasses extend it to show what they hold."""
        visitor.visit_device_resident(self)

    @property
    def device(self):
        """The device on which this object lives."""
        return self._device

    @property
    def xp(self):
        """The module (`numpy`, `cupy`) of this object's arrays."""
        return self.device.xp

    @final(action=DeprecationWarning)
    def to_cpu(self):
        """Moves to the CPU; `to_device('@numpy')` does the same.  Returns self."""
        _warn_deprecated('to_cpu', '@numpy')
        return self._accept(_ToDeviceVisitor(backend.CpuDevice(), ('to_cpu', {}), starting_device_resident=self))

    @final(action=DeprecationWarning)
    def to_gpu(self, device=None):
        """Moves to a GPU unless this object is on one already; `to_device('@cupy:0')` is the newer way.  Returns self.

        Args:
            device: number or CuPy device; None is the current one.
        """
        cuda.check_cuda_available()
        if device is None:
            device = cuda.cupy.cuda.runtime.getDevice()
        device = int(device)
        _warn_deprecated('to_gpu', f'@cupy:{device}')
        visitor = _ToDeviceVisitor(
            backend.GpuDevice.from_device_id(device),
            ('to_gpu', {'device': device}),
            skip_between_cupy_devices=True,
            starting_device_resident=self,
        )
        return self._accept(visitor)

    @final(action=DeprecationWarning)
    def to_intel64(self):
        """Moves to the CPU with accelerated kernels; `to_device('@intel64')` does the same.  Returns self."""
        intel64.check_ideep_available()
        _warn_deprecated('to_intel64', '@intel64')
        visitor = _ToDeviceVisitor(backend.Intel64Device(), ('to_intel64', {}), starting_device_resident=self)
        return self._accept(visitor)

    @final
    def to_chx(self):
        """Raises RuntimeError: there is no ChainerX."""
        raise RuntimeError('ChainerX is not available.')

    @final
    def from_chx(self):
        """Leaves everything where it is, since that is not on ChainerX.  Returns self."""
        return self._accept(_FromChxVisitor())

    def to_chainerx(self):
        """:meth:`to_chx`, by its first name."""
        return self.to_chx()

    def from_chainerx(self):
        """:meth:`from_chx`, by its first name.  Returns self."""
        return self.from_chx()

    @final
    def to_device(self, device):
        """Moves to `device`, anything that `get_device` takes.  Returns self."""
        return self._accept(_ToDeviceVisitor(backend.get_device(device)))

    def _accept(self, visitor):
        self.device_resident_accept(visitor)
        return self


def _warn_deprecated(method, device):
    warnings.warn(
        f"{method} is deprecated. Please use to_device('{device}') instead.", DeprecationWarning, stacklevel=3
    )


class DeviceResidentsVisitor:
    """What `DeviceResident.device_resident_accept` calls with all that an object holds."""

    def visit_device_resident(self, device_resident):
        """Called with each object."""
        raise NotImplementedError

    def visit_array(self, arr):
        """Called with each array; the object keeps what this returns instead."""
        raise NotImplementedError

    def visit_variable(self, param):
        """Called with each Variable."""
        raise NotImplementedError


class _ToDeviceVisitor(DeviceResidentsVisitor):
    """Moves everything to `device`.

    An object whose class overrides `to_cpu`, `to_gpu` or `to_intel64` expects that method to be called however it is
    moved.  The overriding method calls the inherited one, which starts another visit with `entry_method_info` (name of
    the method, its arguments) and `starting_device_resident` (the object), so that this visit does not call it again.

    `skip_between_cupy_devices` leaves what is on any GPU where it is, as `to_gpu` always has.
    """

    def __init__(self, device, entry_method_info=None, skip_between_cupy_devices=False, starting_device_resident=None):
        self._device = device
        self._entry_method_info = entry_method_info
        self._skip_between_cupy_devices = skip_between_cupy_devices
        self._starting_device_resident = starting_device_resident

    def visit_device_resident(self, device_resident):
        if self._stays(device_resident.device):
            self._warn_to_gpu(device_resident.device)
            return
        device_resident._device = self._device
        name, kwargs = self._to_method()
        started_there = device_resident is self._starting_device_resident and name == self._entry_method_info[0]
        if _overrides(device_resident, name) and not started_there:
            getattr(device_resident, name)(**kwargs)

    def visit_array(self, arr):
        if self._skip_between_cupy_devices and cuda.is_cupy_array(arr):
            return arr
        return self._device.send(arr)

    def visit_variable(self, param):
        if not self._stays(param.device):
            param.to_device(self._device)

    def _stays(self, device):
        return self._skip_between_cupy_devices and isinstance(device, backend.GpuDevice)

    def _warn_to_gpu(self, device):
        if device != self._device:
            warnings.warn(
                f'This object is on GPU {device.device.id} already, and to_gpu does not move it to '
                f'GPU {self._device.device.id}: to_device does.',
                RuntimeWarning,
                stacklevel=2,
            )

    def _to_method(self):
        if isinstance(self._device, backend.GpuDevice):
            return 'to_gpu', {'device': self._device.device.id}
        return ('to_intel64' if isinstance(self._device, backend.Intel64Device) else 'to_cpu'), {}


def _overrides(device_resident, name):
    return getattr(type(device_resident), name) is not getattr(DeviceResident, name)


class _FromChxVisitor(DeviceResidentsVisitor):
    """Leaves everything where it is."""

    def visit_device_resident(self, device_resident):
        pass

    def visit_array(self, arr):
        return backend.from_chx(arr)

    def visit_variable(self, param):
        param.from_chx()
