// out[p][c] = act((x[p][c] - mean[g]) / √(variance[g] + eps) · weight[c] + bias[c]), over the pixels p of a picture and the
// channels c of group g together.
//
// Shapes: x, out [pictures · pixels, channels], rows `stride` apart; weight, bias [channels] singles.
// CPU reference: plain.rs `group_norm`, `act`. Sums in f32 of what is left after a number of the thread's own is taken away;
//   means and squares of parts are then merged (Chan, Golub and LeVeque 1979), so a mean far from zero costs no digits.
// Launch: group_norm_sums and _apply: block = piece of a picture (x) × up to 256 vectors of channels (y) × picture (z);
//   group_norm_stats: block = group (x) × picture (z). 256 threads. Pieces hang on the shape alone.
// Bytes: x twice, out once; about 12 FLOPs a number: bound by memory. 1024² pixels of 128 channels are 512 pieces or more.
// Fraction of roofline: not yet run on a GPU.
#include "rows.cuh"

namespace group_norm {
constexpr u32 THREADS = 256;

// What a block has: some vectors of channels, and pixels of a piece. Threads stand side by side along the channels, and as
// many times as fit along the pixels.
template <u32 V> struct Part {
    // First channel, and how many.
    u32 channel, channels;
    // Vectors of a pixel, and pixels at once.
    u32 vectors, lanes;
    // Of this thread: its first channel in the part, and its first pixel; beyond `lanes` it has none.
    u32 own, lane;
    // First row, and rows.
    u64 row;
    u32 count;

    FN explicit Part(const GroupNormArgs& a) {
        channel = blockIdx.y * a.columns;
        channels = min(a.columns, a.x.cols - channel);
        vectors = channels / V;
        lanes = THREADS / vectors;
        own = threadIdx.x % vectors * V;
        lane = threadIdx.x / vectors;
        u32 first = blockIdx.x * a.piece;
        row = u64(blockIdx.z) * a.pixels + first;
        count = min(a.piece, a.pixels - first);
    }
    // Pixels of lane `l`.
    FN u32 pixels(u32 l) const { return l < count ? (count - l + lanes - 1) / lanes : 0; }
};

template <class T, u32 V> FN void sums(const GroupNormArgs& a) {
    SHARED(float, means, THREADS* V);
    SHARED(float, squares, THREADS* V);
    Part<V> part(a);
    if (part.lane < part.lanes) {
        const T* x = ptr<T>(a.x.at) + part.row * a.x.stride + part.channel + part.own;
        float shift[V] = {}, sum[V] = {}, square[V] = {};
        u32 mine = part.pixels(part.lane);
        if (mine) rows::load<T, V>(shift, x + u64(part.lane) * a.x.stride);
#pragma unroll 4
        for (u32 p = part.lane; p < part.count; p += part.lanes) {
            float numbers[V];
            rows::load<T, V>(numbers, x + u64(p) * a.x.stride);
#pragma unroll
            for (u32 j = 0; j < V; ++j) {
                float left = numbers[j] - shift[j];
                sum[j] += left;
                square[j] += left * left;
            }
        }
        float by = mine ? 1.0f / mine : 0;
#pragma unroll
        for (u32 j = 0; j < V; ++j) {
            u32 at = part.lane * part.channels + part.own + j;
            means[at] = shift[j] + sum[j] * by;
            squares[at] = fmaxf(square[j] - sum[j] * sum[j] * by, 0);
        }
    }
    __syncthreads();
    // A thread merges all lanes of a channel, in their order.
    for (u32 c = threadIdx.x; c < part.channels; c += THREADS) {
        float base = means[c], off = 0, square = 0;
        for (u32 l = 0; l < part.lanes; ++l) off += (means[l * part.channels + c] - base) * part.pixels(l);
        off /= part.count;
        for (u32 l = 0; l < part.lanes; ++l) {
            float left = means[l * part.channels + c] - base - off;
            square += squares[l * part.channels + c] + left * left * part.pixels(l);
        }
        u64 to = (u64(blockIdx.z) * a.pieces + blockIdx.x) * a.x.cols + part.channel + c;
        ptr<float2>(a.sums)[to] = make_float2(base + off, square);
    }
}

// The sum of all threads' numbers, in every thread; added in one order.
FN float block_sum(float x, float* box) {
    x = warp_sum(x);
    __syncthreads();
    if (lane() == 0) box[warp()] = x;
    __syncthreads();
    float sum = 0;
    for (u32 w = 0; w < THREADS / 32; ++w) sum += box[w];
    return sum;
}

template <class T, u32 V> FN void apply(const GroupNormArgs& a) {
    Part<V> part(a);
    if (part.lane >= part.lanes) return;
    u32 size = a.x.cols / a.groups, channel = part.channel + part.own;
    float mean[V], by[V], bias[V];
    rows::params<V>(by, ptr<float>(a.weight), channel, 1);
    rows::params<V>(bias, ptr<float>(a.bias), channel, 0);
#pragma unroll
    for (u32 j = 0; j < V; ++j) {
        float2 of = ptr<float2>(a.stats)[blockIdx.z * a.groups + (channel + j) / size];
        mean[j] = of.x;
        by[j] *= of.y;
    }
    const T* x = ptr<T>(a.x.at) + part.row * a.x.stride + channel;
    T* out = ptr<T>(a.out.at) + part.row * a.out.stride + channel;
#pragma unroll 2
    for (u32 p = part.lane; p < part.count; p += part.lanes) {
        float y[V];
        rows::load<T, V>(y, x + u64(p) * a.x.stride);
#pragma unroll
        for (u32 j = 0; j < V; ++j) y[j] = rows::act(a.act, (y[j] - mean[j]) * by[j] + bias[j]);
        rows::store<T, V>(out + u64(p) * a.out.stride, y);
    }
}
}  // namespace group_norm

