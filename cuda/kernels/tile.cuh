// What products share: how tiles come into shared memory, how they are multiplied, and what happens to sums before they are
// stored. gemm.cu, conv.cu and fp8.cu are made of it.
//
// A block owns a tile of the outcome. It walks along k in steps of 64 bytes: 32 numbers of bf16, 16 singles, 64 of e4m3. A
// step of one side is a stage's slab in shared memory, 64 bytes a row in four pieces of 16. Several stages are under way:
// while one is multiplied, the next ones are copied. Piece p of row r lies at p ^ (r / 2 % 4), so that eight rows' pieces p,
// which an ldmatrix or eight lanes read at once, lie in all 32 banks.
//
// All sums over k are taken in the same order whatever the tile: a row's bytes do not depend on the tile that it is in.
#pragma once
#include "dev.cuh"

constexpr u32 STEP_BYTES = 64;
constexpr u32 PIECE_BYTES = 16;
// `flags` of launches.
constexpr u32 PIECES = 1;

// Blocks of 128 threads and 64×64 numbers whose registers an SM shall have room for. sm_75 multiplies bf16 by handing numbers
// from lane to lane, which takes more registers; its launches know only these small tiles (launch/product.rs).
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
#define TENSOR_CORES 0
constexpr u32 BESIDE = 2;
#else
#define TENSOR_CORES 1
constexpr u32 BESIDE = 4;
#endif

FN u32 swizzled(u32 row, u32 piece) { return row * STEP_BYTES + ((piece ^ (row / 2 % 4)) * PIECE_BYTES); }

// ---- Where a block is -------------------------------------------------------------------------------------------------

struct Corner { u32 row, col; };

// The tile of a block. Blocks next to each other run at the same time: they go down eight tiles before they go across, so
// that what runs together reads few rows of either side, again and again out of the second cache.
template <u32 ROWS, u32 COLS> FN Corner corner(const Mat& out) {
    const u32 DOWN = 8;
    u32 down = (out.rows + ROWS - 1) / ROWS, across = (out.cols + COLS - 1) / COLS;
    u32 group = blockIdx.x / (DOWN * across), within = blockIdx.x % (DOWN * across);
    u32 first = group * DOWN, height = min(down - first, DOWN);
    return Corner{(first + within % height) * ROWS, within / height * COLS};
}

// ---- Sides: from global to shared memory ------------------------------------------------------------------------------

// Where row r of a side lies in a slab: rows in turn, or so that the columns 8·x + j of x = 0..8 lie together, which lanes
// of the kernel for singles read at once.
struct InTurn { static FN u32 of(u32 row) { return row; } };
struct Spread { static FN u32 of(u32 row) { return (row / 64 * 64) + (row % 8) * 8 + (row / 8 % 8); } };

