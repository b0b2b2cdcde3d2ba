import numbers

import numpy

from chainlite import initializers
from chainlite.configuration import config, get_dtype
from chainlite.functions.normalization import batch_normalization as functions
from chainlite.link import Link
from chainlite.links.normalization._initializer import highprec_initializer
from chainlite.utils.argument import parse_kwargs, removed
from chainlite.variable import Parameter


class BatchNormalization(Link):
    r"""Batch normalization: :math:`\gamma (x - \mu) / \sqrt{\sigma^2 + \epsilon} + \beta`.

    In training mode, the mean and the variance are those of the batch, and running averages of them are kept; in test
    mode, the averages are used.

    Args:
        size: Shape of what each statistic is kept for, usually the number of channels; None takes it from the first
            input, and needs ``axis``.
        decay: Share of the old average that remains in each step.
        eps: Added to the variance.
        dtype: Dtype of the parameters; ``config.dtype`` by default, but float32 for ``mixed16``.
        use_gamma: Whether to scale.
        use_beta: Whether to shift.
        initial_gamma: Initializer of the scale, 1 by default.
        initial_beta: Initializer of the shift, 0 by default.
        axis: Axis or axes that are averaged over; all but the second by default.
        initial_avg_mean: Initializer of the average mean, 0 by default.
        initial_avg_var: Initializer of the average variance, 1 by default.

    Attributes:
        gamma, beta: Parameters, None if not used.
        avg_mean, avg_var: Running averages, saved with the parameters.
        N: Number of batches seen in fine-tuning.

    See: Ioffe and Szegedy, Batch Normalization, https://arxiv.org/abs/1502.03167
    """

    gamma = None
    beta = None

    def __init__(
        self,
        size=None,
        decay=0.9,
        eps=2e-5,
        dtype=None,
        use_gamma=True,
        use_beta=True,
        initial_gamma=None,
        initial_beta=None,
        axis=None,
        initial_avg_mean=None,
        initial_avg_var=None,
    ):
        super().__init__()
        if size is None and axis is None:
            raise RuntimeError('size or axis is required')
        self._highprec_dtype = get_dtype(dtype, map_mixed16=numpy.float32)
        self.decay = decay
        self.eps = eps
        self.axis = (axis,) if isinstance(axis, numbers.Integral) else axis
        self.N = 0
        self.register_persistent('N')
        self.avg_mean = None
        self.avg_var = None
        self._initial_averages = initial_avg_mean, initial_avg_var
        with self.init_scope():
            if use_gamma:
                self.gamma = Parameter(self._initializer(initial_gamma, 1))
            if use_beta:
                self.beta = Parameter(self._initializer(initial_beta, 0))
        self.register_persistent('avg_mean')
        self.register_persistent('avg_var')
        if size is not None:
            self._initialize_params(size)

    def _initializer(self, initializer, default):
        return highprec_initializer(initializer, default, self._highprec_dtype)

    def _initialize_params(self, shape):
        mean, var = self._initial_averages
        for name, initializer, default in (('avg_mean', mean, 0), ('avg_var', var, 1)):
            array = initializers.generate_array(
                self._initializer(initializer, default), shape, self.xp, device=self.device
            )
            setattr(self, name, array)
        for param in (self.gamma, self.beta):
            if param is not None and not param.is_initialized:
                param.initialize(shape)

    def _prepare(self, x):
        if self.avg_mean is None:
            self._initialize_params(tuple([n for i, n in enumerate(x.shape) if i not in self.axis]))

    @property
    def printable_specs(self):
        yield 'size', None if self.avg_mean is None else self.avg_mean.shape[0] if self.avg_mean.ndim else ()
        yield 'decay', self.decay
        yield 'eps', self.eps
        yield 'dtype', self._highprec_dtype
        yield 'use_gamma', self.gamma is not None
        yield 'use_beta', self.beta is not None

    def forward(self, x, **kwargs):
        """Normalizes ``x``.

        Args:
            x: (n, c, \\*d), or axes as the constructor was told.
            finetune: Whether to accumulate plain instead of exponential averages, of all batches since
                :meth:`start_finetuning` (keyword only).
        """
        finetune = kwargs and parse_kwargs(kwargs, ('finetune', False), **removed('test'))[0]
        self._prepare(x)
        gamma, beta = self._scale_and_shift()
        if not config.train:
            return functions.fixed_batch_normalization(
                x, gamma, beta, self.avg_mean, self.avg_var, self.eps, axis=self.axis
            )
        mean, var, decay = self.avg_mean, self.avg_var, self.decay
        if config.in_recomputing:  # this batch has been counted
            mean = var = None
        elif finetune:
            self.N += 1
            decay = 1 - 1 / self.N
        function = functions.BatchNormalization(self.eps, mean, var, decay, self.axis)
        return function.apply((x, gamma, beta))[0]

    def _scale_and_shift(self):
        """Returns gamma and beta, or constants in place of what is not used."""
        gamma, beta = self.gamma, self.beta
        if gamma is None:
            gamma = self.xp.ones_like(self.avg_mean)
        if beta is None:
            beta = self.xp.zeros_like(self.avg_mean)
        return gamma, beta

    def start_finetuning(self):
        """Starts the averages anew, for calls with ``finetune=True`` to accumulate."""
        self.N = 0
