"""Versions of what chainlite runs on."""

import importlib.metadata
import platform
import sys
from typing import TextIO

import numpy

from chainlite._version import __version__, chainer_version
from chainlite.backends import cuda


def _installed(*distributions: str) -> str:
    """The version of the first distribution that is installed."""
    for name in distributions:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            pass
    return 'Not Available'


def _cupy() -> str:
    if cuda.available:
        import cupyx

        return '\n  '.join(['', *str(cupyx.get_runtime_info()).splitlines()])
    return _installed('cupy-cuda13x', 'cupy-cuda12x', 'cupy')


class _RuntimeInfo:
    def __init__(self) -> None:
        self.lines = {
            'Platform': platform.platform(),
            'Python': platform.python_version(),
            'chainlite': f'{__version__} (the interface of Chainer: {chainer_version})',
            'ChainerX': 'Not Available',
            'NumPy': numpy.__version__,
            'CuPy': _cupy(),
            'cuDNN frontend': _installed('nvidia-cudnn-frontend'),
            'oneDNN': _installed('onednn-cpu-gomp'),
            'iDeep': 'Not Available',
        }

    def __str__(self) -> str:
        return ''.join(f'{name}: {value}\n' for name, value in self.lines.items())


def _get_runtime_info() -> _RuntimeInfo:
    return _RuntimeInfo()


def print_runtime_info(out: TextIO | None = None) -> None:
    """Prints the versions of chainlite, Python, NumPy and, where they are installed, CuPy, cuDNN and oneDNN.

    Args:
        out: Where to; standard output by default.

    """
    (sys.stdout if out is None else out).write(str(_get_runtime_info()))
