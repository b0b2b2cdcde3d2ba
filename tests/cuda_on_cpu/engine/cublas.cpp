// libcublas.so.13, as far as CuPy's core and chainlite use it: products of matrices in plain loops.
//
// 16-bit inputs are multiplied and summed in float, as with CUBLAS_COMPUTE_32F. Work goes to the stream of the handle.
#include "engine.h"
#include <complex>
#include <cstdio>
#include <cstring>

using namespace engine;
int unsupported(const char* name) {
    fprintf(stderr, "%s is not there on the CPU\n", name);
    return 15;  // CUBLAS_STATUS_NOT_SUPPORTED
}

namespace {
struct Blas { Handle stream = 0; int math_mode = 0, pointer_mode = 0; };
struct Half { uint16_t bits; };
struct Bfloat { uint16_t bits; };
struct Tf32 { uint32_t bits; };  // a float of which the tensor cores see 19 bits
typedef std::complex<float> C8;
typedef std::complex<double> C16;

template <class T> T load(T x) { return x; }
float load(Half x) {
    _Float16 h;
    memcpy(&h, &x, 2);
    return float(h);
}
float load(Bfloat x) {
    uint32_t bits = uint32_t(x.bits) << 16;
    float f;
    memcpy(&f, &bits, 4);
    return f;
}
float load(Tf32 x) {
    uint32_t bits = (x.bits & 0x7f800000u) == 0x7f800000u ? x.bits : (x.bits + 0x1000u) & ~0x1fffu;
    float f;
    memcpy(&f, &bits, 4);
    return f;
}
template <class T, class A> void store(T& y, A value) { y = T(value); }
void store(Half& y, float value) {
    _Float16 h = _Float16(value);
    memcpy(&y, &h, 2);
}
void store(Bfloat& y, float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    bool nan = value != value;
    y.bits = uint16_t((bits + (nan ? 0x10000 : 0x7fff + (bits >> 16 & 1))) >> 16);
}
template <class T> T conjugate(T x) { return x; }
C8 conjugate(C8 x) { return std::conj(x); }
C16 conjugate(C16 x) { return std::conj(x); }

// C = alpha op(A) op(B) + beta C, column by column; A is packed once so that the innermost loop runs over memory.
template <class T, class Acc, class TC> struct Gemm {
    int ta, tb, m, n, k;
    Acc alpha;
    const T* A;
    int lda;
    const T* B;
    int ldb;
    Acc beta;
    TC* C;
    int ldc;

    int operator()() const {
        std::vector<Acc> packed(size_t(m) * k), column(m);
        for (int p = 0; p < k; p++)
            for (int i = 0; i < m; i++) {
                Acc a = load(ta ? A[size_t(i) * lda + p] : A[size_t(p) * lda + i]);
                packed[size_t(p) * m + i] = ta == 2 ? conjugate(a) : a;
            }
        for (int j = 0; j < n; j++) {
            std::fill(column.begin(), column.end(), Acc(0));
            for (int p = 0; p < k; p++) {
                Acc b = load(tb ? B[size_t(p) * ldb + j] : B[size_t(j) * ldb + p]);
                if (tb == 2) b = conjugate(b);
                const Acc* a = &packed[size_t(p) * m];
                for (int i = 0; i < m; i++) column[i] += a[i] * b;
            }
            for (int i = 0; i < m; i++) {
                TC& c = C[size_t(j) * ldc + i];
                Acc value = alpha * column[i];
                if (beta != Acc(0)) value += beta * Acc(load(c));  // with beta 0, C may hold anything
                store(c, value);
            }
        }
        return success;
    }
};

// What is done while one of these lives counts as one call.
thread_local int calls = 0;
struct OneCall {
    OneCall() { if (!calls++) count("cublas"); }
    ~OneCall() { calls--; }
};

template <class F> int later(void* handle, F f) {
    OneCall call;
    if (null_driver) return 0;
    return submit(static_cast<Blas*>(handle)->stream, f) ? 14 : 0;  // CUBLAS_STATUS_INTERNAL_ERROR
}

// Data types of cuBLAS.
enum Type { f32 = 0, f64 = 1, f16 = 2, c64 = 4, c128 = 5, bf16 = 14 };
size_t size_of(int type) { return type == f32 ? 4 : type == f64 || type == c64 ? 8 : type == c128 ? 16 : 2; }
enum { compute_16f = 64, compute_64f = 70, compute_32f_fast_tf32 = 77 };

double scalar(const void* value, int compute) {
    if (compute == compute_64f) return *static_cast<const double*>(value);
    if (compute == compute_16f) return load(*static_cast<const Half*>(value));
    return *static_cast<const float*>(value);
}

int gemm_of_types(void* h, int ta, int tb, int m, int n, int k, const void* alpha, const void* A, int at, int lda,
                  const void* B, int bt, int ldb, const void* beta, void* C, int ct, int ldc, int compute) {
    if (at != bt) return unsupported("a product of matrices of different types");
    auto call = [&](auto a, auto accumulator, auto c) {
        using T = decltype(a);
        using Acc = decltype(accumulator);
        using TC = decltype(c);
        Acc al, be;
        if constexpr (std::is_same_v<Acc, C8> || std::is_same_v<Acc, C16>) {
            al = *static_cast<const Acc*>(alpha);
            be = *static_cast<const Acc*>(beta);
        } else {
            al = Acc(scalar(alpha, compute));
            be = Acc(scalar(beta, compute));
        }
        return later(h, Gemm<T, Acc, TC>{ta, tb, m, n, k, al, static_cast<const T*>(A), lda,
                                         static_cast<const T*>(B), ldb, be, static_cast<TC*>(C), ldc});
    };
    if (at == f32 && ct == f32 && compute == compute_32f_fast_tf32) return call(Tf32{}, 0.f, 0.f);
    if (at == f32 && ct == f32) return call(0.f, 0.f, 0.f);
    if (at == f64 && ct == f64) return call(0., 0., 0.);
    if (at == f16 && ct == f16) return call(Half{}, 0.f, Half{});
    if (at == f16 && ct == f32) return call(Half{}, 0.f, 0.f);
    if (at == bf16 && ct == bf16) return call(Bfloat{}, 0.f, Bfloat{});
    if (at == bf16 && ct == f32) return call(Bfloat{}, 0.f, 0.f);
    if (at == c64 && ct == c64) return call(C8{}, C8{}, C8{});
    if (at == c128 && ct == c128) return call(C16{}, C16{}, C16{});
    return unsupported("a product of matrices of these types");
}

template <class T> int dot(void* h, int n, const T* x, int ix, const T* y, int iy, T* out) {
    return later(h, [=] {
        double sum = 0;
        for (int i = 0; i < n; i++) sum += double(x[size_t(i) * ix]) * y[size_t(i) * iy];
        *out = T(sum);
        return int(success);
    });
}

template <class T>
int geam(void* h, int ta, int tb, int m, int n, T alpha, const T* A, int lda, T beta, const T* B, int ldb, T* C,
         int ldc) {
    return later(h, [=] {
        for (int j = 0; j < n; j++)
            for (int i = 0; i < m; i++) {
                T value = alpha == 0 ? T(0) : alpha * (ta ? A[size_t(i) * lda + j] : A[size_t(j) * lda + i]);
                if (beta != 0) value += beta * (tb ? B[size_t(i) * ldb + j] : B[size_t(j) * ldb + i]);
                C[size_t(j) * ldc + i] = value;
            }
        return int(success);
    });
}

template <class T>
int gemv(void* h, int trans, int m, int n, T alpha, const T* A, int lda, const T* x, int ix, T beta, T* y, int iy) {
    return later(h, [=] {
        int rows = trans ? n : m, inner = trans ? m : n;
        for (int i = 0; i < rows; i++) {
            T sum = 0;
            for (int p = 0; p < inner; p++)
                sum += (trans ? A[size_t(i) * lda + p] : A[size_t(p) * lda + i]) * x[size_t(p) * ix];
            T& out = y[size_t(i) * iy];
            out = alpha * sum + (beta != 0 ? beta * out : T(0));
        }
        return int(success);
    });
}

// LU factors with partial pivoting of each matrix of a batch; pivots count from 1, info is the first zero pivot.
template <class T> int getrf(void* h, int n, T* const* A, int lda, int* pivots, int* info, int batch) {
    return later(h, [=] {
        for (int b = 0; b < batch; b++) {
            T* a = A[b];
            info[b] = 0;
            for (int j = 0; j < n; j++) {
                int best = j;
                for (int i = j + 1; i < n && pivots; i++)
                    if (std::abs(a[size_t(j) * lda + i]) > std::abs(a[size_t(j) * lda + best])) best = i;
                if (pivots) pivots[b * n + j] = best + 1;
                for (int k = 0; k < n && best != j; k++) std::swap(a[size_t(k) * lda + j], a[size_t(k) * lda + best]);
                T pivot = a[size_t(j) * lda + j];
                if (pivot == T(0)) {
                    if (!info[b]) info[b] = j + 1;
                    continue;
                }
                for (int i = j + 1; i < n; i++) {
                    T factor = a[size_t(j) * lda + i] /= pivot;
                    for (int k = j + 1; k < n; k++) a[size_t(k) * lda + i] -= factor * a[size_t(k) * lda + j];
                }
            }
        }
        return int(success);
    });
}

// The inverses of a batch from these factors.
template <class T>
int getri(void* h, int n, const T* const* A, int lda, const int* pivots, T* const* C, int ldc, int* info, int batch) {
    return later(h, [=] {
        for (int b = 0; b < batch; b++) {
            info[b] = 0;
            const T* a = A[b];
            for (int j = 0; j < n; j++) {
                T* x = C[b] + size_t(j) * ldc;
                for (int i = 0; i < n; i++) x[i] = T(i == j);
                for (int i = 0; i < n && pivots; i++) std::swap(x[i], x[pivots[b * n + i] - 1]);
                for (int i = 0; i < n; i++)
                    for (int k = 0; k < i; k++) x[i] -= a[size_t(k) * lda + i] * x[k];
                for (int i = n - 1; i >= 0; i--) {
                    for (int k = i + 1; k < n; k++) x[i] -= a[size_t(k) * lda + i] * x[k];
                    x[i] /= a[size_t(i) * lda + i];
                }
            }
        }
        return int(success);
    });
}
}  // namespace

