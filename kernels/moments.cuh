// Mean and variance in one pass.
#pragma once

#include "common.cuh"

// Welford's mean and sum of squared differences of n values, merged by Chan's formula: no cancellation.
template <typename A> struct Moments {
    A n, mean, squares;

    __device__ __forceinline__ void merge(const Moments& other) {
        if (other.n == 0) return;
        const A total = n + other.n, share = other.n / total, d = other.mean - mean;
        mean += d * share;
        squares += other.squares + d * d * (n * share);
        n = total;
    }

    template <typename T, int V> __device__ __forceinline__ void add(const Pack<T, V>& pack) {
        Moments some = {A(V), A(0), A(0)};
#pragma unroll
        for (int k = 0; k < V; ++k) some.mean += static_cast<A>(load(pack.at[k]));
        some.mean /= A(V);
#pragma unroll
        for (int k = 0; k < V && V > 1; ++k) {
            const A d = static_cast<A>(load(pack.at[k])) - some.mean;
            some.squares += d * d;
        }
        merge(some);
    }
};
