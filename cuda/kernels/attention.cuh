// What the kernels of attention share: where the answers of a token go, and the scores' mask.
//
// Queries, keys and values come packed as [pictures · heads, tokens, padded] (attention_pack.cu), tokens of all streams one
// after the other. A block has a tile of queries (x) of a head of a picture (y), and meets tiles of keys in their order:
//   scores = scale · q · kᵀ + bias; a larger maximum than so far shrinks what was summed; exponentials, their sum;
//   answers += exponentials · values. In the end the answers are divided by the sums.
#pragma once
#include "rows.cuh"

namespace attention {
// `Meet` (launch/attention/meet.rs).
enum Mask : u32 { FULL = 0, CAUSAL = 1, BIAS = 2 };
constexpr u32 STREAMS = sizeof(MeetArgs::out) / sizeof(Mat);

// Whether a token of `from` up to `to` asks.
FN bool asked(const MeetArgs& a, u32 from, u32 to) {
    bool any = false;
#pragma unroll
    for (u32 s = 0; s < STREAMS; ++s) any |= a.out[s].at && a.first[s] < to && a.first[s + 1] > from;
    return any;
}

// The stream of a token.
FN u32 stream_of(const MeetArgs& a, u32 token) {
    u32 stream = 0;
#pragma unroll
    for (u32 s = 1; s < STREAMS; ++s) stream += token >= a.first[s] && a.first[s] < a.tokens;
    return stream;
}

// The features of the block's head of a token, in the matrix of its stream; null where there is none.
template <class T> FN T* row_in(const MeetArgs& a, const Mat (&mats)[STREAMS], u32 token) {
    u32 stream = stream_of(a, token), first = a.first[stream], own = a.first[stream + 1] - first;
    const Mat& mat = mats[stream];
    return mat.at ? rows::row_of<T>(mat, blockIdx.y / a.heads * own + token - first) + blockIdx.y % a.heads * a.head : nullptr;
}

// Where the answers of a token go for the block's head; null where nobody asks.
template <class T> FN T* out_of(const MeetArgs& a, u32 token) { return row_in<T>(a, a.out, token); }

// Keys that queries before `to` look at.
FN u32 keys_of(const MeetArgs& a, u32 mask, u32 to) { return mask == CAUSAL ? min(a.tokens, to) : a.tokens; }

// The packed rows of the block's head: 0 are keys, 1 values, 2 queries.
template <class T> FN const T* packed(const MeetArgs& a, u32 which) {
    return ptr<T>(a.packed[which]) + u64(blockIdx.y) * a.tokens * a.padded;
}

// What is added to the scores of the block's head.
FN const float* bias_of(const MeetArgs& a) { return rows::row_of<float>(a.bias, blockIdx.y % a.heads); }
}  // namespace attention
