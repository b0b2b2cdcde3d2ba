"""Elementwise functions as equations.

    @elementwise
    def ELU(x, *, alpha):                            # a node class named ELU; keyword-only arguments are scalars
        return where(x > 0, x, alpha * expm1(minimum(x, 0)))

    @ELU.gradient                                    # optional: a formula that is shorter, or retains less
    def _(x, y, gy, *, alpha):                       # of inputs, outputs and output gradients, whatever is needed
        return where(x > 0, gy, gy * (y + alpha))    # one result for each input (None: derive it)

    y, = ELU(alpha=1.0).apply((x,))

From the formula come the NumPy and CUDA code and the derivatives of every order, see backends/_equations. Inputs
broadcast. What the gradient's formula names is what is retained, and only for the inputs that need a gradient. The
output is called y; several are y0, y1, ... or what `outputs=` says.
"""

import functools
import inspect

from chainlite.backends._equations import trace
from chainlite.backends._symbols import Expr, as_expr, leaf
from chainlite.function_node import FunctionNode
from chainlite.utils import type_check
from chainlite.variable import operations


def elementwise(formula=None, *, label=None, check=None, outputs=None, base=None):
    """Makes a node class of a formula.

    Args:
        label: shown in graphs; the class's name by default. '{value}' in it is replaced by the scalar `value`.
        check: type check, see utils.type_check; by default all inputs must be floating point arrays that broadcast.
        outputs: names of the outputs, separated by spaces.
        base: the class to derive from, Elementwise by default.
    """
    if formula is None:
        return functools.partial(elementwise, label=label, check=check, outputs=outputs, base=base)
    base = base or Elementwise
    parameters = inspect.signature(formula).parameters.values()
    scalars = tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)
    inputs = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]
    if check is None:
        check = ', '.join(f'{x}: f' + ' (*s)' * (len(inputs) == 1) for x in inputs)
    namespace = dict(
        formula=staticmethod(formula),
        outputs_spec=outputs,
        scalars=scalars,
        _label=label,
        check=check,
        __doc__=formula.__doc__,
        __module__=formula.__module__,
        __qualname__=formula.__name__,
    )
    if not scalars:
        namespace['__init__'] = object.__init__  # nothing to do, and so in no time
    return type(formula.__name__, (base,), namespace)


class Elementwise(FunctionNode):
    """A node defined by equations. Its scalars are its attributes."""

    is_elementwise = any_layout = gives_new = True
    scalars = ()
    _label = None
    _equations = _usual_plan = None

    def __init__(self, *args, **scalars):
        if args:
            scalars.update(zip(self.scalars, args))
        for name, value in scalars.items():
            setattr(self, name, value)  # `__dict__` would make all attributes of the object slower

    @classmethod
    def gradient(cls, formula):
        """Decorator: gives the gradients of all inputs as a formula."""
        cls.gradient_formula = staticmethod(formula)
        return formula

    gradient_formula = None

    @classmethod
    def equations(cls):
        """The equations, traced on first use."""
        if '_equations' not in vars(cls):
            eqs = trace(cls.formula, cls.outputs_spec, cls.__name__)
            if cls.gradient_formula is not None:
                names = inspect.signature(cls.gradient_formula).parameters.values()
                result = cls.gradient_formula(
                    *[Expr('name', p.name) for p in names if p.kind is not p.KEYWORD_ONLY],
                    **{p.name: Expr('scalar', p.name) for p in names if p.kind is p.KEYWORD_ONLY},
                )
                result = result if isinstance(result, tuple) else (result,)
                eqs.explicit = {x: as_expr(g) for x, g in zip(eqs.inputs, result, strict=True) if g is not None}
            cls._equations = eqs
        return cls._equations

    @property
    def label(self):
        if self._label is None:
            return type(self).__name__
        if '{' not in self._label:
            return self._label
        return self._label.format_map({n: constant_text(getattr(self, n)) for n in self.scalars})

    def _values(self):
        return [getattr(self, n) for n in self.scalars]

    def forward(self, inputs):
        eqs = self._equations or self.equations()
        try:
            return eqs.run(inputs, self._values() if self.scalars else ())
        except ValueError:  # raised by NumPy; ours names the arguments
            with type_check.get_function_check_context(self):
                types = type_check.get_types(inputs, 'in_types', False)
                type_check.argname(types, eqs.inputs)
                type_check.expect_broadcast_shapes(*[t.shape for t in types])
            raise

    # -- backward: the same for the function and for its derivatives ---------------------------------------------------
    def _plan(self, indexes, given):
        """How to get the gradients of the inputs `indexes`; `given`: those of the outputs (an empty tuple: all are)."""
        key = indexes
        if len(given) > 1:  # otherwise the only one is there
            key = indexes, tuple([g is not None for g in given])
        equations = self._equations or self.equations()
        plan = equations.plans.get(key)
        if plan is None:
            known = (True,) * len(equations.outputs) if key is indexes else key[1]
            plan = equations.plans[key] = _Plan(equations, indexes, known)
        return plan

    def select_retained(self, needs_grad):
        if needs_grad:
            plans = (self._equations or self.equations()).plans
            self._usual_plan = plan = plans.get(needs_grad) or self._plan(needs_grad, ())
            self._input_indexes_to_retain = plan.retained_inputs
            self._output_indexes_to_retain = plan.retained_outputs

    def backward_arrays(self, target_input_indexes, grad_outputs):
        if target_input_indexes is self._needs_grad and len(grad_outputs) == 1:
            plan = self._usual_plan
        else:
            plan = self._plan(target_input_indexes, grad_outputs)
        arguments = []
        for kind, i in plan.arguments:
            if kind == _GRADIENT:
                arguments.append(grad_outputs[i])
            elif kind == _INPUT:
                arguments.append(self.inputs[i].data)
            else:
                arguments.append(self._retained_output_data[self._output_indexes_to_retain.index(i)])
        if plan.passes:
            return plan.passed(arguments)
        gxs = plan.equations.run(arguments, self._values() if self.scalars else ())
        return tuple([None if zero else gx for gx, zero in zip(gxs, plan.zeros)]) if plan.any_zero else gxs

    def fit(self, gradient, x):
        return _sum_to(gradient, x)

    def backward(self, target_input_indexes, grad_outputs):
        plan = self._plan(target_input_indexes, grad_outputs)
        outputs = plan.retained_outputs and dict(zip(self._output_indexes_to_retain, self.get_retained_outputs()))
        arguments = [
            self.inputs[i].get_variable() if kind == _INPUT else grad_outputs[i] if kind == _GRADIENT else outputs[i]
            for kind, i in plan.arguments
        ]
        gxs = plan.passed(arguments) if plan.passes else self._derived(plan.equations).apply(arguments)
        xs = [self.inputs[i] for i in target_input_indexes]
        gxs = [
            None if zero else g if g.shape == x.shape else operations.sum_to(g, x.shape)
            for g, x, zero in zip(gxs, xs, plan.zeros)
        ]
        return tuple([g if g is None or g.dtype == x.dtype else operations.cast(g, x.dtype) for g, x in zip(gxs, xs)])

    def _derived(self, equations):
        node = ElementwiseGrad.__new__(ElementwiseGrad)
        node._equations, node.scalars = equations, self.scalars
        for name in self.scalars:
            setattr(node, name, getattr(self, name))
        return node


