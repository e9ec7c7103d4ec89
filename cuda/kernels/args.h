// Made from cuda/src/launch.rs and its parts; `UPDATE=1 cargo test -p thumbforge-cuda header` makes it anew.
#pragma once

struct Mat { u64 at; u32 rows, cols, stride, pad; };
struct Then { u32 kind, tokens; Mat that, gate; };

struct GemmArgs {
    Mat x;
    Mat weight;
    Mat out;
    Then then;
    u64 bias;
    u64 partial;
    u32 act;
    u32 flags;
    u32 splits;
    u32 part;
};
static_assert(sizeof(GemmArgs) == 160, "GemmArgs");
#ifndef __CUDACC_RTC__
static_assert(__builtin_offsetof(GemmArgs, x) == 0, "GemmArgs.x");
static_assert(__builtin_offsetof(GemmArgs, weight) == 24, "GemmArgs.weight");
static_assert(__builtin_offsetof(GemmArgs, out) == 48, "GemmArgs.out");
static_assert(__builtin_offsetof(GemmArgs, then) == 72, "GemmArgs.then");
static_assert(__builtin_offsetof(GemmArgs, bias) == 128, "GemmArgs.bias");
static_assert(__builtin_offsetof(GemmArgs, partial) == 136, "GemmArgs.partial");
static_assert(__builtin_offsetof(GemmArgs, act) == 144, "GemmArgs.act");
static_assert(__builtin_offsetof(GemmArgs, flags) == 148, "GemmArgs.flags");
static_assert(__builtin_offsetof(GemmArgs, splits) == 152, "GemmArgs.splits");
static_assert(__builtin_offsetof(GemmArgs, part) == 156, "GemmArgs.part");
#endif

struct ConvArgs {
    Mat x;
    Mat weight;
    Mat out;
    Then then;
    u64 bias;
    u32 act;
    u32 flags;
    u32 height;
    u32 width;
    u32 out_height;
    u32 out_width;
    u32 side;
    u32 step;
    u32 before;
    u32 upsample;
};
static_assert(sizeof(ConvArgs) == 176, "ConvArgs");
#ifndef __CUDACC_RTC__
static_assert(__builtin_offsetof(ConvArgs, x) == 0, "ConvArgs.x");
static_assert(__builtin_offsetof(ConvArgs, weight) == 24, "ConvArgs.weight");
static_assert(__builtin_offsetof(ConvArgs, out) == 48, "ConvArgs.out");
static_assert(__builtin_offsetof(ConvArgs, then) == 72, "ConvArgs.then");
static_assert(__builtin_offsetof(ConvArgs, bias) == 128, "ConvArgs.bias");
static_assert(__builtin_offsetof(ConvArgs, act) == 136, "ConvArgs.act");
static_assert(__builtin_offsetof(ConvArgs, flags) == 140, "ConvArgs.flags");
static_assert(__builtin_offsetof(ConvArgs, height) == 144, "ConvArgs.height");
static_assert(__builtin_offsetof(ConvArgs, width) == 148, "ConvArgs.width");
static_assert(__builtin_offsetof(ConvArgs, out_height) == 152, "ConvArgs.out_height");
static_assert(__builtin_offsetof(ConvArgs, out_width) == 156, "ConvArgs.out_width");
static_assert(__builtin_offsetof(ConvArgs, side) == 160, "ConvArgs.side");
static_assert(__builtin_offsetof(ConvArgs, step) == 164, "ConvArgs.step");
static_assert(__builtin_offsetof(ConvArgs, before) == 168, "ConvArgs.before");
static_assert(__builtin_offsetof(ConvArgs, upsample) == 172, "ConvArgs.upsample");
#endif

struct Fp8RowsArgs {
    Mat x;
    Mat out;
    u64 scale;
    u32 flags;
    u32 pad;
};
static_assert(sizeof(Fp8RowsArgs) == 64, "Fp8RowsArgs");
#ifndef __CUDACC_RTC__
static_assert(__builtin_offsetof(Fp8RowsArgs, x) == 0, "Fp8RowsArgs.x");
static_assert(__builtin_offsetof(Fp8RowsArgs, out) == 24, "Fp8RowsArgs.out");
static_assert(__builtin_offsetof(Fp8RowsArgs, scale) == 48, "Fp8RowsArgs.scale");
static_assert(__builtin_offsetof(Fp8RowsArgs, flags) == 56, "Fp8RowsArgs.flags");
static_assert(__builtin_offsetof(Fp8RowsArgs, pad) == 60, "Fp8RowsArgs.pad");
#endif

