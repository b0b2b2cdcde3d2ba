// Images to columns and back: the parts of a convolution that are not a matrix product.
//
// Shapes: x (n, c, *dims); the columns, what the windows see, are c * ksize rows for each image, with a number for each
// window, *outs. Row r of image i begins at i * image_step + r * row_step: so they can be (n, rows, outs), one matrix for
// each image, or (rows, n, outs), one for all.
// Launch: one dimension, grid-stride loops over `count`, see below.
#include "windows.cuh"

// One thread for each window of each channel, count = n * c * outs: neighbours read neighbouring elements, and write
// neighbouring numbers of each of the rows that belong to the offsets of the window.
template <typename T, typename I, int N>
__global__ void im2col(const T* __restrict__ x, T* __restrict__ col, const Windows w, I channels, I image_step,
                       I row_step, I count) {
    const I outs = static_cast<I>(w.outs[0]) * w.outs[1] * w.outs[2];
    const I offsets = static_cast<I>(w.ksize[0]) * w.ksize[1] * w.ksize[2];
    GRID_STRIDE_LOOP(I, i, count) {
        const Position<N, I> out(i, w.outs);
        int x0[3];
#pragma unroll
        for (int axis = 0; axis < 3; ++axis) x0[axis] = out.at[axis] * w.stride[axis] - w.pad[axis];
        T* row = col + out.image / channels * image_step + out.image % channels * offsets * row_step + i % outs;
        for (int k0 = 0; k0 < w.ksize[0]; ++k0) {
            for (int k1 = 0; k1 < w.ksize[1]; ++k1) {
                for (int k2 = 0; k2 < w.ksize[2]; ++k2, row += row_step) {
                    const int a0 = x0[0] + k0 * w.dilate[0], a1 = x0[1] + k1 * w.dilate[1];
                    const int a2 = x0[2] + k2 * w.dilate[2];
                    const bool in_x = a0 >= 0 && a0 < w.dims[0] && a1 >= 0 && a1 < w.dims[1] && a2 >= 0 && a2 < w.dims[2];
                    *row = in_x ? x[index_of(out.image, w.dims, a0, a1, a2)] : T(0.f);
                }
            }
        }
    }
}

// The transpose of im2col, plus `bias` (c) unless it is null. One thread for each element of x, count of them, which sums
// up what belongs to it in a fixed order: no atomics, and nothing to be zeroed first. C is the type of the columns.
template <typename C, typename T, typename I, int N>
__global__ void col2im(const C* __restrict__ col, const T* __restrict__ bias, T* __restrict__ x, const Windows w,
                       I channels, I image_step, I row_step, I count) {
    const I offsets = static_cast<I>(w.ksize[0]) * w.ksize[1] * w.ksize[2];
    GRID_STRIDE_LOOP(I, i, count) {
        const Position<N, I> at(i, w.dims);
        const I channel = at.image % channels;
        const C* rows = col + at.image / channels * image_step + channel * offsets * row_step;
        const Box box = seeing<N>(at.at, w);
        acc_t<T> sum = bias ? load(bias[channel]) : acc_t<T>(0);
        FOR_EACH_IN(box, o) {
            const int d0 = at.at[0] + w.pad[0] - o0 * w.stride[0], d1 = at.at[1] + w.pad[1] - o1 * w.stride[1];
            const int d2 = at.at[2] + w.pad[2] - o2 * w.stride[2];
            const int k0 = d0 / w.dilate[0], k1 = d1 / w.dilate[1], k2 = d2 / w.dilate[2];
            if (k0 * w.dilate[0] != d0 || k1 * w.dilate[1] != d1 || k2 * w.dilate[2] != d2) continue;
            const I k = (static_cast<I>(k0) * w.ksize[1] + k1) * w.ksize[2] + k2;
            const I window = (static_cast<I>(o0) * w.outs[1] + o1) * w.outs[2] + o2;
            sum += load(rows[k * row_step + window]);
        }
        store(x[i], sum);
    }
}
