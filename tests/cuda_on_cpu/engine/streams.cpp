// Streams whose work waits until something waits for it.
//
// A device runs what is queued at some time between the call and the next synchronization. Here it runs as late as that
// allows: what a stream was given runs when the stream, an event behind it, or the device is synchronized, when a
// blocking copy needs it, or when another stream that waits for its event runs. So a program that forgets to
// synchronize reads 0xCB, every time, instead of the right values most of the time.
//
// The legacy default stream (handle 0) is served at once, after the blocking streams, as CUDA orders them, and errors
// appear where they are made; asynchronous copies of pinned memory on it do wait. With `lazy_default` all of its work
// waits, too: then a non-blocking stream that uses its results without an event is found out.
//
// Work for a stream that is captured becomes steps of a graph. The thread that captures may not use the default stream
// meanwhile: a device would let it, if the captured stream is a non-blocking one, but what is launched there runs once,
// at once, on memory that only the graph fills.
#include "engine.h"
#include <deque>
#include <map>
#include <thread>
#include <ctime>
#include <cstdlib>
#include <cstring>

namespace engine {
namespace {

struct Graph { std::vector<Work> steps; };
enum Mode { global_mode, thread_mode, relaxed_mode };  // which calls a capture forbids: all unsafe ones, this thread's, none
struct Capture {
    Graph graph;
    bool valid = true;
    Handle origin;
    int mode;
    std::thread::id thread = std::this_thread::get_id();
};
struct Stream {
    bool blocking = true;
    std::deque<Work> queue;
    uint64_t issued = 0, finished = 0;
    std::shared_ptr<Capture> capture;
};
struct Event {
    Handle stream = 0;
    uint64_t position = 0;  // in the stream's work; 0 if never recorded
    double time = 0;
    std::shared_ptr<Capture> capture;
};

std::map<Handle, Stream> streams;  // of destroyed ones, what is left to do
std::map<Handle, Event> events;
std::map<Handle, std::shared_ptr<Graph>> graphs;
Handle next_handle = 0x1000;

double milliseconds() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e3 + t.tv_nsec * 1e-6;
}

bool is_default(Handle handle) { return handle <= 2; }  // 1: legacy, 2: per thread
Stream& stream_of(Handle handle) { return streams[is_default(handle) ? 0 : handle]; }

// Runs the work of a stream up to a position. A failure drops the rest, as a dead context would.
int run_until(Handle handle, uint64_t position) {
    Stream& stream = stream_of(handle);
    while (stream.finished < position && !stream.queue.empty()) {
        Work work = std::move(stream.queue.front());
        stream.queue.pop_front();
        int status = work();
        stream.finished++;
        if (status) {
            stream.finished += stream.queue.size();
            stream.queue.clear();
            return status;
        }
    }
    return success;
}

int run_all(Handle handle) { return run_until(handle, stream_of(handle).issued); }

// The legacy default stream waits for all blocking streams, and they for it.
int run_what_is_ordered_before(Handle handle) {
    if (!is_default(handle)) return stream_of(handle).blocking ? run_all(0) : success;
    for (auto& [other, stream] : streams) {
        if (is_default(other) || !stream.blocking || stream.queue.empty()) continue;
        if (int status = run_all(other)) return status;
    }
    return success;
}

bool other_capture_forbids(Handle handle) {
    if (!is_default(handle)) return false;
    for (auto& [other, stream] : streams)
        if (stream.capture && stream.blocking) return true;
    return false;
}

// The capture that this thread has begun, if there is one.
Capture* capture_of_this_thread() {
    for (auto& [handle, stream] : streams)
        if (stream.capture && stream.capture->thread == std::this_thread::get_id()) return stream.capture.get();
    return nullptr;
}

int spoil(Capture& capture, const char* what) {
    capture.valid = false;
    return error(capture_unsupported, std::string(what) + " is not permitted while the stream is captured");
}

}  // namespace

bool lazy_default = false;

bool idle() {
    for (auto& [handle, stream] : streams)
        if (!stream.queue.empty()) return false;
    return true;
}

bool runs_at_once(Handle handle) {
    if (!is_default(handle) || lazy_default) return false;
    for (auto& [other, stream] : streams)
        if (!stream.queue.empty() || stream.capture) return false;
    return true;
}

int submit(Handle handle, Work work, bool may_wait) {
    Locked hold(lock);
    if (dead) return dead;
    if (other_capture_forbids(handle))
        return error(capture_implicit, "work for the default stream while a blocking stream is captured");
    if (is_default(handle))
        if (Capture* capture = capture_of_this_thread()) return spoil(*capture, "work for the default stream");
    Stream& stream = stream_of(handle);
    if (stream.capture) {
        stream.capture->graph.steps.push_back(std::move(work));
        return success;
    }
    if (int status = run_what_is_ordered_before(handle)) return status;
    stream.queue.push_back(std::move(work));
    stream.issued++;
    return is_default(handle) && !lazy_default && !may_wait ? run_all(handle) : success;
}

int synchronize(Handle handle) {
    Locked hold(lock);
    if (dead) return dead;
    if (stream_of(handle).capture) return spoil(*stream_of(handle).capture, "synchronizing");
    if (is_default(handle))
        if (Capture* capture = capture_of_this_thread()) return spoil(*capture, "synchronizing the default stream");
    int status = run_what_is_ordered_before(handle);
    if (!status) status = run_all(handle);
    if (idle()) drop_released();
    return status;
}

