"""Runs code written for Chainer, unchanged, on chainlite.

Three ways, from least to most::

    import chainlite as chainer                     # new code
    import chainlite.compat; chainlite.compat.install()   # before code that imports chainer
    python -m chainlite train.py --gpu -1           # a whole program (also: -m MODULE)

After :func:`install`, ``chainer`` and every ``chainer.x.y`` *are* ``chainlite`` and ``chainlite.x.y``: one module
object under both names, so ``isinstance`` and patched attributes agree. ``import chainerx`` finds a module whose
``is_available()`` is False, as Chainer's own does where ChainerX is not built. Programs started from this one, by
``subprocess`` or by ``multiprocessing``, inherit all of this through a folder on ``PYTHONPATH``.

**Versions.** Code that compares ``chainer.__version__`` must see the version whose behaviour it gets, so ``install``
sets ``__version__`` to ``'7.8.1'``; as the module is one object, ``chainlite.__version__`` reads ``'7.8.1'`` too from
then on. chainlite's own version stays in ``chainlite._version.__version__`` and in its package metadata
(``importlib.metadata.version('chainlite')``). Without ``install`` nothing is changed and ``chainlite.__version__`` is
chainlite's.
"""

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from chainlite._version import chainer_version

# Foreign name -> ours. Only those that chainlite has are taken over.
ALIASES = {
    'chainer': 'chainlite',
    'chainerx': 'chainlite._chainerx',
    'chainermn': 'chainlite.chainermn',
    'onnx_chainer': 'chainlite.onnx_chainer',
}

_SHIM = Path(__file__).parent / 'shim'
_ROOT = Path(__file__).parents[2]


class _AliasFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Answers ``import chainer.x.y`` with the module ``chainlite.x.y`` itself."""

    def __init__(self, aliases: dict[str, str]) -> None:
        self.aliases = aliases

    def own_name(self, fullname: str) -> str | None:
        head, dot, tail = fullname.partition('.')
        return self.aliases[head] + dot + tail if head in self.aliases else None

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        name = self.own_name(fullname)
        if name is None:
            return None
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as e:
            if e.name != name:
                raise  # the module exists; something that it needs does not
            return None
        self.share_loaded(but=fullname)
        return importlib.machinery.ModuleSpec(fullname, self, is_package=hasattr(module, '__path__'))

    def share_loaded(self, but: str | None = None) -> None:
        """Enters every module loaded so far under its other name.

        The import system binds a module that it loads as an attribute of its parent; for one found in ``sys.modules``
        it does not, so a parent that has put a function in the place of a submodule (``utils.experimental``) keeps it.
        """
        for alias, own in self.aliases.items():
            for name, module in list(sys.modules.items()):
                if name == own or name.startswith(own + '.'):
                    foreign = alias + name[len(own) :]
                    if foreign != but:
                        sys.modules[foreign] = module

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        name = self.own_name(spec.name)
        assert name is not None
        module = sys.modules[name]
        spec.loader_state = module.__spec__  # importlib is about to replace it by the alias's
        return module

    def exec_module(self, module: ModuleType) -> None:
        spec = module.__spec__
        assert spec is not None
        module.__spec__ = spec.loader_state

    def get_code(self, fullname: str) -> object:
        """The code of a module, for ``python -m chainlite -m chainer.x``."""
        name = self.own_name(fullname)
        spec = importlib.util.find_spec(name) if name else None
        return spec.loader.get_code(name) if spec and spec.loader else None  # type: ignore[attr-defined]


def install(*, children: bool = True) -> None:
    """Makes ``import chainer`` (and ``chainerx``) mean chainlite in this process, and in those it starts.

    Call it before anything imports Chainer. Calling it again does nothing.

    Args:
        children: Also change ``PYTHONPATH`` and ``sys.path``, so that processes started from this one follow.

    Raises:
        RuntimeError: The real Chainer is already imported.

    """
    if any(isinstance(finder, _AliasFinder) for finder in sys.meta_path):
        return
    aliases = {name: own for name, own in ALIASES.items() if importlib.util.find_spec(own)}
    for name in aliases:
        if name in sys.modules:
            where = getattr(sys.modules[name], '__file__', None) or 'an unknown place'
            raise RuntimeError(
                f'{name} is already imported, from {where}: call chainlite.compat.install() before anything '
                f'imports it, or start the program with `python -m chainlite`.'
            )
    importlib.import_module('chainlite')
    finder = _AliasFinder(aliases)
    sys.meta_path.insert(0, finder)
    finder.share_loaded()
    sys.modules['chainlite'].__version__ = chainer_version  # type: ignore[attr-defined]
    if children:
        _reach_children()


def _reach_children() -> None:
    """Lets new processes find the shim: by PYTHONPATH, or by the sys.path that multiprocessing hands them."""
    shim, root = str(_SHIM), str(_ROOT)
    if shim not in sys.path:
        # Before an installed Chainer, and behind the program's own folder (which Python can be told to leave out).
        sys.path.insert(0 if getattr(sys.flags, 'safe_path', False) else 1, shim)
    if root not in sys.path:
        sys.path.append(root)
    paths = os.environ.get('PYTHONPATH', '').split(os.pathsep)
    os.environ['PYTHONPATH'] = os.pathsep.join([shim, *(p for p in paths if p and p != shim)])
