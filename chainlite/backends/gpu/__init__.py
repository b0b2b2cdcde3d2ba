"""Kernels for CuPy arrays: launchers of the CUDA sources in kernels/.

Each public module here holds the implementations of the module of the same name in `cpu`; what they do not take is left
to the reference, which runs on CuPy too. Importing these modules imports neither CuPy nor a driver.
"""

import sys

from chainlite.backends._kernel import Backend


def _is_cupy(kind):
    cupy = sys.modules.get('cupy')
    return cupy is not None and issubclass(kind, cupy.ndarray)


gpu = Backend('gpu', _is_cupy)
