"""Batch normalization.

Sergey Ioffe and Christian Szegedy: Batch Normalization: Accelerating Deep Network Training by Reducing Internal
Covariate Shift, 2015.
"""
# longer than other functions: two of them share their checks here

import functools
import warnings

import numpy as np

from chainlite._fused import Fused
from chainlite.backends._deferred import Convolved, Normalized, Rectified, solid
from chainlite.backends.cpu.batch_normalization import (
    batch_normalize,
    batch_statistics,
    fixed_statistics,
    move_statistics,
    normalize,
    normalize_grad,
    prepared,
)
from chainlite.configuration import config
from chainlite.functions.array.cast import cast
from chainlite.functions.array.reshape import reshape
from chainlite.functions.math.basic_math import pow
from chainlite.functions.math.sum import sum
from chainlite.utils import type_check
from chainlite.utils._check import kind_of
from chainlite.utils.argument import parse_kwargs, removed

_ONE_SAMPLE = (
    'A batch with no more than one sample has been given to F.batch_normalization. F.batch_normalization will '
    'always output a zero tensor for such batches. This could be caused by incorrect configuration in your code '
    '(such as running evaluation while chainer.config.train=True), but could also happen in the last batch of '
    'training if non-repeating iterator is used.'
)


@functools.lru_cache(1024)
def _axes(axis, x_ndim, gamma_ndim):
    """The axes to normalize over, the others, and the index that gives gamma the axes of x; axis may be None."""
    if axis is None:
        axis = 0, *range(gamma_ndim + 1, x_ndim)
    keys = tuple([i for i in range(x_ndim) if i not in axis])
    return axis, keys, tuple([None if i in axis else slice(None) for i in range(x_ndim)])


def _row(i, node):
    return None if node.numbers is None else node.numbers[i, ...]


class _Normalization(Fused):
    """Normalizes x over the axes that `axis` names, by default over all but those of gamma after the first.

    Attributes:
        eps: added to the variance.
        axis: tuple of the axes summed over.
        key_axis: tuple of the other axes.

    Of an array that nobody else can change it gives what is to be computed, see backends._deferred.
    """

    any_layout = gives_new = new_gradients = takes_deferred = True
    input_names = 'x', 'gamma', 'beta', 'mean', 'var'
    _defers = False
    numbers = None  # the rows are mean, var and inv_std, and what else x is normalized by

    def __init__(self, eps, axis):
        self.eps = eps
        self.axis = (axis,) if isinstance(axis, int) else None if axis is None else tuple(axis)
        if self.axis is not None and any([a >= b for a, b in zip(self.axis, self.axis[1:])]):
            raise RuntimeError('numbers in axis must be sorted in ascending order')

    def _private_data(self, xs):
        x = xs[0]
        self._defers = x._private and x.size > 0 and not config.debug
        if self._defers:
            x._lend()
        return super()._private_data(xs)

    def _own(self, x):
        """x, or the copy of it that a kernel wants anyway, and whether nobody else can change that."""
        defers, self._defers = self._defers, False
        if defers or config.debug or not isinstance(x, np.ndarray) or x.dtype != np.float32 or not x.size:
            return x, defers
        copy = prepared(x, self.axis)
        return copy, copy is not x

    mean, var, inv_std = [property(functools.partial(_row, i)) for i in range(3)]

    def _gradients(self, gy, x, gamma, fixed):
        """What `normalize_grad` gives."""
        if isinstance(gy, Rectified) and gy.result is None:
            return gy.through_normalization(x, gamma, self.numbers, self.axis, fixed)
        return normalize_grad(solid(gy), x, gamma, self.mean, self.inv_std, self.axis, fixed)

    def _check_data_type_forward(self, in_data):
        x, gamma, *others = in_data
        _, keys, _ = _axes(self.axis, x.ndim, gamma.ndim)
        shape, dtype = gamma.shape, gamma.dtype
        if (
            len(in_data) != self.n_in
            or kind_of(x.dtype) != 'f'
            or kind_of(dtype) != 'f'
            or x.ndim <= gamma.ndim
            or self.axis
            and self.axis[-1] >= x.ndim
            or shape != tuple([x.shape[i] for i in keys])
            or any([a.shape != shape or a.dtype != dtype for a in others])
        ):
            super()._check_data_type_forward(in_data)  # says in detail what is wrong

    def check_type_forward(self, in_types):
        type_check.expect(in_types.size() == self.n_in)
        x, gamma, beta, *others = in_types
        x_ndim = type_check.eval(x.ndim)
        if self.axis is not None:
            type_check.expect(x.ndim > max(self.axis))
        _, keys, _ = _axes(self.axis, x_ndim, min(type_check.eval(gamma.ndim), x_ndim - 1))
        type_check.expect(x.dtype.kind == 'f', gamma.dtype.kind == 'f')
        if others:
            for other in (beta, *others):
                type_check.expect(other.dtype == gamma.dtype, other.shape == gamma.shape)
        else:
            type_check.expect(gamma.dtype == beta.dtype, gamma.shape == beta.shape)
        type_check.expect(gamma.ndim == len(keys))
        for i, key in enumerate(keys):
            type_check.expect(x.shape[key] == gamma.shape[i])

    def _set_axes(self, x, gamma):
        self.axis, self.key_axis, self.expander = _axes(self.axis, x.ndim, gamma.ndim)


