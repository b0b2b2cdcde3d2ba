// Functions of the device: bits, arithmetic with a given rounding, special functions.
#pragma once

template <class To, class From> inline To coc_bits(const From& from) {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    memcpy(&to, &from, sizeof to);
    return to;
}
inline int __float_as_int(float x) { return coc_bits<int>(x); }
inline unsigned __float_as_uint(float x) { return coc_bits<unsigned>(x); }
inline float __int_as_float(int x) { return coc_bits<float>(x); }
inline float __uint_as_float(unsigned x) { return coc_bits<float>(x); }
inline long long __double_as_longlong(double x) { return coc_bits<long long>(x); }
inline double __longlong_as_double(long long x) { return coc_bits<double>(x); }

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x ? __builtin_clz(x) : 32; }
inline int __clzll(long long x) { return x ? __builtin_clzll(x) : 64; }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline unsigned __brev(unsigned x) {
    unsigned r = 0;
    for (int i = 0; i < 32; i++) r |= (x >> i & 1) << (31 - i);
    return r;
}
inline int __mul24(int a, int b) { return a * b; }
inline int __mulhi(int a, int b) { return int((long long)a * b >> 32); }
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned((unsigned long long)a * b >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return (unsigned long long)((unsigned __int128)a * b >> 64);
}

inline float __fdividef(float a, float b) { return a / b; }
inline float __expf(float x) { return expf(x); }
inline float __exp10f(float x) { return powf(10, x); }
inline float __logf(float x) { return logf(x); }
inline float __log2f(float x) { return log2f(x); }
inline float __log10f(float x) { return log10f(x); }
inline float __sinf(float x) { return sinf(x); }
inline float __cosf(float x) { return cosf(x); }
inline float __tanf(float x) { return tanf(x); }
inline float __powf(float x, float y) { return powf(x, y); }
inline float __saturatef(float x) { return x > 0 ? x < 1 ? x : 1 : 0; }

