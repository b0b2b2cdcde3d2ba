"""Arrays that are described but not computed yet, so that what follows can be computed with them.

Batch normalization reads an array for its statistics and once more to normalize it. If a rectifier or an addition
comes next, all of them can be done while it is read that second time. So what batch normalization gives inside of the
graph is a `Normalized`, to which the next function may add itself; whoever wants the numbers calls `array`. In the
backward pass `Rectified` is the same for the gradient of the rectifier.

A description refers to arrays, which therefore must not change before it is computed: they are those that nobody has
been shown (see `Variable._hidden`). Numbers by channel are copies.
"""

import numpy as np

from chainlite.backends import cuda
from chainlite.backends.cpu.batch_normalization import normalize_then, rectified_normalize_grad
from chainlite.backends.cpu.relu import relu_grad


class Deferred:
    """An array that is computed when it is first asked for.

    Attributes:
        shape, dtype, ndim, size: of the array.
        result: the array, once it is computed.
    """

    result = None

    def __init__(self, like, form=None):
        form = like if form is None else form  # what has its shape and dtype
        self.like = like  # an array that is on the same device
        self.shape, self.dtype, self.ndim, self.size = form.shape, form.dtype, form.ndim, form.size

    def array(self):
        """The array."""
        result = self.result
        if result is None:
            device = None if type(self.like) is np.ndarray else cuda.elsewhere((self.like,))
            if device is None:
                result = self._compute()
            else:
                with device:
                    result = self._compute()
            self.result = self.like = result
            self._forget()
        return result

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
        return Normalized(self.x, self.numbers, self.axis, self.of_batch, self.differentiable, h, rectified, form=self)

    @property
    def takes_relu(self):
        """Whether it can be rectified yet."""
        return self.result is None and not self.rectified

    @property
    def takes_more(self):
        """Whether another array can be added yet."""
        return self.takes_relu and self.h is None

    def relu(self):
        """The same, rectified."""
        return self._then(self.h, True)

    def plus(self, h):
        """The same with another array added."""
        return self._then(h, False)

    def _compute(self):
        y, self.kept = normalize_then(
            self.x, self.numbers, self.axis, self.h, self.rectified, self.of_batch, self.differentiable
        )
        return y

    def _forget(self):
        self.x = self.h = self.numbers = None


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
