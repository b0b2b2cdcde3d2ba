// The order that sorts numbers, by a bitonic sort: equal numbers stay in their order.
//
// Shapes: keys (n) of any integers; pairs (size) are 64 bits each, the key above its place, size a power of two, at least
// TILE. No two pairs are equal, so that the result does not depend on how they were compared.
// Launch: sort_tiles and merge_tiles, half a TILE of threads for each TILE of pairs; otherwise a thread for each pair of
// pairs, or for each number. For 2^k pairs there are about (k - 11)^2 / 2 launches, which in a CUDA graph cost little.
// Why this way: the sorts of libraries wait for the device, which must not happen while a CUDA graph is captured. What is
// within a TILE is compared in shared memory.
#include "common.cuh"

constexpr unsigned TILE = 2048;

typedef unsigned long long Pair;

template <typename K>
__global__ void make_pairs(const K* __restrict__ keys, Pair* __restrict__ pairs, unsigned n, unsigned size) {
    GRID_STRIDE_LOOP(unsigned, i, size) {
        // With the sign turned, negative keys come first.
        const Pair key = static_cast<unsigned>(static_cast<int>(i < n ? keys[i] : 0)) ^ 0x80000000u;
        pairs[i] = i < n ? key << 32 | i : ~0ull;
    }
}

__device__ __forceinline__ void order(Pair& a, Pair& b, bool up) {
    if ((a > b) == up) {
        const Pair c = a;
        a = b;
        b = c;
    }
}

// Merges runs of `span` within a tile, from distance `reach` down; the direction of a run alternates.
__device__ __forceinline__ void merge(Pair* tile, unsigned first, unsigned span, unsigned reach) {
    for (unsigned distance = reach; distance; distance /= 2) {
        __syncthreads();
        const unsigned i = threadIdx.x, low = i / distance * distance * 2 + i % distance;
        order(tile[low], tile[low + distance], !((first + low) & span));
    }
}

__device__ __forceinline__ void copy_tile(const Pair* from, Pair* to) {
    for (unsigned i = threadIdx.x; i < TILE; i += TILE / 2) to[i] = from[i];
}

__global__ void __launch_bounds__(TILE / 2) sort_tiles(Pair* __restrict__ pairs) {
    __shared__ Pair tile[TILE];
    const unsigned first = blockIdx.x * TILE;
    copy_tile(pairs + first, tile);
    for (unsigned span = 2; span <= TILE; span *= 2) merge(tile, first, span, span / 2);
    __syncthreads();
    copy_tile(tile, pairs + first);
}

__global__ void __launch_bounds__(TILE / 2) merge_tiles(Pair* __restrict__ pairs, unsigned span) {
    __shared__ Pair tile[TILE];
    const unsigned first = blockIdx.x * TILE;
    copy_tile(pairs + first, tile);
    merge(tile, first, span, TILE / 2);
    __syncthreads();
    copy_tile(tile, pairs + first);
}

__global__ void merge_far(Pair* __restrict__ pairs, unsigned span, unsigned distance, unsigned half) {
    GRID_STRIDE_LOOP(unsigned, i, half) {
        const unsigned low = i / distance * distance * 2 + i % distance;
        order(pairs[low], pairs[low + distance], !(low & span));
    }
}

template <typename O>
__global__ void places(const Pair* __restrict__ pairs, O* __restrict__ order, unsigned n) {
    GRID_STRIDE_LOOP(unsigned, i, n) order[i] = static_cast<O>(static_cast<unsigned>(pairs[i]));
}
