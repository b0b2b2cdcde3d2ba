// Norms of many arrays, and the search for numbers that are not finite, each in one launch for all arrays of a dtype.
// Shapes: any; the grid has a block for each chunk of multi_tensor.cuh. Bound by reading the arrays once.
#include "multi_tensor.cuh"

struct Sum {
    double value;
    __device__ void merge(const Sum& other) { value += other.value; }
};

// parts[b] = the sum of squares of block b's chunk. A thread adds 64 squares in acc_t, the block merges in double.
template <typename T> __global__ void square_sums(const unsigned long long* table, long long rows, double* parts) {
    acc_t<T> sum = 0;
    for_each_of_chunk<16 / sizeof(T), const T>(table, rows, [&](const T& x) { sum += load(x) * load(x); });
    __shared__ Sum shared[THREADS];
    const Sum total = merge_in_block(Sum{static_cast<double>(sum)}, shared, 1);
    if (threadIdx.x == 0) parts[blockIdx.x] = total.value;
}

// out = threshold / norm if norm > threshold, otherwise (also where it is NaN) 1; norm = sqrt(sum of the parts).
// One block: there is a part for each 16,384 elements.
template <typename P> __global__ void clip_scale(const P* parts, long long count, const double* threshold, double* out) {
    Sum sum{0};
    for (long long i = threadIdx.x; i < count; i += blockDim.x) sum.value += parts[i];
    __shared__ Sum shared[THREADS];
    const double norm = sqrt(merge_in_block(sum, shared, 1).value);
    if (threadIdx.x == 0) *out = norm > *threshold ? *threshold / norm : 1.;
}

// flags[row] = 1 if the row has an infinity or a NaN, the only numbers that are not 0 when multiplied by 0.
template <typename T> __global__ void find_not_finite(const unsigned long long* table, long long rows, int* flags) {
    bool found = false;
    for_each_of_chunk<16 / sizeof(T), const T>(table, rows, [&](const T& x) { found |= !(load(x) * 0 == 0); });
    if (found) flags[Chunk(table, rows, 1).of] = 1;  // whoever finds one writes the same
}
