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

struct Fp8RowsArgs {
    Mat x;
    Mat out;
    u64 scale;
    u32 flags;
    u32 pad;
};
static_assert(sizeof(Fp8RowsArgs) == 64, "Fp8RowsArgs");
static_assert(__builtin_offsetof(Fp8RowsArgs, x) == 0, "Fp8RowsArgs.x");
static_assert(__builtin_offsetof(Fp8RowsArgs, out) == 24, "Fp8RowsArgs.out");
static_assert(__builtin_offsetof(Fp8RowsArgs, scale) == 48, "Fp8RowsArgs.scale");
static_assert(__builtin_offsetof(Fp8RowsArgs, flags) == 56, "Fp8RowsArgs.flags");
static_assert(__builtin_offsetof(Fp8RowsArgs, pad) == 60, "Fp8RowsArgs.pad");

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
static_assert(__builtin_offsetof(Fp8GemmArgs, x) == 0, "Fp8GemmArgs.x");
static_assert(__builtin_offsetof(Fp8GemmArgs, weight) == 24, "Fp8GemmArgs.weight");
static_assert(__builtin_offsetof(Fp8GemmArgs, out) == 48, "Fp8GemmArgs.out");
static_assert(__builtin_offsetof(Fp8GemmArgs, then) == 72, "Fp8GemmArgs.then");
static_assert(__builtin_offsetof(Fp8GemmArgs, x_scale) == 128, "Fp8GemmArgs.x_scale");
static_assert(__builtin_offsetof(Fp8GemmArgs, weight_scale) == 136, "Fp8GemmArgs.weight_scale");
static_assert(__builtin_offsetof(Fp8GemmArgs, bias) == 144, "Fp8GemmArgs.bias");
static_assert(__builtin_offsetof(Fp8GemmArgs, act) == 152, "Fp8GemmArgs.act");
static_assert(__builtin_offsetof(Fp8GemmArgs, flags) == 156, "Fp8GemmArgs.flags");
