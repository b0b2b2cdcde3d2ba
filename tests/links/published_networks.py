"""The published caffemodels' networks, with numbers of their names in place of trained ones."""

import numpy as np

from chainlite.links.caffe.protobuf3 import caffe_pb2
from links.torchvision_weights import numbers

MESSAGES = caffe_pb2.make_messages(lean=True)  # whose arrays are bytes: quicker for millions of numbers


class Network:
    """Collects the prototxt and the arrays of a network."""

    def __init__(self, shape):
        dims = ' '.join(f'dim: {n}' for n in shape)
        self.prototxt = f'layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ {dims} }} }} }}\n'
        self.layers = []  # (name, type, arrays, what is true of it)
        self.channels = {'data': shape[1]}

    def add(self, name, kind, bottoms, text='', arrays=(), top=None, **params):
        bottoms = [bottoms] if isinstance(bottoms, str) else bottoms
        top = top or name
        links = ' '.join(f'bottom: "{bottom}"' for bottom in bottoms)
        self.prototxt += f'layer {{ name: "{name}" type: "{kind}" {links} top: "{top}" {text} }}\n'
        self.layers.append((name, kind, bottoms, top, arrays, text))
        self.channels[top] = params.get('channels', sum(self.channels[b] for b in bottoms))
        return top

    def convolution(self, name, bottom, n_out, k, stride=1, pad=0, bias=True):
        n_in = self.channels[bottom]
        arrays = [numbers(f'{name}.W.weight', (n_out, n_in, k, k))]
        if bias:
            arrays.append(numbers(f'{name}.W.bias', (n_out,)))
        text = f'num_output: {n_out} kernel_size: {k} stride: {stride} pad: {pad} bias_term: {str(bias).lower()}'
        return self.add(name, 'Convolution', bottom, f'convolution_param {{ {text} }}', arrays, channels=n_out)

    def linear(self, name, bottom, n_in, n_out):
        arrays = [numbers(f'{name}.W.weight', (n_out, n_in)), numbers(f'{name}.W.bias', (n_out,))]
        return self.add(name, 'InnerProduct', bottom, f'inner_product_param {{ num_output: {n_out} }}', arrays)

    def normalization(self, suffix, bottom):
        """In place, the mean and variance as sums that are to be divided, as Caffe writes them."""
        n = self.channels[bottom]
        base = f'{suffix}.bn3' if suffix.endswith('2c') else f'{suffix}.bn'
        mean, var, gamma, beta = (
            numbers(f'{base}.{w}', (n,)) for w in ('running_mean', 'running_var', 'weight', 'bias')
        )
        weight = np.float32(4)
        self.add(f'bn{suffix}', 'BatchNorm', bottom, '', [mean * weight, var * weight, weight[None]], top=bottom)
        self.add(f'scale{suffix}', 'Scale', bottom, 'scale_param { bias_term: true }', [gamma, beta], top=bottom)

    def relu(self, bottom, top=None):
        return self.add(f'{bottom}_relu', 'ReLU', bottom, top=top or bottom)

    def pool(self, name, bottom, k, stride, pool='MAX', pad=0):
        text = f'pooling_param {{ pool: {pool} kernel_size: {k} stride: {stride} pad: {pad} }}'
        return self.add(name, 'Pooling', bottom, text)

    def save(self, path, old=False):
        """Writes the caffemodel, in the old format with arrays of four sizes if `old`."""
        net = MESSAGES['NetParameter']()
        from google.protobuf import text_format

        for name, kind, bottoms, top, arrays, text in self.layers:
            if old:
                number = {'Convolution': 4, 'InnerProduct': 14, 'ReLU': 18, 'Pooling': 17, 'Softmax': 20, 'Dropout': 6}[
                    kind
                ]
                layer = net.layers.add(name=name, type=number, bottom=bottoms, top=[top])
            else:
                layer = net.layer.add(name=name, type=kind, bottom=bottoms, top=[top])
            if text:
                numeric = text.replace('pool: MAX', 'pool: 0').replace('pool: AVE', 'pool: 1')
                text_format.Merge(numeric, layer)
            for a in arrays:
                blob = layer.blobs.add(data=[a.tobytes()])
                if old:
                    blob.num, blob.channels, blob.height, blob.width = (1,) * (4 - a.ndim) + a.shape
                else:
                    blob.shape.dim.extend(a.shape)
        path.write_bytes(net.SerializeToString())
        return str(path)


