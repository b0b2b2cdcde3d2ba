import numpy

from chainlite import backend
from chainlite.configuration import config
from chainlite.functions.array.broadcast import broadcast_to
from chainlite.functions.math.matmul import matmul
from chainlite.functions.math.sum import sum
from chainlite.link_hooks._weight_hook import WeightHook
from chainlite.links.connection.deconvolution_2d import Deconvolution2D
from chainlite.links.connection.deconvolution_nd import DeconvolutionND
from chainlite.variable import Parameter


class SpectralNormalization(WeightHook):
    r"""Divides the weight of a link by (an estimate of) its largest singular value, before each forward pass.

    ``link.add_hook(SpectralNormalization())``; works on Linear, EmbedID, convolutions and deconvolutions. The weight is
    read as a matrix :math:`W`, one row for each output channel, and :math:`\sigma(W) = u^T W v` comes from power
    iteration. Each forward pass in training mode continues from the last one's :math:`u`, which is saved with the link
    under ``<weight_name>_u``.

    Args:
        n_power_iteration: Number of iterations of each forward pass.
        eps: Added to norms before dividing by them.
        use_gamma: Whether to multiply by ``gamma``, a parameter of the link that starts as the largest singular value.
        factor: Number to multiply the weight by, None for 1.
        weight_name: Name of the parameter.
        name: Name of the hook.

    See: Miyato et al., Spectral Normalization for Generative Adversarial Networks, https://arxiv.org/abs/1802.05957
    """

    name = 'SpectralNormalization'

    def __init__(self, n_power_iteration=1, eps=1e-6, use_gamma=False, factor=None, weight_name='W', name=None):
        if n_power_iteration <= 0:
            raise AssertionError(f'SpectralNormalization: n_power_iteration must be positive, not {n_power_iteration}')
        super().__init__(weight_name, name)
        self.n_power_iteration = n_power_iteration
        self.eps = eps
        self.use_gamma = use_gamma
        self.factor = factor
        self.vector_name = weight_name + '_u'

    def added(self, link):
        # The output channels of a transposed convolution are the second axis of its weight.
        self.axis = 1 if isinstance(link, (Deconvolution2D, DeconvolutionND)) else 0
        super().added(link)

    def prepare(self, link):
        weight = getattr(link, self.weight_name)
        if 0 in weight.shape:
            raise ValueError(f'SpectralNormalization: the weight must not be empty, but has shape {weight.shape}')
        u = numpy.random.normal(size=weight.shape[self.axis]).astype(weight.dtype)
        setattr(link, self.vector_name, link.device.send(u))
        link.register_persistent(self.vector_name)
        if self.use_gamma:
            matrix = backend.CpuDevice().send(self.reshape_W(weight.array))
            singular_values = numpy.linalg.svd(matrix.astype(numpy.float64), compute_uv=False)
            with link.init_scope():
                link.gamma = Parameter(numpy.array(singular_values[0], weight.dtype))

    def deleted(self, link):
        delattr(link, self.vector_name)
        if self.use_gamma:
            del link.gamma

    def reshape_W(self, W):
        """Returns the weight, an array or a Variable, as a matrix of one row for each output channel."""
        if self.axis != 0:
            W = W.transpose((self.axis, *(i for i in range(W.ndim) if i != self.axis)))
        return W.reshape((W.shape[0], -1))

    def normalize_weight(self, link):
        """Returns the weight divided by its largest singular value, as a Variable."""
        weight = getattr(link, self.weight_name)
        u = getattr(link, self.vector_name)
        matrix = self.reshape_W(weight.array)
        if config.in_recomputing:  # the same weight as the first time
            v = self.v
        else:
            for _ in range(self.n_power_iteration):
                v = self._unit(u.dot(matrix))
                u = self._unit(matrix.dot(v))
            self.v = v
            if config.train:
                getattr(link, self.vector_name)[...] = u
        sigma = sum(matmul(u[None], self.reshape_W(weight)) * v[None])
        scale = 1 / sigma
        if self.factor is not None:
            scale = self.factor * scale
        if self.use_gamma:
            scale = link.gamma * scale
        return weight * broadcast_to(scale, weight.shape)

    def _unit(self, x):
        xp = backend.get_array_module(x)
        return x / (xp.linalg.norm(x) + self.eps)

    def transform(self, link):
        return self.normalize_weight(link)
