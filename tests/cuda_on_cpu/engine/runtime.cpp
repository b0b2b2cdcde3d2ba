// What CuPy takes from the CUDA runtime.
//
// CuPy's module cupy_backends.cuda.api.runtime has the runtime linked in and hands its functions to CuPy's other
// modules as capsules, named by their signatures. __init__.py replaces these capsules by ones with the functions below;
// a signature that this CuPy does not have stops it there.
//
// Python.h is not needed for the few functions of the interpreter that are called, so that Python's own headers need
// not be installed.
#include "engine.h"
#include <cstring>

extern "C" {
struct PyObject;
extern PyObject _Py_NoneStruct;
void Py_IncRef(PyObject*);
void Py_DecRef(PyObject*);
void* PyEval_SaveThread();
void PyEval_RestoreThread(void*);
int PyGILState_Ensure();
void PyGILState_Release(int);
PyObject* PyObject_CallFunction(PyObject*, const char*, ...);
PyObject* PyObject_Str(PyObject*);
int PyObject_SetAttrString(PyObject*, const char*, PyObject*);
PyObject* PyUnicode_FromFormat(const char*, ...);
PyObject* Py_BuildValue(const char*, ...);
PyObject* PyLong_FromLong(long);
void PyErr_SetObject(PyObject*, PyObject*);
void PyErr_WriteUnraisable(PyObject*);

using engine::Handle;
Handle coc_stream_create(unsigned);
int coc_stream_destroy(Handle);
unsigned coc_stream_flags(Handle);
int coc_stream_query(Handle);
Handle coc_event_create();
int coc_event_destroy(Handle);
int coc_event_record(Handle, Handle);
int coc_event_synchronize(Handle);
int coc_event_query(Handle);
float coc_event_elapsed(Handle, Handle);
int coc_stream_wait_event(Handle, Handle);
int coc_capture_begin(Handle, int);
int coc_capture_end(Handle, Handle*);
int coc_is_capturing(Handle);
int coc_graph_launch(Handle, Handle);
void coc_graph_destroy(Handle);
}

using namespace engine;

