from samples import Sample, distinct, normal


def samples(chainer):
    F = chainer.functions
    x = normal(3, 4)
    return [
        Sample('relu', F.relu, x),
        Sample('leaky_relu', lambda x: F.leaky_relu(x, 0.3), x),
        Sample('elu', lambda x: F.elu(x, 0.7), x),
        Sample('clipped_relu', lambda x: F.clipped_relu(x, 0.8), x),
        Sample('relu6', lambda x: F.relu6(x * 10), x, chainer=False),
        Sample('sigmoid', F.sigmoid, x),
        Sample('tanh', F.tanh, x),
        Sample('softplus', lambda x: F.softplus(x, 2.0), x),
        Sample('softmax', F.softmax, x),
        Sample('softmax_axis0', lambda x: F.softmax(x, 0), normal(3, 4, 2)),
        Sample('log_softmax', F.log_softmax, x),
        Sample('log_softmax_last_axis', lambda x: F.log_softmax(x, -1), normal(3, 4, 2)),
        Sample('crelu', F.crelu, x),
        Sample('hard_sigmoid', lambda x: F.hard_sigmoid(x * 2), x),
        Sample('maxout', lambda x: F.maxout(x, 2), distinct(3, 4)),
        Sample('prelu', F.prelu, normal(2, 3, 4), normal(3)),
        Sample('prelu_elementwise', F.prelu, normal(2, 3, 4), normal(3, 4)),
        Sample('rrelu', lambda x: F.rrelu(x, r=x.xp.full((3, 4), 0.2, x.dtype)), x),
        Sample('selu', F.selu, x),
        Sample('swish', F.swish, normal(2, 3, 4), normal(3)),
    ]
