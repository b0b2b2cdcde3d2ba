// Batch normalization: statistics, normalization, and the gradients of both.
//
// Shapes: x, y, gx, gy are (outer, channels, inner); gamma, beta and all that is per channel are (channels). The launcher
// brings any set of axes into this form. T is the type of the arrays, G that of gamma and beta, A what is computed in and
// the type of the statistics.
// h, masked: of the shape of x, or null where there is none: what comes after a normalization, adding h and rectifying,
// is done by its kernel, and what comes before its gradient too.
// Launch: 256 threads. Those with the same `lane` work on the same channel, W channels side by side in a block:
//   W = 1   inner > 1: a channel to a block, its threads read along `inner`, V elements (16 bytes) at once if that divides;
//   W = 32  inner = 1: neighbouring threads read neighbouring channels.
// blockIdx.x numbers the groups of W channels, blockIdx.y the parts that the elements of a channel are split into, so that
// a few large channels fill the device too.
// Why this way: memory is read once for the statistics, once more to normalize, which is the least there can be when a
// channel exceeds the cache. The parts are merged by every block of the second kernel for itself: that costs a few
// values, and saves a third launch, atomics and waiting. Only `batch_statistics`, whose results are wanted before it is
// known what comes next, leaves it to the last block of a channel. All sums are trees of fixed shape, whoever makes them:
// reruns are equal bit by bit.
#include "moments.cuh"

template <typename A> struct Sums {
    A gy, product;  // of gy, and of gy times (x - mean)

    __device__ __forceinline__ void merge(const Sums& other) {
        gy += other.gy;
        product += other.product;
    }
};

// The elements, in packs of V, that a thread works on.
template <typename I, int W> struct Walk {
    const I channels, inner, count;  // count and inner are numbers of packs; count of those in a channel
    const I channel = blockIdx.x * W + threadIdx.x % W;
    const int workers = blockDim.x / W, worker = threadIdx.x / W;
    const I first = channel < channels ? blockIdx.y * workers + worker : count, step = gridDim.y * workers;

    __device__ __forceinline__ Walk(I channels, I inner, I count) : channels(channels), inner(inner), count(count) {}

    __device__ __forceinline__ I at(I i) const {
        return W > 1 ? i * channels + channel : (i / inner * channels + channel) * inner + i % inner;
    }

    // Whether this thread writes what there is one of for each channel (and part).
    __device__ __forceinline__ bool writes() const { return worker == 0 && channel < channels; }

    // The value of all parts.
    template <typename P> __device__ __forceinline__ P merged(const P* parts, int n, P* shared) const {
        P value = {};
        for (int i = channel < channels ? worker : n; i < n; i += workers) value.merge(parts[i * channels + channel]);
        return merge_in_block(value, shared, W);
    }
};

// parts (gridDim.y, channels)
template <typename T, typename A, typename I, int W, int V>
__global__ void __launch_bounds__(THREADS)
moments(const Pack<T, V>* __restrict__ x, Moments<A>* __restrict__ parts, I channels, I inner, I count) {
    __shared__ Moments<A> shared[THREADS];
    const Walk<I, W> walk(channels, inner, count);
    Moments<A> all = {};
    for (I i = walk.first; i < count; i += walk.step) all.add(x[walk.at(i)]);
    all = merge_in_block(all, shared, W);
    if (walk.writes()) parts[blockIdx.y * channels + walk.channel] = all;
}

// value moves towards another by the share (1 - decay).
template <typename R, typename A> __device__ __forceinline__ void move(R& value, double decay, A target) {
    store(value, static_cast<A>(load(value)) * static_cast<A>(decay) + static_cast<A>(1 - decay) * target);
}

