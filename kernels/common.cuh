// What every kernel file begins with: the accumulator of a type, and the loop over elements.
//
// Kernels are templates on the element type T and compute in acc_t<T>: float for the 16-bit types and float, double for
// double. So a sum of float16 values does not overflow or lose its small terms, and one kernel text serves every dtype.
// Their index type I is unsigned (32 bits) where the arrays are small enough for it, unsigned long long otherwise:
// dividing an index by a size is several times cheaper in 32 bits.
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

template <typename T, typename A> __device__ __forceinline__ void store(T& y, A value) { y = static_cast<T>(value); }
template <typename A> __device__ __forceinline__ void store(__half& y, A value) { y = __float2half_rn(value); }
template <typename A> __device__ __forceinline__ void store(__nv_bfloat16& y, A value) {
    y = __float2bfloat16_rn(value);
}

template <typename A> __device__ __forceinline__ A infinity() { return static_cast<A>(__int_as_float(0x7f800000)); }

constexpr int THREADS = 256;  // in a block

// So many blocks a multiprocessor shall hold at least, for kernels that compute in A. Where the compiler is free (0) it
// rather spills registers than hold fewer blocks, if it is doubles that are divided, and not only then for others than
// sm_90. For 1 each thread gets the registers that it needs.
#if __CUDA_ARCH__ == 900
template <typename A> constexpr int LEAST_BLOCKS = sizeof(A) == 8;
#else
template <typename A> constexpr int LEAST_BLOCKS = 1;
#endif

// N neighbouring elements, read and written at once: up to 16 bytes, what a thread can move with one instruction.
template <typename T, int N> struct alignas(sizeof(T) * N) Pack { T at[N]; };

// Grid-stride loop: thread i takes elements i, i + number of threads, ... of n, an I. The kernel is right for any launch
// shape (also one block, one thread), neighbouring threads touch neighbouring elements, and a grid sized to the device
// instead of to n pays its start-up once.
#define GRID_STRIDE_LOOP(I, i, n) \
    for (I i = blockIdx.x * static_cast<I>(blockDim.x) + threadIdx.x; i < (n); i += static_cast<I>(gridDim.x) * blockDim.x)

// Merges the values of the slots s, s + step, s + 2 step, ... of a block (for each s < step) by `value.merge(other)`; all
// of their threads get the result. A tree of fixed shape: the same numbers give the same bits in every run. blockDim.x
// and step are powers of two; `shared` has room for a value of each thread; every thread has a slot of its own, by
// default its number.
template <typename V> __device__ V merge_in_block(V value, V* shared, int step, int slot) {
    const int t = threadIdx.x;
    shared[slot] = value;
    for (int half = blockDim.x / 2; half >= step; half /= 2) {
        __syncthreads();
        if (t < half) shared[t].merge(shared[t + half]);
    }
    __syncthreads();
    value = shared[slot % step];
    __syncthreads();  // before anybody writes there again
    return value;
}
template <typename V> __device__ V merge_in_block(V value, V* shared, int step) {
    return merge_in_block(value, shared, step, threadIdx.x);
}