extern "C" {
int cublasCreate_v2(void** out) { *out = new Blas; return 0; }
int cublasDestroy_v2(void* h) { delete static_cast<Blas*>(h); return 0; }
int cublasGetVersion_v2(void*, int* out) { *out = 130100; return 0; }
int cublasSetWorkspace_v2(void*, void*, size_t) { return 0; }
int cublasSetStream_v2(void* h, void* s) { static_cast<Blas*>(h)->stream = reinterpret_cast<Handle>(s); return 0; }
int cublasGetStream_v2(void* h, void** s) { *s = reinterpret_cast<void*>(static_cast<Blas*>(h)->stream); return 0; }
int cublasSetMathMode(void* h, int mode) { static_cast<Blas*>(h)->math_mode = mode; return 0; }
int cublasGetMathMode(void* h, int* mode) { *mode = static_cast<Blas*>(h)->math_mode; return 0; }
int cublasSetPointerMode_v2(void* h, int mode) { static_cast<Blas*>(h)->pointer_mode = mode; return 0; }
int cublasGetPointerMode_v2(void* h, int* mode) { *mode = static_cast<Blas*>(h)->pointer_mode; return 0; }

#define COC_GEMM(LETTER, T)                                                                                          \
    int cublas##LETTER##gemm_v2(void* h, int ta, int tb, int m, int n, int k, const T* al, const T* A, int lda,      \
                                const T* B, int ldb, const T* be, T* C, int ldc) {                                   \
        return later(h, Gemm<T, T, T>{ta, tb, m, n, k, *al, A, lda, B, ldb, *be, C, ldc});                           \
    }                                                                                                                \
    int cublas##LETTER##gemmBatched(void* h, int ta, int tb, int m, int n, int k, const T* al, const T** A, int lda, \
                                    const T** B, int ldb, const T* be, T** C, int ldc, int batch) {                  \
        return later(h, [=, al = *al, be = *be] {                                                                    \
            for (int i = 0; i < batch; i++)                                                                          \
                Gemm<T, T, T>{ta, tb, m, n, k, al, A[i], lda, B[i], ldb, be, C[i], ldc}();                           \
            return int(success);                                                                                     \
        });                                                                                                          \
    }
