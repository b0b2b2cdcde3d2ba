// Normalization by neighbouring channels: y = x / (k + alpha * (the sum of the squares of the channels around)) ** beta.
//
// Shapes: x, y, gx, gy, scale are (n, channels, inner), in packs along `inner`; scale is what is raised to the power.
// Launch: a thread for each pack.
// Why this way: a thread reads all the channels around, at most `half` away, which its neighbours read too: from the cache.
// A sum that slides along the channels would lose its small terms beside large ones, and keep a NaN for ever.
#include "common.cuh"

// scale ** -beta; by square roots, which are many times as fast as `pow`, for the beta that everybody uses.
template <typename A> __device__ __forceinline__ A power(A scale, A beta) {
    if (beta != A(0.75)) return pow(scale, -beta);
    const A root = sqrt(scale);
    return 1 / (root * sqrt(root));
}

// Calls f(at) for the elements at the place of number i in the channels around.
template <typename I, typename F>
__device__ __forceinline__ void for_each_neighbour(I i, int half, int channels, I inner, F f) {
    const int channel = static_cast<int>(i / inner % channels);
    const I start = i - channel * inner;
    const int last = min(channel + half, channels - 1);
    for (int c = max(channel - half, 0); c <= last; ++c) f(start + c * inner);
}

template <typename T, typename I, int V>
__global__ void lrn(const Pack<T, V>* __restrict__ x, Pack<T, V>* __restrict__ y, Pack<acc_t<T>, V>* __restrict__ scale,
                    int half, double bias, double alpha, double beta, int channels, I inner, I count) {
    using A = acc_t<T>;
    GRID_STRIDE_LOOP(I, i, count) {
        Pack<A, V> sum = {};
        for_each_neighbour(i, half, channels, inner, [&](I at) {
            const Pack<T, V> pack = x[at];
#pragma unroll
            for (int v = 0; v < V; ++v) sum.at[v] += load(pack.at[v]) * load(pack.at[v]);
        });
        Pack<T, V> pack = x[i];
#pragma unroll
        for (int v = 0; v < V; ++v) {
            sum.at[v] = sum.at[v] * static_cast<A>(alpha) + static_cast<A>(bias);
            store(pack.at[v], load(pack.at[v]) * power(sum.at[v], static_cast<A>(beta)));
        }
        y[i] = pack;
        scale[i] = sum;
    }
}

// gx = gy scale ** -beta - 2 alpha beta x (the sum of gy x scale ** (-beta - 1) of the channels around)
template <typename T, typename I, int V>
__global__ void lrn_grad(const Pack<T, V>* __restrict__ gy, const Pack<T, V>* __restrict__ x,
                         const Pack<acc_t<T>, V>* __restrict__ scale, Pack<T, V>* __restrict__ gx, int half, double alpha,
                         double beta, int channels, I inner, I count) {
    using A = acc_t<T>;
    GRID_STRIDE_LOOP(I, i, count) {
        Pack<A, V> sum = {};
        for_each_neighbour(i, half, channels, inner, [&](I at) {
            const Pack<T, V> g = gy[at], pack = x[at];
            const Pack<A, V> s = scale[at];
#pragma unroll
            for (int v = 0; v < V; ++v)
                sum.at[v] += load(g.at[v]) * load(pack.at[v]) * (power(s.at[v], static_cast<A>(beta)) / s.at[v]);
        });
        Pack<T, V> g = gy[i];
        const Pack<T, V> pack = x[i];
        const Pack<A, V> s = scale[i];
#pragma unroll
        for (int v = 0; v < V; ++v) {
            const A own = load(g.at[v]) * power(s.at[v], static_cast<A>(beta));
            store(g.at[v], own - static_cast<A>(2 * alpha * beta) * load(pack.at[v]) * sum.at[v]);
        }
        gx[i] = g;
    }
}
