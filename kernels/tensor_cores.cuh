// The instructions of tensor cores, and copies from global to shared memory that the threads do not wait for: one
// function for each, and nothing else here is PTX. From compute capability 8.0 on.
//
// A C++ compiler cannot take them: where CUDA_ON_CPU is defined, functions of the same names come with the language, and
// what calls them is the same text.
#pragma once

#include "common.cuh"

#ifndef CUDA_ON_CPU

// Copies that run behind the threads, in groups: a thread sees those of a group, and others see them after a barrier,
// when it has waited for the group.
struct AsyncCopies {
    // BYTES (4, 8, 16) from global to shared memory, both aligned to as many; zeros, if not `there`.
    template <int BYTES> __device__ __forceinline__ void copy(void* shared, const void* global, bool there) {
        const unsigned to = static_cast<unsigned>(__cvta_generic_to_shared(shared));
        const int size = there ? BYTES : 0;
        if constexpr (BYTES == 16)  // past the L1 cache
            asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(to), "l"(global), "r"(size)
                         : "memory");
        else
            asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(to), "l"(global), "n"(BYTES), "r"(size)
                         : "memory");
    }
    // Ends a group.
    __device__ __forceinline__ void close() { asm volatile("cp.async.commit_group;" ::: "memory"); }
    // Waits for all groups but the last N.
    template <int N> __device__ __forceinline__ void wait() { asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory"); }
};

// Four matrices of 8 rows of 16 bytes in shared memory; lane 8 i + r of the warp names row r of matrix i. A lane gets
// from each matrix the bytes 4 (lane % 4) ... + 4 of row lane / 4; TURNED, of 16-bit elements: the matrices transposed.
template <bool TURNED> __device__ __forceinline__ void load_matrices(unsigned (&part)[4], const void* row) {
    const unsigned from = static_cast<unsigned>(__cvta_generic_to_shared(row));
    if constexpr (TURNED)
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                     : "=r"(part[0]), "=r"(part[1]), "=r"(part[2]), "=r"(part[3])
                     : "r"(from)
                     : "memory");
    else
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                     : "=r"(part[0]), "=r"(part[1]), "=r"(part[2]), "=r"(part[3])
                     : "r"(from)
                     : "memory");
}

// sum (16, 8) += a (16, 32 bytes) b (8, 32 bytes)^T, spread over the lanes of a warp: of a, a lane has the 4 bytes
// number lane % 4 of row lane / 4, of row lane / 4 + 8, and those of both 16 bytes further; of b, those of row lane / 4;
// of the sum, the columns 2 (lane % 4) and the next in rows lane / 4 and lane / 4 + 8. T is __half, __nv_bfloat16, or
// float for numbers that are rounded by round_to_tf32.
template <typename T>
__device__ __forceinline__ void multiply_add(float (&sum)[4], const unsigned (&a)[4], const unsigned (&b)[2]);

#define MULTIPLY_ADD(T, SHAPE_AND_TYPES)                                                                        \
    template <>                                                                                                 \
    __device__ __forceinline__ void multiply_add<T>(float(&sum)[4], const unsigned(&a)[4], const unsigned(&b)[2]) { \
        asm volatile("mma.sync.aligned." SHAPE_AND_TYPES " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "      \
                     "{%0, %1, %2, %3};"                                                                        \
                     : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])                                   \
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));                       \
    }
MULTIPLY_ADD(__half, "m16n8k16.row.col.f32.f16.f16.f32")
MULTIPLY_ADD(__nv_bfloat16, "m16n8k16.row.col.f32.bf16.bf16.f32")
MULTIPLY_ADD(float, "m16n8k8.row.col.f32.tf32.tf32.f32")

// The bits of a float rounded to 10 bits of significand, halves away from zero.
__device__ __forceinline__ unsigned round_to_tf32(unsigned bits) {
    unsigned rounded;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(rounded) : "f"(__uint_as_float(bits)));
    return rounded;
}

#endif