// Rows of a matrix, k side by side. Four threads copy a row, a piece each; a thread has every THREADS / 4th row.
template <u32 ROWS, u32 THREADS, u32 NUMBER_BYTES, bool EVEN, class Order = InTurn> struct Side {
    static constexpr u32 APART = THREADS / 4, PASSES = (ROWS + APART - 1) / APART;
    // The thread's first row, at its piece of step 0; bytes from there to its next row.
    const u8* from;
    u64 apart;
    // Rows of the matrix from its first one on, 0 or less where there are none.
    i32 rows;
    // Bytes of k to the end, from its piece of the next step on.
    i32 left;

    FN Side(const Mat& mat, u32 first_row, u32 k_from, u32 k_to) {
        u32 row = threadIdx.x / 4, piece = threadIdx.x % 4;
        from = ptr<const u8>(mat.at) + static_cast<u64>(first_row + row) * mat.stride * NUMBER_BYTES +
               static_cast<u64>(k_from) * NUMBER_BYTES + piece * PIECE_BYTES;
        apart = static_cast<u64>(mat.stride) * NUMBER_BYTES * APART;
        rows = static_cast<i32>(mat.rows) - static_cast<i32>(first_row + row);
        left = static_cast<i32>((k_to - k_from) * NUMBER_BYTES) - static_cast<i32>(piece * PIECE_BYTES);
    }

    // Begins to copy the next step into `slab`. What lies outside of the matrix becomes zeros.
    FN void load(u8* slab) {
        u32 row = threadIdx.x / 4, piece = threadIdx.x % 4;
        i32 bytes = max(0, min(left, static_cast<i32>(PIECE_BYTES)));
#pragma unroll
        for (u32 pass = 0; pass < PASSES; ++pass) {
            if (ROWS % APART != 0 && pass * APART + row >= ROWS) continue;
            u32 valid = static_cast<i32>(pass * APART) < rows ? static_cast<u32>(bytes) : 0;
            u8* to = slab + swizzled(Order::of(pass * APART + row), piece);
            const u8* at = from + pass * apart;
            if (EVEN) {
                cp_async16(to, at, valid);
            } else {
                copy_odd(to, at, valid);
            }
        }
        from += STEP_BYTES;
        left -= STEP_BYTES;
    }

    // Number by number: rows begin anywhere.
    static FN void copy_odd(u8* to, const u8* at, u32 valid) {
        u32 words[4] = {};
#pragma unroll
        for (u32 i = 0; i < PIECE_BYTES / NUMBER_BYTES; ++i) {
            if (i * NUMBER_BYTES >= valid) continue;
            if (NUMBER_BYTES == 4) words[i] = reinterpret_cast<const u32*>(at)[i];
            if (NUMBER_BYTES == 2) words[i / 2] |= static_cast<u32>(reinterpret_cast<const u16*>(at)[i]) << (i % 2 * 16);
        }
        *reinterpret_cast<uint4*>(to) = make_uint4(words[0], words[1], words[2], words[3]);
    }
};

// ---- Sums -------------------------------------------------------------------------------------------------------------

struct Bf16Product {
    static FN void multiply(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) { mma_bf16(d, a, b0, b1); }
};
struct E4m3Product {
    static FN void multiply(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) { mma_e4m3(d, a, b0, b1); }
};

