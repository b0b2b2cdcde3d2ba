"""Test classes multiplied over parameters."""

import functools
import itertools
import types
import unittest

import numpy

from chainlite.testing import _bundle
from chainlite.testing.array import renewed_error

_MAX_TEXT = 100  # characters of a parameter's value in a class name


def parameterize(*params):
    """Decorator that makes one test class of a class per parameter set.

    The classes are named ``X_param_0_{a=1, b=float32}``; each has its parameters as attributes. A failing test says
    which they were. Can be stacked, also with :func:`inject_backend_tests`.

    Args:
        params (dict): Values by attribute name.
    """

    def generate(base):
        for i, param in enumerate(params):
            yield _make_class_name(base.__name__, i, param), _members(base, param), _wrap(base, param)

    return _bundle.make_decorator(generate)


def _members(base, param):
    def __str__(self):
        return f'{base.__str__(self)}  parameter: {param}'

    # A function among the values must not become a method.
    values = {k: staticmethod(v) if isinstance(v, types.FunctionType) else v for k, v in param.items()}
    return {'__str__': __str__, **values}


def _wrap(base, param):
    def wrap(method):
        @functools.wraps(method)
        def test(self, *args, **kwargs):
            try:
                return method(self, *args, **kwargs)
            except unittest.SkipTest:
                raise
            except Exception as e:
                values = ''.join(f'  {k}: {v}\n' for k, v in sorted(param.items()))
                text = (
                    f'Parameterized test failed.\n\nBase test method: {base.__name__}.{method.__name__}\n'
                    f'Test parameters:\n{values}'
                )
                raise renewed_error(type(e), text, e) from e

        return test

    return wrap


def _make_class_name(base_class_name, i_param, param):
    values = ', '.join(f'{k}={_shorten(_param_to_str(v), _MAX_TEXT)}' for k, v in sorted(param.items()))
    return f'{base_class_name}_param_{i_param}_{{{values}}}'


def _param_to_str(obj):
    """The name of a class or function, otherwise the repr."""
    named = (type, types.FunctionType, types.BuiltinFunctionType, numpy.ufunc)
    return obj.__name__ if isinstance(obj, named) else repr(obj)


def _shorten(s, maxlen):
    if len(s) <= maxlen:
        return s
    front = (maxlen - 3) // 2
    return f'{s[:front]}...{s[front + 3 - maxlen :]}'


def product(parameter):
    """Makes a list of dictionaries, one per combination of values.

    Args:
        parameter (dict or list of lists of dicts): ``{'a': [1, 2], 'b': [3]}`` gives ``[{'a': 1, 'b': 3}, {'a': 2, 'b':
            3}]``; a key ``'a,b'`` has tuples as values and goes through them. Of lists of dictionaries, one of each is
            merged, as :func:`product_dict` does.
    """
    if isinstance(parameter, dict):
        parameter = [from_pytest_parameterize(names, values) for names, values in sorted(parameter.items())]
    return product_dict(*parameter)


def product_dict(*parameters):
    """Merges one dictionary out of each of the lists, in all combinations; returns the list of them."""
    return [functools.reduce(lambda a, b: {**a, **b}, dicts, {}) for dicts in itertools.product(*parameters)]


_product_dict_orig = product_dict


def _pairwise_product_dict(*parameters):
    """A part of :func:`product_dict` in which any two dictionaries of different lists still meet, chosen greedily."""
    missing = {
        ((i, a), (j, b))
        for i, j in itertools.combinations(range(len(parameters)), 2)
        for a in range(len(parameters[i]))
        for b in range(len(parameters[j]))
    }
    chosen = []
    candidates = [tuple(enumerate(c)) for c in itertools.product(*(range(len(p)) for p in parameters))]
    if len(parameters) < 2:
        return _product_dict_orig(*parameters)  # programs put this function in the place of the other
    while missing:
        best = max(candidates, key=lambda c: len(missing.intersection(itertools.combinations(c, 2))))
        missing.difference_update(itertools.combinations(best, 2))
        chosen.append(best)
    return [functools.reduce(lambda a, b: {**a, **b}, (parameters[i][k] for i, k in c), {}) for c in sorted(chosen)]


def from_pytest_parameterize(names, values):
    """Turns the arguments of ``pytest.mark.parametrize`` into a list of dictionaries.

    Args:
        names (str): Comma-separated names.
        values (list): Tuples of values; of a single name, the values themselves.
    """
    names = [name.strip() for name in names.split(',')]
    if len(names) == 1:
        return [{names[0]: value} for value in values]
    for value in values:
        assert len(value) == len(names), f'{len(names)} names ({", ".join(names)}), but the values {value!r}'
    return [dict(zip(names, value)) for value in values]


def parameterize_pytest(names, values):
    """:func:`parameterize` with the arguments of ``pytest.mark.parametrize``."""
    return parameterize(*from_pytest_parameterize(names, values))
