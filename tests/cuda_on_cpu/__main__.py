"""`python tests/cuda_on_cpu`: lets every Python process of this environment use the stand-in GPU.

It writes one line into a .pth file of the environment; the line does nothing without CHAINLITE_CUDA_ON_CPU.  Processes
that tests start are covered that way, too.
"""

import sysconfig
from pathlib import Path

LINE = """\
import os, sys; \
os.environ.get('CHAINLITE_CUDA_ON_CPU', '') not in ('', '0') and \
(sys.path.append({folder!r}), __import__('cuda_on_cpu').install())
"""


def main():
    target = Path(sysconfig.get_paths()['purelib']) / 'chainlite_cuda_on_cpu.pth'
    target.write_text(LINE.format(folder=str(Path(__file__).resolve().parents[1])))
    print(f'{target}: CHAINLITE_CUDA_ON_CPU=1 now puts the stand-in in the place of a GPU in this environment')


if __name__ == '__main__':
    main()
