// Convolutions on tensor cores, without columns in memory: a product of matrices whose left one is gathered from the
// images while it is multiplied.
//
// Arrays are channels last: images (n, *dims, channels), `pitch` numbers from one pixel to the next; with groups, those
// of a group lie side by side. Channels of a group are a multiple of V, the numbers that one copy moves, and pixels
// begin at multiples of it. Types: T __half, __nv_bfloat16, or float; sums are float. Tensor cores take floats as TF32
// only, of 11 bits. So a float is rounded (PIECES is 1), or made into the sum of two such numbers, of 22 bits together
// (PIECES is 2), and their product into three. What they sum up they cut off instead of rounding it, always towards
// zero, which long sums would show: then they make the sums of a few products, which are added up outside of them.
//
// A block of 4 warps, 2 x 2, makes a tile of BM x BN results and passes along the inner dimension in steps of 64 bytes
// (K numbers), which lie in stages in shared memory: while one is multiplied, the next ones are on their way. Each
// row has 4 units of 16 bytes, exchanged within 128 bytes such that the 8 rows that a matrix instruction reads lie in
// different banks. 128 threads for 128 x 128 tiles: a warp's 64 x 64 results are the most that registers hold, and the
// larger they are, the fewer bytes of shared memory for each multiplication.
#include "tensor_cores.cuh"
#include "windows.cuh"

constexpr int BLOCK = 128;   // threads
constexpr int ROW = 64;      // bytes of a row of a tile
template <int TILE> constexpr int STAGES = TILE > 128 * 64 ? 3 : 4;  // what 48 kB of shared memory hold
// Blocks for whose registers a multiprocessor has room.
template <int TILE, int PIECES> constexpr int RESIDENT = TILE > 128 * 64 || PIECES == 2 ? 2 : TILE > 64 * 64 ? 3 : 4;

// Where an array's numbers lie: those of an image, of a channel, of a pixel apart.
struct Strides { int image, channel, pixel; };

