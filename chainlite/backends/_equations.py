"""Equations: elementwise formulas, written once, run on NumPy and CuPy.

    @equations
    def momentum(param, grad, v, *, lr, momentum):      # arrays are positional, scalars keyword-only
        v = momentum * v - lr * grad
        return param + v, v

    param, v = momentum(param, grad, v, lr=.1, momentum=.9)              # new arrays
    momentum(param, grad, v, lr=.1, momentum=.9, out=(param, v))         # in place

On NumPy a formula becomes straight-line Python that reuses its temporaries and takes long arrays in blocks that stay
in the cache; on CuPy it becomes one kernel. Arrays broadcast. The result has the dtype that NumPy gives the arrays
together, a scalar takes the arrays' dtype, and what is stored in 16 bits is computed in 32. `gradient` gives the
equations of the derivatives, which are equations again.

Formulas are traced with symbols (see _symbols), so they must be straight-line: `where(condition, a, b)`, no `if`. Both
branches are computed: keep the one that is not chosen finite (`expm1(minimum(x, 0))`).
"""

import functools
import inspect
import operator

import numpy as np

from chainlite.backends._blocks import each, get_num_threads
from chainlite.backends._kernel import Kernel
from chainlite.backends._layout import as_last, is_last, roll, unroll
from chainlite.backends._symbols import (  # noqa: F401  (the vocabulary of formulas)
    BOOLEAN,
    CUDA_PREAMBLE,
    PRIMITIVES,
    ZERO,
    Expr,
    arccos,
    arcsin,
    arctan,
    arctan2,
    arctanh,
    as_expr,
    ceil,
    cos,
    cosh,
    differentiate,
    equal,
    exp,
    expm1,
    floor,
    fmod,
    isnan,
    leaf,
    log,
    log1p,
    log2,
    log10,
    maximum,
    minimum,
    names,
    rsqrt,
    select,
    sigmoid,
    sign,
    sin,
    sinh,
    sqrt,
    substitute,
    tan,
    tanh,
    topological,
    trunc,
    where,
)

# Numbers of elements:
BLOCK = 1 << 18  # up to four blocks stay in the last cache as they are
LONG = 1 << 16  # from here something faster than a program may do it
WORTH_THREADS = 1 << 21  # waking threads of Python takes as long as a pass over some million elements


def equations(function=None, *, outputs=None):
    """Makes `Equations` of a function; `outputs` names its results ('y', or y0, y1, ... by default)."""
    if function is None:
        return functools.partial(equations, outputs=outputs)
    return trace(function, outputs)


def trace(function, outputs=None, label=None):
    parameters = inspect.signature(function).parameters.values()
    inputs = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]
    scalars = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    result = function(*[Expr('name', n) for n in inputs], **{n: Expr('scalar', n) for n in scalars})
    results = result if isinstance(result, tuple) else (result,)
    if outputs is None:
        outputs = 'y' if not isinstance(result, tuple) else ' '.join(f'y{k}' for k in range(len(results)))
    new = Equations(
        label or function.__name__, inputs, scalars, dict(zip(outputs.split(), map(as_expr, results), strict=True))
    )
    return functools.update_wrapper(new, function)


@functools.cache
def chain(label, inputs, results, *stages):
    """The equations of stages that work on the same values, one after the other.

    Args:
        label (str): Name of the result.
        inputs (tuple of str): Its inputs: the names of the values.
        results (tuple of str): The values that it gives.
        stages: Triples of equations, of the values that they take and of the values that their outputs replace (tuples
            of names). Scalar x of stage k is x_k.
    """
    values = {name: Expr('name', name) for name in inputs}
    scalars = []
    for k, (stage, taken, replaced) in enumerate(stages):
        table = {Expr('name', x): values[name] for x, name in zip(stage.inputs, taken, strict=True)}
        table |= {Expr('scalar', x): Expr('scalar', f'{x}_{k}') for x in stage.scalars}
        scalars += [f'{x}_{k}' for x in stage.scalars]
        values.update(zip(replaced, substitute(list(stage.outputs.values()), table), strict=True))
    return Equations(label, inputs, scalars, {f'y{k}': values[name] for k, name in enumerate(results)})


