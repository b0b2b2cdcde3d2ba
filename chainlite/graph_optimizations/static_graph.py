"""Chains whose forward pass is always the same graph: `@static_graph`.

On a GPU the forward pass is captured as a CUDA graph, and so is its backward pass: two launches instead of hundreds.
To the graph around it the chain is one function, of its inputs and its parameters. On the CPU it runs as usual.

    x ---copied---> fixed arrays -> [ forward graph ] -> y     arrays of the schedule: they are given out as they are,
    gx, gW <- [ backward graph ] <- fixed arrays <---copied--- gy     and the schedule waits until nobody holds them

A schedule keeps what its backward pass needs. If the chain is called again before that, or while outputs are still in
use, it takes another schedule. Gradients that somebody still holds (when they are summed over several passes) are not
overwritten either: that backward pass is computed anew.
"""

import functools
import sys
import warnings
import weakref

from chainlite import backend
from chainlite._backprop import grad
from chainlite._capturing import CannotCapture, Watch, configuration, kind_of, settle
from chainlite.backends.cuda import is_cupy_array
from chainlite.backends.gpu import _graph
from chainlite.configuration import config, using_config
from chainlite.function_node import FunctionNode
from chainlite.graph_optimizations.static_graph_utilities import RunsInPython
from chainlite.variable import Variable, as_variable

_WARM_UP = 2  # calls of a kind that run as usual
_MOST_SCHEDULES = 64  # of a kind: calls in one iteration


def static_graph(*args, **kwargs):
    """Decorator of the forward method of a chain that always computes the same graph.

    The method is called as ``method(chain, *inputs)``; inputs and outputs are Variables, or tuples or lists of them.
    What it computes must depend on the shapes and dtypes of its inputs, on the configuration (``config.train``) and on
    the attributes of its links alone: for each of these combinations it is captured anew. New values of parameters
    count. Links with a state and functions marked by ``static_code`` keep it from being captured.

    Args:
        force_test_define_by_run (bool): Whether to run as usual where ``config.train`` is False.
        minimize_cache_size (bool): Whether to keep only what was captured for the last combination (default).
        verbosity_level (int): From 1 on, captures are told on the standard output.
        enable_double_backprop (bool): For chains whose gradients are differentiated often: they run as usual. Without
            it, such a gradient is computed from a second forward pass, and what is drawn at random is drawn again.
    """
    if len(args) == 1 and not kwargs and callable(args[0]):
        return _decorate(args[0])
    return functools.partial(_decorate, **kwargs)


def _decorate(
    func, force_test_define_by_run=False, minimize_cache_size=True, verbosity_level=0, enable_double_backprop=False
):
    @functools.wraps(func)
    def wrapper(chain, *inputs, **kwargs):
        nested = config.schedule_func is not None
        if nested or not config.use_static_graph or (force_test_define_by_run and not config.train):
            return func(chain, *inputs, **kwargs)
        manager = chain.__dict__.get('schedule_manager')
        if manager is None or manager.chain() is not chain:
            manager = ScheduleManager(minimize_cache_size, verbosity_level)
            manager.chain = weakref.ref(chain)
            chain.schedule_manager = chain.static_schedule = manager
        return manager.call(func, inputs, kwargs, enable_double_backprop)

    return wrapper


