// Streams, events, captures and graphs. Work runs at once, in the order of the calls; in a capture it is kept for the graph.
#include <algorithm>
#include <chrono>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "runtime.h"

using cuda_host::call;
using cuda_host::Work;

namespace {

struct Capture {
    cudaStream_t origin;
    cudaStreamCaptureMode mode;
    std::thread::id thread;
    bool valid = true;
    std::vector<Work> work;
};

using Clock = std::chrono::steady_clock;

} // namespace

struct CUstream_st {
    int device;
    bool blocking; // waits for, and is waited for by, the legacy stream
    std::shared_ptr<Capture> capture;
};

struct CUevent_st {
    int device;
    bool timed, recorded = false;
    Clock::time_point time{};
    std::shared_ptr<Capture> capture; // the one it was last recorded in
};

struct CUgraph_st {
    std::vector<Work> work;
};

struct CUgraphExec_st {
    std::vector<Work> work;
};

namespace {

template <class T>
std::set<T *> &live() { // never destroyed: other static objects may still release theirs
    static auto *const all = new std::set<T *>;
    return *all;
}

template <class T>
bool is_live(T *object) {
    return object && live<T>().count(object);
}

template <class T>
cudaError_t keep(T **place, T *object, size_t &count) {
    *place = object;
    live<T>().insert(object);
    ++count;
    return cudaSuccess;
}

template <class T>
cudaError_t discard(T *object, size_t &count) {
    if (!live<T>().erase(object)) return cudaErrorInvalidResourceHandle;
    --count;
    delete object;
    return cudaSuccess;
}

bool is_default(cudaStream_t stream) { return !stream || stream == cudaStreamLegacy || stream == cudaStreamPerThread; }
using cuda_host::is_stream;
Capture *capture_of(cudaStream_t stream) { return is_default(stream) ? nullptr : stream->capture.get(); }

// Spoils each capture that `refuses`; true if there was one.
template <class Refuses>
bool spoil_captures(Refuses refuses) {
    bool any = false;
    for (CUstream_st *stream : live<CUstream_st>())
        if (stream->capture && refuses(*stream)) stream->capture->valid = false, any = true;
    return any;
}

bool forbids_unsafe_calls(const Capture &capture) {
    const bool is_ours = capture.thread == std::this_thread::get_id();
    return capture.mode == cudaStreamCaptureModeGlobal || (is_ours && capture.mode == cudaStreamCaptureModeThreadLocal);
}

// A blocking stream and the legacy one wait for each other, which a graph cannot express.
cudaError_t refused_on_legacy_stream(cudaStream_t stream) {
    if (!is_default(stream) || stream == cudaStreamPerThread) return cudaSuccess;
    return spoil_captures([](const CUstream_st &s) { return s.blocking; }) ? cudaErrorStreamCaptureImplicit : cudaSuccess;
}

cudaError_t begin_capture(cudaStream_t stream, cudaStreamCaptureMode mode) {
    if (!is_stream(stream)) return cudaErrorInvalidResourceHandle;
    if (is_default(stream)) return cudaErrorStreamCaptureUnsupported;
    if (stream->capture) return cudaErrorIllegalState;
    stream->capture = std::make_shared<Capture>(Capture{stream, mode, std::this_thread::get_id(), true, {}});
    return cudaSuccess;
}

cudaError_t end_capture(cudaStream_t stream, cudaGraph_t *graph) {
    if (!graph || !is_stream(stream)) return cudaErrorInvalidValue;
    *graph = nullptr;
    Capture *const current = capture_of(stream);
    if (!current) return cudaErrorIllegalState;
    if (current->origin != stream) return cudaErrorStreamCaptureUnmatched;
    const std::shared_ptr<Capture> capture = stream->capture;
    if (capture->mode != cudaStreamCaptureModeRelaxed && capture->thread != std::this_thread::get_id())
        return cudaErrorStreamCaptureWrongThread;
    for (CUstream_st *other : live<CUstream_st>())
        if (other->capture == capture) other->capture.reset();
    if (!capture->valid || cuda_host::call_must_fail()) return cudaErrorStreamCaptureInvalidated;
    return keep(graph, new CUgraph_st{std::move(capture->work)}, cuda_host::totals().live_graphs);
}

cudaError_t create_event(cudaEvent_t *event, unsigned flags) {
    if (!event) return cudaErrorInvalidValue;
    auto *const object = new CUevent_st{cuda_host::current_device(), !(flags & cudaEventDisableTiming), false, {}, nullptr};
    return keep(event, object, cuda_host::totals().live_events);
}

cudaError_t create_stream(cudaStream_t *stream, unsigned flags) {
    if (!stream || flags & ~unsigned{cudaStreamNonBlocking}) return cudaErrorInvalidValue;
    auto *const object = new CUstream_st{cuda_host::current_device(), !(flags & cudaStreamNonBlocking), nullptr};
    return keep(stream, object, cuda_host::totals().live_streams);
}

cudaError_t record_event(cudaEvent_t event, cudaStream_t stream) {
    const cudaError_t error = cuda_host::may_enqueue(stream);
    if (error != cudaSuccess) return error;
    if (!is_live(event) || event->device != cuda_host::device_of(stream)) return cudaErrorInvalidResourceHandle;
    event->capture = is_default(stream) ? nullptr : stream->capture;
    event->recorded = !event->capture;
    event->time = Clock::now();
    return cudaSuccess;
}

// A stream that waits for an event of a capture joins it.
cudaError_t wait_event(cudaStream_t stream, cudaEvent_t event) {
    const cudaError_t error = cuda_host::may_enqueue(stream);
    if (error != cudaSuccess) return error;
    if (!is_live(event)) return cudaErrorInvalidResourceHandle;
    if (!event->capture || is_default(stream)) return cudaSuccess;
    if (stream->capture && stream->capture != event->capture) return cudaErrorStreamCaptureIsolation;
    stream->capture = event->capture;
    return cudaSuccess;
}

// Success, or why the host may not wait for this event.
cudaError_t check_event(cudaEvent_t event) {
    if (!is_live(event)) return cudaErrorInvalidResourceHandle;
    return event->capture ? cudaErrorCapturedEvent : cudaSuccess;
}

cudaError_t elapsed(float *milliseconds, cudaEvent_t start, cudaEvent_t end) {
    if (!milliseconds) return cudaErrorInvalidValue;
    if (!is_live(start) || !is_live(end)) return cudaErrorInvalidResourceHandle;
    if (!start->timed || !end->timed || !start->recorded || !end->recorded) return cudaErrorInvalidResourceHandle;
    *milliseconds = std::chrono::duration<float, std::milli>(end->time - start->time).count();
    return cudaSuccess;
}

} // namespace

