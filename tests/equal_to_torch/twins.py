"""PyTorch twins of networks in examples/ and chainlite.links, and what carries weights from one to the other.

A twin's modules have the names of the links, so that /blocks/0/conv1/W here is blocks.0.conv1.weight there.
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from chainlite.backends import cuda

LEAVES = {'W': 'weight', 'b': 'bias', 'gamma': 'weight', 'beta': 'bias', 'avg_mean': 'running_mean'}
LEAVES |= {'avg_var': 'running_var'}


def persistents(link):
    """{path: array} of the running averages of batch normalization; the count of fine-tuning steps is left out."""
    return {
        f'{path}/{name}': child.__dict__[name]
        for path, child in link.namedlinks()
        for name in sorted(child._persistent - {'N'})
    }


def pair(link, module):
    """Pairs (path, array here, tensor there) of all parameters and persistents; every tensor is in just one of them."""
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    tensors = {name: tensor for name, tensor in tensors.items() if not name.endswith('num_batches_tracked')}
    arrays = {path: param.array for path, param in link.namedparams()} | persistents(link)
    pairs = []
    for path, array in sorted(arrays.items()):
        *links, leaf = path.strip('/').split('/')
        pairs.append((path, array, tensors.pop('.'.join([*links, LEAVES[leaf]]))))
    assert not tensors, f'without a counterpart in chainlite: {sorted(tensors)}'
    return pairs


def copy_weights(link, module):
    """Makes the parameters and persistents of a PyTorch module equal to those of a chainlite link."""
    with torch.no_grad():
        for path, array, tensor in pair(link, module):
            assert tuple(tensor.shape) == np.shape(array), path
            tensor.copy_(torch.as_tensor(np.asarray(cuda.to_cpu(array))))


def conv(n_in, n_out, ksize, stride=1, pad=0):
    return nn.Conv2d(n_in, n_out, ksize, stride, pad, bias=False)


def batch_norm(n):
    return nn.BatchNorm2d(n, eps=2e-5, momentum=0.1)


def pool(x, cover_all=True):
    return F.max_pool2d(x, 2, ceil_mode=cover_all)


class LeNet5(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 6, 5), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x):
        h = pool(F.relu(self.conv2(pool(F.relu(self.conv1(x))))))
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(h.flatten(1))))))


class TwoClassNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 8, 3, padding=1)
        self.fc1, self.fc2 = nn.Linear(512, 32), nn.Linear(32, 2)

    def forward(self, x):
        h = pool(torch.tanh(self.conv2(pool(torch.tanh(self.conv1(x))))))
        return self.fc2(torch.tanh(self.fc1(h.flatten(1))))


class SimpleNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(1, 32, 7), batch_norm(32)
        self.conv2, self.bn2 = nn.Conv2d(32, 64, 7), batch_norm(64)
        self.fc = nn.Linear(64 * 16 * 16, 10)

    def forward(self, x):
        h = F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))
        return self.fc(h.flatten(1))


class Block(nn.Module):
    def __init__(self, n_in, n_out, stride, residual):
        super().__init__()
        self.more, self.stride, self.residual = n_out - n_in, stride, residual
        self.conv1, self.bn1 = conv(n_in, n_out, 3, stride, 1), batch_norm(n_out)
        self.conv2, self.bn2 = conv(n_out, n_out, 3, 1, 1), batch_norm(n_out)

    def forward(self, x):
        h = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.residual and self.more:
            x = F.max_pool2d(F.pad(x, (0, 0, 0, 0, 0, self.more)), 2, self.stride)
        return F.relu(h + x if self.residual else h)


class ResNet(nn.Module):
    def __init__(self, n, residual):
        super().__init__()
        self.conv, self.bn, self.fc = conv(3, 16, 3, 1, 1), batch_norm(16), nn.Linear(64, 10)
        blocks, n_in = [], 16
        for n_out in 16, 32, 64:
            for _ in range(n):
                blocks.append(Block(n_in, n_out, n_out // n_in, residual))
                n_in = n_out
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x):
        return self.fc(self.blocks(F.relu(self.bn(self.conv(x)))).mean((2, 3)))


class VGG16(nn.Module):
    """The masks of dropout are given: a list of arrays, used in turn."""

    def __init__(self, n_features, masks):
        super().__init__()
        self.stages, n_in, self.masks = nn.ModuleList(), 3, masks
        for n_out, depth in zip([64, 128, 256, 512, 512], [2, 2, 3, 3, 3]):
            convs = [nn.Conv2d(n_in if k == 0 else n_out, n_out, 3, padding=1) for k in range(depth)]
            self.stages.append(nn.ModuleList(convs))
            n_in = n_out
        self.fc6, self.fc7, self.fc8 = nn.Linear(n_features, 4096), nn.Linear(4096, 4096), nn.Linear(4096, 1000)

    def forward(self, x):
        for stage in self.stages:
            for layer in stage:
                x = F.relu(layer(x))
            x = pool(x)
        masks = [torch.as_tensor(mask) for mask in self.masks]
        h = F.relu(self.fc6(x.flatten(1))) * masks[0].to(x)
        h = F.relu(self.fc7(h)) * masks[1].to(x)
        return self.fc8(h)


class Bottleneck(nn.Module):
    def __init__(self, n_in, n_mid, n_out, stride):
        super().__init__()
        self.conv1, self.bn1 = conv(n_in, n_mid, 1, stride), batch_norm(n_mid)
        self.conv2, self.bn2 = conv(n_mid, n_mid, 3, 1, 1), batch_norm(n_mid)
        self.conv3, self.bn3 = conv(n_mid, n_out, 1), batch_norm(n_out)
        if (n_in, stride) != (n_out, 1):
            self.conv4, self.bn4 = conv(n_in, n_out, 1, stride), batch_norm(n_out)

    def forward(self, x):
        h = F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))
        return F.relu(self.bn3(self.conv3(h)) + (self.bn4(self.conv4(x)) if hasattr(self, 'conv4') else x))


def stage(n, n_in, n_mid, stride):
    blocks = [Bottleneck(n_in, n_mid, 4 * n_mid, stride)]
    return blocks + [Bottleneck(4 * n_mid, n_mid, 4 * n_mid, 1) for _ in range(n - 1)]


class ResNet152(nn.Module):
    """Of examples/imagenet."""

    def __init__(self, n_blocks=(3, 8, 36, 3)):
        super().__init__()
        self.conv, self.bn, self.fc = conv(3, 64, 7, 2, 3), batch_norm(64), nn.Linear(2048, 1000)
        widths = [(64, 64, 1), (256, 128, 2), (512, 256, 2), (1024, 512, 2)]
        self.blocks = nn.Sequential(*sum((stage(n, *width) for n, width in zip(n_blocks, widths)), []))

    def forward(self, x):
        return self.fc(self.blocks(pool(F.relu(self.bn(self.conv(x))))).mean((2, 3)))


class ResNet50Layers(nn.Module):
    """Of chainlite.links: a bias before the first batch normalization, overlapping pooling, blocks a, b1, b2, ..."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1, self.fc6 = nn.Conv2d(3, 64, 7, 2, 3), batch_norm(64), nn.Linear(2048, 1000)
        self.stages = []
        for k, (n, n_in, n_mid, stride) in enumerate([(3, 64, 64, 1), (4, 256, 128, 2), (6, 512, 256, 2)], 2):
            self.add_stage(f'res{k}', stage(n, n_in, n_mid, stride))
        self.add_stage('res5', stage(3, 1024, 512, 2))

    def add_stage(self, name, blocks):
        self.add_module(name, nn.ModuleDict({f'b{k}' if k else 'a': block for k, block in enumerate(blocks)}))
        self.stages.append(name)

    def forward(self, x):
        h = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, ceil_mode=True)
        for name in self.stages:
            for block in self.get_submodule(name).values():
                h = block(h)
        return self.fc6(h.mean((2, 3)))


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        channels = [100, 512, 256, 128, 64, 3]
        shapes = [(4, 1, 0), *[(4, 2, 1)] * 4]
        layers = [nn.ConvTranspose2d(*n, *s, bias=False) for *n, s in zip(channels, channels[1:], shapes)]
        self.up, self.bn = nn.ModuleList(layers), nn.ModuleList(map(batch_norm, channels[1:-1]))

    def forward(self, z):
        for up, bn in zip(self.up, self.bn):
            z = F.relu(bn(up(z)))
        return torch.tanh(self.up[-1](z))


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        channels = [3, 64, 128, 256, 512]
        self.down = nn.ModuleList(conv(*n, 4, 2, 1) for n in zip(channels, channels[1:]))
        self.bn, self.score = nn.ModuleList(map(batch_norm, channels[2:])), conv(512, 1, 4)

    def forward(self, x):
        h = F.leaky_relu(self.down[0](x), 0.2)
        for down, bn in zip(self.down[1:], self.bn):
            h = F.leaky_relu(bn(down(h)), 0.2)
        return self.score(h)