_dtype_of = operator.attrgetter('dtype')


class Equations:
    """Named input arrays and scalars, and one expression per named output."""

    def __init__(self, label, inputs, scalars, outputs, order=0):
        self.label, self.inputs, self.scalars, self.outputs = label, tuple(inputs), tuple(scalars), outputs
        self.order = order  # of differentiation
        self.explicit = {}  # gradients that the author wrote: input name -> expression
        self._programs, self._gradients = {}, {}
        self.plans = {}  # what others remember about them
        self._order = topological(outputs.values())
        self.is_single = sum(not leaf(e) for e in self._order) == 1 and len(outputs) == 1
        self._is_numeric = not any([e.op in BOOLEAN for e in outputs.values()])

    def __call__(self, *arrays, out=None, **scalars):
        values = [scalars[n] for n in self.scalars] if scalars else ()
        ys = self.run(arrays, values) if out is None else self.run_into(arrays, values, out)
        return ys if len(ys) > 1 else ys[0]

    # -- derivatives -------------------------------------------------------------------------------------------------
    def gradient(self, wrt, given):
        """The equations of the gradients of the inputs `wrt` from those of the outputs `given` (tuples of names).

        Its inputs are those inputs, outputs (as values) and 'g' + output names that the formulas use.
        """
        key = wrt, given
        if key not in self._gradients:
            seeds = [Expr('name', 'g' + y) if y in given else ZERO for y in self.outputs]
            derived = differentiate(self.outputs.values(), seeds, [Expr('name', x) for x in wrt])
            # an output that appears inside the gradient is read, not computed again
            ys = {e: Expr('name', y) for y, e in self.outputs.items() if not leaf(e)}
            derived = dict(zip(wrt, substitute(derived, ys)))
            absent = {Expr('name', 'g' + y): ZERO for y in self.outputs if y not in given}
            exprs = [substitute([self.explicit[x]], absent)[0] if x in self.explicit else derived[x] for x in wrt]
            prefix = f'g{self.order + 1}' if self.order else 'g'  # gx, then g2x, g3x: never a clash
            used = names(exprs)
            order = dict.fromkeys([*self.inputs, *self.outputs, *('g' + y for y in self.outputs)])
            self._gradients[key] = Equations(
                self.label + 'Grad',
                [n for n in order if n in used],
                self.scalars,
                {prefix + x: e for x, e in zip(wrt, exprs)},
                self.order + 1,
            )
        return self._gradients[key]

    # -- running -----------------------------------------------------------------------------------------------------
    def run(self, arrays, scalars=()):
        """New arrays, one for each output."""
        x = arrays[0]
        if type(x) is not np.ndarray:
            return self._run_other(arrays, scalars)
        shape, dtype = x.shape, x.dtype
        alike = shape != ()
        for a in arrays[1:]:
            if a.shape != shape:
                alike = False
            if a.dtype is not dtype:
                dtype = None
        if alike and x.size > 1024:
            ys = self._run_long(arrays, scalars)
            if ys is not None:
                return ys
        key = dtype if alike and dtype is not None else (alike, tuple(map(_dtype_of, arrays)))
        program = self._programs.get(key)
        if program is None:
            program = self._programs[key] = self._compile_fresh(alike, tuple(map(_dtype_of, arrays)))
        return program(*arrays, *scalars)

    def _run_long(self, arrays, scalars):
        """What `run` does with long arrays that are alike: in blocks, or channels last; None if neither pays."""
        x = arrays[0]
        if x.size >= LONG and self._is_numeric and all([a.flags.c_contiguous and a.dtype.kind == 'f' for a in arrays]):
            ys = run_long_new(x, self, arrays, scalars)
            if ys is not None:
                return ys
        if x.ndim > 2 and any([is_last(a) for a in arrays]):
            strides, least = x.strides, WORTH_THREADS if self.is_single else LONG
            if x.size < least and all([a.strides == strides for a in arrays]):
                return None  # NumPy keeps the layout
            return tuple([unroll(y) for y in self.run([roll(as_last(a)) for a in arrays], scalars)])
        return None

    def run_into(self, arrays, scalars, out):
        """Writes the outputs to the arrays `out`; one may be an input itself (the same object), not overlap
        otherwise."""
        out = out if isinstance(out, tuple) else (out,)
        y = out[0]
        if type(y) is not np.ndarray:
            kernel = self._cuda_kernel(tuple(a.dtype for a in arrays), tuple(y.dtype for y in out))
            kernel(*arrays, *map(_plain, scalars), *out)
            return out
        everything = (*arrays, *out)
        dtypes = tuple([a.dtype for a in everything])
        if not self._in_place(y.shape, everything, dtypes):
            for y, value in zip(out, self.run(arrays, scalars)):
                y[...] = value
            return out
        places = [id(a) for a in arrays]
        alias = tuple([places.index(id(y)) if id(y) in places else None for y in out])
        if y.size < LONG or not all([a.flags.c_contiguous for a in everything]):
            self.program_into(alias, arrays, out)(*everything, *scalars)
        else:
            run_long(y, self, [everything], scalars, alias)
        return out

    def program_into(self, alias, arrays, out):
        """The program that writes to arrays like `out`; alias: the number of the input that each of them is, or
        None."""
        dtypes = tuple([a.dtype for a in arrays]), tuple([y.dtype for y in out])
        key = alias, *dtypes
        program = self._programs.get(key)
        if program is None:
            program = self._programs[key] = self._compile_into(alias, *dtypes)
        return program

    def run_each(self, batch, into, values):
        """Runs in place for each tuple of arrays of `batch`, which are alike in dtypes: output k overwrites array
        `into[k]`. `values` are those of the scalars, in order."""
        first = batch[0]
        dtypes = tuple([a.dtype for a in first])
        out_dtypes = tuple([dtypes[i] for i in into])
        key = 'each', into, dtypes
        if key not in self._programs:
            usable = all([d.kind == 'f' for d in dtypes])
            program = self._compile_into(into, dtypes, out_dtypes, each=True) if usable else None
            self._programs[key] = program, _compute_dtype(np.result_type(*dtypes))
        program, compute = self._programs[key]
        given = [np.asarray(v, compute) for v in values]  # once, not in each call, and faster than scalars
        short, long, enough = [], [], LONG if get_num_threads() > 1 else 2 * LONG
        for arrays in batch:
            x = arrays[0]
            if program is not None and x.size < enough and x.ndim > 0:
                short.append(arrays)
            elif program is not None and x.ndim > 0 and all([a.flags.c_contiguous for a in arrays]):
                long.append((*arrays, *[arrays[i] for i in into]))
            else:
                self.run_into(arrays, values, tuple([arrays[i] for i in into]))
        if short:
            program(short, *given)
        if long:
            run_long(long[0][0], self, long, values, into)

    @staticmethod
    def _in_place(shape, arrays, dtypes):
        for d in dtypes:
            if d.kind != 'f':
                return False
        for a in arrays:
            if a.shape != shape:
                return False
        return shape != ()

    def _run_other(self, arrays, scalars):
        if isinstance(arrays[0], (np.ndarray, np.generic)):
            return self.run(tuple(map(np.asarray, arrays)), scalars)
        dtypes = tuple(a.dtype for a in arrays)
        rolled = any([is_last(a) for a in arrays]) and all([a.ndim in (arrays[0].ndim, 0) for a in arrays])
        if rolled:
            arrays = [roll(a) for a in arrays]
        ys = self._cuda_kernel(dtypes, (np.result_type(*dtypes),) * len(self.outputs))(*arrays, *map(_plain, scalars))
        ys = ys if isinstance(ys, tuple) else (ys,)
        return tuple(map(unroll, ys)) if rolled else ys

    # -- NumPy -------------------------------------------------------------------------------------------------------
    def _compile_fresh(self, alike, dtypes):
        """A program that returns new arrays. Only among arrays that are alike can a temporary be written over."""
        dtype = np.result_type(*dtypes)
        compute = dtype if self.is_single else _compute_dtype(dtype)
        code = _Code(self, compute, dtypes, reuse=alike and dtype.kind == 'f')
        code.body()
        results = []
        for e in self.outputs.values():
            y = code.text[e]
            if leaf(e) or y in results:  # not a new array
                y = f'full({y}, {code.shape})' if e.op != 'name' else f'{y}.copy()'
            results.append(y)
        if not alike:  # an operation on arrays of no axes gives a scalar
            results = [f'asarray({y}, dtype)' if compute != dtype else f'asarray({y})' for y in results]
        elif compute != dtype:
            results = [f'{y}.astype(dtype, copy=False)' for y in results]
        code.lines.append('return ' + ''.join(y + ', ' for y in results))
        return code.compile(dtype=dtype)

    def _compile_into(self, alias, dtypes, out_dtypes, each=False):
        """A program that writes to given buffers, early where that cannot overwrite an input still to be read.
        `each`: it takes rows of arrays; the buffers are inputs, not given apart, and scalars have the dtype of the
        computation already."""
        compute = _compute_dtype(np.result_type(*dtypes, *out_dtypes))
        buffers = [f'o{k}' for k in range(len(alias))]
        code = _Code(self, compute, dtypes, reuse=True, buffers=() if each else buffers, converted=each)
        if each:
            code.lines[:0] = [f'{buffer} = x{i}' for buffer, i in zip(buffers, alias)]
        for k, (i, d, e) in enumerate(zip(alias, out_dtypes, self.outputs.values())):
            if d == compute and not leaf(e) and e.op not in BOOLEAN and list(self.outputs.values()).count(e) == 1:
                code.target[e] = f'o{k}', code.last_use.get(Expr('name', self.inputs[i]), -1) if i is not None else -1
        for name, e in self.outputs.items():
            if e.op == 'name':  # its buffer may be written over before it is copied
                code.lines.append(f'copy_{name} = {code.text[e]}.copy()')
        code.body()
        for k, (name, e) in enumerate(self.outputs.items()):
            if code.text[e] != f'o{k}':
                value = f'copy_{name}' if e.op == 'name' else code.text[e]
                code.lines.append(f'copyto(o{k}, {value}, casting="same_kind")')
        return code.compile(each)

    # -- CUDA --------------------------------------------------------------------------------------------------------
    def cuda_source(self, dtypes, out_dtypes):
        """(in_params, out_params, operation, name, preamble) of a cupy.ElementwiseKernel for these dtypes."""
        compute = _compute_dtype(np.result_type(*dtypes, *out_dtypes))
        lines, results = self.cuda_statements(lambda e: f'C(in_{e.args[0]})')
        lines = [f'using C = {_ctype(compute)};', *lines]
        if len(results) > 1:  # an output may take the place of what another is computed from
            lines += [f'const auto y{k} = {text};' for k, text in enumerate(results)]
            results = [f'y{k}' for k in range(len(results))]
        lines += [f'out_{y} = {text};' for y, text in zip(self.outputs, results)]
        # Prefixes keep the formula's names apart from those of CuPy's loop: i, n, ...
        ins = [f'{d.name} in_{x}' for x, d in zip(self.inputs, dtypes)]
        ins += [f'{compute.name} in_{x}' for x in self.scalars]
        outs = [f'{d.name} out_{y}' for y, d in zip(self.outputs, out_dtypes)]
        return ', '.join(ins), ', '.join(outs), '\n'.join(lines), self.label, CUDA_PREAMBLE

    def cuda_statements(self, text_of):
        """(statements, expressions of the outputs) in C++, where C is the type of the computation.

        Args:
            text_of (callable): What a name or a scalar, given as an expression, is there.
        """
        uses = [a for e in self._order if not leaf(e) for a in e.args] + list(self.outputs.values())
        text, lines = {}, []
        for e in self._order:
            if leaf(e):
                text[e] = f'C({float(e.args[0])!r})' if e.op == 'const' else text_of(e)
            else:
                text[e] = PRIMITIVES[e.op].cuda.format(*[text[a] for a in e.args])
                if uses.count(e) > 1:
                    lines.append(f'const auto t{len(lines)} = {text[e]};')
                    text[e] = f't{len(lines) - 1}'
        return lines, [text[e] for e in self.outputs.values()]

    def _cuda_kernel(self, dtypes, out_dtypes):
        key = 'cuda', dtypes, out_dtypes
        if key not in self._programs:
            import cupy

            ins, outs, operation, name, preamble = self.cuda_source(*key[1:])
            self._programs[key] = cupy.ElementwiseKernel(ins, outs, operation, name, preamble=preamble)
        return self._programs[key]


