// What a kernel compiled for the CPU and the engine that runs it know of each other.
#pragma once
#include <cstddef>
#include <cstdint>

struct coc_index { unsigned x, y, z; };

// The thread that runs now. One global serves: the engine lets one launch run at a time.
struct coc_thread {
    coc_index index, block, block_size, grid_size;
    int number;       // in the block, as warps count
    int lane, warp;
    int threads;      // in the block
    char* dynamic_shared;
};

// A compiled kernel: `body` runs one thread of it on pointers to the arguments.
typedef void (*coc_body)(void** arguments);
struct coc_kernel {
    const char* name;
    coc_body body;
    int meets;        // whether its threads may wait for each other, so that each needs a stack of its own
    int count;        // of arguments
    const unsigned* sizes;
};

extern "C" {
extern coc_thread coc_now;

// All threads of the block wait here; `site` tells one __syncthreads() of the source from another.
void coc_block_barrier(const void* site);
// The same, and a count (0), a conjunction (1) or a disjunction (2) of all values.
int coc_block_vote(int operation, int value, const void* site);
// The threads of the warp that `mask` names wait here and exchange `size` bytes each: `out` receives those of the lane
// `source`, or with source -1 those of all 32 lanes one after another. Returns the lanes that took part.
unsigned coc_warp_exchange(unsigned mask, const void* in, void* out, size_t size, int source);
// Ends the launch with an error.
[[noreturn]] void coc_fail(const char* message);
// Tells the race detector of an atomic access.
void coc_atomic_access(const void* address, size_t size);
}