struct Fp8GemmArgs {
    Mat x;
    Mat weight;
    Mat out;
    Then then;
    u64 x_scale;
    u64 weight_scale;
    u64 bias;
    u32 act;
    u32 flags;
};
static_assert(sizeof(Fp8GemmArgs) == 160, "Fp8GemmArgs");
#ifndef __CUDACC_RTC__
static_assert(__builtin_offsetof(Fp8GemmArgs, x) == 0, "Fp8GemmArgs.x");
static_assert(__builtin_offsetof(Fp8GemmArgs, weight) == 24, "Fp8GemmArgs.weight");
static_assert(__builtin_offsetof(Fp8GemmArgs, out) == 48, "Fp8GemmArgs.out");
static_assert(__builtin_offsetof(Fp8GemmArgs, then) == 72, "Fp8GemmArgs.then");
static_assert(__builtin_offsetof(Fp8GemmArgs, x_scale) == 128, "Fp8GemmArgs.x_scale");
static_assert(__builtin_offsetof(Fp8GemmArgs, weight_scale) == 136, "Fp8GemmArgs.weight_scale");
static_assert(__builtin_offsetof(Fp8GemmArgs, bias) == 144, "Fp8GemmArgs.bias");
static_assert(__builtin_offsetof(Fp8GemmArgs, act) == 152, "Fp8GemmArgs.act");
static_assert(__builtin_offsetof(Fp8GemmArgs, flags) == 156, "Fp8GemmArgs.flags");
#endif

struct PackArgs {
    Mat from[12];
    u64 norms[12];
    u64 to[3];
    u32 first[5];
    u32 tokens;
    u32 heads;
    u32 head;
    u32 padded;
    u32 lanes;
    u32 wide;
    float eps;
};
static_assert(sizeof(PackArgs) == 456, "PackArgs");
#ifndef __CUDACC_RTC__
static_assert(__builtin_offsetof(PackArgs, from) == 0, "PackArgs.from");
static_assert(__builtin_offsetof(PackArgs, norms) == 288, "PackArgs.norms");
static_assert(__builtin_offsetof(PackArgs, to) == 384, "PackArgs.to");
static_assert(__builtin_offsetof(PackArgs, first) == 408, "PackArgs.first");
static_assert(__builtin_offsetof(PackArgs, tokens) == 428, "PackArgs.tokens");
static_assert(__builtin_offsetof(PackArgs, heads) == 432, "PackArgs.heads");
static_assert(__builtin_offsetof(PackArgs, head) == 436, "PackArgs.head");
static_assert(__builtin_offsetof(PackArgs, padded) == 440, "PackArgs.padded");
static_assert(__builtin_offsetof(PackArgs, lanes) == 444, "PackArgs.lanes");
static_assert(__builtin_offsetof(PackArgs, wide) == 448, "PackArgs.wide");
static_assert(__builtin_offsetof(PackArgs, eps) == 452, "PackArgs.eps");
#endif

