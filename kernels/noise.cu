// Random numbers, and dropout.
//
// A draw is a pair (seed, number of the draw) in device memory; its numbers are a function of it and of their index, so that
// they can be made again instead of being stored: dropout's gradient does. Philox 4x32-10 (Salmon et al.: Parallel Random
// Numbers: As Easy as 1, 2, 3, 2011): four words of 32 bits from a counter, index / 4 and the draw, and a key, the seed.
// Launch: a thread for each pack of V elements, the last of which may be cut short; begin_draw has one thread.
// Why this way: a graph of CUDA's that was captured once and runs many times counts its draws itself.
#include "common.cuh"

// The next draw of a generator.
__global__ void begin_draw(unsigned long long* __restrict__ generator, unsigned long long* __restrict__ draw) {
    draw[0] = generator[0];
    draw[1] = generator[1]++;
}

struct Words {
    unsigned at[4];

    __device__ __forceinline__ void round(unsigned key0, unsigned key1) {
        const unsigned long long a = 0xD2511F53ull * at[0], b = 0xCD9E8D57ull * at[2];
        *this = {{static_cast<unsigned>(b >> 32) ^ at[1] ^ key0, static_cast<unsigned>(b),
                  static_cast<unsigned>(a >> 32) ^ at[3] ^ key1, static_cast<unsigned>(a)}};
    }

    // That of an index which the compiler does not know, without an array in memory.
    __device__ __forceinline__ unsigned of(unsigned i) const {
        return i & 2 ? (i & 1 ? at[3] : at[2]) : (i & 1 ? at[1] : at[0]);
    }
};

__device__ __forceinline__ Words philox(const unsigned long long* draw, unsigned long long index) {
    const unsigned long long seed = draw[0], number = draw[1];
    Words words = {{static_cast<unsigned>(index), static_cast<unsigned>(index >> 32), static_cast<unsigned>(number),
                    static_cast<unsigned>(number >> 32)}};
    unsigned key0 = static_cast<unsigned>(seed), key1 = static_cast<unsigned>(seed >> 32);
#pragma unroll
    for (int i = 0; i < 10; ++i) {
        words.round(key0, key1);
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    return words;
}

// The pack that begins at element `start` of n.
template <typename T, int V>
__device__ __forceinline__ Pack<T, V> load_pack(const T* __restrict__ x, unsigned long long start, unsigned long long n) {
    if (start + V <= n) return *reinterpret_cast<const Pack<T, V>*>(x + start);
    Pack<T, V> pack = {};
#pragma unroll
    for (int k = 0; k < V; ++k)
        if (start + k < n) pack.at[k] = x[start + k];
    return pack;
}
template <typename T, int V>
__device__ __forceinline__ void store_pack(T* __restrict__ y, unsigned long long start, unsigned long long n,
                                           const Pack<T, V>& pack) {
    if (start + V <= n) {
        *reinterpret_cast<Pack<T, V>*>(y + start) = pack;
        return;
    }
#pragma unroll
    for (int k = 0; k < V; ++k)
        if (start + k < n) y[start + k] = pack.at[k];
}

// y = x times 0 if the element's word is below the threshold, times scale elsewhere. V is 1 or a multiple of 4.
template <typename T, int V>
__global__ void dropout(const T* __restrict__ x, T* __restrict__ y, const unsigned long long* __restrict__ draw,
                        unsigned threshold, double scale, unsigned long long n, unsigned long long count) {
    GRID_STRIDE_LOOP(unsigned long long, i, count) {
        auto pack = load_pack<T, V>(x, i * V, n);
        T rounded;  // as a mask of T's would have it
        store(rounded, static_cast<acc_t<T>>(scale));
#pragma unroll
        for (int k = 0; k < V; k += 4) {
            const Words words = philox(draw, (i * V + k) / 4);
#pragma unroll
            for (int j = 0; j < (V > 1 ? 4 : 1); ++j) {
                const unsigned word = V > 1 ? words.at[j] : words.of(i % 4);
                store(pack.at[k + j], load(pack.at[k + j]) * (word < threshold ? acc_t<T>(0) : load(rounded)));
            }
        }
        store_pack<T, V>(y, i * V, n, pack);
    }
}

// In (0, 1), at distances of 2 ** -32 (where float has them) and of 2 ** -52.
__device__ __forceinline__ float fraction(unsigned a) { return fminf((a + 0.5f) * 0x1p-32f, 0x1.fffffep-1f); }
__device__ __forceinline__ double fraction(unsigned a, unsigned b) {
    return ((static_cast<unsigned long long>(a) << 20 ^ b >> 12) + 0.5) * 0x1p-52;
}
__device__ __forceinline__ void fractions(const Words& w, float (&u)[4]) {
#pragma unroll
    for (int k = 0; k < 4; ++k) u[k] = fraction(w.at[k]);
}
__device__ __forceinline__ void fractions(const Words& w, double (&u)[2]) {
    u[0] = fraction(w.at[0], w.at[1]);
    u[1] = fraction(w.at[2], w.at[3]);
}

enum Kind { UNIFORM, NORMAL, GUMBEL };  // as in the launcher

// y (n): float or double; V is 4 or 2.
template <typename A, int KIND>
__global__ void random_numbers(A* __restrict__ y, const unsigned long long* __restrict__ draw, unsigned long long n,
                               unsigned long long count) {
    constexpr int V = 16 / sizeof(A);
    GRID_STRIDE_LOOP(unsigned long long, i, count) {
        A u[V];
        fractions(philox(draw, i), u);
        Pack<A, V> pack;
#pragma unroll
        for (int k = 0; k < V; ++k) {
            if (KIND == UNIFORM) pack.at[k] = u[k];
            if (KIND == GUMBEL) pack.at[k] = -log(-log(u[k]));
            if (KIND == NORMAL) {  // by Box and Muller
                const A radius = sqrt(-2 * log(u[k & ~1])), angle = 2 * u[k | 1];
                pack.at[k] = radius * (k & 1 ? sinpi(angle) : cospi(angle));
            }
        }
        store_pack<A, V>(y, i * V, n, pack);
    }
}
