"""Packaging of chainlite: NumPy is the only requirement, everything else is an extra."""

from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
version: dict[str, str] = {}
exec((here / 'chainlite' / '_version.py').read_text(), version)

extras = {
    'cuda12': ['cupy-cuda12x==14.2.*'],
    'cuda13': ['cupy-cuda13x==14.2.*'],
    # The frontend, and the library that it calls, for CUDA 13 and for CUDA 12.
    'cudnn': ['nvidia-cudnn-frontend>=1.18,<1.27', 'nvidia-cudnn-cu13>=9.10,<10'],
    'cudnn12': ['nvidia-cudnn-frontend>=1.18,<1.27', 'nvidia-cudnn-cu12>=9.10,<10'],
    # oneDNN's wheel exists for Linux on x86-64 alone; elsewhere NumPy does the work.
    'onednn': ['onednn-cpu-gomp==2023.2.0; sys_platform == "linux" and platform_machine == "x86_64"'],
    'bfloat16': ['ml_dtypes'],
    'hdf5': ['h5py'],
    'plot': ['matplotlib'],
    'image': ['Pillow'],
    'caffe': ['protobuf>=4'],
    'onnx': ['onnx'],
    'mpi': ['mpi4py'],
    'demo': ['scikit-learn'],
}
# `all` leaves out what needs a device or an MPI library: the wrong one of those does not install.
extras['all'] = [
    r for name in extras if name not in ('cuda12', 'cuda13', 'cudnn', 'cudnn12', 'mpi') for r in extras[name]
]
# CuPy runs on the CPU in tests (tests/cuda_on_cpu): CUDA's headers and NVIDIA's compiler need no GPU.
extras['stand-in'] = [
    f'{requirement}; sys_platform == "linux" and platform_machine == "x86_64"'
    for requirement in (
        *extras['cuda13'],
        *(f'nvidia-cuda-{part}>=13,<14' for part in ('nvrtc', 'runtime', 'crt', 'cccl')),
    )
]
extras['docs'] = ['pdoc']
extras['lint'] = ['ruff==0.17.*', 'mypy==2.4.*']
extras['test'] = ['pytest>=8', 'pytest-xdist>=3.5', 'setuptools>=70', 'wheel', 'scipy', 'onnxruntime', *extras['lint']]
extras['test'] += ['torch==2.13.0; sys_platform == "linux" and platform_machine == "x86_64"']  # to compare with
extras['test'] += ['opencv-python-headless>=4.8,<5']  # what Caffe computes; version 5 no longer reads its files
extras['test'] += [
    r for name in ('onednn', 'bfloat16', 'hdf5', 'plot', 'image', 'caffe', 'onnx', 'demo') for r in extras[name]
]

setup(
    name='chainlite',
    version=version['__version__'],
    description="Chainer v7's API on today's Python, NumPy 2 and CuPy",
    long_description=(here / 'README.md').read_text(encoding='utf-8') if (here / 'README.md').exists() else '',
    long_description_content_type='text/markdown',
    license='MIT',
    python_requires='>=3.10',
    # The CUDA sources lie beside the package in a checkout and inside it, as chainlite/_kernels, in a wheel.
    packages=[*find_packages(include=['chainlite', 'chainlite.*']), 'chainlite._kernels'],
    package_dir={'chainlite._kernels': 'kernels'},
    package_data={'chainlite': ['py.typed', 'compat/shim/*.py'], 'chainlite._kernels': ['*.cu', '*.cuh']},
    install_requires=['numpy>=1.26'],
    extras_require=extras,
    classifiers=[
        'Programming Language :: Python :: 3',
        'Programming Language :: Python :: 3 :: Only',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
        'Operating System :: OS Independent',
    ],
)
