from chainlite.link import Link


class LazyLink(Link):
    """A link whose weight ``W`` may wait for the first input to know its shape.

    A subclass makes ``W`` without a shape, defines :meth:`_initialize_params`, and begins its ``forward`` with
    ``self._prepare(x)``; hooks that need the weight before ``forward`` runs call :meth:`_prepare` too.
    """

    def _initialize_params(self, size):
        """Initializes the parameters for inputs of ``size`` channels (or elements)."""
        raise NotImplementedError

    def _input_size(self, x):
        return x.shape[1]

    def _prepare(self, x, *args, **kwargs):
        """Initializes the parameters for inputs like ``x``, unless they are already."""
        if self.W.array is None:
            self._initialize_params(self._input_size(x, *args, **kwargs))
