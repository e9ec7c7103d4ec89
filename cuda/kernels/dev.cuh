// What every kernel is written with: the only header that a kernel includes.
//
// A kernel is compiled twice from the same text: by NVRTC for a card, and by a C++ compiler for the emulator
// (cuda/emulator), in which every CUDA thread is a fiber and a warp's instructions are done when all of its lanes are
// there. So a kernel uses only what stands in this file. Where the two differ, the emulator's half is emulator.h.
//
//   KERNEL(name, Args, threads, blocks) { … a.field … }   a kernel of `threads` threads a block, of which registers shall
//                                                     let at least `blocks` blocks live on a multiprocessor; `a` is an Args
//   threadIdx.x  blockIdx.x .y .z  blockDim.x  gridDim.x .y .z      a block's threads all lie along x, in whole warps
//   SHARED(type, name, count)                         an array of the block, aligned to 16 bytes; not initialised
//   DYNAMIC_SHARED(type, name)                        the launch's shared bytes, aligned to 128 bytes; not initialised
//   FN                                                before a function that runs on the card
//   ptr<T>(address)                                   the pointer that an argument's u64 is; 0 is null
//   __syncthreads()  __syncwarp()                     by all threads of the block; of the warp
//   lane()  warp()                                    of this thread: 0..32 in its warp; its warp in the block
//
// Instructions of a warp take all 32 lanes: no lane may be elsewhere or have returned.
#pragma once

#ifdef __CUDACC__
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed int i32;

#define FN __device__ __forceinline__
#define KERNEL(name, Args, threads, blocks) \
    extern "C" __global__ void __launch_bounds__(threads, blocks) name(const __grid_constant__ Args a)
#define SHARED(type, name, count) __shared__ __align__(16) type name[count]
#define DYNAMIC_SHARED(type, name)                                   \
    extern __shared__ __align__(128) unsigned char shared_bytes[];   \
    type* const name = reinterpret_cast<type*>(shared_bytes)
#else
#include "../emulator/emulator.h"
#endif

#include "args.h"

template <class T> FN T* ptr(u64 address) { return reinterpret_cast<T*>(address); }
FN u32 lane() { return threadIdx.x % 32; }
FN u32 warp() { return threadIdx.x / 32; }
FN float infinity() { return __uint_as_float(0x7f800000); }

// ---- Instructions that a card has and the emulator imitates (emulator.h) ----------------------------------------------

FN void mma_bf16_by_lanes(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1);

#ifdef __CUDACC__
// The value of lane `lane() ^ mask`; of `lane() + by` (its own beyond the warp's end); of `from`. T has 4 bytes.
template <class T> FN T shfl_xor(T value, u32 mask) { return __shfl_xor_sync(0xffffffff, value, mask); }
template <class T> FN T shfl_down(T value, u32 by) { return __shfl_down_sync(0xffffffff, value, by); }
template <class T> FN T shfl_idx(T value, u32 from) { return __shfl_sync(0xffffffff, value, from); }
// Bit n is set where lane n says so.
FN u32 ballot(bool yes) { return __ballot_sync(0xffffffff, yes); }

// 2^x, 1/√x and tanh x as the special function unit has them: within 2 ulp; 2 ulp; 2^-11 of the outcome.
FN float exp2_fast(float x) { float y; asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x)); return y; }
FN float rsqrt_fast(float x) { float y; asm("rsqrt.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x)); return y; }
FN float tanh_fast(float x) { float y; asm("tanh.approx.f32 %0, %1;" : "=f"(y) : "f"(x)); return y; }
// 1 / x within 1 ulp; 0 of what is infinite.
FN float reciprocal_fast(float x) { float y; asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x)); return y; }

// *at = max(*at, value), whatever the order: the same bytes on every run. NaN is not told.
FN void atomic_max_f32(float* at, float value) {
    if (value >= 0) atomicMax(reinterpret_cast<int*>(at), __float_as_int(value));
    else atomicMin(reinterpret_cast<u32*>(at), __float_as_uint(value));
}
// *at += value. Sums in any order: only where every order gives the same bytes.
FN void atomic_add_f32(float* at, float value) { atomicAdd(at, value); }

