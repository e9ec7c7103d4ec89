// The card's memory: allocations between pages that may not be touched, pools with a cap, pinned memory of the host.
//
// An allocation lies as far behind in its pages as its alignment lets it, so that a kernel that reads or writes behind it
// faults; the bytes that are left over are marked, and looked at when it is freed. New memory holds what is no number.
#include <sys/mman.h>

#include <cstdio>

#include "state.h"

// The driver's alignment; a page of the host; what a pool takes from the card at a time.
static constexpr size_t ALIGNMENT = 512, PAGE = 4096, POOL_STEP = 32 << 20;
// Up to here new memory is filled: a card of gigabytes stays as light as what is used of it.
static constexpr size_t FILLED_BYTES_MAX = 64 << 20;
static constexpr size_t GONE_MAX = 4096;
static constexpr uint8_t MARK = 0xa5, NO_NUMBER = 0xff;

static size_t up(size_t bytes, size_t step) { return (bytes + step - 1) / step * step; }
// The driver gives out whole 2 MiB pages, and shares one among small allocations.
static size_t cost(size_t bytes) { return bytes >= (1 << 20) ? up(bytes, 2 << 20) : up(bytes, ALIGNMENT); }

size_t card_bytes() { return state().controls.mib << 20; }

size_t free_bytes(uint32_t card) {
    State& all = state();
    size_t used = all.controls.others_mib << 20;
    for (const auto& [at, allocation] : all.allocations)
        if (allocation.card == card && !allocation.pool) used += cost(allocation.bytes);
    for (const auto& [key, pool] : all.pools)
        if (pool->card == card) used += pool->reserved;
    used += all.standard_pools[card]->reserved;
    return used < card_bytes() ? card_bytes() - used : 0;
}

void Pool::reserve() {
    size_t wanted = up(used, POOL_STEP);
    if (bytes_max != 0 && wanted > bytes_max) wanted = used;
    if (wanted > reserved) reserved = wanted;
    if (used > used_high) used_high = used;
    if (reserved > reserved_high) reserved_high = reserved;
}

void trim(Pool& pool, size_t keep) {
    size_t least = up(pool.used, POOL_STEP) < pool.reserved ? up(pool.used, POOL_STEP) : pool.reserved;
    if (keep < least) keep = least;
    if (keep < pool.reserved) pool.reserved = keep;
}

static bool fits(uint32_t card, size_t bytes, const std::shared_ptr<Pool>& pool) {
    if (!pool) return cost(bytes) <= free_bytes(card);
    size_t used = pool->used + up(bytes, ALIGNMENT);
    if (pool->bytes_max != 0 && used > pool->bytes_max) return false;
    if (used <= pool->reserved) return true;
    Pool after = *pool;
    after.used = used;
    after.reserve();
    return after.reserved - pool->reserved <= free_bytes(card);
}

