"""Training steps of large networks, for budgets: what they launch, and what they take of the host's time.

Meant for the stand-in with its driver off (`cuda_on_cpu.null_driver`), under which nothing is computed: sizes are real.
"""

import chainlite.functions as F
import chainlite.links as L
from chainlite import optimizer_hooks, optimizers
from chainlite.backends import cuda


class ResNet50Step:
    """A step of ResNet-50 with momentum SGD and weight decay, in its three parts.

    Args:
        batch (int): Number of images of 3 x 224 x 224.
    """

    def __init__(self, batch=32):
        self.net = L.ResNet50Layers(pretrained_model=None)
        self.net.to_device('@cupy:0')
        self.optimizer = optimizers.MomentumSGD(0.1).setup(self.net)
        self.optimizer.add_hook(optimizer_hooks.WeightDecay(1e-4))
        self.x = cuda.cupy.zeros((batch, 3, 224, 224), 'f')
        self.t = cuda.cupy.zeros(batch, 'i')

    def forward(self):
        self.loss = F.softmax_cross_entropy(self.net(self.x, layers=['fc6'])['fc6'], self.t)

    def backward(self):
        self.net.cleargrads()
        self.loss.backward()
        del self.loss

    def update(self):
        self.optimizer.update()

    parts = forward, backward, update

    def __call__(self):
        for part in self.parts:
            part(self)
