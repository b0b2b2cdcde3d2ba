// Columns of arrays (outer, length, inner): the outer * inner sequences along `length`.
//
// Launch: `workers` threads of a block (a power of two) share a column. If inner = 1 they are neighbours, as the elements
// of the column, which is a row of a matrix then, are in memory; otherwise neighbours take neighbouring columns.
#pragma once

#include "common.cuh"

template <typename A> struct Sum {
    A value;

    __device__ __forceinline__ void merge(const Sum& other) { value += other.value; }
};

// The columns of a block, and the elements of each that this thread works on: index(k) for k = worker, worker + workers...
template <typename I> struct Columns {
    const I length, inner;
    const int workers, columns, worker, lane;

    __device__ __forceinline__ Columns(I length, I inner, int workers)
        : length(length), inner(inner), workers(workers), columns(blockDim.x / workers),
          worker(inner == 1 ? threadIdx.x % workers : threadIdx.x / columns),
          lane(inner == 1 ? threadIdx.x / workers : threadIdx.x % columns) {}

    __device__ __forceinline__ I index(I column, I k) const {
        return (column / inner * length + k) * inner + column % inner;
    }

    template <typename V> __device__ __forceinline__ V merged(V value, V* shared) const {
        return merge_in_block(value, shared, columns, worker * columns + lane);
    }
};

// For each group of columns of this block; `column` is the one of this thread, `i` below runs over its elements.
#define FOR_EACH_COLUMN(I, column, c, count)                                                        \
    for (I start = blockIdx.x * static_cast<I>(c.columns), column = start + c.lane; start < count; \
         start += gridDim.x * static_cast<I>(c.columns), column = start + c.lane)
#define FOR_EACH_ELEMENT(I, k, c, column, count) \
    for (I k = column < count ? c.worker : c.length; k < c.length; k += c.workers)
