/* A host of the library, as C99 and as C++17: everything there and back.
 *
 * round_trip DATA-DIR [PROGRAM]: with a sidecar that runs already, or with PROGRAM, which the session starts as one. */
#include "check.h"

#define JOBS 20u
#define BATCH 7u

static const char *last_error(void)
{
    static char words[1025];
    uint32_t needed = 0;
    CHECK(tf_last_error((uint8_t *)words, sizeof words - 1, &needed) == TF_OK);
    words[needed] = 0;
    return words;
}

#define OK(call)                                                                           \
    do {                                                                                   \
        uint32_t status_ = (call);                                                         \
        if (status_ != TF_OK) {                                                            \
            fprintf(stderr, "%s:%d: %s: %s: %s\n", __FILE__, __LINE__, #call,              \
                    tf_status_text(status_), last_error());                                \
            exit(1);                                                                       \
        }                                                                                  \
    } while (0)

/* Waits for the next completion. */
static TfCompletion_t next(uint64_t session)
{
    TfCompletion_t completion;
    uint32_t ready = 0, count = 0;
    memset(&completion, 0, sizeof completion);
    completion.struct_size = (uint32_t)sizeof completion;
    OK(tf_wait(session, PATIENCE, &ready));
    CHECK(ready == 1);
    OK(tf_poll(session, &completion, 1, &count));
    CHECK(count == 1);
    return completion;
}

static TfSessionState_t state_of(uint64_t session)
{
    TfSessionState_t state;
    memset(&state, 0, sizeof state);
    state.struct_size = (uint32_t)sizeof state;
    OK(tf_session_state(session, &state));
    return state;
}

static TfTexture_t view_of(uint64_t job)
{
    TfTexture_t texture;
    memset(&texture, 0, sizeof texture);
    texture.struct_size = (uint32_t)sizeof texture;
    OK(tf_texture_view(job, &texture));
    return texture;
}

/* The pixels as they lie, and a copy with the bottom row first. */
static void look(const TfCompletion_t *completion)
{
    const size_t row = 64 * 4, bytes = row * 48;
    TfTexture_t texture = view_of(completion->job);
    uint8_t *turned = (uint8_t *)malloc(bytes);
    size_t at;
    CHECK(turned != NULL);
    CHECK(texture.format == TF_DELIVER_PIXELS && texture.width == 64 && texture.height == 48);
    CHECK(texture.bytes == bytes && texture.data != NULL);
    OK(tf_texture_copy(completion->job, turned, bytes, TF_ROWS_BOTTOM_UP));
    for (at = 0; at < 48; at++) {
        CHECK(memcmp(turned + at * row, texture.data + (47 - at) * row, row) == 0);
    }
    CHECK(tf_texture_copy(completion->job, turned, bytes - 1, TF_ROWS_TOP_DOWN) == TF_TOO_LARGE);
    CHECK(tf_texture_copy(completion->job, NULL, bytes, TF_ROWS_TOP_DOWN) == TF_INVALID_REQUEST);
    free(turned);
}

static void texts(uint64_t job)
{
    uint8_t words[128];
    uint32_t needed = 0;
    OK(tf_job_text(job, TF_TEXT_ASSET, NULL, 0, &needed));
    CHECK(needed == 5);
    CHECK(tf_job_text(job, TF_TEXT_ASSET, words, 4, &needed) == TF_TOO_LARGE);
    OK(tf_job_text(job, TF_TEXT_ASSET, words, sizeof words, &needed));
    CHECK(memcmp(words, "crate", 5) == 0);
    OK(tf_job_text(job, TF_TEXT_KEY, words, sizeof words, &needed));
    CHECK(needed == 64);
    OK(tf_job_text(job, TF_TEXT_DETAIL, NULL, 0, &needed));
    CHECK(needed > 2);
    OK(tf_job_text(job, TF_TEXT_MESSAGE, NULL, 0, &needed));
    CHECK(needed == 0);
}

