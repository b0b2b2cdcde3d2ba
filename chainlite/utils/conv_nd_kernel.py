"""CUDA code of `im2col_nd` and `col2im_nd` for any number of dimensions: one thread for each element of the result."""

import functools

from chainlite.backends import cuda


def vars(prefix, n):
    """['prefix_0', 'prefix_1', ...]: the names of `n` variables."""
    return [f'{prefix}_{i}' for i in range(n)]


def mulexp(xs, init=None):
    """The product 'init * x_0 * x_1 ...'."""
    return ' * '.join(xs if init is None else [init, *xs])


def andexp(xs, init=None):
    """The conjunction 'init && x_0 && x_1 ...'."""
    return ' && '.join(xs if init is None else [init, *xs])


def muladdexp(xs, ys, init=None):
    """Horner's scheme '(y_1 + x_1 * (y_0 + x_0 * init))': the position that the indices `ys` have in sizes `xs`."""
    terms = list(zip(xs, ys))
    if init is None:
        init = terms.pop(0)[1]
    return functools.reduce(lambda inner, term: f'({term[1]} + {term[0]} * {inner})', terms, init)


def map_(fn, *lst):
    """`map` as a list."""
    return list(map(fn, *lst))


def succ_sublists(xs):
    """[xs, xs[1:], ..., [xs[-1]]]."""
    return [xs[i:] for i in range(len(xs))]


class Writer:
    """Lines of code with their indentation."""

    def __init__(self):
        self._indent = 0
        self._lines = []

    def write(self, line, indent=None):
        """Adds a line; 'inc' indents those after it, 'dec' takes that back from this line on."""
        if indent in ('dec', 'decinc'):
            self._indent -= 1
        self._lines.append('  ' * self._indent + line)
        if indent in ('inc', 'decinc'):
            self._indent += 1

    def get(self):
        """All lines as one string."""
        return '\n'.join(self._lines)


def _numbers(n):
    """The sizes that both kernels take, as parameters."""
    return ', '.join('int32 ' + name for prefix in ('d', 'out', 'k', 's', 'p', 'di') for name in vars(prefix, n))


def _split_index(writer, prefixes, n):
    """Declares indices into the dimensions that `prefixes` names, from the last, and `c0`, the index in all others."""
    writer.write('ptrdiff_t c0 = i;')
    for size, index in reversed([pair for prefix, names in prefixes for pair in zip(vars(prefix, n), vars(names, n))]):
        writer.write(f'const int {index} = c0 % {size};')
        writer.write(f'c0 /= {size};')


class Im2colNDKernel:
    """The kernel that gathers patches."""

    @staticmethod
    def generate(ndim):
        """Parameters, result, code and name of the kernel, as CuPy's ElementwiseKernel takes them."""
        return _im2col_nd_kernel(ndim)

    @staticmethod
    def kernel(ndim):
        """The kernel itself."""
        return cuda.elementwise(*Im2colNDKernel.generate(ndim))

    @staticmethod
    def _generate(n):
        writer = Writer()
        _split_index(writer, [('k', 'kx'), ('out', 'x')], n)
        for y, x, s, p, kx, di in zip(*(vars(v, n) for v in ('y', 'x', 's', 'p', 'kx', 'di'))):
            writer.write(f'const int {y} = {x} * {s} - {p} + {kx} * {di};')
        inside = andexp([f'0 <= {y} && {y} < {d}' for y, d in zip(vars('y', n), vars('d', n))])
        writer.write(f'col = {inside} ? img[{muladdexp(vars("d", n), vars("y", n), "c0")}] : T(0);')
        return f'raw T img, {_numbers(n)}', 'T col', writer.get(), f'im2col_{n}d'


class Col2imNDKernel:
    """The kernel that adds patches up; each thread looks for the patches that its pixel is in."""

    @staticmethod
    def generate(ndim):
        """Parameters, result, code and name of the kernel, as CuPy's ElementwiseKernel takes them."""
        return _col2im_nd_kernel(ndim)

    @staticmethod
    def kernel(ndim):
        """The kernel itself."""
        return cuda.elementwise(*Col2imNDKernel.generate(ndim))

    @staticmethod
    def _generate(n):
        writer = Writer()
        _split_index(writer, [('d', 'y')], n)
        writer.write('T sum = 0;')
        for kx, k, x, y, p, s, out, di in zip(*(vars(v, n) for v in ('kx', 'k', 'x', 'y', 'p', 's', 'out', 'di'))):
            writer.write(f'for (int {kx} = 0; {kx} < {k}; ++{kx}) {{', 'inc')
            writer.write(f'const int {x} = {y} + {p} - {kx} * {di};')
            writer.write(f'if ({x} < 0 || {x} >= {out} * {s} || {x} % {s} != 0) continue;')
        sizes = vars('k', n) + vars('out', n)
        places = vars('kx', n) + [f'{x} / {s}' for x, s in zip(vars('x', n), vars('s', n))]
        writer.write(f'sum += col[{muladdexp(sizes, places, "c0")}];')
        for _ in range(n):
            writer.write('}', 'dec')
        writer.write('img = sum;')
        return f'raw T col, {_numbers(n)}', 'T img', writer.get(), f'col2im_{n}d'


@cuda.memoize()
def _im2col_nd_kernel(ndim):
    return Im2colNDKernel._generate(ndim)


@cuda.memoize()
def _col2im_nd_kernel(ndim):
    return Col2imNDKernel._generate(ndim)
