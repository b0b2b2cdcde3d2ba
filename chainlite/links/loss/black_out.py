from chainlite.functions.loss import black_out
from chainlite.link import Link
from chainlite.utils.walker_alias import WalkerAlias
from chainlite.variable import Parameter


class BlackOut(Link):
    """BlackOut loss: an approximation of the softmax for many labels, by discrimination from sampled ones.

    Args:
        in_size: Size of the input.
        counts: How often each label occurs.
        sample_size: Number of samples for each label.

    Attributes:
        W: Weight, (number of labels, in_size); it must be set before use.

    See: Ji et al., BlackOut, https://arxiv.org/abs/1511.06909
    """

    sample_data = None  # samples to use instead of drawing them

    def __init__(self, in_size, counts, sample_size):
        super().__init__()
        self.sampler = WalkerAlias(counts)
        self.sample_size = sample_size
        with self.init_scope():
            self.W = Parameter(shape=(len(counts), in_size))

    def device_resident_accept(self, visitor):
        super().device_resident_accept(visitor)
        self.sampler.device_resident_accept(visitor)

    def forward(self, x, t):
        """Computes the mean loss of ``x``, (n, in_size), with the labels ``t``, (n), int32."""
        samples = self.sample_data
        if samples is None:
            samples = self.sampler.sample((x.shape[0], self.sample_size))
        return black_out.black_out(x, t, self.W, samples)
