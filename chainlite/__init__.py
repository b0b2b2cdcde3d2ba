"""chainlite: a define-by-run deep-learning framework with Chainer's API, on NumPy and CuPy.

    import chainlite as chainer
    import chainlite.functions as F
    import chainlite.links as L

What nearly every program needs is imported here. The other subpackages (`links`, `training`, `datasets`, ...) and what
comes from them are imported when they are first used.
"""

import importlib

from chainlite import backend, backends, configuration, function, function_hook, function_node, functions, initializers
from chainlite import link, link_hook, reporter, sequential, utils, variable
from chainlite._backprop import backward, grad
from chainlite._version import __version__
from chainlite.backend import get_array_types, get_cpu_array_types, get_device, is_arrays_compatible, using_device
from chainlite.backends import cuda
from chainlite.backends.cuda import should_use_cudnn, should_use_cudnn_tensor_core
from chainlite.backends.cudnn import implementations as _cudnn
from chainlite.backends.gpu import implementations as _gpu
from chainlite.backends.onednn import implementations as _onednn
from chainlite.configuration import DebugMode, config, get_compute_mode, get_dtype, global_config, is_debug, mixed16
from chainlite.configuration import set_debug, using_config
from chainlite.device_resident import DeviceResident
from chainlite.function import Function, FunctionAdapter, force_backprop_mode, no_backprop_mode
from chainlite.function_hook import FunctionHook, get_function_hooks
from chainlite.function_node import FunctionNode
from chainlite.functions.math import basic_math
from chainlite.initializer import Initializer
from chainlite.link import Chain, ChainList, Link, Sequential
from chainlite.link_hook import LinkHook
from chainlite.link_hook import get_link_hooks as _get_link_hooks
from chainlite.reporter import DictSummary, Reporter, Summary, get_current_reporter, report, report_scope
from chainlite.variable import Parameter, Variable, as_array, as_variable

disable_experimental_feature_warning = False

_SUBMODULES = {
    *('compat', 'computational_graph', 'dataset', 'datasets', 'device_resident', 'function_hooks', 'gradient_check'),
    'graph_optimizations',
    *('initializer', 'iterators', 'link_hooks', 'links', 'memory_layouts', 'optimizer', 'optimizer_hooks'),
    *('onnx_chainer', 'optimizers', 'serializer', 'serializers', 'testing', 'training', 'types', 'warnings'),
}
_LAZY = {
    'AbstractSerializer': 'serializer',
    'Deserializer': 'serializer',
    'Serializer': 'serializer',
    'GradientMethod': 'optimizer',
    'Optimizer': 'optimizer',
    'UpdateRule': 'optimizer',
    'from_dlpack': '_dlpack',
    'print_runtime_info': '_runtime_info',
    'get_num_threads': 'backends.onednn._threads',
    'seed': '_random',
    'set_num_threads': 'backends.onednn._threads',
    'static_code': 'graph_optimizations.static_graph_utilities',
    'static_graph': 'graph_optimizations.static_graph',
}


def __getattr__(name):
    if name in _SUBMODULES:
        return importlib.import_module('chainlite.' + name)
    if name in _LAZY:
        value = globals()[name] = getattr(importlib.import_module('chainlite.' + _LAZY[name]), name)
        return value
    if name in _REMOVED:
        raise AttributeError(f'{name} was removed in Chainer v2: {_REMOVED[name]}')
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__():
    return sorted({*globals(), *_SUBMODULES, *_LAZY})


_REMOVED = {'FunctionSet': 'make a subclass of chainlite.Chain and assign its links inside `with self.init_scope():`'}
