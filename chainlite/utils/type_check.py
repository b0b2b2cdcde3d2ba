"""What a function expects of its inputs, written as expressions that can both be evaluated and printed.

`check_type_forward(self, in_types)` of a function node says what it needs:

    def check_type_forward(self, in_types):
        x, W = in_types
        type_check.expect(x.dtype.kind == 'f', x.shape[1] == W.shape[1])

It first runs in the *light mode*, where `in_types` are the arrays themselves and the conditions plain booleans.  If one
is false it runs again with symbols in place of arrays, so that the error can show the condition and the values on
either side of it.

`compile_check` turns a one-line description of the same into a checker: the functions of this package use that.
"""

import contextlib
import math
import operator
import threading

import numpy

from chainlite.utils._check import compile_check, kind_of  # noqa: F401 (compile_check is part of this interface)
from chainlite.utils._invalid_type import InvalidType


class _State(threading.local):
    light_mode = False
    current_function = None


_state = _State()


# ---- types of arrays ------------------------------------------------------------------------------------------------


class TypeInfo:
    """Shape and dtype of an array."""

    def __init__(self, shape, dtype):
        self.shape = shape
        self.dtype = dtype
        self.ndim = len(shape)

    @property
    def size(self):
        return math.prod(self.shape)


class TypeInfoTuple(tuple):
    """Types of all inputs of a function, as symbols."""

    name = 'in_types'

    def size(self):
        """How many there are, as a symbol."""
        return Variable(len(self), f'{self.name}.size')


class LightTypeInfoTuple(tuple):
    """Types of all inputs of a function, as they are."""

    def size(self):
        """How many there are."""
        return len(self)


def get_types(data, name, accept_none, *, shapes=None):
    """Symbols for the arrays `data`, called `name[0]`, `name[1]` ...

    Args:
        data: tuple of arrays.
        name: what error messages call the tuple.
        accept_none: whether `data` may contain None.
        shapes: tuple of shapes to use in place of the arrays' own.
    """
    assert isinstance(data, tuple)
    if shapes is None:
        shapes = [None if x is None else x.shape for x in data]
    types = TypeInfoTuple(
        _symbol(x, f'{name}[{i}]', accept_none, shape) for i, (x, shape) in enumerate(zip(data, shapes))
    )
    types.name = name
    return types


def _symbol(x, name, accept_none, shape):
    if x is None and accept_none:
        return Variable(TypeInfo((), None), name)
    return Variable(TypeInfo(x.shape if shape is None else shape, x.dtype), name)


def get_light_types(data, *, shapes=None):
    """The arrays themselves, in the form that `check_type_forward` expects in the light mode."""
    assert isinstance(data, tuple)
    if shapes is None:
        return LightTypeInfoTuple(data)
    return LightTypeInfoTuple(TypeInfo(shape, x.dtype) for x, shape in zip(data, shapes))


def same_types(*arrays):
    """Whether all arrays live in one array library."""
    if all(isinstance(x, numpy.ndarray) for x in arrays):
        return True
    libraries = {type(x).__module__.partition('.')[0] if hasattr(x, 'dtype') else None for x in arrays}
    return len(libraries) == 1 and not any(isinstance(x, numpy.ndarray) for x in arrays) and None not in libraries


# ---- expressions ----------------------------------------------------------------------------------------------------


class Expr:
    """A node of an expression tree.  `priority`, how tightly it binds, decides where it prints parentheses."""

    def __init__(self, priority):
        self.priority = priority

    def eval(self):
        """The value of the expression."""
        raise NotImplementedError

    def __getattr__(self, name):
        return GetAttr(self, name)

    def __getitem__(self, key):
        return GetItem(self, key)

    def __call__(self, *args):
        return Call(self, args)

    def __bool__(self):
        raise RuntimeError(
            'An Expr instance cannot be evaluated as bool. '
            'Please use chainer.utils.type_check.eval() to evaluate an expression.'
        )

    __nonzero__ = __bool__
    __hash__ = None  # type: ignore[assignment]

    def __getstate__(self):  # keeps copy and pickle from taking an attribute expression for a method
        return self.__dict__

    def __setstate__(self, state):
        self.__dict__.update(state)


