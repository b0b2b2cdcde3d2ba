"""chainlite: a define-by-run deep-learning framework with Chainer's API, on NumPy and CuPy.

    import chainlite as chainer
    import chainlite.functions as F
    import chainlite.links as L

What nearly every program needs is imported here; the other subpackages (`links`, `training`, `datasets`, ...) are imported when they are first used.
"""
import importlib

from chainlite import backend, backends, configuration, function, function_hook, function_node, functions, initializers, utils, variable  # noqa: F401
from chainlite._backprop import backward, grad  # noqa: F401
from chainlite._version import __version__  # noqa: F401
from chainlite.backend import get_device, using_device  # noqa: F401
from chainlite.configuration import config, get_dtype, global_config, mixed16, using_config  # noqa: F401
from chainlite.function import Function, FunctionAdapter, force_backprop_mode, no_backprop_mode  # noqa: F401
from chainlite.function_hook import FunctionHook, get_function_hooks  # noqa: F401
from chainlite.function_node import FunctionNode  # noqa: F401
from chainlite.initializer import Initializer  # noqa: F401
from chainlite.variable import Parameter, Variable, as_array, as_variable  # noqa: F401
from chainlite import computational_graph, link, link_hook, reporter, sequential  # noqa: F401
from chainlite.link import Chain, ChainList, Link, Sequential  # noqa: F401
from chainlite.link_hook import LinkHook, get_link_hooks as _get_link_hooks  # noqa: F401
from chainlite.reporter import DictSummary, Reporter, Summary, get_current_reporter, report, report_scope  # noqa: F401