struct MeetArgs {
    u64 packed[3];
    Mat values[4];
    Mat queries[4];
    u64 query_norms[4];
    Mat bias;
    Mat out[4];
    u32 first[5];
    u32 batch;
    u32 heads;
    u32 head;
    u32 padded;
    u32 tokens;
    u32 mask;
    float scale;
    u32 wide;
    float eps;
};
static_assert(sizeof(MeetArgs) == 424, "MeetArgs");
#ifndef __CUDACC_RTC__
static_assert(__builtin_offsetof(MeetArgs, packed) == 0, "MeetArgs.packed");
static_assert(__builtin_offsetof(MeetArgs, values) == 24, "MeetArgs.values");
static_assert(__builtin_offsetof(MeetArgs, queries) == 120, "MeetArgs.queries");
static_assert(__builtin_offsetof(MeetArgs, query_norms) == 216, "MeetArgs.query_norms");
static_assert(__builtin_offsetof(MeetArgs, bias) == 248, "MeetArgs.bias");
static_assert(__builtin_offsetof(MeetArgs, out) == 272, "MeetArgs.out");
static_assert(__builtin_offsetof(MeetArgs, first) == 368, "MeetArgs.first");
static_assert(__builtin_offsetof(MeetArgs, batch) == 388, "MeetArgs.batch");
static_assert(__builtin_offsetof(MeetArgs, heads) == 392, "MeetArgs.heads");
static_assert(__builtin_offsetof(MeetArgs, head) == 396, "MeetArgs.head");
static_assert(__builtin_offsetof(MeetArgs, padded) == 400, "MeetArgs.padded");
static_assert(__builtin_offsetof(MeetArgs, tokens) == 404, "MeetArgs.tokens");
static_assert(__builtin_offsetof(MeetArgs, mask) == 408, "MeetArgs.mask");
static_assert(__builtin_offsetof(MeetArgs, scale) == 412, "MeetArgs.scale");
static_assert(__builtin_offsetof(MeetArgs, wide) == 416, "MeetArgs.wide");
static_assert(__builtin_offsetof(MeetArgs, eps) == 420, "MeetArgs.eps");
#endif

struct NormArgs {
    Mat x;
    Mat out;
    Mat shift;
    Mat scale;
    u64 weight;
    u64 bias;
    u32 tokens;
    u32 layer;
    float eps;
    u32 wide;
};
static_assert(sizeof(NormArgs) == 128, "NormArgs");
#ifndef __CUDACC_RTC__
static_assert(__builtin_offsetof(NormArgs, x) == 0, "NormArgs.x");
static_assert(__builtin_offsetof(NormArgs, out) == 24, "NormArgs.out");
static_assert(__builtin_offsetof(NormArgs, shift) == 48, "NormArgs.shift");
static_assert(__builtin_offsetof(NormArgs, scale) == 72, "NormArgs.scale");
static_assert(__builtin_offsetof(NormArgs, weight) == 96, "NormArgs.weight");
static_assert(__builtin_offsetof(NormArgs, bias) == 104, "NormArgs.bias");
static_assert(__builtin_offsetof(NormArgs, tokens) == 112, "NormArgs.tokens");
static_assert(__builtin_offsetof(NormArgs, layer) == 116, "NormArgs.layer");
static_assert(__builtin_offsetof(NormArgs, eps) == 120, "NormArgs.eps");
static_assert(__builtin_offsetof(NormArgs, wide) == 124, "NormArgs.wide");
#endif

struct GroupNormArgs {
    Mat x;
    Mat out;
    u64 weight;
    u64 bias;
    u64 sums;
    u64 stats;
    u32 pixels;
    u32 piece;
    u32 pieces;
    u32 groups;
    u32 columns;
    u32 act;
    float eps;
    u32 wide;
};
static_assert(sizeof(GroupNormArgs) == 112, "GroupNormArgs");
#ifndef __CUDACC_RTC__
static_assert(__builtin_offsetof(GroupNormArgs, x) == 0, "GroupNormArgs.x");
static_assert(__builtin_offsetof(GroupNormArgs, out) == 24, "GroupNormArgs.out");
static_assert(__builtin_offsetof(GroupNormArgs, weight) == 48, "GroupNormArgs.weight");
static_assert(__builtin_offsetof(GroupNormArgs, bias) == 56, "GroupNormArgs.bias");
static_assert(__builtin_offsetof(GroupNormArgs, sums) == 64, "GroupNormArgs.sums");
static_assert(__builtin_offsetof(GroupNormArgs, stats) == 72, "GroupNormArgs.stats");
static_assert(__builtin_offsetof(GroupNormArgs, pixels) == 80, "GroupNormArgs.pixels");
static_assert(__builtin_offsetof(GroupNormArgs, piece) == 84, "GroupNormArgs.piece");
static_assert(__builtin_offsetof(GroupNormArgs, pieces) == 88, "GroupNormArgs.pieces");
static_assert(__builtin_offsetof(GroupNormArgs, groups) == 92, "GroupNormArgs.groups");
static_assert(__builtin_offsetof(GroupNormArgs, columns) == 96, "GroupNormArgs.columns");
static_assert(__builtin_offsetof(GroupNormArgs, act) == 100, "GroupNormArgs.act");
static_assert(__builtin_offsetof(GroupNormArgs, eps) == 104, "GroupNormArgs.eps");
static_assert(__builtin_offsetof(GroupNormArgs, wide) == 108, "GroupNormArgs.wide");
#endif

