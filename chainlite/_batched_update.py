"""Updates of many parameters at once.

Parameters whose rules are this package's own and agree in everything but the arrays make a batch: on a CPU one loop
runs over their arrays, on a GPU one kernel is launched for all of them. The hooks that come last before the update, if
they are known to be elementwise, join the rule's formula, and so does the division by the loss scale. Everything else
(rules of users, also subclasses of ours, arrays that are not contiguous on a GPU) is updated by ``UpdateRule.update``,
one parameter after the other. The results are the same.

An update has two halves: first all states are made and all numbers computed, then parameters are changed. An error in
the first half leaves parameters, states and counts as they were.
"""

import sys
from collections.abc import Hashable
from contextlib import nullcontext

import numpy

from chainlite._update_rule import UpdateRule, is_half
from chainlite.backends._equations import chain, equations
from chainlite.backends.cuda import is_cupy_array
from chainlite.optimizer_hooks._formula import FormulaHook
from chainlite.optimizer_hooks.gradient_clipping import GradientClipping, Scaling
from chainlite.utils._changes import changes
from chainlite.variable import Parameter


@equations
def _unscale(grad, *, loss_scale):
    return grad / loss_scale


def is_elementwise(hook):
    """Whether a hook for single parameters does what its method `step` says."""
    cls = type(hook)
    return cls.__call__ is FormulaHook.__call__ or cls.__call__ is Scaling.__call__ and cls.step is Scaling.step


def is_clipping(hook):
    """Whether a hook scales all gradients by their norm, as ours does."""
    cls, ours = type(hook), GradientClipping
    return isinstance(hook, ours) and cls.__call__ is ours.__call__ and cls.scaling is ours.scaling


def hook_key(hooks):
    """What tells these hooks of a rule from those of another one; None if they are not known."""
    key = []
    for hook in hooks:
        if not is_elementwise(hook):
            return None
        formula, scalars = hook.step(None)
        if not all([isinstance(value, Hashable) for value in scalars.values()]):  # arrays
            return None
        key.append((formula, tuple(scalars.values())))
    return tuple(key)


def gradients(params):
    """Lists (parameter, array, gradient) of the parameters that have arrays; a gradient that is missing becomes zero.

    Raises:
        TypeError: If a gradient is another kind of array than its parameter, or not of floating point.
        ValueError: If it has another shape, or is on another device.
    """
    items, missing = [], []
    for param in params:
        if type(param) is Parameter:  # what its properties do, without calling them for each parameter
            array, node = param._array, param._own_node
            known = None if node is None else node.grad_var
            grad = None if known is None else known.array if known._array is None else known._array
        else:
            array = param.array
            grad = None if array is None else param.grad
        if array is None:
            continue
        if grad is None:
            missing.append(param)
        elif (
            grad.dtype is not array.dtype
            or type(grad) is not type(array)
            or grad.shape != array.shape
            or type(array) is not numpy.ndarray
            and grad.data.device_id != array.data.device_id
        ):
            _refuse(param, array, grad)
        items.append((param, array, grad))
    if not missing:
        return items
    for param in missing:
        device = param.device
        with device.create_context():
            param.grad = device.xp.zeros_like(param.array)
    return [(param, array, param.grad) for param, array, _ in items]


def are_shared(items):
    """Whether an array is among the arrays and gradients of such a list more than once."""
    arrays = [a for _, *pair in items for a in pair]
    return len(set(map(id, arrays))) < len(arrays)


def _refuse(param, array, grad):
    name = 'a parameter' if param.name is None else f'parameter {param.name}'
    if grad.shape != array.shape:
        raise ValueError(f'the gradient of {name} has shape {grad.shape}, but the parameter has shape {array.shape}')
    if isinstance(grad, numpy.ndarray) != isinstance(array, numpy.ndarray):
        raise TypeError(f'the gradient of {name} is a {type(grad)}, but the parameter is a {type(array)}')
    if _kind(grad) != _kind(array):
        raise TypeError(f'the gradient of {name} has dtype {grad.dtype}, but the parameter has dtype {array.dtype}')
    if not isinstance(array, numpy.ndarray) and grad.device != array.device:
        raise ValueError(f'the gradient of {name} is on {grad.device}, but the parameter is on {array.device}')


def _kind(array):
    return array.dtype.kind.replace('V', 'f')  # bfloat16


