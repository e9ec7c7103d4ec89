// Cards and contexts: what there is, what it can do, and whether it still works.
#include <cstdio>
#include <cstring>

#include "state.h"

static thread_local Context* current = nullptr;

Context* current_context() { return current; }

CUresult failing(const char* function) {
    State& all = state();
    std::lock_guard<std::recursive_mutex> guard(all.lock);
    ++all.calls[function];
    if (all.failing.call == 0 || all.failing.function != function || --all.failing.call != 0) return CUDA_SUCCESS;
    return all.failing.code;
}
#define MAY_FAIL()                                                             \
    if (CUresult failed = failing(__func__); failed != CUDA_SUCCESS) return failed

Enter::Enter(const char* function, Capture capture, Fails fails)
    : guard(state().lock), error(CUDA_SUCCESS), behind(CUDA_SUCCESS), card(0) {
    State& all = state();
    (fails == late ? behind : error) = failing(function);
    if (error != CUDA_SUCCESS) return;
    if (!all.initialised) {
        error = CUDA_ERROR_NOT_INITIALIZED;
    } else if (current == nullptr || current->references == 0) {
        error = CUDA_ERROR_INVALID_CONTEXT;
    } else {
        card = current->card;
        error = current->lost;
    }
    if (error != CUDA_SUCCESS || capture == allowed) return;
    for (auto& [key, stream] : all.streams) {
        if (stream->card != card || !stream->capture) continue;
        stream->capture_spoiled = true;
        error = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    }
}

CUresult lose(uint32_t card, CUresult code, const std::string& why) {
    State& all = state();
    all.fault = why;
    fprintf(stderr, "stand-in: card %u is lost with %u: %s\n", card, code, why.c_str());
    if (card < all.contexts.size()) all.contexts[card]->lost = code;
    if (all.controls.lose_for_good != 0) all.controls.refuse_card = card + 1;
    return code;
}

emulator::Model model(uint32_t card) {
    const Controls& controls = state().controls;
    bool other = card != 0 && controls.other_capability != 0;
    uint32_t capability = static_cast<uint32_t>(other ? controls.other_capability : controls.capability);
    // CUDA programming guide, "Technical specifications per compute capability": the most of a block.
    size_t kib = capability < 80 ? 64 : capability == 80 || capability == 87 ? 163 : capability < 90 ? 99 : capability < 120 ? 227 : 99;
    return {capability, kib << 10};
}

API cuInit(unsigned) {
    MAY_FAIL();
    std::lock_guard<std::recursive_mutex> guard(state().lock);
    State& all = state();
    if (all.controls.cards == 0) return CUDA_ERROR_NO_DEVICE;
    if (all.initialised) return CUDA_SUCCESS;
    for (uint32_t card = 0; card < all.controls.cards; ++card) {
        all.contexts.push_back(std::make_unique<Context>());
        all.contexts.back()->card = card;
        all.standard_pools.push_back(std::make_shared<Pool>());
        all.standard_pools.back()->card = card;
        all.standard_pools.back()->standard = true;
        all.null_streams.push_back(std::make_shared<Stream>());
        all.null_streams.back()->card = card;
    }
    all.initialised = true;
    return CUDA_SUCCESS;
}

API cuDriverGetVersion(int* version) {
    MAY_FAIL();
    *version = static_cast<int>(state().controls.driver);
    return CUDA_SUCCESS;
}

// Of functions that need a card and no context.
static CUresult known(CUdevice card) {
    if (!state().initialised) return CUDA_ERROR_NOT_INITIALIZED;
    return card < 0 || static_cast<size_t>(card) >= state().contexts.size() ? CUDA_ERROR_INVALID_DEVICE : CUDA_SUCCESS;
}
#define ENTER_CARD(card)                                        \
    MAY_FAIL();                                                 \
    std::lock_guard<std::recursive_mutex> guard(state().lock);  \
    if (CUresult error = known(card); error != CUDA_SUCCESS) return error

