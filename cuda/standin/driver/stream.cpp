// Streams, events, copies and graphs: what is queued, when it is done, and what is recorded to be done again.
//
// A stream keeps what it was given, and does it when somebody waits for it: as late as a card may. So memory that is read,
// reused or freed too early, and streams that do not wait for each other, show. With `late` 0 all is done at once.
#include <chrono>

#include "state.h"

// A card's queue has an end too: whoever fills it waits.
static constexpr size_t QUEUE_MAX = 4096;

static double now_ms() {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::shared_ptr<Stream> stream_of(CUstream stream, uint32_t card) {
    // Null, and the names of the null stream and of the thread's own.
    if (reinterpret_cast<uintptr_t>(stream) <= 2) return state().null_streams[card];
    auto found = state().streams.find(stream);
    return found == state().streams.end() || found->second->card != card ? nullptr : found->second;
}

static CUresult copy(uint32_t card, const Operation& op) {
    const uint8_t* from = op.from ? op.from : op.staged->data();
    if (op.to_card && !holding(op.to, op.bytes)) return lose(card, CUDA_ERROR_ILLEGAL_ADDRESS, "a copy to memory that is not the card's any more");
    if (op.from_card && !holding(from, op.bytes)) return lose(card, CUDA_ERROR_ILLEGAL_ADDRESS, "a copy from memory that is not the card's any more");
    if ((op.from_pinned && !is_pinned(from, op.bytes)) || (op.to_pinned && !is_pinned(op.to, op.bytes)))
        return lose(card, CUDA_ERROR_ILLEGAL_ADDRESS, "pinned memory was freed before its copy was done");
    memmove(op.to, from, op.bytes);
    ++state().copy_count;
    return CUDA_SUCCESS;
}

static CUresult perform(uint32_t card, const Operation& op) {
    switch (op.kind) {
        case Kind::kernel: return launch(card, op);
        case Kind::copy: return copy(card, op);
        case Kind::set:
            if (!holding(op.to, op.bytes)) return lose(card, CUDA_ERROR_ILLEGAL_ADDRESS, "memory is set that is not the card's any more");
            for (size_t i = 0; i < op.bytes; i += op.value_bytes) memcpy(op.to + i, &op.value, op.value_bytes);
            return CUDA_SUCCESS;
        case Kind::record: op.event->done_ms = now_ms(); return CUDA_SUCCESS;
        case Kind::wait: return drain(op.other, op.other_at);
        case Kind::free:
            if (!release(op.to)) return lose(card, CUDA_ERROR_ILLEGAL_ADDRESS, "memory around an allocation was written");
            return CUDA_SUCCESS;
        case Kind::host: op.call(op.data); return CUDA_SUCCESS;
    }
    return CUDA_ERROR_INVALID_VALUE;
}

CUresult drain(const std::shared_ptr<Stream>& stream, uint64_t until) {
    while (stream->done < until && !stream->queue.empty()) {
        Operation op = std::move(stream->queue.front());
        stream->queue.pop_front();
        CUresult error = perform(stream->card, op);
        ++stream->done;
        if (error != CUDA_SUCCESS) return error;
    }
    return CUDA_SUCCESS;
}

CUresult drain_card(uint32_t card) {
    State& all = state();
    std::vector<std::shared_ptr<Stream>> mine{all.null_streams[card]};
    for (auto& [key, stream] : all.streams)
        if (stream->card == card) mine.push_back(stream);
    for (auto& stream : mine)
        if (CUresult error = drain(stream, stream->enqueued); error != CUDA_SUCCESS) return error;
    for (auto& [key, pool] : all.pools)
        if (pool->card == card) trim(*pool, pool->threshold);
    trim(*all.standard_pools[card], all.standard_pools[card]->threshold);
    return CUDA_SUCCESS;
}

CUresult enqueue(const std::shared_ptr<Stream>& stream, Operation operation) {
    if (stream->capture) {
        if (stream->capture_spoiled) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
        stream->capture->operations.push_back(std::move(operation));
        return CUDA_SUCCESS;
    }
    State& all = state();
    bool null = stream == all.null_streams[stream->card];
    // The null stream comes after all streams that are not apart, and they after it.
    if (null)
        for (auto& [key, other] : all.streams)
            if (other->card == stream->card && !other->apart)
                if (CUresult error = drain(other, other->enqueued); error != CUDA_SUCCESS) return error;
    if (!null && !stream->apart)
        if (CUresult error = drain(all.null_streams[stream->card], UINT64_MAX); error != CUDA_SUCCESS) return error;
    bool at_once = operation.kind == Kind::host || all.controls.late == 0 || stream->queue.size() >= QUEUE_MAX;
    stream->queue.push_back(std::move(operation));
    ++stream->enqueued;
    return at_once ? drain(stream, stream->enqueued) : CUDA_SUCCESS;
}

void forget_streams(uint32_t card) {
    State& all = state();
    all.null_streams[card] = std::make_shared<Stream>();
    all.null_streams[card]->card = card;
    for (auto at = all.streams.begin(); at != all.streams.end();) at = at->second->card == card ? all.streams.erase(at) : std::next(at);
    for (auto at = all.executables.begin(); at != all.executables.end();) at = at->second->card == card ? all.executables.erase(at) : std::next(at);
    // Events and graphs know no card until they are used; with one card they are all its own.
    if (all.contexts.size() == 1) all.events.clear(), all.graphs.clear();
}

API cuStreamCreate(CUstream* to, unsigned flags) {
    ENTER();
    auto stream = std::make_shared<Stream>();
    stream->card = enter.card;
    stream->apart = flags & 1;
    *to = stream.get();
    state().streams[stream.get()] = stream;
    return CUDA_SUCCESS;
}
API cuStreamCreateWithPriority(CUstream* to, unsigned flags, int) { return cuStreamCreate(to, flags); }
API cuStreamDestroy_v2(CUstream stream) {
    ENTER(Enter::allowed, Enter::late);
    if (!state().streams.count(stream)) return CUDA_ERROR_INVALID_HANDLE;
    auto kept = state().streams[stream];
    CUresult error = drain(kept, kept->enqueued);
    state().streams.erase(stream);
    return enter.after(error);
}
API cuStreamSynchronize(CUstream of) {
    ENTER(Enter::allowed, Enter::late);
    auto stream = stream_of(of, enter.card);
    if (!stream) return CUDA_ERROR_INVALID_HANDLE;
    if (stream->capture) return stream->capture_spoiled = true, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    if (CUresult error = drain(stream, stream->enqueued); error != CUDA_SUCCESS) return error;
    for (auto& [key, pool] : state().pools)
        if (pool->card == enter.card) trim(*pool, pool->threshold);
    trim(*state().standard_pools[enter.card], state().standard_pools[enter.card]->threshold);
    return enter.behind;
}
API cuStreamQuery(CUstream of) {
    ENTER();
    auto stream = stream_of(of, enter.card);
    if (!stream) return CUDA_ERROR_INVALID_HANDLE;
    if (stream->capture) return stream->capture_spoiled = true, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    if (stream->done == stream->enqueued) return CUDA_SUCCESS;
    // Whoever asks finds it at work; who asks again finds it done.
    if (CUresult error = drain(stream, stream->enqueued); error != CUDA_SUCCESS) return error;
    return CUDA_ERROR_NOT_READY;
}
API cuStreamWaitEvent(CUstream of, CUevent of_event, unsigned) {
    ENTER();
    auto stream = stream_of(of, enter.card);
    auto found = state().events.find(of_event);
    if (!stream || found == state().events.end()) return CUDA_ERROR_INVALID_HANDLE;
    const std::shared_ptr<Event>& event = found->second;
    if (!event->recorded) return CUDA_SUCCESS;
    if (event->stream && (event->stream->capture || stream->capture)) {
        if (event->stream == stream) return CUDA_SUCCESS;
        stream->capture_spoiled = event->stream->capture_spoiled = true;
        return CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
    }
    Operation operation(Kind::wait);
    operation.other = event->stream;
    operation.other_at = event->at;
    return enqueue(stream, std::move(operation));
}
API cuLaunchHostFunc(CUstream of, CUhostFn call, void* data) {
    ENTER();
    auto stream = stream_of(of, enter.card);
    if (!stream) return CUDA_ERROR_INVALID_HANDLE;
    Operation operation(Kind::host);
    operation.call = call;
    operation.data = data;
    return enqueue(stream, std::move(operation));
}

API cuEventCreate(CUevent* to, unsigned flags) {
    ENTER();
    auto event = std::make_shared<Event>();
    event->timed = !(flags & 2);
    *to = event.get();
    state().events[event.get()] = event;
    return CUDA_SUCCESS;
}
API cuEventDestroy_v2(CUevent event) {
    ENTER(Enter::allowed, Enter::late);
    return enter.after(state().events.erase(event) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE);
}
API cuEventRecord(CUevent of, CUstream to) {
    ENTER();
    auto stream = stream_of(to, enter.card);
    auto found = state().events.find(of);
    if (!stream || found == state().events.end()) return CUDA_ERROR_INVALID_HANDLE;
    Operation operation(Kind::record);
    operation.event = found->second;
    CUresult error = enqueue(stream, std::move(operation));
    found->second->recorded = true;
    found->second->stream = stream;
    found->second->at = stream->enqueued;
    return error;
}
API cuEventRecordWithFlags(CUevent of, CUstream to, unsigned) { return cuEventRecord(of, to); }
API cuEventQuery(CUevent of) {
    ENTER();
    auto found = state().events.find(of);
    if (found == state().events.end()) return CUDA_ERROR_INVALID_HANDLE;
    Event& event = *found->second;
    if (!event.recorded || event.stream->done >= event.at) return CUDA_SUCCESS;
    if (CUresult error = drain(event.stream, event.at); error != CUDA_SUCCESS) return error;
    return CUDA_ERROR_NOT_READY;
}
API cuEventSynchronize(CUevent of) {
    ENTER(Enter::allowed, Enter::late);
    auto found = state().events.find(of);
    if (found == state().events.end()) return CUDA_ERROR_INVALID_HANDLE;
    auto event = found->second;
    return enter.after(event->recorded ? drain(event->stream, event->at) : CUDA_SUCCESS);
}
API cuEventElapsedTime_v2(float* ms, CUevent from, CUevent to) {
    ENTER();
    auto first = state().events.find(from), last = state().events.find(to);
    if (first == state().events.end() || last == state().events.end()) return CUDA_ERROR_INVALID_HANDLE;
    for (const auto& at : {first, last}) {
        const Event& event = *at->second;
        if (!event.timed || !event.recorded) return CUDA_ERROR_INVALID_HANDLE;
        if (event.stream->done < event.at) return CUDA_ERROR_NOT_READY;
    }
    *ms = static_cast<float>(last->second->done_ms - first->second->done_ms);
    return CUDA_SUCCESS;
}
API cuEventElapsedTime(float* ms, CUevent from, CUevent to) { return cuEventElapsedTime_v2(ms, from, to); }

// A copy of `bytes`; `wait`: it is done when the call returns.
static CUresult copy_call(const char* function, Operation operation, CUstream of, bool wait) {
    ENTER_AS(function);
    auto stream = stream_of(of, enter.card);
    if (!stream) return CUDA_ERROR_INVALID_HANDLE;
    if (operation.bytes == 0) return CUDA_SUCCESS;
    if (wait && stream->capture) return stream->capture_spoiled = true, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    if (operation.to_card && !holding(operation.to, operation.bytes)) return CUDA_ERROR_INVALID_VALUE;
    if (operation.from_card && !holding(operation.from, operation.bytes)) return CUDA_ERROR_INVALID_VALUE;
    if (!operation.from_card) {
        operation.from_pinned = is_pinned(operation.from, operation.bytes);
        // Of memory that is not pinned the driver takes a copy before the call returns; a graph reads it every time.
        if (!operation.from_pinned && !stream->capture && !wait) {
            operation.staged = std::make_shared<std::vector<uint8_t>>(operation.from, operation.from + operation.bytes);
            operation.from = nullptr;
        }
    }
    if (!operation.to_card) {
        operation.to_pinned = is_pinned(operation.to, operation.bytes);
        // To memory that is not pinned the call waits.
        wait = wait || (!operation.to_pinned && !stream->capture);
    }
    CUresult error = enqueue(stream, std::move(operation));
    return error == CUDA_SUCCESS && wait ? drain(stream, stream->enqueued) : error;
}
static Operation copy_of(void* to, bool to_card, const void* from, bool from_card, size_t bytes) {
    Operation operation(Kind::copy);
    operation.to = static_cast<uint8_t*>(to);
    operation.from = static_cast<const uint8_t*>(from);
    operation.to_card = to_card;
    operation.from_card = from_card;
    operation.bytes = bytes;
    return operation;
}
static void* address(CUdeviceptr at) { return reinterpret_cast<void*>(at); }

API cuMemcpyHtoD_v2(CUdeviceptr to, const void* from, size_t bytes) { return copy_call(__func__, copy_of(address(to), true, from, false, bytes), nullptr, true); }
API cuMemcpyDtoH_v2(void* to, CUdeviceptr from, size_t bytes) { return copy_call(__func__, copy_of(to, false, address(from), true, bytes), nullptr, true); }
API cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes) { return copy_call(__func__, copy_of(address(to), true, address(from), true, bytes), nullptr, false); }
API cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void* from, size_t bytes, CUstream stream) { return copy_call(__func__, copy_of(address(to), true, from, false, bytes), stream, false); }
API cuMemcpyDtoHAsync_v2(void* to, CUdeviceptr from, size_t bytes, CUstream stream) { return copy_call(__func__, copy_of(to, false, address(from), true, bytes), stream, false); }
API cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) { return copy_call(__func__, copy_of(address(to), true, address(from), true, bytes), stream, false); }

