// How one fiber hands over to another; see fiber.h.
#include "fiber.h"

#if defined(__x86_64__) && defined(__linux__) && !defined(EMULATOR_UCONTEXT)
// Six registers outlive a call (System V ABI, 3.2.1); the rest is the compiler's to save. The control words of the floating
// point units are never changed by kernels.
asm(R"(
    .text
    .globl emulator_switch
    .hidden emulator_switch
    .type emulator_switch, @function
emulator_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size emulator_switch, . - emulator_switch
)");

namespace emulator {
void prepare(Context* context, char*, char* top, void (*entry)()) {
    // As if `entry` had been called: six registers, where to go, and a return address that is never used, which leaves the
    // stack 8 bytes off 16 as the ABI has it at a function's first instruction.
    void** at = reinterpret_cast<void**>(reinterpret_cast<uintptr_t>(top) & ~uintptr_t{15});
    *--at = nullptr;
    *--at = reinterpret_cast<void*>(entry);
    for (int i = 0; i < 6; ++i) *--at = nullptr;
    *context = at;
}
}  // namespace emulator
#else
namespace emulator {
void prepare(Context* context, char* bottom, char* top, void (*entry)()) {
    getcontext(context);
    context->uc_stack.ss_sp = bottom;
    context->uc_stack.ss_size = static_cast<size_t>(top - bottom);
    context->uc_link = nullptr;
    makecontext(context, entry, 0);
}
}  // namespace emulator
#endif
