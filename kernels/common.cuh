// What every kernel file begins with: the accumulator of a type, and the loop over elements.
//
// Kernels are templates on the element type T and compute in acc_t<T>: float for the 16-bit types and float, double for
// double. So a sum of float16 values does not overflow or lose its small terms, and one kernel text serves every dtype.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

template <typename T> struct accumulator { using type = T; };
template <> struct accumulator<__half> { using type = float; };
template <> struct accumulator<__nv_bfloat16> { using type = float; };
template <typename T> using acc_t = typename accumulator<T>::type;

// Conversions in and out of the accumulator; the result is rounded once, when it is stored.
template <typename T> __device__ __forceinline__ acc_t<T> load(const T& x) { return static_cast<acc_t<T>>(x); }
template <> __device__ __forceinline__ float load<__half>(const __half& x) { return __half2float(x); }
template <> __device__ __forceinline__ float load<__nv_bfloat16>(const __nv_bfloat16& x) { return __bfloat162float(x); }

template <typename T> __device__ __forceinline__ void store(T& y, acc_t<T> value) { y = static_cast<T>(value); }
template <> __device__ __forceinline__ void store<__half>(__half& y, float value) { y = __float2half_rn(value); }
template <> __device__ __forceinline__ void store<__nv_bfloat16>(__nv_bfloat16& y, float value) {
    y = __float2bfloat16_rn(value);
}

// Grid-stride loop: thread i takes elements i, i + number of threads, ... of n. The kernel is right for any launch shape
// (also one block, one thread), neighbouring threads touch neighbouring elements, and a grid sized to the device instead
// of to n pays its start-up once. The index is 64 bits wide: arrays may have more than 2^31 elements.
#define GRID_STRIDE_LOOP(i, n)                                                                   \
    for (long long i = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x; i < (n);   \
         i += static_cast<long long>(gridDim.x) * blockDim.x)
