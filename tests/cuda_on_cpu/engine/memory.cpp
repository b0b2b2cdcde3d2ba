// "Device" memory: pages of their own for each allocation, pages that fault around it, and 0xCB in all that is fresh.
//
// An access behind the end faults at once, and one before the page of the beginning; a write to the few bytes between
// is found by their 0xCB when the block is released. A fresh value read as a float is large and odd, as an index far
// outside of everything, as a pointer invalid: what was not initialized does not look like a result.
#include "engine.h"
#include <sys/mman.h>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

namespace engine {

std::recursive_mutex lock;
thread_local int device = 0;
int devices = 2;
size_t total_memory = size_t(4) << 30;
bool sticky = false;
int dead = success;

namespace {
const size_t page = 4096;
const size_t guard = 64 << 10;  // before and behind: address space costs nothing
const int poison = 0xCB;
const size_t alignment = 16;  // of the widest access of a thread: what is left before the guard stays short
std::map<uintptr_t, Block> blocks;
std::map<uintptr_t, size_t> pinned;
std::vector<Block> released;
std::map<int, size_t> used;
std::string message;

void unmap(const Block& block) { munmap(block.mapping, block.mapped); }

// Whether the bytes around the block still are as they were when it was made.
bool surroundings_intact(const Block& block) {
    auto intact = [](const unsigned char* from, const unsigned char* to) {
        for (; from < to; from++)
            if (*from != poison) return false;
        return true;
    };
    auto* begin = static_cast<unsigned char*>(block.mapping) + guard;
    auto* end = static_cast<unsigned char*>(block.mapping) + block.mapped - guard;
    auto* start = reinterpret_cast<unsigned char*>(block.start);
    return intact(begin, start) && intact(start + block.size, end);
}
}  // namespace

int error(int status, const std::string& text) {
    message = text;
    if (sticky && (status == illegal_address || status == launch_failure)) dead = status;
    return status;
}

std::string take_message() {
    std::string text;
    std::swap(text, message);
    return text;
}

size_t free_memory() { return total_memory - std::min(total_memory, used[device]); }

int allocate(size_t size, void** out) {
    Locked hold(lock);
    if (dead) return dead;
    if (int status = check_that_captures_allow("allocating")) return status;
    if (size > free_memory() && !null_driver)  // under which nobody touches it: it takes address space only
        return error(out_of_memory, "out of memory: " + std::to_string(size) + " bytes asked for, "
                                        + std::to_string(free_memory()) + " free on device " + std::to_string(device));
    size_t usable = (size + page - 1) / page * page;
    size_t mapped = guard + usable + guard;
    char* mapping = static_cast<char*>(
        mmap(nullptr, mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    if (mapping == MAP_FAILED || mprotect(mapping + guard, usable, PROT_READ | PROT_WRITE))
        return error(out_of_memory, "the host is out of memory or of mappings");
    if (!null_driver) memset(mapping + guard, poison, usable);
    char* start = mapping + guard + (usable - size) / alignment * alignment;
    blocks[uintptr_t(start)] = Block{uintptr_t(start), size, device, mapping, mapped, !null_driver, {}};
    used[device] += size;
    *out = start;
    return success;
}

// Queued work may still use the block: as with CuPy's pool, and unlike cudaFree, nothing waits for it here. The pages
// go when all streams are idle.
int release(void* pointer) {
    Locked hold(lock);
    auto found = blocks.find(uintptr_t(pointer));
    if (found == blocks.end()) return pointer ? error(invalid_value, "free: not the start of an allocation") : success;
    Block block = std::move(found->second);
    blocks.erase(found);
    used[block.device] -= block.size;
    int status = success;
    if (block.poisoned && !surroundings_intact(block))
        status = error(illegal_address, "something wrote outside of an allocation of "
                                            + std::to_string(block.size) + " bytes, near its ends");
    released.push_back(std::move(block));
    if (idle()) drop_released();
    return status;
}

void drop_released() {
    for (auto& block : released) unmap(block);
    released.clear();
}

Block* find_block(const void* address) {
    auto after = blocks.upper_bound(uintptr_t(address));
    if (after == blocks.begin()) return nullptr;
    Block& block = std::prev(after)->second;
    return uintptr_t(address) < block.start + (block.size ? block.size : 1) ? &block : nullptr;
}

// Whether all of the range lies in one allocation, or in a module's own variables, which this file does not know of.
int check_range(const void* address, size_t size, const char* what) {
    Block* block = find_block(address);
    if (block && uintptr_t(address) + size > block->start + block->size)
        return error(invalid_value, std::string(what) + ": goes beyond the end of an allocation");
    return success;
}

int allocate_pinned(size_t size, void** out) {
    Locked hold(lock);
    if (int status = check_that_captures_allow("allocating pinned memory")) return status;
    *out = aligned_alloc(512, (size + 511) / 512 * 512 + 512);
    if (!*out) return error(out_of_memory, "the host is out of memory");
    memset(*out, poison, size);
    pinned[uintptr_t(*out)] = size;
    return success;
}

int release_pinned(void* pointer) {
    int status = synchronize_device();  // as cudaFreeHost does
    Locked hold(lock);
    if (pinned.erase(uintptr_t(pointer))) free(pointer);
    return status;
}

void pin(void* pointer, size_t size) {
    Locked hold(lock);
    pinned[uintptr_t(pointer)] = size;
}

void unpin(void* pointer) {
    synchronize_device();
    Locked hold(lock);
    pinned.erase(uintptr_t(pointer));
}

bool is_pinned(const void* address) {
    auto after = pinned.upper_bound(uintptr_t(address));
    if (after == pinned.begin()) return false;
    auto before = std::prev(after);
    return uintptr_t(address) < before->first + before->second;
}

}  // namespace engine
