// Batch normalization: statistics, normalization, and the gradients of both.
//
// Shapes: x, y, gx, gy are (outer, channels, inner); gamma, beta and all that is per channel are (channels). The
// launcher brings any set of axes into this form. T is the type of the arrays, G that of gamma and beta, A what is
// computed in and the type of the statistics.
// h, masked: of the shape of x, or null where there is none: what comes after a normalization, adding h and rectifying,
// is done by its kernel, and what comes before its gradient too.
// Launch: 256 threads, which read packs of V elements, 16 bytes where that is possible. W of them lie side by side:
//   W = 1   inner > 1: a block has one channel, its threads read along `inner`;
//   W > 1   inner = 1: neighbouring threads read neighbouring channels, each V of them.
// A column is a channel, or the V channels of a thread. blockIdx.x numbers the groups of W columns, blockIdx.y the
// parts that the elements of a channel are split into, so that a few large channels fill the device too.
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

// The packs that a thread works on.
template <typename I, int W, int V> struct Walk {
    static constexpr int S = W > 1 ? V : 1;  // channels of a thread
    const I columns, inner, count;           // count and inner are numbers of packs; count of those in a column
    const I column = blockIdx.x * W + threadIdx.x % W, channel = column * S, channels = columns * S;
    const int workers = blockDim.x / W, worker = threadIdx.x / W;
    const bool works = column < columns;
    const I first = works ? blockIdx.y * workers + worker : count, step = gridDim.y * workers;

    __device__ __forceinline__ Walk(I columns, I inner, I count) : columns(columns), inner(inner), count(count) {}

    __device__ __forceinline__ I at(I i) const {
        return W > 1 ? i * columns + column : (i / inner * columns + column) * inner + i % inner;
    }

    // Whether this thread writes what there is one of for each channel (and part).
    __device__ __forceinline__ bool writes() const { return worker == 0 && works; }

    // The thread's values of the block, one for each of its channels, into parts (gridDim.y, channels).
    template <typename P> __device__ __forceinline__ void write(const P* values, P* parts) const {
#pragma unroll
        for (int k = 0; k < S; ++k)
            if (writes()) parts[blockIdx.y * channels + channel + k] = values[k];
    }

    template <typename P> __device__ __forceinline__ void merge(P* values, P* shared) const {
#pragma unroll
        for (int k = 0; k < S; ++k) values[k] = merge_in_block(values[k], shared, W);
    }

    // The values of all n parts.
    template <typename P>
    __device__ __forceinline__ void merge_parts(P* values, const P* parts, int n, P* shared) const {
#pragma unroll
        for (int k = 0; k < S; ++k) {
            values[k] = {};
            for (int i = works ? worker : n; i < n; i += workers) values[k].merge(parts[i * channels + channel + k]);
        }
        merge(values, shared);
    }
};

// The moments of the channels of this block's part.
template <typename T, typename A, typename I, int W, int V>
__device__ __forceinline__ void take_moments(const Pack<T, V>* __restrict__ x, const Walk<I, W, V>& walk,
                                             Moments<A>* all, Moments<A>* shared) {
    constexpr int S = Walk<I, W, V>::S;
#pragma unroll
    for (int k = 0; k < S; ++k) all[k] = {};
    for (I i = walk.first; i < walk.count; i += walk.step) {
        const Pack<T, V> pack = x[walk.at(i)];
        if (W == 1) {
            all[0].add(pack);
            continue;
        }
        const A n = all[0].n + 1, share = 1 / n;  // one division for all channels
#pragma unroll
        for (int k = 0; k < S; ++k) {
            const A value = static_cast<A>(load(pack.at[k])), d = value - all[k].mean;
            all[k].mean += d * share;
            all[k].squares += d * (value - all[k].mean);
            all[k].n = n;
        }
    }
    walk.merge(all, shared);
}