KERNEL(group_norm_sums_bf16, GroupNormArgs, 256, 4) {
    if (a.wide) group_norm::sums<bf16, 8>(a);
    else group_norm::sums<bf16, 1>(a);
}
KERNEL(group_norm_sums_f32, GroupNormArgs, 256, 4) {
    if (a.wide) group_norm::sums<float, 4>(a);
    else group_norm::sums<float, 1>(a);
}

// A block merges what all pieces say of the channels of its group; a thread has every 256th of them.
KERNEL(group_norm_stats, GroupNormArgs, 256, 4) {
    SHARED(float, box, group_norm::THREADS / 32);
    u32 size = a.x.cols / a.groups, entries = a.pieces * size;
    const float2* sums = ptr<float2>(a.sums) + u64(blockIdx.z) * a.pieces * a.x.cols + blockIdx.x * size;
    auto at = [&](u32 i) { return sums[u64(i / size) * a.x.cols + i % size]; };
    auto pixels = [&](u32 i) { return float(min(a.piece, a.pixels - i / size * a.piece)); };
    float count = float(a.pixels) * size, base = sums[0].x, off = 0, square = 0;
    for (u32 i = threadIdx.x; i < entries; i += group_norm::THREADS) off += (at(i).x - base) * pixels(i);
    off = group_norm::block_sum(off, box) / count;
    for (u32 i = threadIdx.x; i < entries; i += group_norm::THREADS) {
        float left = at(i).x - base - off;
        square += at(i).y + left * left * pixels(i);
    }
    square = group_norm::block_sum(square, box) / count;
    if (threadIdx.x == 0) {
        ptr<float2>(a.stats)[blockIdx.z * a.groups + blockIdx.x] = make_float2(base + off, 1 / sqrtf(square + a.eps));
    }
}

KERNEL(group_norm_apply_bf16, GroupNormArgs, 256, 4) {
    if (a.wide) group_norm::apply<bf16, 8>(a);
    else group_norm::apply<bf16, 1>(a);
}
KERNEL(group_norm_apply_f32, GroupNormArgs, 256, 4) {
    if (a.wide) group_norm::apply<float, 4>(a);
    else group_norm::apply<float, 1>(a);
}
