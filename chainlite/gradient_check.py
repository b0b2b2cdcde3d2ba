"""Checking gradients against differences.

:func:`check_backward` compares ``func``'s gradients with differences along one random direction through all inputs, so
its cost does not grow with their size; :func:`check_double_backward` does so for the gradient as a function.
"""

import math

import numpy

from chainlite import backend
from chainlite.backends import cuda
from chainlite.configuration import config, using_config
from chainlite.function_node import FunctionNode, grad
from chainlite.variable import Variable

__all__ = [
    'NondifferentiableError',
    'assert_allclose',
    'check_backward',
    'check_double_backward',
    'numerical_grad',
]


def assert_allclose(x, y, atol=1e-5, rtol=1e-4, verbose=True):
    """Asserts that arrays are equal up to ``atol + rtol * abs(y)``, wherever they are; NaN equals NaN.

    Args:
        x (array): The actual values.
        y (array): The expected values.
        atol (float): Absolute tolerance.
        rtol (float): Relative tolerance.
        verbose (bool): Whether the error shows the arrays as NumPy does.

    Raises:
        AssertionError: with the worst element among those that differ.
    """
    x, y = (backend.CpuDevice().send(a) for a in (x, y))
    try:
        numpy.testing.assert_allclose(x, y, atol=atol, rtol=rtol, verbose=verbose)
    except AssertionError as e:
        raise AssertionError(f'{e}\n\n{_details(x, y, atol, rtol)}') from None


def _details(x, y, atol, rtol):
    lines = ['assert_allclose failed:', f'  shape: {x.shape} {y.shape}', f'  dtype: {x.dtype} {y.dtype}']
    if x.shape == y.shape and x.size:
        x1, y1 = numpy.atleast_1d(x), numpy.atleast_1d(y)
        wide = numpy.result_type(x1, y1, numpy.float64)
        with numpy.errstate(all='ignore'):
            error = numpy.abs(x1.astype(wide) - y1.astype(wide))
            excess = error - rtol * numpy.abs(y1)
        excess[~numpy.isfinite(excess) & ~(numpy.isnan(x1) & numpy.isnan(y1))] = numpy.inf
        i = numpy.unravel_index(numpy.nanargmax(excess), x1.shape)
        tolerance = rtol * abs(y1[i].item())
        relative = error[i] / abs(y1[i].item()) if y1[i] != 0 else numpy.inf
        lines += [
            f'  i: {tuple(int(k) for k in i)}',
            f'  x[i]: {x1[i].item()}',
            f'  y[i]: {y1[i].item()}',
            f'  relative error[i]: {relative}',
            f'  absolute error[i]: {error[i]}',
            f'  relative tolerance * |y[i]|: {tolerance}',
            f'  absolute tolerance: {atol}',
            f'  total tolerance: {atol + tolerance}',
        ]
    with numpy.printoptions(threshold=10000):
        lines += ['x: ' + numpy.array2string(x, prefix='x: '), 'y: ' + numpy.array2string(y, prefix='y: ')]
    return '\n'.join(lines) + '\n'


class NondifferentiableError(Exception):
    """The function has no derivative at the given point, or the steps of the differences are too long."""


def numerical_grad(
    f,
    inputs,
    grad_outputs,
    eps=1e-3,
    detect_nondifferentiable=False,
    diff_atol=0,
    diff_rtol=1e-2,
    center_outputs=None,
):
    """Computes gradients by central differences.

    Args:
        f (callable): Takes no arguments and returns a tuple of arrays, computed from ``inputs``, which are changed in
            place for that.
        inputs (tuple of float arrays): What to differentiate by.
        grad_outputs (tuple): Gradients of the outputs: arrays, scalars, or None for outputs that do not count.
        eps (float): Step; the difference quotient is ``(f(x + eps) - f(x - eps)) / (2 eps)``.
        detect_nondifferentiable (bool): Whether to look for points without derivative: a parabola through the values at
            five points must fit.
        diff_atol, diff_rtol (float): How well: the root mean square of the misfit must not exceed ``diff_atol +
            diff_rtol * (largest - smallest value)``.
        center_outputs (tuple of arrays): The outputs at the point, if they are known.

    Returns:
        tuple of arrays: Gradients like ``inputs``.

    Raises:
        NondifferentiableError: if there is no derivative.
    """
    assert eps > 0, f'eps must be positive: {eps}'
    if any(x.dtype.kind != 'f' for x in inputs):
        raise RuntimeError('The dtype of input arrays must be kind of float')
    arrays = [a for a in (*inputs, *grad_outputs) if isinstance(a, backend.get_array_types())]
    if len({cuda.is_cupy_array(a) for a in arrays}) > 1:
        raise RuntimeError('cannot mix NumPy and CuPy arrays')
    grad_outputs = tuple(grad_outputs)
    center = None
    if detect_nondifferentiable:
        center = _copied(f() if center_outputs is None else center_outputs)

    gradients = []
    for i, x in enumerate(inputs):
        gx = backend.get_array_module(x).zeros_like(x)
        for index in numpy.ndindex(x.shape):
            below, above = _evaluate(f, x, index, (-eps, eps))
            if detect_nondifferentiable:
                between = _evaluate(f, x, index, (-eps / 2, eps / 2))
                values = (below, between[0], center, between[1], above)
                _check_differentiable(values, grad_outputs, i, x, index, eps, diff_atol, diff_rtol)
            gx[index] = _quotient(below, above, grad_outputs, eps)
        gradients.append(gx)
    return tuple(gradients)