def constant_text(value):
    """A scalar as it stands in a label: negative ones in parentheses."""
    return f'({value})' if value < 0 else str(value)


_INPUT, _OUTPUT, _GRADIENT = range(3)


class _Plan:
    """How the gradients of some inputs come from those of some outputs: the equations, and where their arguments are
    found.

    Attributes:
        equations: of the gradients.
        arguments: for each input of the equations, its kind (input, output, output gradient of the function) and its
        index.
        retained_inputs, retained_outputs: the indexes among these that must be retained (None: no output).
        passes: whether every gradient is one of the arguments as it is, or zero: there is nothing to compute.
        zeros, any_zero: for each gradient, whether it is zero; whether one is.
    """

    def __init__(self, eqs, indexes, given):
        outputs = list(eqs.outputs)
        back = eqs.gradient(
            tuple([eqs.inputs[i] for i in indexes]), tuple([y for y, known in zip(outputs, given) if known])
        )
        places = {'g' + y: (_GRADIENT, k) for k, y in enumerate(outputs)}
        places.update(
            {y: (_OUTPUT, k) for k, y in enumerate(outputs)}, **{x: (_INPUT, i) for i, x in enumerate(eqs.inputs)}
        )
        exprs = back.outputs.values()
        self.equations = back
        self.arguments = [places[n] for n in back.inputs]
        self.retained_inputs = tuple([i for kind, i in self.arguments if kind == _INPUT])
        self.retained_outputs = tuple([i for kind, i in self.arguments if kind == _OUTPUT]) or None
        self.zeros = [e.op == 'const' and e.args[0] == 0 for e in exprs]
        self.any_zero = any(self.zeros)
        self.passes = all([leaf(e) for e in exprs])
        self._sources = [None if e.op != 'name' else back.inputs.index(e.args[0]) for e in exprs] if self.passes else ()

    def passed(self, arguments):
        """The arguments that are the gradients."""
        return [None if i is None else arguments[i] for i in self._sources]


class ElementwiseGrad(Elementwise):
    """A derivative of an elementwise function, of any order."""

    @property
    def label(self):
        return self._equations.label


def _sum_to(gradient, x):
    """Sums over the axes that broadcasting added, on arrays."""
    if gradient.dtype is x.dtype and gradient.shape == x.shape:
        return gradient
    if gradient.shape != x.shape:
        lead = gradient.ndim - len(x.shape)
        axes = tuple(range(lead)) + tuple(lead + i for i, n in enumerate(x.shape) if n == 1)
        gradient = gradient.sum(axis=axes, keepdims=True).reshape(x.shape)
    if gradient.dtype != x.dtype:
        gradient = gradient.astype(x.dtype)
    return gradient