class ScheduleManager:
    """The schedules of a chain.

    Args:
        minimize_cache_size (bool): Whether to drop the schedules of other kinds when a new one is captured.
        verbosity_level (int): From 1 on, captures are told.

    Attributes:
        chain: Weak reference to the chain.
    """

    def __init__(self, minimize_cache_size=True, verbosity_level=0):
        self.minimize_cache_size, self.verbosity_level = minimize_cache_size, verbosity_level
        self.chain = lambda: None
        self._schedules = {}  # kind of call -> list of Schedule
        self._seen = {}  # kind of call -> how often it ran as usual
        self._given_up = False

    def __reduce__(self):
        return ScheduleManager, (self.minimize_cache_size, self.verbosity_level)

    def __repr__(self):
        counts = {kind[:2]: len(schedules) for kind, schedules in self._schedules.items()}
        return f'<ScheduleManager: schedules by kind of input: {counts}>'

    def end_forward(self):
        """To be called where an iteration ends, in Chainer. Schedules know by themselves when they are free."""

    def call(self, func, args, kwargs, enable_double_backprop=False):
        """What ``func(chain, *args, **kwargs)`` returns."""
        chain = self.chain()
        in_vars = [] if enable_double_backprop or kwargs else list(_leaves(args))
        if in_vars and all([isinstance(x, Variable) and is_cupy_array(x.array) for x in in_vars]):
            with backend.using_device(in_vars[0].device):
                schedule = self.get_schedule(in_vars, False, func, args)
                if schedule is not None:
                    return schedule(in_vars)
        return func(chain, *args, **kwargs)

    def get_schedule(self, in_vars, enable_double_backprop=False, func=None, args=None):
        """A schedule that may be run on these inputs; None if the chain is to run as usual.

        Args:
            in_vars (list of Variable): The inputs.
            enable_double_backprop (bool): If set there is none.
            func, args: What is captured, and its arguments. Without them only what was captured before is looked for.
        """
        if self._given_up or enable_double_backprop or _graph.is_capturing():
            return None
        needs_grad = tuple([x.requires_grad for x in in_vars])
        kind = kind_of([x.array for x in in_vars]), needs_grad, func, _structure(args), configuration()
        schedules = self._schedules.get(kind, ())
        try:
            for schedule in schedules:
                schedule.watch.check()
                if not schedule.watch.is_same():
                    del self._schedules[kind]
                    self._seen.pop(kind, None)
                    break
                if schedule.is_free():
                    return schedule
            watch = Watch(self.chain())
        except CannotCapture as reason:  # of hooks, for example: perhaps only now
            self._tell(f'runs as usual: {reason}')
            return None
        self._seen[kind] = self._seen.get(kind, 0) + 1
        if func is None or self._seen[kind] <= _WARM_UP or len(schedules) >= _MOST_SCHEDULES:
            return None
        if self.minimize_cache_size:
            self._schedules = {kind: self._schedules[kind]} if kind in self._schedules else {}
        try:
            schedule = Schedule(self.chain(), func, args, in_vars, watch)
        except Exception as error:
            self._given_up = True
            self._schedules.clear()
            if isinstance(error, RunsInPython):  # as its author wants it
                self._tell(f'runs as usual: {error}')
            else:
                _warn(type(self.chain()).__name__, error)
            return None
        self._tell('was captured')
        self._schedules.setdefault(kind, []).append(schedule)
        return schedule

    def _tell(self, what):
        if self.verbosity_level >= 1:
            print(f'static_graph: {type(self.chain()).__name__} {what}')


class Schedule:
    """A captured forward pass, and the backward passes of it."""

    def __init__(self, chain, func, args, in_vars, watch):
        self.watch, self.params = watch, [param for param in watch.params if param.is_initialized]
        self.again = functools.partial(_run, func, chain, args)
        self.inputs = [Variable(x.array.copy(), requires_grad=x.requires_grad) for x in in_vars]
        try:
            with using_config('schedule_func', self):
                self.graph, self.results = _graph.capture(self._forward, _graph.new_pool())
            self.outputs = list(_leaves(self.results))
            if not self.outputs or not all([isinstance(y, Variable) for y in self.outputs]):
                raise CannotCapture('it returns something else than Variables')
            watch.finish(may_set=False)
        except BaseException:
            watch.restore()
            raise
        watch.forget()
        self.arrays = [y.array for y in self.outputs]
        self.node = lambda: None
        self._backwards = {}  # kind of backward pass -> Backward, or None after the first that ran as usual
        self._pool = _graph.new_pool()  # not that of the forward pass, which would write over gradients
        self._holders = _holders(self.arrays)

    def _forward(self):
        results = self.again(self.inputs)
        settle(results)
        return results

    def is_free(self):
        """Whether nobody holds outputs, or the graph behind them."""
        return self.node() is None and _holders(self.arrays) == self._holders

    def __call__(self, in_vars):
        """Runs the forward pass; returns what the method returned, of new Variables."""
        node = StaticScheduleFunction(schedule=self)
        self.node = weakref.ref(node)
        ys = iter(node.apply((*in_vars, *self.params)))
        return _map_leaves(lambda y: next(ys), self.results)

    def launch(self, arrays):
        """Runs the forward pass on arrays."""
        for x, fixed in zip(arrays, self.inputs):
            fixed.array[...] = x
        self.graph.launch()
        return tuple(self.arrays)

    def backward(self, indexes, gys):
        """The gradients of inputs and parameters of these indexes."""
        kind = tuple(indexes), tuple([gy is None for gy in gys])
        xs = [[*self.inputs, *self.params][i] for i in indexes]
        if kind not in self._backwards:
            self._backwards[kind] = None
        elif self._backwards[kind] is None and not _graph.is_capturing():
            self._backwards[kind] = self._capture_backward(xs, gys)
        known = [backward for backward in self._backwards.values() if backward]
        if not self._backwards[kind] or not all([backward.is_free() for backward in known]):
            return _grad(self.outputs, xs, gys)
        return self._backwards[kind](gys)

    def _capture_backward(self, xs, gys):
        """The captured backward pass, or False if it cannot be captured."""
        try:
            return Backward(self.outputs, xs, gys, self._pool)
        except Exception as error:
            _warn('the backward pass of a chain', error)
            return False


