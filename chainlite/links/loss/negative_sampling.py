import numpy

from chainlite.configuration import get_dtype
from chainlite.functions.loss import negative_sampling
from chainlite.link import Link
from chainlite.utils.argument import parse_kwargs
from chainlite.utils.walker_alias import WalkerAlias
from chainlite.variable import Parameter


class NegativeSampling(Link):
    """Loss of telling a label from sampled others: an approximation of the softmax for many labels.

    Args:
        in_size: Size of the input.
        counts: How often each label occurs.
        sample_size: Number of samples for each label.
        power: Samples are drawn with the counts to this power.
        dtype: Dtype of the weight, ``config.dtype`` by default.

    Attributes:
        W: Weight, (number of labels, in_size), which starts as 0.

    See: Mikolov et al., Distributed Representations of Words and Phrases, https://arxiv.org/abs/1310.4546
    """

    def __init__(self, in_size, counts, sample_size, power=0.75, dtype=None):
        super().__init__()
        dtype = get_dtype(dtype)
        self.sample_size = sample_size
        self.sampler = WalkerAlias(numpy.array(counts, numpy.float32) ** numpy.float32(power))
        with self.init_scope():
            self.W = Parameter(numpy.zeros((len(counts), in_size), dtype))

    def device_resident_accept(self, visitor):
        super().device_resident_accept(visitor)
        self.sampler.device_resident_accept(visitor)

    def forward(self, x, t, reduce='sum', **kwargs):
        """Computes the loss.

        Args:
            x: Input, (n, in_size).
            t: Labels, (n), int32; -1 is left out.
            reduce: ``'sum'``, or ``'no'`` for (n).
            return_samples: Whether to return the samples as well (keyword only).
        """
        (return_samples,) = parse_kwargs(kwargs, ('return_samples', False))
        return negative_sampling.negative_sampling(
            x, t, self.W, self.sampler.sample, self.sample_size, reduce, return_samples=return_samples
        )
