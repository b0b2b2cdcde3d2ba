// Rows of a table by their numbers, and their transpose: sums of rows by their numbers.
//
// Shapes: the table W, gW is (v, d), x (n) numbers rows of it, y and gy are (n, d); rows are read in packs of V, d of them.
// Launch: a thread for each pack; for each number in number_keys.
// Why this way: the rows that belong to the same row of the table are brought together by a stable sort of the numbers, so
// that each sum has one writer and a fixed order: no atomics, reruns are equal bit by bit. A row that occurs often (a frequent
// word) would keep one thread busy for long, so the sorted rows are cut into chunks that are summed side by side.
#include "common.cuh"

constexpr int CHUNK = 32;  // sorted rows that one thread sums

// The row of the table that a number means, from the end if it is negative; v if it is to be ignored.
template <typename L>
__device__ __forceinline__ long long row_of(L number, long long v, long long ignored, bool ignores) {
    if (ignores && number == ignored) return v;
    const long long row = number % v;
    return row < 0 ? row + v : row;
}

template <typename T, typename L, typename I, int V>
__global__ void take_rows(const Pack<T, V>* __restrict__ W, const L* __restrict__ x, Pack<T, V>* __restrict__ y,
                          long long v, long long ignored, bool ignores, I d, I count) {
    GRID_STRIDE_LOOP(I, i, count) {
        const long long row = row_of(x[i / d], v, ignored, ignores);
        y[i] = row < v ? W[row * d + i % d] : Pack<T, V>{};
    }
}

// keys (n): the rows of the table, what the numbers are sorted by; those to be ignored come last.
template <typename L>
__global__ void number_keys(const L* __restrict__ x, int* __restrict__ keys, long long v, long long ignored, bool ignores,
                            unsigned n) {
    GRID_STRIDE_LOOP(unsigned, i, n) keys[i] = static_cast<int>(row_of(x[i], v, ignored, ignores));
}

// The sum of gy's rows with the key of `start`, the first of them in this chunk, as far as the chunk goes.
template <typename T, typename I, int V>
__device__ __forceinline__ Pack<acc_t<T>, V> sum_in_chunk(const Pack<T, V>* __restrict__ gy, const int* __restrict__ keys,
                                                          const long long* __restrict__ order, I start, I end, I column,
                                                          I d) {
    const int key = keys[order[start]];
    Pack<acc_t<T>, V> sum = {};
    for (I k = start; k < end; ++k) {
        const I row = order[k];
        if (keys[row] != key) break;
        const Pack<T, V> pack = gy[row * d + column];
#pragma unroll
        for (int i = 0; i < V; ++i) sum.at[i] += load(pack.at[i]);
    }
    return sum;
}

// parts (chunks, d): for chunks that begin with the key that the chunk before ends with, the sum of the rows with it.
template <typename T, typename I, int V>
__global__ void sum_parts(const Pack<T, V>* __restrict__ gy, const int* __restrict__ keys,
                          const long long* __restrict__ order, Pack<acc_t<T>, V>* __restrict__ parts, I n, I d, I count) {
    GRID_STRIDE_LOOP(I, i, count) {
        const I start = i / d * CHUNK;
        if (start && keys[order[start]] == keys[order[start - 1]])
            parts[i] = sum_in_chunk(gy, keys, order, start, min(start + CHUNK, n), i % d, d);
    }
}

// The first of each run of equal keys writes the sum of the run to gW: of its own chunk, and of the parts that follow.
template <typename T, typename I, int V>
__global__ void add_rows(const Pack<T, V>* __restrict__ gy, const int* __restrict__ keys,
                         const long long* __restrict__ order, const Pack<acc_t<T>, V>* __restrict__ parts,
                         Pack<T, V>* __restrict__ gW, int v, I n, I d, I count) {
    GRID_STRIDE_LOOP(I, i, count) {
        const I start = i / d, column = i % d;
        const int key = keys[order[start]];
        if (key == v || (start && keys[order[start - 1]] == key)) continue;
        I chunk = start / CHUNK + 1;
        auto sum = sum_in_chunk(gy, keys, order, start, min(chunk * CHUNK, n), column, d);
        for (; chunk * CHUNK < n && keys[order[chunk * CHUNK]] == key; ++chunk) {
            const auto part = parts[chunk * d + column];
#pragma unroll
            for (int k = 0; k < V; ++k) sum.at[k] += part.at[k];
        }
        Pack<T, V> result;
#pragma unroll
        for (int k = 0; k < V; ++k) store(result.at[k], sum.at[k]);
        gW[static_cast<long long>(key) * d + column] = result;
    }
}
