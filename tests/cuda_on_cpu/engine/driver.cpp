// libcuda.so.1, as far as CuPy calls it: modules, launches, contexts. What stands for a module here is the text
// "COC\0" and the path of a shared object that program.py has compiled.
#include "engine.h"
#include <cstring>
#include <dlfcn.h>

using namespace engine;

namespace {
struct Module { void* library; };
struct Function { const coc_kernel* kernel; int dynamic_limit = 49152; };

struct Launch {
    const coc_kernel* kernel;
    unsigned grid[3], block[3];
    size_t dynamic;
    std::vector<char> values;  // of the arguments, one after another, 16 bytes apart or more

    int operator()() {
        std::vector<void*> pointers(kernel->count + 1);
        size_t offset = 0;
        for (int i = 0; i < kernel->count; i++) {
            pointers[i] = values.data() + offset;
            offset += (kernel->sizes[i] + 15) / 16 * 16;
        }
        return launch(kernel, grid, block, dynamic, pointers.data());
    }
};

// The driver's own message is asked for right after a failure, by the thread that met it.
thread_local std::string driver_message;
int remember(int status) {
    if (status) driver_message = take_message();
    return status;
}
}  // namespace

extern "C" {

int cuGetErrorName(int status, const char** out) {
    *out = status == illegal_address  ? "CUDA_ERROR_ILLEGAL_ADDRESS"
           : status == launch_failure ? "CUDA_ERROR_LAUNCH_FAILED"
           : status == not_found      ? "CUDA_ERROR_NOT_FOUND"
           : status == invalid_value  ? "CUDA_ERROR_INVALID_VALUE"
           : status == not_supported  ? "CUDA_ERROR_NOT_SUPPORTED"
           : status == capture_implicit ? "CUDA_ERROR_STREAM_CAPTURE_IMPLICIT"
                                      : "CUDA_ERROR_UNKNOWN";
    return 0;
}

int cuGetErrorString(int, const char** out) {
    *out = driver_message.empty() ? "no further message" : driver_message.c_str();
    return 0;
}

// There is one context.
int cuCtxGetCurrent(void** out) { *out = reinterpret_cast<void*>(1); return 0; }
int cuCtxSetCurrent(void*) { return 0; }
int cuCtxCreate_v2(void** out, unsigned, int) { *out = reinterpret_cast<void*>(1); return 0; }
int cuCtxDestroy_v2(void*) { return 0; }
int cuCtxGetDevice(int* out) { *out = device; return 0; }
int cuDevicePrimaryCtxRelease_v2(int) { return 0; }
int cuStreamGetCtx(void*, void** out) { *out = reinterpret_cast<void*>(1); return 0; }

// The linker of PTX has nothing to link here.
int cuLinkCreate_v2(...) { return not_supported; }
int cuLinkAddData_v2(...) { return not_supported; }
int cuLinkAddFile_v2(...) { return not_supported; }
int cuLinkComplete(...) { return not_supported; }
int cuLinkDestroy(...) { return not_supported; }
int cuLaunchCooperativeKernel(...) {
    driver_message = "barriers across the grid are not supported on the CPU";
    return not_supported;
}

int cuModuleLoadData(void** out, const void* image) {
    auto* text = static_cast<const char*>(image);
    if (memcmp(text, "COC", 4)) {
        driver_message = "this module was compiled for a device, not for the CPU";
        return invalid_image;
    }
    void* library = dlopen(text + 4, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        driver_message = dlerror();
        return invalid_image;
    }
    *out = new Module{library};
    return 0;
}

int cuModuleLoad(void**, const char*) {
    driver_message = "files of compiled modules cannot run on the CPU";
    return invalid_image;
}

int cuModuleUnload(void* module) {  // queued launches may still need the code: it stays loaded
    delete static_cast<Module*>(module);
    return 0;
}

int cuModuleGetFunction(void** out, void* module, const char* name) {
    auto symbol = std::string("coc_kernel_") + name;
    auto* kernel = static_cast<coc_kernel*>(dlsym(static_cast<Module*>(module)->library, symbol.c_str()));
    if (!kernel) {
        driver_message = std::string("no kernel ") + name + ": it has to be extern \"C\" or a name expression";
        return not_found;
    }
    *out = new Function{kernel};
    return 0;
}

int cuModuleGetGlobal_v2(void** out, size_t* size, void* module, const char* name) {
    void* library = static_cast<Module*>(module)->library;
    auto mangled = "_ZL" + std::to_string(strlen(name)) + name;
    *out = dlsym(library, name);
    if (!*out) {
        driver_message = std::string("no variable ") + name;
        return not_found;
    }
    *size = 0;
    return 0;
}

int cuLaunchKernel(void* function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned dynamic, void* stream, void** arguments, void**) {
    auto* f = static_cast<Function*>(function);
    count(f->kernel->name);
    if (null_driver) return success;
    if (int(dynamic) > f->dynamic_limit) {
        driver_message = "more dynamic shared memory than cuFuncSetAttribute has allowed";
        return invalid_value;
    }
    Locked hold(lock);
    if (dead) return dead;
    Launch record{f->kernel, {gx, gy, gz}, {bx, by, bz}, dynamic, {}};
    auto handle = reinterpret_cast<Handle>(stream);
    if (runs_at_once(handle)) return remember(launch(f->kernel, record.grid, record.block, dynamic, arguments));
    for (int i = 0; i < f->kernel->count; i++) {
        size_t size = f->kernel->sizes[i], offset = record.values.size();
        record.values.resize(offset + (size + 15) / 16 * 16);
        memcpy(record.values.data() + offset, arguments[i], size);
    }
    return remember(submit(handle, std::move(record)));
}

int cuFuncGetAttribute(int* out, int attribute, void* function) {
    enum { max_threads = 0, shared_size = 1, registers = 4, dynamic_limit = 8 };
    *out = attribute == max_threads     ? 1024
           : attribute == registers     ? 32
           : attribute == dynamic_limit ? static_cast<Function*>(function)->dynamic_limit
                                        : 0;
    return 0;
}

int cuFuncSetAttribute(void* function, int attribute, int value) {
    if (attribute != 8) return 0;
    if (value > 232448) return invalid_value;
    static_cast<Function*>(function)->dynamic_limit = value;
    return 0;
}

int cuOccupancyMaxActiveBlocksPerMultiprocessor(int* out, void*, int block, size_t) {
    *out = 2048 / block;
    return 0;
}

int cuOccupancyMaxPotentialBlockSize(int* grid, int* block, void*, void*, size_t, int) {
    *grid = 132;
    *block = 1024;
    return 0;
}
}
