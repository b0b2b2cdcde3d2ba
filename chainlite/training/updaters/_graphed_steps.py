"""Training steps as CUDA graphs: `StandardUpdater(..., graph=True)`.

A step is captured once for each kind of batch (shapes and dtypes) and configuration, after it has run as usual a few
times, and then launched as one piece: what it costs the host no longer depends on the number of layers. What the device
reads and writes keeps its place:

    batch -> fixed arrays -> [ loss, gradients, update: the graph ] -> fixed arrays -> copies of what was reported

Learning rates, corrections by the number of updates, coefficients of hooks, the loss scale and the counters of random
numbers are in the device's memory, and brought up to date before each launch. An update that needs Python in each step
(rules and hooks of users, a dynamic loss scale) is left out of the graph and follows it.

What Python did while the step was captured is done again for each launch: updates are counted, gradients put in place,
attributes set, values reported. A step that cannot be captured runs as usual, with one warning. Capturing launches
nothing, so that a step that turned out not to be capturable has done nothing either, once attributes are put back.
"""

import warnings
from collections import OrderedDict
from contextlib import nullcontext
from operator import is_

from chainlite import _batched_update, reporter
from chainlite._capturing import CannotCapture, Watch, configuration, copy_arrays, kind_of, map_arrays, settle
from chainlite.backend import GpuDevice, using_device
from chainlite.backends import cuda
from chainlite.backends.cuda import is_cupy_array
from chainlite.backends.gpu import _graph
from chainlite.optimizer import GradientMethod
from chainlite.variable import Variable

_WARM_UP = 2  # steps of a kind that run as usual: they compile kernels, fill caches, initialize parameters and states
_MOST_GRAPHS = 4
_MOST_KINDS = 32  # of batches that are remembered: if each is different, none is captured


class GraphedSteps:
    """Updates as `optimizer.update(lossfun, *args, **kwds)` does, by graphs where that is possible."""

    def __init__(self, optimizer):
        self.optimizer = optimizer
        self._forget()
        self._given_up = self._has_warned = False

    def __reduce__(self):
        return GraphedSteps, (self.optimizer,)

    def _forget(self):
        self._graphs = OrderedDict()  # kind of step -> _Step; the one used last at the end
        self._seen = OrderedDict()  # kind of step -> how often it has run as usual
        self._pool = None

    def update(self, lossfun, *args, **kwds):
        """One step."""
        device = self.optimizer.target.device
        if self._given_up or not isinstance(device, GpuDevice):
            self.optimizer.update(lossfun, *args, **kwds)
            return
        with using_device(device):
            step = None
            try:
                step = self._step(lossfun, args, kwds)
            except CannotCapture as reason:
                self._warn(reason)
            if step is None:
                self.optimizer.update(lossfun, *args, **kwds)
            else:
                step.run(args, kwds)

    def _step(self, lossfun, args, kwds):
        """The step captured for this kind of batch; None if it shall run as usual."""
        if getattr(type(self.optimizer), 'update', None) is not GradientMethod.update:
            raise CannotCapture(f'{type(self.optimizer).__name__} has an update method of its own')
        current = reporter._stack.reporters[-1] if reporter._stack.reporters else None
        rules = _rules(self.optimizer)
        kind = lossfun, kind_of(args), kind_of(kwds), current, configuration(), _state_of(self.optimizer, rules)
        step = self._graphs.get(kind)
        if step is not None and step.is_valid(rules):
            step.watch.check()
            self._graphs.move_to_end(kind)
            return step
        if self._graphs.pop(kind, None) is not None:  # what is new may have to be prepared, and sent to the GPU
            self._seen.pop(kind, None)
        seen = self._seen[kind] = self._seen.pop(kind, 0) + 1
        if seen <= _WARM_UP:
            if len(self._seen) > _MOST_KINDS:
                self._seen.popitem(last=False)
            return None
        watch = Watch(self.optimizer.target, lossfun, release=True)
        self._graphs = OrderedDict([(kind, step) for kind, step in self._graphs.items() if step.is_valid(rules)])
        while len(self._graphs) >= _MOST_GRAPHS:
            self._graphs.popitem(last=False)
        if self._pool is None:
            self._pool = _graph.new_pool()
        cuda.cupy.get_default_memory_pool().free_all_blocks()  # what ordinary steps no longer need
        try:
            step = self._graphs[kind] = _Step(self.optimizer, lossfun, args, kwds, watch, self._pool)
        except Exception as error:
            self._given_up = True
            self._forget()
            raise CannotCapture.because_of(error) from error
        return step

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

    def __init__(self, optimizer, lossfun, args, kwds, watch, pool):
        self.optimizer, self.watch = optimizer, watch
        # What a graph reads is made before the capture: memory of its pool has other contents earlier in the graph.
        self.inputs = map_arrays(lambda x: x.copy(), (args, kwds))
        self.scale = optimizer.target.xp.ones(())
        self.filled_with = 1
        self.reports, self.update, self.has_run = {}, None, False
        rules = _rules(optimizer)
        own = {id(param) for param in optimizer.target.params()}
        foreign = [(param, param.grad_var) for param in watch.params if id(param) not in own]
        counts = [(counted, counted.t) for counted in (optimizer, *rules)]

        def record():
            self.graph, _ = _graph.capture(lambda: self._capture(lossfun), pool)
            if any([param.grad_var is not gradient for param, gradient in foreign]):
                raise CannotCapture('gradients of links that are not the target of the optimizer add up over steps')
            watch.finish()

        def put_back_counts():
            for counted, t in counts:
                counted.t = t

        try:
            record()
            if watch.replaced:  # once more: it fails where the step reads what the one before has left
                watch.hide_replaced()
                put_back_counts()
                self.graph = self.update = None
                self.reports.clear()
                record()
        except BaseException:
            watch.restore()
            put_back_counts()
            raise
        watch.forget()
        self.states = [] if self.update is None else _states(rules)
        self.gradients = [(param, param.grad_var, param._loss_scale is not None) for param in watch.params]

    def _capture(self, lossfun):
        optimizer, scale = self.optimizer, self.optimizer._loss_scale
        args, kwds = self.inputs
        reports = reporter.report_scope(self.reports) if reporter._stack.reporters else nullcontext()
        with reports, self.watch.hidden_gradients():
            loss = lossfun(*args, **kwds)
        if optimizer._use_cleargrads:
            optimizer.target.cleargrads()
        else:
            optimizer.target.zerograds()
        if scale is not None:
            loss.grad = self.scale.astype(loss.dtype).reshape(loss.shape)
        loss.backward(loss_scale=scale)
        del loss
        if _can_be_recorded(optimizer):
            optimizer.update()
            self.update = optimizer._memory.recorded
        settle(self.reports)
        self.watch.settle()

    def is_valid(self, rules):
        """Whether the model and the states of these rules still are what was captured."""
        states = [] if self.update is None else _states(rules)
        return (
            self.watch.is_same()
            and len(states) == len(self.states)
            and all(map(is_, states, self.states))
            and (self.update is None or self.update.is_current())
        )

    def run(self, args, kwds):
        """One step."""
        optimizer, scale = self.optimizer, self.optimizer._loss_scale
        copy_arrays((args, kwds), self.inputs)
        if scale not in (None, self.filled_with):
            self.scale.fill(scale)
            self.filled_with = scale
        if self.update is not None:
            optimizer._memory.recorded = self.update
            optimizer.refresh_scalars(count=self.has_run)  # the capture has counted the first
        self.has_run = True
        self.graph.launch()
        for param, gradient, is_scaled in self.gradients:
            param.node.grad_var = gradient  # which param.grad_var would check
            param._loss_scale = scale if is_scaled else None
        self.watch.set_results()
        if self.reports:
            reported = {name: _copied(value) for name, value in self.reports.items()}
            reporter.get_current_reporter().observation.update(reported)
        if self.update is None:
            optimizer.update()


