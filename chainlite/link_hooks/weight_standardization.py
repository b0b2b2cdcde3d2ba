from chainlite.functions.array.broadcast import broadcast_to
from chainlite.functions.math.average import average
from chainlite.functions.math.sqrt import sqrt
from chainlite.link_hooks._weight_hook import WeightHook


class WeightStandardization(WeightHook):
    """Standardizes the weight of a link, to mean 0 and variance 1 for each output channel, before each forward pass.

    ``link.add_hook(WeightStandardization())``; works on links that have a weight, such as convolutions.

    Args:
        eps: Added to the variance.
        weight_name: Name of the parameter.
        name: Name of the hook.

    See: Qiao et al., Weight Standardization, https://arxiv.org/abs/1903.10520
    """

    name = 'WeightStandardization'

    def __init__(self, *, eps=1e-5, weight_name='W', name=None):
        super().__init__(weight_name, name)
        self.eps = eps

    def transform(self, link):
        weight = getattr(link, self.weight_name)
        axes = tuple(range(1, weight.ndim))
        deviation = weight - broadcast_to(average(weight, axes, keepdims=True), weight.shape)
        variance = average(deviation * deviation, axes, keepdims=True)
        return deviation / broadcast_to(sqrt(variance + self.eps), weight.shape)
