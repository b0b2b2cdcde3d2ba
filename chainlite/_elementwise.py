"""Elementwise functions as equations.

    @elementwise
    def ELU(x, *, alpha):                                # a node class named ELU; keyword-only arguments are scalars
        \"""Exponential linear unit.\"""
        return where(x > 0, x, alpha * expm1(minimum(x, 0)))

    @ELU.gradient                                        # optional: a formula that is shorter, or retains less
    def _(x, y, gy, *, alpha):                           # inputs, outputs ('y'; y0, y1 ... or `outputs=`), their gradients: whatever is needed
        return where(x > 0, gy, gy * (y + alpha))        # one result for each input (None: derive it)

    y, = ELU(alpha=1.0).apply((x,))

From the formula come the NumPy and CUDA code and the derivatives of every order, see backends/_equations. Inputs broadcast. What the gradient's
formula names is what is retained, and only for the inputs that need a gradient.
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
    namespace = dict(formula=staticmethod(formula), outputs_spec=outputs, scalars=scalars, _label=label, check=check,
                     __doc__=formula.__doc__, __module__=formula.__module__, __qualname__=formula.__name__)
    return type(formula.__name__, (base,), namespace)


class Elementwise(FunctionNode):
    """A node defined by equations. Its scalars are its attributes."""
    is_elementwise = True
    scalars = ()
    _label = None
    _equations = None

    def __init__(self, *args, **scalars):
        if args:
            scalars.update(zip(self.scalars, args))
        self.__dict__.update(scalars)

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
                result = cls.gradient_formula(*[Expr('name', p.name) for p in names if p.kind is not p.KEYWORD_ONLY],
                                              **{p.name: Expr('scalar', p.name) for p in names if p.kind is p.KEYWORD_ONLY})
                result = result if isinstance(result, tuple) else (result,)
                eqs.explicit = {x: as_expr(g) for x, g in zip(eqs.inputs, result, strict=True) if g is not None}
            cls._equations = eqs
        return cls._equations

    @property
    def label(self):
        return type(self).__name__ if self._label is None else self._label.format_map(vars(self)) if '{' in self._label else self._label

    def _values(self):
        return [getattr(self, n) for n in self.scalars]

    def forward(self, inputs):
        eqs = self._equations or self.equations()
        try:
            return eqs.run(inputs, self._values() if self.scalars else ())
        except ValueError:                                   # raised by NumPy; ours names the arguments
            with type_check.get_function_check_context(self):
                types = type_check.get_types(inputs, 'in_types', False)
                type_check.argname(types, eqs.inputs)
                type_check.expect_broadcast_shapes(*[t.shape for t in types])
            raise

    # -- backward: the same for the function and for its derivatives ---------------------------------------------------
    def select_retained(self, needs_grad):
        if not needs_grad:
            return
        eqs = self._equations
        wanted = self._gradient(needs_grad, (True,) * len(eqs.outputs)).inputs
        self.retain_inputs([i for i, n in enumerate(eqs.inputs) if n in wanted])
        outputs = [k for k, n in enumerate(eqs.outputs) if n in wanted]
        if outputs:
            self.retain_outputs(outputs)

    def _gradient(self, indexes, given):
        eqs = self._equations
        return eqs.gradient(tuple([eqs.inputs[i] for i in indexes]), tuple([y for y, known in zip(eqs.outputs, given) if known]))

    def _arguments(self, back, inputs, outputs, gys):
        """What the gradient's equations name, out of the inputs, outputs (by index) and output gradients."""
        eqs = self._equations
        table = {'g' + y: g for y, g in zip(eqs.outputs, gys)}
        for n in back.inputs:
            if n not in table:
                table[n] = inputs(eqs.inputs.index(n)) if n in eqs.inputs else outputs(list(eqs.outputs).index(n))
        return table

    def backward_arrays(self, target_input_indexes, grad_outputs):
        back = self._gradient(target_input_indexes, [g is not None for g in grad_outputs])
        kept = self._retained_output_data and dict(zip(self._output_indexes_to_retain, self._retained_output_data))
        table = self._arguments(back, lambda i: self.inputs[i].data, lambda k: kept[k], grad_outputs)
        gxs = _run(back, table, lambda names: back.run([table[n] for n in names], self._values()))
        return tuple([None if g is None else _sum_to(g, self.inputs[i]) for i, g in zip(target_input_indexes, gxs)])

    def backward(self, target_input_indexes, grad_outputs):
        back = self._gradient(target_input_indexes, [g is not None for g in grad_outputs])
        table = self._arguments(back, lambda i: self.inputs[i].get_variable(), self._output, grad_outputs)
        gxs = _run(back, table, lambda names: self._derived(back).apply([table[n] for n in names]))
        xs = [self.inputs[i] for i in target_input_indexes]
        gxs = [g if g is None or g.shape == x.shape else operations.sum_to(g, x.shape) for g, x in zip(gxs, xs)]
        return tuple([g if g is None or g.dtype == x.dtype else operations.cast(g, x.dtype) for g, x in zip(gxs, xs)])

    def _output(self, index):
        return dict(zip(self._output_indexes_to_retain, self.get_retained_outputs()))[index]

    def _derived(self, equations):
        node = ElementwiseGrad.__new__(ElementwiseGrad)
        node._equations, node.scalars = equations, self.scalars
        node.__dict__.update({n: getattr(self, n) for n in self.scalars})
        return node


class ElementwiseGrad(Elementwise):
    """A derivative of an elementwise function, of any order."""

    @property
    def label(self):
        return self._equations.label


def _run(back, table, compute):
    """The gradients: computed, passed through where the formula is a bare name, None where it is zero."""
    exprs = back.outputs.values()
    if all([leaf(e) for e in exprs]):
        return [table[e.args[0]] if e.op == 'name' else None for e in exprs]
    return [None if e.op == 'const' and e.args[0] == 0 else g for e, g in zip(exprs, compute(back.inputs))]


def _sum_to(gradient, x):
    """Sums over the axes that broadcasting added, on arrays."""
    if gradient.shape != x.shape:
        lead = gradient.ndim - len(x.shape)
        axes = tuple(range(lead)) + tuple(lead + i for i, n in enumerate(x.shape) if n == 1)
        gradient = gradient.sum(axis=axes, keepdims=True).reshape(x.shape)
    if gradient.dtype != x.dtype:
        gradient = gradient.astype(x.dtype)
    return gradient
