"""Arrays that are described but not computed yet, so that what follows can be computed with them.

Batch normalization reads an array for its statistics and once more to normalize it. If a rectifier or an addition
comes next, all of them can be done while it is read that second time. So what batch normalization gives inside of the
graph is a `Normalized`, to which the next function may add itself; whoever wants the numbers calls `array`. In the
backward pass `Rectified` is the same for the gradient of the rectifier.

A prediction, which keeps no graph, can even leave the convolution before to be computed with all of that: it gives a
`Convolved`.

A description refers to arrays, which therefore must not change before it is computed: they are those that nobody has
been shown (see `Variable._hidden`). Numbers by channel and filters are copies.
"""

from math import prod
from threading import Lock

import numpy as np

from chainlite.backends import cuda
from chainlite.backends._layout import as_last
from chainlite.backends.cpu.batch_normalization import normalize_then, rectified_normalize_grad
from chainlite.backends.cpu.relu import rectify_in_place, relu_grad


class Deferred:
    """An array that is computed when it is first asked for, once, also if several threads ask.

    Attributes:
        shape, dtype, ndim, size: of the array.
        result: the array, once it is computed.
        takes_normalization, takes_more, takes_relu: whether it can be normalized with given numbers, another array can
            be added, or it can be rectified, before it is computed.
        holder: weak reference to the Variable that has been taken for what comes next, or None.
    """

    result = holder = None
    takes_normalization = takes_more = takes_relu = False

    def __init__(self, like, form=None):
        form = like if form is None else form  # what has its shape and dtype
        self.like = like  # an array that is on the same device
        self.shape, self.dtype, self.ndim, self.size = form.shape, form.dtype, form.ndim, form.size
        self._lock = Lock()

    def array(self):
        """The array."""
        if self.result is None:
            with self._lock:
                if self.result is None:
                    self._set_result()
        return self.result

    def _set_result(self):
        device = None if type(self.like) is np.ndarray else cuda.elsewhere((self.like,))
        if device is None:
            result = self._compute()
        else:
            with device:
                result = self._compute()
        self.result = self.like = result
        self._forget()

    def _compute(self):
        raise NotImplementedError

    def _forget(self):
        """Lets go of what the array was computed from."""


class Normalized(Deferred):
    """(x - mean) * scale + offset, perhaps plus h, perhaps rectified.

    Args:
        x: array.
        numbers: array that has mean, scale and offset, see `cpu.batch_normalization.batch_statistics`.
        axis: tuple of the axes that are not keys.
        of_batch: whether mean is that of x, so that it is not finite if x is not.
        differentiable: whether there may be a backward pass.
        h: array to be added, or None.
        rectified: whether it is rectified then.
        form: what has the shape and dtype of x, and tells them more quickly.

    Attributes:
        kept: of the rectified array, what `rectified_normalize_grad` wants to know beside it, or None.
    """

    kept = None

    def __init__(self, x, numbers, axis, of_batch, differentiable, h=None, rectified=False, form=None):
        super().__init__(x, form)
        self.x, self.numbers, self.axis = x, numbers, axis
        self.of_batch, self.differentiable = of_batch, differentiable
        self.h, self.rectified = h, rectified

    def _then(self, h, rectified):
        with self._lock:
            if self.result is not None:
                return None
            x, numbers = self.x, self.numbers
        return Normalized(x, numbers, self.axis, self.of_batch, self.differentiable, h, rectified, form=self)

    @property
    def takes_relu(self):
        """Whether it can be rectified yet."""
        return self.result is None and not self.rectified

    @property
    def takes_more(self):
        """Whether another array can be added yet."""
        return self.takes_relu and self.h is None

    def relu(self):
        """The same, rectified; None if another thread has computed it meanwhile."""
        return self._then(self.h, True)

    def plus(self, h):
        """The same with another array added; None if another thread has computed it meanwhile."""
        return self._then(h, False)

    def _compute(self):
        y, self.kept = normalize_then(
            self.x, self.numbers, self.axis, self.h, self.rectified, self.of_batch, self.differentiable
        )
        return y

    def _forget(self):
        self.x = self.h = self.numbers = None


class Convolved(Deferred):
    """A convolution, perhaps normalized with given numbers, perhaps plus h, perhaps rectified.

    Args:
        run: what `cpu.conv.convolve_later` gave.
        like: array on the same device and of the same dtype.
        shape: of the result.

    It may be taken once for what comes next. If it is asked for as well, or may be yet, it is computed first, and what
    has been made of it goes on from there: no convolution is computed twice.
    """

    _before = _numbers = _h = None
    _normalized = _added = _rectified = False

    def __init__(self, run, like, shape):
        self._run, self.like, self.dtype = run, like, like.dtype
        self.shape, self.ndim, self.size = shape, len(shape), prod(shape)
        self._lock = Lock()

    @property
    def takes_relu(self):
        return self.holder is None and self.result is None and not self._rectified

    @property
    def takes_more(self):
        return self.takes_relu and not self._added

    @property
    def takes_normalization(self):
        return self.takes_more and not self._normalized

    def _then(self, numbers, h, rectified):
        y = Convolved(self._run, self.like, self.shape)
        y._before, y._numbers, y._h = self, numbers, h
        y._normalized, y._added, y._rectified = numbers is not None, h is not None, rectified
        return y

    def normalized(self, numbers):
        """The same, normalized by channel with what `cpu.batch_normalization.fixed_statistics` gave."""
        return self._then(numbers, None, False)

    def plus(self, h):
        """The same with another array added."""
        return self._then(self._numbers, h, False)

    def relu(self):
        """The same, rectified."""
        return self._then(self._numbers, self._h, True)

    def _compute(self):
        numbers, h, rectified = self._numbers, self._h, self._rectified
        known = self._before  # the last one that is or may be asked for
        while known is not None and known.result is None and known.holder() is None:
            known = known._before
        if known is None:
            return self._run(numbers, h, rectified)
        y, h = known.array(), None if known._added else h
        if self._normalized and not known._normalized:
            axis = (0, *range(2, self.ndim))
            return normalize_then(y, numbers, axis, h, rectified, False, False)[0]
        y = y.copy('K') if h is None else y + as_last(h)
        return rectify_in_place(y) if rectified else y

    def _forget(self):
        self._run = self._before = self._numbers = self._h = None


class Rectified(Deferred):
    """gy where the rectified array y is positive, otherwise 0.

    Args:
        gy: array.
        y: array, or Normalized.

    Attributes:
        shared: whether others than the normalization want it as well.
    """

    shared = False

    def __init__(self, gy, y):
        super().__init__(gy)
        self.gy, self.y = gy, y

    def _compute(self):
        return relu_grad(solid(self.y), self.gy)

    def _forget(self):
        self.gy = self.y = None

    def through_normalization(self, *arguments):
        """(gx, ggamma, gbeta) of this gradient, which has not been computed, for the arguments of
        `rectified_normalize_grad` from x to `fixed`."""
        kept = self.y.kept if isinstance(self.y, Normalized) else None
        *gradients, result = rectified_normalize_grad(self.gy, solid(self.y), kept, *arguments, self.shared)
        if result is not None:
            self.result = self.like = result
            self._forget()
        return gradients


def solid(a):
    """The array that `a` is, or that it describes."""
    return a.array() if isinstance(a, Deferred) else a
