"""What is to be watched where a piece of Python is captured as a CUDA graph and then no longer run.

A graph repeats launches: it is right as long as the piece would launch the same again. That depends on the shapes and
dtypes of its arrays (`kind_of`), on settings (`configuration`) and on the links that take part (`Watch`): their
parameters, arrays and attributes must be the same objects, also those in lists, dictionaries and objects of users'
classes. What the piece sets must be results, not a state that the next run starts from: it must not read them.
"""

import contextlib
import copy
import os
import random
import sys
import threading
import traceback
from collections import OrderedDict, defaultdict, deque
from collections.abc import Hashable
from functools import partial
from operator import is_
from typing import Any

import numpy as np

from chainlite.backends._deferred import Deferred
from chainlite.backends.cuda import is_cupy_array
from chainlite.configuration import config, global_config
from chainlite.function_hook import _hooks
from chainlite.variable import Parameter, Variable

NUMBERS = (bool, int, float, complex, str, np.generic)
_CONTAINERS = {list, tuple, dict, set, OrderedDict, defaultdict, deque}
_OF_LINKS = {'_params', '_persistent', '_children'}  # attributes that `all_links` and the list of parameters stand for
_NOT_OF_USERS = {*sys.stdlib_module_names, 'chainlite', 'numpy', 'cupy'}  # modules, whose objects are not watched
_MANY = 1000  # elements: of a container of more, such as a vocabulary, only the number is watched
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
    """The links under these roots, each once. A function has those that it is a method of, or holds in a closure, as
    default values or as global variables."""
    links = [link for root in roots for top in _tops(root) for link in top.links()]
    return list(dict.fromkeys(links))


def _tops(root):
    if _is_link(root):
        return [root]
    cells = getattr(root, '__closure__', None) or ()
    held = [getattr(root, '__self__', None), *[cell.cell_contents for cell in cells if not _is_empty(cell)]]
    held += [*getattr(root, 'args', ()), getattr(root, 'func', None)] if isinstance(root, partial) else []
    if hasattr(root, '__code__'):
        held += [*(root.__defaults__ or ()), *[root.__globals__.get(name) for name in root.__code__.co_names]]
    return [x for x in _within(held) if _is_link(x)]


def _is_link(x):
    return hasattr(type(x), 'namedlinks')


def _within(held):
    """These objects, and what is in the containers among them."""
    for x in held:
        if type(x) in _CONTAINERS:
            yield from _within(_elements(x))
        else:
            yield x


def _elements(container):
    if len(container) > _MANY:
        return [len(container)]
    return [*container, *container.values()] if isinstance(container, dict) else list(container)


def _containers(x, seen):
    """x if it is a container, or its attributes if it is a plain object, and those in it; but for tuples, which cannot
    be changed, and those whose ids have been seen."""
    if _is_plain(x):
        x = vars(x)
    if type(x) in _CONTAINERS and id(x) not in seen:
        seen.add(id(x))
        if type(x) is not tuple:
            yield x
        for element in _elements(x):
            yield from _containers(element, seen)


def _is_plain(x):
    """Whether x is an object of a user's class, or a namespace, whose attributes a link may read in each step."""
    cls = type(x)
    if type(getattr(x, '__dict__', None)) is not dict or isinstance(x, (type, Variable)) or _is_link(x):
        return False
    return cls.__name__.endswith('Namespace') or cls.__module__.partition('.')[0] not in _NOT_OF_USERS


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


def _has_contents(container, contents):
    present, past = _elements(container), _elements(contents)
    return len(present) == len(past) and all(map(_is_unchanged, present, past))


def _has_array(value):
    return isinstance(value, Variable) and value._form is not None or is_cupy_array(value)


def _is_unchanged(value, last):
    return value is last or (isinstance(value, NUMBERS) and type(value) is type(last) and value == last)


def _random_numbers():
    """The states of the generators of Python and NumPy; None where other threads may draw from them."""
    if threading.active_count() > 1:
        return None
    name, keys, *numbers = np.random.get_state()
    return random.getstate(), (name, tuple(keys.tolist()), *numbers)


class _Unreadable(Deferred):
    """What stands in a Variable in the place of an array that must not be read."""

    def __init__(self, like, name):
        super().__init__(like)
        self.name = name

    def _compute(self):
        raise CannotCapture(f'it reads {self.name}, which the step before has left')


class _ArrayOfStepBefore:
    """Stands for an array that must not be read; it can do nothing that arrays do, and errors tell its name."""


def _stand_in(value, name):
    """An object in the place of a Variable or an array: who reads that gets an error."""
    if not isinstance(value, Variable):
        return _ArrayOfStepBefore()
    x = Variable(requires_grad=value.requires_grad)
    x._hidden = _Unreadable(value._form, name)
    return x


