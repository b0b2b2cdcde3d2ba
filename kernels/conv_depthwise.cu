// Convolutions of each channel by itself, with `multiplier` filters for each: W (taps, m), channel j of y from channel
// j / multiplier of x. There is no product of matrices in it: a few operations for each number that is read.
//
// Both layouts: channels last if LAST, then a thread makes V neighbouring channels, up to 16 bytes; otherwise
// C-contiguous, and V is 1. Neighbouring threads read neighbouring numbers, and what windows share comes from the cache.
// Launch: one dimension, grid-stride loops over `count` units of V results.
#include "windows.cuh"

// An array (n, channels, *sizes), unit number i of it, and where the numbers of its channels are at another place.
template <typename I, int N, int V, bool LAST> struct Unit {
    I image, channel;  // the image, and the first channel
    int at[3];

    __device__ __forceinline__ Unit(I i, const int* sizes, I channels) {
        const Position<N, I> place(LAST ? i / (channels / V) : i, sizes);
        image = LAST ? place.image : place.image / channels;
        channel = LAST ? i % (channels / V) * V : place.image % channels;
        for (int axis = 0; axis < 3; ++axis) at[axis] = place.at[axis];
    }
};
template <typename I, bool LAST>
__device__ __forceinline__ I number_at(I image, I channel, I channels, const int* sizes, int a0, int a1, int a2) {
    return LAST ? index_of(image, sizes, a0, a1, a2) * channels + channel
                : index_of(image * channels + channel, sizes, a0, a1, a2);
}

// y (n, m, *outs) = bias + x (n, c, *dims) seen through W.
template <typename T, typename I, int N, int V, bool LAST>
__global__ void depthwise(const T* __restrict__ x, const T* __restrict__ W, const T* __restrict__ bias,
                          T* __restrict__ y, const Windows w, I m, I multiplier, I count) {
    const I c = m / multiplier;
    GRID_STRIDE_LOOP(I, i, count) {
        const Unit<I, N, V, LAST> out(i, w.outs, m);
        acc_t<T> sum[V];
        for (int v = 0; v < V; ++v) sum[v] = bias ? load(bias[out.channel + v]) : acc_t<T>(0);
        int start[3];
        for (int axis = 0; axis < 3; ++axis) start[axis] = out.at[axis] * w.stride[axis] - w.pad[axis];
        const T* filter = W + out.channel;
        for (int k0 = 0; k0 < w.ksize[0]; ++k0) {
            for (int k1 = 0; k1 < w.ksize[1]; ++k1) {
                for (int k2 = 0; k2 < w.ksize[2]; ++k2, filter += m) {
                    const int a0 = start[0] + k0 * w.dilate[0], a1 = start[1] + k1 * w.dilate[1];
                    const int a2 = start[2] + k2 * w.dilate[2];
                    if (a0 < 0 || a0 >= w.dims[0] || a1 < 0 || a1 >= w.dims[1] || a2 < 0 || a2 >= w.dims[2]) continue;
                    const I from = number_at<I, LAST>(out.image, out.channel / multiplier, c, w.dims, a0, a1, a2);
                    const auto a = *reinterpret_cast<const Pack<T, V>*>(x + from);
                    const auto b = *reinterpret_cast<const Pack<T, V>*>(filter);
                    for (int v = 0; v < V; ++v) sum[v] += load(a.at[v]) * load(b.at[v]);
                }
            }
        }
        Pack<T, V> result;
        for (int v = 0; v < V; ++v) store(result.at[v], sum[v]);
        *reinterpret_cast<Pack<T, V>*>(y + number_at<I, LAST>(out.image, out.channel, m, w.outs, out.at[0], out.at[1],
                                                             out.at[2])) = result;
    }
}

