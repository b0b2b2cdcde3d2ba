"""``python -m chainlite SCRIPT ARGS...``: runs a program written for Chainer."""

import os
import runpy
import sys

from chainlite.compat import install

USAGE = """\
usage: python -m chainlite SCRIPT [ARGS...]       run a program, with chainer meaning chainlite
       python -m chainlite -m MODULE [ARGS...]    the same for a module
       python -m chainlite --info                 print versions of chainlite and of what it uses"""


def main(args: list[str]) -> int:
    match args:
        case ['--info']:
            from chainlite._runtime_info import print_runtime_info

            print_runtime_info()
        case ['-m', module, *rest]:
            install()
            sys.argv = [module, *rest]
            runpy.run_module(module, run_name='__main__', alter_sys=True)
        case [script, *rest] if not script.startswith('-'):
            if not os.path.exists(script):
                print(f"python -m chainlite: can't open file {script!r}: no such file", file=sys.stderr)
                return 2
            if not getattr(sys.flags, 'safe_path', False):
                sys.path[0] = os.path.dirname(os.path.abspath(script))  # as `python SCRIPT` does
            install()
            sys.argv = [script, *rest]
            runpy.run_path(script, run_name='__main__')
        case _:
            asked = args in (['-h'], ['--help'])
            print(USAGE, file=sys.stdout if asked else sys.stderr)
            return 0 if asked else 2
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
