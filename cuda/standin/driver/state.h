// What the stand-in remembers: cards, memory, streams and their queues, graphs. One lock guards all of it.
#pragma once
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "../../emulator/run.h"
#include "cuda.h"

// What tests turn: by `standin_set` and by the environment, THUMBFORGE_STANDIN_<NAME>; what each means is in controls.cpp.
struct Controls {
    uint64_t cards = 1, capability = 90, mib = 8192, others_mib = 0, driver = 12090, pools = 1, multiprocessors = 132, seed = 0,
             threads = 0, late = 1, fail_allocation = 0, lose_launch = 0, lose_again = 0, fail_more = 0, lose_card = 0, refuse_card = 0, lose_for_good = 0,
             other_capability = 0, refuse_library = 0, library_says = 0, library_columns = 0;
};

struct Pool {
    uint32_t card = 0;
    bool standard = false;
    size_t used = 0, used_high = 0, reserved = 0, reserved_high = 0, bytes_max = 0;
    uint64_t threshold = 0;
    void reserve();
};

// Between pages that may not be touched: `at` lies as far behind in its pages as its bytes let it.
struct Allocation {
    uint32_t card;
    uint8_t *at, *pages;
    size_t bytes, page_bytes;
    // Null where it came from the card itself.
    std::shared_ptr<Pool> pool;
    // Freed on a stream: it may not be freed again, and its bytes count until the stream comes there.
    bool leaving;
};

struct Event {
    bool timed = true, recorded = false;
    std::shared_ptr<struct Stream> stream;
    // Done when the stream has done so many operations.
    uint64_t at = 0;
    double done_ms = 0;
};

struct Function {
    struct Module* module;
    std::string name;
    uint32_t card;
    size_t dynamic_bytes_max;
};
struct Module {
    uint32_t card;
    std::map<std::string, std::unique_ptr<Function>> functions;
};

enum class Kind { kernel, copy, set, record, wait, free, host };

// An operation of a stream or a graph.
struct Operation {
    explicit Operation(Kind kind) : kind(kind) {}
    Kind kind;
    // kernel
    std::string name;
    std::vector<uint8_t> args;
    uint3 grid = {1, 1, 1};
    uint32_t threads = 0, shared_bytes = 0;
    // kernel of a library beside the driver, which gets `args`.
    CUresult (*outside)(const void*) = nullptr;
    // copy, set, free: a null `from` of a copy means `staged`.
    uint8_t* to = nullptr;
    const uint8_t* from = nullptr;
    size_t bytes = 0;
    bool to_card = false, from_card = false, from_pinned = false, to_pinned = false;
    std::shared_ptr<std::vector<uint8_t>> staged;
    uint32_t value = 0, value_bytes = 1;
    // record, wait
    std::shared_ptr<Event> event;
    std::shared_ptr<Stream> other;
    uint64_t other_at = 0;
    // host
    CUhostFn call = nullptr;
    void* data = nullptr;
};

struct Graph {
    std::vector<Operation> operations;
};
struct Executable {
    uint32_t card;
    std::vector<Operation> operations;
};

struct Stream : std::enable_shared_from_this<Stream> {
    uint32_t card = 0;
    // Does not wait for the null stream, nor that for it.
    bool apart = true;
    std::deque<Operation> queue;
    uint64_t enqueued = 0, done = 0;
    std::unique_ptr<Graph> capture;
    bool capture_spoiled = false;
};

struct Context {
    uint32_t card = 0, references = 0;
    // The error that every call gives from a lost context; 0 while it works.
    CUresult lost = 0;
};

struct State {
    std::recursive_mutex lock;
    bool initialised = false;
    Controls controls;
    std::vector<std::unique_ptr<Context>> contexts;
    std::map<uint8_t*, Allocation> allocations;
    // Pages that were given back, which nobody gets again for a while: who still uses them is found.
    std::deque<std::pair<uint8_t*, size_t>> gone;
    std::map<Pool*, std::shared_ptr<Pool>> pools;
    std::vector<std::shared_ptr<Pool>> standard_pools;
    std::map<Stream*, std::shared_ptr<Stream>> streams;
    std::vector<std::shared_ptr<Stream>> null_streams;
    std::map<Event*, std::shared_ptr<Event>> events;
    std::map<Module*, std::unique_ptr<Module>> modules;
    std::set<Function*> functions;
    std::map<Graph*, std::unique_ptr<Graph>> graphs;
    std::map<Executable*, std::unique_ptr<Executable>> executables;
    // Pinned memory: bytes, and whether the driver made it.
    struct Pinned { size_t bytes; bool made; uint32_t card; };
    std::map<uint8_t*, Pinned> pinned;
    std::map<std::string, uint64_t> launches;
    uint64_t launch_count = 0, replay_count = 0, allocation_count = 0, copy_count = 0;
    // What a context that worked took along when its last holder went: nobody else gave it back.
    uint64_t abandoned_count = 0;
    // How often each function was called, and which fails: at its n-th call from now on, with this code.
    std::map<std::string, uint64_t> calls;
    struct Failing { std::string function; uint64_t call = 0; CUresult code = 0; } failing;
    std::string fault;
};

State& state();

// Counts a call of `function`; what it fails with because a test wants it, else 0.
CUresult failing(const char* function);

// Taken by every function of the API. `error` is what it answers at once, if not 0.
struct Enter {
    std::lock_guard<std::recursive_mutex> guard;
    CUresult error, behind;
    // The card of the context that this thread has made current.
    uint32_t card;
    // `capturing`: whether the call may be made while a stream of the card is captured.
    enum Capture { allowed, spoils };
    // `late`: where it fails because a test wants it, it does what it is for and then says so. So do functions of a driver
    // that wait or give something back: they tell of what went wrong before.
    enum Fails { early, late };
    explicit Enter(const char* function, Capture capture = allowed, Fails fails = early);
    CUresult after(CUresult outcome) const { return outcome == CUDA_SUCCESS ? behind : outcome; }
};
#define ENTER(...) ENTER_AS(__func__, __VA_ARGS__)
#define ENTER_AS(function, ...)         \
    Enter enter{function, __VA_ARGS__}; \
    if (enter.error != CUDA_SUCCESS) return enter.error

Context* current_context();
// Loses the context of a card: says why on stderr, and every call answers `code` from now on.
CUresult lose(uint32_t card, CUresult code, const std::string& why);
emulator::Model model(uint32_t card);

// memory.cpp
CUresult allocate(CUdeviceptr* to, size_t bytes, uint32_t card, const std::shared_ptr<Pool>& pool);
// Gives pages back; false where something was written around the bytes.
bool release(uint8_t* at);
size_t card_bytes();
size_t free_bytes(uint32_t card);
void trim(Pool& pool, size_t keep);
void forget_memory(uint32_t card);
// The allocation in which these bytes lie; null where they do not lie in one.
Allocation* holding(const uint8_t* at, size_t bytes);
bool is_pinned(const uint8_t* at, size_t bytes);

// stream.cpp
std::shared_ptr<Stream> stream_of(CUstream stream, uint32_t card);
CUresult enqueue(const std::shared_ptr<Stream>& stream, Operation operation);
CUresult drain(const std::shared_ptr<Stream>& stream, uint64_t until);
CUresult drain_card(uint32_t card);
void forget_streams(uint32_t card);

// module.cpp
CUresult launch(uint32_t card, const Operation& operation);
void forget_modules(uint32_t card);