__device__ __forceinline__ int greatest_divisor(int a, int b) {
    while (b) {
        const int rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

// One axis of a convolution, or of the part of a transposed one that makes the results first, first + step, ...
// Result number q sees number q * stride + start + j * hop of the source with offset filter + j * period of the filter,
// for each j < taps. Transposed, a result meets every stride / gcd(stride, dilate)-th offset only; results with the same
// remainder by the stride (the phase) meet the same ones, so that a phase is a convolution with stride 1.
struct Axis {
    int size, count, stride, start, hop, taps, filter, period, first, step;

    __device__ __forceinline__ Axis(const Windows& w, int i, bool transposed, int phase, bool used = true) {
        const int s = w.stride[i], d = w.dilate[i];
        first = phase;
        if (!used) {
            size = count = stride = taps = period = step = 1;
            start = hop = filter = first = 0;
            return;
        }
        if (!transposed) {
            size = w.dims[i], count = w.outs[i], stride = s, start = -w.pad[i], hop = d, taps = w.ksize[i];
            filter = 0, period = step = 1;
            return;
        }
        const int divisor = greatest_divisor(s, d), at = phase + w.pad[i];
        filter = 0;
        while (filter < w.ksize[i] && (at - filter * d) % s != 0) ++filter;
        size = w.outs[i], count = ceil_div(w.dims[i] - phase, s), stride = 1, start = (at - filter * d) / s;
        hop = -(d / divisor), period = s / divisor, taps = ceil_div(w.ksize[i] - filter, period), step = s;
    }
};

// The unit of 16 bytes `unit` of a row of ROW bytes, in a tile.
__device__ __forceinline__ int swizzled(int row, int unit) { return row * ROW + ((unit ^ (row >> 1 & 3)) << 4); }

// What tensor cores are given for a number, or two of 16 bits.
template <typename T, int PIECES> __device__ __forceinline__ void split(unsigned bits, unsigned& first, unsigned& second) {
    if constexpr (sizeof(T) == 2) {
        first = bits;
    } else if constexpr (PIECES == 1) {
        first = round_to_tf32(bits);
    } else {
        first = bits & 0xffffe000u;
        second = round_to_tf32(__float_as_uint(__uint_as_float(bits) - __uint_as_float(first)));
    }
}

// The product of the left and right numbers of a warp, of 32 bytes of the inner dimension: tiles of 16 x 8, I x J of them.
template <typename T, int PIECES, int I, int J> struct Fragments {
    unsigned a[PIECES][I][4], b[PIECES][J][2];

    __device__ __forceinline__ void set_left(int i, int which, unsigned bits) {
        split<T, PIECES>(bits, a[0][i][which], a[PIECES - 1][i][which]);
    }
    __device__ __forceinline__ void set_right(int j, int which, unsigned bits) {
        split<T, PIECES>(bits, b[0][j][which], b[PIECES - 1][j][which]);
    }
    __device__ __forceinline__ void add_to(float (&sum)[I][J][4]) const {
#pragma unroll
        for (int i = 0; i < I; ++i)
#pragma unroll
            for (int j = 0; j < J; ++j) {
                if constexpr (PIECES == 1) {
                    multiply_add<T>(sum[i][j], a[0][i], b[0][j]);
                } else {
                    float part[4] = {};
                    multiply_add<T>(part, a[1][i], b[0][j]);
                    multiply_add<T>(part, a[0][i], b[1][j]);
                    multiply_add<T>(part, a[0][i], b[0][j]);
#pragma unroll
                    for (int e = 0; e < 4; ++e) sum[i][j][e] += part[e];
                }
            }
    }
};

// The results of a warp, of a tile of BM x BN, after so many steps along the inner dimension. While one is multiplied,
// those ahead are copied: `fetch(copies, left, right)` begins to copy the next step's left and right rows to there, and
// `take(factors, left, right, half)` gets what the tensor cores are given for half of a step.
template <int BM, int BN> struct Stages {
    static constexpr int BYTES = (BM + BN) * ROW, AHEAD = STAGES<BM * BN> - 1, ALL = (AHEAD + 1) * BYTES;
};
template <typename T, int PIECES, int BM, int BN, typename Fetch, typename Take>
__device__ __forceinline__ void multiply(char* shared, int steps, const Fetch& fetch, const Take& take,
                                         float (&sum)[BM / 32][BN / 16][4]) {
    constexpr int BYTES = Stages<BM, BN>::BYTES, AHEAD = Stages<BM, BN>::AHEAD;
    AsyncCopies copies;
    auto begin = [&](int stage) {
        fetch(copies, shared + stage * BYTES, shared + stage * BYTES + BM * ROW);
        copies.close();
    };
    for (int stage = 0; stage < AHEAD; ++stage) begin(stage);
    for (int step = 0; step < steps; ++step) {
        copies.wait<AHEAD - 1>();
        __syncthreads();  // all copies of this step are there, and nobody reads the stage before it any more
        begin((step + AHEAD) % (AHEAD + 1));
        const char* left = shared + step % (AHEAD + 1) * BYTES;
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            Fragments<T, PIECES, BM / 32, BN / 16> factors;
            take(factors, left, left + BM * ROW, half);
            factors.add_to(sum);
        }
    }
    copies.wait<0>();
}

// A convolution (or transposed one): y (n, outs, filters) with row r of the product for each of its pixels.
//
// W (groups, filters, taps, channels) is the right matrix. Grid: x the tiles, those of one row side by side, as they read
// the same part of x; z the groups, and for a transposed convolution the phases.
template <typename T, typename O, int PIECES, int BM, int BN, int V, int N>
__global__ void __launch_bounds__(BLOCK, RESIDENT<BM * BN, PIECES>)
    implicit_gemm(const T* __restrict__ x, const T* __restrict__ W, const T* __restrict__ bias, O* __restrict__ y,
                  const Windows w, int transposed, int images, int groups, int channels, int filters, int pitch,
                  const Strides strides) {
    constexpr int K = ROW / sizeof(T), UNITS = K / V, PASS = BLOCK / UNITS;  // rows that all threads copy at once
    constexpr int WM = BM / 2, WN = BN / 2;
    __shared__ __align__(128) char shared[Stages<BM, BN>::ALL];

    const int thread = threadIdx.x, group = blockIdx.z % groups;
    int phase = blockIdx.z / groups, phases[3] = {0, 0, 0};
    if (transposed)
        for (int i = 2; i >= 3 - N; --i) {
            const int n = min(w.stride[i], w.dims[i]);
            phases[i] = phase % n;
            phase /= n;
        }
    const Axis a0(w, 0, transposed, phases[0], N == 3), a1(w, 1, transposed, phases[1]), a2(w, 2, transposed, phases[2]);
    const int counts[3] = {a0.count, a1.count, a2.count};
    const int rows = images * a0.count * a1.count * a2.count;
    const int tiles_across = (filters + BN - 1) / BN;
    const int row0 = blockIdx.x / tiles_across * BM, column0 = blockIdx.x % tiles_across * BN;
    if (row0 >= rows) return;

    // What this thread copies: the same unit of every PASS-th row. Where its rows begin in x, and on each axis.
    const int unit = thread % UNITS, line = thread / UNITS;
    int begin[BM / PASS], at0[BM / PASS], at1[BM / PASS], at2[BM / PASS];
#pragma unroll
    for (int i = 0; i < BM / PASS; ++i) {
        const int row = row0 + line + i * PASS;
        const Position<N, unsigned> q(row, counts);
        at0[i] = q.at[0] * a0.stride + a0.start, at1[i] = q.at[1] * a1.stride + a1.start;
        at2[i] = q.at[2] * a2.stride + a2.start;
        begin[i] = (((static_cast<int>(q.image) * a0.size + at0[i]) * a1.size + at1[i]) * a2.size + at2[i]) * pitch + group * channels;
        if (row >= rows) at2[i] = -(1 << 30);  // beyond every image
    }
    const T* filter = W + static_cast<long long>(group) * filters * (w.ksize[0] * w.ksize[1] * w.ksize[2]) * channels;
    const int width = w.ksize[0] * w.ksize[1] * w.ksize[2] * channels;

    // The next unit to copy: channel `c` of tap (t0, t1, t2); behind the last one t0 = a0.taps.
    int c = unit * V, t0 = a1.taps && a2.taps ? 0 : a0.taps, t1 = 0, t2 = 0;
    auto settle = [&] {
        while (c >= channels && t0 < a0.taps) {
            c -= channels;
            if (++t2 < a2.taps) continue;
            t2 = 0;
            if (++t1 < a1.taps) continue;
            t1 = 0, ++t0;
        }
    };
    settle();
    auto fetch = [&](AsyncCopies& copies, char* left, char* right) {
        const int byte = unit * V * sizeof(T);
        const bool left_over = t0 < a0.taps;
        const int d0 = t0 * a0.hop, d1 = t1 * a1.hop, d2 = t2 * a2.hop;
        const int away = ((d0 * a1.size + d1) * a2.size + d2) * pitch + c;
#pragma unroll
        for (int i = 0; i < BM / PASS; ++i) {
            const bool there = left_over && (N < 3 || static_cast<unsigned>(at0[i] + d0) < a0.size) &&
                               static_cast<unsigned>(at1[i] + d1) < a1.size &&
                               static_cast<unsigned>(at2[i] + d2) < a2.size;
            copies.copy<V * sizeof(T)>(left + swizzled(line + i * PASS, byte / 16) + byte % 16, x + (begin[i] + away),
                                       there);
        }
        const int k0 = a0.filter + t0 * a0.period, k1 = a1.filter + t1 * a1.period, k2 = a2.filter + t2 * a2.period;
        const int k = ((k0 * w.ksize[1] + k1) * w.ksize[2] + k2) * channels + c;
#pragma unroll
        for (int i = 0; i < BN / PASS; ++i) {
            const int column = column0 + line + i * PASS;
            copies.copy<V * sizeof(T)>(right + swizzled(line + i * PASS, byte / 16) + byte % 16,
                                       filter + (column * width + k), left_over && column < filters);
        }
        c += K;
        settle();
    };

    const int warp = thread / 32, lane = thread % 32;
    const int warp_row = warp / 2 * WM, warp_column = warp % 2 * WN;
    float sum[WM / 16][WN / 8][4] = {};
    const int inner = a0.taps * a1.taps * a2.taps * channels, steps = (inner + K - 1) / K;
    auto take = [&](auto& factors, const char* left, const char* right, int half) {
        unsigned four[4];
#pragma unroll
        for (int i = 0; i < WM / 16; ++i) {
            load_matrices<false>(four, left + swizzled(warp_row + i * 16 + lane % 16, half * 2 + lane / 16));
#pragma unroll
            for (int j = 0; j < 4; ++j) factors.set_left(i, j, four[j]);
        }
#pragma unroll
        for (int i = 0; i < WN / 16; ++i) {
            const int column = warp_column + i * 16 + lane / 16 * 8 + lane % 8;
            load_matrices<false>(four, right + swizzled(column, half * 2 + lane / 8 % 2));
#pragma unroll
            for (int j = 0; j < 4; ++j) factors.set_right(2 * i + j / 2, j % 2, four[j]);
        }
    };
    multiply<T, PIECES, BM, BN>(shared, steps, fetch, take, sum);
    __syncthreads();  // from here on shared memory is used for the results

    // Where the rows of the tile are in y; -1 for those that are not.
    int* places = reinterpret_cast<int*>(shared);
    for (int i = thread; i < BM; i += BLOCK) {
        const Position<N, unsigned> q(row0 + i, counts);
        const int* sizes = transposed ? w.dims : w.outs;
        const int pixel = ((a0.first + q.at[0] * a0.step) * sizes[1] + a1.first + q.at[1] * a1.step) * sizes[2] +
                          a2.first + q.at[2] * a2.step;
        places[i] = row0 + i < rows ? static_cast<int>(q.image) * strides.image + pixel * strides.pixel : -1;
    }
    __syncthreads();
    const int channel0 = group * filters + column0;
    // 16-bit results side by side: by way of shared memory, so that a thread stores 16 bytes.
    const bool packs = sizeof(O) == 2 && strides.channel == 1 && filters % 8 == 0;
    constexpr int PACKED = BN + 8;  // a row of results: 8 more for the sake of the banks
    O* staged = reinterpret_cast<O*>(shared + BM * sizeof(int));
    static_assert(sizeof(O) > 2 || BM * sizeof(int) + BM * PACKED * sizeof(O) <= sizeof(shared));
#pragma unroll
    for (int j = 0; j < WN / 8; ++j) {
        const int column = warp_column + j * 8 + lane % 4 * 2;
        float more[2];
#pragma unroll
        for (int e = 0; e < 2; ++e)
            more[e] = bias && column0 + column + e < filters ? load(bias[channel0 + column + e]) : 0.f;
#pragma unroll
        for (int i = 0; i < WM / 8; ++i) {
            const int row = warp_row + i * 8 + lane / 4;
            Pack<O, 2> pair;
#pragma unroll
            for (int e = 0; e < 2; ++e) store(pair.at[e], sum[i / 2][j][i % 2 * 2 + e] + more[e]);
            if (packs) {
                *reinterpret_cast<Pack<O, 2>*>(staged + row * PACKED + column) = pair;
                continue;
            }
            for (int e = 0; e < 2; ++e)
                if (column0 + column + e < filters && places[row] >= 0)
                    y[places[row] + (channel0 + column + e) * strides.channel] = pair.at[e];
        }
    }
    if (!packs) return;
    __syncthreads();
    for (int i = thread; i < BM * BN / 8; i += BLOCK) {
        const int row = i / (BN / 8), column = i % (BN / 8) * 8;
        if (places[row] < 0 || column0 + column >= filters) continue;
        *reinterpret_cast<Pack<O, 8>*>(y + (places[row] + channel0 + column)) =
            *reinterpret_cast<const Pack<O, 8>*>(staged + row * PACKED + column);
    }
}

// The gradient of the filters, (groups, filters, taps, channels), summed over some of the pixels: part number p over the
// steps p * length ... of K pixels each. Grid: x the tiles; z the groups and parts. U numbers of gy are copied at once.
//
// Pixels are the inner dimension: a row of a tile holds the channels of one pixel, and what the tensor cores see is
// turned on its way from shared memory, by the instruction for 16 bits, for 32 bits by reading number by number.
template <typename T, int PIECES, int BM, int BN, int U, int V, int N>
__global__ void __launch_bounds__(BLOCK, sizeof(T) == 2 ? RESIDENT<BM * BN, PIECES> : 2)
    implicit_filter_grad(const T* __restrict__ x, const T* __restrict__ gy, float* __restrict__ parts, const Windows w,
                         int images, int groups, int channels, int filters, int length) {
    constexpr int K = ROW / sizeof(T), WM = BM / 2, WN = BN / 2;
    constexpr int LEFT = BM / U, RIGHT = BN / V;                        // what a row is copied by
    constexpr int LEFT_PASS = BLOCK / LEFT, RIGHT_PASS = BLOCK / RIGHT;  // rows that all threads copy at once
    __shared__ __align__(128) char shared[Stages<BM, BN>::ALL];

    const int thread = threadIdx.x, group = blockIdx.z % groups, part = blockIdx.z / groups;
    const int width = w.ksize[0] * w.ksize[1] * w.ksize[2] * channels;
    const int pixels = images * w.outs[0] * w.outs[1] * w.outs[2];
    const int tiles_across = (width + BN - 1) / BN;
    const int row0 = blockIdx.x / tiles_across * BM, column0 = blockIdx.x % tiles_across * BN;
    const int first = part * length * K, steps = min(length, (pixels - first + K - 1) / K);

    // A number's place in a tile whose rows have `size` numbers: units of 16 bytes are exchanged such that what a warp
    // reads at once, 8 rows of one unit or 4 rows of two, lies in different banks.
    auto place = [](int row, int column, int size) {
        const int byte = column * sizeof(T), key = sizeof(T) == 2 ? row & 7 : (row & 3) << 1;
        return row * size * static_cast<int>(sizeof(T)) + ((byte >> 4 ^ key) << 4) + (byte & 15);
    };

    // What this thread copies. Of gy:
    const int filter = thread % LEFT * U, left_line = thread / LEFT;
    const bool has_filter = row0 + filter < filters;
    const T* from_gy = gy + group * filters + row0 + filter;
    // And of x: always the same channels at the same tap; of the pixels that it copies next, image and place.
    const int column = thread % RIGHT * V, right_line = thread / RIGHT;
    const bool has_column = column0 + column < width;
    const int tap = (column0 + column) / channels;
    const T* from_x = x + group * channels + (column0 + column) % channels;
    const int away[3] = {tap / (w.ksize[1] * w.ksize[2]) * w.dilate[0] - w.pad[0],
                         tap / w.ksize[2] % w.ksize[1] * w.dilate[1] - w.pad[1],
                         tap % w.ksize[2] * w.dilate[2] - w.pad[2]};
    const Position<N, unsigned> stride(K, w.outs);  // K pixels further
    int image[K / RIGHT_PASS], at[K / RIGHT_PASS][3];
#pragma unroll
    for (int i = 0; i < K / RIGHT_PASS; ++i) {
        const Position<N, unsigned> out(first + right_line + i * RIGHT_PASS, w.outs);
        image[i] = out.image;
        for (int axis = 0; axis < 3; ++axis) at[i][axis] = out.at[axis];
    }
    int pixel = first;
    auto fetch = [&](AsyncCopies& copies, char* left, char* right) {
#pragma unroll
        for (int i = 0; i < K / LEFT_PASS; ++i) {
            const int line = left_line + i * LEFT_PASS;
            copies.copy<U * sizeof(T)>(left + place(line, filter, BM), from_gy + (pixel + line) * (groups * filters),
                                       has_filter && pixel + line < pixels);
        }
#pragma unroll
        for (int i = 0; i < K / RIGHT_PASS; ++i) {
            const int line = right_line + i * RIGHT_PASS;
            int in[3];
            bool there = has_column && image[i] < images;
#pragma unroll
            for (int axis = 3 - N; axis < 3; ++axis) {
                in[axis] = at[i][axis] * w.stride[axis] + away[axis];
                there = there && static_cast<unsigned>(in[axis]) < w.dims[axis];
            }
            if (N < 3) in[0] = 0;
            copies.copy<V * sizeof(T)>(right + place(line, column, BN),
                                       from_x + index_of(image[i], w.dims, in[0], in[1], in[2]) * (groups * channels),
                                       there);
            int more = 0;  // to carry
#pragma unroll
            for (int axis = 2; axis >= 3 - N; --axis) {
                at[i][axis] += stride.at[axis] + more;
                more = at[i][axis] >= w.outs[axis];
                if (more) at[i][axis] -= w.outs[axis];
            }
            image[i] += stride.image + more;
        }
        pixel += K;
    };

    const int warp = thread / 32, lane = thread % 32;
    const int warp_row = warp / 2 * WM, warp_column = warp % 2 * WN;
    float sum[WM / 16][WN / 8][4] = {};
    auto take = [&](auto& factors, const char* left, const char* right, int half) {
        if constexpr (sizeof(T) == 2) {
            const int row = half * 16 + lane % 8, low = lane / 8 % 2 * 8, high = lane / 16 * 8;
            unsigned four[4];
#pragma unroll
            for (int i = 0; i < WM / 16; ++i) {
                load_matrices<true>(four, left + place(row + high, warp_row + i * 16 + low, BM));
#pragma unroll
                for (int j = 0; j < 4; ++j) factors.set_left(i, j, four[j]);
            }
#pragma unroll
            for (int i = 0; i < WN / 16; ++i) {
                load_matrices<true>(four, right + place(row + low, warp_column + i * 16 + high, BN));
#pragma unroll
                for (int j = 0; j < 4; ++j) factors.set_right(2 * i + j / 2, j % 2, four[j]);
            }
        } else {
            const int row = half * 8 + lane % 4;
            auto number = [&](const char* tile, int row, int column, int size) {
                return *reinterpret_cast<const unsigned*>(tile + place(row, column, size));
            };
#pragma unroll
            for (int i = 0; i < WM / 16; ++i)
#pragma unroll
                for (int j = 0; j < 4; ++j)
                    factors.set_left(i, j, number(left, row + j / 2 * 4, warp_row + i * 16 + j % 2 * 8 + lane / 4, BM));
#pragma unroll
            for (int i = 0; i < WN / 8; ++i)
#pragma unroll
                for (int j = 0; j < 2; ++j)
                    factors.set_right(i, j, number(right, row + j * 4, warp_column + i * 8 + lane / 4, BN));
        }
    };
    multiply<T, PIECES, BM, BN>(shared, steps, fetch, take, sum);
    float* out = parts + static_cast<long long>(blockIdx.z) * filters * width;  // blockIdx.z = (part, group)
#pragma unroll
    for (int i = 0; i < WM / 8; ++i) {
        const int row = row0 + warp_row + i * 8 + lane / 4;
#pragma unroll
        for (int j = 0; j < WN / 8; ++j) {
            const int to = column0 + warp_column + j * 8 + lane % 4 * 2;
            if (row >= filters || to >= width) continue;
            const Pack<float, 2> pair = {sum[i / 2][j][i % 2 * 2], sum[i / 2][j][i % 2 * 2 + 1]};
            *reinterpret_cast<Pack<float, 2>*>(out + static_cast<long long>(row) * width + to) = pair;
        }
    }
}

// The sum of the parts, always in the same order, as a filter gW (m, c, taps): one thread for each number (m, tap,
// channel), count of them, of parts of `size` numbers; what is beyond, and the channels from c on, filled up units.
template <typename O>
__global__ void sum_filter_parts(const float* __restrict__ parts, O* __restrict__ gW, unsigned n, unsigned taps,
                                 unsigned channels, unsigned c, unsigned size, unsigned count) {
    GRID_STRIDE_LOOP(unsigned, i, count) {
        const unsigned channel = i % channels, tap = i / channels % taps, m = i / channels / taps;
        if (channel >= c) continue;
        float sum = 0;
        for (unsigned p = 0; p < n; ++p) sum += parts[static_cast<unsigned long long>(p) * size + i];
        store(gW[(static_cast<unsigned long long>(m) * c + channel) * taps + tap], sum);
    }
}
