"""Test classes multiplied over devices and their settings."""

import contextlib
import functools

from chainlite.backend import get_device
from chainlite.backends import cuda
from chainlite.configuration import using_config
from chainlite.testing import _bundle, attr

_defaults = {
    'use_chainerx': False,
    'chainerx_device': None,
    'use_cuda': False,
    'cuda_device': None,
    'use_cudnn': 'never',
    'cudnn_deterministic': False,
    'autotune': False,
    'cudnn_fast_batch_normalization': False,
    'use_ideep': 'never',
}


class BackendConfig:
    """A device, and the settings to use on it; a context manager in which they are in force.

    Args:
        params (dict): Any of ``use_chainerx, chainerx_device, use_cuda, cuda_device, use_cudnn, cudnn_deterministic,
            autotune, cudnn_fast_batch_normalization, use_ideep``. Each becomes an attribute.
    """

    def __init__(self, params):
        for key in params:
            if key not in _defaults:
                raise ValueError(f'Parameter {key} is not defined')
        self._contexts = []
        self.__dict__.update(_defaults, **params)
        if self.use_cuda and self.cuda_device is None:
            self.cuda_device = 0
        self._device = None

    @property
    def xp(self):
        """The module of the device's arrays: ``numpy`` or ``cupy``."""
        return self.device.xp

    @property
    def device(self):
        """The device."""
        if self._device is None:
            self._device = get_device(self._specifier())
        return self._device

    def _specifier(self):
        if self.use_cuda:
            return f'@cupy:{self.cuda_device}'
        if self.use_chainerx:
            return self.chainerx_device
        return '@intel64' if self.use_ideep != 'never' else '@numpy'

    def __enter__(self):
        names = ('use_cudnn', 'cudnn_deterministic', 'autotune', 'cudnn_fast_batch_normalization', 'use_ideep')
        context = contextlib.ExitStack()
        for name in names:
            context.enter_context(using_config(name, getattr(self, name)))
        if self.use_cuda:
            context.enter_context(cuda.Device(self.cuda_device))
        self._contexts.append(context)
        return self

    def __exit__(self, typ, value, traceback):
        self._contexts.pop().close()

    def __repr__(self):
        values = ' '.join(f'{name}={getattr(self, name)!r}' for name in _defaults)
        return f'<BackendConfig {values}>'

    def get_func_str(self):
        """The settings as a part of a class name."""
        values = ((name, getattr(self, name)) for name in _defaults)
        return '__'.join(f'{name}_{str(v).lower() if isinstance(v, bool) else v}' for name, v in values)

    def get_pytest_marks(self):
        """The decorators that mark what the device needs."""
        marks = []
        if self.use_chainerx:
            marks.append(attr.chainerx)
            if self.chainerx_device.startswith('cuda:'):
                marks += [attr.gpu] + _several(int(self.chainerx_device.partition(':')[2]))
        elif self.use_cuda:
            marks += [attr.gpu] + _several(self.cuda_device) + [attr.cudnn] * (self.use_cudnn != 'never')
        elif self.use_ideep != 'never':
            marks.append(attr.ideep)
        return marks

    def get_array(self, np_array):
        """Sends a NumPy array to the device; None stays None."""
        return None if np_array is None else self.device.send(np_array)


def _several(device):
    return [attr.multi_gpu(device + 1)] if device >= 1 else []


def inject_backend_tests(method_names, params):
    """Decorator that makes one test class of a class per device configuration.

    The tests get the configuration, a :class:`BackendConfig`, as their argument ``backend_config``; stacked decorators
    give one argument each, the innermost first.

    Args:
        method_names (list of str): The tests to multiply; None stands for all.
        params (list of dict): The configurations, as :class:`BackendConfig` takes them.
    """
    if not (method_names is None or isinstance(method_names, list)):
        raise TypeError('method_names must be either None or a list.')
    configs = [BackendConfig(param) for param in params]

    def generate(base):
        tests = [name for name in dir(base) if name.startswith('test_') and callable(getattr(base, name))]
        chosen = tests if method_names is None else method_names
        others = [name for name in tests if name not in chosen]
        if others:
            yield base.__name__, dict.fromkeys(chosen), lambda method: method
        for config in configs:
            yield f'{base.__name__}_{config.get_func_str()}', dict.fromkeys(others), _injected(config)

    return _bundle.make_decorator(generate)


def _injected(config):
    def wrap(method):
        @functools.wraps(method)
        def test(self, *args, **kwargs):
            return method(self, config, *args, **kwargs)

        # pytest would take the parameter that is filled in here for a fixture.
        del test.__wrapped__
        for mark in config.get_pytest_marks() if attr.is_available() else ():
            test = mark(test)
        return test

    return wrap
