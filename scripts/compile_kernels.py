"""Compiles every kernel for every type with NVIDIA's compiler, without a GPU, and prints what it needs.

    python scripts/compile_kernels.py [sm_75 sm_80 sm_90 sm_100] [pooling conv ...]

Needs the wheels cupy-cuda13x, nvidia-cuda-nvrtc and nvidia-cuda-runtime. Fails where registers are spilled to memory,
and where a kernel is missing in KERNELS.
"""

import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import product

from chainlite.backends._kernel_files import kernel_folder
from chainlite.backends.gpu._launch import OPTIONS, expression, source

FLOATS = ('__half', '__nv_bfloat16', 'float', 'double')
INTS = ('signed char', 'unsigned char', 'short', 'int', 'long long')
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
    (t, a, i, w, v)
    for (t, a), i in product(FLOAT_PAIRS, INDEX)
    for w, v in ((1, 1), (1, 16 // SIZE[t]), (32, 1), (8, 16 // SIZE[t]))
]
SCALED = [(t, g, a, *rest) for t, a, *rest in CHANNELS for g in sorted({t, a})]
# Rows: T, G, A, V, K.
ROWS = [
    (t, g, a, v, k)
    for t, a in FLOAT_PAIRS
    for g in sorted({t, a} if (t, a) in ACCUMULATED else {a})
    for v, k in product((1, 16 // SIZE[t]), (0, 4))
]
# Packs: T, I, V.
PACKS = [(t, i, v) for t, i in product(FLOATS, INDEX) for v in (1, 16 // SIZE[t])]
DEPTHWISE = [  # T, I, N, V, LAST
    (t, i, n, *v)
    for t, i, n in product(FLOATS, INDEX, DIMS)
    for v in ((1, 'false'), (1, 'true'), (16 // SIZE[t], 'true'))
]
UNITS = [  # T, PIECES, V of tensor cores
    *[(t, 1, v) for t in ('__half', '__nv_bfloat16') for v in (4, 8)],
    *[('float', pieces, 4) for pieces in (1, 2)],
]
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
        'batch_statistics': [(*row[:3], r, *row[3:]) for row in SCALED for r in sorted({*row[:3], 'float'})],
        'fixed_statistics': [(g, a, i) for g, a in {(row[1], row[2]) for row in SCALED} for i in INDEX],
        'normalize_then': CHANNELS,
    },
    'embed_id': {
        'take_rows': [(t, kind, i, v) for (t, i, v), kind in product(PACKS, INTS)],
        'number_keys': [(kind,) for kind in INTS],
        'sum_parts': PACKS,
        'add_rows': PACKS,
    },
    'group_normalization': {
        'group_normalize': ROWS,
        'group_normalize_grad': ROWS,
        'scale_sums': [
            (t, a, i, w, v) for (t, a), i in product(FLOAT_PAIRS, INDEX) for w in (1, 32) for v in (1, 16 // SIZE[t])
        ],
        'merge_scale_sums': [(a, t) for t, a in FLOAT_PAIRS],
    },
    'conv': {
        'im2col': (FLOATS, INDEX, DIMS),
        'col2im': [(c, t, i, n) for (t, c), i, n in product(FLOAT_PAIRS, INDEX, DIMS) if (t, c) in ACCUMULATED],
    },
    'local_response_normalization': {'lrn': PACKS, 'lrn_grad': PACKS},
    'conv_implicit': {
        'implicit_gemm': [
            (t, o, pieces, *tile, v, n)
            for (t, pieces, v), tile, n in product(UNITS, ((128, 128), (128, 64), (64, 64), (128, 32)), (2, 3))
            for o in sorted({t, 'float'})
            if pieces == 1 or tile in ((64, 64), (128, 32))
        ],
        'implicit_filter_grad': [
            (t, pieces, *tile, u, v, n)
            for (t, pieces, u), tile, v, n in product(UNITS, product((128, 64), repeat=2), (4, 8), (2, 3))
            if t != 'float' or v == 4 and tile[1] == 64 and (pieces == 1 or tile[0] == 64)
        ],
        'sum_filter_parts': (('__half', '__nv_bfloat16', 'float'),),
    },
    'conv_depthwise': {
        'depthwise': DEPTHWISE,
        'depthwise_transposed': DEPTHWISE,
        'depthwise_filter_grad': (FLOATS, INDEX, DIMS, ('false', 'true')),
    },
    'transpose': {
        'turn': (('unsigned char', 'unsigned short', 'unsigned', 'unsigned long long'), INDEX),
        'interleave': [
            (t, i, *p)
            for t, *p in (
                ('unsigned char', 4),
                ('unsigned char', 8),
                ('unsigned short', 4),
                ('unsigned short', 8),
                ('unsigned', 4),
            )
            for i in INDEX
        ],
    },
    'noise': {
        'begin_draw': [()],
        'dropout': [(t, v) for t in FLOATS for v in (1, max(4, 16 // SIZE[t]))],
        'random_numbers': (('float', 'double'), (0, 1, 2)),
    },
    'multi_tensor': {'square_sums': (FLOATS,), 'clip_scale': (('double',),), 'find_not_finite': (FLOATS,)},
    'roi': {
        'sample_weights': (('float', 'double'), INDEX),
        'roi_average': [(t, a, i) for (t, a), i in product(ACCUMULATED, INDEX)],
        'roi_average_grad': [(t, a, i) for (t, a), i in product(ACCUMULATED, INDEX)],
        'roi_maxima': (FLOATS, INDEX),
        'roi_align_maxima': [(t, a, i) for (t, a), i in product(ACCUMULATED, INDEX)],
    },
    'sort': {
        'make_pairs': [('int',)],
        'sort_tiles': [()],
        'merge_tiles': [()],
        'merge_far': [()],
        'places': [('long long',)],
    },
    'softmax': {
        'softmax': (FLOATS, INDEX, ('false', 'true')),
        'softmax_grad': (FLOATS, INDEX, ('false', 'true')),
        'cross_entropy': (FLOATS, ('int', 'long long'), INDEX),
        'cross_entropy_grad': (('float', 'double'), ('int', 'long long'), INDEX),
        'mean_loss': (FLOATS, ('int', 'long long')),
    },
}

FROM_SM_80 = {'conv_implicit'}  # files with instructions that sm_75 lacks


def combinations(values):
    return values if isinstance(values, list) else list(product(*values))


def compile_all(file, expressions, architecture):
    """{expression: (registers, bytes of spilled stores and loads)}."""
    from cuda.pathfinder import find_nvidia_header_directory
    from cupy_backends.cuda.libs import nvrtc

    program = nvrtc.createProgram(source(f'{file}.cu'), f'{file}.cu', (), ())
    for e in expressions:
        nvrtc.addNameExpression(program, e)
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
        name = lowered.get(part.split("'")[1])  # None: a function that is no template comes along with others
        needs[name] = int(re.search(r'Used (\d+) registers', part)[1]), spills
    missing = set(expressions) - set(needs)
    assert not missing, f'no word of {missing} in the log of the compiler'
    return needs


def unlisted():
    """The functions of kernels/*.cu that KERNELS does not have."""
    found = []
    for path in sorted(kernel_folder().glob('*.cu')):
        names = re.findall(r'__global__ void(?: __launch_bounds__\(.*\))?\s+(\w+)\(', path.read_text())
        found += [f'{path.stem}.{name}' for name in names if name not in KERNELS.get(path.stem, ())]
    return found


def main(arguments):
    architectures = [a for a in arguments if a.startswith('sm_')] or ['sm_75', 'sm_80', 'sm_90', 'sm_100']
    files = [a for a in arguments if not a.startswith('sm_')] or KERNELS
    wrong = [f'{name} is not in the table of {__file__}' for name in unlisted()]
    jobs = [  # for each function, the long ones first
        (file, name, [expression(name, *types) for types in combinations(KERNELS[file][name])], a)
        for file in files
        for name in KERNELS[file]
        for a in architectures
        if not (file in FROM_SM_80 and a == 'sm_75')
    ]
    jobs.sort(key=lambda job: -len(job[2]))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        needs = {job[:2] + job[3:]: n for job, n in zip(jobs, pool.map(lambda j: compile_all(j[0], *j[2:]), jobs))}
    print(f'{"kernel":42} {"types":>5} ' + ' '.join(f'{a:>16}' for a in architectures))
    for file, name in ((f, n) for f in files for n in KERNELS[f]):
        row = []
        for a in architectures:
            if (file, name, a) not in needs:
                row.append('-')
                continue
            registers, spills = zip(*needs[file, name, a].values())
            wrong += [
                f'{file}.{e} spills {spilled} bytes on {a}'
                for e, (_, spilled) in needs[file, name, a].items()
                if spilled
            ]
            row.append(f'{min(registers)}-{max(registers)}, {max(spills)} B')
        print(f'{file + "." + name:42} {len(combinations(KERNELS[file][name])):5} ' + ' '.join(f'{r:>16}' for r in row))
    if wrong:
        raise SystemExit('\n'.join(wrong))


if __name__ == '__main__':
    main(sys.argv[1:])