class Batch:
    """Parameters that are updated together.

    Attributes:
        items (list): (parameter, array, gradient), in the order in which they were met.
        rows (list): Of each parameter, the arrays that the update reads and writes.
        rule (UpdateRule): The first one's; None if nothing is updated, only the hooks see the gradients.
        place (int): Number of the GPU, -1 for the CPU.
        loss_scale (float): By what the gradients are multiplied, or None.
    """

    def __init__(self, rule, place, loss_scale):
        self.rule, self.place, self.loss_scale = rule, place, loss_scale
        self.items, self.rows = [], []
        self.half, self.table = False, None
        self._kept = None  # names of the states, and pairs of parameter and rule

    def rules(self):
        """The rules that count an update."""
        return [param.update_rule for param, _, _ in self.items] if self.rule is not None else []

    def device(self):
        """The context of its place."""
        return nullcontext() if self.place < 0 else sys.modules['cupy'].cuda.Device(self.place)

    def prepare(self, made, memory):
        """Makes the states that are missing and lists the arrays, one row for each parameter.

        Args:
            made (list): Gets (rule, name of the attribute) of what is new.
            memory (Memory): Has the tables of GPUs.

        Returns:
            list of Parameter: Those that do not fit into the batch after all.
        """
        strangers = self._list_arrays(made)
        if self.rows and self.place >= 0:
            self.table = memory.table([self.place, *[a.dtype.char for a in self.rows[0]]], self.rows)
            if self.table.overlap:
                strangers, self.rows = [param for param, _, _ in self.items], []
        if strangers:
            left = set(map(id, strangers))
            self.items = [item for item in self.items if id(item[0]) not in left]
        return strangers

    def _list_arrays(self, made):
        first = self.rule
        if first is None:
            self.rows = [[array, grad] for _, array, grad in self.items]
            return []
        names = first.state_names
        self.half = first._use_fp32_update and is_half(self.items[0][1].dtype)
        strangers = []
        for param, array, grad in self.items:
            rule = param.update_rule
            state, whole = rule._state, array
            if state is None or self.half:
                whole = self._make(rule, param, made).array
                state = rule._state
            row = [whole, grad]
            for name in names:
                row.append(state.get(name))
            if (self.half or names) and not self._fits(row, array.shape):
                rule._prepare_state(rule.master(param) if self.half else param)  # which sends states after it
                row[2:] = [state.get(name) for name in names]
                if not self._fits(row, array.shape):
                    strangers.append(param)
                    continue
            if self.half:
                row.append(array)
            self.rows.append(row)
        return strangers

    def _make(self, rule, param, made):
        """Makes what a rule lacks before its first update, and returns what it works on."""
        target = param
        if self.half:
            if rule._fp32_param is None:
                made.append((rule, '_fp32_param'))
            target = rule.master(param)
        if rule._state is None:
            made.append((rule, '_state'))
            rule._prepare_state(target)
        return target

    def _fits(self, row, shape):
        whole, place = row[0], self.place
        dtype, kind = whole.dtype, type(whole)
        for a in row[2:]:
            if type(a) is not kind or a.shape != shape or a.dtype is not dtype and a.dtype != dtype:
                return False
            if place >= 0 and not (a._c_contiguous and a.data.device_id == place):
                return False
        return not self.half or whole.shape == shape and (place < 0 or whole._c_contiguous)

    def program(self, hooks):
        """(equations, columns that they write, values of their scalars) of hooks and rule."""
        rule, scale = self.rule, self.loss_scale
        states = () if rule is None else tuple(rule.state_names)
        subject = 'half' if self.half else 'param'  # what hooks of the optimizer see
        grad, stages, values = 'grad', [], []

        def add(step, subject, given):
            formula, scalars = step
            taken = tuple([grad, subject][: len(formula.inputs)])
            stages.append((formula, taken, (given,)))
            values.extend([scalars[name] for name in formula.scalars])

        for hook in hooks:
            add(hook.step(scale), subject, 'grad')
        written = bool(stages)
        if rule is not None:
            given = 'whole grad' if self.half else 'grad'
            for step in self._own_steps(rule):
                add(step, 'param', given)
                grad = given
                written |= not self.half
            formula, scalars = rule.step(rule.hyperparam.get_dict(), self.rows[0][0].dtype)
            stages.append((formula, ('param', grad, *states), ('param', *states)))
            values += [scalars[name] for name in formula.scalars]
        results, into = [], []
        if rule is not None:
            results, into = ['param', *states], [0, *range(2, 2 + len(states))]
        if written:
            results.append('grad')
            into.append(1)
        inputs = ('param', 'grad', *states)
        if self.half:
            inputs += ('half',)
            results.append('param')
            into.append(len(inputs) - 1)
        label = 'multi_tensor' if rule is None else type(rule).__name__
        return chain(label, inputs, tuple(results), *stages), tuple(into), values

    def _own_steps(self, rule):
        """What happens to the gradient inside of the rule."""
        if self.loss_scale is not None:
            yield _unscale, {'loss_scale': self.loss_scale}
        for hook in rule._hooks.pre.values():
            yield hook.step(None)

    def for_hooks(self):
        """A batch of the same gradients, for hooks alone."""
        batch = Batch(None, self.place, self.loss_scale)
        batch.items = self.items
        return batch

    def renew(self, items):
        """Takes the next gradients of the same parameters, if all else is as it was prepared, and says whether it is.

        Changes that are noted in `chainlite.utils._changes` are not looked for.
        """
        names, known = self._kept
        if len(items) != len(known) or not self.rule.makes_batches() or tuple(self.rule.state_names) != names:
            return False
        places = list(enumerate(names, 2))
        for (param, array, grad), (same, rule), row in zip(items, known, self.rows):
            if param is not same or param.update_rule is not rule or param._loss_scale is not None:
                return False
            if array is not row[0] or grad.dtype is not array.dtype:
                return False
            for i, name in places:
                if rule._state.get(name) is not row[i]:
                    return False
            row[1] = grad
        self.items = items
        return True

    def keep(self):
        """Makes ready for `renew`, and lets go of the gradients; says whether it can be renewed."""
        rule = self.rule
        if rule is None or rule._hooks.pre or self.half or self.place >= 0 or self.loss_scale is not None:
            return False
        if self._kept is None:
            self._kept = tuple(rule.state_names), [(param, param.update_rule) for param, _, _ in self.items]
        self.items = []
        for row in self.rows:
            row[1] = None
        return True

    def finish(self):
        """To be called when the batch has been updated."""
        if self.loss_scale is not None and self.rule is not None and not self.half:
            for param, _, _ in self.items:
                param._loss_scale = None  # what is in grad now is the gradient itself


