// The instructions of a warp.
#pragma once
#include "emulator.h"

namespace emulator {
// Does `what` for 32 lanes, whose operands these are.
void perform(Together what, void* const (&operands)[32]);
// Ends the launch where 16 bytes at `at` are not shared memory or not on 16 bytes.
void check_shared(const void* at, const char* what);
}  // namespace emulator
