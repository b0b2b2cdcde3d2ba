// Normalization of groups of channels of each sample; one group of all channels is layer normalization.
//
// Shapes: x, y, gx, gy are (n * groups, length): a row is a group of a sample, `channels` channels of `size` elements. mean
// and inv_std are (n * groups), gamma and beta (groups * channels). T is the type of the arrays, G that of gamma and beta,
// A what is computed in and the type of the statistics.
// Launch: rows.cuh; scale_sums has its own.
// Why this way: a row is read once, also for its gradient. The gradients of gamma and beta are sums down the rows, another
// direction: a second kernel sums parts of the rows, a third the parts. All sums are trees of fixed shape: reruns are equal.
#include "moments.cuh"
#include "rows.cuh"

// What the elements V * i, V * i + 1... of a row have from their channels. `values` are those of the row's group.
template <typename A, int V, typename G>
__device__ __forceinline__ Pack<A, V> of_channels(const G* __restrict__ values, int i, int size) {
    Pack<A, V> result;
    if (size == 1) {
        const Pack<G, V> pack = reinterpret_cast<const Pack<G, V>*>(values)[i];
#pragma unroll
        for (int k = 0; k < V; ++k) result.at[k] = static_cast<A>(load(pack.at[k]));
        return result;
    }
    const unsigned first = static_cast<unsigned>(i) * V;
    int channel = first / size, rest = first % size;
#pragma unroll
    for (int k = 0; k < V; ++k) {
        result.at[k] = static_cast<A>(load(values[channel]));
        if (++rest == size) rest = 0, ++channel;
    }
    return result;
}

template <typename T, typename G, typename A, int V, int K>
__global__ void __launch_bounds__(ROW_THREADS<K>, LEAST_BLOCKS<A>)
group_normalize(const Pack<T, V>* __restrict__ x, Pack<T, V>* __restrict__ y, const G* __restrict__ gamma,
                const G* __restrict__ beta, double eps, A* __restrict__ mean, A* __restrict__ inv_std, int groups,
                int channels, int size, int length, int workers, long long rows) {
    __shared__ Moments<A> shared[ROW_THREADS<K>];
    const Columns<long long> c(length, 1, workers);
    FOR_EACH_ROW(row, c, rows) {
        const Packs<Pack<T, V>, K> packs(x + row * length, c.worker, workers, row < rows ? length : 0);
        Moments<A> all = {};
        packs.each([&](int i, int j) { all.add(packs.get(i, j)); });
        all = c.merged(all, shared);
        const A inv = 1 / sqrt(all.squares / all.n + static_cast<A>(eps));
        const long long offset = row % groups * channels;
        packs.each([&](int i, int j) {
            Pack<T, V> pack = packs.get(i, j);
            const Pack<A, V> scale = of_channels<A, V>(gamma + offset, i, size);
            const Pack<A, V> shift = of_channels<A, V>(beta + offset, i, size);
#pragma unroll
            for (int k = 0; k < V; ++k) {
                const A d = static_cast<A>(load(pack.at[k])) - all.mean;
                store(pack.at[k], d * inv * scale.at[k] + shift.at[k]);
            }
            y[row * length + i] = pack;
        });
        if (c.worker == 0 && row < rows) {
            mean[row] = all.mean;
            inv_std[row] = inv;
        }
    }
}

template <typename A> struct RowSums {
    A g, product;  // of g = gy gamma, and of g times x normalized

    __device__ __forceinline__ void merge(const RowSums& other) {
        g += other.g;
        product += other.product;
    }
};

