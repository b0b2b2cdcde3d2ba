"""Names for the types that signatures speak of."""

import numbers
import typing
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, Union

if TYPE_CHECKING:
    import numpy

    from chainlite import backend
    from chainlite.backends import cuda

Shape = tuple[int, ...]
ShapeSpec = Union[int, Sequence[int]]  # noqa: UP007 (callable, as typing's own are)
CudaDeviceSpec = Union['cuda.Device', int, 'numpy.integer']
DeviceSpec = Union['backend.Device', 'cuda.Device', int, str, tuple[str, int], ModuleType, tuple[ModuleType, int]]
NdArray = Union['numpy.ndarray', 'cuda.ndarray']
ScalarValue = Union['numpy.generic', bytes, str, memoryview, numbers.Number]


class AbstractInitializer(typing.Protocol):
    """Anything that fills an array; `dtype` is what it wants the array to be of, or None."""

    dtype: Any = None

    def __call__(self, array: NdArray) -> None:
        pass


InitializerSpec = Union[AbstractInitializer, ScalarValue, 'numpy.ndarray']
