"""Training steps as CUDA graphs: `StandardUpdater(..., graph=True)`.

A step is captured once for each kind of batch (shapes and dtypes) and configuration, after it has run as usual a few
times, and then launched as one piece: what it costs the host no longer depends on the number of layers. What the device
reads and writes keeps its place:

    batch -> fixed arrays -> [ loss and gradients: the graph ] -> fixed arrays -> copies of what was reported
                                                                               -> update

The update reads learning rates, step counters and hooks as ever. What Python did while the step was captured is done
again for each launch: gradients are put in place, attributes that links had set, observations.

A step that cannot be captured runs as usual, with one warning. Capturing launches nothing, so that a step that turned
out not to be capturable has done nothing either, once attributes and gradients are put back.
"""

import warnings
from collections import OrderedDict
from contextlib import ExitStack
from operator import is_

import numpy as np

from chainlite import function_hook, link_hook, reporter
from chainlite.backend import GpuDevice, using_device
from chainlite.backends.cuda import is_cupy_array
from chainlite.backends.gpu import _graph
from chainlite.configuration import config, global_config
from chainlite.link import Link
from chainlite.optimizer import GradientMethod
from chainlite.variable import Parameter, Variable

_WARM_UP = 2  # steps of a kind that run as usual: they compile kernels, fill caches and initialize parameters
_MOST_GRAPHS = 4
_MOST_KINDS = 32  # of batches that are remembered: if each is different, none is captured


class _CannotCapture(Exception):
    """Says why."""


class GraphedSteps:
    """Updates as `optimizer.update(lossfun, *args, **kwds)` does, by graphs where that is possible."""

    def __init__(self, optimizer):
        self.optimizer = optimizer
        self._graphs = OrderedDict()  # kind of step -> _Step; the one used last at the end
        self._seen = OrderedDict()  # kind of step -> how often it has run as usual
        self._pool = None
        self._given_up = self._has_warned = False

    def update(self, lossfun, *args, **kwds):
        """One step."""
        if self._given_up or not isinstance(self.optimizer.target.device, GpuDevice):
            self.optimizer.update(lossfun, *args, **kwds)
            return
        with using_device(self.optimizer.target.device):
            step = None
            try:
                step = self._step(lossfun, args, kwds)
            except _CannotCapture as reason:
                self._warn(reason)
            if step is None:
                self.optimizer.update(lossfun, *args, **kwds)
            else:
                step.run(args, kwds)
                self.optimizer.update()

    def _step(self, lossfun, args, kwds):
        """The step captured for this kind of batch; None if it shall run as usual."""
        self._check_that_graphs_are_possible(lossfun)
        kind = lossfun, _kind_of(args), _kind_of(kwds), _configuration(), self.optimizer._loss_scale is None
        step = self._graphs.get(kind)
        if step is not None and step.is_valid():
            self._graphs.move_to_end(kind)
            return step
        self._graphs.pop(kind, None)
        seen = self._seen[kind] = self._seen.pop(kind, 0) + 1
        if seen <= _WARM_UP:
            if len(self._seen) > _MOST_KINDS:
                self._seen.popitem(last=False)
            return None
        if self._pool is None:
            self._pool = _graph.new_pool()
        while len(self._graphs) >= _MOST_GRAPHS:
            self._graphs.popitem(last=False)
        try:
            step = self._graphs[kind] = _Step(self.optimizer, lossfun, args, kwds, self._pool)
        except Exception as error:
            self._given_up = True
            self._graphs.clear()
            self._pool = None
            reason = error if isinstance(error, _CannotCapture) else f'{type(error).__name__}: {error}'
            raise _CannotCapture(reason) from error
        return step

    def _check_that_graphs_are_possible(self, lossfun):
        optimizer = self.optimizer
        if getattr(type(optimizer), 'update', None) is not GradientMethod.update:
            raise _CannotCapture(f'{type(optimizer).__name__} has an update method of its own')
        if config.debug or config.keep_graph_on_report:
            raise _CannotCapture('config.debug or config.keep_graph_on_report is set')
        if function_hook._hooks.table or link_hook._hooks.table:
            raise _CannotCapture('there are function hooks or link hooks, which are called in each step')
        for link in _links(optimizer.target, lossfun):
            if link._local_link_hooks:
                raise _CannotCapture(f'{type(link).__name__} has link hooks, which are called in each step')
            if hasattr(link, 'reset_state'):
                raise _CannotCapture(f'{type(link).__name__} keeps a state from one step to the next')

    def _warn(self, reason):
        if not self._has_warned:
            self._has_warned = True
            warnings.warn(
                f'graph=True: steps run without a CUDA graph, because they cannot be captured: {reason}',
                RuntimeWarning,
                stacklevel=5,
            )