class Watch:
    """The links under some roots: what they were before the capture, what it has set, whether they are the same still.

    Args:
        roots: Links, or functions that hold links.
        release (bool): Whether to let go of the graphs behind results of the step before.

    Attributes:
        params (list of Parameter): Each once; also those that links hold without having registered them.
        results (list): (attributes of a link, name, value) that the capture has set.
        replaced (list): (link, name, value before) of those that were arrays before, which it may have read.
    """

    def __init__(self, *roots, release=False):
        self.roots = (*roots, *_held_links(roots))
        self.links = all_links(*self.roots)
        self.check()
        if release:
            self._release_graphs()
        params = [param for link in self.links for param in link.params()]
        params += _held(self.links, lambda x: isinstance(x, Parameter))
        self.params = list({id(param): param for param in params}.values())
        self.arrays = [param.array for param in self.params]
        self._before = [dict(vars(link)) for link in self.links]
        self._gradients = [(param.grad_var, param._loss_scale) for param in self.params]
        self._left_out = {}
        self._contents = self._list_contents()
        self._random_numbers = _random_numbers()

    def _list_contents(self):
        """(name of the attribute, container, copy of it) of all containers that are not results."""
        seen = set()
        return [
            (f'{type(link).__name__}.{name}', container, copy.copy(container))
            for link in self.links
            for name, value in vars(link).items()
            if name not in _OF_LINKS and name not in self._left_out.get(id(link), ())
            for container in _containers(value, seen)
        ]

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
        for _, container, contents in self._contents:
            if not _has_contents(container, contents):
                container.clear()
                (container.extend if isinstance(container, (list, deque)) else container.update)(contents)
        if self._random_numbers not in (None, _random_numbers()):
            random.setstate(self._random_numbers[0])
            np.random.set_state(self._random_numbers[1])

    def hide_replaced(self):
        """After a capture: puts all back, but for the arrays that it has replaced. Whoever reads those in the next
        capture gets an error."""
        self.restore()
        self.results = []  # with the graphs behind them: the next capture takes the same memory
        for link, name, value in self.replaced:
            vars(link)[name] = _stand_in(value, f'{type(link).__name__}.{name}')

    @contextlib.contextmanager
    def hidden_gradients(self):
        """A context in which the gradients that the step before has left cannot be read."""
        hidden = []
        for param in self.params:
            gradient = param.grad_var
            if gradient is not None:
                param.node.grad_var = _stand_in(gradient, f'the gradient of {param.name}')
                hidden.append((param.node, gradient, param.node.grad_var))
        yield
        for node, gradient, stand_in in hidden:
            if node.grad_var is stand_in:
                node.grad_var = gradient

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
        changes = list(self._changes())
        self.results = [(vars(link), name, value) for link, name, value, _ in changes]
        self.replaced = [(link, name, last) for link, name, _, last in changes if _has_array(last)]
        if self.results and not may_set:
            raise CannotCapture(f'it sets the attributes {sorted([name for _, name, _ in self.results])}')
        if self._random_numbers is not None and self._random_numbers != _random_numbers():
            raise CannotCapture('it draws random numbers from Python or NumPy, which would be the same in each step')
        self._left_out = {id(link): {name for other, name, *_ in changes if other is link} for link, *_ in changes}
        self._attributes = self._present()

    def forget(self):
        """To be called when all is captured: lets go of what was before."""
        del self._before, self._gradients, self._random_numbers, self.replaced
        self._contents = self._list_contents()

    def _changes(self):
        for link, old in zip(self.links, self._before):
            attributes = vars(link)
            if old.keys() - attributes:
                raise CannotCapture(f'{type(link).__name__} loses attributes in a step: {old.keys() - attributes}')
            for name, value in attributes.items():
                last = old.get(name, self)
                if _is_unchanged(value, last):
                    continue
                if isinstance(value, (*NUMBERS, np.ndarray)) or name in link._persistent or name in link._params:
                    raise CannotCapture(f'{type(link).__name__}.{name} changes in each step')
                yield link, name, value, last
        for name, container, contents in self._contents:
            if not _has_contents(container, contents):
                raise CannotCapture(f'{name} changes in each step')
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
            and all([_has_contents(container, contents) for _, container, contents in self._contents])
        )

    def set_results(self):
        """Sets the attributes that the capture has set."""
        for attributes, name, value in self.results:
            attributes[name] = value


def _held_links(roots):
    """Links that those under the roots hold as attributes, but not as their children, and so on."""
    found, links = [], all_links(*roots)
    known = set(map(id, links))
    for link in links:  # which grows
        for held in _held([link], _is_link):
            if id(held) not in known:
                found.append(held)
                links += [x for x in held.links() if id(x) not in known]
                known |= set(map(id, links))
    return found


def _held(links, is_wanted):
    """What the links have as attributes, or in containers that are."""
    values = [value for link in links for name, value in vars(link).items() if name not in _OF_LINKS]
    return [x for x in _within(values) if is_wanted(x)]
