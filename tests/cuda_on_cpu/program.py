"""Stands for CuPy's NVRTC program: compiles CUDA C++ by g++."""

import os
import re
from pathlib import Path

from cuda_on_cpu import build

# A source with one of these may have threads that wait for each other; without, they run as plain calls.
_MEETS = re.compile(
    r'__sync|__shfl|__ballot|__any_sync|__all_sync|__reduce_|__match_|__activemask|cooperative_groups|cub::|wmma'
)
_QUOTED = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.M)
_KERNEL = re.compile(
    r'__global__\s+(?:__launch_bounds__\s*\([^)]*\)\s*)?void\s+(?:__launch_bounds__\s*\([^)]*\)\s*)?(\w+)\s*\('
)
_EXTERN = re.compile(r'extern\s*"C"\s*(\{)?')
# extern __shared__ float buffer[];  ->  a pointer to the block's dynamic shared memory
_DYNAMIC = re.compile(
    r'extern\s+__shared__\s+((?:__align__|alignas)\s*\(\s*\w+\s*\)\s*)?([\w:<>, ]+?)\s+(\w+)\s*\[\s*\]\s*;'
)


def files_of(source, includes):
    """The texts of a source's own headers (by "name"), found in the include folders."""
    texts, names = {}, _QUOTED.findall(source)
    while names:
        name = names.pop()
        for folder in includes:
            path = Path(folder, name)
            if name not in texts and path.is_file():
                texts[name] = path.read_text(encoding='utf-8')
                names += _QUOTED.findall(texts[name])
    return texts


def exported(source):
    """The names of the kernels that are extern "C", alone or in a block."""
    names = []
    for match in _EXTERN.finditer(source):
        if match[1]:
            names += _KERNEL.findall(source, match.end(), _closing_brace(source, match.end()))
        else:
            following = _KERNEL.match(source, match.end())
            names += [following[1]] if following else []
    return list(dict.fromkeys(names))


def _closing_brace(source, start):
    depth = 1
    for match in re.compile('[{}]').finditer(source, start):
        depth += 1 if match[0] == '{' else -1
        if not depth:
            return match.start()
    return len(source)


class Program:
    """CuPy's class _NVRTCProgram has these methods."""

    def __init__(self, src, name='', headers=(), include_names=(), name_expressions=None, method='ptx'):
        self.source = src.decode() if isinstance(src, bytes) else src
        self.name, self.expressions = name, tuple(name_expressions or ())

    def compile(self, options=(), log_stream=None):
        """(text for libcuda's cuModuleLoadData, {name expression: symbol} or None)."""
        if not self.source.strip():  # CuPy asks for the version of the compiler by an empty program
            return b'// compiled by g++\n', None
        for arch in filter(None, os.environ.get('CUDA_ON_CPU_NVRTC', '').split(',')):
            self._compile_with_nvrtc(options, arch)
        folders = [o[2:].strip() for o in options if o.startswith('-I') and '_cccl' not in o]
        includes = list(dict.fromkeys([*build.include_folders(), *folders]))
        defines = [o for o in options if o.startswith('-D')]
        headers = files_of(self.source, folders)
        text = '\n'.join([self.source, *headers.values()])
        meets = int(bool(_MEETS.search(text)))
        kernels = [(name, name) for name in exported(self.source)]
        kernels += [(f'expression_{i}', e) for i, e in enumerate(self.expressions)]
        lines = [f'COC_KERNEL(coc_kernel_{symbol}, "{name}", {meets}, &{name})' for symbol, name in kernels]
        source = _DYNAMIC.sub(r'\2* \3 = reinterpret_cast<\2*>(coc_now.dynamic_shared);', self.source)
        source = '\n'.join([source, *lines, ''])
        key = build.digest(source, *headers.values(), *includes, *defines)[:32]
        # CuPy's own kernels are trusted: some read what they then change by compare-and-swap.
        checked = build.checking and 'extern "C" __global__ void cupy_' not in self.source
        try:
            path = build.kernel(source, includes, defines, key, checked)
        except build.CompilerError as error:
            from cupy.cuda.compiler import CompileException

            raise CompileException(str(error), self.source, self.name, options, 'g++') from None
        mapping = {e: f'expression_{i}' for i, e in enumerate(self.expressions)}
        return b'COC\0' + str(path).encode() + b'\0', mapping or None

    def _compile_with_nvrtc(self, options, arch):
        """The same source through the real compiler, which needs no device: it rejects what only g++ accepts."""
        from cuda_on_cpu import nvrtc

        nvrtc.compile_or_raise(self.source, self.name, self.expressions, options, arch)