// A block of DOWN × ACROSS warps on the tensor cores, for a tile of ROWS × COLS. A warp owns a part of the tile as products
// of 16 × 8; a lane holds of each rows g and g + 8, columns 2t and 2t + 1, with g = lane / 4, t = lane % 4.
template <class Product, u32 ROWS_, u32 COLS_, u32 DOWN, u32 ACROSS, u32 STAGES> struct Cores {
    static constexpr u32 ROWS = ROWS_, COLS = COLS_, THREADS = DOWN * ACROSS * 32;
    static constexpr u32 WARP_ROWS = ROWS / DOWN, WARP_COLS = COLS / ACROSS, TALL = WARP_ROWS / 16, WIDE = WARP_COLS / 8;
    static constexpr u32 STAGE_BYTES = (ROWS + COLS) * STEP_BYTES;
    using RightOrder = InTurn;
    static_assert(WARP_ROWS % 16 == 0 && (WIDE == 2 || WIDE % 4 == 0), "a warp ends in sixteens");

    float sums[TALL][WIDE][4];

    // 32 bytes of k of both sides, as the tensor cores want them.
    struct Half { u32 left[TALL][4], right[WIDE / 2][4]; };

    static FN void read(Half& half, const u8* stage, u32 left_at, u32 right_at) {
#pragma unroll
        for (u32 i = 0; i < TALL; ++i) ldmatrix_x4(half.left[i], stage + left_at + i * 16 * STEP_BYTES);
#pragma unroll
        for (u32 j = 0; j < WIDE / 2; ++j) ldmatrix_x4(half.right[j], stage + right_at + j * 16 * STEP_BYTES);
    }

    FN void multiply(const Half& half) {
#pragma unroll
        for (u32 i = 0; i < TALL; ++i) {
#pragma unroll
            for (u32 j = 0; j < WIDE; ++j) {
                Product::multiply(sums[i][j], half.left[i], half.right[j / 2][j % 2 * 2], half.right[j / 2][j % 2 * 2 + 1]);
            }
        }
    }

    // Adds up `steps` steps. Halves are read one ahead of the tensor cores, stages are copied STAGES - 1 ahead.
    template <class Left, class Right> FN void run(Left& left, Right& right, u8* shared, u32 steps) {
        if (!TENSOR_CORES && ROWS * COLS > 64 * 64) __trap();
#pragma unroll
        for (u32 i = 0; i < TALL; ++i)
#pragma unroll
            for (u32 j = 0; j < WIDE; ++j)
#pragma unroll
                for (u32 at = 0; at < 4; ++at) sums[i][j][at] = 0;

#pragma unroll
        for (u32 stage = 0; stage < STAGES - 1; ++stage) {
            if (stage < steps) {
                left.load(shared + stage * STAGE_BYTES);
                right.load(shared + stage * STAGE_BYTES + ROWS * STEP_BYTES);
            }
            cp_async_commit();
        }
        // An ldmatrix of the left side takes rows 0..8 and 8..16 of the first piece, then of the second; of the right side
        // both pieces of rows 0..8, then of 8..16. The other half of the step is two pieces on: 32 bytes away by xor.
        u32 down = warp() / ACROSS * WARP_ROWS, across = warp() % ACROSS * WARP_COLS;
        u32 left_at = swizzled(down + lane() % 16, lane() / 16);
        u32 right_at = ROWS * STEP_BYTES + swizzled(across + lane() % 8 + lane() / 16 * 8, lane() / 8 % 2);

        cp_async_wait<STAGES - 2>();
        __syncthreads();
        Half halves[2];
        u32 slot = 0, free = STAGES - 1;
        read(halves[0], shared, left_at, right_at);
        for (u32 step = 0; step < steps; ++step) {
            const u8* stage = shared + slot * STAGE_BYTES;
            read(halves[1], stage, left_at ^ 32, right_at ^ 32);
            // The slot of the step before: all warps read the last of it before the barrier that they have passed.
            if (step + STAGES - 1 < steps) {
                left.load(shared + free * STAGE_BYTES);
                right.load(shared + free * STAGE_BYTES + ROWS * STEP_BYTES);
            }
            // An empty group too, so that groups and steps keep in step.
            cp_async_commit();
            multiply(halves[0]);

            free = slot;
            slot = slot + 1 == STAGES ? 0 : slot + 1;
            cp_async_wait<STAGES - 2>();
            __syncthreads();
            // Behind the last step these are not used.
            read(halves[0], shared + slot * STAGE_BYTES, left_at, right_at);
            multiply(halves[1]);
        }
    }

    // Gives `store(rows, cols, numbers)` all sums of this lane in runs of eight columns, four runs at a time. Of four products
    // side by side, the four lanes of a row hold two columns each; they swap so that each has all eight of one. A warp's
    // stores then fill whole sectors of 32 bytes.
    template <class Store> FN void each(Corner corner, Store store) {
        u32 g = lane() / 4, t = lane() % 4;
        u32 row = corner.row + warp() / ACROSS * WARP_ROWS + g, col = corner.col + warp() % ACROSS * WARP_COLS;
        // Not unrolled: four copies of `store` are enough for the cache of instructions.
#pragma unroll 1
        for (u32 tall = 0; tall < TALL; ++tall) {
            float four[WIDE][4];
            // Registers have no index at run time.
#pragma unroll
            for (u32 i = 0; i < TALL; ++i) {
                if (i != tall) continue;
#pragma unroll
                for (u32 j = 0; j < WIDE; ++j)
#pragma unroll
                    for (u32 at = 0; at < 4; ++at) four[j][at] = sums[i][j][at];
            }
            if (WIDE == 2) {
                // Rows g and g + 8 of both products.
                u32 rows[1] = {row + tall * 16 + t / 2 * 8}, cols[1] = {col + t % 2 * 8};
                float y[1][8];
                swap(y[0], four[0][0], four[0][1], four[1][0], four[1][1], four[0][2], four[0][3], four[1][2], four[1][3]);
                store(rows, cols, y);
                continue;
            }
            constexpr u32 RUNS = WIDE == 2 ? 1 : WIDE / 2;
            u32 rows[RUNS], cols[RUNS];
            float y[RUNS][8];
#pragma unroll
            for (u32 run = 0; run < RUNS; ++run) {
                // Of one row, then of the row eight below.
                u32 below = run / (RUNS / 2 ? RUNS / 2 : 1), j = run % (RUNS / 2 ? RUNS / 2 : 1) * 4, at = below * 2;
                rows[run] = row + tall * 16 + below * 8;
                cols[run] = col + (j + t) * 8;
                if (j + 3 < WIDE) {
                    swap(y[run], four[j][at], four[j][at + 1], four[j + 1][at], four[j + 1][at + 1], four[j + 2][at],
                         four[j + 2][at + 1], four[j + 3][at], four[j + 3][at + 1]);
                }
            }
            store(rows, cols, y);
        }
    }

    // Lane t of four gives pairs a, b, c, d and gets the t-th pair of all four lanes.
    static FN void swap(float (&y)[8], float a0, float a1, float b0, float b1, float c0, float c1, float d0, float d1) {
        bool odd = lane() % 2 == 1, high = lane() / 2 % 2 == 1;
        // With the neighbour: a for b, c for d.
        float p0 = shfl_xor(odd ? a0 : b0, 1), p1 = shfl_xor(odd ? a1 : b1, 1);
        float q0 = shfl_xor(odd ? c0 : d0, 1), q1 = shfl_xor(odd ? c1 : d1, 1);
        float low[4] = {odd ? p0 : a0, odd ? p1 : a1, odd ? b0 : p0, odd ? b1 : p1};
        float up[4] = {odd ? q0 : c0, odd ? q1 : c1, odd ? d0 : q0, odd ? d1 : q1};
        // With the lane two on: the upper pairs for the lower ones.
#pragma unroll
        for (u32 i = 0; i < 4; ++i) {
            float got = shfl_xor(high ? low[i] : up[i], 2);
            y[i] = high ? got : low[i];
            y[4 + i] = high ? up[i] : got;
        }
    }
};

