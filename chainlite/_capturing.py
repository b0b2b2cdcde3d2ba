"""What is to be watched where a piece of Python is captured as a CUDA graph and then no longer run.

A graph repeats launches: it is right as long as the piece would launch the same again. That depends on the shapes and
dtypes of its arrays (`kind_of`), on settings (`configuration`) and on the links that take part (`Watch`): their
parameters, arrays and attributes must be the same objects. What the piece sets must be results, not a state that the
next run starts from.
"""

import copy
import os
import traceback
from collections.abc import Hashable
from functools import partial
from operator import is_
from typing import Any

import numpy as np

from chainlite.backends.cuda import is_cupy_array
from chainlite.configuration import config, global_config
from chainlite.function_hook import _hooks
from chainlite.variable import Variable

NUMBERS = (bool, int, float, complex, str, np.generic)
tables_of_hooks: list[Any] = [_hooks]  # with the hooks of a thread in `table`: of functions, and of links


class CannotCapture(RuntimeError):
    """Says why."""

    @classmethod
    def because_of(cls, error):
        """The same error, or one that names another error and the line of the user's code that led to it."""
        if isinstance(error, cls):
            return error
        frames = [f for f in traceback.extract_tb(error.__traceback__) if os.path.isfile(f.filename)]
        users = [f for f in frames if not f.filename.startswith(os.path.dirname(__file__))]
        place = ''.join([f', in {f.name} ({f.filename}:{f.lineno})' for f in (users or frames)[-1:]])
        return cls(f'{type(error).__name__}: {error}{place}')


def all_links(*roots):
    """The links under these roots, each once. A function has those that it is a method of, or holds as a closure."""
    links = [link for root in roots for top in _tops(root) for link in top.links()]
    return list(dict.fromkeys(links))


def _tops(root):
    if hasattr(root, 'namedlinks'):
        return [root]
    cells = getattr(root, '__closure__', None) or ()
    held = [getattr(root, '__self__', None), *[cell.cell_contents for cell in cells if not _is_empty(cell)]]
    held += [*getattr(root, 'args', ()), getattr(root, 'func', None)] if isinstance(root, partial) else []
    return [x for x in held if hasattr(x, 'namedlinks')]


def _is_empty(cell):
    try:
        return cell.cell_contents is cell
    except ValueError:
        return True


def configuration():
    """All settings of this thread."""
    names = dict.fromkeys([*vars(global_config), *vars(config)])
    settings = [(name, getattr(config, name)) for name in names]
    return tuple([(name, value if isinstance(value, Hashable) else id(value)) for name, value in settings])


def kind_of(x):
    """What launches depend on: shapes and dtypes of arrays, the values of everything else."""
    if is_cupy_array(x):
        return 'array', x.shape, x.dtype.char, x.device.id
    if isinstance(x, (tuple, list)):
        return type(x).__name__, *[kind_of(element) for element in x]
    if isinstance(x, dict):
        return 'dict', *[(name, kind_of(element)) for name, element in x.items()]
    if x is None or isinstance(x, NUMBERS):
        return type(x), x
    raise CannotCapture(f'the batch holds a {type(x).__name__}, which is no array on the GPU')


def map_arrays(f, x):
    """The same structure with f(array) in the place of each array."""
    if is_cupy_array(x):
        return f(x)
    if isinstance(x, (tuple, list)):
        return type(x)([map_arrays(f, element) for element in x])
    if isinstance(x, dict):
        return {name: map_arrays(f, element) for name, element in x.items()}
    return x


def copy_arrays(source, target):
    """Copies the arrays of a structure into those of another one of its kind."""
    if is_cupy_array(source):
        target[...] = source
    elif isinstance(source, (tuple, list)):
        for a, b in zip(source, target):
            copy_arrays(a, b)
    elif isinstance(source, dict):
        for name, a in source.items():
            copy_arrays(a, target[name])


def settle(x):
    """Has the arrays of Variables in a structure computed, C-contiguous, where they are not yet."""
    if isinstance(x, Variable):
        x.array  # noqa: B018
    elif isinstance(x, (tuple, list, dict)):
        for element in x.values() if isinstance(x, dict) else x:
            settle(element)


