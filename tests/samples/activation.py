from samples import Sample, normal


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
    ]
