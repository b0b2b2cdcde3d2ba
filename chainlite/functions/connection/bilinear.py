"""Bilinear maps of two vectors."""

from chainlite._fused import Fused
from chainlite.backends.cpu.product import product
from chainlite.functions.array.reshape import reshape
from chainlite.functions.math.matmul import matmul
from chainlite.utils import type_check


def _matrix(e):
    return e.reshape(len(e), -1)


class BilinearFunction(Fused):
    """From e1 (n, i), e2 (n, j), W (i, j, k), and V1 (i, k), V2 (j, k), b (k) or none of the three, to y (n, k)."""

    def check_type_forward(self, in_types):
        n_in = type_check.eval(in_types.size())
        if n_in not in (3, 6):
            raise type_check.InvalidType('in_types.size() == 3 or 6', f'in_types.size() == {n_in}')
        e1, e2, W, *linear = in_types
        type_check.expect(
            e1.dtype.kind == 'f',
            e1.dtype == e2.dtype,
            e1.dtype == W.dtype,
            e1.ndim >= 2,
            e2.ndim >= 2,
            e1.shape[0] == e2.shape[0],
            W.ndim == 3,
        )
        type_check.expect(type_check.prod(e1.shape[1:]) == W.shape[0], type_check.prod(e2.shape[1:]) == W.shape[1])
        if linear:
            V1, V2, b = linear
            type_check.expect(
                e1.dtype == V1.dtype,
                e1.dtype == V2.dtype,
                e1.dtype == b.dtype,
                V1.ndim == 2,
                V2.ndim == 2,
                b.ndim == 1,
                V1.shape[0] == W.shape[0],
                V1.shape[1] == W.shape[2],
                V2.shape[0] == W.shape[1],
                V2.shape[1] == W.shape[2],
                b.shape[0] == W.shape[2],
            )

    def forward_kernel(self, e1, e2, W, *linear):
        e1, e2 = _matrix(e1), _matrix(e2)
        outer = e1[:, :, None] * e2[:, None]
        y = product(_matrix(outer), W.reshape(-1, W.shape[2]))
        if linear:
            V1, V2, b = linear
            y += product(e1, V1)
            y += product(e2, V2)
            y += b
        return y.astype(e1.dtype, copy=False), None

    def backward_kernel(self, saved, gy, e1, e2, W, *linear):
        shape1, shape2 = e1.shape, e2.shape
        e1, e2 = _matrix(e1), _matrix(e2)
        outer = e1[:, :, None] * e2[:, None]
        gouter = product(gy, W.reshape(-1, W.shape[2]).T).reshape(outer.shape)
        ge1, ge2 = (gouter * e2[:, None]).sum(2), (gouter * e1[:, :, None]).sum(1)
        gW = product(_matrix(outer).T, gy).reshape(W.shape)
        gxs = ge1, ge2, gW
        if linear:
            V1, V2, _ = linear
            ge1 += product(gy, V1.T)
            ge2 += product(gy, V2.T)
            gxs = ge1, ge2, gW, product(e1.T, gy), product(e2.T, gy), gy.sum(0)
        ge1, ge2, *rest = [g.astype(gy.dtype, copy=False) for g in gxs]
        return ge1.reshape(shape1), ge2.reshape(shape2), *rest

    def formula(self, e1, e2, W, *linear):
        n, (i, j, k) = len(e1), W.shape
        e1, e2 = reshape(e1, (n, i)), reshape(e2, (n, j))
        outer = reshape(reshape(e1, (n, i, 1)) * reshape(e2, (n, 1, j)), (n, i * j))
        y = matmul(outer, reshape(W, (i * j, k)))
        if linear:
            V1, V2, b = linear
            y = y + matmul(e1, V1) + matmul(e2, V2) + b
        return y


def bilinear(e1, e2, W, V1=None, V2=None, b=None):
    """y_k = sum of e1_i e2_j W_ijk, plus e1 V1 + e2 V2 + b.

    Args:
        e1, e2: float arrays (n, i) and (n, j); further axes are joined.
        W: float array (i, j, k).
        V1, V2, b: float arrays (i, k), (j, k), (k), or None, all three.

    Returns:
        Variable (n, k).

    Richard Socher et al.: Reasoning With Neural Tensor Networks for Knowledge Base Completion, 2013.
    """
    given = [a is not None for a in (V1, V2, b)]
    if not any(given):
        return BilinearFunction().apply((e1, e2, W))[0]
    if all(given):
        return BilinearFunction().apply((e1, e2, W, V1, V2, b))[0]
    raise ValueError('All coefficients and bias for bilinear() must be None, if at least one of them is None.')
