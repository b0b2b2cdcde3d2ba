// Windows that slide over arrays (n, c, *dims) with results (n, c, *outs): the shapes of pooling and convolution.
//
// Everything is written for three axes. With fewer (N), the first ones have size 1, and the compiler, which knows N,
// drops their loops and divisions.
#pragma once

#include "common.cuh"

struct Windows {
    int dims[3], ksize[3], stride[3], pad[3], dilate[3], outs[3];
};

// The element number i of an array (images, *sizes) as its image (n and c in one) and its place there.
template <int N, typename I> struct Position {
    I image;
    int at[3];

    __device__ __forceinline__ Position(I i, const int* sizes) {
#pragma unroll
        for (int axis = 2; axis >= 0; --axis) {
            at[axis] = axis < 3 - N ? 0 : static_cast<int>(i % sizes[axis]);
            if (axis >= 3 - N) i /= sizes[axis];
        }
        image = i;
    }
};

__device__ __forceinline__ int ceil_div(int a, int b) { return a <= 0 ? 0 : (a + b - 1) / b; }

// A range of ints for each axis.
struct Box {
    int first[3], last[3];  // without the last

    __device__ __forceinline__ int count() const {
        int n = 1;
#pragma unroll
        for (int axis = 0; axis < 3; ++axis) n *= max(last[axis] - first[axis], 0);
        return n;
    }
};

// The offsets k of the window at `out` that are in the input, not in the padding. Not dilated.
template <int N> __device__ __forceinline__ Box inside(const int* out, const Windows& w) {
    Box box;
#pragma unroll
    for (int axis = 0; axis < 3; ++axis) {
        const bool used = axis >= 3 - N;
        const int start = used ? out[axis] * w.stride[axis] - w.pad[axis] : 0;
        box.first[axis] = max(0, -start);
        box.last[axis] = used ? min(w.ksize[axis], w.dims[axis] - start) : 1;
    }
    return box;
}

// The windows that see the element at `x` of the input with one of their offsets; some of them between two offsets, if
// they are dilated.
template <int N> __device__ __forceinline__ Box seeing(const int* x, const Windows& w) {
    Box box;
#pragma unroll
    for (int axis = 0; axis < 3; ++axis) {
        const bool used = axis >= 3 - N;
        const int at = used ? x[axis] + w.pad[axis] : 0;
        box.first[axis] = used ? ceil_div(at - (w.ksize[axis] - 1) * w.dilate[axis], w.stride[axis]) : 0;
        box.last[axis] = used ? (at < 0 ? 0 : min(w.outs[axis], at / w.stride[axis] + 1)) : 1;
    }
    return box;
}

// For each (a0, a1, a2) in a Box.
#define FOR_EACH_IN(box, a)                                        \
    for (int a##0 = box.first[0]; a##0 < box.last[0]; ++a##0)      \
        for (int a##1 = box.first[1]; a##1 < box.last[1]; ++a##1)  \
            for (int a##2 = box.first[2]; a##2 < box.last[2]; ++a##2)

// The place (a0, a1, a2) of an image in an array (images, *sizes).
template <typename I> __device__ __forceinline__ I index_of(I image, const int* sizes, int a0, int a1, int a2) {
    return ((image * sizes[0] + a0) * sizes[1] + a1) * sizes[2] + a2;
}
