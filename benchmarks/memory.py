"""Peak memory of training steps in chainlite, Chainer and PyTorch, in MiB: ``python benchmarks/memory.py [--help]``.

Each case runs three steps in a process of its own. The first number is the peak of the process, the second what is
above its size after the import of the framework: parameters, states, batches and what a step needs.
"""

import argparse
import os
import resource
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
CASES = [
    f'net_{name}'
    for name in ('resnet50_16', 'vgg16_8', 'googlenet_16', 'resnet20_128', 'dcgan_64', 'lenet_64', 'mlp_100')
]


def measure(name, case, threads):
    """In a process of its own: peak and size after the import, in KiB."""
    sys.path += [str(HERE)] if name == 'chainer' else [str(HERE), str(HERE.parent)]
    import frameworks

    framework = frameworks.in_process('torch channels_last' if name == 'channels_last' else name)
    if framework.name.startswith('torch'):
        framework.module.set_num_threads(threads)
    imported = int(Path('/proc/self/statm').read_text().split()[1]) * resource.getpagesize() // 1024
    framework.build(case)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, imported)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('cases', nargs='*', default=CASES, help=f'default: {" ".join(CASES)}')
    parser.add_argument('--threads', type=int, default=1, help='number of threads (default: 1)')
    parser.add_argument('--measure', metavar='FRAMEWORK', help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments.measure, arguments.cases[0], arguments.threads)
        return
    pythons = {'chainlite': sys.executable, 'torch': sys.executable, 'channels_last': sys.executable}
    if 'CHAINER_ORACLE' in os.environ:
        pythons['chainer'] = os.environ['CHAINER_ORACLE']
    environment = {**os.environ, 'CHAINER_WARN_VERSION_MISMATCH': '0'}
    environment.pop('PYTHONPATH', None)  # what is on it may not suit Chainer's Python
    for variable in ['OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS']:
        environment[variable] = str(arguments.threads)
    print(f'{"case":20}' + ''.join(f'{name:>20}' for name in pythons))
    for case in arguments.cases:
        cells = []
        for name, python in pythons.items():
            command = [python, '-W', 'ignore', __file__, case, '--threads', str(arguments.threads), '--measure', name]
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
            if done.returncode:
                cells.append((done.stderr.splitlines() or ['failed'])[-1][:18])
                continue
            peak, imported = map(int, done.stdout.split())
            cells.append(f'{peak / 1024:.0f} / {(peak - imported) / 1024:.0f}')
        print(f'{case:20}' + ''.join(f'{cell:>20}' for cell in cells), flush=True)


if __name__ == '__main__':
    main()