static CUresult set_call(const char* function, CUdeviceptr to, uint32_t value, uint32_t value_bytes, size_t count, CUstream of, bool wait) {
    ENTER_AS(function);
    auto stream = stream_of(of, enter.card);
    if (!stream) return CUDA_ERROR_INVALID_HANDLE;
    Operation operation(Kind::set);
    operation.to = reinterpret_cast<uint8_t*>(to);
    operation.bytes = count * value_bytes;
    operation.value = value;
    operation.value_bytes = value_bytes;
    if (count == 0) return CUDA_SUCCESS;
    if (to % value_bytes != 0 || !holding(operation.to, operation.bytes)) return CUDA_ERROR_INVALID_VALUE;
    CUresult error = enqueue(stream, std::move(operation));
    return error == CUDA_SUCCESS && wait ? drain(stream, stream->enqueued) : error;
}
API cuMemsetD8_v2(CUdeviceptr to, unsigned char value, size_t count) { return set_call(__func__, to, value, 1, count, nullptr, true); }
API cuMemsetD32_v2(CUdeviceptr to, unsigned value, size_t count) { return set_call(__func__, to, value, 4, count, nullptr, true); }
API cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t count, CUstream stream) { return set_call(__func__, to, value, 1, count, stream, false); }
API cuMemsetD16Async(CUdeviceptr to, unsigned short value, size_t count, CUstream stream) { return set_call(__func__, to, value, 2, count, stream, false); }
API cuMemsetD32Async(CUdeviceptr to, unsigned value, size_t count, CUstream stream) { return set_call(__func__, to, value, 4, count, stream, false); }

