// Runs the threads of a launch one after another on the CPU.
//
// Threads that may wait for each other get a stack each (a fiber) and run until they meet at a barrier or a warp
// operation; the blocks follow one another. The order of the threads is forward, reverse or shuffled (anew at each
// barrier): a result that depends on it depends on luck on a device. Shared memory holds 0xCB when a block begins.
#include "engine.h"
#include <csetjmp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <algorithm>
#include <map>
#include <link.h>
#include <sys/mman.h>

coc_thread coc_now;
extern "C" void* __tls_get_addr(size_t*);

namespace engine {

bool null_driver = false;
bool checking = false;
Range stack_in_use, static_shared, dynamic_shared;

namespace {

const size_t stack_size = 256 << 10;
const size_t page = 4096;
enum State { ready, at_block, at_warp, done };

struct Fiber {
    State state;
    void* stack_pointer;
    char* stack = nullptr;
    coc_index index;
    int number;
    const void* site;            // of the barrier where it waits
    int vote_operation, vote;
    unsigned mask;               // what it waits for in its warp
    const void* in;
    void* out;
    size_t size;
    int source;
    unsigned group;              // the answer
};

enum Order { forward, reverse, shuffled };
Order order = forward;
uint32_t random_state = 1;

std::vector<Fiber> fibers;
std::vector<int> sequence;        // of thread numbers, in the order in which they run
Fiber* current = nullptr;
void* scheduler_stack_pointer;
coc_body body;
void** arguments;
std::vector<char> dynamic_buffer;

sigjmp_buf way_out;
volatile bool running = false;
std::string failure;

extern "C" void coc_switch(void** save, void* to);
#if defined(__x86_64__)
asm(R"(
.text
.globl coc_switch
.hidden coc_switch
.type coc_switch,@function
coc_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size coc_switch,.-coc_switch
)");
#else
#error "coc_switch is written for x86-64 only: add one that saves this processor's callee-saved registers"
#endif

std::string where() {
    char text[160];
    snprintf(text, sizeof text, " in block (%u, %u, %u), thread (%u, %u, %u)", coc_now.block.x, coc_now.block.y,
             coc_now.block.z, coc_now.index.x, coc_now.index.y, coc_now.index.z);
    return text;
}

[[noreturn]] void leave(const std::string& what) {
    failure = what;
    siglongjmp(way_out, 1);
}

// ---- faults

struct sigaction before[NSIG];

void on_signal(int number, siginfo_t* info, void*) {
    if (!running) {  // not ours: whoever was there first, when the instruction runs again
        sigaction(number, &before[number], nullptr);
        return;
    }
    char address[64];
    snprintf(address, sizeof address, " at %p", info->si_addr);
    leave(number == SIGFPE   ? "integer division by zero" + where()
          : number == SIGILL ? "trap" + where()
                             : std::string("illegal memory access") + address + where());
}

void catch_faults() {
    static thread_local bool has_stack = false;
    if (!has_stack) {  // a handler needs a stack of its own: that of the fiber may be what overflowed
        stack_t stack{};
        if (sigaltstack(nullptr, &stack) || stack.ss_flags & SS_DISABLE) {
            stack.ss_sp = malloc(65536);
            stack.ss_size = 65536;
            stack.ss_flags = 0;
            sigaltstack(&stack, nullptr);
        }
        has_stack = true;
    }
    for (int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) {
        struct sigaction action{};
        action.sa_sigaction = on_signal;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
        struct sigaction found;
        sigaction(number, &action, &found);
        if (found.sa_sigaction != on_signal) before[number] = found;
    }
}

// ---- shared memory: thread-local variables of the module, so that templates and inline functions may declare it

struct Search { const void* address; char* begin; size_t size; };

int find_module(dl_phdr_info* info, size_t, void* data) {
    auto* search = static_cast<Search*>(data);
    bool inside = false;
    size_t tls = 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        auto& part = info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + part.p_vaddr;
        if (part.p_type == PT_LOAD && uintptr_t(search->address) - start < part.p_memsz) inside = true;
        if (part.p_type == PT_TLS) tls = part.p_memsz;
    }
    if (!inside) return 0;
    if (tls) {
        size_t index[2] = {info->dlpi_tls_modid, 0};
        search->begin = static_cast<char*>(__tls_get_addr(index));
        search->size = tls;
    }
    return 1;
}

Range shared_of(const coc_kernel* kernel) {
    static thread_local std::map<const coc_kernel*, Range> known;
    auto found = known.find(kernel);
    if (found != known.end()) return found->second;
    Search search{kernel, nullptr, 0};
    dl_iterate_phdr(find_module, &search);
    return known[kernel] = {search.begin, search.begin + search.size};
}

// ---- fibers

void enter(Fiber& fiber) {
    coc_now.index = fiber.index;
    coc_now.number = fiber.number;
    coc_now.lane = fiber.number & 31;
    coc_now.warp = fiber.number >> 5;
    stack_in_use = {fiber.stack, fiber.stack + stack_size};
    current = &fiber;
    coc_switch(&scheduler_stack_pointer, fiber.stack_pointer);
    current = nullptr;
}

void wait() {
    if (!current) leave("a kernel that was taken for one without barriers has one: __syncthreads or a warp operation "
                        "must appear in its own source or in a file that it includes by \"name\"");
    coc_switch(&current->stack_pointer, scheduler_stack_pointer);
}

void first_frame() {
    body(arguments);
    current->state = done;
    wait();
    abort();
}

void begin(Fiber& fiber) {
    if (!fiber.stack) {
        fiber.stack = static_cast<char*>(mmap(nullptr, stack_size, PROT_READ | PROT_WRITE,
                                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
        mprotect(fiber.stack, page, PROT_NONE);
    }
    void** top = reinterpret_cast<void**>(fiber.stack + stack_size);
    *--top = nullptr;  // where a return address would be: it aligns the stack as the calling convention has it
    *--top = reinterpret_cast<void*>(first_frame);
    for (int i = 0; i < 6; i++) *--top = nullptr;  // the registers that coc_switch restores
    fiber.stack_pointer = top;
    fiber.state = ready;
}

uint32_t random_below(uint32_t n) {
    random_state = random_state * 1664525u + 1013904223u;
    return uint32_t(uint64_t(random_state >> 8) * n >> 24);
}

void shuffle() {
    for (size_t i = sequence.size() - 1; i > 0; i--) std::swap(sequence[i], sequence[random_below(i + 1)]);
}

// ---- what threads wait for

// A warp operation is complete when all lanes of its mask that still run have come to it.
bool release_warp(int warp) {
    bool released = false;
    Fiber* lanes = &fibers[warp * 32];
    int n = std::min(32, coc_now.threads - warp * 32);
    unsigned alive = 0, waiting = 0;
    for (int i = 0; i < n; i++) {
        alive |= unsigned(lanes[i].state != done) << i;
        waiting |= unsigned(lanes[i].state == at_warp) << i;
    }
    while (waiting) {
        Fiber& first = lanes[__builtin_ctz(waiting)];
        unsigned group = first.mask & alive;
        bool complete = (group & waiting) == group;
        for (int i = 0; i < n && complete; i++)
            if (group >> i & 1) complete = lanes[i].mask == first.mask;
        if (!complete) {
            waiting &= waiting - 1;
            continue;
        }
        for (int i = 0; i < n; i++) {
            if (!(group >> i & 1)) continue;
            Fiber& fiber = lanes[i];
            if (fiber.size != first.size) leave("lanes of one warp meet in different warp operations (block "
                                                + std::to_string(coc_now.block.x) + ", ...)");
            char* out = static_cast<char*>(fiber.out);
            auto fetch = [&](int lane, char* to) {
                if (lane < n && group >> lane & 1) memcpy(to, lanes[lane].in, fiber.size);
                else memset(to, 0xCB, fiber.size);  // of a lane that does not take part: undefined
            };
            if (fiber.source >= 0) fetch(fiber.source, out);
            else if (fiber.size)
                for (int lane = 0; lane < 32; lane++) fetch(lane, out + lane * fiber.size);
        }
        for (int i = 0; i < n; i++) {
            if (!(group >> i & 1)) continue;
            lanes[i].group = group;
            lanes[i].state = ready;
        }
        if (checking) warp_barrier_passed(warp);
        waiting &= ~group;
        released = true;
    }
    return released;
}

bool release_block(int alive) {
    Fiber* first = nullptr;
    int waiting = 0, votes[3] = {0, 1, 0};
    for (auto& fiber : fibers) {
        if (fiber.number >= coc_now.threads || fiber.state != at_block) continue;
        waiting++;
        if (!first) first = &fiber;
        if (fiber.site != first->site)
            leave("barrier divergence: threads of one block wait at different barriers (block "
                  + std::to_string(coc_now.block.x) + ", threads " + std::to_string(first->number) + " and "
                  + std::to_string(fiber.number) + ")");
        votes[0] += fiber.vote != 0;
        votes[1] &= fiber.vote != 0;
        votes[2] |= fiber.vote != 0;
    }
    if (!waiting || waiting < alive) return false;
    for (int i = 0; i < coc_now.threads; i++) {
        if (fibers[i].state != at_block) continue;
        fibers[i].vote = votes[fibers[i].vote_operation];
        fibers[i].state = ready;
    }
    if (checking) block_barrier_passed();
    return true;
}

void run_block_of_fibers() {
    int n = coc_now.threads, alive = n;
    auto size = coc_now.block_size;
    for (int i = 0; i < n; i++) {
        fibers[i].number = i;
        fibers[i].index = {i % size.x, i / size.x % size.y, i / (size.x * size.y)};
        begin(fibers[i]);
    }
    while (alive) {
        if (order == shuffled) shuffle();
        for (int i : sequence) {
            if (fibers[i].state != ready) continue;
            enter(fibers[i]);
            if (fibers[i].state == done) alive--;
        }
        bool released = false;
        for (int warp = 0; warp * 32 < n; warp++) released |= release_warp(warp);
        if (!released && alive && !release_block(alive)) {
            int at_barrier = 0;
            for (int i = 0; i < n; i++) at_barrier += fibers[i].state == at_block;
            leave("barrier divergence: " + std::to_string(at_barrier) + " threads wait at __syncthreads, "
                  + std::to_string(alive - at_barrier) + " at a warp operation, for each other (block "
                  + std::to_string(coc_now.block.x) + ")");
        }
    }
}

void run_block_of_calls() {
    auto size = coc_now.block_size;
    if (order == shuffled) shuffle();
    for (int i : sequence) {
        coc_now.index = {i % size.x, i / size.x % size.y, i / (size.x * size.y)};
        coc_now.number = i;
        coc_now.lane = i & 31;
        coc_now.warp = i >> 5;
        body(arguments);
    }
}

std::map<const char*, long> counts;  // of launches, for budgets; kernels keep the addresses of their names

}  // namespace

void count(const char* name) {
    Locked hold(lock);
    counts[name]++;
}

int launch(const coc_kernel* kernel, const unsigned grid[3], const unsigned block[3], size_t dynamic, void** pointers) {
    Locked hold(lock);
    size_t threads = size_t(block[0]) * block[1] * block[2];
    uint64_t blocks = uint64_t(grid[0]) * grid[1] * grid[2];
    Range shared = shared_of(kernel);
    std::string name = kernel->name;
    if (!threads || threads > 1024 || block[2] > 64)
        return error(invalid_value, name + ": a block of " + std::to_string(threads) + " threads");
    if (!blocks || grid[0] > 0x7fffffff || grid[1] > 65535 || grid[2] > 65535)
        return error(invalid_value, name + ": a grid of " + std::to_string(blocks) + " blocks");
    if (dynamic + (shared.end - shared.begin) > 227 * 1024)
        return error(invalid_value, name + ": more shared memory than a block can have");

    body = kernel->body;
    arguments = pointers;
    coc_now.block_size = {block[0], block[1], block[2]};
    coc_now.grid_size = {grid[0], grid[1], grid[2]};
    coc_now.threads = int(threads);
    if (dynamic_buffer.size() < dynamic + 256) dynamic_buffer.resize(dynamic + 256);
    char* aligned = reinterpret_cast<char*>((uintptr_t(dynamic_buffer.data()) + 127) & ~uintptr_t(127));
    coc_now.dynamic_shared = aligned;
    static_shared = shared;
    dynamic_shared = {aligned, aligned + dynamic};
    if (fibers.size() < threads && kernel->meets) fibers.resize(threads);
    for (size_t i = threads; i < fibers.size(); i++) fibers[i].number = int(i);
    sequence.resize(threads);
    for (size_t i = 0; i < threads; i++) sequence[i] = int(order == reverse ? threads - 1 - i : i);

    catch_faults();
    if (checking) begin_checked_launch();
    char here;
    stack_in_use = {&here - (8 << 20), &here + (1 << 16)};
    if (sigsetjmp(way_out, 1)) {
        running = false;
        current = nullptr;
        if (checking) end_checked_launch();
        bool memory = failure.find("memory access") != failure.npos;
        return error(memory ? illegal_address : launch_failure, name + ": " + failure);
    }
    running = true;
    // Blocks in shuffled order: a step that has no common divisor with their number visits each of them once.
    uint64_t step = 1;
    if (order == shuffled)
        for (step = blocks / 2 + 1; std::__gcd(step, blocks) != 1;) step++;
    for (uint64_t i = 0; i < blocks; i++) {
        uint64_t b = order == reverse ? blocks - 1 - i : i * step % blocks;
        coc_now.block = {unsigned(b % grid[0]), unsigned(b / grid[0] % grid[1]), unsigned(b / grid[0] / grid[1])};
        memset(aligned, 0xCB, dynamic);
        if (shared.begin) memset(shared.begin, 0xCB, shared.end - shared.begin);
        if (checking) new_block();
        kernel->meets ? run_block_of_fibers() : run_block_of_calls();
    }
    running = false;
    if (checking) end_checked_launch();
    return success;
}

int run_guarded(const Work& work) {
    Locked hold(lock);
    catch_faults();
    if (sigsetjmp(way_out, 1)) {
        running = false;
        return error(illegal_address, "a copy or product in a graph: " + failure);
    }
    running = true;
    int status = work();
    running = false;
    return status;
}

}  // namespace engine

using namespace engine;

extern "C" {

void coc_block_barrier(const void* site) {
    if (current) {
        current->site = site;
        current->state = at_block;
        current->vote = 0;
        current->vote_operation = 0;
    }
    wait();
}

int coc_block_vote(int operation, int value, const void* site) {
    if (current) {
        current->site = site;
        current->state = at_block;
        current->vote = value;
        current->vote_operation = operation;
    }
    Fiber* self = current;
    wait();
    return self->vote;
}

unsigned coc_warp_exchange(unsigned mask, const void* in, void* out, size_t size, int source) {
    if (!(mask >> coc_now.lane & 1)) leave("a warp operation by a lane that its mask does not name" + where());
    Fiber* self = current;
    if (self) {
        self->mask = mask;
        self->in = in;
        self->out = out;
        self->size = size;
        self->source = source;
        self->state = at_warp;
    }
    wait();
    return self->group;
}

void coc_fail(const char* message) { leave(message + where()); }

void coc_set_order(int number, unsigned seed) {
    Locked hold(lock);
    order = Order(number);
    random_state = seed;
}

void coc_set_null_driver(int on) {
    Locked hold(lock);
    null_driver = on;
}

// "name count\n..." of all launches since the last call.
const char* coc_take_counts() {
    Locked hold(lock);
    static std::string text;
    text.clear();
    for (auto& [name, number] : counts) text += std::string(name) + " " + std::to_string(number) + "\n";
    counts.clear();
    return text.c_str();
}

void coc_set_checking(int on) {
    Locked hold(lock);
    checking = on;
}
}
