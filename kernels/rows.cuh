// Rows of contiguous matrices, in packs.
//
// Launch: `workers` neighbouring threads (a power of two) share a row of `length` packs. K > 0 says that no thread has more
// than K packs of a row: it keeps them in registers, and memory is read once. K = 0: a block has the row to itself and
// reads it again where it is wanted again, mostly from the cache.
#pragma once

#include "columns.cuh"

constexpr int LONG_ROW_THREADS = 512;
template <int K> constexpr int ROW_THREADS = K > 0 ? THREADS : LONG_ROW_THREADS;

// A thread's packs of a row: f(i, pack) is called for each, where i is the number of the pack in the row.
template <typename P, int K> struct Packs {
    const P* const row;
    const int first, step, length;
    P kept[K > 0 ? K : 1];

    __device__ __forceinline__ Packs(const P* row, int first, int step, int length)
        : row(row), first(first), step(step), length(length) {
#pragma unroll
        for (int j = 0; j < K; ++j)
            if (first + j * step < length) kept[j] = row[first + j * step];
    }

    __device__ __forceinline__ P get(int i, int j) const { return K > 0 ? kept[K > 0 ? j : 0] : row[i]; }

    template <typename F> __device__ __forceinline__ void each(F f) const {
        if constexpr (K > 0) {
#pragma unroll
            for (int j = 0; j < K; ++j)
                if (first + j * step < length) f(first + j * step, j);
        } else {
            for (int i = first; i < length; i += step) f(i, 0);
        }
    }
};

#define FOR_EACH_ROW(row, c, rows) FOR_EACH_COLUMN(long long, row, c, rows)
