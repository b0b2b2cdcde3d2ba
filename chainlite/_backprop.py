"""`backward` and `grad`: the backward pass from several variables, and gradients as return values."""

import warnings

from chainlite import variable
from chainlite._engine import Gradients
from chainlite.backends._deferred import solid
from chainlite.configuration import using_config
from chainlite.utils import argument

_NO_GRADIENT = (
    'outputs contains a Variable without grad, or duplicate outputs. '
    'Note that chainer.backward does not set default grad.'
)


def backward(outputs, grad_outputs=None, **kwargs):
    """Runs the backward pass from several variables at once.

    Args:
        outputs: sequence of Variables.
        grad_outputs: their gradients (Variables or None); their own `grad`, which they lose, if not given; then a
            variable that has none is left out with a warning.
        enable_double_backprop: as in `Variable.backward`.
    """
    argument.check_unexpected_kwargs(kwargs, retain_grad='semantics for retain_grad=True is under discussion')
    (differentiable,) = argument.parse_kwargs(kwargs, ('enable_double_backprop', False))
    if not isinstance(outputs, (tuple, list)):
        raise TypeError(f'outputs must be a tuple or a list, not {type(outputs)}.')
    if grad_outputs is not None:
        if not isinstance(grad_outputs, (tuple, list)):
            raise TypeError(f'grad_outputs must be a tuple or a list or None, not {type(grad_outputs)}.')
        if len(outputs) != len(grad_outputs):
            raise ValueError(
                f'grad_outputs must be of the same length as outputs: {len(outputs)} != {len(grad_outputs)}'
            )
    starts = {}  # by variable: gradients given for the same one are summed, its own counts once
    for y, gy in zip(outputs, grad_outputs or [y.grad_var for y in outputs]):
        known = starts.get(id(y))
        if not grad_outputs and (gy is None or known):
            warnings.warn(_NO_GRADIENT, RuntimeWarning, stacklevel=2)
        elif gy is not None:
            starts[id(y)] = y, gy if known is None else known[1] + gy
    if starts:
        variable.backward_from(*zip(*starts.values()), enable_double_backprop=differentiable)


def grad(
    outputs,
    inputs,
    grad_outputs=None,
    grad_inputs=None,
    set_grad=False,
    retain_grad=False,
    enable_double_backprop=False,
    loss_scale=None,
):
    """Gradients of `outputs` with respect to `inputs`, without touching the gradients of anything else.

    Args:
        outputs, inputs: sequences of Variables.
        grad_outputs: gradients of the outputs to start from (Variables or None); ones by default, times `loss_scale`.
        grad_inputs: gradients of the inputs to add to.
        set_grad: whether to set `grad_var` of the inputs as well.
        retain_grad: whether every variable on the way keeps its gradient.
        enable_double_backprop: whether the gradients get a graph of their own.

    Returns:
        list of Variables, None for an input that no output depends on.
    """
    for name, value in (
        ('outputs', outputs),
        ('inputs', inputs),
        ('grad_outputs', grad_outputs),
        ('grad_inputs', grad_inputs),
    ):
        if value is not None and not isinstance(value, (tuple, list)):
            raise TypeError(f'{name} must be a tuple or a list, not {type(value)}.')
    for name, value, others in ('grad_outputs', grad_outputs, outputs), ('grad_inputs', grad_inputs, inputs):
        if value is not None and len(value) != len(others):
            raise ValueError(
                f'{name} must be of the same length as {name[5:]}.\n'
                f'len({name[5:]}) = {len(others)}, len({name}) = {len(value)}'
            )
    for y in outputs:
        y.node.check_differentiable()
    wanted = [x.node for x in inputs]
    pass_ = Gradients(variable._gradient_variable, enable_double_backprop, retain_grad, _paths(outputs, set(wanted)))
    pass_.kept = set(wanted)
    for x, gx in zip(inputs, grad_inputs or ()):
        if gx is not None:
            pass_.add(x.node, gx if enable_double_backprop else gx._any_array)
    for y, gy in zip(outputs, grad_outputs or [None] * len(outputs)):
        gy = variable._like(y._any_array, 1 if loss_scale is None else loss_scale) if gy is None else gy
        if isinstance(gy, variable.Variable) != enable_double_backprop:
            gy = variable.as_variable(gy) if enable_double_backprop else gy._any_array
        pass_.add(y.node, gy)
        pass_.push(y.creator_node)
    pass_.run()
    gxs = [solid(pass_.known.get(node)) for node in wanted]
    set_grad = set_grad or retain_grad
    if not enable_double_backprop:
        with using_config('enable_backprop', False):
            gxs = [None if gx is None else variable._gradient_variable(gx) for gx in gxs]
    if set_grad:
        for x, gx in zip(inputs, gxs):
            x.grad_var = gx
            x._loss_scale = loss_scale
    return gxs


def _paths(outputs, inputs):
    """The functions on a path from an input to an output, each with the indexes of its inputs on such a path."""
    consumers, seen, functions = {}, set(), [y.creator_node for y in outputs]
    while functions:  # all that the outputs depend on
        function = functions.pop()
        if function is None or function in seen or function.inputs is None:
            continue
        seen.add(function)
        for x in function.inputs:
            if x.requires_grad:
                consumers.setdefault(x, []).append(function)
                functions.append(x.creator_node)
    reached, found, nodes = set(inputs), set(), list(inputs)
    while nodes:  # all that depends on the inputs
        for function in consumers.get(nodes.pop(), ()):
            if function not in found:
                found.add(function)
                new = {y() for y in function.outputs} - reached - {None}
                reached |= new
                nodes += new
    return {f: tuple([i for i, x in enumerate(f.inputs) if x in reached and x.requires_grad]) for f in found}