// numbers (6, channels): mean, var, 1 / std; mean again, gamma / std, beta. running_mean and running_var (channels, or null) move
// towards the mean and the variance times `unbias`. parts as above; `arrived` (gridDim.x) counts the blocks that have
// written theirs and is zero before and after.
template <typename T, typename G, typename A, typename R, typename I, int W, int V>
__global__ void __launch_bounds__(THREADS)
batch_statistics(const Pack<T, V>* __restrict__ x, Moments<A>* parts, unsigned* arrived, const G* __restrict__ gamma,
                 const G* __restrict__ beta, double eps, A* __restrict__ numbers, R* __restrict__ running_mean,
                 R* __restrict__ running_var, double decay, double unbias, I channels, I inner, I count) {
    __shared__ Moments<A> shared[THREADS];
    __shared__ bool is_last;
    const Walk<I, W> walk(channels, inner, count);
    const I channel = walk.channel;
    Moments<A> all = {};
    for (I i = walk.first; i < count; i += walk.step) all.add(x[walk.at(i)]);
    all = merge_in_block(all, shared, W);
    if (gridDim.y > 1) {
        if (walk.writes()) parts[blockIdx.y * channels + channel] = all;
        __threadfence();
        __syncthreads();
        if (threadIdx.x == 0) is_last = atomicInc(&arrived[blockIdx.x], gridDim.y - 1) == gridDim.y - 1;
        __syncthreads();
        if (!is_last) return;
        __threadfence();
        all = walk.merged(parts, gridDim.y, shared);
    }
    if (!walk.writes()) return;
    const A var = all.squares / all.n, inv_std = 1 / sqrt(var + static_cast<A>(eps));
    numbers[channel] = all.mean;
    numbers[channels + channel] = var;
    numbers[2 * channels + channel] = inv_std;
    numbers[3 * channels + channel] = all.mean;
    numbers[4 * channels + channel] = static_cast<A>(load(gamma[channel])) * inv_std;
    numbers[5 * channels + channel] = static_cast<A>(load(beta[channel]));
    if (running_mean) move(running_mean[channel], decay, all.mean);
    if (running_var) move(running_var[channel], decay, var * static_cast<A>(unbias));
}

// mean, var (channels): of all parts, where nothing else is wanted. One thread for each channel.
template <typename A, typename I>
__global__ void merge_moments(const Moments<A>* __restrict__ parts, int n, A* __restrict__ mean, A* __restrict__ var,
                              I channels) {
    GRID_STRIDE_LOOP(I, channel, channels) {
        Moments<A> all = {};
        for (int i = 0; i < n; ++i) all.merge(parts[i * channels + channel]);
        mean[channel] = all.mean;
        var[channel] = all.squares / all.n;
    }
}

template <typename T, typename A, typename I, int W, int V>
__device__ __forceinline__ void affine(const Pack<T, V>* __restrict__ x, Pack<T, V>* __restrict__ y, A mean, A scale,
                                       A beta, const Walk<I, W>& walk) {
    for (I i = walk.first; i < walk.count; i += walk.step) {
        const I at = walk.at(i);
        Pack<T, V> pack = x[at];
#pragma unroll
        for (int k = 0; k < V; ++k) store(pack.at[k], (static_cast<A>(load(pack.at[k])) - mean) * scale + beta);
        y[at] = pack;
    }
}

// y by the statistics in the parts that `moments` made; also writes mean and var.
template <typename T, typename G, typename A, typename I, int W, int V>
__global__ void __launch_bounds__(THREADS)
batch_normalize(const Pack<T, V>* __restrict__ x, const Moments<A>* __restrict__ parts, int n,
                const G* __restrict__ gamma, const G* __restrict__ beta, double eps, Pack<T, V>* __restrict__ y,
                A* __restrict__ mean, A* __restrict__ var, I channels, I inner, I count) {
    __shared__ Moments<A> shared[THREADS];
    const Walk<I, W> walk(channels, inner, count);
    const Moments<A> all = walk.merged(parts, n, shared);
    if (walk.channel >= channels) return;
    const A variance = all.squares / all.n;
    if (walk.writes() && blockIdx.y == 0) {
        mean[walk.channel] = all.mean;
        var[walk.channel] = variance;
    }
    const A scale = static_cast<A>(load(gamma[walk.channel])) / sqrt(variance + static_cast<A>(eps));
    affine(x, y, all.mean, scale, static_cast<A>(load(beta[walk.channel])), walk);
}

// y by statistics that are given.
template <typename T, typename G, typename A, typename I, int W, int V>
__global__ void __launch_bounds__(THREADS)
normalize(const Pack<T, V>* __restrict__ x, const G* __restrict__ gamma, const G* __restrict__ beta,
          const A* __restrict__ mean, const A* __restrict__ inv_std, Pack<T, V>* __restrict__ y, I channels, I inner,
          I count) {
    const Walk<I, W> walk(channels, inner, count);
    if (walk.channel >= channels) return;
    const A scale = static_cast<A>(load(gamma[walk.channel])) * inv_std[walk.channel];
    affine(x, y, mean[walk.channel], scale, static_cast<A>(load(beta[walk.channel])), walk);
}

