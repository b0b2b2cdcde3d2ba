"""Compiles the kernels that equations generate with NVIDIA's compiler, without a GPU, and prints what they need.

    CHAINLITE_CUDA_ON_CPU=1 python scripts/compile_equations.py [sm_75 sm_80 sm_90 sm_100]

The samples of the tests run on the stand-in of tests/cuda_on_cpu in every float dtype, which makes CuPy
generate the kernels of all functions and their gradients. Fails where registers are spilled to memory.
"""

import os
import re
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / 'tests'))

import cuda_on_cpu  # noqa: E402
import ml_dtypes  # noqa: E402

NAME = re.compile(r'extern "C" __global__ void (\w+)\(')


def generated():
    """{source: (name, options)} of the kernels of equations; those of CuPy's own functions are CuPy's business."""
    from cuda_on_cpu import program

    found = {}
    compile_on_cpu = program.Program.compile

    def compile_and_remember(self, options=(), log_stream=None):
        name = NAME.search(self.source)
        if name and not name[1].startswith('cupy_'):
            found[self.source] = name[1], tuple(options)
        return compile_on_cpu(self, options, log_stream)

    program.Program.compile = compile_and_remember
    import samples
    import test_ops as tests

    import chainlite

    device = chainlite.get_device('@cupy:0')
    for _, sample in samples.load(chainlite):
        for dtype in ('e', ml_dtypes.bfloat16, 'f', 'd'):
            tests.compute(sample, sample.arrays(dtype), device, order=2)
    return found


def needs(source, name, options, architecture):
    """(registers, bytes spilled)."""
    from cuda_on_cpu import nvrtc

    options = (*options, '--ptxas-options=-v')
    _, log = nvrtc.compile_or_raise(source, f'{name}.cu', (), options, architecture)
    return int(re.search(r'Used (\d+) registers', log)[1]), sum(map(int, re.findall(r'(\d+) bytes spill', log)))


def main(architectures):
    cuda_on_cpu.install()
    found = generated()
    print(f'{"equations":40} {"kernels":>7} ' + ' '.join(f'{a:>16}' for a in architectures))
    rows = defaultdict(lambda: defaultdict(list))
    jobs = [(source, name, options, a) for source, (name, options) in found.items() for a in architectures]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for (_, name, _, architecture), result in zip(jobs, pool.map(lambda job: needs(*job), jobs)):
            rows[name][architecture].append(result)
    spilled = False
    for name, row in sorted(rows.items()):
        cells = []
        for a in architectures:
            registers, spills = zip(*row[a])
            spilled |= any(spills)
            cells.append(f'{min(registers)}-{max(registers)}, {max(spills)} B')
        print(f'{name:40} {len(row[architectures[0]]):7} ' + ' '.join(f'{c:>16}' for c in cells))
    print(f'{len(found)} kernels')
    if spilled:
        raise SystemExit('registers are spilled')


if __name__ == '__main__':
    main(sys.argv[1:] or ['sm_90'])