COC_GEMM(S, float)
COC_GEMM(D, double)
COC_GEMM(C, C8)
COC_GEMM(Z, C16)

#define COC_REAL(LETTER, T)                                                                                          \
    int cublas##LETTER##dot_v2(void* h, int n, const T* x, int ix, const T* y, int iy, T* out) {                     \
        return dot<T>(h, n, x, ix, y, iy, out);                                                                      \
    }                                                                                                                \
    int cublas##LETTER##geam(void* h, int ta, int tb, int m, int n, const T* al, const T* A, int lda, const T* be,   \
                             const T* B, int ldb, T* C, int ldc) {                                                   \
        return geam<T>(h, ta, tb, m, n, *al, A, lda, *be, B, ldb, C, ldc);                                           \
    }                                                                                                                \
    int cublas##LETTER##gemv_v2(void* h, int t, int m, int n, const T* al, const T* A, int lda, const T* x, int ix,  \
                                const T* be, T* y, int iy) {                                                         \
        return gemv<T>(h, t, m, n, *al, A, lda, x, ix, *be, y, iy);                                                  \
    }                                                                                                                \
    int cublas##LETTER##getrfBatched(void* h, int n, T* const* A, int lda, int* p, int* info, int batch) {           \
        return getrf<T>(h, n, A, lda, p, info, batch);                                                               \
    }                                                                                                                \
    int cublas##LETTER##getriBatched(void* h, int n, const T* const* A, int lda, const int* p, T* const* C, int ldc, \
                                     int* info, int batch) {                                                         \
        return getri<T>(h, n, A, lda, p, C, ldc, info, batch);                                                       \
    }
