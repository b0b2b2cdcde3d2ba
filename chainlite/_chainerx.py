"""What ``import chainerx`` finds where ChainerX is not built: the name is there, and says that it is not available."""

_available = False


def is_available() -> bool:
    """Whether ChainerX can be used: never here."""
    return False


class ndarray:
    """No array is one of these: ``isinstance(x, chainerx.ndarray)`` is False for all of them."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        raise RuntimeError('chainerx is not available.')


ndarray.__module__ = 'chainerx'
