"""Collecting values while a program runs, and averaging them.

A link or an extension says :func:`report`; whoever runs it decides where the values go, by making a
:class:`Reporter` current and by opening a scope on a dictionary of its own.
"""

import contextlib
import copy
import json
import threading
import warnings

import numpy

from chainlite import backend
from chainlite.configuration import config
from chainlite.serializer import Serializer
from chainlite.variable import Variable


class _ReporterStack(threading.local):
    """The reporters entered by each thread, innermost last."""

    def __init__(self):
        self.reporters = []


_stack = _ReporterStack()


class Reporter:
    """Receives reported values into :attr:`observation`.

    Observers are objects registered under a name; what one of them reports is stored as ``name/key``. Used in a
    ``with`` statement, the reporter becomes the current one of this thread.

    Attributes:
        observation: Dictionary of the values reported so far.
    """

    def __init__(self):
        self._observer_names = {}
        self.observation = {}

    def __enter__(self):
        """Makes this reporter the current one."""
        _stack.reporters.append(self)
        return self

    def __exit__(self, exc_type, exc_value, traceback):
        """Brings back the reporter that was current before."""
        _stack.reporters.pop()

    @contextlib.contextmanager
    def scope(self, observation):
        """Context in which this reporter is current and reports into ``observation``, a dictionary."""
        outer = self.observation
        self.observation = observation
        try:
            with self:
                yield
        finally:
            self.observation = outer

    def add_observer(self, name, observer):
        """Registers an object whose values get the prefix ``name/``."""
        self._observer_names[id(observer)] = name

    def add_observers(self, prefix, observers):
        """Registers each of ``observers``, pairs of a name and an object, under ``prefix`` + name."""
        for name, observer in observers:
            self.add_observer(prefix + name, observer)

    def report(self, values, observer=None):
        """Stores ``values``, a dictionary, into the current observation.

        A Variable is stored without the graph behind it, unless ``config.keep_graph_on_report`` is set.

        Raises:
            KeyError: if ``observer`` is given but was not registered.
        """
        prefix = ''
        if observer is not None:
            if id(observer) not in self._observer_names:
                raise KeyError('Given observer is not registered to the reporter.')
            prefix = self._observer_names[id(observer)] + '/'
        keep_graph = config.keep_graph_on_report
        for key, value in values.items():
            if not keep_graph and isinstance(value, Variable):
                value = copy.copy(value)
                value.unchain()
            self.observation[prefix + key] = value


def get_current_reporter():
    """Returns the reporter of the innermost ``with reporter:`` of this thread."""
    if not _stack.reporters:
        raise IndexError('no reporter is current: enter one by "with reporter:" or "with reporter.scope(...):"')
    return _stack.reporters[-1]


def report(values, observer=None):
    """Reports ``values``, a dictionary, to the current reporter; does nothing where there is none.

    Args:
        values: Dictionary from names to scalars (numbers, 0-dimensional arrays, Variables) or other values.
        observer: Object whose registered name prefixes the keys, usually the link that reports.
    """
    if _stack.reporters:
        _stack.reporters[-1].report(values, observer)


@contextlib.contextmanager
def report_scope(observation):
    """Context in which the current reporter reports into ``observation``, a dictionary."""
    current = get_current_reporter()
    outer = current.observation
    current.observation = observation
    try:
        yield
    finally:
        current.observation = outer


class Summary:
    """Running mean and standard deviation of values, each optionally weighted."""

    def __init__(self):
        self._clear()

    def _clear(self):
        self._x = 0.0
        self._x2 = 0.0
        self._n = 0

    def add(self, value, weight=1):
        """Adds a scalar or an array, which counts ``weight`` times."""
        if getattr(value, 'ndim', None) == 0 and isinstance(value, backend.get_array_types() + (numpy.generic,)):
            value = value.astype(numpy.float64)  # a long run of float16 losses must not stop counting
        weighted = weight * value
        self._x = self._x + weighted
        self._x2 = self._x2 + weighted * value
        self._n = self._n + weight

    def compute_mean(self):
        """Returns the mean of what was added; a ZeroDivisionError if that is nothing."""
        return self._x / self._n

    def make_statistics(self):
        """Returns the mean and the (population) standard deviation of what was added."""
        xp = backend.get_array_module(self._x)
        mean = self.compute_mean()
        variance = self._x2 / self._n - mean * mean
        return mean, xp.sqrt(xp.maximum(variance, 0))  # rounding can take it below zero

    def serialize(self, serializer):
        """Saves or loads the sums; a file that has none leaves an empty summary and a warning."""
        saving = isinstance(serializer, Serializer)
        try:
            x = serializer('_x', self._x)
            x2 = serializer('_x2', self._x2)
            # Weighted sums have a fractional count: ask for a float, or a strict reader would refuse the file.
            n = serializer('_n', self._n if saving else float(backend.CpuDevice().send(self._n)))
        except KeyError:
            warnings.warn('The previous statistics are not saved.')
            self._clear()
            return
        if not saving:
            self._x, self._x2 = x, x2
            self._n = int(n) if float(n).is_integer() else n


class DictSummary:
    """Running statistics of dictionaries, key by key; values that are not scalars are left out."""

    def __init__(self):
        self._summaries = {}

    def add(self, d):
        """Adds a dictionary of scalars, or of pairs of a scalar and its weight.

        Raises:
            ValueError: if a weight is not a scalar.
        """
        added = []
        for key, value in d.items():
            weight = 1
            if isinstance(value, tuple):
                value, weight = value[0], _unwrap(value[1])
                if not _is_scalar(weight):
                    raise ValueError(f'Given weight to {key} was not scalar.')
            value = _unwrap(value)
            if _is_scalar(value):
                added.append((key, value, weight))
        for key, value, weight in added:
            self._summaries.setdefault(key, Summary()).add(value, weight)

    def compute_mean(self):
        """Returns the dictionary of means."""
        return {key: summary.compute_mean() for key, summary in self._summaries.items()}

    def make_statistics(self):
        """Returns a dictionary with the mean of each key and its standard deviation under ``key.std``."""
        stats = {}
        for key, summary in self._summaries.items():
            stats[key], stats[key + '.std'] = summary.make_statistics()
        return stats

    def serialize(self, serializer):
        """Saves or loads the statistics; a file that has none leaves an empty summary and a warning."""
        # Keys may contain slashes, which separate paths in a file: they are kept in a list, and numbers in the paths.
        try:
            names = serializer('_names', json.dumps(list(self._summaries)))
        except KeyError:
            warnings.warn('The names of statistics are not saved.')
            self._summaries = {}
            return
        self._summaries = {name: self._summaries.get(name) or Summary() for name in json.loads(names)}
        for i, summary in enumerate(self._summaries.values()):
            summary.serialize(serializer['_summaries'][str(i)])


def _unwrap(value):
    return value.array if isinstance(value, Variable) else value


def _is_scalar(value):
    return numpy.isscalar(value) or getattr(value, 'ndim', -1) == 0