namespace cuda_host {

cudaError_t refused_by_capture(unsigned traits) {
    bool refused = false;
    if (traits & conflicts) refused = spoil_captures([](const CUstream_st &) { return true; });
    if (traits & unsafe) refused |= spoil_captures([](const CUstream_st &s) { return forbids_unsafe_calls(*s.capture); });
    return refused ? cudaErrorStreamCaptureUnsupported : cudaSuccess;
}

bool is_stream(cudaStream_t stream) { return is_default(stream) || is_live(stream); }

cudaError_t may_enqueue(cudaStream_t stream) {
    if (!is_stream(stream)) return cudaErrorInvalidResourceHandle;
    const Capture *const capture = capture_of(stream);
    if (capture && !capture->valid) return cudaErrorStreamCaptureInvalidated;
    return refused_on_legacy_stream(stream);
}

int device_of(cudaStream_t stream) { return is_default(stream) ? current_device() : stream->device; }

bool is_capturing(cudaStream_t stream) { return is_stream(stream) && capture_of(stream); }

void enqueue(cudaStream_t stream, Work work) {
    if (Capture *const capture = capture_of(stream))
        capture->work.push_back(std::move(work));
    else
        work();
}

cudaError_t wait_for(cudaStream_t stream) {
    if (!is_stream(stream)) return cudaErrorInvalidResourceHandle;
    Capture *const capture = capture_of(stream);
    if (!capture) return refused_on_legacy_stream(stream);
    capture->valid = false;
    return cudaErrorStreamCaptureUnsupported;
}

} // namespace cuda_host