def _plain(scalar):
    """The number in an array of no axes, which CuPy's kernels refuse."""
    return scalar.item() if isinstance(scalar, np.ndarray) else scalar


def _compute_dtype(dtype):
    return np.dtype('f') if dtype.itemsize == 2 and dtype.kind not in 'iu' else dtype


def _ctype(dtype):
    if dtype.kind in 'iu':
        name = {1: 'char', 2: 'short', 4: 'int', 8: 'long long'}[dtype.itemsize]
        return f'{"un" if dtype.kind == "u" else ""}signed {name}'
    return {'f4': 'float', 'f8': 'double'}.get(dtype.str[1:], dtype.name)


class _Code:
    """Straight-line Python of some equations, while it is being written."""

    def __init__(self, eqs, compute, dtypes, reuse, buffers=(), converted=False):
        self.eqs, self.compute, self.reuse = eqs, compute, reuse
        self.inputs = [f'x{i}' for i in range(len(eqs.inputs))]
        self.parameters = [*self.inputs, *buffers, *(f's{i}' for i in range(len(eqs.scalars)))]
        self.shape = 'x0.shape'
        self.lines, self.constants = [], {'scalar': compute.type}
        self.text = {Expr('name', n): x for n, x in zip(eqs.inputs, self.inputs)}
        self.text |= {Expr('scalar', n): f's{i}' for i, n in enumerate(eqs.scalars)}
        for x, d in zip(self.inputs, dtypes):
            if d != compute and compute.kind == 'f':
                self.lines.append(f'{x} = {x}.astype(scalar)')
        used = set() if converted else {e.args[0] for e in eqs._order if e.op == 'scalar'}
        self.lines += [f's{i} = scalar(s{i})' for i, n in enumerate(eqs.scalars) if n in used]
        self.target = {}  # expression -> (buffer, the step after which it may be written)
        self.last_use = {a: i for i, e in enumerate(eqs._order) if not leaf(e) for a in e.args}
        self.last_use |= dict.fromkeys(eqs.outputs.values(), len(eqs._order))
        self.array = set()  # the expressions that are arrays
        for e in eqs._order:
            if e.op == 'name' or not leaf(e) and any(a in self.array for a in e.args):
                self.array.add(e)

    def body(self):
        free = {True: [], False: []}  # temporaries that may be written over: booleans, numbers
        owned = set()
        for step, e in enumerate(self.eqs._order):
            if e.op == 'const':
                self.text[e] = c = f'c{len(self.constants)}'
                value = self.compute.type(e.args[0]) if self.compute.kind in 'fc' else e.args[0]
                # Among arrays that are alike, NumPy takes an array of no axes faster than a scalar.
                self.constants[c] = np.asarray(value) if self.reuse and self.compute.kind == 'f' else value
            if leaf(e):
                continue
            boolean = e.op in BOOLEAN
            for a in set(e.args):  # an argument read here for the last time can hold the result
                if self.last_use[a] == step and self.text[a] in owned:
                    free[a.op in BOOLEAN].append(self.text[a])
            name, arguments = self._operation(e)
            out = self.target.get(e, (None, 0))
            out = out[0] if out[0] and out[1] <= step else None
            if self.reuse and e in self.array and name != 'f_where':
                if out is None and free[boolean]:
                    out = free[boolean].pop()
                if out:
                    arguments += f', {out}'  # NumPy takes it faster by its place
            elif out:
                out = None
            self.text[e] = f't{step}' if out is None else out
            if e in self.array and not self.text[e].startswith('o'):
                owned.add(self.text[e])
            self.lines.append(f'{self.text[e]} = {name}({arguments})')

    def _operation(self, e):
        args = list(e.args)
        name = f'f_{e.op}'
        self.constants[name] = PRIMITIVES[e.op].numpy
        if e.op == 'where' and args[2] is ZERO and args[1] in self.array:
            name, args = 'select', args[:2]
        elif e.op == 'where' and args[1] is ZERO and args[2] in self.array and args[0] in self.array:
            return 'select', f'logical_not({self.text[args[0]]}), {self.text[args[2]]}'
        return name, ', '.join(self.text[a] for a in args)

    def compile(self, each=False, **names):
        name, parameters, lines = self.eqs.label.translate(_IDENTIFIER), self.parameters, self.lines
        if each:
            lines = [f'for {", ".join(self.inputs)}, in rows:', *['    ' + line for line in lines]]
            parameters = ['rows', *parameters[len(self.inputs) :]]
        source = f'def {name}({", ".join(parameters)}):\n    ' + '\n    '.join(lines)
        scope = dict(
            self.constants,
            select=select,
            logical_not=np.logical_not,
            full=_full,
            asarray=np.asarray,
            copyto=np.copyto,
            **names,
        )
        exec(compile(source, f'<equations of {self.eqs.label}>', 'exec'), scope)
        return scope[name]


