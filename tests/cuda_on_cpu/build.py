"""Runs g++, once for each source: libraries of the engine and compiled kernels lie in a cache under content hashes."""

import functools
import hashlib
import importlib.machinery
import os
import re
import subprocess
import threading
from pathlib import Path

HERE = Path(__file__).parent
COMPILER = os.environ.get('CXX', 'g++')
COMMON = ['-std=c++20', '-fPIC', '-march=x86-64-v3', '-fno-strict-aliasing']
ENGINE = [*COMMON, '-O2', '-w']
# -O1 compiles twice as fast as -O2. Devices contract a * b + c. What one module defines is not another's.
KERNEL = [*COMMON, '-O1', '-w', '-fpermissive', '-ffp-contract=fast', '-fno-gnu-unique']
LIBRARIES = {  # by SONAME, under which CuPy asks for them
    'libcuda.so.1': ('', ['memory', 'streams', 'launch', 'check', 'driver', 'runtime']),
    'libcublas.so.13': ('cublas', ['cublas']),
    'libcurand.so.10': ('curand', ['curand']),
}
checking = os.environ.get('CUDA_ON_CPU_CHECK', '') not in ('', '0')


def cache_folder():
    """Of this version of the equipment."""
    root = os.environ.get('CUDA_ON_CPU_CACHE') or Path.home() / '.cache' / 'chainlite' / 'cuda_on_cpu'
    folder = Path(root) / _version()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@functools.cache
def _version():
    """Hash of what all kernels are compiled with."""
    texts = [path.read_bytes() for path in sorted(HERE.rglob('*')) if path.suffix in ('.h', '.cpp')]
    compiler = subprocess.run([COMPILER, '-dumpfullversion'], capture_output=True, text=True, check=True).stdout
    return digest(compiler, *KERNEL, _find('cupy'), _find('nvidia'), *map(_replaced, LIBRARIES), *texts)[:16]


def digest(*texts):
    h = hashlib.sha256()
    for text in texts:
        h.update(text if isinstance(text, bytes) else str(text).encode())
        h.update(b'\0')
    return h.hexdigest()


def compile_to(target, arguments):
    """Runs the compiler unless `target` is there; processes that do so at the same time do not see half a file."""
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = _unfinished(target)
    run = subprocess.run([COMPILER, *map(str, arguments), '-o', str(unfinished)], capture_output=True, text=True)
    if run.returncode:
        raise CompilerError(run.stderr)
    os.replace(unfinished, target)


def write_to(target, text):
    """Writes a file, of which processes that do so at the same time do not see half either."""
    unfinished = _unfinished(target)
    unfinished.write_text(text)
    os.replace(unfinished, target)


def _unfinished(target):
    return target.with_name(f'{target.name}.{os.getpid()}.{threading.get_ident()}')


class CompilerError(Exception):
    """What the compiler printed."""


def library(soname):
    """The path of one of LIBRARIES."""
    wrapped, parts = LIBRARIES[soname]
    target = cache_folder() / soname
    if not target.exists():
        sources = [HERE / 'engine' / f'{part}.cpp' for part in parts]
        arguments = [*ENGINE, '-shared', f'-I{HERE / "language"}', f'-Wl,-soname,{soname}']
        if wrapped:
            sources.append(_missing_functions(soname, wrapped, sources[0].read_text()))
            versions = cache_folder() / f'{wrapped}.map'
            write_to(versions, f'{soname} {{ global: *; }};\n')  # CuPy links with versioned symbols
            arguments.append(f'-Wl,--version-script,{versions}')
        compile_to(target, [*arguments, *sources])
    return target


def _replaced(soname):
    """NVIDIA's own library of that name, or None: PyTorch's CUDA build brings and wants it."""
    return next(Path(_find('nvidia')).glob(f'*/lib/{soname}'), None)