// A block of DOWN × ACROSS warps with multiply-adds of singles, for a tile of ROWS × COLS. A warp owns 4·TALL rows and 64
// columns; a lane rows 4·i + lane / 8 and the eight columns from 8·(lane % 8) on.
template <u32 ROWS_, u32 COLS_, u32 DOWN, u32 ACROSS, u32 STAGES> struct Singles {
    static constexpr u32 ROWS = ROWS_, COLS = COLS_, THREADS = DOWN * ACROSS * 32;
    static constexpr u32 WARP_ROWS = ROWS / DOWN, TALL = WARP_ROWS / 4;
    static constexpr u32 STAGE_BYTES = (ROWS + COLS) * STEP_BYTES;
    using RightOrder = Spread;
    static_assert(COLS / ACROSS == 64 && WARP_ROWS % 8 == 0, "a warp has 64 columns");

    float sums[TALL][8];

    static FN float4 read(const u8* slab, u32 row, u32 piece) {
        return *reinterpret_cast<const float4*>(slab + swizzled(row, piece));
    }

    template <class Left, class Right> FN void run(Left& left, Right& right, u8* shared, u32 steps) {
#pragma unroll
        for (u32 i = 0; i < TALL; ++i)
#pragma unroll
            for (u32 j = 0; j < 8; ++j) sums[i][j] = 0;
#pragma unroll
        for (u32 stage = 0; stage < STAGES - 1; ++stage) {
            if (stage < steps) {
                left.load(shared + stage * STAGE_BYTES);
                right.load(shared + stage * STAGE_BYTES + ROWS * STEP_BYTES);
            }
            cp_async_commit();
        }
        u32 down = warp() / ACROSS * WARP_ROWS + lane() / 8, across = warp() % ACROSS * 64 + lane() % 8;
        u32 slot = 0, free = STAGES - 1;
        for (u32 step = 0; step < steps; ++step) {
            cp_async_wait<STAGES - 2>();
            __syncthreads();
            // The slot of the step before, which all warps have left: they are behind the barrier.
            if (step + STAGES - 1 < steps) {
                left.load(shared + free * STAGE_BYTES);
                right.load(shared + free * STAGE_BYTES + ROWS * STEP_BYTES);
            }
            cp_async_commit();
            const u8* of_left = shared + slot * STAGE_BYTES;
            const u8* of_right = of_left + ROWS * STEP_BYTES;
            // Four numbers of k at a time. Not unrolled: a piece is 32 × TALL multiply-adds already.
#pragma unroll 1
            for (u32 piece = 0; piece < 4; ++piece) {
                float4 rows[TALL];
#pragma unroll
                for (u32 i = 0; i < TALL; ++i) rows[i] = read(of_left, down + i * 4, piece);
#pragma unroll
                for (u32 j = 0; j < 8; ++j) {
                    float4 col = read(of_right, across + j * 8, piece);
#pragma unroll
                    for (u32 i = 0; i < TALL; ++i) {
                        float sum = sums[i][j];
                        sum = fmaf(rows[i].x, col.x, sum);
                        sum = fmaf(rows[i].y, col.y, sum);
                        sum = fmaf(rows[i].z, col.z, sum);
                        sums[i][j] = fmaf(rows[i].w, col.w, sum);
                    }
                }
            }
            free = slot;
            slot = slot + 1 == STAGES ? 0 : slot + 1;
        }
    }

    // As `Cores::each`; a run at a time.
    template <class Store> FN void each(Corner corner, Store store) {
        u32 row = corner.row + warp() / ACROSS * WARP_ROWS + lane() / 8;
        u32 col = corner.col + warp() % ACROSS * 64 + lane() % 8 * 8;
#pragma unroll 1
        for (u32 tall = 0; tall < TALL; ++tall) {
            float y[1][8];
#pragma unroll
            for (u32 i = 0; i < TALL; ++i) {
                if (i != tall) continue;
#pragma unroll
                for (u32 j = 0; j < 8; ++j) y[0][j] = sums[i][j];
            }
            u32 rows[1] = {row + tall * 4}, cols[1] = {col};
            store(rows, cols, y);
        }
    }
};