def _evaluate(f, x, index, steps):
    """The outputs of f with one element of x moved by each of the steps; x is put back."""
    original = x[index].copy()
    results = []
    try:
        for step in steps:
            x[index] = original + step
            results.append(_copied(f()))
    finally:
        x[index] = original
    return results


def _copied(outputs):
    """Copies: an output may be a view of an input, which changes."""
    return tuple(y.copy() if isinstance(y, backend.get_array_types()) else y for y in outputs)


def _quotient(below, above, grad_outputs, eps):
    total = 0
    for y0, y1, gy in zip(below, above, grad_outputs):
        if gy is None or y0 is None:
            continue
        assert numpy.isscalar(gy) or numpy.isscalar(y0) or y0.shape == gy.shape, f'{y0.shape} != {gy.shape}'
        difference = numpy.float64(y1) - y0 if numpy.isscalar(y0) else y1.astype(numpy.float64) - y0
        total = total + (difference * gy).sum()
    return total / (2 * eps)


# Projects the values at -1, -1/2, 0, 1/2, 1 to what no parabola fits.
_u = numpy.linspace(-1, 1, 5)[:, None] ** numpy.arange(3)
_MISFIT = numpy.eye(5) - _u @ numpy.linalg.pinv(_u)


def _check_differentiable(values, grad_outputs, i_in, x, index, eps, atol, rtol):
    for i_out, (ys, gy) in enumerate(zip(zip(*values), grad_outputs)):
        if gy is None or ys[0] is None:
            continue
        ys = [numpy.asarray(backend.CpuDevice().send(y), numpy.float64) for y in ys]
        table = numpy.stack([y.ravel() for y in ys])
        undefined = numpy.isnan(table)
        details = ''
        if (undefined.any(0) & ~undefined.all(0)).any():
            smooth = False
        else:
            with numpy.errstate(invalid='ignore'):
                table = table - table[2]  # few digits are left of small changes of large values
                error = numpy.sqrt(numpy.square(_MISFIT @ table).mean(0))
                spread = table.max(0) - table.min(0)
                smooth = not (error > atol + rtol * spread).any()
            details = (
                f'diff_rtol: {rtol}\ndiff_atol: {atol}\nymax: {numpy.max(ys, 0)}\nymin: {numpy.min(ys, 0)}\n'
                f'diff_atol + diff_rtol * (ymax-ymin): {(atol + rtol * spread).reshape(ys[0].shape)}\n'
                f'fitting errors: {error.reshape(ys[0].shape)}\n'
            )
        if not smooth:
            names = ('y[x-eps  ]', 'y[x-eps/2]', 'y[x      ]', 'y[x+eps/2]', 'y[x+eps  ]')
            shown = ''.join(f'{name}: {y}\n' for name, y in zip(names, ys))
            raise NondifferentiableError(
                'Tried to compute the numeric gradient on a non-differentiable point.\n\n'
                f'i_in: {i_in}\ni_out: {i_out}\nx: {x}\nindex on x: {index}\neps: {eps}\n{details}{shown}'
            )


def check_backward(
    func,
    x_data,
    y_grad,
    params=(),
    eps=1e-3,
    atol=1e-5,
    rtol=1e-4,
    no_grads=None,
    dtype=None,
    detect_nondifferentiable=False,
):
    """Checks the gradients that ``func`` computes in backward against differences.

    With a random direction d of length 1 through all floating inputs and parameters, ``sum(gradient * d)`` must be the
    derivative of ``sum(y_grad * func(x + t * d))`` by t.

    Args:
        func (callable): Takes Variables and returns a Variable or a tuple of them.
        x_data (array or tuple of arrays): Inputs.
        y_grad (array, tuple of arrays or None): Gradients of the outputs, each of which may be None; None if the only
            output is a scalar.
        params (Variable or tuple of Variables): Parameters that ``func`` uses, whose gradients are checked too.
        eps (float): Step of the differences.
        atol, rtol (float): Tolerances of the comparison.
        no_grads (list of bool): For each input, whether it has no gradient; those that are not floating if None.
        dtype: Floating dtype in which the differences are computed; that of the inputs if None.
        detect_nondifferentiable (bool): Whether to raise a NondifferentiableError at a point without derivative.

    Raises:
        AssertionError: if the gradients do not match.
    """
    _CheckBackward(func, x_data, y_grad, params, eps, atol, rtol, no_grads, dtype, detect_nondifferentiable).run()


