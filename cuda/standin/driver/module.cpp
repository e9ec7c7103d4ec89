// Modules and launches. A module is any bytes: kernels are those that were compiled into the stand-in, found by their names.
#include <cstdio>
#include <thread>

#include "state.h"

void forget_modules(uint32_t card) {
    State& all = state();
    for (auto at = all.functions.begin(); at != all.functions.end();) at = (*at)->card == card ? all.functions.erase(at) : std::next(at);
    for (auto at = all.modules.begin(); at != all.modules.end();) at = at->second->card == card ? all.modules.erase(at) : std::next(at);
}

API cuModuleLoadData(CUmodule* to, const void* image) {
    ENTER(Enter::spoils);
    if (image == nullptr) return CUDA_ERROR_INVALID_IMAGE;
    if (state().controls.refuse_card == enter.card + 1) return CUDA_ERROR_NO_BINARY_FOR_GPU;
    auto module = std::make_unique<Module>();
    module->card = enter.card;
    *to = module.get();
    state().modules[module.get()] = std::move(module);
    return CUDA_SUCCESS;
}
API cuModuleLoadDataEx(CUmodule* to, const void* image, unsigned, int*, void**) { return cuModuleLoadData(to, image); }
API cuModuleUnload(CUmodule module) {
    ENTER(Enter::spoils, Enter::late);
    auto found = state().modules.find(module);
    if (found == state().modules.end()) return CUDA_ERROR_INVALID_HANDLE;
    for (const auto& [name, function] : found->second->functions) state().functions.erase(function.get());
    state().modules.erase(found);
    return enter.behind;
}
API cuModuleGetFunction(CUfunction* to, CUmodule module, const char* name) {
    ENTER();
    auto found = state().modules.find(module);
    if (found == state().modules.end()) return CUDA_ERROR_INVALID_HANDLE;
    if (emulator::find(name) == nullptr) return CUDA_ERROR_NOT_FOUND;
    auto& function = found->second->functions[name];
    // Beyond what kernels declare, 48 KiB in all are theirs until more is asked for.
    if (!function) function.reset(new Function{module, name, enter.card, 48 << 10});
    state().functions.insert(function.get());
    *to = function.get();
    return CUDA_SUCCESS;
}
API cuFuncSetAttribute(CUfunction function, int attribute, int value) {
    ENTER();
    if (!state().functions.count(function)) return CUDA_ERROR_INVALID_HANDLE;
    if (attribute != FUNCTION_DYNAMIC_SHARED_MAX) return CUDA_SUCCESS;
    if (value < 0 || static_cast<size_t>(value) > model(function->card).shared_bytes_max) return CUDA_ERROR_INVALID_VALUE;
    function->dynamic_bytes_max = static_cast<size_t>(value);
    return CUDA_SUCCESS;
}
API cuFuncSetCacheConfig(CUfunction function, int) {
    ENTER();
    return state().functions.count(function) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}
API cuFuncGetAttribute(int* value, int attribute, CUfunction function) {
    ENTER();
    if (!state().functions.count(function)) return CUDA_ERROR_INVALID_HANDLE;
    const emulator::Kernel* kernel = emulator::find(function->name.c_str());
    switch (attribute) {
        case FUNCTION_THREADS: *value = kernel ? static_cast<int>(kernel->threads) : 0; break;
        case FUNCTION_REGISTERS: *value = 64; break;
        case FUNCTION_BINARY: *value = static_cast<int>(model(function->card).capability); break;
        case FUNCTION_DYNAMIC_SHARED_MAX: *value = static_cast<int>(function->dynamic_bytes_max); break;
        default: *value = 0; break;
    }
    return CUDA_SUCCESS;
}
API cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, CUfunction function, int threads, size_t shared_bytes, unsigned) {
    ENTER();
    if (!state().functions.count(function) || threads <= 0) return CUDA_ERROR_INVALID_VALUE;
    size_t room = model(function->card).shared_bytes_max, by_shared = shared_bytes == 0 ? 32 : room / shared_bytes;
    size_t by_threads = 2048 / static_cast<size_t>(threads);
    *blocks = static_cast<int>(by_shared < by_threads ? by_shared : by_threads);
    return CUDA_SUCCESS;
}
API cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, CUfunction function, int threads, size_t shared_bytes) {
    return cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, function, threads, shared_bytes, 0);
}

API cuLaunchKernel(CUfunction function, unsigned x, unsigned y, unsigned z, unsigned threads, unsigned threads_y, unsigned threads_z,
                   unsigned shared_bytes, CUstream of, void** args, void** extra) {
    ENTER();
    auto stream = stream_of(of, enter.card);
    if (!stream || !state().functions.count(function)) return CUDA_ERROR_INVALID_HANDLE;
    const emulator::Kernel* kernel = emulator::find(function->name.c_str());
    if (kernel == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    bool grid_right = x > 0 && y > 0 && z > 0 && x <= INT32_MAX && y <= 65535 && z <= 65535;
    bool block_right = threads > 0 && threads % 32 == 0 && threads_y == 1 && threads_z == 1;
    if (!grid_right || !block_right || args == nullptr || extra != nullptr || shared_bytes > function->dynamic_bytes_max) {
        fprintf(stderr, "stand-in: kernel %s cannot be launched on (%u, %u, %u) blocks of (%u, %u, %u) threads with %u bytes\n",
                kernel->name, x, y, z, threads, threads_y, threads_z, shared_bytes);
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (threads > kernel->threads) {
        fprintf(stderr, "stand-in: kernel %s is made for %u threads, not %u\n", kernel->name, kernel->threads, threads);
        return CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
    }
    Operation operation(Kind::kernel);
    operation.name = function->name;
    operation.args.assign(static_cast<const uint8_t*>(args[0]), static_cast<const uint8_t*>(args[0]) + kernel->args_bytes);
    operation.grid = {x, y, z};
    operation.threads = threads;
    operation.shared_bytes = shared_bytes;
    return enqueue(stream, std::move(operation));
}

CUresult launch(uint32_t card, const Operation& operation) {
    State& all = state();
    ++all.launch_count;
    ++all.launches[operation.name];
    bool counts = all.controls.lose_card == 0 || all.controls.lose_card == card + 1;
    if (counts && all.controls.lose_launch != 0 && --all.controls.lose_launch == 0) {
        all.controls.lose_launch = all.controls.lose_again;
        return lose(card, CUDA_ERROR_LAUNCH_FAILED, "as a test wanted, at kernel " + operation.name);
    }
    if (operation.outside != nullptr) {
        CUresult error = operation.outside(operation.args.data());
        return error == CUDA_SUCCESS ? error : lose(card, error, operation.name + " failed");
    }
    const emulator::Kernel* kernel = emulator::find(operation.name.c_str());
    if (kernel == nullptr) return lose(card, CUDA_ERROR_LAUNCH_FAILED, "kernel " + operation.name + " is gone");
    uint64_t threads = all.controls.threads != 0 ? all.controls.threads : std::thread::hardware_concurrency();
    emulator::Launch launch = {kernel, operation.args.data(), operation.grid, operation.threads, operation.shared_bytes, model(card)};
    std::string wrong = emulator::run(launch, {static_cast<uint32_t>(all.controls.seed), static_cast<uint32_t>(threads)});
    if (wrong.empty()) return CUDA_SUCCESS;
    bool address = wrong.find("is not the card's memory") != std::string::npos;
    return lose(card, address ? CUDA_ERROR_ILLEGAL_ADDRESS : CUDA_ERROR_LAUNCH_FAILED, wrong);
}