// ---- Ends: from sums to what is stored --------------------------------------------------------------------------------

// Eight numbers as they lie in memory, so that those of bf16 take four registers until they are used.
template <class T> struct Eight { u32 words[2 * sizeof(T)]; };
FN float number(const Eight<bf16>& eight, u32 i) { return i % 2 ? high_f32(eight.words[i / 2]) : low_f32(eight.words[i / 2]); }
FN float number(const Eight<float>& eight, u32 i) { return __uint_as_float(eight.words[i]); }

FN void set(Eight<bf16>& eight, const float (&x)[8]) {
#pragma unroll
    for (u32 i = 0; i < 4; ++i) eight.words[i] = pack_bf16(x[2 * i], x[2 * i + 1]);
}
FN void set(Eight<float>& eight, const float (&x)[8]) {
#pragma unroll
    for (u32 i = 0; i < 8; ++i) eight.words[i] = __float_as_uint(x[i]);
}

// Eight numbers from `from` on; of them `count`, where not `whole`, and zeros.
template <class T> FN Eight<T> load8(const T* from, bool whole, u32 count) {
    Eight<T> eight = {};
    if (whole) {
#pragma unroll
        for (u32 i = 0; i < sizeof(T) / 2; ++i) {
            uint4 piece = reinterpret_cast<const uint4*>(from)[i];
            eight.words[4 * i] = piece.x, eight.words[4 * i + 1] = piece.y;
            eight.words[4 * i + 2] = piece.z, eight.words[4 * i + 3] = piece.w;
        }
    } else {
        float x[8];
#pragma unroll
        for (u32 i = 0; i < 8; ++i) x[i] = i < count ? to_f32(from[i]) : 0;
        set(eight, x);
    }
    return eight;
}
template <class T> FN void store8(T* to, const float (&x)[8], bool whole, u32 count) {
    if (whole) {
        Eight<T> eight;
        set(eight, x);
#pragma unroll
        for (u32 i = 0; i < sizeof(T) / 2; ++i) {
            reinterpret_cast<uint4*>(to)[i] =
                make_uint4(eight.words[4 * i], eight.words[4 * i + 1], eight.words[4 * i + 2], eight.words[4 * i + 3]);
        }
        return;
    }
#pragma unroll
    for (u32 i = 0; i < 8; ++i) {
        if (i < count) to[i] = of_f32<T>(x[i]);
    }
}

