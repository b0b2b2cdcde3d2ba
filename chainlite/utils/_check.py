"""Checks of dtypes and shapes, described in one line and compiled to straight-line Python.

    check = compile_check('x: f (n c *d), W: f (m c *k), b?: f (m)')
    check('Convolution2DFunction', (x, W))

An argument is `name: kinds (sizes)`.  The kinds are letters out of `f` (float), `i` (signed), `u` (unsigned) and `b`
(bool), or `*` for any, or `=name` for the dtype of an earlier argument.  A size is a name (equal wherever it appears),
a number, `_` (any), or `*name` (any number of sizes, again equal wherever the name appears, except for `*_`).  Without
parentheses any shape will do.  `?` after the name marks an argument that may be missing; `*` before the last name lets
it stand for any number of arguments.
"""

import functools
import re
import typing

from chainlite.utils._invalid_type import InvalidType

_ARGUMENT = re.compile(r'\s*(\*?)(\w+)(\??):\s*(\*|=\w+|[fiub]+)\s*(?:\(([^)]*)\))?\s*(?:,|$)')
_SIZE = re.compile(r'\*?\w+')


class _Argument(typing.NamedTuple):
    name: str
    optional: bool
    variadic: bool
    kinds: str
    sizes: tuple | None  # of texts; None: any shape

    @property
    def star(self):
        """Where the `*` size is, or None."""
        return next((i for i, size in enumerate(self.sizes) if size[0] == '*'), None)


@functools.cache
def compile_check(spec):
    """A function `check(function, arrays)` that raises `InvalidType` unless the arrays fit `spec`.

    The error names `function`, which is a label or something that has one.
    """
    arguments = _parse(spec)
    fits = _FitsByCount(arguments)

    def check(function, arrays):
        if not fits[len(arrays)](*arrays):
            _explain(getattr(function, 'label', function), arguments, arrays)

    return check


def kind_of(dtype):
    """`dtype.kind`, and 'f' for bfloat16, which NumPy does not know to be a float."""
    return 'f' if dtype.kind == 'V' and dtype.name == 'bfloat16' else dtype.kind


def _parse(spec):
    arguments, end = [], 0
    while end < len(spec):
        match = _ARGUMENT.match(spec, end)
        if match is None:
            raise ValueError(f'cannot read {spec[end:]!r} in the check {spec!r}')
        variadic, name, optional, kinds, sizes = match.groups()
        sizes = None if sizes is None else tuple(sizes.split())
        if sizes and (not all(map(_SIZE.fullmatch, sizes)) or sum(size[0] == '*' for size in sizes) > 1):
            raise ValueError(f'cannot read the sizes {sizes} in the check {spec!r}')
        arguments.append(_Argument(name, bool(optional), bool(variadic), kinds, sizes))
        end = match.end()
    return arguments


def _expand(arguments, count):
    """One argument for each of `count` arrays, or None if the number does not fit."""
    *others, last = arguments
    if last.variadic:
        return (
            others + [last._replace(name=f'in_types[{i}]') for i in range(len(others), count)]
            if count >= len(others)
            else None
        )
    required = sum(not argument.optional for argument in arguments)
    return arguments[:count] if required <= count <= len(arguments) else None


# ---- when all is well: straight-line code ---------------------------------------------------------------------------


class _FitsByCount(dict):
    """For each number of arrays, a function that says whether they fit (a false alarm is left to `_explain`)."""

    def __init__(self, arguments):
        self.arguments = arguments

    def __missing__(self, count):
        arguments = _expand(self.arguments, count)
        self[count] = (lambda *arrays: False) if arguments is None else _compile(arguments)
        return self[count]


def _compile(arguments):
    known = {}  # size -> where it was first seen
    loads, tests = [], []
    for i, argument in enumerate(arguments):
        if argument.kinds[0] == '=':
            tests.append(f'x{i}.dtype == x{_index(arguments, argument.kinds[1:])}.dtype')
        elif argument.kinds != '*':
            tests.append(f'x{i}.dtype.kind {"==" if len(argument.kinds) == 1 else "in"} {argument.kinds!r}')
        if argument.sizes is not None:
            loads.append(f's{i} = x{i}.shape')
            tests += _shape_tests(i, argument, known)
    names = ', '.join(f'x{i}' for i in range(len(arguments)))
    lines = [f'def fits({names}):', *loads, f'return {" and ".join(tests) or True}']
    namespace = {}
    exec('\n    '.join(lines), namespace)
    return namespace['fits']