def _give_operators(cls):
    """Defines the operators of `Expr`: they build trees."""

    def binary(priority, symbol, function, right_associative=False):
        def make(x, y):
            return BinaryOperator(priority, x, y, symbol, function, right_associative)

        return make

    def comparison(symbol, inverse, function):
        return lambda x, y: BoolBinaryOperator(x, y, symbol, inverse, function)

    def unary(symbol, function):
        return lambda x: UnaryOperator(6, x, symbol, function)

    for name, symbol, priority in _BINARY:
        make = binary(priority, symbol, getattr(operator, f'__{name}__'), right_associative=name == 'pow')
        setattr(cls, f'__{name}__', make)
        if name != 'pow':
            setattr(cls, f'__r{name}__', lambda x, y, make=make: make(y, x))
    for name, symbol, inverse in _COMPARISONS:
        setattr(cls, f'__{name}__', comparison(symbol, inverse, getattr(operator, name)))
    for name, symbol in _UNARY:
        setattr(cls, f'__{name}__', unary(symbol, getattr(operator, name)))


_BINARY = [
    *[('or', '|', 0), ('xor', '^', 1), ('and', '&', 2), ('lshift', '<<', 3), ('rshift', '>>', 3)],
    *[('add', '+', 4), ('sub', '-', 4), ('mul', '*', 5), ('truediv', '/', 5), ('floordiv', '//', 5), ('mod', '%', 5)],
    ('pow', '**', 7),
]
_COMPARISONS = [
    *[('eq', '==', '!='), ('ne', '!=', '==')],
    *[('lt', '<', '>='), ('le', '<=', '>'), ('gt', '>', '<='), ('ge', '>=', '<')],
]
_UNARY = [('neg', '-'), ('pos', '+'), ('invert', '~')]
_give_operators(Expr)


class Atom(Expr):
    """An expression that never needs parentheses."""

    def __init__(self):
        super().__init__(8)


class Constant(Atom):
    """A value that prints as itself."""

    def __init__(self, value):
        super().__init__()
        self.value = value

    def __str__(self):
        return _repr(self.value)

    def eval(self):
        return self.value


class Variable(Atom):
    """A value that prints as `name`."""

    def __init__(self, value, name):
        super().__init__()
        self.value = value
        self.name = name

    def __str__(self):
        return self.name

    def eval(self):
        return self.value


class GetAttr(Atom):
    """obj.name"""

    def __init__(self, obj, name):
        super().__init__()
        self.obj = obj
        self.name = name

    def __str__(self):
        name = _eval(self.name)
        return f'{self.obj}.{name}' if isinstance(name, str) else f'getattr({self.obj}, {_repr(self.name)})'

    def eval(self):
        obj, name = _eval(self.obj), _eval(self.name)
        return kind_of(obj) if name == 'kind' and isinstance(obj, numpy.dtype) else getattr(obj, name)


class GetItem(Atom):
    """obj[key]"""

    def __init__(self, obj, key):
        super().__init__()
        self.obj = obj
        self.key = key

    def __str__(self):
        keys = self.key if isinstance(self.key, tuple) else (self.key,)
        return f'{self.obj}[{", ".join(map(_subscript, keys))}]'

    def eval(self):
        return _eval(self.obj)[_eval(self.key)]


class Call(Atom):
    """obj(*args)"""

    def __init__(self, obj, args):
        assert isinstance(args, tuple)
        super().__init__()
        self.obj = obj
        self.args = args

    def __str__(self):
        return f'{self.obj}({", ".join(map(_repr, self.args))})'

    def eval(self):
        return _eval(self.obj)(*map(_eval, self.args))


class UnaryOperator(Expr):
    """`exp` before `term`; `func` computes it."""

    def __init__(self, priority, term, exp, func):
        super().__init__(priority)
        self.term = term
        self.exp = exp
        self.func = func

    def __str__(self):
        return f'{self.exp}{_parenthesized(self.term, self.term.priority < self.priority)}'

    def eval(self):
        return self.func(_eval(self.term))


class BinaryOperator(Expr):
    """`exp` between `lhs` and `rhs`; `func` computes it."""

    def __init__(self, priority, lhs, rhs, exp, func, right_associative=False):
        super().__init__(priority)
        self.lhs = lhs if isinstance(lhs, Expr) else Constant(lhs)
        self.rhs = rhs if isinstance(rhs, Expr) else Constant(rhs)
        self.exp = exp
        self.func = func
        self.right_associative = right_associative

    def __str__(self):
        left, right = self.lhs.priority, self.rhs.priority
        if self.right_associative:
            left, right = left - 1, right + 1
        lhs = _parenthesized(self.lhs, left < self.priority)
        rhs = _parenthesized(self.rhs, right <= self.priority)
        return f'{lhs} {self.exp} {rhs}'

    def eval(self):
        return self.func(_eval(self.lhs), _eval(self.rhs))