int synchronize_device() {
    Locked hold(lock);
    if (dead) return dead;
    for (auto& [handle, stream] : streams)
        if (stream.capture) return spoil(*stream.capture, "synchronizing the device");
    for (auto& [handle, stream] : streams)
        if (int status = run_all(handle)) return status;
    drop_released();
    return success;
}

int check_that_captures_allow(const char* what) {
    for (auto& [handle, stream] : streams) {
        if (!stream.capture || stream.capture->mode == relaxed_mode) continue;
        if (stream.capture->mode == global_mode || stream.capture->thread == std::this_thread::get_id())
            return spoil(*stream.capture, what);
    }
    return success;
}

}  // namespace engine

using namespace engine;

// What runtime.cpp offers to CuPy.
extern "C" {

Handle coc_stream_create(unsigned flags) {
    Locked hold(lock);
    streams[next_handle].blocking = !(flags & 1);
    return next_handle++;
}

int coc_stream_destroy(Handle handle) {
    Locked hold(lock);
    if (!streams.count(handle) || streams[handle].queue.empty()) streams.erase(handle);
    return success;  // what is queued still runs when the device is synchronized
}

unsigned coc_stream_flags(Handle handle) { return stream_of(handle).blocking ? 0 : 1; }

// Asking makes progress, so that a program that polls gets to the end.
int coc_stream_query(Handle handle) {
    Locked hold(lock);
    Stream& stream = stream_of(handle);
    if (stream.capture) return spoil(*stream.capture, "a query");
    if (stream.finished == stream.issued) return success;
    if (int status = run_until(handle, stream.finished + 1)) return status;
    return not_ready;
}

Handle coc_event_create() {
    Locked hold(lock);
    events[next_handle];
    return next_handle++;
}

int coc_event_destroy(Handle handle) {
    Locked hold(lock);
    events.erase(handle);
    return success;
}

int coc_event_record(Handle handle, Handle stream) {
    Locked hold(lock);
    Event& event = events[handle];
    event.capture = stream_of(stream).capture;
    if (event.capture) return success;  // a captured event only orders the steps of the graph, which are in order
    int status = submit(stream, [handle] {
        if (events.count(handle)) events[handle].time = milliseconds();
        return int(success);
    });
    event.stream = stream;
    event.position = stream_of(stream).issued;
    return status;
}

int coc_event_synchronize(Handle handle) {
    Locked hold(lock);
    if (dead) return dead;
    Event event = events[handle];
    if (event.capture) return spoil(*event.capture, "synchronizing");
    return run_until(event.stream, event.position);
}

int coc_event_query(Handle handle) {
    Locked hold(lock);
    Event event = events[handle];
    Stream& stream = stream_of(event.stream);
    if (stream.finished >= event.position) return success;
    if (int status = run_until(event.stream, stream.finished + 1)) return status;
    return not_ready;
}

float coc_event_elapsed(Handle from, Handle to) { return float(events[to].time - events[from].time); }

int coc_stream_wait_event(Handle handle, Handle event_handle) {
    Locked hold(lock);
    Event event = events[event_handle];
    if (event.capture) {  // the stream joins the capture, to be joined again before its end
        stream_of(handle).capture = event.capture;
        return success;
    }
    if (!event.position) return success;
    return submit(handle, [event] { return run_until(event.stream, event.position); });
}

int coc_capture_begin(Handle handle, int mode) {
    Locked hold(lock);
    if (stream_of(handle).capture) return spoil(*stream_of(handle).capture, "another capture");
    if (is_default(handle)) return error(capture_unsupported, "the default stream cannot be captured");
    if (int status = run_all(handle)) return status;
    stream_of(handle).capture = std::make_shared<Capture>();
    stream_of(handle).capture->origin = handle;
    stream_of(handle).capture->mode = mode;
    return success;
}

int coc_capture_end(Handle handle, Handle* out) {
    Locked hold(lock);
    auto capture = stream_of(handle).capture;
    if (!capture || capture->origin != handle) return error(invalid_value, "the stream is not being captured");
    for (auto& [other, stream] : streams)
        if (stream.capture == capture) stream.capture = nullptr;
    if (!capture->valid) return error(capture_invalidated, "the capture was spoilt by an operation in it");
    graphs[next_handle] = std::make_shared<Graph>(std::move(capture->graph));
    *out = next_handle++;
    return success;
}

int coc_is_capturing(Handle handle) {
    auto& capture = stream_of(handle).capture;
    return !capture ? 0 : capture->valid ? 1 : 2;
}

int coc_graph_launch(Handle graph, Handle stream) {
    Locked hold(lock);
    if (!graphs.count(graph)) return error(invalid_value, "no such graph");
    count("graph");
    if (null_driver) return success;
    return submit(stream, [graph = graphs[graph]] {
        for (auto& step : graph->steps)
            if (int status = run_guarded(step)) return status;  // what it uses may have been freed since
        return int(success);
    });
}

void coc_graph_destroy(Handle graph) {
    Locked hold(lock);
    graphs.erase(graph);
}

void coc_set_lazy_default(int on) {
    synchronize_device();
    lazy_default = on;
}

void coc_set_sticky(int on) {
    Locked hold(lock);
    sticky = on;
    dead = success;
}
}