namespace {

typedef PyObject* Object;
typedef intptr_t Pointer;
enum Kind { host_to_host, host_to_device, device_to_host, device_to_device, by_address };

Object error_class, device_properties, attributes_class;

Object none() {
    Py_IncRef(&_Py_NoneStruct);
    return &_Py_NoneStruct;
}

Object failed(int status) {
    Object exception = PyObject_CallFunction(error_class, "i", status);
    if (!exception) return nullptr;
    std::string message = take_message();
    if (!message.empty()) {
        Object text = PyObject_Str(exception);
        Object args = Py_BuildValue("(N)", PyUnicode_FromFormat("%S: %s", text, message.c_str()));
        PyObject_SetAttrString(exception, "args", args);
        Py_DecRef(args);
        Py_DecRef(text);
    }
    PyErr_SetObject(error_class, exception);
    Py_DecRef(exception);
    return nullptr;
}

Object result(int status) { return status ? failed(status) : none(); }

// Kernels of other threads may hold the engine's lock, and callbacks among them wait for the interpreter's: whoever
// waits for the one must not hold the other.
template <class F> auto without_interpreter(F f) {
    void* state = PyEval_SaveThread();
    auto value = f();
    PyEval_RestoreThread(state);
    return value;
}
template <class F> Object run(F f) { return result(without_interpreter(f)); }

template <class F> Pointer new_pointer(F allocate) {
    void* pointer = nullptr;
    if (int status = without_interpreter([&] { return allocate(&pointer); })) return failed(status), 0;
    return Pointer(pointer);
}

// ---- copies

bool on_device(Pointer pointer) {
    Locked hold(lock);
    return find_block(reinterpret_cast<void*>(pointer));
}

struct Copy {
    char *to, *from;
    size_t to_pitch, from_pitch, width, height;
    int operator()() const {
        for (size_t i = 0; i < height; i++) memmove(to + i * to_pitch, from + i * from_pitch, width);
        return success;
    }
};

int check(const Copy& copy) {
    if (!copy.width || !copy.height) return success;
    Locked hold(lock);
    int status = check_range(copy.to, copy.to_pitch * (copy.height - 1) + copy.width, "copy: destination");
    return status ? status
                  : check_range(copy.from, copy.from_pitch * (copy.height - 1) + copy.width, "copy: source");
}

int copy_now(const Copy& copy) {
    if (int status = check(copy)) return status;
    int status = submit(0, copy);
    return status ? status : synchronize(0);
}

// Pageable host memory is read before the call returns, and written before it returns, as on a device; pinned memory
// when the stream comes to it.
int copy_later(const Copy& copy, int kind, Handle stream) {
    if (int status = check(copy)) return status;
    if (null_driver && on_device(Pointer(copy.to)) && on_device(Pointer(copy.from))) return success;
    bool to_host = kind == by_address ? !on_device(Pointer(copy.to)) : kind == device_to_host;
    bool from_host = kind == by_address ? !on_device(Pointer(copy.from)) : kind == host_to_device;
    bool pinned;
    {
        Locked hold(lock);
        pinned = (!to_host || is_pinned(copy.to)) && (!from_host || is_pinned(copy.from));
    }
    if (pinned) return submit(stream, copy, to_host || from_host);
    if (coc_is_capturing(stream)) return error(capture_unsupported, "a copy of pageable host memory");
    if (to_host) {
        int status = submit(stream, copy);
        return status ? status : synchronize(stream);
    }
    std::vector<char> staged(copy.width * copy.height);
    Copy{staged.data(), copy.from, copy.width, copy.from_pitch, copy.width, copy.height}();
    return submit(stream, [copy, staged = std::move(staged)]() mutable {
        return Copy{copy.to, staged.data(), copy.to_pitch, copy.width, copy.width, copy.height}();
    });
}

Copy flat(Pointer to, Pointer from, size_t size) {
    return {reinterpret_cast<char*>(to), reinterpret_cast<char*>(from), size, size, size, 1};
}

Copy plane(Pointer to, size_t to_pitch, Pointer from, size_t from_pitch, size_t width, size_t height) {
    return {reinterpret_cast<char*>(to), reinterpret_cast<char*>(from), to_pitch, from_pitch, width, height};
}

int fill(Pointer pointer, int value, size_t size, Handle stream) {
    void* to = reinterpret_cast<void*>(pointer);
    {
        Locked hold(lock);
        if (int status = check_range(to, size, "memset")) return status;
    }
    if (null_driver) return success;
    return submit(stream, [=] {
        memset(to, value, size);
        return int(success);
    });
}

int call_later(Handle stream, Object callback, std::function<Object()> call) {
    Py_IncRef(callback);
    return without_interpreter([&] {
        return submit(stream, [=] {
            int state = PyGILState_Ensure();
            Object value = call();
            if (value) Py_DecRef(value);
            else PyErr_WriteUnraisable(callback);
            Py_DecRef(callback);
            PyGILState_Release(state);
            return int(success);
        }, true);
    });
}

// ---- the functions: the last int of each is Cython's own

// devices
Object get_device_properties(int, int) { Py_IncRef(device_properties); return device_properties; }
int get_device(int) { return device; }
int get_device_count(int) { return devices; }
Object set_device(int number, int) {
    if (number < 0 || number >= devices) return failed(error(invalid_device, "there is no such device"));
    device = number;
    return none();
}
int version(int) { return 13020; }
int major_version(int) { return 13; }
int get_attribute(int attribute, int, int) {
    switch (attribute) {
        case 1: return 1024;      // threads per block
        case 8: return 49152;     // shared memory per block
        case 10: return 32;       // warp size
        case 16: return 132;      // multiprocessors
        case 39: return 2048;     // threads per multiprocessor
        case 75: return 9;        // compute capability: 9.0
        case 97: return 232448;   // shared memory per block, when asked for
        default: return 0;
    }
}
int can_access_peer(int, int, int) { return 1; }
Object nothing() { return none(); }
Object nothing_of_int(int, int) { return none(); }
Object check_status(int status, int) { return result(status); }
Object synchronize_all(int) { return run(synchronize_device); }
Object profiler(int) { return none(); }
Object memory_info(int) { return Py_BuildValue("(nn)", Pointer(free_memory()), Pointer(total_memory)); }
size_t get_limit(int, int) { return 1024; }
Object set_limit(int, size_t, int) { return none(); }
Object bus_id(int number, int) { return PyUnicode_FromFormat("0000:%02d:00.0", number); }

// memory
Pointer allocate_(size_t size, int) { return new_pointer([=](void** p) { return allocate(size, p); }); }
Pointer allocate_managed(size_t size, int, void*) { return allocate_(size, 0); }
Pointer allocate_async(size_t size, Pointer, int) { return allocate_(size, 0); }
Pointer allocate_from_pool(size_t size, Pointer, Pointer, int) { return allocate_(size, 0); }
Object release_(Pointer p, int) { return run([=] { return release(reinterpret_cast<void*>(p)); }); }
Object release_async(Pointer p, Pointer, int) { return release_(p, 0); }
Pointer allocate_host(size_t size, unsigned, int) {
    return new_pointer([=](void** p) { return allocate_pinned(size, p); });
}
Object release_host(Pointer p, int) { return run([=] { return release_pinned(reinterpret_cast<void*>(p)); }); }
Object register_host(Pointer p, size_t size, unsigned, int) { pin(reinterpret_cast<void*>(p), size); return none(); }
Object unregister_host(Pointer p, int) {
    return run([=] { return unpin(reinterpret_cast<void*>(p)), int(success); });
}
Pointer default_pool(int, int) { return 0x77; }
int memory_type(Pointer p, int) { return on_device(p) ? 2 : 0; }
Object pointer_attributes(Pointer p, int) {
    Locked hold(lock);
    Block* block = find_block(reinterpret_cast<void*>(p));
    return block ? PyObject_CallFunction(attributes_class, "inni", block->device, p, Pointer(0), 2)
                 : PyObject_CallFunction(attributes_class, "inni", -2, p, p, 0);
}

Object copy(Pointer to, Pointer from, size_t size, int, int) {
    return run([=] { return copy_now(flat(to, from, size)); });
}
Object copy_async(Pointer to, Pointer from, size_t size, int kind, Pointer stream, int) {
    return run([=] { return copy_later(flat(to, from, size), kind, stream); });
}
Object copy_peer(Pointer to, int, Pointer from, int, size_t size, int) {
    return run([=] { return copy_now(flat(to, from, size)); });
}
Object copy_peer_async(Pointer to, int, Pointer from, int, size_t size, Pointer stream, int) {
    return run([=] { return copy_later(flat(to, from, size), device_to_device, stream); });
}
Object copy_2d(Pointer to, size_t to_pitch, Pointer from, size_t from_pitch, size_t width, size_t height, int, int) {
    return run([=] { return copy_now(plane(to, to_pitch, from, from_pitch, width, height)); });
}
Object copy_2d_async(Pointer to, size_t to_pitch, Pointer from, size_t from_pitch, size_t width, size_t height,
                     int kind, Pointer stream, int) {
    return run([=] { return copy_later(plane(to, to_pitch, from, from_pitch, width, height), kind, stream); });
}
Object fill_(Pointer p, int value, size_t size, int) { return run([=] { return fill(p, value, size, 0); }); }
Object fill_async(Pointer p, int value, size_t size, Pointer stream, int) {
    return run([=] { return fill(p, value, size, stream); });
}

// streams, events, graphs
Pointer stream_create(int) { return Pointer(coc_stream_create(0)); }
Pointer stream_create_flags(unsigned flags, int) { return Pointer(coc_stream_create(flags)); }
Pointer stream_create_priority(unsigned flags, int, int) { return Pointer(coc_stream_create(flags)); }
unsigned stream_flags(Pointer stream, int) { return coc_stream_flags(stream); }
int stream_priority(Pointer, int) { return 0; }
Object stream_destroy(Pointer stream, int) { return run([=] { return coc_stream_destroy(stream); }); }
Object stream_synchronize(Pointer stream, int) { return run([=] { return synchronize(stream); }); }
Object answer(int status) {
    return status == success || status == not_ready ? PyLong_FromLong(status) : failed(status);
}
Object stream_query(Pointer stream, int) {
    return answer(without_interpreter([=] { return coc_stream_query(stream); }));
}
Object stream_wait_event(Pointer stream, Pointer event, int, void*) {
    return run([=] { return coc_stream_wait_event(stream, event); });
}
Object host_function(Pointer stream, Object callback, Pointer argument, int) {
    return result(call_later(stream, callback, [=] { return PyObject_CallFunction(callback, "n", argument); }));
}
Object stream_callback(Pointer stream, Object callback, Pointer argument, int, void*) {
    return result(call_later(stream, callback,
                             [=] { return PyObject_CallFunction(callback, "nin", stream, 0, argument); }));
}
Pointer event_create(int) { return Pointer(coc_event_create()); }
Pointer event_create_flags(unsigned, int) { return Pointer(coc_event_create()); }
Object event_destroy(Pointer event, int) { return run([=] { return coc_event_destroy(event); }); }
Object event_record(Pointer event, Pointer stream, int) { return run([=] { return coc_event_record(event, stream); }); }
Object event_synchronize(Pointer event, int) { return run([=] { return coc_event_synchronize(event); }); }
Object event_query(Pointer event, int) {
    return answer(without_interpreter([=] { return coc_event_query(event); }));
}
float event_elapsed(Pointer from, Pointer to, int) { return coc_event_elapsed(from, to); }

struct CaptureOptions { int given, mode; };  // as Cython passes arguments that have defaults
Object capture_begin(Pointer stream, int, CaptureOptions* options) {
    int mode = options && options->given ? options->mode : 2;  // CuPy's default: relaxed
    return run([=] { return coc_capture_begin(stream, mode); });
}
Pointer capture_end(Pointer stream, int) {
    Handle graph = 0;
    if (int status = without_interpreter([&] { return coc_capture_end(stream, &graph); })) return failed(status), 0;
    return Pointer(graph);
}
int is_capturing(Pointer stream, int) { return coc_is_capturing(stream); }
Pointer graph_instantiate(Pointer graph, int) { return graph; }
Object graph_launch(Pointer graph, Pointer stream, int) { return run([=] { return coc_graph_launch(graph, stream); }); }
Object graph_upload(Pointer, Pointer, int) { return none(); }
Object graph_destroy(Pointer, int) { return none(); }  // the executable graph is the same object and lives on
Object graph_exec_destroy(Pointer graph, int) { coc_graph_destroy(graph); return none(); }

struct Entry { const char *name, *result, *parameters, *options; void* function; };
#define F(name) reinterpret_cast<void*>(name)
const char *object = "PyObject *", *pointer = "intptr_t", *integer = "int";
const Entry entries[] = {
    {"getDeviceProperties", object, "int", "", F(get_device_properties)},
    {"getDevice", integer, "", "", F(get_device)},
    {"getDeviceCount", integer, "", "", F(get_device_count)},
    {"setDevice", object, "int", "", F(set_device)},
    {"driverGetVersion", integer, "", "", F(version)},
    {"runtimeGetVersion", integer, "", "", F(version)},
    {"_getCUDAMajorVersion", integer, "", "", F(major_version)},
    {"deviceGetAttribute", integer, "int, int", "", F(get_attribute)},
    {"deviceCanAccessPeer", integer, "int, int", "", F(can_access_peer)},
    {"deviceEnablePeerAccess", object, "int", "", F(nothing_of_int)},
    {"_deviceEnsurePeerAccess", object, "int", "", F(nothing_of_int)},
    {"_ensure_context", object, nullptr, "", F(nothing)},
    {"check_status", object, "int", "", F(check_status)},
    {"deviceSynchronize", object, "", "", F(synchronize_all)},
    {"profilerStart", object, "", "", F(profiler)},
    {"profilerStop", object, "", "", F(profiler)},
    {"memGetInfo", object, "", "", F(memory_info)},
    {"deviceGetLimit", "size_t", "int", "", F(get_limit)},
    {"deviceSetLimit", object, "int, size_t", "", F(set_limit)},
    {"deviceGetPCIBusId", object, "int", "", F(bus_id)},
    {"malloc", pointer, "size_t", "", F(allocate_)},
    {"mallocManaged", pointer, "size_t", "mallocManaged", F(allocate_managed)},
    {"mallocAsync", pointer, "size_t, intptr_t", "", F(allocate_async)},
    {"mallocFromPoolAsync", pointer, "size_t, intptr_t, intptr_t", "", F(allocate_from_pool)},
    {"free", object, "intptr_t", "", F(release_)},
    {"freeAsync", object, "intptr_t, intptr_t", "", F(release_async)},
    {"hostAlloc", pointer, "size_t, unsigned int", "", F(allocate_host)},
    {"freeHost", object, "intptr_t", "", F(release_host)},
    {"hostRegister", object, "intptr_t, size_t, unsigned int", "", F(register_host)},
    {"hostUnregister", object, "intptr_t", "", F(unregister_host)},
    {"deviceGetDefaultMemPool", pointer, "int", "", F(default_pool)},
    {"deviceGetMemPool", pointer, "int", "", F(default_pool)},
    {"pointerGetMemoryType", integer, "intptr_t", "", F(memory_type)},
    {"pointerGetAttributes", "struct __pyx_obj_13cupy_backends_4cuda_3api_7runtime_PointerAttributes *", "intptr_t",
     "", F(pointer_attributes)},
    {"memcpy", object, "intptr_t, intptr_t, size_t, int", "", F(copy)},
    {"memcpyAsync", object, "intptr_t, intptr_t, size_t, int, intptr_t", "", F(copy_async)},
    {"memcpyPeer", object, "intptr_t, int, intptr_t, int, size_t", "", F(copy_peer)},
    {"memcpyPeerAsync", object, "intptr_t, int, intptr_t, int, size_t, intptr_t", "", F(copy_peer_async)},
    {"memcpy2D", object, "intptr_t, size_t, intptr_t, size_t, size_t, size_t, cudaMemcpyKind", "", F(copy_2d)},
    {"memcpy2DAsync", object, "intptr_t, size_t, intptr_t, size_t, size_t, size_t, cudaMemcpyKind, intptr_t", "",
     F(copy_2d_async)},
    {"memset", object, "intptr_t, int, size_t", "", F(fill_)},
    {"memsetAsync", object, "intptr_t, int, size_t, intptr_t", "", F(fill_async)},
    {"streamCreate", pointer, "", "", F(stream_create)},
    {"streamCreateWithFlags", pointer, "unsigned int", "", F(stream_create_flags)},
    {"streamCreateWithPriority", pointer, "unsigned int, int", "", F(stream_create_priority)},
    {"streamGetFlags", "unsigned int", "intptr_t", "", F(stream_flags)},
    {"streamGetPriority", integer, "intptr_t", "", F(stream_priority)},
    {"streamDestroy", object, "intptr_t", "", F(stream_destroy)},
    {"streamSynchronize", object, "intptr_t", "", F(stream_synchronize)},
    {"streamQuery", object, "intptr_t", "", F(stream_query)},
    {"streamWaitEvent", object, "intptr_t, intptr_t", "streamWaitEvent", F(stream_wait_event)},
    {"launchHostFunc", object, "intptr_t, PyObject *, intptr_t", "", F(host_function)},
    {"streamAddCallback", object, "intptr_t, PyObject *, intptr_t", "streamAddCallback", F(stream_callback)},
    {"eventCreate", pointer, "", "", F(event_create)},
    {"eventCreateWithFlags", pointer, "unsigned int", "", F(event_create_flags)},
    {"eventDestroy", object, "intptr_t", "", F(event_destroy)},
    {"eventRecord", object, "intptr_t, intptr_t", "", F(event_record)},
    {"eventSynchronize", object, "intptr_t", "", F(event_synchronize)},
    {"eventQuery", object, "intptr_t", "", F(event_query)},
    {"eventElapsedTime", "float", "intptr_t, intptr_t", "", F(event_elapsed)},
    {"streamBeginCapture", object, "intptr_t", "streamBeginCapture", F(capture_begin)},
    {"streamEndCapture", pointer, "intptr_t", "", F(capture_end)},
    {"streamIsCapturing", integer, "intptr_t", "", F(is_capturing)},
    {"graphInstantiate", pointer, "intptr_t", "", F(graph_instantiate)},
    {"graphLaunch", object, "intptr_t, intptr_t", "", F(graph_launch)},
    {"graphUpload", object, "intptr_t, intptr_t", "", F(graph_upload)},
    {"graphDestroy", object, "intptr_t", "", F(graph_destroy)},
    {"graphExecDestroy", object, "intptr_t", "", F(graph_exec_destroy)},
};
}  // namespace