CUresult allocate(CUdeviceptr* to, size_t bytes, uint32_t card, const std::shared_ptr<Pool>& pool) {
    State& all = state();
    if (bytes == 0) return CUDA_ERROR_INVALID_VALUE;
    ++all.allocation_count;
    if (all.controls.fail_allocation != 0 && --all.controls.fail_allocation == 0) {
        if (all.controls.fail_more != 0) {
            --all.controls.fail_more;
            all.controls.fail_allocation = 1;
        }
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    if (!fits(card, bytes, pool)) {
        // The driver waits for what is being freed, and takes back what pools keep for later.
        if (CUresult error = drain_card(card); error != CUDA_SUCCESS) return error;
        for (auto& [key, of] : all.pools)
            if (of->card == card) trim(*of, 0);
        trim(*all.standard_pools[card], 0);
        if (!fits(card, bytes, pool)) return CUDA_ERROR_OUT_OF_MEMORY;
    }
    size_t inner = up(bytes, ALIGNMENT), page_bytes = up(inner, PAGE) + 2 * PAGE;
    void* pages = mmap(nullptr, page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages == MAP_FAILED) return CUDA_ERROR_OUT_OF_MEMORY;
    uint8_t *first = static_cast<uint8_t*>(pages), *last = first + page_bytes - PAGE, *at = last - inner;
    mprotect(first, PAGE, PROT_NONE);
    mprotect(last, PAGE, PROT_NONE);
    if (bytes <= FILLED_BYTES_MAX) memset(at, NO_NUMBER, bytes);
    memset(first + PAGE, MARK, static_cast<size_t>(at - first) - PAGE);
    memset(at + bytes, MARK, inner - bytes);
    all.allocations[at] = {card, at, first, bytes, page_bytes, pool, false};
    if (pool) {
        pool->used += inner;
        pool->reserve();
    }
    *to = reinterpret_cast<CUdeviceptr>(at);
    return CUDA_SUCCESS;
}

bool release(uint8_t* at) {
    State& all = state();
    auto found = all.allocations.find(at);
    if (found == all.allocations.end()) return true;
    const Allocation of = found->second;
    bool whole = true;
    for (const uint8_t* mark = of.pages + PAGE; mark < at; ++mark) whole = whole && *mark == MARK;
    for (const uint8_t* mark = at + of.bytes; mark < at + up(of.bytes, ALIGNMENT); ++mark) whole = whole && *mark == MARK;
    // The addresses stay taken for a while, and whoever uses them faults; the memory goes back at once.
    mmap(of.pages, of.page_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    all.gone.push_back({of.pages, of.page_bytes});
    if (all.gone.size() > GONE_MAX) {
        munmap(all.gone.front().first, all.gone.front().second);
        all.gone.pop_front();
    }
    if (of.pool) of.pool->used -= up(of.bytes, ALIGNMENT);
    all.allocations.erase(found);
    return whole;
}

void forget_memory(uint32_t card) {
    State& all = state();
    std::vector<uint8_t*> mine;
    for (const auto& [at, allocation] : all.allocations)
        if (allocation.card == card) mine.push_back(at);
    for (uint8_t* at : mine) release(at);
    for (auto pinned = all.pinned.begin(); pinned != all.pinned.end();) {
        if (pinned->second.card != card) {
            ++pinned;
            continue;
        }
        if (pinned->second.made) munmap(pinned->first, up(pinned->second.bytes, PAGE));
        pinned = all.pinned.erase(pinned);
    }
    for (auto pool = all.pools.begin(); pool != all.pools.end();) pool = pool->second->card == card ? all.pools.erase(pool) : std::next(pool);
    *all.standard_pools[card] = {};
    all.standard_pools[card]->card = card;
    all.standard_pools[card]->standard = true;
}

Allocation* holding(const uint8_t* at, size_t bytes) {
    auto& all = state().allocations;
    auto behind = all.upper_bound(const_cast<uint8_t*>(at));
    if (behind == all.begin()) return nullptr;
    Allocation& of = std::prev(behind)->second;
    return at + bytes <= of.at + of.bytes ? &of : nullptr;
}

bool is_pinned(const uint8_t* at, size_t bytes) {
    auto& all = state().pinned;
    auto behind = all.upper_bound(const_cast<uint8_t*>(at));
    if (behind == all.begin()) return false;
    auto of = std::prev(behind);
    return at + bytes <= of->first + of->second.bytes;
}

API cuMemGetInfo_v2(size_t* unused, size_t* all) {
    ENTER();
    *unused = free_bytes(enter.card);
    *all = card_bytes();
    return CUDA_SUCCESS;
}
API cuMemAlloc_v2(CUdeviceptr* to, size_t bytes) {
    ENTER(Enter::spoils);
    return allocate(to, bytes, enter.card, nullptr);
}

// Of an address that shall be freed now or later.
static CUresult freeable(CUdeviceptr at) {
    auto found = state().allocations.find(reinterpret_cast<uint8_t*>(at));
    if (found == state().allocations.end() || found->second.leaving) return CUDA_ERROR_INVALID_VALUE;
    return CUDA_SUCCESS;
}
API cuMemFree_v2(CUdeviceptr at) {
    ENTER(Enter::spoils, Enter::late);
    if (at == 0) return enter.behind;
    if (CUresult error = freeable(at); error != CUDA_SUCCESS) return error;
    if (CUresult error = drain_card(enter.card); error != CUDA_SUCCESS) return error;
    if (release(reinterpret_cast<uint8_t*>(at))) return enter.behind;
    return lose(enter.card, CUDA_ERROR_ILLEGAL_ADDRESS, "memory around an allocation was written");
}

static CUresult allocate_on(CUdeviceptr* to, size_t bytes, const std::shared_ptr<Pool>& pool, CUstream of, uint32_t card) {
    auto stream = stream_of(of, card);
    if (!stream) return CUDA_ERROR_INVALID_HANDLE;
    // A graph could hold it on a card; nothing here asks for that.
    if (stream->capture) return stream->capture_spoiled = true, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    return allocate(to, bytes, card, pool);
}
API cuMemAllocAsync(CUdeviceptr* to, size_t bytes, CUstream stream) {
    ENTER();
    if (!state().controls.pools) return CUDA_ERROR_NOT_SUPPORTED;
    return allocate_on(to, bytes, state().standard_pools[enter.card], stream, enter.card);
}
API cuMemAllocFromPoolAsync(CUdeviceptr* to, size_t bytes, CUmemoryPool pool, CUstream stream) {
    ENTER();
    std::shared_ptr<Pool> of;
    if (auto found = state().pools.find(pool); found != state().pools.end()) of = found->second;
    if (pool == state().standard_pools[enter.card].get()) of = state().standard_pools[enter.card];
    if (!of) return CUDA_ERROR_INVALID_HANDLE;
    return allocate_on(to, bytes, of, stream, enter.card);
}
API cuMemFreeAsync(CUdeviceptr at, CUstream of) {
    ENTER(Enter::allowed, Enter::late);
    auto stream = stream_of(of, enter.card);
    if (!stream) return CUDA_ERROR_INVALID_HANDLE;
    if (CUresult error = freeable(at); error != CUDA_SUCCESS) return error;
    state().allocations[reinterpret_cast<uint8_t*>(at)].leaving = true;
    Operation operation(Kind::free);
    operation.to = reinterpret_cast<uint8_t*>(at);
    return enter.after(enqueue(stream, std::move(operation)));
}

API cuMemPoolCreate(CUmemoryPool* to, const CUmemPoolProps* props) {
    ENTER();
    if (!state().controls.pools) return CUDA_ERROR_NOT_SUPPORTED;
    // Pinned memory on a device, and no handles for other processes.
    if (props->allocType != 1 || props->location.type != 1 || props->handleTypes != 0) return CUDA_ERROR_INVALID_VALUE;
    if (props->location.id < 0 || static_cast<size_t>(props->location.id) >= state().contexts.size()) return CUDA_ERROR_INVALID_VALUE;
    auto pool = std::make_shared<Pool>();
    pool->card = static_cast<uint32_t>(props->location.id);
    pool->bytes_max = props->maxSize;
    *to = pool.get();
    state().pools[pool.get()] = pool;
    return CUDA_SUCCESS;
}
API cuMemPoolDestroy(CUmemoryPool pool) {
    ENTER(Enter::allowed, Enter::late);
    // What is still allocated from it lives until it is freed.
    return enter.after(state().pools.erase(pool) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE);
}
static Pool* known(CUmemoryPool pool) {
    for (const auto& standard : state().standard_pools)
        if (standard.get() == pool) return pool;
    return state().pools.count(pool) ? pool : nullptr;
}
API cuMemPoolTrimTo(CUmemoryPool pool, size_t keep) {
    ENTER();
    if (!known(pool)) return CUDA_ERROR_INVALID_HANDLE;
    trim(*pool, keep);
    return CUDA_SUCCESS;
}
API cuMemPoolSetAttribute(CUmemoryPool pool, int attribute, void* value) {
    ENTER();
    if (!known(pool)) return CUDA_ERROR_INVALID_HANDLE;
    uint64_t number = *static_cast<uint64_t*>(value);
    switch (attribute) {
        case POOL_RELEASE_THRESHOLD: pool->threshold = number; break;
        // The peaks may be set to 0, and start anew from what is there.
        case POOL_RESERVED_HIGH: pool->reserved_high = pool->reserved; break;
        case POOL_USED_HIGH: pool->used_high = pool->used; break;
        case 1: case 2: case 3: break;
        default: return CUDA_ERROR_INVALID_VALUE;
    }
    return CUDA_SUCCESS;
}
API cuMemPoolGetAttribute(CUmemoryPool pool, int attribute, void* value) {
    ENTER();
    if (!known(pool)) return CUDA_ERROR_INVALID_HANDLE;
    uint64_t* number = static_cast<uint64_t*>(value);
    switch (attribute) {
        case 1: case 2: case 3: *static_cast<int*>(value) = 1; break;
        case POOL_RELEASE_THRESHOLD: *number = pool->threshold; break;
        case POOL_RESERVED: *number = pool->reserved; break;
        case POOL_RESERVED_HIGH: *number = pool->reserved_high; break;
        case POOL_USED: *number = pool->used; break;
        case POOL_USED_HIGH: *number = pool->used_high; break;
        default: return CUDA_ERROR_INVALID_VALUE;
    }
    return CUDA_SUCCESS;
}
API cuDeviceGetDefaultMemPool(CUmemoryPool* pool, CUdevice card) {
    std::lock_guard<std::recursive_mutex> guard(state().lock);
    if (card < 0 || static_cast<size_t>(card) >= state().standard_pools.size()) return CUDA_ERROR_INVALID_DEVICE;
    if (!state().controls.pools) return CUDA_ERROR_NOT_SUPPORTED;
    *pool = state().standard_pools[static_cast<size_t>(card)].get();
    return CUDA_SUCCESS;
}
API cuDeviceGetMemPool(CUmemoryPool* pool, CUdevice card) { return cuDeviceGetDefaultMemPool(pool, card); }

API cuMemHostAlloc(void** to, size_t bytes, unsigned) {
    ENTER(Enter::spoils);
    if (bytes == 0) return CUDA_ERROR_INVALID_VALUE;
    void* at = mmap(nullptr, up(bytes, PAGE), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) return CUDA_ERROR_OUT_OF_MEMORY;
    state().pinned[static_cast<uint8_t*>(at)] = {bytes, true, enter.card};
    *to = at;
    return CUDA_SUCCESS;
}
API cuMemAllocHost_v2(void** to, size_t bytes) { return cuMemHostAlloc(to, bytes, 0); }
API cuMemFreeHost(void* at) {
    ENTER(Enter::spoils, Enter::late);
    auto found = state().pinned.find(static_cast<uint8_t*>(at));
    if (found == state().pinned.end() || !found->second.made) return CUDA_ERROR_INVALID_VALUE;
    munmap(at, up(found->second.bytes, PAGE));
    state().pinned.erase(found);
    return enter.behind;
}
API cuMemHostRegister_v2(void* at, size_t bytes, unsigned) {
    ENTER(Enter::spoils);
    if (bytes == 0) return CUDA_ERROR_INVALID_VALUE;
    uint8_t* first = static_cast<uint8_t*>(at);
    auto behind = state().pinned.lower_bound(first + bytes);
    if (behind != state().pinned.begin()) {
        auto before = std::prev(behind);
        if (before->first + before->second.bytes > first) return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
    }
    state().pinned[first] = {bytes, false, enter.card};
    return CUDA_SUCCESS;
}
API cuMemHostUnregister(void* at) {
    ENTER(Enter::spoils);
    auto found = state().pinned.find(static_cast<uint8_t*>(at));
    if (found == state().pinned.end() || found->second.made) return CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
    state().pinned.erase(found);
    return CUDA_SUCCESS;
}
API cuMemHostGetFlags(unsigned* flags, void* at) {
    ENTER();
    if (!is_pinned(static_cast<uint8_t*>(at), 1)) return CUDA_ERROR_INVALID_VALUE;
    *flags = 0;
    return CUDA_SUCCESS;
}