class Testable:
    """Something that `expect` takes."""

    def expect(self):
        """Raises `InvalidType` if it does not hold."""
        raise NotImplementedError


class BoolBinaryOperator(BinaryOperator, Testable):
    """A comparison; `inv` is the symbol of its opposite."""

    def __init__(self, lhs, rhs, exp, inv, func):
        super().__init__(-1, lhs, rhs, exp, func)
        self.inv = inv

    def expect(self):
        lhs, rhs = _eval(self.lhs), _eval(self.rhs)
        if not self.func(lhs, rhs):
            raise InvalidType(str(self), f'{lhs} {self.inv} {rhs}', function=_state.current_function)


def _eval(x):
    """The value of `x`, an expression or a list, tuple or other value with expressions in it."""
    if isinstance(x, Expr):
        return _eval(x.eval())
    if isinstance(x, (list, tuple)):
        return type(x)(map(_eval, x))
    return x


def _repr(x):
    if isinstance(x, Expr):
        return str(x)
    if isinstance(x, list):
        return f'[{", ".join(map(_repr, x))}]'
    if isinstance(x, tuple):
        return f'({", ".join(map(_repr, x))}{"," if len(x) == 1 else ""})'
    # A bare string is what a comparison such as `x.dtype.kind == 'f'` shows, without quotes; inside a call it has them.
    return repr(x)


def _parenthesized(x, needed):
    text = x.value if isinstance(x, Constant) and isinstance(x.value, str) else x
    return f'({text})' if needed else str(text)


def _subscript(key):
    if key is Ellipsis:
        return '...'
    if not isinstance(key, slice):
        return _repr(key)
    start, stop, step = ('' if part is None else _repr(part) for part in (key.start, key.stop, key.step))
    return f'{start}:{stop}:{step}' if step else f'{start}:{stop}'


# ---- what a check calls ---------------------------------------------------------------------------------------------


def expect(*bool_exprs):
    """Raises `InvalidType` unless all conditions hold."""
    if _state.light_mode:
        if not all(bool_exprs):
            raise InvalidType('', '')
        return
    for condition in bool_exprs:
        assert isinstance(condition, Testable)
        condition.expect()


def expect_broadcast_shapes(*shape_types):
    """Raises `InvalidType` unless the shapes can be broadcast together."""
    shapes = [eval(shape) for shape in shape_types]
    try:
        numpy.broadcast_shapes(*shapes)
    except ValueError:
        lines = [f'{name} = {shape}' for name, shape in zip(shape_types, shapes)]
        raise InvalidType('', '', '\n'.join(['cannot broadcast inputs of the following shapes:', *lines])) from None


def eval(exp):
    """The value of a symbol; in the light mode `exp` is the value."""
    return exp if _state.light_mode else exp.eval()


def make_variable(value, name):
    """A symbol for `value`; in the light mode the value itself."""
    return value if _state.light_mode else Variable(value, name)


def prod(xs):
    """Product of a sequence of numbers, such as a shape."""
    if _state.light_mode:
        return math.prod(xs)
    return Variable(math.prod, 'prod')(xs)


def _argname(in_types, names):
    """Lets error messages call the inputs `names`; raises `InvalidType` if there are more or fewer."""
    if len(in_types) != len(names):
        raise InvalidType(f'{len(names)} arguments', f'{len(in_types)} arguments', 'Invalid number of arguments')
    if not _state.light_mode:
        for in_type, name in zip(in_types, names):
            in_type.name = name


argname = _argname


# ---- who runs checks ------------------------------------------------------------------------------------------------


class LightMode:
    """`with light_mode:` runs checks on the arrays themselves."""

    def __enter__(self):
        _state.light_mode = True

    def __exit__(self, exc_type, exc_value, traceback):
        _state.light_mode = False


light_mode = LightMode()


def in_light_mode():
    """Whether checks run on the arrays themselves."""
    return _state.light_mode


@contextlib.contextmanager
def get_function_check_context(f):
    """Errors inside the block name the function node `f`."""
    before, _state.current_function = _state.current_function, f
    try:
        yield
    finally:
        _state.current_function = before