extern "C" {

// Sets the classes that the functions above raise and return.
void coc_runtime_begin(Object error, Object properties, Object attributes) {
    for (Object object : {error, properties, attributes}) Py_IncRef(object);
    error_class = error;
    device_properties = properties;
    attributes_class = attributes;
}

// Entry number i: its name and the signature as Cython writes it; null after the last one.
void* coc_runtime_entry(int i, const char** name, const char** signature) {
    if (i >= int(sizeof entries / sizeof *entries)) return nullptr;
    const Entry& entry = entries[i];
    static std::vector<std::string> texts(sizeof entries / sizeof *entries);
    std::string& text = texts[i];
    text = std::string(entry.result) + (entry.result[strlen(entry.result) - 1] == '*' ? "(" : " (");
    if (!entry.parameters) text += "void";  // a cdef function, without Cython's own parameter
    else text += std::string(entry.parameters) + (*entry.parameters ? ", " : "") + "int __pyx_skip_dispatch";
    if (*entry.options)
        text += std::string(", struct __pyx_opt_args_13cupy_backends_4cuda_3api_7runtime_") + entry.options
                + " *__pyx_optional_args";
    text += ")";
    *name = entry.name;
    *signature = text.c_str();
    return entry.function;
}

void coc_configure(int number_of_devices, size_t memory) {
    devices = number_of_devices;
    total_memory = memory;
}
}