class BatchNormalization(_Normalization):
    """Normalization by the mean and variance of the batch.

    Attributes:
        running_mean, running_var: arrays updated in place, or None.
        decay: how much of them is kept.
        mean, var, inv_std: of the batch; inv_std is 1 / sqrt(var + eps).
    """

    n_in = 3

    def __init__(self, eps=2e-5, mean=None, var=None, decay=0.9, axis=None):
        super().__init__(eps, axis)
        self.running_mean, self.running_var, self.decay = mean, var, decay

    def forward_kernel(self, x, gamma, beta):
        self._set_axes(x, gamma)
        if x.size == gamma.size:
            warnings.warn(_ONE_SAMPLE, stacklevel=4)
        running = self.running_mean, self.running_var
        x, defers = self._own(x)
        if defers:
            self.numbers = batch_statistics(x, gamma, beta, self.axis, self.eps, running, self.decay)
            return Normalized(x, self.numbers, self.axis, True, config.enable_backprop), None
        y, mean, var = batch_normalize(x, gamma, beta, self.axis, self.eps)
        self.numbers = fixed_statistics(gamma, beta, mean, var, self.eps, mean.dtype)
        move_statistics(running, mean, var, self.decay, x.size // max(gamma.size, 1))
        return y, None

    def backward_kernel(self, saved, gy, x, gamma, beta):
        gx, ggamma, gbeta = self._gradients(gy, x, gamma, False)
        return gx, ggamma.astype(gamma.dtype, copy=False), gbeta.astype(gamma.dtype, copy=False)

    def formula(self, x, gamma, beta):
        shape = [1 if i in self.axis else n for i, n in enumerate(x.shape)]
        dtype = self.mean.dtype
        wide = cast(x, dtype)
        scale = gamma.size / max(x.size, 1)
        d = wide - sum(wide, self.axis, keepdims=True) * scale
        var = sum(d * d, self.axis, keepdims=True) * scale
        gamma, beta = reshape(cast(gamma, dtype), shape), reshape(cast(beta, dtype), shape)
        return cast(gamma * d * pow(var + self.eps, -0.5) + beta, x.dtype)


class FixedBatchNormalization(_Normalization):
    """Normalization by a mean and a variance that are given."""

    n_in = 5

    def __init__(self, eps=2e-5, axis=None):
        super().__init__(eps, axis)

    def _private_data(self, xs):
        x, *others = xs
        keeps_x = config.enable_backprop
        if not keeps_x and self.axis is None and len(xs) == self.n_in and others[0].ndim == 1:
            convolved = x._unfinished('takes_normalization')
            if convolved is not None:
                return convolved, *[a._any_array for a in others]
        return super()._private_data(xs)

    def forward_kernel(self, x, gamma, beta, mean, var):
        self._set_axes(x, gamma)
        self.numbers = fixed_statistics(gamma, beta, mean, var, self.eps, x.dtype)
        if isinstance(x, Convolved):
            if self.numbers.dtype == x.dtype and self.numbers.shape[1:] == x.shape[1:2]:
                return x.normalized(self.numbers), None
            x = x.array()
        x, defers = self._own(x)
        if defers:
            return Normalized(x, self.numbers, self.axis, False, config.enable_backprop), None
        return normalize(x, gamma, beta, mean, self.inv_std, self.axis), None

    def backward_kernel(self, saved, gy, x, gamma, beta, mean, var):
        gx, ggamma, gbeta = self._gradients(gy, x, gamma, True)
        inv_std = self.inv_std
        gmean = -gamma * inv_std * gbeta
        gvar = -0.5 * gamma * inv_std * inv_std * ggamma
        return gx, *[g.astype(gamma.dtype, copy=False) for g in (ggamma, gbeta, gmean, gvar)]

    def formula(self, x, gamma, beta, mean, var):
        shape = [1 if i in self.axis else n for i, n in enumerate(x.shape)]
        wide, gamma, beta, mean, var = [cast(a, self.inv_std.dtype) for a in (x, gamma, beta, mean, var)]
        scale = gamma * pow(var + self.eps, -0.5)
        return cast((wide - reshape(mean, shape)) * reshape(scale, shape) + reshape(beta, shape), x.dtype)


def batch_normalization(x, gamma, beta, **kwargs):
    """gamma (x - mean) / sqrt(var + eps) + beta, with the mean and the (biased) variance of the batch.

    Args:
        x: float array (n, *s); its dtype is the result's.
        gamma, beta: float arrays: the scale and the offset of each key, of the shape of the axes of x that are not in
            `axis`.
        eps: 2e-5, added to the variance.
        running_mean, running_var: arrays of gamma's shape, or None: updated in place to decay * running + (1 - decay)
            * batch's, where the variance is without bias.
        decay: 0.9.
        axis: int or ascending tuple of ints: the axes to normalize over; by default the first and all after those of
            gamma's shape.

    Returns:
        Variable of x's shape and dtype.
    """
    names = ('eps', 2e-5), ('running_mean', None), ('running_var', None), ('decay', 0.9), ('axis', None)
    eps, running_mean, running_var, decay, axis = parse_kwargs(kwargs, *names, **removed('train'))
    return BatchNormalization(eps, running_mean, running_var, decay, axis).apply((x, gamma, beta))[0]


def fixed_batch_normalization(x, gamma, beta, mean, var, eps=2e-5, axis=None):
    """`batch_normalization` with a mean and a variance that are given, and differentiated by, instead of the batch's.

    Args:
        mean, var: float arrays of the shape and dtype of gamma.
    """
    return FixedBatchNormalization(eps, axis).apply((x, gamma, beta, mean, var))[0]
