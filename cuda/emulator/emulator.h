// The emulator's half of dev.cuh: what a kernel's text means to a C++ compiler.
//
// Every CUDA thread is a fiber. A lane runs until an instruction that all lanes of its warp must reach; there it parks. The
// last lane to arrive does the instruction for all 32, from where they say their operands lie (their stacks). A barrier of
// the block parks lanes until all threads are there. Warps run one after the other, each as far as it gets, in an order that
// a seed permutes: a barrier that is missing then shows as a wrong number, and lanes that are in different places show as a
// fault, as do addresses outside of what was allocated. See emulator.cpp for who runs when.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef unsigned long long u64;
typedef int32_t i32;

struct uint3 { u32 x, y, z; };
typedef uint3 dim3;
struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(8) uint2 { u32 x, y; };
struct alignas(16) uint4 { u32 x, y, z, w; };
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline uint2 make_uint2(u32 x, u32 y) { return {x, y}; }
inline uint4 make_uint4(u32 x, u32 y, u32 z, u32 w) { return {x, y, z, w}; }

// Kernels may lie in a library of their own, which looks for this in the stand-in's.
#pragma GCC visibility push(default)
namespace emulator {
// Instructions that a warp does together.
enum class Together : u8 { sync, shuffle, ballot, ldmatrix, mma_bf16, mma_e4m3 };

// A CUDA thread, as far as kernels ask; emulator.cpp knows the rest.
struct Lane {
    uint3 thread;
    // In its warp.
    u32 lane;
};

// Where a thread is; the lane, block and launch that this host thread emulates just now.
struct Here {
    Lane* lane;
    uint3 block, block_dim, grid_dim;
};
extern thread_local Here here __attribute__((tls_model("initial-exec")));

// Parks this lane until all lanes of its warp are there, and does the instruction for all of them.
void together(Together what, void* operands);
// Parks this thread until all threads of the block are there.
void barrier();
// Memory of the block for the array that `site` declares: the same for all of its threads, poisoned when it is new.
void* shared(const void* site, size_t bytes, size_t align);
void* dynamic_shared();
void copy_later(void* shared, const void* global, u32 valid);
void copies_commit();
void copies_wait(u32 but);
// Of the card that is imitated: 90 for sm_90.
u32 capability();
// Ends the launch with an error.
[[noreturn]] void fault(const char* what);

// How kernels are found: each is one of these, made when its library is loaded, and known until that is closed.
struct Kernel {
    const char* name;
    size_t args_bytes;
    u32 threads;
    void (*run)(const void* args);
    Kernel(const char* name, size_t args_bytes, u32 threads, void (*run)(const void*));
    ~Kernel();
};

struct Shuffle { u32 value, from; };
struct Ballot { u32 value; };
struct LdMatrix { u32* to; const void* row; u32 matrices; bool transposed; };
struct Mma { float* d; const u32* a; u32 b0, b1; };
}  // namespace emulator
#pragma GCC visibility pop

