// Who runs when: launches, blocks, warps and lanes.
//
//   run ─► host threads take blocks ─► block: its warps in turn ─► warp: lane after lane until all are parked
//
// A lane parks at an instruction of its warp or at the block's barrier and hands over to the next lane of the warp that can
// go on; where none can, the block looks: all at the barrier or done, and the barrier opens; else it is a fault. A fault
// leaves the fibers as they are and goes back to where the block was started.
#include <atomic>
#include <condition_variable>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <vector>

#include <signal.h>
#include <sys/mman.h>

#include "fiber.h"
#include "instructions.h"

namespace emulator {
thread_local Here here __attribute__((tls_model("initial-exec"))) = {};

namespace {
// A kernel's frames are some kilobytes; only pages that are touched are real. One more page below faults.
constexpr size_t STACK_BYTES = 64 << 10, PAGE = 4096;
// Behind every array of shared memory: bytes that a kernel must leave as they are.
constexpr size_t CANARY_BYTES = 64;
constexpr u8 CANARY = 0xa5;
// Of f32, bf16 and e4m3 this is no number, so that what nobody wrote is seen.
constexpr u8 POISON = 0xff;
constexpr size_t ARENA_BYTES = SHARED_BYTES_MAX + (16 << 10);
constexpr u32 SITES_MAX = 64, HOST_THREADS_MAX = 64;

struct Copy {
    void* to;
    u32 group;
    u8 bytes[16];
};

struct Fiber : Lane {
    Context context;
    u32 warp, bit;
    // Asynchronous copies that were not waited for, from `copied` on, and groups that were ended.
    std::vector<Copy> copies;
    size_t copied;
    u32 groups;
};

struct Warp {
    // A bit per lane, in the order in which lanes get their turn.
    u32 ready, together, at_barrier;
    Together what;
    Fiber* by_turn[32];
    void* operands[32];
};

struct Site {
    const void* site;
    size_t offset, bytes;
};

struct Worker {
    Context home;
    const Launch* launch;
    Fiber fibers[THREADS_MAX];
    Warp warps[THREADS_MAX / 32];
    Site sites[SITES_MAX];
    u32 site_count;
    size_t shared_used;
    bool running, faulted;
    char* stacks;
    u8* arena;
    char what[512];
};

thread_local Worker* worker __attribute__((tls_model("initial-exec"))) = nullptr;

// Kernels that were loaded, the latest first. Filled while libraries are loaded, one after the other.
struct Known {
    const Kernel* kernel;
    Known* next;
};
Known* known = nullptr;

[[noreturn]] void leave(const char* format, ...) {
    va_list list;
    va_start(list, format);
    vsnprintf(worker->what, sizeof worker->what, format, list);
    va_end(list);
    worker->faulted = true;
    Context abandoned;
    hand_over(&abandoned, &worker->home);
    abort();
}

Fiber* this_fiber() { return static_cast<Fiber*>(here.lane); }

// Goes on with the next lane of the warp, or with the block.
void next(Fiber* from) {
    Warp& warp = worker->warps[from->warp];
    if (warp.ready == 0) {
        hand_over(&from->context, &worker->home);
        return;
    }
    Fiber* to = warp.by_turn[__builtin_ctz(warp.ready)];
    here.lane = to;
    hand_over(&from->context, &to->context);
}

void entry() {
    worker->launch->kernel->run(worker->launch->args);
    Fiber* fiber = this_fiber();
    worker->warps[fiber->warp].ready &= ~fiber->bit;
    next(fiber);
    abort();
}

u32 permuted(u32 i, u32 count, u32 seed) {
    if (seed == 0) return i;
    if (seed == 1) return count - 1 - i;
    // A step that shares no factor with the count visits everything once.
    u32 step = seed % count | 1;
    auto common = [](u32 a, u32 b) {
        while (b != 0) {
            u32 rest = a % b;
            a = b, b = rest;
        }
        return a;
    };
    while (common(step, count) != 1) step += 2;
    return static_cast<u32>((static_cast<u64>(i) * step + seed) % count);
}

const char* name_of(Together what) {
    static const char* const names[] = {"__syncwarp", "a shuffle", "a ballot", "ldmatrix", "mma_bf16", "mma_e4m3"};
    return names[static_cast<u32>(what)];
}

void start(const Launch& launch, u32 seed) {
    u32 warps = launch.threads / 32;
    for (u32 t = 0; t < launch.threads; ++t) {
        Fiber& fiber = worker->fibers[t];
        fiber.thread = {t, 0, 0};
        fiber.lane = t % 32;
        fiber.warp = t / 32;
        u32 turn = permuted(fiber.lane, 32, seed);
        fiber.bit = 1u << turn;
        fiber.copies.clear();
        fiber.copied = 0;
        fiber.groups = 0;
        worker->warps[fiber.warp].by_turn[turn] = &fiber;
        char* bottom = worker->stacks + t * STACK_BYTES + PAGE;
        // Stacks start a little apart: else the first lines of all of them would fight for the same few places in the cache.
        prepare(&fiber.context, bottom, bottom + STACK_BYTES - PAGE - (t % 32) * 128 - (t / 32) * 64, entry);
    }
    for (u32 w = 0; w < warps; ++w) worker->warps[w].ready = ~0u, worker->warps[w].together = 0, worker->warps[w].at_barrier = 0;
    worker->site_count = 0;
    worker->shared_used = 0;
    shared(nullptr, launch.shared_bytes, 128);
}

// Runs one block; `worker->faulted` says whether it ended well.
void block(const Launch& launch, uint3 index, u32 seed) {
    here = {nullptr, index, {launch.threads, 1, 1}, launch.grid};
    start(launch, seed);
    u32 warps = launch.threads / 32;
    for (bool alive = true; alive;) {
        for (u32 i = 0; i < warps; ++i) {
            u32 number = permuted(i, warps, seed);
            Warp& warp = worker->warps[number];
            if (warp.ready == 0) continue;
            Fiber* first = warp.by_turn[__builtin_ctz(warp.ready)];
            here.lane = first;
            hand_over(&worker->home, &first->context);
            if (worker->faulted) return;
            if (warp.together != 0) {
                snprintf(worker->what, sizeof worker->what, "%d lanes of warp %u wait at %s; others are elsewhere or have returned",
                         __builtin_popcount(warp.together), number, name_of(warp.what));
                worker->faulted = true;
                return;
            }
        }
        alive = false;
        for (u32 w = 0; w < warps; ++w) {
            Warp& warp = worker->warps[w];
            alive = alive || warp.at_barrier != 0;
            warp.ready = warp.at_barrier;
            warp.at_barrier = 0;
        }
    }
    for (u32 s = 0; s < worker->site_count; ++s) {
        const u8* behind = worker->arena + worker->sites[s].offset + worker->sites[s].bytes;
        for (size_t i = 0; i < CANARY_BYTES; ++i) {
            if (behind[i] == CANARY) continue;
            snprintf(worker->what, sizeof worker->what, "written %zu bytes behind %zu bytes of shared memory", i,
                     worker->sites[s].bytes);
            worker->faulted = true;
            return;
        }
    }
}

struct sigaction before_segv, before_bus, before_ill, before_fpe;

// What the processor finds wrong in a kernel ends the launch. Anywhere else it is not ours.
void caught(int number, siginfo_t* info, void*) {
    if (worker != nullptr && worker->running) {
        if (number == SIGILL) leave("an address that is not aligned, an index outside of its array, or a shift by too much");
        if (number == SIGFPE) leave("an integer divided by zero");
        leave("address %p is not the card's memory", info->si_addr);
    }
    sigaction(number, number == SIGSEGV ? &before_segv : number == SIGBUS ? &before_bus : number == SIGILL ? &before_ill : &before_fpe,
              nullptr);
}

void catch_signals() {
    struct sigaction action = {};
    action.sa_sigaction = caught;
    // On a stack of its own where the thread has one: the fiber's may be what is full. Not blocked while it runs: it is left.
    action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
    sigaction(SIGSEGV, &action, &before_segv);
    sigaction(SIGBUS, &action, &before_bus);
    sigaction(SIGILL, &action, &before_ill);
    sigaction(SIGFPE, &action, &before_fpe);
}

Worker* new_worker() {
    Worker* made = new Worker();
    size_t bytes = THREADS_MAX * STACK_BYTES;
    made->stacks = static_cast<char*>(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    if (made->stacks == MAP_FAILED) abort();
    for (u32 t = 0; t < THREADS_MAX; ++t) mprotect(made->stacks + t * STACK_BYTES, PAGE, PROT_NONE);
    made->arena = static_cast<u8*>(aligned_alloc(128, ARENA_BYTES));
    return made;
}

// What host threads work on: the blocks of one launch.
struct Work {
    const Launch* launch;
    u32 seed;
    u64 blocks;
    std::atomic<u64> taken{0};
    std::atomic<bool> failed{false};
    std::mutex lock;
    std::string what;
};

void take_blocks(Work& work, Worker* mine) {
    worker = mine;
    mine->launch = work.launch;
    mine->faulted = false;
    mine->running = true;
    const Launch& launch = *work.launch;
    while (!work.failed) {
        u64 turn = work.taken++;
        if (turn >= work.blocks) break;
        u64 number = work.blocks <= UINT32_MAX ? permuted(static_cast<u32>(turn), static_cast<u32>(work.blocks), work.seed) : turn;
        uint3 index = {static_cast<u32>(number % launch.grid.x), static_cast<u32>(number / launch.grid.x % launch.grid.y),
                       static_cast<u32>(number / launch.grid.x / launch.grid.y)};
        block(launch, index, work.seed);
        if (!mine->faulted) continue;
        std::lock_guard<std::mutex> guard(work.lock);
        char text[700];
        snprintf(text, sizeof text, "kernel %s, block (%u, %u, %u): %s", launch.kernel->name, index.x, index.y, index.z, mine->what);
        if (work.what.empty()) work.what = text;
        work.failed = true;
    }
    mine->running = false;
    worker = nullptr;
}

// Host threads that wait for launches. They live as long as the process.
struct Pool {
    std::mutex lock;
    std::condition_variable wake, done;
    Work* work = nullptr;
    u64 round = 0;
    u32 wanted = 0, busy = 0, threads = 0;
    Worker* workers[HOST_THREADS_MAX] = {};

    void loop(u32 number) {
        u64 seen = 0;
        for (;;) {
            Work* mine;
            {
                std::unique_lock<std::mutex> guard(lock);
                wake.wait(guard, [&] { return round != seen; });
                seen = round;
                if (number >= wanted) continue;
                mine = work;
            }
            take_blocks(*mine, workers[number]);
            std::lock_guard<std::mutex> guard(lock);
            if (--busy == 0) done.notify_all();
        }
    }

    void run(Work& of, u32 count) {
        if (workers[0] == nullptr) workers[0] = new_worker(), catch_signals();
        {
            std::lock_guard<std::mutex> guard(lock);
            // Thread 0 is the caller.
            for (; threads + 1 < count; ++threads) {
                u32 number = threads + 1;
                workers[number] = new_worker();
                std::thread([this, number] { loop(number); }).detach();
            }
            work = &of, wanted = count, busy = count - 1, ++round;
        }
        if (count > 1) wake.notify_all();
        take_blocks(of, workers[0]);
        std::unique_lock<std::mutex> guard(lock);
        done.wait(guard, [&] { return busy == 0; });
    }
};
}  // namespace

Kernel::Kernel(const char* name, size_t args_bytes, u32 threads, void (*run)(const void*))
    : name(name), args_bytes(args_bytes), threads(threads), run(run) {
    known = new Known{this, known};
}

Kernel::~Kernel() {
    for (Known** at = &known; *at != nullptr; at = &(*at)->next) {
        if ((*at)->kernel != this) continue;
        Known* gone = *at;
        *at = gone->next;
        delete gone;
        return;
    }
}

const Kernel* find(const char* name) {
    for (Known* at = known; at != nullptr; at = at->next)
        if (strcmp(at->kernel->name, name) == 0) return at->kernel;
    return nullptr;
}

std::string names() {
    std::string all;
    for (Known* at = known; at != nullptr; at = at->next) all += std::string(at->kernel->name) + "\n";
    return all;
}

void fault(const char* what) { leave("%s", what); }

void together(Together what, void* operands) {
    Fiber* fiber = this_fiber();
    Warp& warp = worker->warps[fiber->warp];
    if (warp.together == 0) warp.what = what;
    if (warp.what != what) leave("warp %u: lane %u is at %s, others are at %s", fiber->warp, fiber->lane, name_of(what), name_of(warp.what));
    warp.operands[fiber->lane] = operands;
    warp.ready &= ~fiber->bit;
    warp.together |= fiber->bit;
    if (warp.together != ~0u) return next(fiber);
    warp.together = 0;
    warp.ready = ~0u;
    perform(what, warp.operands);
}

void barrier() {
    Fiber* fiber = this_fiber();
    Warp& warp = worker->warps[fiber->warp];
    warp.ready &= ~fiber->bit;
    warp.at_barrier |= fiber->bit;
    next(fiber);
}

u32 capability() { return worker->launch->model.capability; }

void* shared(const void* site, size_t bytes, size_t align) {
    for (u32 s = 0; s < worker->site_count; ++s)
        if (worker->sites[s].site == site) return worker->arena + worker->sites[s].offset;
    size_t offset = (worker->shared_used + align - 1) / align * align;
    size_t all = bytes, declared = site == nullptr ? 0 : bytes;
    for (u32 s = 0; s < worker->site_count; ++s) all += worker->sites[s].bytes, declared += s == 0 ? 0 : worker->sites[s].bytes;
    if (declared > DECLARED_BYTES_MAX) leave("%zu bytes of shared memory are declared: a kernel may have 48 KiB", declared);
    if (all > worker->launch->model.shared_bytes_max || worker->site_count == SITES_MAX || offset + bytes + CANARY_BYTES > ARENA_BYTES)
        leave("%zu bytes of shared memory: the card gives %zu to a block", all, worker->launch->model.shared_bytes_max);
    worker->sites[worker->site_count++] = {site, offset, bytes};
    worker->shared_used = offset + bytes + CANARY_BYTES;
    memset(worker->arena + offset, POISON, bytes);
    memset(worker->arena + offset + bytes, CANARY, CANARY_BYTES);
    return worker->arena + offset;
}

void* dynamic_shared() { return worker->arena; }

void check_shared(const void* at, const char* what) {
    const u8* byte = static_cast<const u8*>(at);
    if (byte < worker->arena || byte + 16 > worker->arena + worker->shared_used) leave("%s: address %p is not shared memory", what, at);
    if (reinterpret_cast<uintptr_t>(at) % 16 != 0) leave("%s: address %p is not on 16 bytes", what, at);
}

void copy_later(void* to, const void* global, u32 valid) {
    check_shared(to, "cp_async16");
    if (valid > 16) leave("cp_async16: %u of 16 bytes are valid", valid);
    if (reinterpret_cast<uintptr_t>(global) % 16 != 0) leave("cp_async16: source %p is not on 16 bytes", global);
    Fiber* fiber = this_fiber();
    Copy copy = {to, fiber->groups, {}};
    memcpy(copy.bytes, global, valid);
    fiber->copies.push_back(copy);
    // The bytes may come at any time from now on: what lay there is gone, and what comes is not there yet.
    memset(to, POISON, 16);
}

void copies_commit() { ++this_fiber()->groups; }

void copies_wait(u32 but) {
    Fiber* fiber = this_fiber();
    while (fiber->copied < fiber->copies.size() && fiber->copies[fiber->copied].group + but < fiber->groups) {
        const Copy& copy = fiber->copies[fiber->copied++];
        memcpy(copy.to, copy.bytes, 16);
    }
    if (fiber->copied == fiber->copies.size()) fiber->copies.clear(), fiber->copied = 0;
}

std::string run(const Launch& launch, const Schedule& schedule) {
    static Pool* const pool = new Pool();
    if (launch.shared_bytes > launch.model.shared_bytes_max || launch.shared_bytes > SHARED_BYTES_MAX)
        return std::string("kernel ") + launch.kernel->name + ": more shared memory than the card gives to a block";
    Work work;
    work.launch = &launch;
    work.seed = schedule.seed;
    work.blocks = static_cast<u64>(launch.grid.x) * launch.grid.y * launch.grid.z;
    u64 count = schedule.host_threads < work.blocks ? schedule.host_threads : work.blocks;
    pool->run(work, count < 1 ? 1 : count > HOST_THREADS_MAX ? HOST_THREADS_MAX : static_cast<u32>(count));
    return work.what;
}
}  // namespace emulator