class Backward:
    """A captured backward pass."""

    def __init__(self, ys, xs, gys, pool):
        self.gys = [None if gy is None else Variable(gy.array.copy(), requires_grad=False) for gy in gys]

        def run():
            return [None if gx is None else gx.array for gx in _grad(ys, xs, self.gys)]

        self.graph, self.arrays = _graph.capture(run, pool)
        self._holders = _holders(self.arrays)

    def is_free(self):
        """Whether nobody holds the gradients."""
        return _holders(self.arrays) == self._holders

    def __call__(self, gys):
        """The gradients, of the gradients of the outputs."""
        for gy, fixed in zip(gys, self.gys):
            if gy is not None:
                fixed.array[...] = gy.array
        self.graph.launch()
        return [None if gx is None else Variable(gx, requires_grad=False) for gx in self.arrays]


class StaticScheduleFunction(FunctionNode):
    """A static chain as one function of its inputs and its parameters.

    Args:
        schedule_manager, verbosity_level, enable_double_backprop: Taken for compatibility.
        schedule (Schedule): What is run.
    """

    def __init__(self, schedule_manager=None, verbosity_level=0, enable_double_backprop=False, schedule=None):
        self.schedule = schedule

    def forward(self, inputs):
        self.retain_inputs(tuple(range(len(self.schedule.inputs))))
        return self.schedule.launch(inputs)

    def backward(self, target_input_indexes, grad_outputs):
        schedule = self.schedule
        if not config.enable_backprop:
            return tuple(schedule.backward(target_input_indexes, grad_outputs))
        xs = list(self.get_retained_inputs())
        with using_config('in_recomputing', True), using_config('schedule_func', schedule):
            ys = list(_leaves(schedule.again(xs)))
        targets = [[*xs, *schedule.params][i] for i in target_input_indexes]
        return tuple(_grad(ys, targets, grad_outputs, enable_double_backprop=True))


def _warn(who, error):
    reason = CannotCapture.because_of(error)
    warnings.warn(
        f'static_graph: {who} runs without a CUDA graph, because it cannot be captured: {reason}',
        RuntimeWarning,
        stacklevel=5,
    )


def _run(func, chain, args, xs):
    """Calls the method with other inputs in the places of those of `args`."""
    xs = iter(xs)
    return func(chain, *_map_leaves(lambda x: next(xs), args))


def _grad(ys, xs, gys, **options):
    """chainlite.grad, where an output without a gradient counts as zero."""
    known = [(y, gy) for y, gy in zip(ys, gys) if gy is not None]
    return grad([y for y, _ in known], xs, [gy for _, gy in known], **options)


def _leaves(x):
    """The inputs or outputs in a structure; arrays count as Variables."""
    if isinstance(x, (tuple, list)):
        for element in x:
            yield from _leaves(element)
    else:
        yield as_variable(x) if isinstance(x, backend.get_array_types()) else x


def _map_leaves(f, x):
    return type(x)([_map_leaves(f, element) for element in x]) if isinstance(x, (tuple, list)) else f(x)


def _structure(x):
    return (type(x), *map(_structure, x)) if isinstance(x, (tuple, list)) else None


def _holders(arrays):
    """How often the arrays, and those that they are views of, are referred to."""
    owners = [a if a.base is None else a.base for a in arrays if a is not None]
    return [sys.getrefcount(a) for a in [*arrays, *owners] if a is not None]
