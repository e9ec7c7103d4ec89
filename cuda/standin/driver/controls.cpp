// What tests turn and read: names and numbers.
//
//   cards, capability (90 is sm_90), mib (of a card), others_mib (held by other programs), driver (12090 is 12.9),
//   pools (0: a card without), multiprocessors (132 as an H100 SXM has it: into how many blocks launches are cut),
//   seed (order in which blocks, warps and lanes get their turn; emulator/run.h),
//   threads (of the host that emulate; 0 is one for each processor), late (1: what is queued is done when somebody waits,
//   as late as a card may; 0: at once), fail_allocation (n: the n-th from now on fails),
//   fail_more (n: and so many after it), lose_launch (n: the context is lost
//   at the n-th launch from now on), lose_again (n: and again at the n-th launch after each loss),
//   lose_card (n: only launches on the n-th card count for that; 0: on any),
//   lose_for_good (1: no module loads any more on a card that was lost), refuse_card (n: no module loads on the n-th card;
//   0: on all of them modules load), other_capability (of all cards but the first; 0: that of the first),
//   refuse_library (1: a library beside the driver finds no card that it runs on), library_says (a status that its heuristics
//   answer with; 0 for none), library_columns (columns up to which it takes an algorithm that it is asked of; 0 for all)
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <thread>

#include "state.h"

static uint64_t* control(Controls& controls, const char* name) {
    const std::pair<const char*, uint64_t*> all[] = {
        {"cards", &controls.cards},     {"capability", &controls.capability}, {"mib", &controls.mib},
        {"others_mib", &controls.others_mib}, {"driver", &controls.driver},   {"pools", &controls.pools},
        {"multiprocessors", &controls.multiprocessors},
        {"seed", &controls.seed},       {"threads", &controls.threads},       {"late", &controls.late},
        {"fail_allocation", &controls.fail_allocation}, {"lose_launch", &controls.lose_launch},
        {"lose_again", &controls.lose_again},
        {"fail_more", &controls.fail_more},
        {"lose_card", &controls.lose_card},
        {"refuse_card", &controls.refuse_card},
        {"lose_for_good", &controls.lose_for_good},
        {"other_capability", &controls.other_capability},
        {"refuse_library", &controls.refuse_library},
        {"library_says", &controls.library_says},
        {"library_columns", &controls.library_columns},
    };
    for (const auto& [known, value] : all)
        if (strcmp(known, name) == 0) return value;
    return nullptr;
}

State& state() {
    // Never destroyed: threads may still call when the process ends.
    static State* const made = [] {
        State* state = new State();
        for (const char* name : {"cards", "capability", "mib", "others_mib", "driver", "pools", "multiprocessors", "seed", "threads",
                                 "late", "fail_allocation", "lose_launch", "lose_again", "fail_more", "lose_card", "refuse_card", "lose_for_good",
                                 "other_capability", "refuse_library", "library_says", "library_columns"}) {
            std::string variable = "THUMBFORGE_STANDIN_";
            for (const char* c = name; *c != 0; ++c) variable += static_cast<char>(*c >= 'a' && *c <= 'z' ? *c - 32 : *c);
            const char* value = getenv(variable.c_str());
            if (value != nullptr) *control(state->controls, name) = strtoull(value, nullptr, 10);
        }
        return state;
    }();
    return *made;
}

#define EXPORT extern "C" __attribute__((visibility("default")))

// 0, or 1 where there is no such control.
EXPORT int standin_set(const char* name, uint64_t value) {
    std::lock_guard<std::recursive_mutex> guard(state().lock);
    uint64_t* of = control(state().controls, name);
    if (of == nullptr) return 1;
    *of = value;
    return 0;
}