def _is_pointer(value):
    """Whether a scalar is read from the memory of the GPU."""
    return is_cupy_array(value) and value.dtype == 'd'


class Launch:
    """The update of a batch, ready to go."""

    def __init__(self, batch, hooks, memory):
        self.batch, self.hooks = batch, hooks
        self._equations, self._into, values = batch.program(hooks)
        if batch.place < 0:
            self._values = values
            return
        from chainlite.backends.gpu import multi_tensor

        dtypes = batch.table.dtypes
        self._dtype = multi_tensor.compute_dtype(dtypes)
        names = self._equations.scalars
        self._pointers = {name: v for name, v in zip(names, values) if _is_pointer(v)}
        self._numbers = memory.numbers((batch.place, self._equations), self._plain(values), self._dtype)
        self._kernel = multi_tensor.kernel(self._equations, dtypes, self._into, tuple(self._pointers))

    def _plain(self, values):
        return [0 if _is_pointer(v) else float(v) for v in values]

    def run(self):
        """Does it."""
        batch = self.batch
        if batch.place < 0:
            self._equations.run_each(batch.rows, self._into, self._values)
        else:
            self._kernel(batch.table, self._numbers, self._pointers)
        batch.finish()

    def is_current(self):
        """Whether the equations of the next update are these, too."""
        rules = self.batch.rules()[:1]
        for rule in rules:
            rule.t += 1  # step sizes are not known before the first update
        try:
            return self.batch.program(self.hooks)[0] is self._equations
        finally:
            for rule in rules:
                rule.t -= 1

    def refresh(self):
        """Computes the numbers again, for the next replay."""
        with self.batch.device():
            equations, _, values = self.batch.program(self.hooks)
            if equations is not self._equations:
                raise RuntimeError('the equations of the update are others than those recorded: record it again')
            self._numbers.put(self._plain(values), self._dtype)


def update(params, items, hooks, memory):
    """Applies hooks and update rules.

    Args:
        params (list of Parameter): All parameters. One that is there twice is updated twice, as is a shared array.
        items (list): (parameter, array, gradient) of those that have arrays, as `gradients` gives them.
        hooks (list): Elementwise hooks and hooks that clip the norm.
        memory (Memory): The optimizer's.

    Returns:
        bool: Whether a parameter was updated alone, by which it may have lost its gradient.
    """
    mark, made, twice = changes.mark, [], False
    batches, others = memory.batches(items), []
    try:
        if not batches:
            twice = len({id(array) for _, array, _ in items}) < len(items)
            batches, others = ([], list(params)) if twice else gather(items)
            for batch in batches:
                with batch.device():
                    others += batch.prepare(made, memory)
            batches = [batch for batch in batches if batch.items]
        pending, done, scalings = _apply(hooks, batches, others, [param for param, _, _ in items], memory)
        launches = _ready(batches, pending, memory)
    except BaseException:
        for rule, name in made:
            setattr(rule, name, None)
        raise
    for launch in launches:
        with launch.batch.device():
            launch.run()
    for param in others:
        for hook in pending:
            hook(param.update_rule, param)
        param.update()
    late = [] if twice or len(items) == len(params) else [param for param in params if param.array is None]
    for param in late:
        param.update()
    if any([batch.place >= 0 for batch in batches]):
        if _recording():
            memory.record(done + launches, scalings, others, late)
        memory.finish()
    memory.keep(mark, batches, others)
    return bool(others)


