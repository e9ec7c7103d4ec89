/* A host that loads the library, makes a round trip and unloads it, many times over (Linux).
 *
 * load DATA-DIR LIBRARY ROUNDS
 *
 * Nothing may grow: no descriptor, thread or mapping, and after the unload no mapping of the library is left.
 * The calls come from a thread that has ended before the unload: a thread-local of the library's language that is to be
 * dropped at its thread's end would keep the library until then. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "check.h"

/* A function by its name, without a cast that C does not have. */
#define FIND(name)                                                                         \
    do {                                                                                   \
        *(void **)(&name##_) = dlsym(library, #name);                                      \
        CHECK(name##_ != NULL);                                                            \
    } while (0)

static const char *data_dir;
static void *library;

static void *round_trip(void *unused)
{
    uint32_t (*tf_open_)(TfOptions_t const *, uint64_t *);
    uint32_t (*tf_submit_)(uint64_t, TfRequest_t const *, uint64_t *);
    uint32_t (*tf_wait_)(uint64_t, uint32_t, uint32_t *);
    uint32_t (*tf_poll_)(uint64_t, TfCompletion_t *, uint32_t, uint32_t *);
    uint32_t (*tf_texture_view_)(uint64_t, TfTexture_t *);
    uint32_t (*tf_release_)(uint64_t);
    uint32_t (*tf_close_)(uint64_t);
    uint32_t (*tf_last_error_)(uint8_t *, uint32_t, uint32_t *);
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
    FIND(tf_last_error);
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
    /* The thread's own memory in the library. */
    CHECK(tf_release_(job) == TF_STALE_HANDLE);
    CHECK(tf_last_error_(NULL, 0, &count) == TF_OK && count > 10);
    return NULL;
}

static unsigned entries(const char *folder)
{
    unsigned count = 0;
    DIR *open = opendir(folder);
    CHECK(open != NULL);
    while (readdir(open) != NULL) {
        count++;
    }
    closedir(open);
    return count;
}

/* Whether no other thread is left. One that was joined may still be listed while the kernel clears it away. */
static int alone(void)
{
    time_t began = time(NULL);
    while (entries("/proc/self/task") != 1 + 2) {
        if (time(NULL) - began > 20) {
            return 0;
        }
        sched_yield();
    }
    return 1;
}

/* Mappings of the process, and those that name the library or memory of the channel. */
static void mappings(unsigned *all, unsigned *ours)
{
    char line[4096];
    FILE *maps = fopen("/proc/self/maps", "r");
    CHECK(maps != NULL);
    *all = 0;
    *ours = 0;
    while (fgets(line, sizeof line, maps) != NULL) {
        *all += 1;
        *ours += strstr(line, "libthumbforge") != NULL || strstr(line, "memfd") != NULL;
    }
    fclose(maps);
}

int main(int argc, char **argv)
{
    unsigned round, rounds, all = 0, ours = 0, all_first = 0, files_first = 0;
    CHECK(argc == 4);
    data_dir = argv[1];
    rounds = (unsigned)atoi(argv[3]);
    for (round = 0; round < rounds; round++) {
        pthread_t thread;
        library = dlopen(argv[2], RTLD_NOW | RTLD_LOCAL);
        CHECK(library != NULL);
        mappings(&all, &ours);
        CHECK(ours > 0);
        CHECK(pthread_create(&thread, NULL, round_trip, NULL) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
        CHECK(alone());
        CHECK(dlclose(library) == 0);
        mappings(&all, &ours);
        if (ours != 0) {
            fprintf(stderr, "round %u: %u mappings of the library are left\n", round, ours);
            return 1;
        }
        /* What the C library itself keeps (a heap for threads, a stack) is there after the first rounds. */
        if (round == 4) {
            all_first = all;
            files_first = entries("/proc/self/fd");
        }
    }
    printf("mappings %u then %u, descriptors %u then %u\n", all_first, all, files_first, entries("/proc/self/fd"));
    CHECK(all <= all_first + 2);
    CHECK(entries("/proc/self/fd") == files_first);
    return 0;
}