// The transpose: x (n, c, *dims) = bias + what the windows of y (n, m, *outs) that see it bring, in a fixed order.
template <typename T, typename I, int N, int V, bool LAST>
__global__ void depthwise_transposed(const T* __restrict__ y, const T* __restrict__ W, const T* __restrict__ bias,
                                     T* __restrict__ x, const Windows w, I m, I multiplier, I count) {
    const I c = m / multiplier;
    GRID_STRIDE_LOOP(I, i, count) {
        const Unit<I, N, V, LAST> in(i, w.dims, c);
        acc_t<T> sum[V];
        for (int v = 0; v < V; ++v) sum[v] = bias ? load(bias[in.channel + v]) : acc_t<T>(0);
        const Box box = seeing<N>(in.at, w);
        FOR_EACH_IN(box, o) {
            const int d0 = in.at[0] + w.pad[0] - o0 * w.stride[0], d1 = in.at[1] + w.pad[1] - o1 * w.stride[1];
            const int d2 = in.at[2] + w.pad[2] - o2 * w.stride[2];
            const int k0 = d0 / w.dilate[0], k1 = d1 / w.dilate[1], k2 = d2 / w.dilate[2];
            if (k0 * w.dilate[0] != d0 || k1 * w.dilate[1] != d1 || k2 * w.dilate[2] != d2) continue;
            const T* filter = W + ((static_cast<I>(k0) * w.ksize[1] + k1) * w.ksize[2] + k2) * m;
            for (I j = in.channel * multiplier; j < (in.channel + 1) * multiplier; ++j) {  // V is 1 if there are several
                const auto a = *reinterpret_cast<const Pack<T, V>*>(
                    y + number_at<I, LAST>(in.image, j, m, w.outs, o0, o1, o2));
                const auto b = *reinterpret_cast<const Pack<T, V>*>(filter + j);
                for (int v = 0; v < V; ++v) sum[v] += load(a.at[v]) * load(b.at[v]);
            }
        }
        Pack<T, V> result;
        for (int v = 0; v < V; ++v) store(result.at[v], sum[v]);
        *reinterpret_cast<Pack<T, V>*>(x + number_at<I, LAST>(in.image, in.channel, c, w.dims, in.at[0], in.at[1],
                                                             in.at[2])) = result;
    }
}

template <typename A> struct Sum {
    A value;
    __device__ __forceinline__ void merge(const Sum& other) { value += other.value; }
};

// The gradient of the filters, (parts, m, taps), over a part of the pixels each: block (channels, part). Channels last,
// 32 neighbouring channels of a block read side by side; otherwise it has one channel and reads along the pixels. TAPS
// sums are made at a time, so that 3 x 3 filters read gy once.
template <typename T, typename I, int N, bool LAST>
__global__ void depthwise_filter_grad(const T* __restrict__ x, const T* __restrict__ gy, acc_t<T>* __restrict__ parts,
                                      const Windows w, I m, I multiplier, I images) {
    constexpr int TAPS = 9, CHANNELS = LAST ? 32 : 1, LINES = THREADS / CHANNELS;
    __shared__ Sum<acc_t<T>> shared[THREADS];
    const I c = m / multiplier, channel = blockIdx.x * CHANNELS + threadIdx.x % CHANNELS;
    const I pixels = images * w.outs[0] * w.outs[1] * w.outs[2];
    const I length = (pixels + gridDim.y - 1) / gridDim.y, first = blockIdx.y * length;
    const I last = min(first + length, pixels);
    const int taps = w.ksize[0] * w.ksize[1] * w.ksize[2];
    for (int begin = 0; begin < taps; begin += TAPS) {
        Sum<acc_t<T>> sums[TAPS] = {};
        for (I pixel = first + threadIdx.x / CHANNELS; pixel < last && channel < m; pixel += LINES) {
            const Position<N, I> out(pixel, w.outs);
            const auto g =
                load(gy[number_at<I, LAST>(out.image, channel, m, w.outs, out.at[0], out.at[1], out.at[2])]);
#pragma unroll
            for (int t = 0; t < TAPS; ++t) {
                const int tap = begin + t, k0 = tap / (w.ksize[1] * w.ksize[2]), k = tap % (w.ksize[1] * w.ksize[2]);
                const int a0 = out.at[0] * w.stride[0] - w.pad[0] + k0 * w.dilate[0];
                const int a1 = out.at[1] * w.stride[1] - w.pad[1] + k / w.ksize[2] * w.dilate[1];
                const int a2 = out.at[2] * w.stride[2] - w.pad[2] + k % w.ksize[2] * w.dilate[2];
                if (tap < taps && a0 >= 0 && a0 < w.dims[0] && a1 >= 0 && a1 < w.dims[1] && a2 >= 0 && a2 < w.dims[2])
                    sums[t].value += g * load(x[number_at<I, LAST>(out.image, channel / multiplier, c, w.dims, a0, a1, a2)]);
            }
        }
#pragma unroll
        for (int t = 0; t < TAPS; ++t) {
            const auto sum = merge_in_block(sums[t], shared, CHANNELS);
            if (threadIdx.x < CHANNELS && channel < m && begin + t < taps)
                parts[(blockIdx.y * m + channel) * taps + begin + t] = sum.value;
        }
    }
}