// parts (gridDim.y, channels)
template <typename T, typename A, typename I, int W, int V>
__global__ void __launch_bounds__(THREADS, LEAST_BLOCKS<A>)
moments(const Pack<T, V>* __restrict__ x, Moments<A>* __restrict__ parts, I columns, I inner, I count) {
    __shared__ Moments<A> shared[THREADS];
    const Walk<I, W, V> walk(columns, inner, count);
    Moments<A> all[walk.S];
    take_moments(x, walk, all, shared);
    walk.write(all, parts);
}

// value moves towards another by the share (1 - decay).
template <typename R, typename A> __device__ __forceinline__ void move(R& value, double decay, A target) {
    store(value, static_cast<A>(load(value)) * static_cast<A>(decay) + static_cast<A>(1 - decay) * target);
}

// numbers (6, channels): mean, var, 1 / std; mean again, gamma / std, beta. running_mean and running_var (channels, or
// null) move towards the mean and the variance times `unbias`. parts as above; `arrived` (gridDim.x) counts the blocks
// that have written theirs and is zero before and after.
template <typename T, typename G, typename A, typename R, typename I, int W, int V>
__global__ void __launch_bounds__(THREADS, LEAST_BLOCKS<A>)
batch_statistics(const Pack<T, V>* __restrict__ x, Moments<A>* parts, unsigned* arrived, const G* __restrict__ gamma,
                 const G* __restrict__ beta, double eps, A* __restrict__ numbers, R* __restrict__ running_mean,
                 R* __restrict__ running_var, double decay, double unbias, I columns, I inner, I count) {
    __shared__ Moments<A> shared[THREADS];
    __shared__ bool is_last;
    const Walk<I, W, V> walk(columns, inner, count);
    const I channels = walk.channels;
    Moments<A> all[walk.S];
    take_moments(x, walk, all, shared);
    if (gridDim.y > 1) {
        walk.write(all, parts);
        __threadfence();
        __syncthreads();
        if (threadIdx.x == 0) is_last = atomicInc(&arrived[blockIdx.x], gridDim.y - 1) == gridDim.y - 1;
        __syncthreads();
        if (!is_last) return;
        __threadfence();
        walk.merge_parts(all, parts, gridDim.y, shared);
    }
    if (!walk.writes()) return;
#pragma unroll
    for (int k = 0; k < walk.S; ++k) {
        const I channel = walk.channel + k;
        const A mean = all[k].mean, var = all[k].squares / all[k].n, inv_std = 1 / sqrt(var + static_cast<A>(eps));
        numbers[channel] = mean;
        numbers[channels + channel] = var;
        numbers[2 * channels + channel] = inv_std;
        numbers[3 * channels + channel] = mean;
        numbers[4 * channels + channel] = static_cast<A>(load(gamma[channel])) * inv_std;
        numbers[5 * channels + channel] = static_cast<A>(load(beta[channel]));
        if (running_mean) move(running_mean[channel], decay, mean);
        if (running_var) move(running_var[channel], decay, var * static_cast<A>(unbias));
    }
}

