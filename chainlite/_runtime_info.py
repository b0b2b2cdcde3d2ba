"""What this runs on."""

import platform
import sys

import numpy

from chainlite._version import __version__
from chainlite.backends import cuda, intel64


class _RuntimeInfo:
    """The versions of all that matters, as lines of text."""

    def __init__(self):
        self.versions = {
            'Platform': platform.platform(),
            'Python': platform.python_version(),
            'Chainlite': __version__,
            'NumPy': numpy.__version__,
            **_cuda_versions(),
            'iDeep': 'Available' if intel64.is_ideep_available() else 'Not Available',
        }

    def __str__(self):
        return ''.join(f'{name}: {version}\n' for name, version in self.versions.items())


def _cuda_versions():
    if not cuda.available:
        return {'CuPy': f'Not Available ({cuda._unavailable_because})'}
    runtime = cuda.cupy.cuda.runtime
    devices = [runtime.getDeviceProperties(i)['name'].decode() for i in range(runtime.getDeviceCount())]
    return {
        'CuPy': cuda.cupy.__version__,
        'CUDA runtime': runtime.runtimeGetVersion(),
        'CUDA driver': runtime.driverGetVersion(),
        'GPUs': ', '.join(devices),
        'cuDNN': cuda._cudnn_version() if cuda.cudnn_enabled else 'Not Available',
    }


def _get_runtime_info():
    return _RuntimeInfo()


def print_runtime_info(out=None):
    """Prints the versions of this package and of what it runs on, as reports of errors should have them.

    Args:
        out: file to print to; None is standard output.
    """
    print(_get_runtime_info(), end='', file=sys.stdout if out is None else out)