class Watch:
    """The links under some roots: what they were before the capture, what it has set, whether they are the same still.

    Args:
        roots: Links, or functions that hold links.
        release (bool): Whether to let go of the graphs behind results of the step before.

    Attributes:
        params (list of Parameter): Each once.
        results (list): (attributes of a link, name, value) that the capture has set.
    """

    def __init__(self, *roots, release=False):
        self.roots = roots
        self.links = all_links(*roots)
        self.check()
        if release:
            self._release_graphs()
        self.params = list(dict.fromkeys([param for link in self.links for param in link.params()]))
        self.arrays = [param.array for param in self.params]
        self._before = [dict(vars(link)) for link in self.links]
        self._gradients = [(param.grad_var, param._loss_scale) for param in self.params]

    def check(self):
        """Raises CannotCapture if Python has more to do than to launch."""
        if config.debug or config.keep_graph_on_report:
            raise CannotCapture('config.debug or config.keep_graph_on_report is set')
        if any([hooks.table for hooks in tables_of_hooks]):
            raise CannotCapture('there are function hooks or link hooks, which are called in each step')
        for link in self.links:
            if link._local_link_hooks:
                raise CannotCapture(f'{type(link).__name__} has link hooks, which are called in each step')
            if hasattr(link, 'reset_state'):
                raise CannotCapture(f'{type(link).__name__} keeps a state from one step to the next')

    def _release_graphs(self):
        """Lets go of the graphs behind Variables that are attributes of links: what the step before has left there."""
        for link in self.links:
            for name, value in vars(link).items():
                if isinstance(value, Variable) and value.creator_node is not None:
                    vars(link)[name] = value = copy.copy(value)
                    value.unchain()

    def restore(self):
        """Puts back all attributes and gradients, after a capture that failed."""
        for link, attributes in zip(self.links, self._before):
            vars(link).clear()
            vars(link).update(attributes)
        for param, (gradient, loss_scale) in zip(self.params, self._gradients):
            param.grad_var, param._loss_scale = gradient, loss_scale

    def settle(self):
        """To be called at the end of what is captured: computes arrays that wait for somebody to look at them."""
        for link, old in zip(self.links, self._before):
            for name, value in vars(link).items():
                if value is not old.get(name, self):
                    settle(value)
        for param in self.params:
            settle(param.grad_var)

    def finish(self, may_set=True):
        """To be called after the capture. Raises CannotCapture if it has changed more than results, or may not even."""
        self.results = list(self._changes())
        if self.results and not may_set:
            raise CannotCapture(f'it sets the attributes {sorted([name for _, name, _ in self.results])}')
        changed = {(id(attributes), name) for attributes, name, _ in self.results}
        self._left_out = {id(link): {n for n in vars(link) if (id(vars(link)), n) in changed} for link in self.links}
        del self._before, self._gradients
        self._attributes = self._present()

    def _changes(self):
        for link, old in zip(self.links, self._before):
            attributes = vars(link)
            if old.keys() - attributes:
                raise CannotCapture(f'{type(link).__name__} loses attributes in a step: {old.keys() - attributes}')
            for name, value in attributes.items():
                last = old.get(name, self)
                if value is last or (isinstance(value, NUMBERS) and type(value) is type(last) and value == last):
                    continue
                if isinstance(value, (*NUMBERS, np.ndarray)) or name in link._persistent or name in link._params:
                    raise CannotCapture(f'{type(link).__name__}.{name} changes in each step')
                yield attributes, name, value
        if not self._has_same_arrays():
            raise CannotCapture('a parameter gets another array in each step')

    def _has_same_arrays(self):
        return all([param.array is array for param, array in zip(self.params, self.arrays)])

    def _present(self):
        """All attributes of the links but the results."""
        links = all_links(*self.roots)
        values = list(links)
        for link in links:
            left_out = self._left_out.get(id(link))
            if left_out:
                values += [value for name, value in vars(link).items() if name not in left_out]
            else:
                values += vars(link).values()
        return values

    def is_same(self):
        """Whether links, parameters, arrays and attributes still are what was captured."""
        present = self._present()
        return (
            len(present) == len(self._attributes)
            and all(map(is_, present, self._attributes))
            and self._has_same_arrays()
        )

    def set_results(self):
        """Sets the attributes that the capture has set."""
        for attributes, name, value in self.results:
            attributes[name] = value