// volatile: the point of these is that they are not contracted into a fused multiply-add.
inline float __fmul_rn(float a, float b) { volatile float r = a * b; return r; }
inline float __fadd_rn(float a, float b) { volatile float r = a + b; return r; }
inline float __fsub_rn(float a, float b) { volatile float r = a - b; return r; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __frcp_rn(float x) { return 1 / x; }
inline float __fsqrt_rn(float x) { return sqrtf(x); }
inline float __frsqrt_rn(float x) { return 1 / sqrtf(x); }
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline double __dmul_rn(double a, double b) { volatile double r = a * b; return r; }
inline double __dadd_rn(double a, double b) { volatile double r = a + b; return r; }
inline double __fma_rn(double a, double b, double c) { return fma(a, b, c); }

inline int __float2int_rn(float x) { return int(nearbyintf(x)); }
inline int __float2int_rz(float x) { return int(x); }
inline int __float2int_rd(float x) { return int(floorf(x)); }
inline int __float2int_ru(float x) { return int(ceilf(x)); }
inline float __int2float_rn(int x) { return float(x); }
inline float __uint2float_rn(unsigned x) { return float(x); }

inline float rsqrtf(float x) { return 1 / sqrtf(x); }
inline float rsqrt(float x) { return 1 / sqrtf(x); }
inline double rsqrt(double x) { return 1 / sqrt(x); }
inline float rcbrtf(float x) { return 1 / cbrtf(x); }
inline double sinpi(double x) { return sin(M_PI * x); }
inline double cospi(double x) { return cos(M_PI * x); }
inline float sinpif(float x) { return float(sinpi(x)); }
inline float cospif(float x) { return float(cospi(x)); }

inline double normcdf(double x) { return 0.5 * erfc(-x * M_SQRT1_2); }
inline float normcdf(float x) { return float(normcdf(double(x))); }
inline float normcdff(float x) { return normcdf(x); }
inline double erfcx(double x) {  // exp(x^2) erfc(x); for large x by its asymptotic series, where the product has no value
    if (x < 10) return exp(x * x) * erfc(x);
    double y = 1 / (2 * x * x);
    return (1 - y * (1 - 3 * y * (1 - 5 * y * (1 - 7 * y)))) / (x * sqrt(M_PI));
}
inline float erfcx(float x) { return float(erfcx(double(x))); }
inline float erfcxf(float x) { return erfcx(x); }

// The inverse of erfc: a rational start, then Halley's steps.
inline double erfcinv(double z) {
    if (!(z >= 0 && z <= 2)) return NAN;
    if (z == 0 || z == 2) return z == 0 ? INFINITY : -INFINITY;
    double tail = z < 1 ? z : 2 - z;
    double t = sqrt(-2 * log(tail / 2));
    double x = -M_SQRT1_2 * ((2.30753 + t * 0.27061) / (1 + t * (0.99229 + t * 0.04481)) - t);
    for (int i = 0; i < 3; i++) {
        double error = erfc(x) - tail;
        x += error / (M_2_SQRTPI * exp(-x * x) - x * error);
    }
    return z < 1 ? x : -x;
}
inline double erfinv(double y) {
    if (!(fabs(y) < 0.5)) return y < 0 ? -erfcinv(1 + y) : erfcinv(1 - y);
    double x = y / M_2_SQRTPI;
    for (int i = 0; i < 6; i++) x -= (erf(x) - y) / (M_2_SQRTPI * exp(-x * x));
    return x;
}
inline double normcdfinv(double p) { return -M_SQRT2 * erfcinv(2 * p); }
inline float erfcinv(float x) { return float(erfcinv(double(x))); }
inline float erfcinvf(float x) { return erfcinv(x); }
inline float erfinv(float x) { return float(erfinv(double(x))); }
inline float erfinvf(float x) { return erfinv(x); }
inline float normcdfinvf(float x) { return float(normcdfinv(double(x))); }

// max and min of CUDA take any two numbers, and of a NaN and a number give the number.
template <class A, class B>
using coc_number = std::enable_if_t<std::is_arithmetic_v<A> && std::is_arithmetic_v<B>, decltype(A() + B())>;
template <class A, class B> inline coc_number<A, B> max(A a, B b) {
    using C = coc_number<A, B>;
    if constexpr (std::is_floating_point_v<C>) return std::fmax(C(a), C(b));
    else return C(a) < C(b) ? C(b) : C(a);
}
template <class A, class B> inline coc_number<A, B> min(A a, B b) {
    using C = coc_number<A, B>;
    if constexpr (std::is_floating_point_v<C>) return std::fmin(C(a), C(b));
    else return C(b) < C(a) ? C(b) : C(a);
}
using std::abs;
using std::isfinite;
using std::isinf;
using std::isnan;
using std::signbit;

// Functions of 16-bit floats that the toolkit's headers have on the device only.
#define COC_16BIT(name, expression)                            \
    inline __half h##name(__half value) {                      \
        float x = __half2float(value);                         \
        return __float2half_rn(expression);                    \
    }                                                          \
    inline __nv_bfloat16 h##name(__nv_bfloat16 value) {        \
        float x = __bfloat162float(value);                     \
        return __float2bfloat16(expression);                   \
    }
COC_16BIT(exp, expf(x))
COC_16BIT(exp2, exp2f(x))
COC_16BIT(log, logf(x))
COC_16BIT(log2, log2f(x))
COC_16BIT(sqrt, sqrtf(x))
COC_16BIT(rsqrt, 1 / sqrtf(x))
COC_16BIT(rcp, 1 / x)
COC_16BIT(sin, sinf(x))
COC_16BIT(cos, cosf(x))
COC_16BIT(tanh, tanhf(x))
COC_16BIT(floor, floorf(x))
COC_16BIT(ceil, ceilf(x))
COC_16BIT(rint, rintf(x))
COC_16BIT(trunc, truncf(x))
