// A stand-in for NVIDIA's cuBLASLt: D = epilogue(alpha · scales · op(A) · op(B) + beta · C), one number after the other.
//
// Types, attributes and their numbers are those of cublasLt.h (12.9); what it refuses, this refuses: fp8 in other than the
// one form that the manual names (A transposed, B not, sides of 16), scales that do not belong there, memory that is not
// the card's. Everything happens when the stream comes to it. GELU is that by tanh, as the library has it.
#include <dlfcn.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "../../emulator/emulator.h"
#include "cuda.h"

extern "C" CUresult standin_enqueue(CUstream stream, const char* name, CUresult (*call)(const void*), const void* args, size_t bytes);
extern "C" int standin_holds(const void* at, size_t bytes);
extern "C" uint64_t standin_get(const char* name);

namespace {
typedef u32 Status;
enum : Status { DONE = 0, NOT_INITIALIZED = 1, INVALID = 7, FAILED = 13, UNSUPPORTED = 15 };
// cudaDataType.
enum Type : u32 { F32 = 0, BF16 = 14, E4M3 = 28 };
// cublasLtMatrixLayoutAttribute_t and cublasLtMatmulDescAttributes_t.
enum { LAYOUT_ORDER = 1, LAYOUT_BATCH = 5, LAYOUT_STEP = 6 };
enum { POINTER_MODE = 2, TRANS_A = 3, TRANS_B = 4, EPILOGUE = 7, BIAS = 8, A_SCALE = 17, B_SCALE = 18, C_SCALE = 19, D_SCALE = 20,
       FAST_ACCUMULATION = 25, BIAS_TYPE = 26, A_SCALE_MODE = 31, B_SCALE_MODE = 32 };
// cublasLtMatmulMatrixScale_t: one for the whole, or one for each row of op(A) and each column of op(B).
enum { SCALE_ONE = 0, SCALE_OUTER = 3 };
// cublasLtEpilogue_t, as bits.
enum { WITH_BIAS = 4, WITH_GELU = 32, NO_EPILOGUE = 1 };

struct Attributes {
    std::map<u32, std::vector<u8>> values;
    template <class T> T get(u32 key, T otherwise) const {
        auto found = values.find(key);
        if (found == values.end() || found->second.size() != sizeof(T)) return otherwise;
        T value;
        memcpy(&value, found->second.data(), sizeof(T));
        return value;
    }
    Status set(u32 key, const void* from, size_t bytes) {
        if (from == nullptr) return INVALID;
        values[key].assign(static_cast<const u8*>(from), static_cast<const u8*>(from) + bytes);
        return DONE;
    }
};
struct Layout {
    u32 type;
    u64 rows, cols;
    int64_t ld;
    Attributes more;
    bool by_rows() const { return more.get<u32>(LAYOUT_ORDER, 0) == 1; }
    size_t at(u64 row, u64 col) const { return by_rows() ? row * static_cast<u64>(ld) + col : col * static_cast<u64>(ld) + row; }
    size_t numbers() const { return rows == 0 || cols == 0 ? 0 : at(rows - 1, cols - 1) + 1; }
};
struct Desc {
    u32 compute, scale_type;
    Attributes more;
};

size_t bytes_of(u32 type) { return type == F32 ? 4 : type == BF16 ? 2 : type == E4M3 ? 1 : 0; }

float load(u32 type, const void* at, size_t i) {
    if (type == F32) return static_cast<const float*>(at)[i];
    if (type == BF16) return __uint_as_float(static_cast<u32>(static_cast<const u16*>(at)[i]) << 16);
    u8 bits = static_cast<const u8*>(at)[i];
    float size = bits & 0x78 ? ldexpf(1 + static_cast<float>(bits & 7) / 8, ((bits >> 3) & 15) - 7) : ldexpf(bits & 7, -9);
    return (bits & 0x7f) == 0x7f ? NAN : bits & 0x80 ? -size : size;
}
void store(u32 type, void* at, size_t i, float x) {
    if (type == F32) {
        static_cast<float*>(at)[i] = x;
        return;
    }
    u32 bits = __float_as_uint(x);
    static_cast<u16*>(at)[i] = x != x ? 0x7fff : static_cast<u16>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

struct Side {
    u32 type;
    const void* at;
    u64 rows, cols, row_step, col_step, batch_step, numbers;
};
struct Product {
    Side a, b, c, d;
    u64 m, n, k, batch;
    float alpha, beta;
    const void* bias;
    u32 bias_type, epilogue;
    // One number, or one for each row of op(A) and column of op(B); null for none.
    const float *a_scale, *b_scale, *d_scale;
    bool a_outer, b_outer;
    // Of the algorithm: parts that k is in, and sums that are kept side by side in each.
    u64 parts, lanes;
};

CUresult multiply(const void* args) {
    const Product& of = *static_cast<const Product*>(args);
    auto held = [&](const void* at, size_t bytes) { return at == nullptr || bytes == 0 || standin_holds(at, bytes); };
    for (const Side* side : {&of.a, &of.b, &of.c, &of.d}) {
        if (side == &of.c && of.beta == 0) continue;
        size_t numbers = side->numbers + (of.batch - 1) * side->batch_step;
        if (!held(side->at, numbers * bytes_of(side->type))) return CUDA_ERROR_ILLEGAL_ADDRESS;
    }
    if (!held(of.bias, of.m * bytes_of(of.bias_type))) return CUDA_ERROR_ILLEGAL_ADDRESS;
    if (!held(of.a_scale, (of.a_outer ? of.m : 1) * 4) || !held(of.b_scale, (of.b_outer ? of.n : 1) * 4)) return CUDA_ERROR_ILLEGAL_ADDRESS;
    std::vector<float> a(of.m * of.k), b(of.n * of.k);
    for (u64 batch = 0; batch < of.batch; ++batch) {
        for (u64 i = 0; i < of.m; ++i)
            for (u64 x = 0; x < of.k; ++x) a[i * of.k + x] = load(of.a.type, of.a.at, batch * of.a.batch_step + i * of.a.row_step + x * of.a.col_step);
        for (u64 j = 0; j < of.n; ++j)
            for (u64 x = 0; x < of.k; ++x) b[j * of.k + x] = load(of.b.type, of.b.at, batch * of.b.batch_step + x * of.b.row_step + j * of.b.col_step);
        for (u64 j = 0; j < of.n; ++j) {
            for (u64 i = 0; i < of.m; ++i) {
                float all = 0;
                for (u64 part = 0; part < of.parts; ++part) {
                    float sum[8] = {};
                    u64 x = of.k * part / of.parts, end = of.k * (part + 1) / of.parts;
                    for (; x + of.lanes <= end; x += of.lanes)
                        for (u64 l = 0; l < of.lanes; ++l) sum[l] += a[i * of.k + x + l] * b[j * of.k + x + l];
                    for (; x < end; ++x) sum[0] += a[i * of.k + x] * b[j * of.k + x];
                    all += ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
                }
                float y = of.alpha * all;
                if (of.a_scale) y *= of.a_scale[of.a_outer ? i : 0];
                if (of.b_scale) y *= of.b_scale[of.b_outer ? j : 0];
                if (of.beta != 0) y += of.beta * load(of.c.type, of.c.at, batch * of.c.batch_step + i * of.c.row_step + j * of.c.col_step);
                if (of.bias) y += load(of.bias_type, of.bias, i);
                if (of.epilogue & WITH_GELU) y = 0.5f * y * (1 + tanhf(0.7978845608f * (y + 0.044715f * y * y * y)));
                if (of.d_scale) y *= *of.d_scale;
                store(of.d.type, const_cast<void*>(of.d.at), batch * of.d.batch_step + i * of.d.row_step + j * of.d.col_step, y);
            }
        }
    }
    return CUDA_SUCCESS;
}

Side side(const Layout& layout, const void* at, bool transposed) {
    u64 ld = static_cast<u64>(layout.ld), row = layout.by_rows() ? ld : 1, col = layout.by_rows() ? 1 : ld;
    Side of = {layout.type, at, layout.rows, layout.cols, row, col, static_cast<u64>(layout.more.get<int64_t>(LAYOUT_STEP, 0)), layout.numbers()};
    if (transposed) std::swap(of.rows, of.cols), std::swap(of.row_step, of.col_step);
    return of;
}

// What would be computed, or why not.
Status describe(const Desc& desc, const Layout& a, const Layout& b, const Layout& c, const Layout& d, Product& of) {
    auto transposed = [&](u32 key) { return desc.more.get<u32>(key, 0) == 1; };
    of.a = side(a, nullptr, transposed(TRANS_A)), of.b = side(b, nullptr, transposed(TRANS_B));
    of.c = side(c, nullptr, false), of.d = side(d, nullptr, false);
    of.m = of.a.rows, of.k = of.a.cols, of.n = of.b.cols;
    of.batch = d.more.get<int32_t>(LAYOUT_BATCH, 1) < 1 ? 1 : static_cast<u64>(d.more.get<int32_t>(LAYOUT_BATCH, 1));
    if (of.b.rows != of.k || of.d.rows != of.m || of.d.cols != of.n || of.c.rows != of.m || of.c.cols != of.n) return INVALID;
    for (const Layout* layout : {&a, &b, &c, &d})
        if (static_cast<u64>(layout->ld) < (layout->by_rows() ? layout->cols : layout->rows)) return INVALID;
    // Sums in f32: CUBLAS_COMPUTE_32F and its kinds.
    if (desc.compute < 68 || desc.compute > 77 || desc.scale_type != F32) return UNSUPPORTED;
    if (bytes_of(a.type) == 0 || a.type != b.type || c.type != d.type || bytes_of(d.type) < 2) return UNSUPPORTED;
    if (a.type == F32 && d.type != F32) return UNSUPPORTED;
    of.epilogue = desc.more.get<u32>(EPILOGUE, NO_EPILOGUE);
    if (of.epilogue & ~(NO_EPILOGUE | WITH_BIAS | WITH_GELU)) return UNSUPPORTED;
    of.bias = of.epilogue & WITH_BIAS ? desc.more.get<const void*>(BIAS, nullptr) : nullptr;
    of.bias_type = desc.more.get<u32>(BIAS_TYPE, d.type);
    // "cublasLtMatmul", table of supported types: the bias has D's type, or with fp8 that or bf16.
    if (of.epilogue & WITH_BIAS && of.bias_type != d.type && !(a.type == E4M3 && of.bias_type == BF16)) return UNSUPPORTED;
    of.a_scale = desc.more.get<const float*>(A_SCALE, nullptr), of.b_scale = desc.more.get<const float*>(B_SCALE, nullptr);
    of.d_scale = desc.more.get<const float*>(D_SCALE, nullptr);
    u32 a_mode = desc.more.get<u32>(A_SCALE_MODE, SCALE_ONE), b_mode = desc.more.get<u32>(B_SCALE_MODE, SCALE_ONE);
    of.a_outer = a_mode == SCALE_OUTER, of.b_outer = b_mode == SCALE_OUTER;
    if ((a_mode != SCALE_ONE && a_mode != SCALE_OUTER) || a_mode != b_mode) return UNSUPPORTED;
    bool scaled = of.a_scale || of.b_scale || of.d_scale;
    if (a.type != E4M3) return scaled ? UNSUPPORTED : DONE;
    bool form = transposed(TRANS_A) && !transposed(TRANS_B) && !a.by_rows() && !b.by_rows() && !d.by_rows();
    bool sides = of.m % 16 == 0 && of.k % 16 == 0 && a.ld % 16 == 0 && b.ld % 16 == 0;
    return form && sides ? DONE : UNSUPPORTED;
}
}  // namespace

#define LT(type) extern "C" __attribute__((visibility("default"))) type

struct Handle {};
LT(Status) cublasLtCreate(Handle** to) {
    if (standin_get("refuse_library") != 0) return NOT_INITIALIZED;
    return *to = new Handle(), DONE;
}
LT(Status) cublasLtDestroy(Handle* handle) { return delete handle, DONE; }
// 12.9.0; of a file below a folder "cuda-12.4" it is 12.4.0.
LT(size_t) cublasLtGetVersion() {
    Dl_info info = {};
    unsigned major = 12, minor = 9;
    if (dladdr(reinterpret_cast<void*>(cublasLtGetVersion), &info) != 0 && info.dli_fname != nullptr) {
        const char* folder = strstr(info.dli_fname, "/cuda-1");
        if (folder != nullptr) sscanf(folder, "/cuda-%u.%u", &major, &minor);
    }
    return major * 10000 + minor * 100;
}
LT(const char*) cublasLtGetStatusString(Status status) { return status == DONE ? "CUBLAS_STATUS_SUCCESS" : "a status of the stand-in"; }
LT(const char*) cublasLtGetStatusName(Status status) { return cublasLtGetStatusString(status); }
LT(Status) cublasLtMatrixLayoutCreate(Layout** to, u32 type, u64 rows, u64 cols, int64_t ld) { return *to = new Layout{type, rows, cols, ld, {}}, DONE; }
LT(Status) cublasLtMatrixLayoutDestroy(Layout* layout) { return delete layout, DONE; }
LT(Status) cublasLtMatrixLayoutSetAttribute(Layout* layout, u32 key, const void* from, size_t bytes) {
    if (layout == nullptr || from == nullptr) return INVALID;
    if ((key == 0 && bytes != 4) || (key >= 2 && key <= 4 && bytes != 8)) return INVALID;
    if (key == 0) memcpy(&layout->type, from, 4);
    else if (key == 2) memcpy(&layout->rows, from, 8);
    else if (key == 3) memcpy(&layout->cols, from, 8);
    else if (key == 4) memcpy(&layout->ld, from, 8);
    else return layout->more.set(key, from, bytes);
    return DONE;
}
LT(Status) cublasLtMatmulDescCreate(Desc** to, u32 compute, u32 scale_type) { return *to = new Desc{compute, scale_type, {}}, DONE; }
LT(Status) cublasLtMatmulDescDestroy(Desc* desc) { return delete desc, DONE; }
LT(Status) cublasLtMatmulDescSetAttribute(Desc* desc, u32 key, const void* from, size_t bytes) { return desc == nullptr ? INVALID : desc->more.set(key, from, bytes); }
LT(Status) cublasLtMatmulPreferenceCreate(Attributes** to) { return *to = new Attributes(), DONE; }
LT(Status) cublasLtMatmulPreferenceDestroy(Attributes* preference) { return delete preference, DONE; }
LT(Status) cublasLtMatmulPreferenceSetAttribute(Attributes* preference, u32 key, const void* from, size_t bytes) { return preference == nullptr ? INVALID : preference->set(key, from, bytes); }

// cublasLtMatmulHeuristicResult_t.
struct Found {
    u64 algorithm[8];
    size_t workspace_bytes;
    Status state;
    float waves;
    int reserved[4];
};
static_assert(sizeof(Found) == 96, "as cublasLt.h has it");
// Marks an algorithm as one that was found here.
static const u64 ALGORITHM = 0x7468756d62666f72;

// cublasLtMatmulPreferenceAttributes_t.
enum { WORKSPACE = 1, REDUCTIONS = 3 };

// As the library's do, they choose by the number of columns too: few are multiplied in two parts of k, whose sums lie in a
// workspace, and many keep other sums side by side.
LT(Status) cublasLtMatmulAlgoGetHeuristic(Handle*, Desc* desc, Layout* a, Layout* b, Layout* c, Layout* d, Attributes* preference, int wanted, Found* to, int* count) {
    *count = 0;
    if (!desc || !a || !b || !c || !d || !preference || wanted < 1) return INVALID;
    if (u64 status = standin_get("library_says"); status != 0) return static_cast<Status>(status);
    Product of = {};
    if (Status status = describe(*desc, *a, *b, *c, *d, of); status != DONE) return status;
    size_t sums = of.m * of.n * 2 * 4;
    bool split = of.n < 128 && preference->get<u32>(REDUCTIONS, ~0u) != 0 && preference->get<u64>(WORKSPACE, 0) >= sums;
    to[0] = {{ALGORITHM, split ? 2u : 1u, of.n < 256 ? 4u : 8u}, split ? sums : 0, DONE, 1, {}};
    *count = 1;
    return DONE;
}
LT(Status) cublasLtMatmulAlgoCheck(Handle*, Desc* desc, Layout* a, Layout* b, Layout* c, Layout* d, const u64* algorithm, Found* to) {
    if (!desc || !a || !b || !c || !d || !algorithm || !to || *algorithm != ALGORITHM) return INVALID;
    Product of = {};
    if (Status status = describe(*desc, *a, *b, *c, *d, of); status != DONE) return status;
    // Cards of another kind than those that we know may take an algorithm for some sides alone.
    if (u64 most = standin_get("library_columns"); most != 0 && of.n > most) return UNSUPPORTED;
    *to = {{algorithm[0], algorithm[1], algorithm[2]}, algorithm[1] > 1 ? of.m * of.n * 2 * 4 : 0, DONE, 1, {}};
    return DONE;
}
LT(Status) cublasLtMatmul(Handle*, Desc* desc, const float* alpha, const void* at_a, Layout* a, const void* at_b, Layout* b, const float* beta,
                          const void* at_c, Layout* c, void* at_d, Layout* d, const u64* algorithm, void*, size_t workspace_bytes, CUstream stream) {
    if (!desc || !a || !b || !c || !d || !alpha || !beta) return INVALID;
    if (algorithm != nullptr && *algorithm != ALGORITHM) return INVALID;
    // Factors lie on the host unless told otherwise, and nothing here tells otherwise.
    if (desc->more.get<u32>(POINTER_MODE, 0) != 0) return UNSUPPORTED;
    Product of = {};
    if (Status status = describe(*desc, *a, *b, *c, *d, of); status != DONE) return status;
    of.a.at = at_a, of.b.at = at_b, of.c.at = at_c, of.d.at = at_d;
    of.alpha = *alpha, of.beta = *beta;
    of.parts = algorithm ? algorithm[1] : 1, of.lanes = algorithm ? algorithm[2] : 8;
    if (of.parts > 1 && workspace_bytes < of.m * of.n * 2 * 4) return INVALID;
    return standin_enqueue(stream, "cublasLtMatmul", multiply, &of, sizeof of) == CUDA_SUCCESS ? DONE : FAILED;
}