struct ActivateArgs {
    Mat x;
    Mat out;
    u32 act;
    u32 wide;
};
static_assert(sizeof(ActivateArgs) == 56, "ActivateArgs");
#ifndef __CUDACC_RTC__
static_assert(__builtin_offsetof(ActivateArgs, x) == 0, "ActivateArgs.x");
static_assert(__builtin_offsetof(ActivateArgs, out) == 24, "ActivateArgs.out");
static_assert(__builtin_offsetof(ActivateArgs, act) == 48, "ActivateArgs.act");
static_assert(__builtin_offsetof(ActivateArgs, wide) == 52, "ActivateArgs.wide");
#endif

struct ModulateArgs {
    Mat x;
    Mat out;
    Mat shift;
    Mat scale;
    u32 tokens;
    u32 wide;
};
static_assert(sizeof(ModulateArgs) == 104, "ModulateArgs");
#ifndef __CUDACC_RTC__
static_assert(__builtin_offsetof(ModulateArgs, x) == 0, "ModulateArgs.x");
static_assert(__builtin_offsetof(ModulateArgs, out) == 24, "ModulateArgs.out");
static_assert(__builtin_offsetof(ModulateArgs, shift) == 48, "ModulateArgs.shift");
static_assert(__builtin_offsetof(ModulateArgs, scale) == 72, "ModulateArgs.scale");
static_assert(__builtin_offsetof(ModulateArgs, tokens) == 96, "ModulateArgs.tokens");
static_assert(__builtin_offsetof(ModulateArgs, wide) == 100, "ModulateArgs.wide");
#endif

struct CombineArgs {
    Mat y;
    Mat out;
    Then then;
    u32 wide;
    u32 pad;
};
static_assert(sizeof(CombineArgs) == 112, "CombineArgs");
#ifndef __CUDACC_RTC__
static_assert(__builtin_offsetof(CombineArgs, y) == 0, "CombineArgs.y");
static_assert(__builtin_offsetof(CombineArgs, out) == 24, "CombineArgs.out");
static_assert(__builtin_offsetof(CombineArgs, then) == 48, "CombineArgs.then");
static_assert(__builtin_offsetof(CombineArgs, wide) == 104, "CombineArgs.wide");
static_assert(__builtin_offsetof(CombineArgs, pad) == 108, "CombineArgs.pad");
#endif

struct UpsampleArgs {
    Mat x;
    Mat out;
    u32 height;
    u32 width;
    u32 wide;
    u32 pad;
};
static_assert(sizeof(UpsampleArgs) == 64, "UpsampleArgs");
#ifndef __CUDACC_RTC__
static_assert(__builtin_offsetof(UpsampleArgs, x) == 0, "UpsampleArgs.x");
static_assert(__builtin_offsetof(UpsampleArgs, out) == 24, "UpsampleArgs.out");
static_assert(__builtin_offsetof(UpsampleArgs, height) == 48, "UpsampleArgs.height");
static_assert(__builtin_offsetof(UpsampleArgs, width) == 52, "UpsampleArgs.width");
static_assert(__builtin_offsetof(UpsampleArgs, wide) == 56, "UpsampleArgs.wide");
static_assert(__builtin_offsetof(UpsampleArgs, pad) == 60, "UpsampleArgs.pad");
#endif

struct UnpatchifyArgs {
    Mat x;
    Mat out;
    u32 height;
    u32 width;
    u32 patch;
    u32 wide;
};
static_assert(sizeof(UnpatchifyArgs) == 64, "UnpatchifyArgs");
#ifndef __CUDACC_RTC__
static_assert(__builtin_offsetof(UnpatchifyArgs, x) == 0, "UnpatchifyArgs.x");
static_assert(__builtin_offsetof(UnpatchifyArgs, out) == 24, "UnpatchifyArgs.out");
static_assert(__builtin_offsetof(UnpatchifyArgs, height) == 48, "UnpatchifyArgs.height");
static_assert(__builtin_offsetof(UnpatchifyArgs, width) == 52, "UnpatchifyArgs.width");
static_assert(__builtin_offsetof(UnpatchifyArgs, patch) == 56, "UnpatchifyArgs.patch");
static_assert(__builtin_offsetof(UnpatchifyArgs, wide) == 60, "UnpatchifyArgs.wide");
#endif