using cuda_host::plain;
using cuda_host::releases;
using cuda_host::synchronises;

cudaError_t cudaStreamCreate(cudaStream_t *stream) {
    return call("cudaStreamCreate", plain, [=] { return create_stream(stream, cudaStreamDefault); });
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags) {
    return call("cudaStreamCreateWithFlags", plain, [=] { return create_stream(stream, flags); });
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    return call("cudaStreamDestroy", releases, [=] { return discard(stream, cuda_host::totals().live_streams); });
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    return call("cudaStreamSynchronize", synchronises, [=] { return cuda_host::wait_for(stream); });
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
    return call("cudaStreamQuery", plain, [=] { return cuda_host::wait_for(stream); });
}

cudaError_t cudaDeviceSynchronize() {
    return call("cudaDeviceSynchronize", synchronises | cuda_host::conflicts, [] { return cudaSuccess; });
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus *status) {
    return call("cudaStreamIsCapturing", plain, [=] {
        if (!status || !is_stream(stream)) return cudaErrorInvalidValue;
        const cudaError_t refused = refused_on_legacy_stream(stream);
        if (refused != cudaSuccess) return refused;
        const Capture *const capture = capture_of(stream);
        *status = !capture         ? cudaStreamCaptureStatusNone
                  : capture->valid ? cudaStreamCaptureStatusActive
                                   : cudaStreamCaptureStatusInvalidated;
        return cudaSuccess;
    });
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
    return call("cudaStreamBeginCapture", plain, [=] { return begin_capture(stream, mode); });
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph) {
    return call("cudaStreamEndCapture", releases, [=] { return end_capture(stream, graph); });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
    return call("cudaStreamWaitEvent", plain, [=] { return wait_event(stream, event); });
}

cudaError_t cudaEventCreate(cudaEvent_t *event) {
    return call("cudaEventCreate", plain, [=] { return create_event(event, cudaEventDefault); });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags) {
    return call("cudaEventCreateWithFlags", plain, [=] { return create_event(event, flags); });
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
    return call("cudaEventDestroy", releases, [=] { return discard(event, cuda_host::totals().live_events); });
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    return call("cudaEventRecord", plain, [=] { return record_event(event, stream); });
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    return call("cudaEventSynchronize", synchronises, [=] { return check_event(event); });
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
    return call("cudaEventQuery", plain, [=] { return check_event(event); });
}

cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t start, cudaEvent_t end) {
    return call("cudaEventElapsedTime", plain, [=] { return elapsed(milliseconds, start, end); });
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long) {
    return call("cudaGraphInstantiate", plain, [=] {
        if (!exec || !is_live(graph)) return cudaErrorInvalidValue;
        return keep(exec, new CUgraphExec_st{graph->work}, cuda_host::totals().live_graphs);
    });
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
    return call("cudaGraphLaunch", plain, [=] {
        const cudaError_t error = cuda_host::may_enqueue(stream);
        if (error != cudaSuccess) return error;
        if (!is_live(exec)) return cudaErrorInvalidValue;
        for (const Work &work : exec->work) cuda_host::enqueue(stream, work);
        return cudaSuccess;
    });
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
    return call("cudaGraphExecDestroy", releases, [=] { return discard(exec, cuda_host::totals().live_graphs); });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    return call("cudaGraphDestroy", releases, [=] { return discard(graph, cuda_host::totals().live_graphs); });
}
