// The race detector. With checks on, kernels are compiled with -fsanitize=thread, which makes the compiler announce
// every access to memory by a call; these are the functions that it calls, in place of the sanitizer's own library.
//
// Two accesses of a byte are a race if different threads make them, one of them writes, not both are atomic, and no
// barrier orders them: __syncthreads between threads of a block, a warp operation between lanes of a warp, the end of
// the launch between blocks. A block that has used an atomic counts as ordered after the blocks before it (the pattern
// where the last block to arrive sums up). An access outside of every allocation, of shared memory and of the thread's
// own stack is reported, too: also one that reads host memory, which a fault would not show.
#include "engine.h"
#include <cstdio>
#include <link.h>
#include <map>

namespace engine {
extern bool checking;

namespace {
// One word of shadow for the last write and one for the last read of each byte: who and when.
struct Stamp {
    uint64_t launch : 16, block : 20, thread : 10, phase : 10, warp_phase : 7, atomic : 1;
};
static_assert(sizeof(Stamp) == 8);
uint16_t launch_number = 0;
uint32_t block_number, phase, warp_phases[32];
bool block_is_ordered;  // after all blocks before it
std::vector<uint64_t> shared_shadow;
std::map<const void*, bool> module_memory;  // pages that belong to a loaded module

int is_module(dl_phdr_info* info, size_t, void* data) {
    auto address = uintptr_t(*static_cast<const void**>(data));
    for (int i = 0; i < info->dlpi_phnum; i++) {
        auto& part = info->dlpi_phdr[i];
        if (part.p_type == PT_LOAD && address - info->dlpi_addr - part.p_vaddr < part.p_memsz) return 1;
    }
    return 0;
}

bool belongs_to_module(const void* address) {
    const void* page = reinterpret_cast<const void*>(uintptr_t(address) & ~uintptr_t(4095));
    auto found = module_memory.find(page);
    if (found != module_memory.end()) return found->second;
    return module_memory[page] = dl_iterate_phdr(is_module, &address);
}

bool within(const Range& range, const void* address) { return address >= range.begin && address < range.end; }

bool race(const Stamp& old, const Stamp& now, bool shared) {
    if (!*reinterpret_cast<const uint64_t*>(&old) || old.launch != now.launch) return false;
    if (old.atomic && now.atomic) return false;
    if (old.block != now.block) return !shared && !block_is_ordered;
    if (old.thread == now.thread || old.phase != now.phase) return false;
    return old.thread / 32 != now.thread / 32 || old.warp_phase == now.warp_phase;
}

void access(const void* address, size_t size, bool write, bool atomic, const char* kind) {
    if (within(stack_in_use, address)) return;
    uint64_t* shadow;
    bool shared = true;
    auto* byte = static_cast<const char*>(address);
    size_t statics = static_shared.end - static_shared.begin;
    if (within(static_shared, address)) {
        shadow = &shared_shadow[2 * (byte - static_shared.begin)];
    } else if (within(dynamic_shared, address)) {
        if (byte + size > dynamic_shared.end) coc_fail("illegal memory access beyond the end of shared memory");
        shadow = &shared_shadow[2 * (statics + (byte - dynamic_shared.begin))];
    } else if (Block* block = find_block(address)) {
        shared = false;
        size_t offset = uintptr_t(address) - block->start;
        if (offset + size > block->size) coc_fail("illegal memory access beyond the end of an allocation");
        if (block->shadow.empty()) block->shadow.resize(2 * block->size);
        shadow = &block->shadow[2 * offset];
    } else if (is_pinned(address) || belongs_to_module(address)) {
        return;
    } else {
        coc_fail("illegal memory access outside of all device memory");
    }
    Stamp now{launch_number, block_number, uint64_t(coc_now.number), phase & 1023, warp_phases[coc_now.warp] & 127,
              atomic};
    for (size_t i = 0; i < size; i++, shadow += 2) {
        auto* stamps = reinterpret_cast<Stamp*>(shadow);
        if (race(stamps[0], now, shared) || (write && race(stamps[1], now, shared))) {
            char text[160];
            const Stamp& other = race(stamps[0], now, shared) ? stamps[0] : stamps[1];
            snprintf(text, sizeof text, "race: %s of %s memory that thread %d of block %d used since the last barrier",
                     kind, shared ? "shared" : "global", int(other.thread), int(other.block));
            coc_fail(text);
        }
        stamps[write ? 0 : 1] = now;
    }
}
}  // namespace

void begin_checked_launch() {
    launch_number = launch_number % 65535 + 1;  // never 0, which marks a byte that was not used
    block_number = 0;
    module_memory.clear();
    shared_shadow.assign(2 * (static_shared.end - static_shared.begin + dynamic_shared.end - dynamic_shared.begin), 0);
}

void end_checked_launch() {}

void new_block() {
    block_number = (block_number + 1) & 0xfffff;
    phase = 0;
    block_is_ordered = false;
    for (auto& warp : warp_phases) warp = 0;
}

void block_barrier_passed() { phase++; }
void warp_barrier_passed(int warp) { warp_phases[warp]++; }

}  // namespace engine

using namespace engine;

extern "C" {
void coc_atomic_access(const void* address, size_t size) {
    if (!checking) return;
    access(address, size, true, true, "an atomic access");
    block_is_ordered = true;
}

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
#define COC_ACCESS(SUFFIX, SIZE)                                                                     \
    void __tsan_read##SUFFIX(void* p) { if (checking) access(p, SIZE, false, false, "a read"); }     \
    void __tsan_write##SUFFIX(void* p) { if (checking) access(p, SIZE, true, false, "a write"); }    \
    void __tsan_volatile_read##SUFFIX(void* p) { __tsan_read##SUFFIX(p); }                           \
    void __tsan_volatile_write##SUFFIX(void* p) { __tsan_write##SUFFIX(p); }
COC_ACCESS(1, 1)
COC_ACCESS(2, 2)
COC_ACCESS(4, 4)
COC_ACCESS(8, 8)
COC_ACCESS(16, 16)
#define COC_UNALIGNED(SIZE)                                                                          \
    void __tsan_unaligned_read##SIZE(void* p) { if (checking) access(p, SIZE, false, false, "a read"); }   \
    void __tsan_unaligned_write##SIZE(void* p) { if (checking) access(p, SIZE, true, false, "a write"); }
COC_UNALIGNED(2)
COC_UNALIGNED(4)
COC_UNALIGNED(8)
COC_UNALIGNED(16)
void __tsan_read_range(void* p, size_t size) { if (checking) access(p, size, false, false, "a read"); }
void __tsan_write_range(void* p, size_t size) { if (checking) access(p, size, true, false, "a write"); }
}
