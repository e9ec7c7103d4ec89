/* A host that loads the library, makes a round trip and unloads it, many times over (Windows).
 *
 * load DATA-DIR SIDECAR ROUNDS
 *
 * After each unload the library must be gone, and no handle may be left: of threads, pipes, or memory. The first round
 * starts the sidecar, which lives on for the others. As on Linux, the calls come from a thread that has ended before. */
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include "check.h"

/* A function by its name; by way of memory, because C has no cast between functions and data. */
#define FIND(name)                                                                         \
    do {                                                                                   \
        FARPROC found_ = GetProcAddress(library, #name);                                   \
        CHECK(found_ != NULL);                                                             \
        memcpy(&name##_, &found_, sizeof found_);                                          \
    } while (0)

static const char *data_dir, *sidecar;
static HMODULE library;

static DWORD WINAPI round_trip(void *unused)
{
    uint32_t (*tf_open_)(TfOptions_t const *, uint64_t *);
    uint32_t (*tf_submit_)(uint64_t, TfRequest_t const *, uint64_t *);
    uint32_t (*tf_wait_)(uint64_t, uint32_t, uint32_t *);
    uint32_t (*tf_poll_)(uint64_t, TfCompletion_t *, uint32_t, uint32_t *);
    uint32_t (*tf_texture_view_)(uint64_t, TfTexture_t *);
    uint32_t (*tf_release_)(uint64_t);
    uint32_t (*tf_close_)(uint64_t);
    TfOptions_t options = options_of(data_dir, "load");
    TfRequest_t request = request_of("a crate", 1);
    TfCompletion_t completion;
    TfTexture_t texture;
    uint64_t session = 0, job = 0;
    uint32_t ready = 0, count = 0;
    (void)unused;
    FIND(tf_open);
    FIND(tf_submit);
    FIND(tf_wait);
    FIND(tf_poll);
    FIND(tf_texture_view);
    FIND(tf_release);
    FIND(tf_close);
    options.program = text_of(sidecar);
    CHECK(tf_open_(&options, &session) == TF_OK);
    CHECK(tf_submit_(session, &request, &job) == TF_OK);
    CHECK(tf_wait_(session, PATIENCE, &ready) == TF_OK && ready == 1);
    memset(&completion, 0, sizeof completion);
    completion.struct_size = (uint32_t)sizeof completion;
    CHECK(tf_poll_(session, &completion, 1, &count) == TF_OK && count == 1);
    CHECK(completion.outcome == TF_OUTCOME_DONE);
    memset(&texture, 0, sizeof texture);
    texture.struct_size = (uint32_t)sizeof texture;
    CHECK(tf_texture_view_(job, &texture) == TF_OK && texture.bytes == 64 * 48 * 4);
    CHECK(tf_release_(job) == TF_OK);
    CHECK(tf_close_(session) == TF_OK);
    return 0;
}

/* The number that the next handle would get, which is the lowest that is free. Wine counts no handles. */
static unsigned next_handle(void)
{
    HANDLE event = CreateEventA(NULL, TRUE, FALSE, NULL);
    unsigned number = (unsigned)(uintptr_t)event;
    CHECK(event != NULL);
    CloseHandle(event);
    return number;
}

int main(int argc, char **argv)
{
    DWORD round, rounds;
    unsigned handle = 0, handle_first = 0;
    CHECK(argc == 4);
    data_dir = argv[1];
    sidecar = argv[2];
    rounds = (DWORD)atoi(argv[3]);
    for (round = 0; round < rounds; round++) {
        HANDLE thread;
        DWORD code = 1;
        library = LoadLibraryA("thumbforge.dll");
        CHECK(library != NULL);
        thread = CreateThread(NULL, 0, round_trip, NULL, 0, NULL);
        CHECK(thread != NULL);
        CHECK(WaitForSingleObject(thread, INFINITE) == WAIT_OBJECT_0);
        CHECK(GetExitCodeThread(thread, &code) && code == 0);
        CloseHandle(thread);
        CHECK(FreeLibrary(library));
        CHECK(GetModuleHandleA("thumbforge.dll") == NULL);
        handle = next_handle();
        /* What the system itself keeps is there after the first rounds. */
        if (round == 4) {
            handle_first = handle;
        }
    }
    printf("next handle %u, then %u\n", handle_first, handle);
    /* Handles are multiples of four. */
    CHECK(handle <= handle_first + 2 * 4);
    return 0;
}
