"""The backward pass: one loop over the graph, for `Variable.backward`, `chainlite.backward` and `chainlite.grad`.

Gradients are kept by variable node. Where the graph of the backward pass itself is wanted (double backprop) they are
Variables; where not they are plain arrays, nodes that can compute on arrays do so, and sums are made in place as soon
as the engine owns the first of them.
"""

import sys
import traceback
from heapq import heappop, heappush

import numpy as np

from chainlite import backend
from chainlite.backends import cuda
from chainlite.backends._cuda_errors import explain
from chainlite.backends._deferred import Deferred, solid
from chainlite.backends.cpu.accumulation import add_into
from chainlite.configuration import _unset, config
from chainlite.function_hook import _hooks


class Gradients:
    """A backward pass: its gradients so far, by variable node.

    Args:
        wrap: makes a Variable of an array.
        differentiable: whether gradients are Variables with a graph of their own.
        retain_grad: whether variables inside the graph keep their gradients.
        targets: dictionary from function node to the input indexes to follow; every input that requires a gradient
        if None.
    """

    def __init__(self, wrap, differentiable, retain_grad, targets=None):
        self.wrap, self.differentiable, self.retain_grad, self.targets = wrap, differentiable, retain_grad, targets
        self.known = {}
        self.owned = set()  # nodes whose gradient is an array made here, which nobody else can have seen
        self.kept = ()  # nodes whose gradient is asked for, and therefore not dropped
        self._heap, self._seen, self.debug = [], set(), config.debug

    def add(self, node, gradient, is_new=False):
        """Adds to the gradient of a node; `is_new`: nobody else has this array."""
        known = self.known.get(node)
        if known is None:
            self.known[node] = gradient
            if is_new:
                self.owned.add(node)
            return
        known, gradient = solid(known), solid(gradient)
        if self.differentiable:
            self.known[node] = known + gradient
        elif node in self.owned and type(known) is type(gradient):
            add_into(known, gradient)
        elif is_new and type(known) is type(gradient):
            add_into(gradient, known)
            self.known[node] = gradient
            self.owned.add(node)
        else:
            total = known + gradient
            self.known[node] = total if isinstance(total, type(known)) else np.asarray(total)
            self.owned.add(node)

    def push(self, function):
        """Puts a function on the list of those whose outputs have gradients."""
        if function is not None and function not in self._seen and (self.targets is None or function in self.targets):
            self._seen.add(function)
            heappush(self._heap, (-function.rank, len(self._seen), function))

    def run(self):
        """Goes through all functions from the highest rank down, and returns the leaves met, in order."""
        settings = config.__dict__  # of this thread; using_config takes three times as long
        before = settings.get('enable_backprop', _unset)
        settings['enable_backprop'] = self.differentiable
        try:
            return self._run()
        finally:
            if before is _unset:
                settings.pop('enable_backprop', None)
            else:
                settings['enable_backprop'] = before

    def _run(self):
        leaves, heap, known = {}, self._heap, self.known
        drops, several_places = not (self.kept or self.retain_grad), 'cupy' in sys.modules
        while heap:
            function = heappop(heap)[2]
            if function.inputs is None:  # unchained meanwhile
                continue
            indexes = function._needs_grad if self.targets is None else self.targets[function]
            gys, found = (), False
            for y in function.outputs:
                node = y()
                gy = known.pop(node, None) if drops else self._take(node)
                if gy is None and node is not None and node.grad_var is not None and self.targets is None:
                    gy = self._given(node)
                if gy is not None:
                    found = True
                    if isinstance(gy, Deferred) and not function.takes_deferred:
                        gy = gy.array()
                gys += (gy,)
            if not indexes or not found:
                continue
            try:
                device = self._elsewhere(gys) if several_places else None
                if device is None:
                    self._backward(function, indexes, gys, leaves)
                else:
                    with device:
                        self._backward(function, indexes, gys, leaves)
            except Exception as error:
                explain(error, f'{function.label}, backward', [*gys, *[x.data for x in function.inputs]])
                _add_stack(error, function)
                raise
        return leaves

    def _given(self, node):
        """The gradient that an output was given by the user, which counts where none has come."""
        gradient = node.grad_var
        if not self.retain_grad:
            node.grad_var = None
        return gradient if self.differentiable else gradient._any_array

    def _elsewhere(self, gradients):
        """The device where the gradients are, and functions of them compute, if it is not the current one."""
        if cuda.all_here(gradients):
            return None
        return cuda.elsewhere([getattr(g, '_any_array', getattr(g, 'like', g)) for g in gradients])

    def _take(self, node):
        if node is None:
            return None
        gradient = self.known.get(node) if node in self.kept else self.known.pop(node, None)
        if self.retain_grad and gradient is not None:
            node.set_grad(gradient if self.differentiable else self.wrap(solid(gradient)))
        return gradient

    def _backward(self, function, indexes, gys, leaves):
        hooks = function._active_hooks() if _hooks.table or function._local_function_hooks else ()
        if hooks:
            in_data = tuple([None if x.data is None else x.get_variable().array for x in function.inputs])
            out_grad = tuple([None if g is None else g.array for g in self._wrapped(gys)])
            gys = gys if self.differentiable else out_grad
            for hook in hooks:
                hook.backward_preprocess(function, in_data, out_grad)
        are_new = False
        if function._accumulates:
            gxs = self._accumulating(function, indexes, gys)
        elif self.differentiable:
            gxs = function.checked_backward(indexes, gys)
        elif function.backward_arrays is not None and not hooks:
            are_new = function.new_gradients
            gxs = function.backward_arrays(indexes, gys)
        else:
            gxs = function.checked_backward(indexes, self._wrapped(gys))
            gxs = self._arrays(function, gxs)
        for hook in hooks:
            hook.backward_postprocess(function, in_data, out_grad)
        inputs, known, debug = function.inputs, self.known, self.debug
        if function._accumulates:  # these are the sums
            for i in indexes:
                known.pop(inputs[i], None)
                self.owned.discard(inputs[i])
        for i, gx in zip(indexes, gxs):
            if gx is None:
                continue
            x = inputs[i]
            if gx.dtype is not x.dtype or gx.shape != x.shape or debug:
                if not self.differentiable:
                    gx = function.fit(gx, x)
                self._check(function, gx, x)
            creator = x._creator_node
            if creator is not None:
                if creator not in self._seen:
                    self.push(creator)
            elif x not in leaves:
                leaves[x] = None
                if (x.grad_var is not None or x.old_style is not None) and not function._accumulates:
                    self._load(x)
            if x in known:
                self.add(x, gx, are_new)
            else:
                known[x] = gx
                if are_new:
                    self.owned.add(x)

    def _wrapped(self, gradients):
        if self.differentiable:
            return gradients
        return tuple([None if g is None else self.wrap(solid(g)) for g in gradients])

    def _accumulating(self, function, indexes, gys):
        known, seen = [], set()
        for i in indexes:
            x = function.inputs[i]
            self._load(x)
            known.append(None if x in seen else self.known.get(x))
            seen.add(x)
        gxs = function.backward_accumulate(indexes, self._wrapped(gys), self._wrapped(known))
        return gxs if self.differentiable else self._arrays(function, gxs)

    def _load(self, node):
        """The first time that a leaf is met, what it already has comes in."""
        if self.targets is None and node._creator_node is None and node not in self.known:
            node.check_differentiable()
            if node.grad_var is not None:
                self.known[node] = node.grad_var if self.differentiable else node.grad_var._any_array

    def _check(self, function, gx, x):
        if gx.shape != x.shape:
            self._fail(function, 'shape', gx.shape, x.shape)
        if gx.dtype != x.dtype:
            self._fail(function, 'dtype', gx.dtype, x.dtype, ValueError if config.debug else TypeError)
        if config.debug:
            array = gx.array if self.differentiable else solid(gx)
            if array.dtype.kind == 'f' and backend.get_array_module(array).isnan(array).any():
                raise RuntimeError(f'NaN is detected on backward computation of {function.label}')

    def _fail(self, function, what, actual, expected, error=ValueError):
        raise error(
            f'{what} of gradients returned from backward is incorrect: {actual} != expected {expected}\n'
            f'{function.describe()}'
        )

    def _arrays(self, function, gradients):
        """The arrays of the Variables that a node's backward returned."""
        try:
            return [None if g is None else g._any_array for g in gradients]
        except AttributeError:
            self._fail(function, 'type', tuple(type(g) for g in gradients), 'Variable or None')


def _add_stack(error, function):
    """Adds to the text of an error where the function was called, which is known in debug mode."""
    if function.stack is not None:
        lines = ''.join(traceback.format_list(function.stack))
        text = f'{error.args[0] if error.args else ""}\n{"-" * 80}\nStacktrace of the function is below:\n{lines}'
        error.args = (text, *error.args[1:])