@Kernel
def run_long_new(x, equations, arrays, scalars):
    """New arrays, of long and C-contiguous ones of one shape; x is the first. None where a program does it as fast."""
    pays = x.size >= WORTH_THREADS and x.itemsize > 2 and get_num_threads() > 1
    return new_of_long(equations, arrays, scalars) if pays or x.size > 4 * BLOCK and not equations.is_single else None


def new_of_long(equations, arrays, scalars):
    dtype = np.result_type(*map(_dtype_of, arrays))
    ys = tuple([np.empty(arrays[0].shape, dtype) for _ in equations.outputs])
    equations.run_into(arrays, scalars, ys)
    return ys


@Kernel
def run_long(x, equations, rows, scalars, alias):
    """Runs a formula on long arrays, all C-contiguous and of one shape in each row: inputs, then outputs; x is one of
    them. See `Equations.program_into` for alias."""
    n = len(equations.inputs)
    program = equations.program_into(alias, rows[0][:n], rows[0][n:])
    threaded = sum([row[0].size for row in rows]) >= WORTH_THREADS and get_num_threads() > 1
    parts = []
    for row in rows:
        flat, size = [a.reshape(-1) for a in row], row[0].size
        step = BLOCK if threaded or size > 4 * BLOCK else size
        parts += [(flat, slice(i, i + step)) for i in range(0, size, step)]
    each(lambda part: program(*[a[part[1]] for a in part[0]], *scalars), parts, threaded)


_IDENTIFIER = {ord(c): '_' for c in ' +-*/@<>=.:{}()[]|%&^~,'}


def _full(value, shape):
    return np.full(shape, value, getattr(value, 'dtype', None))
