"""What this runs on."""

import platform
import sys

import numpy

from chainlite._version import __version__
from chainlite.backends import cuda, intel64
from chainlite.backends.onednn import _library


class _RuntimeInfo:
    """The versions of all that matters, as lines of text."""

    def __init__(self):
        self.versions = {
            'Platform': platform.platform(),
            'Python': platform.python_version(),
            'Chainlite': __version__,
            'NumPy': numpy.__version__,
            **_cuda_versions(),
            'iDeep (oneDNN)': _onednn_version(),
        }

    def __str__(self):
        return ''.join(f'{name}: {version}\n' for name, version in self.versions.items())


def _onednn_version():
    if not intel64.is_ideep_available():
        return f'Not Available ({_library.unavailable_because()})'
    return '.'.join(map(str, _library.library().version))


def _dotted(number):
    """CUDA's number of a version, such as 13000, as people write it."""
    return f'{number // 1000}.{number % 1000 // 10}'


def _device(properties):
    name, gib = properties['name'].decode(), properties['totalGlobalMem'] / 2**30
    return f'{name}, compute capability {properties["major"]}.{properties["minor"]}, {gib:.0f} GiB'


def _cudnn_versions():
    if not cuda.cudnn_enabled or cuda._cudnn_version() < 0:
        return {'cuDNN': 'Not Available (pip install chainlite[cudnn])'}
    import cudnn

    return {'cuDNN': cudnn.backend_version_string(), 'cuDNN frontend': cudnn.__version__}


def _cuda_versions():
    if not cuda.available:
        return {'CuPy': f'Not Available ({cuda._unavailable_because})'}
    runtime = cuda.cupy.cuda.runtime
    return {
        'CuPy': cuda.cupy.__version__,
        'CUDA runtime': _dotted(runtime.runtimeGetVersion()),
        'CUDA driver': _dotted(runtime.driverGetVersion()),
        **{f'GPU {i}': _device(runtime.getDeviceProperties(i)) for i in range(runtime.getDeviceCount())},
        **_cudnn_versions(),
    }


def _get_runtime_info():
    return _RuntimeInfo()


def print_runtime_info(out=None):
    """Prints the versions of this package and of what it runs on, as reports of errors should have them.

    Args:
        out: file to print to; None is standard output.
    """
    print(_get_runtime_info(), end='', file=sys.stdout if out is None else out)
