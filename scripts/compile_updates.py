"""Compiles the kernels of all optimizers with NVIDIA's compiler, without a GPU, and prints the registers they need.

    python scripts/compile_updates.py [sm_75 sm_80 sm_90 sm_100]

Each with weight decay, a clipped norm and a loss scale, for every dtype and for float32 copies of 16-bit parameters.
Needs the wheels that scripts/compile_kernels.py needs. Fails where registers are spilled to memory, but for the 8 bytes
that the compiler puts aside around the calls which divisions and roots are in rare cases.
"""

import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import ml_dtypes
import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / 'tests')]

from chainlite import Optimizer, optimizer_hooks, optimizers  # noqa: E402
from chainlite._batched_update import Batch  # noqa: E402
from chainlite.backends.gpu import multi_tensor  # noqa: E402
from chainlite.backends.gpu._launch import OPTIONS  # noqa: E402
from chainlite.optimizer_hooks.gradient_clipping import Scaling  # noqa: E402

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
KINDS = {  # dtypes of parameters, or of their copies, and of gradients
    'float16': ('e', 'e'),
    'bfloat16': (BFLOAT16, BFLOAT16),
    'float32': ('f', 'f'),
    'float64': ('d', 'd'),
    'copy of float16': ('f', 'e'),
    'copy of bfloat16': ('f', BFLOAT16),
}


def source(name, kind):
    """(name of the kernel, its text)."""
    rule = getattr(optimizers, name)(**{'eps': 1e-4} if name == 'RMSprop' else {}).create_update_rule()
    rule.t = 2
    whole, grad = map(np.dtype, KINDS[kind])
    batch = Batch(rule, 0, 8.0)
    batch.half = whole != grad
    row = [np.zeros(1, d) for d in [whole, grad, *[whole] * len(rule.state_names), *[grad] * batch.half]]
    batch.rows = [row]
    equations, into, values = batch.program([optimizer_hooks.WeightDecay(0.1), Scaling(np.zeros(1))])
    pointers = tuple([s for s, v in zip(equations.scalars, values) if isinstance(v, np.ndarray)])
    return multi_tensor.kernel_text(equations, tuple([a.dtype for a in row]), into, pointers)


def needs(name, text, architecture):
    """(registers, bytes spilled)."""
    from cuda.pathfinder import find_nvidia_header_directory
    from cuda_on_cpu import nvrtc

    options = (*OPTIONS, f'-I{find_nvidia_header_directory("cudart")}', '--ptxas-options=-v')
    _, log = nvrtc.compile_or_raise(text, f'{name}.cu', (), options, architecture)
    return int(re.search(r'Used (\d+) registers', log)[1]), sum(map(int, re.findall(r'(\d+) bytes spill', log)))


def main(architectures):
    names = [n for n, c in vars(optimizers).items() if isinstance(c, type) and issubclass(c, Optimizer)]
    spilled = False
    print(f'{"optimizer":24}' + ''.join(f'{a:>16}' for a in architectures))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for name in names:
            texts = [source(name, kind) for kind in KINDS]
            cells = list(pool.map(lambda job: needs(*job[1], job[0]), product(architectures, texts)))
            of_each = [cells[i : i + len(KINDS)] for i in range(0, len(cells), len(KINDS))]
            spilled |= any([spills > 8 for _, spills in cells])
            row = [f'{min(c)[0]}-{max(c)[0]}, {max([b for _, b in c])} B' for c in of_each]
            print(f'{name:24}' + ''.join(f'{c:>16}' for c in row))
    if spilled:
        raise SystemExit('registers are spilled')


if __name__ == '__main__':
    main(sys.argv[1:] or ['sm_90'])