// Copies 16 bytes to shared memory behind the thread's back: of them `valid` (0..16) from global memory, the rest zeros.
// Both ends lie on 16 bytes; with `valid` 0 the source is not read. It is there once its group was waited for, and the
// other threads see it after a barrier. Before sm_80 the thread copies itself.
FN void cp_async16(void* shared, const void* global, u32 valid) {
#if __CUDA_ARCH__ >= 800
    u32 to = static_cast<u32>(__cvta_generic_to_shared(shared));
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(global), "r"(valid) : "memory");
#else
    if (valid == 16) {
        *static_cast<uint4*>(shared) = *static_cast<const uint4*>(global);
        return;
    }
    for (u32 i = 0; i < 16; ++i) static_cast<u8*>(shared)[i] = i < valid ? static_cast<const u8*>(global)[i] : 0;
#endif
}
// Ends a group of copies of this thread.
FN void cp_async_commit() {
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
// Waits until all but the last N groups of this thread are there.
template <int N> FN void cp_async_wait() {
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
#endif
}

// Four (two) matrices of 8×8 halves from shared memory; lane i gives the address of row i % 8 of matrix i / 8, on 16 bytes
// (for two, lanes 0..16 count, and the others give any address that is right). Lane l gets of each matrix row l / 4, columns
// 2·(l % 4) and the next, the lower column in the lower half; of the transposed matrix with `_trans`.
FN void ldmatrix_x4(u32 (&r)[4], const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
        : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(static_cast<u32>(__cvta_generic_to_shared(row))) : "memory");
}
FN void ldmatrix_x4_trans(u32 (&r)[4], const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
        : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(static_cast<u32>(__cvta_generic_to_shared(row))) : "memory");
}
FN void ldmatrix_x2(u32 (&r)[2], const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1}, [%2];"
        : "=r"(r[0]), "=r"(r[1]) : "r"(static_cast<u32>(__cvta_generic_to_shared(row))) : "memory");
}
FN void ldmatrix_x2_trans(u32 (&r)[2], const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];"
        : "=r"(r[0]), "=r"(r[1]) : "r"(static_cast<u32>(__cvta_generic_to_shared(row))) : "memory");
}

// d += a · b for 16×16 times 16×8 of bf16, sums in f32. With g = lane / 4 and t = lane % 4, a lane holds
//   a[0]: row g, columns 2t 2t+1    a[1]: row g+8    a[2]: row g, columns 2t+8 2t+9    a[3]: row g+8, those
//   b0: column g, rows 2t 2t+1      b1: rows 2t+8 2t+9
//   d[0] d[1]: row g, columns 2t 2t+1                d[2] d[3]: row g+8
// sm_75 has no such instruction.
FN void mma_bf16(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
#if __CUDA_ARCH__ >= 800
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
    mma_bf16_by_lanes(d, a, b0, b1);
#endif
}