def _shape_tests(i, argument, known):
    sizes, star = argument.sizes, argument.star
    yield f'len(s{i}) == {len(sizes)}' if star is None else f'len(s{i}) >= {len(sizes) - 1}'
    for j, size in enumerate(sizes):
        if size in ('_', '*_'):
            continue
        if j == star:
            place = f's{i}[{j}:{j + 1 - len(sizes) or ""}]'
        else:
            place = f's{i}[{j if star is None or j < star else j - len(sizes)}]'
        first = size if size.isdigit() else known.setdefault(size, place)
        if first != place:
            yield f'{place} == {first}'


def _index(arguments, name):
    return next(i for i, argument in enumerate(arguments) if argument.name == name)


# ---- when it is not: the same again, one condition after the other, with names --------------------------------------


def _explain(label, arguments, arrays):
    expanded = _expand(arguments, len(arrays))
    if expanded is None:
        _wrong_number(label, arguments, len(arrays))
    known = {}
    for argument, array in zip(expanded, arrays):
        _explain_dtype(label, argument, array.dtype, dict(zip([a.name for a in expanded], arrays)))
        if argument.sizes is not None:
            _explain_shape(label, argument, array.shape, known)


def _wrong_number(label, arguments, count):
    least = sum(not (argument.optional or argument.variadic) for argument in arguments)
    if count < least != len(arguments):
        raise InvalidType(f'in_types.size >= {least}', f'{count} < {least}', function=label)
    if least != len(arguments):
        raise InvalidType(f'in_types.size <= {len(arguments)}', f'{count} > {len(arguments)}', function=label)
    error = InvalidType(f'in_types.size == {least}', f'{count} != {least}', function=label)
    error.args = ('Invalid number of arguments\n' + error.args[0],)
    raise error


def _explain_dtype(label, argument, dtype, arrays):
    name, kinds, kind = argument.name, argument.kinds, kind_of(dtype)
    if kinds[0] == '=':
        other = arrays[kinds[1:]].dtype
        if dtype != other:
            raise InvalidType(f'{name}.dtype == {kinds[1:]}.dtype', f'{dtype} != {other}', function=label)
    elif kinds != '*' and kind not in kinds:
        if len(kinds) == 1:
            raise InvalidType(f'{name}.dtype.kind == {kinds}', f'{kind} != {kinds}', function=label)
        raise InvalidType(f'{name}.dtype.kind in {kinds!r}', f'{kind} not in {kinds!r}', function=label)


def _explain_shape(label, argument, shape, known):
    name, sizes, star, ndim = argument.name, argument.sizes, argument.star, len(shape)
    if star is None and ndim != len(sizes):
        raise InvalidType(f'{name}.ndim == {len(sizes)}', f'{ndim} != {len(sizes)}', function=label)
    if star is not None and ndim < len(sizes) - 1:
        raise InvalidType(f'{name}.ndim >= {len(sizes) - 1}', f'{ndim} < {len(sizes) - 1}', function=label)
    for j, size in enumerate(sizes):
        if size in ('_', '*_'):
            continue
        after = j + 1 - len(sizes)  # how far from the end, 0 for the last
        if j == star:
            text, value = f'{name}.shape[{j or ""}:{after or ""}]', shape[j : ndim + after]
        elif star is None or j < star:
            text, value = f'{name}.shape[{j}]', shape[j]
        else:
            text, value = f'{name}.shape[{after - 1}]', shape[after - 1]
        first, expected = (size, int(size)) if size.isdigit() else known.setdefault(size, (text, value))
        if value == expected:
            continue
        if size.isdigit():
            raise InvalidType(f'{text} == {size}', f'{value} != {size}', function=label)
        raise InvalidType(f'{first} == {text}', f'{expected} != {value}', function=label)
