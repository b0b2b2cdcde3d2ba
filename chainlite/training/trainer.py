import collections
import contextlib
import dataclasses
import os
import random
import sys
import time
import traceback

import numpy

from chainlite.backends._cuda_errors import add_line, context_is_lost, explain
from chainlite.backends.gpu.noise import generators
from chainlite.dataset._random_state import serialize_random_state, set_state
from chainlite.reporter import Reporter
from chainlite.serializer import Serializer
from chainlite.training import extension as extension_module
from chainlite.training import util
from chainlite.utils import argument


@dataclasses.dataclass
class _ExtensionEntry:
    extension: object
    priority: float
    trigger: object
    call_before_training: bool


class Trainer:
    """The training loop: updates until the stop trigger fires, and calls extensions at their triggers.

    A snapshot of a trainer (see :func:`~chainlite.training.extensions.snapshot`) has all that is needed to go on as if
    nothing had happened: the same weights, bit for bit, come out. It has the states of the updater (iterators,
    optimizers, models), of the triggers and extensions, and of the global random generators of NumPy, Python and the
    GPUs (of dropout and the other random functions), which are set again when the training goes on.

    Args:
        updater: Updater: what an iteration does.
        stop_trigger: Trigger that ends the training: a pair such as ``(20, 'epoch')``, or a function of the trainer.
        out: Folder for the results.
        extensions: Extensions to register.
        restore_random_state: Whether loading a snapshot sets the global random generators. If not, resumed training
            draws other numbers than it would have without the interruption.

    Attributes:
        updater, stop_trigger, out: As given.
        observation: Dictionary of the values reported in the current iteration.
        reporter: The Reporter that fills it.
    """

    def __init__(self, updater, stop_trigger=None, out='result', extensions=None, *, restore_random_state=True):
        self.updater = updater
        self.stop_trigger = util.get_trigger(stop_trigger)
        self.out = out
        self.observation = {}
        self.restore_random_state = restore_random_state
        self.reporter = Reporter()
        for name, optimizer in updater.get_all_optimizers().items():
            self.reporter.add_observer(name, optimizer.target)
            self.reporter.add_observers(name, optimizer.target.namedlinks(skipself=True))
        self._done = False
        self._extensions = collections.OrderedDict()
        self._start_at = None
        self._snapshot_elapsed_time = 0.0
        self._final_elapsed_time = None
        self._loaded_random_states = []
        updater.connect_trainer(self)
        for extension in extensions or ():
            self.extend(extension)

    @property
    def elapsed_time(self):
        """Seconds of training, including those before a resumed snapshot.

        Raises:
            RuntimeError: before the training.
        """
        if self._done:
            return self._final_elapsed_time
        if self._start_at is None:
            raise RuntimeError('training has not been started yet')
        return _get_time() - self._start_at + self._snapshot_elapsed_time

    @property
    def is_before_training(self):
        """Whether no iteration has been done."""
        return self.updater.iteration == 0

    def extend(self, extension, name=None, trigger=None, priority=None, *, call_before_training=False, **kwargs):
        """Registers an extension.

        Args:
            extension: Extension, or any function of the trainer.
            name: Name to find it by; None for its own. One that is taken gets a number appended.
            trigger: When it is called; None for its own trigger, or each iteration.
            priority: Those with a higher one are called first; None for its own, or ``PRIORITY_READER``.
            call_before_training: Whether it is also called before the first iteration.

        Raises:
            TypeError, ValueError: if it has no name, or the name ``training``.
        """
        argument.check_unexpected_kwargs(
            kwargs,
            invoke_before_training='invoke_before_training has been removed since Chainer v2.0.0. '
            'Use initializer= instead.',
        )
        argument.assert_kwargs_empty(kwargs)
        for attribute in ('name', 'default_name', '__name__'):
            name = name or getattr(extension, attribute, None)
        if name is None:
            raise TypeError('name is not given for the extension')
        if name == 'training':
            raise ValueError('the name "training" is prohibited as an extension name')
        if trigger is None:
            trigger = getattr(extension, 'trigger', extension_module.Extension.trigger)
        if priority is None:
            priority = getattr(extension, 'priority', extension_module.PRIORITY_READER)
        base, number = name, 0
        while name in self._extensions:
            number += 1
            name = f'{base}_{number}'
        with contextlib.suppress(AttributeError):  # a bound method takes no attributes
            extension.name = name
        self._extensions[name] = _ExtensionEntry(extension, priority, util.get_trigger(trigger), call_before_training)

    def get_extension(self, name):
        """Returns the extension of a name; a ValueError if there is none."""
        if name not in self._extensions:
            raise ValueError(f'extension {name} not found')
        return self._extensions[name].extension

    def run(self, show_loop_exception_msg=True):
        """Trains until the stop trigger fires. A trainer can do this once.

        Args:
            show_loop_exception_msg: Whether to print an exception of the loop at once, before extensions and updater
                are finalized.
        """
        if self._done:
            raise RuntimeError('cannot run training loop multiple times')
        os.makedirs(self.out, exist_ok=True)
        entries = sorted(self._extensions.values(), key=lambda entry: -entry.priority)
        self._start_at = _get_time()
        self._initialize(entries)
        try:
            while not self.stop_trigger(self):
                self.observation = {}
                with self.reporter.scope(self.observation):
                    self.updater.update()
                    for entry in entries:
                        if entry.trigger(self):
                            entry.extension(self)
        except Exception as e:
            if context_is_lost(e):
                explain(e, f'iteration {self.updater.iteration + 1} of the training')
                add_line(e, self._where_to_resume(entries))
            self._handle_error(entries, e, show_loop_exception_msg)
            raise
        finally:
            for entry in entries:
                _call(entry, 'finalize')
            self.updater.finalize()
        self._final_elapsed_time = self.elapsed_time
        self._done = True

    def _initialize(self, entries):
        # What loads a snapshot comes first: the others start from what it has loaded.
        for entry in sorted(entries, key=lambda entry: getattr(entry.extension, 'autoload', False) is not True):
            if not getattr(entry.trigger, 'finished', False):
                _call(entry, 'initialize', self)
        for entry in entries:
            if entry.call_before_training:
                entry.extension(self)
        # Last, as what was called until here may have drawn numbers.
        for generator, state in self._loaded_random_states:
            set_state(generator, state)

    def _where_to_resume(self, entries):
        paths = [path for e in entries if hasattr(e.extension, 'latest') and (path := e.extension.latest(self))]
        return f'The last snapshot is {paths[-1]}.' if paths else f'There is no snapshot in {self.out}.'

    def _handle_error(self, entries, error, show):
        if show:
            print(f'Exception in main training loop: {error}\nTraceback (most recent call last):', file=sys.stderr)
            traceback.print_tb(error.__traceback__)
            print('Will finalize trainer extensions and updater before reraising the exception.', file=sys.stderr)
        for entry in entries:
            try:
                _call(entry, 'on_error', self, error, error.__traceback__)
            except Exception as e:
                print(f'Exception in error handler: {e}\nTraceback (most recent call last):', file=sys.stderr)
                traceback.print_tb(e.__traceback__)

    def serialize(self, serializer):
        """Saves or loads the training; loading needs the same extensions under the same names."""
        self.updater.serialize(serializer['updater'])
        if hasattr(self.stop_trigger, 'serialize'):
            self.stop_trigger.serialize(serializer['stop_trigger'])
        for name, entry in self._extensions.items():
            if hasattr(entry.extension, 'serialize'):
                entry.extension.serialize(serializer['extensions'][name])
            if hasattr(entry.trigger, 'serialize'):
                entry.trigger.serialize(serializer['extension_triggers'][name])
        if isinstance(serializer, Serializer):
            started = self._done or self._start_at is not None
            serializer('_snapshot_elapsed_time', self.elapsed_time if started else self._snapshot_elapsed_time)
        else:
            self._snapshot_elapsed_time = serializer('_snapshot_elapsed_time', self._snapshot_elapsed_time)
        self._serialize_random_states(serializer)

    def _serialize_random_states(self, serializer):
        saving = isinstance(serializer, Serializer)
        if not saving:
            self._loaded_random_states = []
            if not self.restore_random_state:
                return
        for name, generator in (('numpy', numpy.random), ('python', random), ('gpu', generators)):
            if generator is generators and saving and not generators.devices:
                continue  # no GPU has drawn numbers
            state = serialize_random_state(serializer['random_state'], name, generator)
            if not saving and state is not None:
                self._loaded_random_states.append((generator, state))


def _call(entry, name, *args):
    """Calls a method of an extension if it has one."""
    method = getattr(entry.extension, name, None)
    if method is not None:
        method(*args)


_get_time = time.perf_counter