// (x - mean) * scale + offset, plus h, rectified (NaN stays NaN) if `rectify`.
template <typename T, typename A, typename I, int W, int V>
__global__ void __launch_bounds__(THREADS)
normalize_then(const Pack<T, V>* __restrict__ x, const Pack<T, V>* __restrict__ h, const A* __restrict__ mean,
               const A* __restrict__ scale, const A* __restrict__ offset, bool rectify, Pack<T, V>* __restrict__ y,
               I channels, I inner, I count) {
    const Walk<I, W> walk(channels, inner, count);
    if (walk.channel >= channels) return;
    const A center = mean[walk.channel], slope = scale[walk.channel], start = offset[walk.channel];
    for (I i = walk.first; i < count; i += walk.step) {
        const I at = walk.at(i);
        Pack<T, V> pack = x[at], more = {};
        if (h) more = h[at];
#pragma unroll
        for (int k = 0; k < V; ++k) {
            A value = (static_cast<A>(load(pack.at[k])) - center) * slope + start;
            if (h) value += static_cast<A>(load(more.at[k]));
            store(pack.at[k], rectify && value <= 0 ? A(0) : value);
        }
        y[at] = pack;
    }
}

// The gradient that comes in: gy, but 0 where y is not positive, if there is a y.
template <typename T, int V, typename I>
__device__ __forceinline__ Pack<T, V> incoming(const Pack<T, V>* __restrict__ gy, const Pack<T, V>* __restrict__ y,
                                               I at) {
    Pack<T, V> g = gy[at];
    if (y) {
        const Pack<T, V> pack = y[at];
#pragma unroll
        for (int k = 0; k < V; ++k)
            if (!(load(pack.at[k]) > 0)) g.at[k] = T(0.f);
    }
    return g;
}

// parts (gridDim.y, channels)
template <typename T, typename A, typename I, int W, int V>
__global__ void __launch_bounds__(THREADS)
gradient_sums(const Pack<T, V>* __restrict__ gy, const Pack<T, V>* __restrict__ x, const Pack<T, V>* __restrict__ y,
              const A* __restrict__ mean, Sums<A>* __restrict__ parts, I channels, I inner, I count) {
    __shared__ Sums<A> shared[THREADS];
    const Walk<I, W> walk(channels, inner, count);
    const A center = walk.channel < channels ? mean[walk.channel] : A(0);
    Sums<A> all = {};
    for (I i = walk.first; i < count; i += walk.step) {
        const I at = walk.at(i);
        const Pack<T, V> g = incoming(gy, y, at), pack = x[at];
#pragma unroll
        for (int k = 0; k < V; ++k) {
            const A value = static_cast<A>(load(g.at[k]));
            all.merge({value, value * (static_cast<A>(load(pack.at[k])) - center)});
        }
    }
    all = merge_in_block(all, shared, W);
    if (walk.writes()) parts[blockIdx.y * channels + walk.channel] = all;
}

// gx = gamma / std (gy - mean of gy - x_hat (mean of gy x_hat)), without the means if the statistics are fixed; also
// writes ggamma and gbeta and, in `masked`, what came in. `elements` is the number of them in a channel.
template <typename T, typename G, typename A, typename I, int W, int V>
__global__ void __launch_bounds__(THREADS)
normalize_grad(const Pack<T, V>* __restrict__ gy, const Pack<T, V>* __restrict__ x, const Pack<T, V>* __restrict__ y,
               const Sums<A>* __restrict__ parts, int n, const G* __restrict__ gamma, const A* __restrict__ mean,
               const A* __restrict__ inv_std, double elements, bool fixed, Pack<T, V>* __restrict__ gx,
               A* __restrict__ ggamma, A* __restrict__ gbeta, Pack<T, V>* __restrict__ masked, I channels, I inner,
               I count) {
    __shared__ Sums<A> shared[THREADS];
    const Walk<I, W> walk(channels, inner, count);
    const Sums<A> all = walk.merged(parts, n, shared);
    if (walk.channel >= channels) return;
    const A center = mean[walk.channel], inv = inv_std[walk.channel];
    if (walk.writes() && blockIdx.y == 0) {
        ggamma[walk.channel] = all.product * inv;
        gbeta[walk.channel] = all.gy;
    }
    const A scale = static_cast<A>(load(gamma[walk.channel])) * inv;
    const A share = fixed ? A(0) : 1 / static_cast<A>(elements);
    const A offset = all.gy * share, slope = all.product * inv * inv * share;
    for (I i = walk.first; i < count; i += walk.step) {
        const I at = walk.at(i);
        Pack<T, V> g = incoming(gy, y, at), pack = {};
        if (masked) masked[at] = g;
        if (!fixed) pack = x[at];
#pragma unroll
        for (int k = 0; k < V; ++k) {
            const A d = fixed ? A(0) : static_cast<A>(load(pack.at[k])) - center;
            store(g.at[k], scale * (static_cast<A>(load(g.at[k])) - offset - d * slope));
        }
        gx[at] = g;
    }
}
