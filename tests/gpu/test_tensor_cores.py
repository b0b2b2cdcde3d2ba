"""What kernels/tensor_cores.cuh says of its instructions: on a GPU, of the instructions themselves, on the stand-in, of
the functions in their place. Where numbers lie in fragments is taken from the PTX manual."""

import ml_dtypes
import numpy as np
import pytest

from chainlite.backends.gpu import _launch

TEXT = """
template <typename T> __global__ void products(const unsigned* a, const unsigned* b, float* sums) {
    unsigned left[4], right[2];
    float sum[4];
    for (int i = 0; i < 4; ++i) left[i] = a[threadIdx.x * 4 + i], sum[i] = sums[threadIdx.x * 4 + i];
    for (int i = 0; i < 2; ++i) right[i] = b[threadIdx.x * 2 + i];
    multiply_add<T>(sum, left, right);
    for (int i = 0; i < 4; ++i) sums[threadIdx.x * 4 + i] = sum[i];
}
template <bool TURNED> __global__ void matrices(const unsigned* x, const int* rows, unsigned* y) {
    __shared__ __align__(16) unsigned shared[128];
    for (int i = threadIdx.x; i < 128; i += 32) shared[i] = x[i];
    __syncthreads();
    unsigned part[4];
    load_matrices<TURNED>(part, shared + 4 * rows[threadIdx.x]);
    for (int i = 0; i < 4; ++i) y[threadIdx.x * 4 + i] = part[i];
}
template <int BYTES> __global__ void copies(const char* x, char* y, const int* there) {
    __shared__ __align__(16) char shared[2][64 * 16];
    AsyncCopies copies;
    for (int stage = 0; stage < 2; ++stage) {
        const int i = stage * 64 + threadIdx.x;
        copies.copy<BYTES>(shared[stage] + threadIdx.x * BYTES, x + i * BYTES, there[i]);
        copies.close();
    }
    for (int stage = 0; stage < 2; ++stage) {
        stage == 0 ? copies.wait<1>() : copies.wait<0>();
        __syncthreads();
        const int neighbour = threadIdx.x ^ 37;
        for (int byte = 0; byte < BYTES; ++byte)
            y[(stage * 64 + neighbour) * BYTES + byte] = shared[stage][neighbour * BYTES + byte];
    }
}
__global__ void rounded(const unsigned* x, unsigned* y) { y[threadIdx.x] = round_to_tf32(x[threadIdx.x]); }
"""


@pytest.fixture
def kernel(cupy):
    if int(cupy.cuda.Device().compute_capability) < 80:
        pytest.skip('the device has no such instructions')

    def get(name):
        code = _launch.source('tensor_cores.cuh') + TEXT
        return cupy.RawModule(code=code, options=_launch.OPTIONS, name_expressions=(name,)).get_function(name)

    return get


@pytest.mark.parametrize(
    'name, dtype', [('__half', 'e'), ('__nv_bfloat16', ml_dtypes.bfloat16), ('float', 'f')], ids=lambda x: str(x)
)
def test_products_find_each_number_in_its_place(cupy, kernel, name, dtype):
    rng, dtype = np.random.RandomState(0), np.dtype(dtype)
    n = 4 // dtype.itemsize  # numbers in a word
    a, b = rng.randint(-8, 9, (16, 8 * n)).astype(dtype), rng.randint(-8, 9, (8, 8 * n)).astype(dtype)
    c = rng.randint(-8, 9, (16, 8)).astype('f')
    lanes = np.arange(32)
    group, member = lanes // 4, lanes % 4
    left, right = np.empty((32, 4, n), dtype), np.empty((32, 2, n), dtype)
    sums = np.empty((32, 4), 'f')
    for which in range(n):
        for i in range(4):
            left[:, i, which] = a[group + 8 * (i % 2), member * n + which + 4 * n * (i // 2)]
        for i in range(2):
            right[:, i, which] = b[group, member * n + which + 4 * n * i]
    rows = [(group + 8 * (i // 2), member * 2 + i % 2) for i in range(4)]
    for i, place in enumerate(rows):
        sums[:, i] = c[place]
    out = cupy.asarray(sums)
    kernel(f'products<{name}>')((1,), (32,), (cupy.asarray(left.view('I')), cupy.asarray(right.view('I')), out))
    expected = c + a.astype('f') @ b.astype('f').T
    for i, place in enumerate(rows):
        np.testing.assert_array_equal(out[:, i].get(), expected[place])


@pytest.mark.parametrize('turned', [False, True])
def test_matrices_are_spread_over_the_lanes(cupy, kernel, turned):
    x = np.random.RandomState(0).randint(0, 1 << 16, (32, 8)).astype('H')  # 32 rows of 16 bytes
    rows = np.random.RandomState(1).permutation(32)
    y = cupy.empty((32, 4), 'I')
    kernel(f'matrices<{str(turned).lower()}>')(
        (1,), (32,), (cupy.asarray(x.view('I')), cupy.asarray(rows.astype('i')), y)
    )
    matrices = x[rows].reshape(4, 8, 8)
    matrices = np.ascontiguousarray(matrices.swapaxes(1, 2) if turned else matrices)
    expected = matrices.reshape(4, 32, 2).swapaxes(0, 1).reshape(32, 8)  # lane 4 r + i: elements 2 i, 2 i + 1 of row r
    np.testing.assert_array_equal(y.get().view('H'), expected)


@pytest.mark.parametrize('size', [4, 8, 16])
def test_copies_arrive_when_they_were_waited_for(cupy, kernel, size):
    x = np.random.RandomState(0).randint(1, 100, (128, size)).astype('b')
    there = np.arange(128) % 3 > 0
    y = cupy.zeros((128, size), 'b')
    kernel(f'copies<{size}>')((1,), (64,), (cupy.asarray(x), y, cupy.asarray(there.astype('i'))))
    np.testing.assert_array_equal(y.get(), x * there[:, None])


def test_tf32_is_rounded_to_the_nearest(cupy, kernel):
    x = np.array([1, -1, 1 + 2.0**-11, -1 - 2.0**-11, 1 + 2.0**-12, 0, -0.0, np.inf, -np.inf, np.nan, 1e-40], 'f')
    y = cupy.empty(len(x), 'I')
    kernel('rounded')((1,), (len(x),), (cupy.asarray(x.view('I')), y))
    y = (y.get() & np.uint32(0xFFFFE000)).view('f')  # tensor cores do not see the rest
    np.testing.assert_array_equal(
        y[:9], np.array([1, -1, 1 + 2.0**-10, -1 - 2.0**-10, 1, 0, -0.0, np.inf, -np.inf], 'f')
    )
    assert np.isnan(y[9])