// gx = (g - mean of g - x_hat (mean of g x_hat)) / std
template <typename T, typename G, typename A, int V, int K>
__global__ void __launch_bounds__(ROW_THREADS<K>, LEAST_BLOCKS<A>)
group_normalize_grad(const Pack<T, V>* __restrict__ gy, const Pack<T, V>* __restrict__ x, Pack<T, V>* __restrict__ gx,
                     const G* __restrict__ gamma, const A* __restrict__ mean, const A* __restrict__ inv_std, int groups,
                     int channels, int size, int length, int workers, long long rows) {
    __shared__ RowSums<A> shared[ROW_THREADS<K>];
    const Columns<long long> c(length, 1, workers);
    FOR_EACH_ROW(row, c, rows) {
        const int own = row < rows ? length : 0;
        const Packs<Pack<T, V>, K> gs(gy + row * length, c.worker, workers, own);
        const Packs<Pack<T, V>, K> xs(x + row * length, c.worker, workers, own);
        const A center = own ? mean[row] : A(0), inv = own ? inv_std[row] : A(0);
        const long long offset = row % groups * channels;
        RowSums<A> sums = {};
        gs.each([&](int i, int j) {
            const Pack<T, V> g = gs.get(i, j), pack = xs.get(i, j);
            const Pack<A, V> scale = of_channels<A, V>(gamma + offset, i, size);
#pragma unroll
            for (int k = 0; k < V; ++k) {
                const A value = static_cast<A>(load(g.at[k])) * scale.at[k];
                sums.merge({value, value * ((static_cast<A>(load(pack.at[k])) - center) * inv)});
            }
        });
        sums = c.merged(sums, shared);
        const A n = static_cast<A>(length) * V, shift = sums.g / n, slope = sums.product / n;
        gs.each([&](int i, int j) {
            Pack<T, V> g = gs.get(i, j);
            const Pack<T, V> pack = xs.get(i, j);
            const Pack<A, V> scale = of_channels<A, V>(gamma + offset, i, size);
#pragma unroll
            for (int k = 0; k < V; ++k) {
                const A x_hat = (static_cast<A>(load(pack.at[k])) - center) * inv;
                store(g.at[k], (static_cast<A>(load(g.at[k])) * scale.at[k] - shift - x_hat * slope) * inv);
            }
            gx[row * length + i] = g;
        });
    }
}

template <typename A, int N> struct ScaleSums {
    A gamma[N], beta[N];

    __device__ __forceinline__ void merge(const ScaleSums& other) {
#pragma unroll
        for (int k = 0; k < N; ++k) gamma[k] += other.gamma[k], beta[k] += other.beta[k];
    }
};

// parts (gridDim.y, 2, all channels): of parts of gy x_hat, the gradient of gamma, and of gy, that of beta.
// x and gy are (n, all channels, inner) in packs: W = 32 packs of channels side by side in a block if inner = 1, otherwise
// W = 1 and packs along `inner`, a channel to a block. blockIdx.x numbers those; `count` is the number of packs down one.
template <typename T, typename A, typename I, int W, int V>
__global__ void __launch_bounds__(THREADS)
scale_sums(const Pack<T, V>* __restrict__ gy, const Pack<T, V>* __restrict__ x, const A* __restrict__ mean,
           const A* __restrict__ inv_std, A* __restrict__ parts, int groups, int channels, int columns, I inner, I count) {
    constexpr int N = W > 1 ? V : 1;
    __shared__ ScaleSums<A, N> shared[THREADS];
    const int column = blockIdx.x * W + threadIdx.x % W, workers = THREADS / W;
    const int group = (W > 1 ? column * V : column) / channels;  // of the whole pack: V divides `channels` if W > 1
    ScaleSums<A, N> sums = {};
    if (column < columns) {
        for (I i = blockIdx.y * workers + threadIdx.x / W; i < count; i += gridDim.y * workers) {
            const I sample = i / inner, at = (sample * columns + column) * inner + i % inner;
            const Pack<T, V> g = gy[at], pack = x[at];
            const A center = mean[sample * groups + group], inv = inv_std[sample * groups + group];
#pragma unroll
            for (int k = 0; k < V; ++k) {
                const A value = static_cast<A>(load(g.at[k]));
                sums.gamma[k % N] += value * ((static_cast<A>(load(pack.at[k])) - center) * inv);
                sums.beta[k % N] += value;
            }
        }
    }
    sums = merge_in_block(sums, shared, W);
    if (threadIdx.x < W && column < columns) {
#pragma unroll
        for (int k = 0; k < N; ++k) {
            parts[static_cast<I>(blockIdx.y) * 2 * columns * N + column * N + k] = sums.gamma[k];
            parts[(static_cast<I>(blockIdx.y) * 2 + 1) * columns * N + column * N + k] = sums.beta[k];
        }
    }
}

// ggamma and gbeta (channels): the sums of parts (n, 2, channels). One thread for each of the `count` sums.
template <typename A, typename G>
__global__ void merge_scale_sums(const A* __restrict__ parts, int n, G* __restrict__ ggamma, G* __restrict__ gbeta,
                                 unsigned count) {
    GRID_STRIDE_LOOP(unsigned, i, count) {
        A sum = 0;
        for (int k = 0; k < n; ++k) sum += parts[static_cast<unsigned long long>(k) * count + i];
        store(i < count / 2 ? ggamma[i] : gbeta[i - count / 2], sum);
    }
}
