"""Small things that the rest is built from."""

import contextlib
import importlib
from collections import abc as collections_abc  # noqa: F401 (a name that programs find here)

import numpy

from chainlite.utils import argument, cache, error, imgproc, meta, precision, type_check
from chainlite.utils.error import _format_array_props
from chainlite.utils.experimental import experimental
from chainlite.utils.meta import enable_final, final
from chainlite.utils.nondeterministic import nondeterministic

# These stand on arrays or on variables, which stand on this package: they are imported when they are asked for.
_MODULES_ABOVE = {
    'array': ('size_of_shape', 'sum_to'),
    'conv': ('get_conv_outsize', 'get_deconv_outsize'),
    'conv_nd': (),
    'conv_nd_kernel': (),
    'sparse': ('CooMatrix', 'get_order', 'to_coo'),
    'walker_alias': ('WalkerAlias',),
}


def __getattr__(name):
    for module, names in _MODULES_ABOVE.items():
        if name == module or name in names:
            found = importlib.import_module(f'{__name__}.{module}')
            globals()[name] = found if name == module else getattr(found, name)
            return globals()[name]
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def force_array(x, dtype=None):
    """`x`, an array or a scalar, as an array of `dtype`; None keeps the dtype."""
    if numpy.isscalar(x):
        return numpy.array(x, dtype)
    return x if dtype is None else x.astype(dtype, copy=False)


def force_type(dtype, value):
    """`value`, an array or a scalar, as `dtype`."""
    return numpy.dtype(dtype).type(value) if numpy.isscalar(value) else value.astype(dtype, copy=False)


@contextlib.contextmanager
def tempdir(**kwargs):
    """`with tempdir() as path: ...` gives a directory, removed afterwards; arguments as of `tempfile.mkdtemp`."""
    import shutil
    import tempfile

    ignore_errors = kwargs.pop('ignore_errors', False)
    path = tempfile.mkdtemp(**kwargs)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=ignore_errors)


def _check_arrays_forward_compatible(arrays, label=None):
    """Raises TypeError if the arrays belong to different libraries."""
    arrays = [x for x in arrays if x is not None]
    if not type_check.same_types(*arrays):
        where = '' if label is None else f' ({label})'
        types = ', '.join(str(type(x)) for x in arrays)
        raise TypeError(f'incompatible array types are mixed in the forward input{where}.\nActual: {types}')


def _repr_with_named_data(inst, **kwargs):
    """'<module.Class name=value ...>'."""
    values = ' '.join(f'{name}={value}' for name, value in kwargs.items())
    return f'<{type(inst).__module__}.{type(inst).__name__} {values}>'