def check_double_backward(
    func,
    x_data,
    y_grad,
    x_grad_grad,
    params=(),
    params_grad_grad=(),
    eps=1e-3,
    atol=1e-4,
    rtol=1e-3,
    no_grads=None,
    dtype=None,
    detect_nondifferentiable=False,
):
    """Checks the gradients of ``func``'s gradients against differences.

    The arguments are those of :func:`check_backward`, and in addition:

    Args:
        x_grad_grad (array or tuple of arrays): Gradients of the gradients of the inputs, each of which may be None.
        params_grad_grad (array or tuple of arrays): The same of the parameters.
        no_grads (list of bool): For each input and each of ``y_grad``, whether it has no gradient.

    Raises:
        AssertionError: if the gradients do not match.
    """
    xs, params, gys = _as_tuple(x_data), _as_tuple(params), _as_tuple(y_grad)
    ggxs, gg_params = _as_tuple(x_grad_grad), _as_tuple(params_grad_grad) or (None,) * len(params)
    counted = [i for i, gy in enumerate(gys) if gy is not None]

    def gradients(*inputs):
        """The gradients of the inputs and parameters, as a function of the inputs and the output gradients."""
        targets = (*inputs[: len(xs)], *params)
        ys = _as_tuple(func(*inputs[: len(xs)]))
        seeds = None if y_grad is None else inputs[len(xs) :]
        found = grad([ys[i] for i in counted] if seeds else ys, targets, seeds, enable_double_backprop=True)
        if len(ggxs) < len(xs):  # inputs without a gradient, such as labels, do not count
            return tuple(gx for gx in found if gx is not None)
        return tuple(_zeros(x) if gx is None else gx for x, gx in zip(targets, found))

    if no_grads is not None:
        no_grads = [*no_grads[: len(xs)], *(flag for flag, gy in zip(no_grads[len(xs) :], gys) if gy is not None)]
    try:
        check_backward(
            gradients,
            (*xs, *(gys[i] for i in counted)),
            (*ggxs, *gg_params),
            params,
            eps,
            atol,
            rtol,
            no_grads,
            dtype,
            detect_nondifferentiable,
        )
    except AssertionError as e:
        kinds = {'input': xs, 'grad_output': gys, 'grad_grad_input': ggxs, 'grad_grad_param': gg_params}
        shown = ''.join(f'{kind}[{i}]:\n{a}\n' for kind, arrays in kinds.items() for i, a in enumerate(arrays))
        raise AssertionError(f'check_double_backward failed (eps={eps} atol={atol} rtol={rtol})\n{shown}\n{e}') from e


