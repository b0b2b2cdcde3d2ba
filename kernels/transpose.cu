// Stacks of matrices turned: y (stack, columns, pitch) from x (stack, rows, columns), rows <= pitch, with zeros behind.
//
// So arrays (n, c, *dims) become channels last, and the filters of a convolution what its transpose multiplies with.
// T is an unsigned integer of the size of the elements. Launch: a block of 32 x 8 threads for each tile of 32 x 32, which
// passes through shared memory so that both sides are read and written along rows; 33 in a row, so that the elements of
// a column lie in different banks.
#include "common.cuh"

constexpr int TILE = 32;

template <typename T, typename I>
__global__ void turn(const T* __restrict__ x, T* __restrict__ y, I rows, I columns, I pitch) {
    __shared__ T tile[TILE][TILE + 1];
    const I across = (columns + TILE - 1) / TILE, down = (pitch + TILE - 1) / TILE;
    const I stack = blockIdx.x / (across * down);
    const I row0 = blockIdx.x / across % down * TILE, column0 = blockIdx.x % across * TILE;
    for (int i = threadIdx.y; i < TILE; i += blockDim.y) {
        const I row = row0 + i, column = column0 + threadIdx.x;
        const bool there = row < rows && column < columns;
        tile[i][threadIdx.x] = there ? x[(stack * rows + row) * columns + column] : T(0);
    }
    __syncthreads();
    for (int i = threadIdx.y; i < TILE; i += blockDim.y) {
        const I row = column0 + i, column = row0 + threadIdx.x;
        if (row < columns && column < pitch) y[(stack * columns + row) * pitch + column] = tile[threadIdx.x][i];
    }
}

// The same where rows are few, at most PITCH: a thread for each column, count of them in all stacks, which reads along
// rows beside its neighbours and writes its PITCH elements, up to 16 bytes, at once.
template <typename T, typename I, int PITCH>
__global__ void interleave(const T* __restrict__ x, T* __restrict__ y, I rows, I columns, I count) {
    GRID_STRIDE_LOOP(I, i, count) {
        const T* from = x + i / columns * rows * columns + i % columns;
        Pack<T, PITCH> all;
#pragma unroll
        for (int row = 0; row < PITCH; ++row) all.at[row] = row < rows ? from[row * columns] : T(0);
        reinterpret_cast<Pack<T, PITCH>*>(y)[i] = all;
    }
}
