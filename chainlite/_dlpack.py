"""Arrays of other libraries as Variables, without a copy.

The other direction needs no function of ours: a Variable has ``__dlpack__``, so ``torch.from_dlpack(x)``,
``numpy.from_dlpack(x)`` and the like take it as it is.
"""

import numpy as np

from chainlite.backends import cuda
from chainlite.variable import Variable

_HOST, _CUDA, _CUDA_MANAGED = 1, 2, 13  # kinds of devices in DLPack's numbering


def from_dlpack(x, *, requires_grad=True):
    """Wraps an array of another library in a Variable that shares its memory.

    Args:
        x: tensor or array with ``__dlpack__``, in the memory of the host or of an NVIDIA GPU; of any numeric dtype that
            NumPy or CuPy has, of any shape and strides.
        requires_grad: that of the Variable.

    Returns:
        Variable of a NumPy array, or on a GPU of a CuPy array. It has no graph: what made ``x`` is not known here.
        NumPy before 2.1 makes it read-only.

    Raises:
        TypeError: ``x`` has no ``__dlpack__``.
        ValueError: it lies on another kind of device, or is of a dtype that NumPy or CuPy does not take.
        BufferError: the other library does not hand it out (PyTorch: a tensor that requires gradients; detach it).

    See: https://dmlc.github.io/dlpack/latest/python_spec.html
    """
    if not hasattr(x, '__dlpack__') or not hasattr(x, '__dlpack_device__'):
        raise TypeError(f'from_dlpack: an array with __dlpack__ is expected. Actual: {type(x)}')
    kind, number = x.__dlpack_device__()
    if kind == _HOST:
        load = np.from_dlpack
    elif kind in (_CUDA, _CUDA_MANAGED):
        cuda.check_cuda_available()
        load = cuda.cupy.from_dlpack
    else:
        raise ValueError(f'from_dlpack: the host or an NVIDIA GPU is expected. Actual: DLPack device {kind}:{number}')
    try:
        array = load(x)
    except (RuntimeError, TypeError, ValueError) as e:
        dtype = getattr(x, 'dtype', 'of unknown dtype')
        raise ValueError(f'from_dlpack: {type(x).__name__} {dtype} cannot be taken over: {e}') from e
    return Variable(array, requires_grad=requires_grad)