COC_REAL(S, float)
COC_REAL(D, double)

int cublasSgemmEx(void* h, int ta, int tb, int m, int n, int k, const float* al, const void* A, int at, int lda,
                  const void* B, int bt, int ldb, const float* be, void* C, int ct, int ldc) {
    return gemm_of_types(h, ta, tb, m, n, k, al, A, at, lda, B, bt, ldb, be, C, ct, ldc, 68);
}

int cublasGemmEx(void* h, int ta, int tb, int m, int n, int k, const void* al, const void* A, int at, int lda,
                 const void* B, int bt, int ldb, const void* be, void* C, int ct, int ldc, int compute, int) {
    return gemm_of_types(h, ta, tb, m, n, k, al, A, at, lda, B, bt, ldb, be, C, ct, ldc, compute);
}

int cublasGemmStridedBatchedEx(void* h, int ta, int tb, int m, int n, int k, const void* al, const void* A, int at,
                               int lda, long long sa, const void* B, int bt, int ldb, long long sb, const void* be,
                               void* C, int ct, int ldc, long long sc, int batch, int compute, int) {
    OneCall call;
    for (int i = 0; i < batch; i++) {
        auto a = static_cast<const char*>(A) + i * sa * size_of(at);
        auto b = static_cast<const char*>(B) + i * sb * size_of(bt);
        auto c = static_cast<char*>(C) + i * sc * size_of(ct);
        if (int status = gemm_of_types(h, ta, tb, m, n, k, al, a, at, lda, b, bt, ldb, be, c, ct, ldc, compute))
            return status;
    }
    return 0;
}
}