def _recording():
    from chainlite.backends.gpu.multi_tensor import recording

    return recording()


def _ready(batches, hooks, memory):
    """Counts an update in every rule, and gets the launches ready; an error leaves the counts as they were."""
    counted, launches = [], []
    try:
        for batch in batches:
            rules = batch.rules()
            for rule in rules:
                vars(rule)['t'] += 1  # a change that is not noted
            counted += rules
        for batch in batches:
            if batch.rule is not None or hooks:
                with batch.device():
                    launches.append(Launch(batch, hooks, memory))
    except BaseException:
        for rule in counted:
            rule.t -= 1
        raise
    return launches


def _apply(hooks, batches, others, params, memory):
    """Does hooks up to the last that clips.

    Returns:
        The hooks that may join the update, the launches done, and what scales gradients on GPUs.
    """
    pending, launches, scalings = [], [], []
    for hook in hooks:
        if not is_clipping(hook):
            pending.append(hook)
            continue
        if pending:
            launches += _hook_gradients(pending, batches, others, memory)
        scaling = hook.scaling(params, memory.kept) if params else None
        pending = [] if scaling is None else [scaling]
        if scaling is not None and scaling.numbers is not None:
            scalings.append(scaling)
    return pending, launches, scalings


def _hook_gradients(hooks, batches, others, memory):
    """Calls hooks on all gradients; returns the launches."""
    launches = []
    for batch in batches:
        only = batch.for_hooks()
        with only.device():
            only.prepare([], memory)
            launches.append(Launch(only, hooks, memory))
            launches[-1].run()
    for param in others:
        for hook in hooks:
            hook(param.update_rule, param)
    return launches


def not_finite(grads, memory):
    """For each gradient: whether it has an infinity or a NaN. There is one look at each GPU."""
    found = [False] * len(grads)
    tables, indexes = {}, {}  # by device and dtype
    for i, grad in enumerate(grads):
        if isinstance(grad, numpy.ndarray):
            found[i] = not numpy.isfinite(grad).all()
        else:
            key = grad.data.device_id, grad.dtype.char
            tables.setdefault(key, []).append([grad if grad._c_contiguous else grad.copy()])
            indexes.setdefault(key, []).append(i)
    if not tables:
        return found
    from chainlite.backends.gpu import multi_tensor

    for place in {place for place, _ in tables}:
        keys = [key for key in tables if key[0] == place]
        with sys.modules['cupy'].cuda.Device(place):
            if multi_tensor.recording():
                raise RuntimeError('a dynamic loss scale needs a look at the gradients: it cannot be recorded')
            listed = [multi_tensor.kept_table(memory.kept, ('finite', *key), tables[key]) for key in keys]
            flags = multi_tensor.not_finite(listed)
        for i, flag in zip([i for key in keys for i in indexes[key]], flags):
            found[i] = bool(flag)
    return found


def gather(items):
    """Batches of (parameter, array, gradient), and the parameters that are updated alone."""
    batches, alone = {}, []
    cupy = sys.modules.get('cupy')
    on_gpu = None if cupy is None else cupy.ndarray
    usable = {}  # classes of rules
    kind = dtype = batch = last = last_kinds = alike = None  # of the one before: mostly the next is like it
    for item in items:
        param, array, grad = item
        rule = param.update_rule
        if type(array) is not kind or array.dtype is not dtype:
            kind, dtype = type(array), array.dtype
            usual = dtype.char in 'efdE' and (kind is numpy.ndarray or kind is on_gpu)
            place = -1
        if not usual or type(param) is not Parameter:
            alone.append(param)
            continue
        if kind is not numpy.ndarray:
            place = array.data.device_id
            if not (array._c_contiguous and grad._c_contiguous):
                alone.append(param)
                continue
        kinds = place, dtype, grad.dtype, param._loss_scale
        if alike is not None and kinds == last_kinds and type(rule) is last and alike(rule):
            batch.items.append(item)
            continue
        if rule is None:
            key = ()
        else:
            cls = rule.__class__
            if cls not in usable:
                usable[cls] = isinstance(rule, UpdateRule) and cls.makes_batches()
            key = rule.batch_key() if usable[cls] else None
            if key is None:
                alone.append(param)
                continue
        batch = batches.get((key, *kinds))
        if batch is None:
            batch = batches[(key, *kinds)] = Batch(rule if key else None, place, param._loss_scale)
        batch.items.append(item)
        last, last_kinds = type(rule), kinds
        alike = rule.alike() if key else None
        if alike is not None and not alike(rule):
            alike = None  # it has hooks or numbers of its own: whoever comes next is looked at in full
    return list(batches.values()), alone
