// The parts of the engine for each other: memory, streams, launches. All of it under one lock.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>
#include "thread.h"

namespace engine {

// CUDA's error numbers, the same in driver and runtime.
enum Status {
    success = 0, invalid_value = 1, out_of_memory = 2, invalid_device = 101, invalid_image = 200,
    invalid_handle = 400, not_found = 500, not_ready = 600, illegal_address = 700, launch_failure = 719,
    not_supported = 801, capture_unsupported = 900, capture_invalidated = 901, capture_implicit = 906,
};

extern std::recursive_mutex lock;
using Locked = std::lock_guard<std::recursive_mutex>;

// ---- errors: a status goes back to the caller, what happened in words stays here until it is asked for
int error(int status, const std::string& message);
std::string take_message();
// After an illegal access the context is dead on a device. Here the next test may go on, unless this is set.
extern bool sticky;
extern int dead;

// ---- memory (memory.cpp)
struct Block {
    uintptr_t start;
    size_t size;
    int device;
    void* mapping;
    size_t mapped;
    bool poisoned;                 // not what was made under the null driver
    std::vector<uint64_t> shadow;  // of the race detector
};
extern thread_local int device;
extern int devices;
extern size_t total_memory;
size_t free_memory();
int allocate(size_t size, void** out);
int release(void* pointer);
Block* find_block(const void* address);
int allocate_pinned(size_t size, void** out);
int release_pinned(void* pointer);
void pin(void* pointer, size_t size);
void unpin(void* pointer);
bool is_pinned(const void* address);
void drop_released();  // once no stream has work that could use them
int check_range(const void* address, size_t size, const char* what);

// ---- streams (streams.cpp)
using Work = std::function<int()>;
using Handle = uintptr_t;
int submit(Handle stream, Work work, bool may_wait = false);
int synchronize(Handle stream);
int synchronize_device();
bool idle();  // no stream has work left
bool runs_at_once(Handle stream);  // work for this stream is not queued
int check_that_captures_allow(const char* what);

// ---- launches (launch.cpp)
int launch(const coc_kernel* kernel, const unsigned grid[3], const unsigned block[3], size_t dynamic, void** arguments);
int run_guarded(const Work& work);  // a fault in it is an error, as in a kernel
extern bool null_driver;
void count(const char* name);  // of a launch, or of a call of cuBLAS ("cublas")

// ---- the race detector (check.cpp)
void begin_checked_launch();
void end_checked_launch();
void new_block();
void block_barrier_passed();
void warp_barrier_passed(int warp);
const char* violation();  // what the access of the current thread did wrong, or null
struct Range { char *begin, *end; };
extern Range stack_in_use, static_shared, dynamic_shared;

}  // namespace engine