def _rules(optimizer):
    return [param.update_rule for param in optimizer.target.params() if param.update_rule is not None]


def _states(rules):
    """The arrays that an update reads and writes besides parameters and gradients."""
    states = []
    for rule in rules:
        states += (rule._state or {}).values()
        if rule._fp32_param is not None:
            states.append(rule._fp32_param.array)
    return states


def _state_of(optimizer, rules):
    """What a recorded update depends on besides the numbers that are refreshed."""
    scale = 'dynamic' if optimizer._loss_scaling_is_dynamic else optimizer._loss_scale
    hooks = () if optimizer._hooks is None else (*optimizer._hooks.pre.values(), None, *optimizer._hooks.post.values())
    numbers = [optimizer.t - rule.t if rule.enabled else None for rule in rules]
    numbers += [rule._use_fp32_update for rule in rules]
    batches = {}
    for rule in rules:
        if rule._hooks.pre or rule._hooks.post:
            numbers += [*rule._hooks.pre.values(), None, *rule._hooks.post.values()]
        if rule._hooks.pre or len(vars(rule.hyperparam)) > 1:  # which of them are in one batch depends on numbers
            numbers.append(batches.setdefault(rule.batch_key(), len(batches)))
    return scale, hooks, optimizer._use_cleargrads, *rules, *numbers


def _can_be_recorded(optimizer):
    """Whether an update does nothing but launches of our own."""
    if optimizer._loss_scaling_is_dynamic or optimizer._hooks.post:
        return False
    params = list(optimizer.target.params())
    gradients = _batched_update.gradients(params)
    called, _ = optimizer._split_hooks(gradients)
    if called or len(set(map(id, params))) < len(params):
        return False
    batches, alone = _batched_update.gather(gradients)
    return bool(batches) and not alone


def _copied(value):
    """A reported value that the next step leaves alone."""
    if isinstance(value, Variable):
        return Variable(value.array.copy(), requires_grad=value.requires_grad)
    return value.copy() if is_cupy_array(value) else value
