"""Compiles every kernel for every type with NVIDIA's compiler, without a GPU, and prints what it needs.

    python scripts/compile_kernels.py [sm_75 sm_80 sm_90 sm_100]

Needs the wheels cupy-cuda13x, nvidia-cuda-nvrtc and nvidia-cuda-runtime. Fails where registers are spilled to memory.
"""

import re
import sys
from itertools import product

from chainlite.backends.gpu._launch import OPTIONS, source

FLOATS = ('__half', '__nv_bfloat16', 'float', 'double')
INDEX = ('unsigned', 'unsigned long long')
DIMS = (1, 2, 3)
FLOAT_PAIRS = (  # the dtype of arrays and that of the computation
    ('__half', 'float'),
    ('__half', 'double'),
    ('__nv_bfloat16', 'float'),
    ('__nv_bfloat16', 'double'),
    ('float', 'float'),
    ('float', 'double'),
    ('double', 'double'),
)
ACCUMULATED = [pair for pair in FLOAT_PAIRS if pair[1] == 'float' or pair[0] == 'double']
SIZE = {'__half': 2, '__nv_bfloat16': 2, 'float': 4, 'double': 8}
# Batch normalization: T, A, I, W, V; and T, G, A, I, W, V with G one of T and A.
CHANNELS = [
    (t, a, i, w, v) for (t, a), i in product(FLOAT_PAIRS, INDEX) for w, v in ((1, 1), (1, 16 // SIZE[t]), (32, 1))
]
SCALED = [(t, g, a, *rest) for t, a, *rest in CHANNELS for g in sorted({t, a})]
# The functions of each file, with the values of each of their template arguments, or a list of all combinations.
KERNELS = {
    'pooling': {
        'max_pool': (FLOATS, ('unsigned char', 'int'), INDEX, DIMS),
        'max_pick': (FLOATS, ('unsigned char', 'int', 'long long'), INDEX, DIMS),
        'max_spread': (FLOATS, ('unsigned char', 'int', 'long long'), INDEX, DIMS),
        'average_pool': (FLOATS, INDEX, DIMS),
        'average_spread': (FLOATS, INDEX, DIMS),
    },
    'batch_normalization': {
        'moments': CHANNELS,
        'merge_moments': (('float', 'double'), INDEX),
        'batch_normalize': SCALED,
        'normalize': SCALED,
        'gradient_sums': CHANNELS,
        'normalize_grad': SCALED,
    },
    'conv': {
        'im2col': (FLOATS, INDEX, DIMS),
        'col2im': [(c, t, i, n) for (t, c), i, n in product(FLOAT_PAIRS, INDEX, DIMS) if (t, c) in ACCUMULATED],
    },
    'softmax': {
        'softmax': (FLOATS, INDEX, ('false', 'true')),
        'softmax_grad': (FLOATS, INDEX, ('false', 'true')),
        'cross_entropy': (FLOATS, ('int', 'long long'), INDEX),
        'cross_entropy_grad': (('float', 'double'), ('int', 'long long'), INDEX),
    },
}


def combinations(values):
    return values if isinstance(values, list) else product(*values)


def compile_all(file, expressions, architecture):
    """{expression: (registers, bytes of spilled stores and loads)}."""
    from cuda.pathfinder import find_nvidia_header_directory
    from cupy_backends.cuda.libs import nvrtc

    program = nvrtc.createProgram(source(f'{file}.cu'), f'{file}.cu', (), ())
    for expression in expressions:
        nvrtc.addNameExpression(program, expression)
    include = f'-I{find_nvidia_header_directory("cudart")}'
    try:
        nvrtc.compileProgram(program, (*OPTIONS, include, f'-arch={architecture}', '--ptxas-options=-v'))
        log = nvrtc.getProgramLog(program)
        lowered = {nvrtc.getLoweredName(program, e): e for e in expressions}
    except nvrtc.NVRTCError as error:
        raise SystemExit(f'{file}.cu for {architecture}: {error}\n{nvrtc.getProgramLog(program)}')
    finally:
        nvrtc.destroyProgram(program)
    needs = {}
    for part in log.split('Compiling entry function ')[1:]:
        spills = sum(map(int, re.findall(r'(\d+) bytes spill', part)))
        needs[lowered[part.split("'")[1]]] = int(re.search(r'Used (\d+) registers', part)[1]), spills
    missing = set(expressions) - set(needs)
    assert not missing, f'no word of {missing} in the log of the compiler'
    return needs


def main(architectures):
    spilled = False
    print(f'{"kernel":34} {"types":>5} ' + ' '.join(f'{a:>16}' for a in architectures))
    for file, functions in KERNELS.items():
        table = {f: [f'{f}<{", ".join(map(str, types))}>' for types in combinations(v)] for f, v in functions.items()}
        everything = [e for expressions in table.values() for e in expressions]
        needs = [compile_all(file, everything, a) for a in architectures]
        for name, expressions in table.items():
            row = []
            for of_one in needs:
                registers, spills = zip(*[of_one[e] for e in expressions])
                spilled |= any(spills)
                row.append(f'{min(registers)}-{max(registers)}, {max(spills)} B')
            print(f'{file + "." + name:34} {len(expressions):5} ' + ' '.join(f'{r:>16}' for r in row), flush=True)
    if spilled:
        raise SystemExit('registers are spilled')


if __name__ == '__main__':
    main(sys.argv[1:] or ['sm_75', 'sm_80', 'sm_90', 'sm_100'])