static void twenty(uint64_t session)
{
    TfCompletion_t completions[BATCH];
    uint32_t done = 0, count, ready, at;
    uint32_t seen = 0;
    for (at = 0; at < JOBS; at++) {
        char prompt[32];
        TfRequest_t request;
        uint64_t job = 0;
        sprintf(prompt, "a crate, number %u", (unsigned)at);
        request = request_of(prompt, at);
        OK(tf_submit(session, &request, &job));
        CHECK(job != 0);
        /* The text was copied: what becomes of it does not matter. */
        memset(prompt, 0, sizeof prompt);
    }
    while (done < JOBS) {
        OK(tf_wait(session, PATIENCE, &ready));
        CHECK(ready == 1);
        memset(completions, 0, sizeof completions);
        completions[0].struct_size = (uint32_t)sizeof completions[0];
        OK(tf_poll(session, completions, BATCH, &count));
        CHECK(count >= 1 && count <= BATCH);
        for (at = 0; at < count; at++) {
            CHECK(completions[at].struct_size == sizeof completions[0]);
            CHECK(completions[at].outcome == TF_OUTCOME_DONE && completions[at].status == TF_OK);
            CHECK(completions[at].tag < JOBS);
            seen |= 1u << completions[at].tag;
            look(&completions[at]);
            texts(completions[at].job);
            OK(tf_release(completions[at].job));
            CHECK(tf_release(completions[at].job) == TF_STALE_HANDLE);
        }
        done += count;
    }
    CHECK(seen == (1u << JOBS) - 1);
    CHECK(state_of(session).in_flight == 0 && state_of(session).lent == 0);
}

static void failure(uint64_t session)
{
    TfRequest_t request = request_of("a crate", 21);
    TfCompletion_t completion;
    uint64_t job = 0;
    uint32_t needed = 0;
    request.model = text_of("no-such-model");
    OK(tf_submit(session, &request, &job));
    completion = next(session);
    CHECK(completion.job == job && completion.outcome == TF_OUTCOME_FAILED);
    CHECK(completion.status == TF_UNKNOWN_MODEL);
    OK(tf_job_text(job, TF_TEXT_MESSAGE, NULL, 0, &needed));
    CHECK(needed > 10);
    OK(tf_release(job));
}

static void cancelled(uint64_t session)
{
    TfRequest_t request = request_of("a crate that nobody wants any more", 22);
    TfCompletion_t completion;
    TfProgress_t progress;
    uint64_t job = 0;
    OK(tf_submit(session, &request, &job));
    memset(&progress, 0, sizeof progress);
    progress.struct_size = (uint32_t)sizeof progress;
    OK(tf_progress(job, &progress));
    CHECK(progress.state <= TF_JOB_CANCELLED);
    CHECK(tf_release(job) == TF_INVALID_REQUEST);
    OK(tf_cancel(job));
    completion = next(session);
    /* It may have been drawn by then; it is answered once in any case. */
    CHECK(completion.job == job);
    CHECK(completion.outcome == TF_OUTCOME_CANCELLED || completion.outcome == TF_OUTCOME_DONE);
    OK(tf_release(job));
    CHECK(tf_cancel(job) == TF_STALE_HANDLE);
}

static uint64_t send(uint64_t session, const char *json, uint64_t tag)
{
    TfText_t text = text_of(json);
    uint64_t job = 0;
    OK(tf_command(session, text.data, text.bytes, tag, &job));
    CHECK(job != 0);
    return job;
}

/* What a command comes to: an answer in words, or a failure. */
static void commands(uint64_t session)
{
    uint64_t job = send(session, "{\"verb\":\"doctor\"}", 26);
    TfCompletion_t completion = next(session);
    uint8_t start[10];
    uint8_t *words;
    uint32_t needed = 0;
    CHECK(completion.job == job && completion.tag == 26);
    CHECK(completion.outcome == TF_OUTCOME_DONE && completion.status == TF_OK);
    CHECK(completion.format == TF_DELIVER_NOTHING);
    OK(tf_job_text(job, TF_TEXT_DETAIL, NULL, 0, &needed));
    words = (uint8_t *)malloc(needed);
    CHECK(words != NULL && needed > sizeof start);
    OK(tf_job_text(job, TF_TEXT_DETAIL, words, needed, &needed));
    CHECK(memcmp(words, "{\"answer\":", sizeof start) == 0);
    free(words);
    OK(tf_release(job));

    job = send(session, "{\"verb\":\"no such verb\"}", 27);
    completion = next(session);
    CHECK(completion.job == job && completion.outcome == TF_OUTCOME_FAILED);
    CHECK(completion.status == TF_INVALID_REQUEST || completion.status == TF_UNSUPPORTED_FIELD);
    OK(tf_job_text(job, TF_TEXT_MESSAGE, NULL, 0, &needed));
    CHECK(needed > 10);
    OK(tf_release(job));
    CHECK(tf_command(session, NULL, 0, 0, &job) == TF_INVALID_REQUEST);
    CHECK(tf_command(session, (const uint8_t *)"{}", 2, 0, NULL) == TF_INVALID_REQUEST);
}

