// Tensor cores (nvcuda::wmma): element e of a tile lives in lane e % 32, slot e / 32.
//
// A device arranges the elements differently and does not say how; kernels must not depend on it.
#pragma once

namespace nvcuda {
namespace wmma {

struct matrix_a;
struct matrix_b;
struct accumulator;
struct row_major;
struct col_major;
enum layout_t { mem_row_major, mem_col_major };
namespace precision { struct tf32; }

template <class Use, int M, int N, int K> struct tile_shape;
template <int M, int N, int K> struct tile_shape<matrix_a, M, N, K> { enum { rows = M, columns = K }; };
template <int M, int N, int K> struct tile_shape<matrix_b, M, N, K> { enum { rows = K, columns = N }; };
template <int M, int N, int K> struct tile_shape<accumulator, M, N, K> { enum { rows = M, columns = N }; };
template <class T> struct storage { using type = T; };
template <> struct storage<precision::tf32> { using type = float; };

template <class Use, int M, int N, int K, class T, class Layout = void> struct fragment {
    enum { rows = tile_shape<Use, M, N, K>::rows, columns = tile_shape<Use, M, N, K>::columns };
    enum { num_elements = rows * columns / 32 };
    using element_type = typename storage<T>::type;
    element_type x[num_elements];
};

inline float __float_to_tf32(float value) {  // 10 bits of the significand, rounded to nearest
    unsigned bits = __float_as_uint(value);
    return __uint_as_float((bits + 0x1000) & ~0x1fffu);
}

template <class F, class V> inline void fill_fragment(F& f, V value) {
    for (auto& x : f.x) x = typename F::element_type(value);
}

template <class F, class P, class Access>
inline void each_element(F& f, P* p, unsigned stride, bool columns, Access access) {
    for (int i = 0; i < F::num_elements; i++) {
        int e = i * 32 + coc_now.lane, r = e / F::columns, c = e % F::columns;
        access(f.x[i], p[columns ? c * stride + r : r * stride + c]);
    }
    __syncwarp();
}
template <class Use, int M, int N, int K, class T, class L, class P>
inline void load_matrix_sync(fragment<Use, M, N, K, T, L>& f, const P* p, unsigned stride) {
    each_element(f, p, stride, std::is_same_v<L, col_major>, [](auto& x, const P& value) { x = value; });
}
template <class Use, int M, int N, int K, class T, class L, class P>
inline void load_matrix_sync(fragment<Use, M, N, K, T, L>& f, const P* p, unsigned stride, layout_t layout) {
    each_element(f, p, stride, layout == mem_col_major, [](auto& x, const P& value) { x = value; });
}
template <class Use, int M, int N, int K, class T, class L, class P>
inline void store_matrix_sync(P* p, const fragment<Use, M, N, K, T, L>& f, unsigned stride, layout_t layout) {
    each_element(f, p, stride, layout == mem_col_major, [](const auto& x, P& value) { value = x; });
}

template <class F> inline void gather(const F& f, float* tile) {
    for (int i = 0; i < F::num_elements; i++) {
        float value = float(f.x[i]);
        coc_warp_exchange(0xffffffffu, &value, tile + i * 32, sizeof value, -1);
    }
}
template <int M, int N, int K, class T, class LA, class LB, class TC>
inline void mma_sync(fragment<accumulator, M, N, K, TC>& d, const fragment<matrix_a, M, N, K, T, LA>& a,
                     const fragment<matrix_b, M, N, K, T, LB>& b, const fragment<accumulator, M, N, K, TC>& c) {
    float A[M * K], B[K * N];
    gather(a, A);
    gather(b, B);
    for (int i = 0; i < M * N / 32; i++) {
        int e = i * 32 + coc_now.lane, row = e / N, column = e % N;
        float sum = float(c.x[i]);
        for (int k = 0; k < K; k++) sum += A[row * K + k] * B[k * N + column];
        d.x[i] = TC(sum);
    }
}

}  // namespace wmma
}  // namespace nvcuda
