// Maximum and average pooling over windows, forward and backward, in one to three dimensions.
//
// Shapes: x (n, c, *dims), y (n, c, *outs), places (n, c, *outs): the offset of its window, counted in row order, that
// each maximum came from (P is a byte where that suffices). All are C-contiguous, with inner = 1, or all are channels last,
// with inner = c: then `image` is the number n, otherwise n and c in one.
// Launch: one dimension, one thread for each element of the result (count of them), in grid-stride loops.
// Why this way: a window is read by one thread and windows of neighbours overlap, so what comes from memory once is found
// in the cache by the others. The backward passes gather: each element of gx asks the few windows that see it. So nothing
// is zeroed first, no atomics are needed, and the order of the sums is fixed.
#include "windows.cuh"

// NaN is greater than all numbers, and the first of equals wins; the padding never does. A window of padding alone has
// -infinity, place 0.
template <typename T, typename P, typename I, int N>
__global__ void max_pool(const T* __restrict__ x, T* __restrict__ y, P* __restrict__ places, const Windows w, I inner,
                         I count) {
    GRID_STRIDE_LOOP(I, i, count) {
        const I channel = i % inner;
        const Position<N, I> out(i / inner, w.outs);
        const Box box = inside<N>(out.at, w);
        int x0[3];
#pragma unroll
        for (int axis = 0; axis < 3; ++axis) x0[axis] = out.at[axis] * w.stride[axis] - w.pad[axis];
        acc_t<T> top = -infinity<acc_t<T>>();
        int place = -1;
        FOR_EACH_IN(box, k) {
            const I at = index_of(out.image, w.dims, x0[0] + k0, x0[1] + k1, x0[2] + k2);
            const acc_t<T> value = load(x[at * inner + channel]);
            if (place < 0 || value > top || (value != value && top == top)) {
                top = value;
                place = (k0 * w.ksize[1] + k1) * w.ksize[2] + k2;
            }
        }
        store(y[i], top);
        if (places) places[i] = place < 0 ? 0 : place;
    }
}

// y: the element of x at its place, 0 if that is in the padding.
template <typename T, typename P, typename I, int N>
__global__ void max_pick(const T* __restrict__ x, const P* __restrict__ places, T* __restrict__ y, const Windows w,
                         I inner, I count) {
    GRID_STRIDE_LOOP(I, i, count) {
        const I channel = i % inner;
        const Position<N, I> out(i / inner, w.outs);
        const Position<N, int> k(static_cast<int>(places[i]), w.ksize);
        int at[3];
        bool in_x = k.image == 0;
#pragma unroll
        for (int axis = 0; axis < 3; ++axis) {
            at[axis] = out.at[axis] * w.stride[axis] - w.pad[axis] + k.at[axis];
            in_x = in_x && at[axis] >= 0 && at[axis] < w.dims[axis];
        }
        y[i] = in_x ? x[index_of(out.image, w.dims, at[0], at[1], at[2]) * inner + channel] : T(0.f);
    }
}

// gx: the sum of the gy whose place this element is. The transpose of max_pick.
template <typename T, typename P, typename I, int N>
__global__ void max_spread(const T* __restrict__ gy, const P* __restrict__ places, T* __restrict__ gx, const Windows w,
                           I inner, I count) {
    GRID_STRIDE_LOOP(I, i, count) {
        const I channel = i % inner;
        const Position<N, I> x(i / inner, w.dims);
        const Box box = seeing<N>(x.at, w);
        int k[3];
#pragma unroll
        for (int axis = 0; axis < 3; ++axis) k[axis] = x.at[axis] + w.pad[axis];
        acc_t<T> sum = 0;
        FOR_EACH_IN(box, o) {
            const I out = index_of(x.image, w.outs, o0, o1, o2) * inner + channel;
            const int place = ((k[0] - o0 * w.stride[0]) * w.ksize[1] + (k[1] - o1 * w.stride[1])) * w.ksize[2] +
                              (k[2] - o2 * w.stride[2]);
            if (static_cast<int>(places[out]) == place) sum += load(gy[out]);
        }
        store(gx[i], sum);
    }
}

// The sums over windows times `scale`; or, if `counted`, divided by how many elements of the window are no padding.
template <typename T, typename I, int N>
__global__ void average_pool(const T* __restrict__ x, T* __restrict__ y, const Windows w, double scale, bool counted,
                             I inner, I count) {
    GRID_STRIDE_LOOP(I, i, count) {
        const I channel = i % inner;
        const Position<N, I> out(i / inner, w.outs);
        const Box box = inside<N>(out.at, w);
        int x0[3];
#pragma unroll
        for (int axis = 0; axis < 3; ++axis) x0[axis] = out.at[axis] * w.stride[axis] - w.pad[axis];
        acc_t<T> sum = 0;
        FOR_EACH_IN(box, k) {
            const I at = index_of(out.image, w.dims, x0[0] + k0, x0[1] + k1, x0[2] + k2);
            sum += load(x[at * inner + channel]);
        }
        store(y[i], counted ? sum / static_cast<acc_t<T>>(box.count()) : sum * static_cast<acc_t<T>>(scale));
    }
}

// gx: the sum of the gy of the windows that see this element, scaled likewise. The transpose of average_pool.
template <typename T, typename I, int N>
__global__ void average_spread(const T* __restrict__ gy, T* __restrict__ gx, const Windows w, double scale,
                               bool counted, I inner, I count) {
    GRID_STRIDE_LOOP(I, i, count) {
        const I channel = i % inner;
        const Position<N, I> x(i / inner, w.dims);
        const Box box = seeing<N>(x.at, w);
        acc_t<T> sum = 0;
        FOR_EACH_IN(box, o) {
            const acc_t<T> value = load(gy[index_of(x.image, w.outs, o0, o1, o2) * inner + channel]);
            const int out[3] = {o0, o1, o2};
            sum += counted ? value / static_cast<acc_t<T>>(inside<N>(out, w).count()) : value;
        }
        store(gx[i], counted ? sum : sum * static_cast<acc_t<T>>(scale));
    }
}