class _CheckBackward:
    """One run of :func:`check_backward`, whose arguments it has."""

    def __init__(self, func, x_data, y_grad, params, eps, atol, rtol, no_grads, dtype, detect_nondifferentiable):
        self.func, self.eps, self.atol, self.rtol = func, eps, atol, rtol
        self.detect_nondifferentiable = detect_nondifferentiable
        self.xs, self.params = _as_tuple(x_data), _as_tuple(params)
        self.gys = None if y_grad is None else _as_tuple(y_grad)
        self.dtype = None if dtype is None else numpy.dtype(dtype)
        if dtype is not None and self.dtype.kind != 'f':
            raise ValueError('`dtype` is allowed only float type')
        if no_grads is None:
            no_grads = [x.dtype.kind != 'f' for x in self.xs]
        if len(no_grads) != len(self.xs):
            raise ValueError(
                f'Length of no_grads param and xs should be same.\nActual: {len(no_grads)} != {len(self.xs)}'
            )
        self.no_grads = no_grads
        self.device = backend.get_device_from_array(*self.xs)

    def run(self):
        gradients = self._gradients()
        if not gradients:
            return
        sizes = [gx.size for gx in gradients]
        with self.device.create_context():
            vector = self._sample_unit_vector(sum(sizes), self.device.xp)
        starts = numpy.cumsum([0, *sizes])
        directions = [vector[i : i + gx.size].reshape(gx.shape) for i, gx in zip(starts.tolist(), gradients)]
        numeric = self._numeric(directions)
        backward = sum(float((gx.astype(numpy.float64) * d).sum()) for gx, d in zip(gradients, directions))
        try:
            assert_allclose(numeric, numpy.asarray(backward), atol=self.atol, rtol=self.rtol)
        except AssertionError as e:
            kinds = {'inputs': self.xs, 'grad_outputs': self.gys, 'directions': directions}
            shown = ''.join(f'{kind}[{i}]:\n{a}\n' for kind, arrays in kinds.items() for i, a in enumerate(arrays))
            raise AssertionError(
                f'check_backward failed (eps={self.eps} atol={self.atol} rtol={self.rtol})\n{shown}'
                f'gradients (numeric):  {numeric}\ngradients (backward): {backward}\n\n'
                f'x: numeric gradient, y: backward gradient{e}'
            ) from None

    def _gradients(self):
        """Those that backward gives: of the inputs that have one, then of the parameters."""
        xs = [Variable(x) for x in self.xs]
        ys = _as_tuple(self.func(*xs))
        self._check_grad_outputs(ys)
        for v in (*xs, *self.params):
            v.cleargrad()
        _Seed(self.gys).apply(ys)[0].backward()
        for x, skipped in zip(xs, self.no_grads):
            if skipped and x.grad is not None:
                raise RuntimeError('gradient of int variable must be None')
        targets = [x for x, skipped in zip(xs, self.no_grads) if not skipped] + list(self.params)
        return [_zeros(x).array if x.grad is None else x.grad for x in targets]

    def _check_grad_outputs(self, ys):
        shapes = ', '.join(_described(y) for y in ys)
        if self.gys is None:
            if len(ys) != 1 or ys[0].shape != ():
                raise ValueError(
                    'y_grad argument cannot be omitted if the target function is not a loss function, which has a '
                    f'single output with shape ().\nActual output shapes: {", ".join(str(y.shape) for y in ys)}'
                )
            self.gys = (ys[0].xp.ones_like(ys[0].array),)
        both = (
            f'\nOutput shapes and dtypes         : {shapes}\n'
            f'Output gradient shapes and dtypes: {", ".join(_described(gy) for gy in self.gys)}'
        )
        if len(ys) != len(self.gys):
            raise ValueError(
                'Output gradients must contain equally as many elements as the number of output elements.' + both
            )
        if any(gy is not None and (y.shape, y.dtype) != (gy.shape, gy.dtype) for y, gy in zip(ys, self.gys)):
            raise ValueError('Shapes and/or dtypes of outputs and output gradients do not match.' + both)

    def _numeric(self, directions):
        """The derivative along the directions, by differences."""
        t = self.device.xp.zeros((), numpy.float64)
        originals = [p.array for p in self.params]

        def moved(x, direction):
            if x.dtype.kind != 'f':
                return x
            dtype = self.dtype or x.dtype
            return self.device.xp.asarray(x if direction is None else x + t * direction, dtype)

        def f():
            remaining = iter(directions)
            xs = [moved(x, None if skipped else next(remaining)) for x, skipped in zip(self.xs, self.no_grads)]
            for p, array in zip(self.params, originals):
                p.array = moved(array, next(remaining))
            return tuple(y.array for y in _as_tuple(self.func(*[Variable(x) for x in xs])))

        try:
            # arrays that the function holds are not cast with its inputs, so that their dtypes may differ
            with using_config('type_check', config.type_check and self.dtype is None):
                (gradient,) = numerical_grad(
                    f, (t,), self.gys, self.eps, self.detect_nondifferentiable, diff_atol=0, diff_rtol=self.rtol
                )
        finally:
            for p, array in zip(self.params, originals):
                p.array = array
        return gradient

    @staticmethod
    def _sample_unit_vector(size, xp):
        """A random vector of length 1, none of whose elements is so small that its gradient would not count."""
        vector = xp.random.normal(size=(size,))
        vector /= xp.sqrt(xp.square(vector).sum()) or 1
        sign = xp.where(vector < 0, -1.0, 1.0)
        vector = sign * xp.maximum(abs(vector), 0.11 / math.sqrt(max(size, 1)))
        return vector / (xp.sqrt(xp.square(vector).sum()) or 1)


class _Seed(FunctionNode):
    """A scalar whose gradients by its inputs are given: backward from it starts with them."""

    def __init__(self, grad_outputs):
        self.grad_outputs = grad_outputs

    def forward(self, inputs):
        return (backend.get_array_module(*inputs).zeros((), numpy.float32),)

    def backward(self, indexes, grad_outputs):
        return tuple(None if self.grad_outputs[i] is None else Variable(self.grad_outputs[i]) for i in indexes)


def _as_tuple(x):
    if x is None:
        return ()
    return tuple(x) if isinstance(x, (list, tuple)) else (x,)


def _zeros(x):
    return Variable(x.xp.zeros_like(x.array))


def _described(x):
    return 'None' if x is None else f'{x.shape}:{x.dtype.name}'
