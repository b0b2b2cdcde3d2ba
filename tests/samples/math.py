import numpy as np

from samples import Sample, distinct, given, normal, uniform


def samples(chainer):
    F = chainer.functions
    x, y, row, column = normal(3, 4), normal(3, 4), normal(4), normal(3, 1)
    positive, unit = uniform(0.5, 2, 3, 4), uniform(-0.9, 0.9, 3, 4)
    random = np.random.RandomState(0)
    matrix = random.randn(3, 3) + 2 * np.eye(3)
    spd = matrix @ matrix.T + np.eye(3)
    with_zeros = np.array([[1.5, 0, -2, 0.5], [0, 1, 0, 2], [0.5, -1, 2, 1]])
    places = np.array([[0, 2, 2, 1], [1, 3, 0, 1]], 'i')
    batch = np.array([[[0, 2, 2, 1], [0, 1, -1, -1]], [[1, 3, 0, 1], [0, 3, -1, -1]]], 'i')

    def sparse(values, places=places):
        found = chainer.utils.CooMatrix(getattr(values, 'array', values), *places, (3, 4))
        if isinstance(values, chainer.Variable):
            found.data = values
        return found

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
        Sample('batch_l2_norm_squared', F.batch_l2_norm_squared, normal(2, 3, 4)),
        Sample('bias', F.bias, normal(2, 3, 4), normal(3, 4)),
        Sample('bias_axis0', lambda a, b: F.bias(a, b, axis=0), x, normal(3)),
        Sample('scale', F.scale, normal(2, 3, 4), normal(3)),
        Sample('ceil', F.ceil, x, order=0),
        Sample('floor', F.floor, x, order=0),
        Sample('fix', F.fix, x, order=0),
        Sample('sign', F.sign, x, order=0),
        Sample('fmod', F.fmod, x, positive),
        Sample('linear_interpolate', F.linear_interpolate, uniform(0, 1, 3, 4), x, y),
        Sample('cholesky', lambda a: F.cholesky(F.matmul(a, a, transb=True)), given(matrix), tolerance=10),
        Sample('det', F.det, given(matrix), tolerance=10),
        Sample('batch_det', F.batch_det, given(np.stack([matrix, spd])), tolerance=10),
        Sample('inv', F.inv, given(matrix), tolerance=10),
        Sample('batch_inv', F.batch_inv, given(np.stack([matrix, spd])), tolerance=10),
        Sample('cumsum', F.cumsum, x),
        Sample('cumsum_axis', lambda a: F.cumsum(a, axis=-2), normal(2, 3, 4)),
        Sample('cumprod', F.cumprod, x),
        Sample('cumprod_axis', lambda a: F.cumprod(a, axis=-1), normal(2, 3, 4)),
        Sample('cumprod_zeros', lambda a: F.cumprod(a, axis=1), given(with_zeros)),
        Sample('prod', F.prod, x),
        Sample('prod_axis', lambda a: F.prod(a, axis=(0, -1)), normal(2, 3, 4)),
        Sample('prod_keepdims', lambda a: F.prod(a, axis=1, keepdims=True), x),
        Sample('prod_zeros', lambda a: F.prod(a, axis=1), given(with_zeros)),
        Sample('einsum', lambda a, b: F.einsum('ij,jk->ik', a, b), x, normal(4, 2)),
        Sample('einsum_inner', lambda a, b: F.einsum('i,i->', a, b), normal(4), normal(4)),
        Sample('einsum_three', lambda a, b, c: F.einsum('ij,jk,i->jk', a, b, c), x, normal(4, 2), normal(3)),
        Sample('einsum_implicit', lambda a, b: F.einsum('ij,ki', a, b), x, normal(2, 3)),
        Sample('einsum_diagonal', lambda a: F.einsum('iji->j', a), normal(3, 2, 3)),
        Sample('einsum_trace', lambda a: F.einsum('ii', a), normal(3, 3)),
        Sample('einsum_sum', lambda a, b: F.einsum('ij,kl->k', a, b), x, normal(2, 3)),
        Sample('einsum_ellipsis', lambda a, b: F.einsum('...ij,...jk->...ik', a, b), normal(2, 3, 4), normal(2, 4, 2)),
        Sample('einsum_lists', lambda a, b: F.einsum(a, [0, 1], b, [1, 2], [2, 0]), x, normal(4, 2)),
        Sample('tensordot', F.tensordot, normal(2, 3, 4), normal(3, 4, 2)),
        Sample('tensordot_axes', lambda a, b: F.tensordot(a, b, ((0, 2), (2, 1))), normal(2, 3, 4), normal(3, 4, 2)),
        Sample('tensordot_outer', lambda a, b: F.tensordot(a, b, 0), normal(2, 3), normal(4)),
        Sample('fft', lambda a, b: F.fft((a, b)), x, y),
        Sample('ifft', lambda a, b: F.ifft((a, b)), x, y),
        Sample('fft_real_part', lambda a, b: F.fft((a, b))[0], x, y, chainer=False),  # KeyError in 7.8.1
        Sample('erf', F.erf, x),
        Sample('erfc', F.erfc, x),
        Sample('erfcx', F.erfcx, x),
        Sample('erfinv', F.erfinv, unit, tolerance=2),
        Sample('erfcinv', F.erfcinv, uniform(0.2, 1.8, 3, 4), tolerance=2),
        Sample('ndtr', F.ndtr, x),
        Sample('log_ndtr', F.log_ndtr, uniform(-6, 6, 3, 4), tolerance=2),
        Sample('ndtri', F.ndtri, uniform(0.1, 0.9, 3, 4), tolerance=2),
        Sample('lgamma', F.lgamma, positive, tolerance=2),
        Sample('digamma', F.digamma, positive, tolerance=2),
        Sample('polygamma', F.polygamma, given(np.array([1, 2, 3, 1], 'i')), uniform(1, 2, 3, 4), tolerance=10),
        Sample('zeta', lambda a: F.zeta(2.5, a), uniform(1, 2, 3, 4), tolerance=2),
        Sample('sparse_matmul', lambda v, a: F.sparse_matmul(sparse(v), a), normal(4), normal(4, 2)),
        Sample('sparse_matmul_right', lambda v, a: F.sparse_matmul(a, sparse(v), True, True), normal(4), normal(4, 2)),
        Sample(
            'sparse_matmul_batch',
            lambda v, a: F.sparse_matmul(sparse(v, batch), a, transa=True),
            normal(2, 4),
            normal(2, 3, 5),
        ),
    ]
    for name in ('exp', 'expm1', 'sin', 'cos', 'sinh', 'cosh', 'square', 'arctan'):
        found.append(Sample(name, getattr(F, name), x))
    for name in ('log', 'log2', 'log10', 'log1p', 'sqrt', 'rsqrt'):
        found.append(Sample(name, getattr(F, name), positive))
    for name in ('tan', 'arcsin', 'arccos', 'arctanh'):
        found.append(Sample(name, getattr(F, name), unit))
    found.append(Sample('arctan2', F.arctan2, x, y))
    return found
