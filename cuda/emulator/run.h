// How kernels are found and run.
#pragma once
#include <string>

#include "emulator.h"

namespace emulator {
// The largest block of a card; what of shared memory a kernel may declare; and what the greatest card gives to a block.
constexpr u32 THREADS_MAX = 1024;
constexpr size_t DECLARED_BYTES_MAX = 48 << 10, SHARED_BYTES_MAX = 227 << 10;

// The card that is imitated: 90 for sm_90, and the bytes of shared memory that a block of it may have.
struct Model {
    u32 capability;
    size_t shared_bytes_max;
};

struct Launch {
    const Kernel* kernel;
    const void* args;
    uint3 grid;
    u32 threads;
    u32 shared_bytes;
    Model model;
};

// In which order blocks, warps and lanes get their turn: 0 as they are numbered, 1 the reverse, else permuted by the seed.
struct Schedule {
    u32 seed;
    // Host threads that take blocks; at least 1. Blocks do not know of each other, so the bytes are the same.
    u32 host_threads;
};

// The kernel of this name that was loaded last; null where there is none.
const Kernel* find(const char* name);

// The names of all kernels, a line each.
std::string names();

// Runs a launch to its end. Says what went wrong, or nothing. One launch at a time: the caller sees to it.
std::string run(const Launch& launch, const Schedule& schedule);
}  // namespace emulator