class _Step:
    """A captured step: its graph, and what Python has to do for each launch of it."""

    def __init__(self, optimizer, lossfun, args, kwds, pool):
        self.optimizer = optimizer
        self.roots = optimizer.target, lossfun
        self.links = _links(*self.roots)
        self.params = list(dict.fromkeys(optimizer.target.params()))
        self.arrays = [param.array for param in self.params]
        before = [dict(vars(link)) for link in self.links]
        gradients = [(param.grad_var, param._loss_scale) for param in self.params]
        self.inputs = _map_arrays(lambda x: x.copy(), (args, kwds))
        # What graphs read is made outside of the capture: memory of its pool has other contents earlier in the graph.
        self.scale, self.filled_with = optimizer.target.xp.ones(()), 1
        self.reports = {}
        try:
            self.graph, _ = _graph.capture(lambda: self._forward_and_backward(lossfun), pool)
            self.outputs = list(self._changes(before))
        except BaseException:
            for link, attributes in zip(self.links, before):
                vars(link).clear()
                vars(link).update(attributes)
            for param, (grad_var, scale) in zip(self.params, gradients):
                param.grad_var, param._loss_scale = grad_var, scale
            raise
        self.gradients = [param.grad for param in self.params]
        self.is_scaled = [param._loss_scale is not None for param in self.params]
        changed = {(id(attributes), name) for attributes, name, _ in self.outputs}
        self.left_out = {id(link): {n for n in vars(link) if (id(vars(link)), n) in changed} for link in self.links}
        self.attributes = self._attributes(self.links)

    def _forward_and_backward(self, lossfun):
        optimizer, scale = self.optimizer, self.optimizer._loss_scale
        args, kwds = self.inputs
        with ExitStack() as stack:
            if reporter._stack.reporters:
                stack.enter_context(reporter.report_scope(self.reports))
            loss = lossfun(*args, **kwds)
        if optimizer._use_cleargrads:
            optimizer.target.cleargrads()
        else:
            optimizer.target.zerograds()
        if scale is not None:
            loss.grad = self.scale.astype(loss.dtype).reshape(loss.shape)
        loss.backward(loss_scale=scale)

    def _changes(self, before):
        """(attributes, name, value) of the attributes that the step has set; an error if they are more than results."""
        for link, old in zip(self.links, before):
            attributes = vars(link)
            if old.keys() - attributes:
                raise _CannotCapture(f'{type(link).__name__} loses attributes in a step: {old.keys() - attributes}')
            for name, value in attributes.items():
                last = old.get(name, self)
                if value is last or (isinstance(value, _NUMBERS) and type(value) is type(last) and value == last):
                    continue
                if isinstance(value, (*_NUMBERS, np.ndarray, Parameter, Link)) or name in link._persistent:
                    raise _CannotCapture(f'{type(link).__name__}.{name} changes in each step')
                yield attributes, name, value
        for param, array in zip(self.params, self.arrays):
            if param.array is not array:
                raise _CannotCapture('a parameter gets another array in each step')

    def _attributes(self, links):
        """All attributes of the links but those that the step sets."""
        values = list(links)
        for link in links:
            left_out = self.left_out.get(id(link))
            if left_out:
                values += [value for name, value in vars(link).items() if name not in left_out]
            else:
                values += vars(link).values()
        return values

    def is_valid(self):
        """Whether the model still is what was captured: the same links, parameters, arrays and attributes."""
        attributes = self._attributes(_links(*self.roots))
        return (
            len(attributes) == len(self.attributes)
            and all(map(is_, attributes, self.attributes))
            and all([param.array is array for param, array in zip(self.params, self.arrays)])
        )

    def run(self, args, kwds):
        """Computes loss and gradients of a batch."""
        _copy_arrays((args, kwds), self.inputs)
        scale = self.optimizer._loss_scale
        if scale not in (None, self.filled_with):
            self.scale.fill(scale)
            self.filled_with = scale
        self.graph.launch()
        for param, gradient, is_scaled in zip(self.params, self.gradients, self.is_scaled):
            param.grad = gradient
            param._loss_scale = scale if is_scaled else None
        for attributes, name, value in self.outputs:
            attributes[name] = value
        if self.reports:
            observation = reporter.get_current_reporter().observation
            observation.update({name: _copied(value) for name, value in self.reports.items()})


_NUMBERS = (bool, int, float, complex, str, np.generic)


def _links(*roots):
    """All links, each once."""
    links = [link for root in roots if isinstance(root, Link) for link in root.links()]
    return list(dict.fromkeys(links))


def _configuration():
    names = dict.fromkeys([*vars(global_config), *vars(config)])
    current = reporter._stack.reporters[-1] if reporter._stack.reporters else None
    return current, *[(name, getattr(config, name)) for name in names]


def _kind_of(x):
    """What the launches depend on: shapes and dtypes of arrays, the values of everything else."""
    if is_cupy_array(x):
        return 'array', x.shape, x.dtype.char, x.device.id
    if isinstance(x, (tuple, list)):
        return type(x).__name__, *[_kind_of(element) for element in x]
    if isinstance(x, dict):
        return 'dict', *[(name, _kind_of(element)) for name, element in x.items()]
    if x is None or isinstance(x, _NUMBERS):
        return type(x), x
    raise _CannotCapture(f'the batch holds a {type(x).__name__}, which is no array on the GPU')


def _map_arrays(f, x):
    if is_cupy_array(x):
        return f(x)
    if isinstance(x, (tuple, list)):
        return type(x)([_map_arrays(f, element) for element in x])
    if isinstance(x, dict):
        return {name: _map_arrays(f, element) for name, element in x.items()}
    return x


def _copy_arrays(source, target):
    if is_cupy_array(source):
        target[...] = source
    elif isinstance(source, (tuple, list)):
        for a, b in zip(source, target):
            _copy_arrays(a, b)
    elif isinstance(source, dict):
        for name, a in source.items():
            _copy_arrays(a, target[name])


def _copied(value):
    """A reported value that the next step leaves alone."""
    if isinstance(value, Variable):
        return Variable(value.array.copy(), requires_grad=value.requires_grad)
    return value.copy() if is_cupy_array(value) else value
