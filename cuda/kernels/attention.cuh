// What the kernels of attention share: where the answers of a token go, and the scores' mask.
//
// Queries, keys and values come packed as [pictures · heads, tokens, padded] (attention_pack.cu), tokens of all streams one
// after the other. A block has a tile of queries (x) of a head of a picture (y), and meets tiles of keys in their order:
//   scores = scale · q · kᵀ + bias; a larger maximum than so far shrinks what was summed; exponentials, their sum;
//   answers += exponentials · values. In the end the answers are divided by the sums.
#pragma once
#include "rows.cuh"

namespace attention {
// `Meet` (launch/attention.rs).
enum Mask : u32 { FULL = 0, CAUSAL = 1, BIAS = 2 };
constexpr u32 STREAMS = sizeof(MeetArgs::out) / sizeof(Mat);

// Whether a token of `from` up to `to` asks.
FN bool asked(const MeetArgs& a, u32 from, u32 to) {
    bool any = false;
#pragma unroll
    for (u32 s = 0; s < STREAMS; ++s) any |= a.out[s].at && a.first[s] < to && a.first[s + 1] > from;
    return any;
}

// Where the answers of a token go for the block's head; null where nobody asks.
template <class T> FN T* out_of(const MeetArgs& a, u32 token) {
    u32 picture = blockIdx.y / a.heads, head = blockIdx.y % a.heads;
    T* out = nullptr;
#pragma unroll
    for (u32 s = 0; s < STREAMS; ++s) {
        u32 first = a.first[s], end = a.first[s + 1];
        if (token >= first && token < end && a.out[s].at) {
            out = rows::row_of<T>(a.out[s], picture * (end - first) + token - first) + head * a.head;
        }
    }
    return out;
}

// Keys that queries before `to` look at.
FN u32 keys_of(const MeetArgs& a, u32 mask, u32 to) { return mask == CAUSAL ? min(a.tokens, to) : a.tokens; }

// The packed rows of the block's head: 0 are queries, 1 keys, 2 values.
template <class T> FN const T* packed(const MeetArgs& a, u32 which) {
    return ptr<T>(a.packed[which]) + u64(blockIdx.y) * a.tokens * a.padded;
}

// What is added to the scores of the block's head.
FN const float* bias_of(const MeetArgs& a) { return rows::row_of<float>(a.bias, blockIdx.y % a.heads); }
}  // namespace attention
