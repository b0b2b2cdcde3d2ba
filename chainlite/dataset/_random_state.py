"""States of random number generators in snapshots: JSON in a uint8 array, which needs no pickle."""

import json

import numpy

from chainlite.serializer import Serializer


def serialize_random_state(serializer, key, generator):
    """Saves or restores the state of a generator; a file without the key leaves it as it is.

    Args:
        serializer: Serializer.
        key: Name in the file.
        generator: ``numpy.random`` or ``random`` (the modules), a RandomState or a Generator.

    Returns:
        The state that was saved or loaded, or None.
    """
    if isinstance(serializer, Serializer):
        state = get_state(generator)
        serializer(key, numpy.frombuffer(json.dumps(state, default=_as_list).encode(), numpy.uint8))
        return state
    try:
        data = serializer(key, None)
    except KeyError:
        return None
    if data is None:
        return None
    state = json.loads(numpy.asarray(data).tobytes())
    set_state(generator, state)
    return state


def get_state(generator):
    """Returns the state of a generator, made of dictionaries, lists, arrays, strings and numbers."""
    if hasattr(generator, 'getstate'):  # the module random
        return generator.getstate()
    if hasattr(generator, 'get_state'):  # RandomState, numpy.random
        return generator.get_state(legacy=False)
    if hasattr(generator, 'state'):  # of GPUs
        return generator.state
    return generator.bit_generator.state  # Generator


def set_state(generator, state):
    """Sets a state that :func:`get_state` has returned or that has gone through JSON since."""
    if hasattr(generator, 'setstate'):
        version, values, gauss = state
        generator.setstate((version, tuple(values), gauss))
        return
    state = _with_arrays(state)
    if hasattr(generator, 'set_state'):
        generator.set_state(state)
    elif hasattr(generator, 'state'):
        generator.state = state
    else:
        generator.bit_generator.state = state


def _with_arrays(state):
    if isinstance(state, dict):
        return {key: _with_arrays(value) for key, value in state.items()}
    return numpy.asarray(state, dtype=numpy.uint64) if isinstance(state, list) else state


def _as_list(value):
    return value.tolist()
