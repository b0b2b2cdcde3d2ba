// What CUDA adds to the language.
#pragma once

#undef __global__
#undef __device__
#undef __host__
#undef __constant__
#undef __managed__
#undef __shared__
#undef __forceinline__
#undef __noinline__
#undef __launch_bounds__
#undef __align__
#undef __grid_constant__

#define __global__
#define __device__
#define __host__
#define __constant__
#define __managed__
#define __grid_constant__
#define __launch_bounds__(...)
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __align__(n) __attribute__((aligned(n)))
#ifndef __restrict__
#define __restrict__ __restrict
#endif
// All threads of a block run on one thread of the CPU, one block at a time: what is thread-local there is the block's.
// (`extern __shared__` arrays are rewritten before compilation, see program.py.)
#define __shared__ static thread_local

#define threadIdx (coc_now.index)
#define blockIdx (coc_now.block)
#define blockDim (coc_now.block_size)
#define gridDim (coc_now.grid_size)
static const int warpSize = 32;

// An address of its own for each place in the source.
#define COC_SITE ({ static char coc_site; static_cast<const void*>(&coc_site); })
#define __syncthreads() coc_block_barrier(COC_SITE)
#define __syncthreads_count(p) coc_block_vote(0, (p), COC_SITE)
#define __syncthreads_and(p) coc_block_vote(1, (p), COC_SITE)
#define __syncthreads_or(p) coc_block_vote(2, (p), COC_SITE)

// Memory is sequentially consistent here: what only these fences order on a device is beyond this equipment.
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}

#define __trap() coc_fail("__trap()")
inline long long clock64() {
    static long long ticks = 0;
    return ++ticks;
}
inline void __nanosleep(unsigned) {}

typedef unsigned long long cudaTextureObject_t;

template <class T> inline T __ldg(const T* p) { return *p; }
template <class T> inline T __ldcg(const T* p) { return *p; }
template <class T> inline T __ldcs(const T* p) { return *p; }
template <class T> inline T __ldca(const T* p) { return *p; }
template <class T> inline T __ldlu(const T* p) { return *p; }
template <class T> inline void __stcs(T* p, T value) { *p = value; }
template <class T> inline void __stcg(T* p, T value) { *p = value; }
template <class T> inline void __stwt(T* p, T value) { *p = value; }
