"""Cross entropy of softmax and labels."""

import numpy as np

from chainlite import backend
from chainlite._fused import Fused
from chainlite.backends.cpu.softmax import cross_entropy, cross_entropy_grad, mean_loss
from chainlite.configuration import config
from chainlite.functions.activation.log_softmax import log_softmax
from chainlite.functions.math.sum import sum
from chainlite.utils._check import kind_of
from chainlite.variable import Variable, as_variable


class SoftmaxCrossEntropy(Fused):
    """-log softmax(x)[t], per label or averaged over the labels that count."""

    check = 'x: f (n k *d), t: i (n *d)'
    normalize = True

    def __init__(self, normalize=True, cache_score=True, class_weight=None, ignore_label=-1, reduce='mean'):
        _check_class_weight(class_weight)
        _check_reduce(reduce)
        self.normalize, self.cache_score, self.class_weight = normalize, cache_score, class_weight
        self.ignore_label, self.reduce = ignore_label, reduce

    @property
    def y(self):
        """Softmax of the scores; None if the scores were not kept."""
        log_y = None if self.saved is None else self.saved[0]
        return None if log_y is None else backend.get_array_module(log_y).exp(log_y)

    def forward_kernel(self, x, t):
        if config.debug:
            _check_labels(x, t, self.ignore_label)
        ignored, count = self.ignore_label, t.size
        if ignored is not None and isinstance(t, np.ndarray):
            count = np.count_nonzero(t != ignored)
            if count == t.size:
                ignored = None  # nobody has to look for it again
        loss, log_y = cross_entropy(x, t, self.class_weight, ignored)
        scale = None
        if self.reduce == 'mean':
            if not self.normalize:
                count = len(x)
            elif ignored is not None and not isinstance(t, np.ndarray):
                count = None  # looking at it would wait for the device
            loss, scale = mean_loss(loss, t, ignored, count)
        return loss, (log_y if self.cache_score else None, scale, ignored)

    def backward_kernel(self, saved, gloss, x, t):
        log_y, scale, ignored = saved
        if log_y is None:
            log_y = cross_entropy(x, t, self.class_weight, ignored)[1]
        if scale is not None:
            gloss = gloss[()] * scale
        return cross_entropy_grad(gloss, log_y, t, self.class_weight, ignored).astype(x.dtype, copy=False), None

    def formula(self, x, t):
        xp = backend.get_array_module(x.array)
        t = t.array
        classes = xp.arange(x.shape[1]).reshape([-1 if i == 1 else 1 for i in range(x.ndim)])
        weight = (xp.expand_dims(t, 1) == classes) & xp.expand_dims(t != self.ignore_label, 1)
        weight = weight.astype(x.dtype)
        if self.class_weight is not None:
            weight *= self.class_weight.reshape(classes.shape)
        loss = -sum(log_softmax(x) * Variable(weight, requires_grad=False), 1)
        if self.reduce == 'no':
            return loss
        scale = self.saved[1]
        return sum(loss) * (scale if isinstance(scale, float) else scale.astype(x.dtype))


def softmax_cross_entropy(
    x,
    t,
    normalize=True,
    cache_score=True,
    class_weight=None,
    ignore_label=-1,
    reduce='mean',
    enable_double_backprop=False,
    soft_target_loss='cross-entropy',
):
    """Cross entropy of softmax(x) and labels, without overflow.

    Args:
        x: float array (n, k, *d), scores of k classes.
        t: int array (n, *d) of labels; or float array of the shape of `x`, distributions over the classes. A label
            without a class is an IndexError; on a GPU its loss is NaN, and in debug mode it is a ValueError.
        normalize: whether to divide by the number of labels that are not ignored, instead of by n.
        cache_score: whether to keep log softmax for the backward pass.
        class_weight: float array (k,) that multiplies the loss of each class, or None.
        ignore_label: the label that does not count.
        reduce: 'mean' for a scalar, 'no' for an array (n, *d).
        enable_double_backprop: the loss is always twice differentiable here; taken for compatibility.
        soft_target_loss: for distributions, 'cross-entropy' or 'kl-divergence'.
    """
    x, t = as_variable(x), as_variable(t)
    if t.ndim == x.ndim and kind_of(t.dtype) == 'f':
        return _soft_target(x, t, reduce, soft_target_loss)
    return SoftmaxCrossEntropy(normalize, cache_score, class_weight, ignore_label, reduce).apply((x, t))[0]


def _soft_target(x, t, reduce, kind):
    _check_reduce(reduce)
    if kind not in ('cross-entropy', 'kl-divergence'):
        raise ValueError(f"soft_target_loss must be 'cross-entropy' or 'kl-divergence', not {kind!r}")
    t = Variable(t.array, requires_grad=False)  # no gradient: the distributions are given
    loss = -sum(t * log_softmax(x), 1)
    if kind == 'kl-divergence':
        xp = backend.get_array_module(t.array)
        p = t.array.astype('f') if t.dtype.itemsize == 2 else t.array
        entropy = (p * xp.log(p + xp.finfo(p.dtype).tiny)).sum(axis=1)
        loss = loss + Variable(entropy.astype(t.dtype, copy=False), requires_grad=False)
    return loss if reduce == 'no' else sum(loss) * (1.0 / max(loss.size, 1))


def _check_reduce(reduce):
    if reduce not in ('mean', 'no'):
        raise ValueError(f"only 'mean' and 'no' are valid for 'reduce', but '{reduce}' is given")


def _check_class_weight(class_weight):
    if class_weight is None:
        return
    if isinstance(class_weight, Variable):
        raise ValueError('class_weight should be a NumPy or CuPy array, not a chainer.Variable')
    if class_weight.ndim != 1:
        raise ValueError('class_weight.ndim should be 1')
    if kind_of(class_weight.dtype) != 'f':
        raise ValueError("The dtype of class_weight should be 'f'")


def _check_labels(x, t, ignore_label):
    if not (((0 <= t) & (t < x.shape[1])) | (t == ignore_label)).all():
        raise ValueError(f'Each label `t` need to satisfy `0 <= t < x.shape[1] or t == {ignore_label}`')
