"""Found under Chainer's names by processes started from one where ``chainlite.compat`` is installed."""

import importlib.util
import sys
from pathlib import Path

if importlib.util.find_spec('chainlite') is None:
    sys.path.append(str(Path(__file__).parents[3]))

from chainlite.compat import install

del sys.modules[__name__]  # makes room for the module that install() enters under this name
install()
