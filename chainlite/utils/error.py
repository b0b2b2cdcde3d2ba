"""How error messages show arrays."""


def _format_array_props(arrays):
    """'(2, 3):float32, None' and so on."""
    return ', '.join('None' if x is None else f'{x.shape}:{x.dtype}' for x in arrays)