def _missing_functions(soname, wrapped, source):
    """A source file in which the functions that others link with and `source` lacks say so when they are called."""
    module = next(Path(_find('cupy_backends'), 'cuda', 'libs').glob(f'{wrapped}.*.so'))
    listed = [['--undefined-only', module]]
    if original := _replaced(soname):
        listed.append(['--defined-only', original])
    listing = ''.join(
        subprocess.run(['nm', '-D', *arguments], capture_output=True, text=True, check=True).stdout
        for arguments in listed
    )
    wanted = set(re.findall(rf'\b({wrapped}\w+)', listing)) - {wrapped}
    expanded = subprocess.run(
        [COMPILER, *ENGINE, f'-I{HERE / "language"}', f'-I{HERE / "engine"}', '-E', '-x', 'c++', '-'],
        input=source,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    missing = sorted(name for name in wanted if not re.search(rf'\b{name}\s*\(', expanded))
    path = cache_folder() / f'{wrapped}_missing.cpp'
    write_to(
        path,
        'int unsupported(const char*);\nextern "C" {\n'
        + ''.join(f'int {name}(...) {{ return unsupported("{name}"); }}\n' for name in missing)
        + '}\n',
    )
    return path


def kernel(source, includes, defines, key, checked):
    """The path of a shared object of this source (with COC_KERNEL lines at its end), for the race detector or not."""
    flags = [*KERNEL, *(['-fsanitize=thread'] if checked else [])]
    folder = cache_folder() / ('checked' if checked else 'kernels') / key[:2]
    target = folder / f'{key}.so'
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        header = _prefix(flags, includes)
        path = folder / f'{key}.{os.getpid()}.{threading.get_ident()}.cpp'
        path.write_text(source)
        directories = [f'-I{i}' for i in includes]
        try:
            if checked:  # the compiler's calls stay, the sanitizer's library does not come
                compiled = path.with_suffix('.o')
                compile_to(compiled, [*flags, '-include', header, *directories, *defines, '-c', path])
                compile_to(target, [*KERNEL, '-shared', '-Wl,-Bsymbolic', compiled])
                compiled.unlink()
            else:
                compile_to(
                    target,
                    [*flags, '-shared', '-Wl,-Bsymbolic', '-include', header, *directories, *defines, path],
                )
        finally:
            path.unlink()
    return target


@functools.cache
def _prefix_text():
    headers = ('complex.cuh', 'carray.cuh', 'atomics.cuh', 'math_constants.h')
    return '#include "cuda.h"\n' + ''.join(f'#include <cupy/{name}>\n' for name in headers)


def _prefix(flags, includes):
    """A precompiled header of CUDA's language and CuPy's headers: they take longer than the kernels."""
    key = digest(*flags)[:12]
    header = cache_folder() / f'prefix_{key}.h'
    if not header.exists():
        write_to(header, _prefix_text())
    own = [i for i in includes if i in include_folders()]
    compile_to(header.with_name(header.name + '.gch'), [*flags, '-x', 'c++-header', *(f'-I{i}' for i in own), header])
    return header


@functools.cache
def include_folders():
    """CUDA's language for g++, CuPy's headers, the toolkit's."""
    toolkit = os.environ.get('CUDA_ON_CPU_TOOLKIT') or next(
        iter(sorted(Path(_find('nvidia')).glob('cu1*/include'), reverse=True)), None
    )
    if toolkit is None or not (Path(toolkit) / 'cuda_fp16.h').exists():
        raise RuntimeError(
            'the headers of CUDA are needed: pip install nvidia-cuda-runtime nvidia-cuda-crt nvidia-cuda-cccl'
        )
    return [str(HERE / 'language'), str(Path(_find('cupy'), '_core', 'include')), str(toolkit)]


@functools.cache
def _find(package):
    """The folder of an installed package, without importing it."""
    spec = importlib.machinery.PathFinder.find_spec(package)  # past the finder that is at work on CuPy
    if spec is None:
        wheel = (
            'nvidia-cuda-runtime nvidia-cuda-crt nvidia-cuda-cccl' if package == 'nvidia' else 'cupy-cuda13x==14.2.*'
        )
        raise RuntimeError(f'{package} is not installed: pip install {wheel}')
    return list(spec.submodule_search_locations)[0]
