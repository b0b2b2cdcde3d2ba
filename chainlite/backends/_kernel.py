"""Kernels: named array functions with a NumPy reference and faster implementations behind it.

    @Kernel
    def max_pool(x, ksize, stride, pad): ...                  # the reference: definition, fallback and tests' oracle

    @max_pool.when(gpu)                                       # for the arrays of that backend
    def _(x, ksize, stride, pad): ...

    @max_pool.when(onednn, lambda x, *_: x.dtype == 'f')      # and where the guard holds
    def _(x, ksize, stride, pad): ...

    @max_pool.when(onednn, least=1024)                        # and where the first array has so many elements
    def _(x, ksize, stride, pad): ...

A kernel looks at the type of its first array, then tries the implementations registered for that type, in order of
preference and registration, where their backend is enabled and their guard holds. One that finds itself unable returns
NotImplemented, and the next is tried. Kernels know nothing of graphs and gradients.
"""

import functools
from collections.abc import Callable


class Backend:
    """A family of implementations: the arrays it takes, the setting that switches it (None: it is always on), and
    whether it goes before others for the same arrays."""

    def __init__(
        self,
        name: str,
        accepts: Callable[[type], bool],
        enabled: Callable[[], bool] | None = None,
        preference: int = 0,
    ):
        self.name, self.accepts, self.enabled, self.preference = name, accepts, enabled, preference

    def __repr__(self):
        return f'<Backend {self.name}>'


def _always(*args):
    return True


class Kernel:
    """An array function with a reference implementation and guarded faster ones."""

    def __init__(self, reference):
        self.reference = reference
        self.implementations = []  # (backend, guard, function) in the order of registration
        self._by_type = {}  # array type -> those whose backend takes it: least size, what switches it, guard, function
        self._least = {}
        functools.update_wrapper(self, reference)

    def when(self, backend, guard=_always, least=0):
        """Registers the decorated function for `backend`; it is used where the first array has at least `least`
        elements and `guard(*args)` holds."""

        def takes(x, *args):
            return x.size >= least and guard(x, *args)

        def register(function):
            self.implementations.append((backend, takes if least else guard, function))
            self._least[function] = least
            self._by_type.clear()
            return function

        return register

    def __call__(self, x, *args):
        kind = type(x)
        candidates = self._by_type.get(kind)
        if candidates is None:
            rows = [row for row in self.implementations if row[0].accepts(kind)]
            rows.sort(key=lambda row: -row[0].preference)
            candidates = self._by_type[kind] = [(self._least[f], b.enabled, guard, f) for b, guard, f in rows]
        for least, enabled, guard, function in candidates:
            if x.size >= least and (enabled is None or enabled()) and guard(x, *args):
                result = function(x, *args)
                if result is not NotImplemented:
                    return result
        return self.reference(x, *args)