struct PositionsArgs {
    Mat table;
    Mat out;
    u32 side;
    u32 top;
    u32 left;
    u32 width;
    u32 wide;
    u32 pad;
};
static_assert(sizeof(PositionsArgs) == 72, "PositionsArgs");
#ifndef __CUDACC_RTC__
static_assert(__builtin_offsetof(PositionsArgs, table) == 0, "PositionsArgs.table");
static_assert(__builtin_offsetof(PositionsArgs, out) == 24, "PositionsArgs.out");
static_assert(__builtin_offsetof(PositionsArgs, side) == 48, "PositionsArgs.side");
static_assert(__builtin_offsetof(PositionsArgs, top) == 52, "PositionsArgs.top");
static_assert(__builtin_offsetof(PositionsArgs, left) == 56, "PositionsArgs.left");
static_assert(__builtin_offsetof(PositionsArgs, width) == 60, "PositionsArgs.width");
static_assert(__builtin_offsetof(PositionsArgs, wide) == 64, "PositionsArgs.wide");
static_assert(__builtin_offsetof(PositionsArgs, pad) == 68, "PositionsArgs.pad");
#endif

struct Rgba8Args {
    Mat x;
    u64 out;
    u64 fault;
};
static_assert(sizeof(Rgba8Args) == 40, "Rgba8Args");
#ifndef __CUDACC_RTC__
static_assert(__builtin_offsetof(Rgba8Args, x) == 0, "Rgba8Args.x");
static_assert(__builtin_offsetof(Rgba8Args, out) == 24, "Rgba8Args.out");
static_assert(__builtin_offsetof(Rgba8Args, fault) == 32, "Rgba8Args.fault");
#endif

struct EmbedArgs {
    Mat ids;
    Mat table;
    Mat positions;
    Mat out;
    u64 fault;
    u32 wide;
    u32 pad;
};
static_assert(sizeof(EmbedArgs) == 112, "EmbedArgs");
#ifndef __CUDACC_RTC__
static_assert(__builtin_offsetof(EmbedArgs, ids) == 0, "EmbedArgs.ids");
static_assert(__builtin_offsetof(EmbedArgs, table) == 24, "EmbedArgs.table");
static_assert(__builtin_offsetof(EmbedArgs, positions) == 48, "EmbedArgs.positions");
static_assert(__builtin_offsetof(EmbedArgs, out) == 72, "EmbedArgs.out");
static_assert(__builtin_offsetof(EmbedArgs, fault) == 96, "EmbedArgs.fault");
static_assert(__builtin_offsetof(EmbedArgs, wide) == 104, "EmbedArgs.wide");
static_assert(__builtin_offsetof(EmbedArgs, pad) == 108, "EmbedArgs.pad");
#endif

struct TimestepArgs {
    Mat t;
    Mat out;
};
static_assert(sizeof(TimestepArgs) == 48, "TimestepArgs");
#ifndef __CUDACC_RTC__
static_assert(__builtin_offsetof(TimestepArgs, t) == 0, "TimestepArgs.t");
static_assert(__builtin_offsetof(TimestepArgs, out) == 24, "TimestepArgs.out");
#endif

struct RelativeBiasArgs {
    Mat table;
    Mat out;
    u32 tokens;
    u32 half;
    u32 starts[32];
};
static_assert(sizeof(RelativeBiasArgs) == 184, "RelativeBiasArgs");
#ifndef __CUDACC_RTC__
static_assert(__builtin_offsetof(RelativeBiasArgs, table) == 0, "RelativeBiasArgs.table");
static_assert(__builtin_offsetof(RelativeBiasArgs, out) == 24, "RelativeBiasArgs.out");
static_assert(__builtin_offsetof(RelativeBiasArgs, tokens) == 48, "RelativeBiasArgs.tokens");
static_assert(__builtin_offsetof(RelativeBiasArgs, half) == 52, "RelativeBiasArgs.half");
static_assert(__builtin_offsetof(RelativeBiasArgs, starts) == 56, "RelativeBiasArgs.starts");
#endif