// d += a · b for 16×32 times 32×8 of e4m3, sums in f32. As above, with four neighbours where there are two:
//   a[0]: row g, columns 4t..4t+4   a[1]: row g+8    a[2]: row g, columns 4t+16..    a[3]: row g+8, those
//   b0: column g, rows 4t..4t+4     b1: rows 4t+16..
// From sm_89 on; a launch on an older card ends with an error.
FN void mma_e4m3(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
#if __CUDA_ARCH__ >= 890
    asm volatile(
        "mma.sync.aligned.m16n8k32.row.col.f32.e4m3.e4m3.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
    __trap();
#endif
}
#endif

// ---- Numbers ----------------------------------------------------------------------------------------------------------

// A bf16 as it lies in memory. `to_f32` and `of_f32<T>` serve kernels that exist for both precisions.
struct bf16 { u16 bits; };

FN float bf16_to_f32(u16 bits) { return __uint_as_float(static_cast<u32>(bits) << 16); }
// The upper and lower number of a packed pair.
FN float low_f32(u32 pair) { return __uint_as_float(pair << 16); }
FN float high_f32(u32 pair) { return __uint_as_float(pair & 0xffff0000); }

// To the nearest bf16, ties to even. What is no number stays none.
FN u16 f32_to_bf16(float x) {
    u32 bits = __float_as_uint(x);
    if ((bits & 0x7fffffff) > 0x7f800000) return 0x7fff;
    return static_cast<u16>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}
// Two numbers as bf16; the first in the lower half, where a lower address lies.
FN u32 pack_bf16(float low, float high) {
#if defined(__CUDACC__) && __CUDA_ARCH__ >= 800
    u32 pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
#else
    return f32_to_bf16(low) | static_cast<u32>(f32_to_bf16(high)) << 16;
#endif
}

FN float to_f32(float x) { return x; }
FN float to_f32(bf16 x) { return bf16_to_f32(x.bits); }
template <class T> FN T of_f32(float x);
template <> FN float of_f32<float>(float x) { return x; }
template <> FN bf16 of_f32<bf16>(float x) { return bf16{f32_to_bf16(x)}; }

// To the nearest e4m3 (sign, 4 bits of exponent with bias 7, 3 of mantissa; no infinity), ties to even. What is too great
// becomes ±448; what is no number stays none.
FN u32 e4m3_of(float x) {
    u32 bits = __float_as_uint(x), sign = (bits >> 24) & 0x80, size = bits & 0x7fffffff;
    if (size > 0x7f800000) return 0x7f;
    // Below 2^-6 the step is 2^-9; a carry out of the mantissa is the first normal number.
    if (size < 0x3c800000) return sign | static_cast<u32>(rintf(__uint_as_float(size) * 512));
    u32 rounded = (size + 0x7ffff + ((size >> 20) & 1)) >> 20;
    rounded = rounded - (120 << 3);
    return sign | (rounded < 0x7e ? rounded : 0x7e);
}
// Two numbers as e4m3; the first in the lower byte.
FN u16 e4m3x2_of(float low, float high) {
#if defined(__CUDACC__) && __CUDA_ARCH__ >= 890
    u16 pair;
    asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(pair) : "f"(high), "f"(low));
    return pair;
#else
    return static_cast<u16>(e4m3_of(low) | e4m3_of(high) << 8);
#endif
}
FN float e4m3_to_f32(u32 bits) {
    u32 sign = (bits & 0x80) << 24, exponent = (bits >> 3) & 15, mantissa = bits & 7;
    if ((bits & 0x7f) == 0x7f) return __uint_as_float(0x7fffffff);
    if (exponent == 0) return __uint_as_float(sign | __float_as_uint(static_cast<float>(mantissa) * (1.0f / 512)));
    return __uint_as_float(sign | (exponent + 120) << 23 | mantissa << 20);
}

// mma_bf16 without tensor cores: lanes hand each other what they hold, and multiply. Slow, and the same sums.
FN void mma_bf16_by_lanes(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    u32 g = lane() / 4, t = lane() % 4;
#pragma unroll
    for (u32 half = 0; half < 2; ++half) {
#pragma unroll
        for (u32 pair = 0; pair < 4; ++pair) {
            // Two neighbours along k: of rows g and g+8 of a, and of columns 2t and 2t+1 of b.
            u32 upper = shfl_idx(a[2 * half], g * 4 + pair), lower = shfl_idx(a[2 * half + 1], g * 4 + pair);
            u32 left = shfl_idx(half ? b1 : b0, 8 * t + pair), right = shfl_idx(half ? b1 : b0, 8 * t + 4 + pair);
#pragma unroll
            for (u32 k = 0; k < 2; ++k) {
                float up = __uint_as_float(k ? upper & 0xffff0000 : upper << 16);
                float low = __uint_as_float(k ? lower & 0xffff0000 : lower << 16);
                float l = __uint_as_float(k ? left & 0xffff0000 : left << 16);
                float r = __uint_as_float(k ? right & 0xffff0000 : right << 16);
                d[0] += up * l, d[1] += up * r, d[2] += low * l, d[3] += low * r;
            }
        }
    }
}
#ifndef __CUDACC__
FN void mma_bf16(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    emulator::capability() < 80 ? mma_bf16_by_lanes(d, a, b0, b1) : emulator_mma_bf16(d, a, b0, b1);
}
#endif

// Of all lanes, in every lane; added in one order, so that every run gives the same bytes.
FN float warp_sum(float x) {
    for (u32 mask = 16; mask > 0; mask /= 2) x += shfl_xor(x, mask);
    return x;
}
FN float warp_max(float x) {
    for (u32 mask = 16; mask > 0; mask /= 2) x = fmaxf(x, shfl_xor(x, mask));
    return x;
}