// x / (1 + e^-z), by which three of the activations are said. In bf16 with the special function unit, whose error of some
// 2^-22 is lost in the rounding to 2^-9; singles with the functions that are right to the last digit or two.
template <class T> FN float times_sigmoid(float x, float z);
template <> FN float times_sigmoid<float>(float x, float z) { return x / (1 + expf(-z)); }
template <> FN float times_sigmoid<bf16>(float x, float z) {
    return x * reciprocal_fast(1 + exp2_fast(z * -1.4426950408889634f));
}

// `ACTS` of launches, in their order; 0 is none. tanh by its e-function: (1 + tanh u) / 2 = 1 / (1 + e^-2u).
template <class T> FN void activate8(float (&y)[8], u32 act) {
    if (act == 1) {
#pragma unroll
        for (u32 i = 0; i < 8; ++i) y[i] = times_sigmoid<T>(y[i], y[i]);
    } else if (act == 2) {
#pragma unroll
        for (u32 i = 0; i < 8; ++i) y[i] = 0.5f * y[i] * (1 + erff(y[i] * 0.70710678118654752f));
    } else if (act == 3) {
#pragma unroll
        for (u32 i = 0; i < 8; ++i) {
            float inner = 0.7978846f * (y[i] + 0.044715f * y[i] * y[i] * y[i]);
            y[i] = times_sigmoid<T>(y[i], 2 * inner);
        }
    } else if (act == 4) {
#pragma unroll
        for (u32 i = 0; i < 8; ++i) y[i] = times_sigmoid<T>(y[i], 1.702f * y[i]);
    }
}

// out = then(act(y + bias)) for N runs of eight columns, as `finish` of sidecar/diffusion/src/plain.rs has it. All that is
// read is asked for before anything is stored, so that one wait serves N runs; each number is read by the thread that
// stores it, so that out may lie on what it is combined with.
template <class T, u32 N, class Args> FN void finish(const Args& a, const u32 (&rows)[N], const u32 (&cols)[N], float (&y)[N][8]) {
    bool pieces = (a.flags & PIECES) != 0;
    u32 kind = a.then.kind;
    Eight<T> that[N], gate[N];
#pragma unroll
    for (u32 n = 0; n < N; ++n) {
        if (rows[n] >= a.out.rows || cols[n] >= a.out.cols) continue;
        u32 count = a.out.cols - cols[n];
        bool whole = pieces && count >= 8;
        if (kind != 0) {
            u32 row = a.then.that.rows == a.out.rows ? rows[n] : rows[n] % a.then.that.rows;
            that[n] = load8(ptr<const T>(a.then.that.at) + static_cast<u64>(row) * a.then.that.stride + cols[n], whole, count);
        }
        if (kind == 3) {
            u32 row = rows[n] / a.then.tokens;
            gate[n] = load8(ptr<const T>(a.then.gate.at) + static_cast<u64>(row) * a.then.gate.stride + cols[n], whole, count);
        }
    }
#pragma unroll
    for (u32 n = 0; n < N; ++n) {
        if (rows[n] >= a.out.rows || cols[n] >= a.out.cols) continue;
        u32 count = a.out.cols - cols[n];
        bool whole = pieces && count >= 8;
        if (a.bias != 0) {
            Eight<float> bias = load8(ptr<const float>(a.bias) + cols[n], whole, count);
#pragma unroll
            for (u32 i = 0; i < 8; ++i) y[n][i] += number(bias, i);
        }
        if (a.act != 0) activate8<T>(y[n], a.act);
        if (kind == 1) {
#pragma unroll
            for (u32 i = 0; i < 8; ++i) y[n][i] += number(that[n], i);
        } else if (kind == 2) {
#pragma unroll
            for (u32 i = 0; i < 8; ++i) y[n][i] *= number(that[n], i);
        } else if (kind == 3) {
#pragma unroll
            for (u32 i = 0; i < 8; ++i) y[n][i] = number(that[n], i) + number(gate[n], i) * y[n][i];
        }
        store8(ptr<T>(a.out.at) + static_cast<u64>(rows[n]) * a.out.stride + cols[n], y[n], whole, count);
    }
}