// What lives (leaks, where it should not), and what was done. All ones where there is no such figure.
EXPORT uint64_t standin_get(const char* name) {
    State& all = state();
    std::lock_guard<std::recursive_mutex> guard(all.lock);
    uint64_t bytes = 0, references = 0;
    for (const auto& [at, allocation] : all.allocations) bytes += allocation.bytes;
    for (const auto& context : all.contexts) references += context->references;
    const std::pair<const char*, uint64_t> figures[] = {
        {"live_allocations", all.allocations.size()}, {"live_bytes", bytes},
        {"live_pools", all.pools.size()},             {"live_pinned", all.pinned.size()},
        {"live_streams", all.streams.size()},         {"live_events", all.events.size()},
        {"live_graphs", all.graphs.size()},           {"live_executables", all.executables.size()},
        {"live_modules", all.modules.size()},         {"live_contexts", references},
        {"allocations", all.allocation_count},        {"launches", all.launch_count},
        {"replays", all.replay_count},                {"copies", all.copy_count},
        {"abandoned", all.abandoned_count},
    };
    for (const auto& [known, value] : figures)
        if (strcmp(known, name) == 0) return value;
    if (const uint64_t* value = control(all.controls, name)) return *value;
    return UINT64_MAX;
}

// The n-th call of a function of the driver from now on fails with this code; with 0 none does.
EXPORT void standin_fail(const char* function, uint64_t call, uint32_t code) {
    std::lock_guard<std::recursive_mutex> guard(state().lock);
    state().failing = {function, call, code};
}

// In how many calls it fails; 0 where it did, or none shall.
EXPORT uint64_t standin_failing() {
    std::lock_guard<std::recursive_mutex> guard(state().lock);
    return state().failing.call;
}

// How often a kernel was run.
EXPORT uint64_t standin_launches_of(const char* kernel) {
    std::lock_guard<std::recursive_mutex> guard(state().lock);
    auto found = state().launches.find(kernel);
    return found == state().launches.end() ? 0 : found->second;
}

// The names of all kernels, a line each; as much as there is room for. Their bytes in all.
EXPORT size_t standin_kernels(char* to, size_t bytes) {
    std::string text = emulator::names();
    memcpy(to, text.data(), text.size() < bytes ? text.size() : bytes);
    return text.size();
}

// The names of the kernels that were run, each on its line with how often; likewise.
EXPORT size_t standin_launches(char* to, size_t bytes) {
    std::lock_guard<std::recursive_mutex> guard(state().lock);
    std::string text;
    for (const auto& [name, count] : state().launches) text += name + " " + std::to_string(count) + "\n";
    memcpy(to, text.data(), text.size() < bytes ? text.size() : bytes);
    return text.size();
}

// The functions of the driver that were called, each on its line with how often; likewise.
EXPORT size_t standin_calls(char* to, size_t bytes) {
    std::lock_guard<std::recursive_mutex> guard(state().lock);
    std::string text;
    for (const auto& [name, count] : state().calls) text += name + " " + std::to_string(count) + "\n";
    memcpy(to, text.data(), text.size() < bytes ? text.size() : bytes);
    return text.size();
}

// Why the last context was lost; likewise.
EXPORT size_t standin_fault(char* to, size_t bytes) {
    std::lock_guard<std::recursive_mutex> guard(state().lock);
    const std::string& text = state().fault;
    memcpy(to, text.data(), text.size() < bytes ? text.size() : bytes);
    return text.size();
}

// Kernels of another library take the place of those with the same names, until that is closed with null. 0 if it went well.
EXPORT int standin_use_kernels(const char* path) {
    static void* library = nullptr;
    std::lock_guard<std::recursive_mutex> guard(state().lock);
    if (library != nullptr) dlclose(library);
    library = nullptr;
    if (path == nullptr) return 0;
    library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) fprintf(stderr, "stand-in: failed to load kernels: %s\n", dlerror());
    return library == nullptr ? 1 : 0;
}

// For libraries that stand in beside the driver (cuBLASLt): does `call` on the card where the stream comes to it.

EXPORT CUresult standin_enqueue(CUstream to, const char* name, CUresult (*call)(const void*), const void* args, size_t bytes) {
    ENTER();
    auto stream = stream_of(to, enter.card);
    if (!stream) return CUDA_ERROR_INVALID_HANDLE;
    Operation operation(Kind::kernel);
    operation.name = name;
    operation.outside = call;
    operation.args.assign(static_cast<const uint8_t*>(args), static_cast<const uint8_t*>(args) + bytes);
    return enqueue(stream, std::move(operation));
}

// Whether these bytes are the card's.
EXPORT int standin_holds(const void* at, size_t bytes) {
    std::lock_guard<std::recursive_mutex> guard(state().lock);
    return holding(static_cast<const uint8_t*>(at), bytes) != nullptr;
}
