from chainlite.configuration import config
from chainlite.functions.normalization.batch_normalization import fixed_batch_normalization
from chainlite.functions.normalization.batch_renormalization import batch_renormalization
from chainlite.links.normalization.batch_normalization import BatchNormalization


class BatchRenormalization(BatchNormalization):
    """Batch normalization corrected towards the running averages also in training mode.

    Args:
        size: Number of channels.
        rmax: Limit of the correction of the scale.
        dmax: Limit of the correction of the shift.

    The other arguments and the attributes are those of :class:`~chainlite.links.BatchNormalization`.

    See: Ioffe, Batch Renormalization, https://arxiv.org/abs/1702.03275
    """

    def __init__(
        self,
        size,
        rmax=1,
        dmax=0,
        decay=0.9,
        eps=2e-5,
        dtype=None,
        use_gamma=True,
        use_beta=True,
        initial_gamma=None,
        initial_beta=None,
        initial_avg_mean=None,
        initial_avg_var=None,
    ):
        super().__init__(
            size,
            decay,
            eps,
            dtype,
            use_gamma,
            use_beta,
            initial_gamma,
            initial_beta,
            initial_avg_mean=initial_avg_mean,
            initial_avg_var=initial_avg_var,
        )
        self.rmax = rmax
        self.dmax = dmax
        self.r = None
        self.d = None

    def forward(self, x, finetune=False):
        """Normalizes ``x``, (n, size, \\*d); ``finetune`` is that of batch normalization."""
        gamma, beta = self._scale_and_shift()
        if not config.train:
            return fixed_batch_normalization(x, gamma, beta, self.avg_mean, self.avg_var, self.eps)
        update = not config.in_recomputing
        decay = self.decay
        if finetune and update:
            self.N += 1
            decay = 1 - 1 / self.N
        averages = self.avg_mean, self.avg_var
        if config._will_recompute:  # the result depends on the averages as they are now
            self._averages_before = [a.copy() for a in averages]
        elif config.in_recomputing:
            averages = self._averages_before
        return batch_renormalization(
            x, gamma, beta, self.rmax, self.dmax, self.eps, *averages, decay, update_statistics=update
        )