// The same numbers for a mean and a variance that are given. One thread for each channel.
template <typename G, typename A, typename I>
__global__ void fixed_statistics(const G* __restrict__ gamma, const G* __restrict__ beta, const G* __restrict__ mean,
                                 const G* __restrict__ var, double eps, A* __restrict__ numbers, I channels) {
    GRID_STRIDE_LOOP(I, channel, channels) {
        const A variance = static_cast<A>(load(var[channel])), inv_std = 1 / sqrt(variance + static_cast<A>(eps));
        numbers[channel] = numbers[3 * channels + channel] = static_cast<A>(load(mean[channel]));
        numbers[channels + channel] = variance;
        numbers[2 * channels + channel] = inv_std;
        numbers[4 * channels + channel] = static_cast<A>(load(gamma[channel])) * inv_std;
        numbers[5 * channels + channel] = static_cast<A>(load(beta[channel]));
    }
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

// What normalizes the channels of a thread: (x - mean) * scale + offset, plus h; rectified (NaN stays NaN) if
// `rectify`.
template <typename A, int S> struct Normalizer {
    A mean[S], scale[S], offset[S];

    template <typename T, typename I, int W, int V>
    __device__ __forceinline__ void run(const Pack<T, V>* __restrict__ x, const Pack<T, V>* __restrict__ h,
                                        bool rectify, Pack<T, V>* __restrict__ y, const Walk<I, W, V>& walk) const {
        for (I i = walk.first; i < walk.count; i += walk.step) {
            const I at = walk.at(i);
            Pack<T, V> pack = x[at], more = {};
            if (h) more = h[at];
#pragma unroll
            for (int k = 0; k < V; ++k) {
                const int c = S > 1 ? k : 0;
                A value = (static_cast<A>(load(pack.at[k])) - mean[c]) * scale[c] + offset[c];
                if (h) value += static_cast<A>(load(more.at[k]));
                store(pack.at[k], rectify && value <= 0 ? A(0) : value);
            }
            y[at] = pack;
        }
    }
};

// y by the statistics in the parts that `moments` made; also writes mean and var.
template <typename T, typename G, typename A, typename I, int W, int V>
__global__ void __launch_bounds__(THREADS, LEAST_BLOCKS<A>)
batch_normalize(const Pack<T, V>* __restrict__ x, const Moments<A>* __restrict__ parts, int n,
                const G* __restrict__ gamma, const G* __restrict__ beta, double eps, Pack<T, V>* __restrict__ y,
                A* __restrict__ mean, A* __restrict__ var, I columns, I inner, I count) {
    __shared__ Moments<A> shared[THREADS];
    const Walk<I, W, V> walk(columns, inner, count);
    Moments<A> all[walk.S];
    walk.merge_parts(all, parts, n, shared);
    if (!walk.works) return;
    Normalizer<A, walk.S> normalizer;
#pragma unroll
    for (int k = 0; k < walk.S; ++k) {
        const I channel = walk.channel + k;
        const A variance = all[k].squares / all[k].n;
        if (walk.writes() && blockIdx.y == 0) {
            mean[channel] = all[k].mean;
            var[channel] = variance;
        }
        normalizer.mean[k] = all[k].mean;
        normalizer.scale[k] = static_cast<A>(load(gamma[channel])) / sqrt(variance + static_cast<A>(eps));
        normalizer.offset[k] = static_cast<A>(load(beta[channel]));
    }
    normalizer.run(x, static_cast<const Pack<T, V>*>(nullptr), false, y, walk);
}

// y by statistics that are given.
template <typename T, typename G, typename A, typename I, int W, int V>
__global__ void __launch_bounds__(THREADS, LEAST_BLOCKS<A>)
normalize(const Pack<T, V>* __restrict__ x, const G* __restrict__ gamma, const G* __restrict__ beta,
          const A* __restrict__ mean, const A* __restrict__ inv_std, Pack<T, V>* __restrict__ y, I columns, I inner,
          I count) {
    const Walk<I, W, V> walk(columns, inner, count);
    if (!walk.works) return;
    Normalizer<A, walk.S> normalizer;
#pragma unroll
    for (int k = 0; k < walk.S; ++k) {
        const I channel = walk.channel + k;
        normalizer.mean[k] = mean[channel];
        normalizer.scale[k] = static_cast<A>(load(gamma[channel])) * inv_std[channel];
        normalizer.offset[k] = static_cast<A>(load(beta[channel]));
    }
    normalizer.run(x, static_cast<const Pack<T, V>*>(nullptr), false, y, walk);
}

// y by the last three rows of `numbers`, see batch_statistics, with what comes next.
template <typename T, typename A, typename I, int W, int V>
__global__ void __launch_bounds__(THREADS, LEAST_BLOCKS<A>)
normalize_then(const Pack<T, V>* __restrict__ x, const Pack<T, V>* __restrict__ h, const A* __restrict__ numbers,
               bool rectify, Pack<T, V>* __restrict__ y, I columns, I inner, I count) {
    const Walk<I, W, V> walk(columns, inner, count);
    if (!walk.works) return;
    Normalizer<A, walk.S> normalizer;
#pragma unroll
    for (int k = 0; k < walk.S; ++k) {
        const A* number = numbers + 3 * walk.channels + walk.channel + k;
        normalizer.mean[k] = number[0];
        normalizer.scale[k] = number[walk.channels];
        normalizer.offset[k] = number[2 * walk.channels];
    }
    normalizer.run(x, h, rectify, y, walk);
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
__global__ void __launch_bounds__(THREADS, LEAST_BLOCKS<A>)
gradient_sums(const Pack<T, V>* __restrict__ gy, const Pack<T, V>* __restrict__ x, const Pack<T, V>* __restrict__ y,
              const A* __restrict__ mean, Sums<A>* __restrict__ parts, I columns, I inner, I count) {
    __shared__ Sums<A> shared[THREADS];
    const Walk<I, W, V> walk(columns, inner, count);
    A center[walk.S];
    Sums<A> all[walk.S];
#pragma unroll
    for (int k = 0; k < walk.S; ++k) {
        center[k] = walk.works ? mean[walk.channel + k] : A(0);
        all[k] = {};
    }
    for (I i = walk.first; i < count; i += walk.step) {
        const I at = walk.at(i);
        const Pack<T, V> g = incoming(gy, y, at), pack = x[at];
#pragma unroll
        for (int k = 0; k < V; ++k) {
            const int c = walk.S > 1 ? k : 0;
            const A value = static_cast<A>(load(g.at[k]));
            all[c].merge({value, value * (static_cast<A>(load(pack.at[k])) - center[c])});
        }
    }
    walk.merge(all, shared);
    walk.write(all, parts);
}

// gx = gamma / std (gy - mean of gy - x_hat (mean of gy x_hat)), without the means if the statistics are fixed; also
// writes ggamma and gbeta and, in `masked`, what came in. `elements` is the number of them in a channel.
template <typename T, typename G, typename A, typename I, int W, int V>
__global__ void __launch_bounds__(THREADS, LEAST_BLOCKS<A>)
normalize_grad(const Pack<T, V>* __restrict__ gy, const Pack<T, V>* __restrict__ x, const Pack<T, V>* __restrict__ y,
               const Sums<A>* __restrict__ parts, int n, const G* __restrict__ gamma, const A* __restrict__ mean,
               const A* __restrict__ inv_std, double elements, bool fixed, Pack<T, V>* __restrict__ gx,
               A* __restrict__ ggamma, A* __restrict__ gbeta, Pack<T, V>* __restrict__ masked, I columns, I inner,
               I count) {
    __shared__ Sums<A> shared[THREADS];
    const Walk<I, W, V> walk(columns, inner, count);
    Sums<A> all[walk.S];
    walk.merge_parts(all, parts, n, shared);
    if (!walk.works) return;
    A center[walk.S], scale[walk.S], offset[walk.S], slope[walk.S];
    const A share = fixed ? A(0) : 1 / static_cast<A>(elements);
#pragma unroll
    for (int k = 0; k < walk.S; ++k) {
        const I channel = walk.channel + k;
        const A inv = inv_std[channel];
        if (walk.writes() && blockIdx.y == 0) {
            ggamma[channel] = all[k].product * inv;
            gbeta[channel] = all[k].gy;
        }
        center[k] = mean[channel];
        scale[k] = static_cast<A>(load(gamma[channel])) * inv;
        offset[k] = all[k].gy * share;
        slope[k] = all[k].product * inv * inv * share;
    }
    for (I i = walk.first; i < count; i += walk.step) {
        const I at = walk.at(i);
        Pack<T, V> g = incoming(gy, y, at), pack = {};
        if (masked) masked[at] = g;
        if (!fixed) pack = x[at];
#pragma unroll
        for (int k = 0; k < V; ++k) {
            const int c = walk.S > 1 ? k : 0;
            const A d = fixed ? A(0) : static_cast<A>(load(pack.at[k])) - center[c];
            store(g.at[k], scale[c] * (static_cast<A>(load(g.at[k])) - offset[c] - d * slope[c]));
        }
        gx[at] = g;
    }
}