API cuStreamBeginCapture_v2(CUstream of, int) {
    ENTER();
    auto stream = stream_of(of, enter.card);
    if (!stream) return CUDA_ERROR_INVALID_HANDLE;
    if (stream == state().null_streams[enter.card]) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    if (stream->capture) return CUDA_ERROR_ILLEGAL_STATE;
    stream->capture = std::make_unique<Graph>();
    stream->capture_spoiled = false;
    return CUDA_SUCCESS;
}
API cuStreamEndCapture(CUstream of, CUgraph* to) {
    ENTER(Enter::allowed, Enter::late);
    *to = nullptr;
    auto stream = stream_of(of, enter.card);
    if (!stream) return CUDA_ERROR_INVALID_HANDLE;
    if (!stream->capture) return CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
    std::unique_ptr<Graph> graph = std::move(stream->capture);
    if (stream->capture_spoiled) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    if (enter.behind != CUDA_SUCCESS) return enter.behind;
    *to = graph.get();
    state().graphs[graph.get()] = std::move(graph);
    return CUDA_SUCCESS;
}
API cuStreamIsCapturing(CUstream of, int* status) {
    ENTER();
    auto stream = stream_of(of, enter.card);
    if (!stream) return CUDA_ERROR_INVALID_HANDLE;
    *status = !stream->capture ? 0 : stream->capture_spoiled ? 2 : 1;
    return CUDA_SUCCESS;
}
API cuThreadExchangeStreamCaptureMode(int*) { return CUDA_SUCCESS; }
API cuGraphDestroy(CUgraph graph) {
    ENTER(Enter::allowed, Enter::late);
    return enter.after(state().graphs.erase(graph) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE);
}
API cuGraphGetNodes(CUgraph graph, void** nodes, size_t* count) {
    ENTER();
    auto found = state().graphs.find(graph);
    if (found == state().graphs.end() || nodes != nullptr) return CUDA_ERROR_INVALID_VALUE;
    *count = found->second->operations.size();
    return CUDA_SUCCESS;
}
API cuGraphInstantiateWithFlags(CUgraphExec* to, CUgraph graph, unsigned long long) {
    ENTER();
    auto found = state().graphs.find(graph);
    if (found == state().graphs.end()) return CUDA_ERROR_INVALID_HANDLE;
    auto made = std::make_unique<Executable>();
    made->card = enter.card;
    made->operations = found->second->operations;
    *to = made.get();
    state().executables[made.get()] = std::move(made);
    return CUDA_SUCCESS;
}
API cuGraphExecDestroy(CUgraphExec executable) {
    ENTER(Enter::allowed, Enter::late);
    return enter.after(state().executables.erase(executable) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE);
}
API cuGraphUpload(CUgraphExec executable, CUstream) {
    ENTER();
    return state().executables.count(executable) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}
API cuGraphLaunch(CUgraphExec executable, CUstream of) {
    ENTER();
    auto stream = stream_of(of, enter.card);
    auto found = state().executables.find(executable);
    if (!stream || found == state().executables.end()) return CUDA_ERROR_INVALID_HANDLE;
    if (stream->capture) return stream->capture_spoiled = true, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    ++state().replay_count;
    for (const Operation& operation : found->second->operations)
        if (CUresult error = enqueue(stream, operation); error != CUDA_SUCCESS) return error;
    return CUDA_SUCCESS;
}
