from samples import Sample, distinct, normal, uniform


def samples(chainer):
    F = chainer.functions
    x, y, row, column = normal(3, 4), normal(3, 4), normal(4), normal(3, 1)
    positive, unit = uniform(0.5, 2, 3, 4), uniform(-0.9, 0.9, 3, 4)
    found = [
        Sample('add', lambda a, b: a + b, x, y),
        Sample('add_broadcast', lambda a, b: a + b, row, column),
        Sample('add_many', lambda a, b, c: F.add(a, b, c), x, y, x),
        Sample('add_constant', lambda a: a + 2.5, x),
        Sample('sub', lambda a, b: a - b, x, row),
        Sample('sub_from_constant', lambda a: 2.5 - a, x),
        Sample('mul', lambda a, b: a * b, x, column),
        Sample('mul_constant', lambda a: 2.5 * a, x),
        Sample('mul_by_itself', lambda a: a * a, x),
        Sample('div', lambda a, b: a / b, x, positive),
        Sample('div_broadcast', lambda a, b: a / b, column, uniform(0.5, 2, 4)),
        Sample('div_from_constant', lambda a: 2.5 / a, positive),
        Sample('pow', lambda a, b: a**b, positive, y),
        Sample('pow_constant', lambda a: a**3, x),
        Sample('pow_2', lambda a: a**2, x),
        Sample('pow_of_constant', lambda a: 2.5**a, x),
        Sample('neg', lambda a: -a, x),
        Sample('absolute', abs, x),
        Sample('sum', F.sum, x),
        Sample('sum_axis', lambda a: F.sum(a, axis=(0, -1)), normal(3, 4, 2)),
        Sample('sum_keepdims', lambda a: F.sum(a, axis=1, keepdims=True), x),
        Sample('sum_to', lambda a: F.sum_to(a, (3, 1)), normal(2, 3, 4)),
        Sample('mean', lambda a: F.mean(a, axis=1), x),
        Sample('average_weights', lambda a, w: F.average(a, 1, w), x, uniform(0.5, 2, 4)),
        Sample('max', lambda a: F.max(a, axis=1), distinct(3, 4)),
        Sample('max_all', F.max, distinct(3, 4)),
        Sample('min_keepdims', lambda a: F.min(a, axis=(0, 2), keepdims=True), distinct(3, 4, 2)),
        Sample('argmax', lambda a: F.argmax(a, axis=1), distinct(3, 4), order=0),
        Sample('argmin', F.argmin, distinct(3, 4), order=0),
        Sample('maximum', F.maximum, distinct(3, 4), uniform(-0.02, 0.02, 3, 4)),
        Sample('minimum', F.minimum, distinct(3, 4), uniform(-0.02, 0.02, 3, 4)),
        Sample('clip', lambda a: F.clip(a, -0.5, 0.8), x),
        Sample('matmul', F.matmul, normal(3, 4), normal(4, 2)),
        Sample('matmul_transposed', lambda a, b: F.matmul(a, b, transa=True, transb=True), normal(4, 3), normal(2, 4)),
        Sample('matmul_batch', F.matmul, normal(2, 3, 4), normal(2, 4, 2)),
        Sample('matmul_batch_broadcast', lambda a, b: F.matmul(a, b), normal(2, 1, 3, 4), normal(5, 4, 2)),
        Sample('matmul_vectors', F.matmul, normal(4), normal(4)),
        Sample('matmul_matrix_vector', F.matmul, normal(3, 4), normal(4)),
        Sample('batch_matmul', lambda a, b: F.matmul(a, b, transa=True), normal(2, 4, 3), normal(2, 4, 2)),
        Sample('logsumexp', lambda a: F.logsumexp(a, axis=1), x),
        Sample('identity', F.identity, x),
    ]
    for name in ('exp', 'expm1', 'sin', 'cos', 'sinh', 'cosh', 'square', 'arctan'):
        found.append(Sample(name, getattr(F, name), x))
    for name in ('log', 'log2', 'log10', 'log1p', 'sqrt', 'rsqrt'):
        found.append(Sample(name, getattr(F, name), positive))
    for name in ('tan', 'arcsin', 'arccos', 'arctanh'):
        found.append(Sample(name, getattr(F, name), unit))
    found.append(Sample('arctan2', F.arctan2, x, y))
    return found
