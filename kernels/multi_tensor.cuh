// One launch over many arrays: a table in device memory says where they are, and each block takes one chunk of one.
//
// The table has a row for each array of the batch: the addresses of the arrays that belong together (a parameter, its
// gradient, its states, all of one shape) and their number of elements. After the rows comes one number for each block:
// the row and which of its chunks, in 32 bits each. Small arrays so cost a block each, and large ones are spread over
// many; blocks wait for nothing but their row, and all of a chunk's loads are 16 bytes wide where the arrays' addresses
// allow it (CuPy's always do, views may not).
#pragma once

#include "common.cuh"

constexpr unsigned CHUNK = 1 << 14;  // elements: 64 for each of 256 threads

struct Chunk {
    const unsigned long long* row;  // addresses, then the size
    unsigned long long begin;       // the first element
    unsigned count, of;             // elements; which row it is

    __device__ Chunk(const unsigned long long* table, long long rows, int arrays) {
        const unsigned long long place = table[rows * (arrays + 1) + blockIdx.x];
        of = static_cast<unsigned>(place >> 32);
        row = table + of * static_cast<unsigned long long>(arrays + 1);
        begin = (place & 0xffffffffu) * CHUNK;
        const unsigned long long left = row[arrays] - begin;
        count = left < CHUNK ? static_cast<unsigned>(left) : CHUNK;
    }

    template <typename T> __device__ T* at(int array) const { return reinterpret_cast<T*>(row[array]) + begin; }

    __device__ bool aligned(int arrays) const {
        unsigned long long bits = 0;
        for (int k = 0; k < arrays; k++) bits |= row[k];
        return bits % 16 == 0;
    }
};

// Pointers to arrays of the types T..., and what is done with their elements: a list that is taken apart from the front.
// Of a const T nothing is written back.
template <int N, typename... T> struct Packs;

template <int N> struct Packs<N> {
    __device__ Packs(const Chunk&, int) {}
    __device__ void read(unsigned) {}
    __device__ void write(unsigned) {}
    template <typename F, typename... A> __device__ __forceinline__ void call(F f, int, A&... a) { f(a...); }
    template <typename F, typename... A> __device__ __forceinline__ void call_at(F f, unsigned, A&... a) { f(a...); }
};

template <typename T> struct is_const { static constexpr bool value = false; };
template <typename T> struct is_const<const T> { static constexpr bool value = true; };
template <typename T> struct without_const { using type = T; };
template <typename T> struct without_const<const T> { using type = T; };

template <int N, typename T, typename... R> struct Packs<N, T, R...> {
    T* array;
    Pack<typename without_const<T>::type, N> pack;
    Packs<N, R...> rest;

    __device__ Packs(const Chunk& chunk, int k) : array(chunk.at<T>(k)), rest(chunk, k + 1) {}
    __device__ __forceinline__ void read(unsigned i) {
        pack = reinterpret_cast<const Pack<typename without_const<T>::type, N>*>(array)[i];
        rest.read(i);
    }
    __device__ __forceinline__ void write(unsigned i) {
        if constexpr (!is_const<T>::value) reinterpret_cast<Pack<T, N>*>(array)[i] = pack;
        rest.write(i);
    }
    template <typename F, typename... A> __device__ __forceinline__ void call(F f, int j, A&... a) {
        rest.call(f, j, a..., pack.at[j]);
    }
    template <typename F, typename... A> __device__ __forceinline__ void call_at(F f, unsigned i, A&... a) {
        rest.call_at(f, i, a..., array[i]);
    }
};

// Calls f(a0, a1, ...), references to the elements of each place of this block's chunk; N is how many a thread moves.
template <int N, typename... T, typename F>
__device__ __forceinline__ void for_each_of_chunk(const unsigned long long* table, long long rows, F f) {
    const Chunk chunk(table, rows, sizeof...(T));
    Packs<N, T...> arrays(chunk, 0);
    unsigned done = 0;
    if (chunk.aligned(sizeof...(T))) {
        for (unsigned i = threadIdx.x; i < chunk.count / N; i += blockDim.x) {
            arrays.read(i);
#pragma unroll
            for (int j = 0; j < N; j++) arrays.call(f, j);
            arrays.write(i);
        }
        done = chunk.count / N * N;
    }
    for (unsigned i = done + threadIdx.x; i < chunk.count; i += blockDim.x) arrays.call_at(f, i);
}