def resnet(n_layers, counts, size):
    """MSRA's names: ResNet-50's first convolution has a bias, res3b is res3b1 in the deeper ones."""
    net = Network((1, 3, size, size))
    net.convolution('conv1', 'data', 64, 7, 2, 3, bias=n_layers == 50)
    net.normalization('_conv1', 'conv1')
    x = net.pool('pool1', net.relu('conv1'), 3, 2)
    for stage, (count, width) in enumerate(zip(counts, (64, 128, 256, 512)), 2):
        for i in range(count):
            block = f'{stage}{chr(97 + i) if n_layers == 50 or stage in (2, 5) or i == 0 else f"b{i}"}'
            stride = 2 if i == 0 and stage > 2 else 1
            shortcut = x
            if i == 0:
                shortcut = net.convolution(f'res{block}_branch1', x, 4 * width, 1, stride, bias=False)
                net.normalization(f'{block}_branch1', shortcut)
            for branch, n_out, k, s, pad in (
                ('2a', width, 1, stride, 0),
                ('2b', width, 3, 1, 1),
                ('2c', 4 * width, 1, 1, 0),
            ):
                x = net.convolution(f'res{block}_branch{branch}', x, n_out, k, s, pad, bias=False)
                net.normalization(f'{block}_branch{branch}', x)
                if branch != '2c':
                    net.relu(x)
            net.add(f'res{block}', 'Eltwise', [shortcut, x], channels=4 * width)
            x = net.relu(f'res{block}')
    x = net.add('pool5', 'Pooling', x, 'pooling_param { pool: AVE global_pooling: true }')
    net.add('prob', 'Softmax', net.linear('fc1000', x, 2048, 1000))
    return net


def vgg(counts, widths, hidden):
    """The published files have the old format."""
    net, x = Network((1, 3, 224, 224)), 'data'
    for i, (count, width) in enumerate(zip(counts, widths), 1):
        for j in range(1, count + 1):
            x = net.relu(net.convolution(f'conv{i}_{j}', x, width, 3, 1, 1))
        x = net.pool(f'pool{i}', x, 2, 2)
    x = net.add('drop6', 'Dropout', net.relu(net.linear('fc6', x, widths[-1] * 49, hidden)), top='fc6')
    x = net.add('drop7', 'Dropout', net.relu(net.linear('fc7', x, hidden, hidden)), top='fc7')
    net.add('prob', 'Softmax', net.linear('fc8', x, hidden, 1000))
    return net


INCEPTIONS = {
    **{'3a': (64, 96, 128, 16, 32, 32), '3b': (128, 128, 192, 32, 96, 64), '4a': (192, 96, 208, 16, 48, 64)},
    **{'4b': (160, 112, 224, 24, 64, 64), '4c': (128, 128, 256, 24, 64, 64), '4d': (112, 144, 288, 32, 64, 64)},
    **{'4e': (256, 160, 320, 32, 128, 128), '5a': (256, 160, 320, 32, 128, 128), '5b': (384, 192, 384, 48, 128, 128)},
}


def googlenet():
    """With both auxiliary classifiers."""
    net = Network((1, 3, 224, 224))
    lrn = 'lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 }'
    x = net.relu(net.convolution('conv1/7x7_s2', 'data', 64, 7, 2, 3))
    x = net.add('pool1/norm1', 'LRN', net.pool('pool1/3x3_s2', x, 3, 2), lrn)
    x = net.relu(net.convolution('conv2/3x3_reduce', x, 64, 1))
    x = net.add('conv2/norm2', 'LRN', net.relu(net.convolution('conv2/3x3', x, 192, 3, 1, 1)), lrn)
    x = net.pool('pool2/3x3_s2', x, 3, 2)
    for name, (n1, r3, n3, r5, n5, npool) in INCEPTIONS.items():
        i = f'inception_{name}'
        parts = [net.relu(net.convolution(f'{i}/1x1', x, n1, 1))]
        for n_reduced, n_out, k in (r3, n3, 3), (r5, n5, 5):
            reduced = net.relu(net.convolution(f'{i}/{k}x{k}_reduce', x, n_reduced, 1))
            parts.append(net.relu(net.convolution(f'{i}/{k}x{k}', reduced, n_out, k, 1, k // 2)))
        pooled = net.pool(f'{i}/pool', x, 3, 1, pad=1)
        parts.append(net.relu(net.convolution(f'{i}/pool_proj', pooled, npool, 1)))
        x = net.add(f'{i}/output', 'Concat', parts)
        if name in ('3b', '4e'):
            x = net.pool(f'pool{int(name[0])}/3x3_s2', x, 3, 2)
        if name in ('4a', '4d'):
            loss = 'loss1' if name == '4a' else 'loss2'
            h = net.pool(f'{loss}/ave_pool', x, 5, 3, 'AVE')
            h = net.relu(net.convolution(f'{loss}/conv', h, 128, 1))
            net.linear(f'{loss}/classifier', net.relu(net.linear(f'{loss}/fc', h, 2048, 1024)), 1024, 1000)
    x = net.add('pool5/drop_7x7_s1', 'Dropout', net.pool('pool5/7x7_s1', x, 7, 1, 'AVE'))
    net.add('prob', 'Softmax', net.linear('loss3/classifier', x, 1024, 1000))
    return net