/* A reload of scripts: the session is let go with a texture lent and a job open, and found again with both. */
static uint64_t reload(uint64_t session, const TfOptions_t *options)
{
    TfRequest_t request = request_of("a crate that outlives its scripts", 23);
    TfCompletion_t lent, again;
    TfTexture_t before;
    TfJob_t jobs[4];
    uint64_t job = 0, after = 0;
    uint32_t count = 0;
    OK(tf_submit(session, &request, &job));
    lent = next(session);
    before = view_of(lent.job);
    request.tag = 24;
    OK(tf_submit(session, &request, &job));
    OK(tf_relinquish(session));
    CHECK(tf_close(session) == TF_STALE_HANDLE);
    OK(tf_open(options, &after));
    CHECK(after != session);
    CHECK(tf_release(lent.job) == TF_STALE_HANDLE);
    memset(jobs, 0, sizeof jobs);
    jobs[0].struct_size = (uint32_t)sizeof jobs[0];
    OK(tf_jobs(after, jobs, 4, &count));
    CHECK(count == 2 && jobs[0].tag == 23 && jobs[0].state == TF_JOB_DONE && jobs[1].tag == 24);
    again = next(after);
    CHECK(again.tag == 23 && (again.flags & TF_COMPLETION_AGAIN) != 0);
    CHECK(view_of(again.job).data == before.data);
    look(&again);
    OK(tf_release(again.job));
    again = next(after);
    CHECK(again.tag == 24 && again.outcome == TF_OUTCOME_DONE);
    CHECK((again.flags & TF_COMPLETION_AGAIN) == 0);
    OK(tf_release(again.job));
    return after;
}

/* What a caller gets wrong is an answer with a sentence. */
static void wrong(uint64_t session, const TfOptions_t *options)
{
    TfOptions_t other = *options;
    TfRequest_t request = request_of("a crate", 25);
    uint64_t handle = 0;
    uint32_t number = 0;
    CHECK(tf_open(NULL, &handle) == TF_INVALID_REQUEST);
    CHECK(strlen(last_error()) > 10);
    other.abi = TF_ABI_VERSION + 0x10000u;
    CHECK(tf_open(&other, &handle) == TF_ABI_MISMATCH);
    CHECK(tf_submit(session, NULL, &handle) == TF_INVALID_REQUEST);
    CHECK(tf_submit(session, &request, NULL) == TF_INVALID_REQUEST);
    request.struct_size = 3;
    CHECK(tf_submit(session, &request, &handle) == TF_INVALID_REQUEST);
    request = request_of("\xff", 25);
    CHECK(tf_submit(session, &request, &handle) == TF_INVALID_REQUEST);
    CHECK(tf_wait(session, 0, NULL) == TF_INVALID_REQUEST);
    CHECK(tf_poll(session, NULL, 1, &number) == TF_INVALID_REQUEST);
    CHECK(tf_poll(0, NULL, 0, NULL) == TF_STALE_HANDLE);
    CHECK(strcmp(tf_status_text(TF_STALE_HANDLE), "stale_handle") == 0);
    CHECK(strcmp(tf_status_text(4000000000u), "unknown") == 0);
}

int main(int argc, char **argv)
{
    TfOptions_t options;
    uint64_t session = 0;
    CHECK(argc == 2 || argc == 3);
    CHECK(tf_abi_version() >> 16 == TF_ABI_VERSION >> 16);
    options = options_of(argv[1], "round trip in C");
    if (argc == 3) {
        options.program = text_of(argv[2]);
    }
    OK(tf_open(&options, &session));
    twenty(session);
    CHECK(state_of(session).link == TF_LINK_ATTACHED && state_of(session).sidecar_pid != 0);
    failure(session);
    cancelled(session);
    commands(session);
    session = reload(session, &options);
    wrong(session, &options);
    OK(tf_close(session));
    CHECK(tf_close(session) == TF_STALE_HANDLE);
    puts("all of it");
    return 0;
}
