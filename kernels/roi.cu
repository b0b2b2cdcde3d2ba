// Pooling of regions of interest: averages and maxima over the cells of boxes in images.
//
// Shapes: x, gx (n, channels, h, w); y, gy (regions, channels, outh, outw); images (regions); rows (regions, outh, h) and
// columns (regions, outw, w) are how much each row and column of pixels counts in each cell, mostly 0.
// Launch: a thread for each element of what is written.
// Why this way: an average is separable, so its gradient gathers: each pixel looks for the cells that it is in. That is a
// sum in a fixed order, without atomics, and most regions are passed over by one load. Maxima give the positions of what
// they took, and weights, whose transpose is a general sum at indexes.
#include "common.cuh"

// The place of sample number i of an axis, `ratio` of them in each cell, between two pixels.
template <typename A> struct Sample {
    int lower, upper;
    A weight;  // of the upper one
    bool inside;

    __device__ __forceinline__ Sample(A first, A size, int i, int cells, int ratio, int limit) {
        A place = first + (i + A(0.5)) * (size / cells / ratio);
        inside = place >= -1 && place <= limit;
        place = min(max(place, A(0)), A(limit - 1));
        lower = static_cast<int>(place);
        upper = min(lower + 1, limit - 1);
        weight = place - lower;
    }
};

// weights (regions, cells, limit): for `ratio` samples in each cell (as many as it has pixels, rounded up, if that is 0),
// at places that are interpolated between two pixels; the mean of samples. first and size (regions) place the cells.
template <typename A, typename I>
__global__ void sample_weights(const A* __restrict__ first, const A* __restrict__ size, A* __restrict__ weights, int ratio,
                               int cells, int limit, I count) {
    GRID_STRIDE_LOOP(I, i, count) {
        const int pixel = i % limit, cell = i / limit % cells;
        const I region = i / limit / cells;
        const int n = ratio ? ratio : static_cast<int>(ceil(size[region] / cells));
        A sum = 0;
        for (int k = 0; k < n; ++k) {
            const Sample<A> sample(first[region], size[region], cell * n + k, cells, n, limit);
            if (sample.inside && pixel == sample.lower) sum += 1 - sample.weight;
            if (sample.inside && pixel == sample.upper) sum += sample.weight;
        }
        weights[i] = sum / n;
    }
}

template <typename T, typename A, typename I>
__global__ void roi_average(const T* __restrict__ x, T* __restrict__ y, const int* __restrict__ images,
                            const A* __restrict__ rows, const A* __restrict__ columns, int channels, int h, int w, int outh,
                            int outw, I count) {
    GRID_STRIDE_LOOP(I, i, count) {
        const I k = i % outw, j = i / outw % outh, c = i / outw / outh % channels, region = i / outw / outh / channels;
        const T* image = x + (images[region] * channels + c) * h * w;
        const A* row = rows + (region * outh + j) * h;
        const A* column = columns + (region * outw + k) * w;
        A sum = 0;
        for (int p = 0; p < h; ++p) {
            if (row[p] == 0) continue;
            A part = 0;
            for (int q = 0; q < w; ++q)
                if (column[q] != 0) part += column[q] * static_cast<A>(load(image[p * w + q]));
            sum += row[p] * part;
        }
        store(y[i], sum);
    }
}

template <typename T, typename A, typename I>
__global__ void roi_average_grad(const T* __restrict__ gy, T* __restrict__ gx, const int* __restrict__ images,
                                 const A* __restrict__ rows, const A* __restrict__ columns, int regions, int channels, int h,
                                 int w, int outh, int outw, I count) {
    GRID_STRIDE_LOOP(I, i, count) {
        const int q = i % w, p = i / w % h, c = i / w / h % channels, image = i / w / h / channels;
        A sum = 0;
        for (I region = 0; region < regions; ++region) {
            if (images[region] != image) continue;
            for (int j = 0; j < outh; ++j) {
                const A row = rows[(region * outh + j) * h + p];
                if (row == 0) continue;
                for (int k = 0; k < outw; ++k) {
                    const A column = columns[(region * outw + k) * w + q];
                    if (column != 0)
                        sum += row * column * static_cast<A>(load(gy[((region * channels + c) * outh + j) * outw + k]));
                }
            }
        }
        store(gx[i], sum);
    }
}

