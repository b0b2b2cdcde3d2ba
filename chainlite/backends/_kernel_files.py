"""Where the CUDA sources lie: beside the package in a checkout, inside it (as ``_kernels``) in an installed wheel."""

from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


@cache
def kernel_folder() -> Path:
    """The folder of the ``.cu`` and ``.cuh`` files, for ``-I`` and for reading.

    Raises:
        FileNotFoundError: The installation is incomplete.

    """
    for folder in (_PACKAGE / '_kernels', _PACKAGE.parent / 'kernels'):
        if (folder / 'common.cuh').is_file():
            return folder
    raise FileNotFoundError(
        f'the CUDA sources of chainlite are neither in {_PACKAGE / "_kernels"} nor beside the package'
    )


def kernel_source(name: str) -> str:
    """The text of one kernel file, such as ``'pooling.cu'``."""
    return (kernel_folder() / name).read_text(encoding='utf-8')