API cuDeviceGetCount(int* count) {
    MAY_FAIL();
    std::lock_guard<std::recursive_mutex> guard(state().lock);
    if (!state().initialised) return CUDA_ERROR_NOT_INITIALIZED;
    *count = static_cast<int>(state().contexts.size());
    return CUDA_SUCCESS;
}
API cuDeviceGet(CUdevice* device, int ordinal) {
    ENTER_CARD(ordinal);
    *device = ordinal;
    return CUDA_SUCCESS;
}
API cuDeviceGetName(char* name, int bytes, CUdevice card) {
    ENTER_CARD(card);
    snprintf(name, static_cast<size_t>(bytes), "Thumbforge stand-in %d", card);
    return CUDA_SUCCESS;
}
API cuDeviceGetUuid_v2(CUuuid* uuid, CUdevice card) {
    ENTER_CARD(card);
    for (int i = 0; i < 16; ++i) uuid->bytes[i] = static_cast<char>(i * 16 + card);
    return CUDA_SUCCESS;
}
API cuDeviceGetUuid(CUuuid* uuid, CUdevice card) { return cuDeviceGetUuid_v2(uuid, card); }
API cuDeviceGetPCIBusId(char* id, int bytes, CUdevice card) {
    ENTER_CARD(card);
    snprintf(id, static_cast<size_t>(bytes), "0000:%02X:00.0", card + 1);
    return CUDA_SUCCESS;
}
API cuDeviceTotalMem_v2(size_t* bytes, CUdevice card) {
    ENTER_CARD(card);
    *bytes = card_bytes();
    return CUDA_SUCCESS;
}
API cuDeviceGetAttribute(int* value, int attribute, CUdevice card) {
    ENTER_CARD(card);
    emulator::Model of = model(static_cast<uint32_t>(card));
    switch (attribute) {
        case THREADS_PER_BLOCK: case BLOCK_X: case BLOCK_Y: *value = 1024; break;
        case BLOCK_Z: *value = 64; break;
        case GRID_X: *value = INT32_MAX; break;
        case GRID_Y: case GRID_Z: *value = 65535; break;
        case SHARED_PER_BLOCK: *value = 48 << 10; break;
        case CONSTANT_BYTES: *value = 64 << 10; break;
        case WARP: *value = 32; break;
        case REGISTERS_PER_BLOCK: case REGISTERS_PER_MULTIPROCESSOR: *value = 65536; break;
        case CLOCK_KHZ: *value = 1000000; break;
        case MULTIPROCESSORS: *value = static_cast<int>(state().controls.multiprocessors); break;
        case COMPUTE_MODE: case MANAGED_MEMORY: case PCI_DOMAIN: case PCI_DEVICE: *value = 0; break;
        case CONCURRENT_KERNELS: case UNIFIED_ADDRESSES: case STREAM_PRIORITIES: *value = 1; break;
        case PCI_BUS: *value = card + 1; break;
        case MEMORY_CLOCK_KHZ: *value = 1000000; break;
        case MEMORY_BUS_BITS: *value = 5120; break;
        case L2_BYTES: *value = 50 << 20; break;
        case THREADS_PER_MULTIPROCESSOR: *value = 2048; break;
        case COPY_ENGINES: *value = 3; break;
        case CAPABILITY_MAJOR: *value = static_cast<int>(of.capability / 10); break;
        case CAPABILITY_MINOR: *value = static_cast<int>(of.capability % 10); break;
        case SHARED_PER_MULTIPROCESSOR: *value = static_cast<int>(of.shared_bytes_max) + 1024; break;
        case SHARED_PER_BLOCK_OPTIN: *value = static_cast<int>(of.shared_bytes_max); break;
        case BLOCKS_PER_MULTIPROCESSOR: *value = 32; break;
        case MEMORY_POOLS: *value = state().controls.pools != 0; break;
        default: return CUDA_ERROR_INVALID_VALUE;
    }
    return CUDA_SUCCESS;
}

static void end(Context& context) {
    State& all = state();
    // With one card they are all its own.
    if (context.lost == CUDA_SUCCESS && all.contexts.size() == 1)
        all.abandoned_count += all.allocations.size() + all.pools.size() + all.pinned.size() + all.streams.size() +
                               all.events.size() + all.graphs.size() + all.executables.size() + all.modules.size();
    forget_streams(context.card);
    forget_modules(context.card);
    forget_memory(context.card);
    context.lost = CUDA_SUCCESS;
    context.references = 0;
}

API cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice card) {
    ENTER_CARD(card);
    Context& of = *state().contexts[static_cast<size_t>(card)];
    ++of.references;
    *context = &of;
    return CUDA_SUCCESS;
}
API cuDevicePrimaryCtxRelease_v2(CUdevice card) {
    CUresult behind = failing(__func__);
    std::lock_guard<std::recursive_mutex> guard(state().lock);
    if (CUresult error = known(card); error != CUDA_SUCCESS) return error;
    Context& of = *state().contexts[static_cast<size_t>(card)];
    if (of.references == 0) return CUDA_ERROR_INVALID_CONTEXT;
    if (of.references == 1) end(of);
    else --of.references;
    return behind;
}
API cuDevicePrimaryCtxReset_v2(CUdevice card) {
    CUresult behind = failing(__func__);
    std::lock_guard<std::recursive_mutex> guard(state().lock);
    if (CUresult error = known(card); error != CUDA_SUCCESS) return error;
    Context& of = *state().contexts[static_cast<size_t>(card)];
    uint32_t references = of.references;
    uint64_t abandoned = state().abandoned_count;
    end(of);
    // Who resets a context means to end what is on it.
    state().abandoned_count = abandoned;
    of.references = references;
    return behind;
}
API cuDevicePrimaryCtxSetFlags_v2(CUdevice card, unsigned) {
    ENTER_CARD(card);
    return CUDA_SUCCESS;
}
API cuDevicePrimaryCtxGetState(CUdevice card, unsigned* flags, int* active) {
    ENTER_CARD(card);
    *flags = 0;
    *active = state().contexts[static_cast<size_t>(card)]->references != 0;
    return CUDA_SUCCESS;
}
API cuCtxGetCurrent(CUcontext* context) {
    *context = current;
    return CUDA_SUCCESS;
}
API cuCtxSetCurrent(CUcontext context) {
    MAY_FAIL();
    current = context;
    return CUDA_SUCCESS;
}
API cuCtxGetDevice(CUdevice* card) {
    if (current == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
    *card = static_cast<CUdevice>(current->card);
    return CUDA_SUCCESS;
}
API cuCtxSetFlags(unsigned) {
    ENTER();
    return CUDA_SUCCESS;
}
API cuCtxGetStreamPriorityRange(int* least, int* greatest) {
    ENTER();
    *least = 0, *greatest = -5;
    return CUDA_SUCCESS;
}
API cuCtxSetLimit(int, size_t) {
    ENTER();
    return CUDA_SUCCESS;
}
API cuCtxGetLimit(size_t* value, int) {
    ENTER();
    *value = 1024;
    return CUDA_SUCCESS;
}
API cuCtxSynchronize() {
    ENTER(Enter::spoils);
    return drain_card(enter.card);
}
API cuProfilerStart() { return CUDA_SUCCESS; }
API cuProfilerStop() { return CUDA_SUCCESS; }

struct Named { CUresult code; const char *name, *text; };
static const Named CODES[] = {
    {CUDA_SUCCESS, "CUDA_SUCCESS", "no error"},
    {CUDA_ERROR_INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {CUDA_ERROR_OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {CUDA_ERROR_NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {CUDA_ERROR_NO_DEVICE, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {CUDA_ERROR_INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {CUDA_ERROR_INVALID_IMAGE, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {CUDA_ERROR_INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {CUDA_ERROR_NO_BINARY_FOR_GPU, "CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device"},
    {CUDA_ERROR_INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {CUDA_ERROR_ILLEGAL_STATE, "CUDA_ERROR_ILLEGAL_STATE", "the operation cannot be performed in the present state"},
    {CUDA_ERROR_NOT_FOUND, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {CUDA_ERROR_NOT_READY, "CUDA_ERROR_NOT_READY", "device not ready"},
    {CUDA_ERROR_ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", "too many resources requested for launch"},
    {CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED, "CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED", "memory is already registered"},
    {CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED, "CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED", "memory is not registered"},
    {CUDA_ERROR_LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {CUDA_ERROR_NOT_SUPPORTED, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
    {CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "not permitted while a stream is capturing"},
    {CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", "an earlier error invalidated the capture"},
    {CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, "CUDA_ERROR_STREAM_CAPTURE_UNMATCHED", "the capture was not begun on this stream"},
    {CUDA_ERROR_STREAM_CAPTURE_ISOLATION, "CUDA_ERROR_STREAM_CAPTURE_ISOLATION", "a dependency on what is not captured"},
};
API cuGetErrorName(CUresult code, const char** name) {
    for (const Named& known : CODES)
        if (known.code == code) return *name = known.name, CUDA_SUCCESS;
    return *name = nullptr, CUDA_ERROR_INVALID_VALUE;
}
API cuGetErrorString(CUresult code, const char** text) {
    for (const Named& known : CODES)
        if (known.code == code) return *text = known.text, CUDA_SUCCESS;
    return *text = nullptr, CUDA_ERROR_INVALID_VALUE;
}
