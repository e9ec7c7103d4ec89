// Fibers: a stack for every CUDA thread of a block, and how one hands over to another. On x86-64 that takes a few loads and
// stores; elsewhere (and with EMULATOR_UCONTEXT) the C library does it, with a call of the system each time.
#pragma once
#include "run.h"

#if !defined(__x86_64__) || !defined(__linux__) || defined(EMULATOR_UCONTEXT)
#include <ucontext.h>
#endif

namespace emulator {
// Where a fiber stopped. On x86-64 what a call must keep lies on the fiber's own stack, and the pointer to it is all.
#if defined(__x86_64__) && defined(__linux__) && !defined(EMULATOR_UCONTEXT)
typedef void* Context;
// Saves where this fiber is in `from` and goes on where `to` was saved.
extern "C" void emulator_switch(Context* from, Context to);
inline void hand_over(Context* from, Context* to) { emulator_switch(from, *to); }
#else
typedef ucontext_t Context;
inline void hand_over(Context* from, Context* to) { swapcontext(from, to); }
#endif

// A fiber that will call `entry`, which never returns, on the stack that ends at `top`.
void prepare(Context* context, char* bottom, char* top, void (*entry)());
}  // namespace emulator
