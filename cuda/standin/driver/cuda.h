// What of the CUDA driver API the stand-in has, as NVIDIA's cuda.h (12.2 to 13.0) has it: types, codes and layouts.
#pragma once
#include <cstddef>
#include <cstdint>

typedef uint32_t CUresult;
typedef int CUdevice;
typedef unsigned long long CUdeviceptr;
typedef struct Context* CUcontext;
typedef struct Stream* CUstream;
typedef struct Event* CUevent;
typedef struct Module* CUmodule;
typedef struct Function* CUfunction;
typedef struct Pool* CUmemoryPool;
typedef struct Graph* CUgraph;
typedef struct Executable* CUgraphExec;
typedef void (*CUhostFn)(void*);

enum : CUresult {
    CUDA_SUCCESS = 0,
    CUDA_ERROR_INVALID_VALUE = 1,
    CUDA_ERROR_OUT_OF_MEMORY = 2,
    CUDA_ERROR_NOT_INITIALIZED = 3,
    CUDA_ERROR_NO_DEVICE = 100,
    CUDA_ERROR_INVALID_DEVICE = 101,
    CUDA_ERROR_INVALID_IMAGE = 200,
    CUDA_ERROR_INVALID_CONTEXT = 201,
    CUDA_ERROR_NO_BINARY_FOR_GPU = 209,
    CUDA_ERROR_INVALID_HANDLE = 400,
    CUDA_ERROR_ILLEGAL_STATE = 401,
    CUDA_ERROR_NOT_FOUND = 500,
    CUDA_ERROR_NOT_READY = 600,
    CUDA_ERROR_ILLEGAL_ADDRESS = 700,
    CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES = 701,
    CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED = 712,
    CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED = 713,
    CUDA_ERROR_LAUNCH_FAILED = 719,
    CUDA_ERROR_NOT_SUPPORTED = 801,
    CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED = 900,
    CUDA_ERROR_STREAM_CAPTURE_INVALIDATED = 901,
    CUDA_ERROR_STREAM_CAPTURE_UNMATCHED = 903,
    CUDA_ERROR_STREAM_CAPTURE_ISOLATION = 905,
};

struct CUuuid { char bytes[16]; };
struct CUmemLocation { uint32_t type; int id; };
struct CUmemPoolProps {
    uint32_t allocType, handleTypes;
    CUmemLocation location;
    void* win32SecurityAttributes;
    // 0: as much as the card has.
    size_t maxSize;
    unsigned short usage;
    unsigned char reserved[54];
};
static_assert(sizeof(CUmemPoolProps) == 88, "as cuda.h has it");

// CUdevice_attribute.
enum { THREADS_PER_BLOCK = 1, BLOCK_X = 2, BLOCK_Y = 3, BLOCK_Z = 4, GRID_X = 5, GRID_Y = 6, GRID_Z = 7, SHARED_PER_BLOCK = 8,
       CONSTANT_BYTES = 9, WARP = 10, REGISTERS_PER_BLOCK = 12, CLOCK_KHZ = 13, MULTIPROCESSORS = 16, COMPUTE_MODE = 20,
       CONCURRENT_KERNELS = 31, PCI_BUS = 33, PCI_DEVICE = 34, MEMORY_CLOCK_KHZ = 36, MEMORY_BUS_BITS = 37, L2_BYTES = 38,
       THREADS_PER_MULTIPROCESSOR = 39, COPY_ENGINES = 40, UNIFIED_ADDRESSES = 41, PCI_DOMAIN = 50, CAPABILITY_MAJOR = 75,
       CAPABILITY_MINOR = 76, STREAM_PRIORITIES = 78, SHARED_PER_MULTIPROCESSOR = 81, REGISTERS_PER_MULTIPROCESSOR = 82,
       MANAGED_MEMORY = 83, SHARED_PER_BLOCK_OPTIN = 97, BLOCKS_PER_MULTIPROCESSOR = 106, MEMORY_POOLS = 115 };
// CUmemPool_attribute.
enum { POOL_RELEASE_THRESHOLD = 4, POOL_RESERVED = 5, POOL_RESERVED_HIGH = 6, POOL_USED = 7, POOL_USED_HIGH = 8 };
// CUfunction_attribute.
enum { FUNCTION_THREADS = 0, FUNCTION_SHARED = 1, FUNCTION_LOCAL = 3, FUNCTION_REGISTERS = 4, FUNCTION_BINARY = 6,
       FUNCTION_DYNAMIC_SHARED_MAX = 8 };

// Every function of the API: found by name from outside.
#define API extern "C" __attribute__((visibility("default"))) CUresult