#define __device__
#define __forceinline__ inline __attribute__((always_inline))
#define __restrict__ __restrict
#define FN inline __attribute__((unused))
#define KERNEL(name, Args, threads, blocks)                                                                      \
    static void name##_body(const Args& a);                                                                      \
    static const emulator::Kernel name##_kernel(#name, sizeof(Args), threads,                                    \
                                                [](const void* args) { name##_body(*static_cast<const Args*>(args)); }); \
    static void name##_body([[maybe_unused]] const Args& a)
#define SHARED(type, name, count)      \
    static const char name##_site = 0; \
    auto& name = *static_cast<type(*)[count]>(emulator::shared(&name##_site, sizeof(type[count]), 16))
#define DYNAMIC_SHARED(type, name) type* const name = static_cast<type*>(emulator::dynamic_shared())

#define threadIdx (emulator::here.lane->thread)
#define blockIdx (emulator::here.block)
#define blockDim (emulator::here.block_dim)
#define gridDim (emulator::here.grid_dim)

inline void __syncthreads() { emulator::barrier(); }
inline void __syncwarp() { emulator::together(emulator::Together::sync, nullptr); }
[[noreturn]] inline void __trap() { emulator::fault("the kernel trapped"); }

inline u32 __float_as_uint(float x) { u32 y; memcpy(&y, &x, 4); return y; }
inline float __uint_as_float(u32 x) { float y; memcpy(&y, &x, 4); return y; }
inline i32 __float_as_int(float x) { return static_cast<i32>(__float_as_uint(x)); }
inline float __int_as_float(i32 x) { return __uint_as_float(static_cast<u32>(x)); }
template <class T> inline T __ldg(const T* at) { return *at; }
inline float rsqrtf(float x) { return 1 / sqrtf(x); }
inline u32 min(u32 a, u32 b) { return a < b ? a : b; }
inline u32 max(u32 a, u32 b) { return a > b ? a : b; }
inline i32 min(i32 a, i32 b) { return a < b ? a : b; }
inline i32 max(i32 a, i32 b) { return a > b ? a : b; }
inline u64 min(u64 a, u64 b) { return a < b ? a : b; }
inline u64 max(u64 a, u64 b) { return a > b ? a : b; }

inline u32 emulator_shuffle(u32 value, u32 from) {
    emulator::Shuffle shuffle{value, from};
    emulator::together(emulator::Together::shuffle, &shuffle);
    return shuffle.value;
}
template <class T> inline T shfl_idx(T value, u32 from) {
    static_assert(sizeof(T) == 4, "a lane hands 4 bytes to another");
    u32 bits;
    memcpy(&bits, &value, 4);
    bits = emulator_shuffle(bits, from % 32);
    memcpy(&value, &bits, 4);
    return value;
}
template <class T> inline T shfl_xor(T value, u32 mask) { return shfl_idx(value, emulator::here.lane->lane ^ mask); }
template <class T> inline T shfl_down(T value, u32 by) {
    u32 from = emulator::here.lane->lane + by;
    return shfl_idx(value, from < 32 ? from : emulator::here.lane->lane);
}
inline u32 ballot(bool yes) {
    emulator::Ballot ballot{yes};
    emulator::together(emulator::Together::ballot, &ballot);
    return ballot.value;
}

inline float exp2_fast(float x) { return exp2f(x); }
inline float rsqrt_fast(float x) { return 1 / sqrtf(x); }
inline float tanh_fast(float x) { return tanhf(x); }
inline float reciprocal_fast(float x) { return 1 / x; }

template <class Change> inline void emulator_atomic(float* at, Change change) {
    u32* bits = reinterpret_cast<u32*>(at);
    u32 old = __atomic_load_n(bits, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(bits, &old, __float_as_uint(change(__uint_as_float(old))), true, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED)) {
    }
}
inline void atomic_max_f32(float* at, float value) {
    emulator_atomic(at, [=](float old) { return value > old ? value : old; });
}
inline void atomic_add_f32(float* at, float value) {
    emulator_atomic(at, [=](float old) { return old + value; });
}

inline void cp_async16(void* shared, const void* global, u32 valid) { emulator::copy_later(shared, global, valid); }
inline void cp_async_commit() { emulator::copies_commit(); }
template <int N> inline void cp_async_wait() { emulator::copies_wait(N); }

inline void emulator_ldmatrix(u32* to, const void* row, u32 matrices, bool transposed) {
    emulator::LdMatrix load{to, row, matrices, transposed};
    emulator::together(emulator::Together::ldmatrix, &load);
}
inline void ldmatrix_x4(u32 (&r)[4], const void* row) { emulator_ldmatrix(r, row, 4, false); }
inline void ldmatrix_x4_trans(u32 (&r)[4], const void* row) { emulator_ldmatrix(r, row, 4, true); }
inline void ldmatrix_x2(u32 (&r)[2], const void* row) { emulator_ldmatrix(r, row, 2, false); }
inline void ldmatrix_x2_trans(u32 (&r)[2], const void* row) { emulator_ldmatrix(r, row, 2, true); }

// dev.cuh asks for it on the cards that have it.
inline void emulator_mma_bf16(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    emulator::Mma mma{d, a, b0, b1};
    emulator::together(emulator::Together::mma_bf16, &mma);
}
inline void mma_e4m3(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    emulator::Mma mma{d, a, b0, b1};
    emulator::together(emulator::Together::mma_e4m3, &mma);
}
