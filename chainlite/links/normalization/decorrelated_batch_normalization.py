import warnings

import numpy

from chainlite.configuration import config
from chainlite.functions.normalization.decorrelated_batch_normalization import (
    decorrelated_batch_normalization,
    fixed_decorrelated_batch_normalization,
)
from chainlite.link import Link
from chainlite.serializer import Serializer
from chainlite.utils.argument import parse_kwargs


class DecorrelatedBatchNormalization(Link):
    """Whitens groups of channels: their covariance over the batch becomes the identity.

    In training mode, mean and projection are those of the batch, and running averages of them are kept; in test mode,
    the averages are used.

    Args:
        size: Number of channels.
        groups: Number of groups, a divisor of ``size``.
        decay: Share of the old average that remains in each step.
        eps: Added to the variances.
        dtype: Dtype of the averages.

    Attributes:
        avg_mean: Running average of the means, (groups, size / groups).
        avg_projection: Running average of the projections, (groups, size / groups, size / groups).
        N: Number of batches seen in fine-tuning.

    See: Huang et al., Decorrelated Batch Normalization, https://arxiv.org/abs/1804.08450
    """

    def __init__(self, size, groups=16, decay=0.9, eps=2e-5, dtype=numpy.float32):
        super().__init__()
        c = size // groups
        self.add_persistent('avg_mean', numpy.zeros((groups, c), dtype))
        self.add_persistent('avg_projection', numpy.tile(numpy.eye(c, dtype=dtype), (groups, 1, 1)))
        self.add_persistent('N', 0)
        self.decay = decay
        self.eps = eps
        self.groups = groups

    def serialize(self, serializer):
        if isinstance(serializer, Serializer):
            super().serialize(serializer)
            return
        # Chainer up to v6 kept one mean and one projection for all groups.
        averages = {name: getattr(self, name) for name in ('avg_mean', 'avg_projection')}
        for name in averages:
            setattr(self, name, None)
        super().serialize(serializer)
        for name, array in averages.items():
            loaded = self.device.send(getattr(self, name))
            if loaded.ndim < array.ndim and self.groups != 1:
                warnings.warn(f'The file has one {name} for all groups: each group takes it.')
            array[...] = loaded
            setattr(self, name, array)

    def forward(self, x, **kwargs):
        """Whitens ``x``, (n, size, \\*d).

        Args:
            x: The input.
            finetune: Whether to accumulate plain instead of exponential averages, of all batches since
                :meth:`start_finetuning` (keyword only).
        """
        (finetune,) = parse_kwargs(kwargs, ('finetune', False))
        if not config.train:
            return fixed_decorrelated_batch_normalization(x, self.avg_mean, self.avg_projection, self.groups)
        mean, projection, decay = self.avg_mean, self.avg_projection, self.decay
        if config.in_recomputing:  # this batch has been counted
            mean = projection = None
        elif finetune:
            self.N += 1
            decay = 1 - 1 / self.N
        return decorrelated_batch_normalization(
            x, groups=self.groups, eps=self.eps, running_mean=mean, running_projection=projection, decay=decay
        )

    def start_finetuning(self):
        """Starts the averages anew, for calls with ``finetune=True`` to accumulate."""
        self.N = 0
