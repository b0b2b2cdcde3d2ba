"""Which converter belongs to which function."""

import contextlib

from chainlite import functions
from chainlite.onnx_chainer.functions import _FAMILIES
from chainlite.onnx_chainer.functions.converter import FunctionConverter
from chainlite.onnx_chainer.functions.elementwise import convert_elementwise, is_elementwise
from chainlite.onnx_chainer.replace_func import fake_as_funcnode

converters = {
    name.removeprefix('convert_'): FunctionConverter(converter)
    for family in _FAMILIES
    for name, converter in vars(family).items()
    if name.startswith('convert_')
}

# Functions that compute with arrays, and so would leave constants in the graph: their nodes. Not all have a converter.
_PATCHED = {'sign': 'sign', 'floor': 'floor', 'ceil': 'ceil', 'fix': 'fix', 'logsumexp': 'LogSumExp'}
_PATCHED |= {'spatial_transformer_sampler': 'SpatialTransformerSampler', 'argmax_crf1d': 'ArgMaxCRF1d'}
_PATCHED |= {'batch_renormalization': 'BatchRenormalization'}


NORMALIZATIONS = ('BatchNormalization', 'FixedBatchNormalization')


def lookup(func, name, external):
    """The converter of a FunctionNode of that name, or None; those given by the user come first."""
    converter = (external or {}).get(name) or converters.get(name)
    return FunctionConverter(convert_elementwise) if converter is None and is_elementwise(func) else converter


def find(func, name, external):
    """:func:`lookup`, which raises ValueError where there is no converter."""
    converter = lookup(func, name, external)
    if converter is None:
        raise ValueError(
            f'{name} is not supported: no converter to ONNX is known for the function {name} ({func.label}). Give one '
            f"with external_converters={{'{name}': converter}}."
        )
    return converter


@contextlib.contextmanager
def patch_functions():
    """Context in which functions that compute with arrays are nodes of the graph, so that they are exported."""
    originals = {name: getattr(functions, name) for name in _PATCHED}
    for name, function in originals.items():
        setattr(functions, name, fake_as_funcnode(function, _PATCHED[name], experimental_warning=False))
    try:
        yield
    finally:
        for name, function in originals.items():
            setattr(functions, name, function)
