"""Trigonometric functions and their inverses."""

from chainlite._elementwise import elementwise
from chainlite.backends import _equations as eq


@elementwise(label='sin')
def Sin(x):
    return eq.sin(x)


@elementwise(label='cos')
def Cos(x):
    return eq.cos(x)


@elementwise(label='tan')
def Tan(x):
    return eq.tan(x)


@elementwise(label='arcsin')
def Arcsin(x):
    return eq.arcsin(x)


@elementwise(label='arccos')
def Arccos(x):
    return eq.arccos(x)


@elementwise(label='arctan')
def Arctan(x):
    return eq.arctan(x)


@elementwise(label='arctan2')
def Arctan2(x1, x2):
    return eq.arctan2(x1, x2)


def sin(x):
    """Sine, elementwise (radians)."""
    return Sin().apply((x,))[0]


def cos(x):
    """Cosine, elementwise (radians)."""
    return Cos().apply((x,))[0]


def tan(x):
    """Tangent, elementwise (radians)."""
    return Tan().apply((x,))[0]


def arcsin(x):
    """Inverse sine, elementwise: radians in [-pi / 2, pi / 2]."""
    return Arcsin().apply((x,))[0]


def arccos(x):
    """Inverse cosine, elementwise: radians in [0, pi]."""
    return Arccos().apply((x,))[0]


def arctan(x):
    """Inverse tangent, elementwise: radians in [-pi / 2, pi / 2]."""
    return Arctan().apply((x,))[0]


def arctan2(x1, x2):
    """The angle of the point (x2, x1), elementwise: radians in [-pi, pi]."""
    return Arctan2().apply((x1, x2))[0]