// Whether `value` is what a maximum takes instead of `best`: the first NaN, or else the first of the greatest.
template <typename A> __device__ __forceinline__ bool beats(A value, A best) {
    return value > best || (value != value && best == best);
}

// The part of cell number i of n that lies in [0, limit), of cells of `size` pixels in all from `first`.
__device__ __forceinline__ void cell(int first, int size, int i, int n, int limit, int& start, int& stop) {
    const double step = static_cast<double>(size) / n;
    start = min(max(static_cast<int>(floor(i * step)) + first, 0), limit);
    stop = min(max(static_cast<int>(ceil((i + 1) * step)) + first, 0), limit);
}

// positions in the images, flat, and weights (0 if there is no pixel), like y. boxes (regions, 4): first row and column,
// numbers of rows and columns.
template <typename T, typename I>
__global__ void roi_maxima(const T* __restrict__ x, const int* __restrict__ images, const int* __restrict__ boxes,
                           long long* __restrict__ positions, T* __restrict__ weights, int channels, int h, int w, int outh,
                           int outw, I count) {
    GRID_STRIDE_LOOP(I, i, count) {
        const int k = i % outw, j = i / outw % outh, c = i / outw / outh % channels;
        const I region = i / outw / outh / channels;
        const int* box = boxes + region * 4;
        int top, bottom, left, right;
        cell(box[0], box[2], j, outh, h, top, bottom);
        cell(box[1], box[3], k, outw, w, left, right);
        const long long image = (static_cast<long long>(images[region]) * channels + c) * h * w;
        const bool some = top < bottom && left < right;
        long long at = some ? image + top * w + left : 0;
        acc_t<T> best = some ? load(x[at]) : acc_t<T>(0);
        for (int p = top; p < bottom; ++p) {
            for (int q = left; q < right; ++q) {
                const acc_t<T> value = load(x[image + p * w + q]);
                if (beats(value, best)) best = value, at = image + p * w + q;
            }
        }
        positions[i] = at;
        store(weights[i], acc_t<T>(some));
    }
}

// positions and weights (4, ...): of the four pixels around the sample of each cell that is greatest. boxes (regions, 4):
// first row and column, height and width; ratios as above.
template <typename T, typename A, typename I>
__global__ void roi_align_maxima(const T* __restrict__ x, const int* __restrict__ images, const A* __restrict__ boxes,
                                 long long* __restrict__ positions, A* __restrict__ weights, int ratio_h, int ratio_w,
                                 int channels, int h, int w, int outh, int outw, I count) {
    GRID_STRIDE_LOOP(I, i, count) {
        const int k = i % outw, j = i / outw % outh, c = i / outw / outh % channels;
        const I region = i / outw / outh / channels;
        const A* box = boxes + region * 4;
        const int ny = ratio_h ? ratio_h : static_cast<int>(ceil(box[2] / outh));
        const int nx = ratio_w ? ratio_w : static_cast<int>(ceil(box[3] / outw));
        const long long image = (static_cast<long long>(images[region]) * channels + c) * h * w;
        A best = -infinity<A>();
        for (int s = 0; s < 4; ++s) positions[s * count + i] = image, weights[s * count + i] = 0;
        for (int p = j * ny; p < (j + 1) * ny; ++p) {
            const Sample<A> y(box[0], box[2], p, outh, ny, h);
            for (int q = k * nx; q < (k + 1) * nx && y.inside; ++q) {
                const Sample<A> x_(box[1], box[3], q, outw, nx, w);
                if (!x_.inside) continue;
                const int at[4] = {y.lower * w + x_.lower, y.lower * w + x_.upper, y.upper * w + x_.lower,
                                   y.upper * w + x_.upper};
                const A share[4] = {(1 - y.weight) * (1 - x_.weight), (1 - y.weight) * x_.weight,
                                    y.weight * (1 - x_.weight), y.weight * x_.weight};
                A value = 0;
#pragma unroll
                for (int s = 0; s < 4; ++s) value += share[s] * static_cast<A>(load(x[image + at[s]]));
                if (!beats(value, best)) continue;
                best = value;
#pragma unroll
                for (int s = 0; s < 4; ++s) positions[s * count + i] = image + at[s], weights[s * count + i] = share[s];
            }
        }
    }
}
