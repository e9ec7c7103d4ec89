/* Thumbforge: the C ABI of the library that an editor loads.
 *
 * Written by `cargo run -p thumbforge-bindgen` from ffi/src/abi.rs and ffi/src/exports.rs; do not edit it.
 *
 * Threads    Any function may be called from any thread; nothing calls back. Only tf_wait waits for what is to happen;
 *            tf_close, and a tf_open that adopts, wait until calls of other threads on that session have left it.
 * Handles    64-bit numbers; 0 is none. One that was released, closed or never given out is TF_STALE_HANDLE.
 * Statuses   Every function that returns uint32_t returns one, TF_OK on success; tf_last_error says why it failed.
 *            Only tf_abi_version returns a number of its own.
 * Structs    Set struct_size before the call, in an output too. Fields are only ever appended: an older caller's struct
 *            is filled up with zeroes, a newer caller's must be 0 where this library ends.
 * Text       UTF-8 by pointer and length, without a terminator.
 * Memory     What you pass stays yours and is not kept. What a completion lends is yours until tf_release.
 * Unloading  Possible once every session is closed and the threads that made calls have ended; until then the C library
 *            keeps the library where it is. Editors never unload it.
 */

#ifndef THUMBFORGE_H
#define THUMBFORGE_H
#ifdef __cplusplus
extern "C" {
#endif

#include <stddef.h>
#include <stdint.h>

/**
 *  Version of this ABI: major in the upper 16 bits, minor in the lower. Put it into `TfOptions.abi`.
 *
 *  1.0: sessions, jobs, files, textures. 1.1: `tf_command`.
 */
#define TF_ABI_VERSION ((uint32_t) 65537)

/**
 *  Status: success. Every other status is an error, has a word (`tf_status_text`) and never changes its meaning.
 */
#define TF_OK ((uint32_t) 0)

/**
 *  Status: a null or misaligned pointer, a size that cannot be, text that is not UTF-8, a value out of its bounds.
 */
#define TF_INVALID_REQUEST ((uint32_t) 1)

/**
 *  Status: a manifest, locale table, tier file or prompt file that cannot be read as what it is.
 */
#define TF_INVALID_MANIFEST ((uint32_t) 2)

/**
 *  Status: a model name that nobody knows.
 */
#define TF_UNKNOWN_MODEL ((uint32_t) 3)

/**
 *  Status: a known model that this machine cannot run now.
 */
#define TF_MODEL_UNAVAILABLE ((uint32_t) 4)

/**
 *  Status: a field that the route, or this version of the library, cannot honour.
 */
#define TF_UNSUPPORTED_FIELD ((uint32_t) 5)

/**
 *  Status: a bounded queue is full; poll, release and try again later. Nothing was submitted.
 */
#define TF_QUEUE_FULL ((uint32_t) 6)

/**
 *  Status: the sidecar is draining and takes no new jobs.
 */
#define TF_SHUTTING_DOWN ((uint32_t) 7)

/**
 *  Status: somebody cancelled the job.
 */
#define TF_CANCELLED ((uint32_t) 8)

/**
 *  Status: the deadline passed before the job was done.
 */
#define TF_DEADLINE_EXCEEDED ((uint32_t) 9)

/**
 *  Status: a text layer needs a character that none of its fonts has.
 */
#define TF_MISSING_GLYPH ((uint32_t) 10)

/**
 *  Status: a text layer does not fit its area.
 */
#define TF_TEXT_DOES_NOT_FIT ((uint32_t) 11)

/**
 *  Status: an engine failed to draw.
 */
#define TF_ENGINE_FAILED ((uint32_t) 12)

/**
 *  Status: the checks found an error in the picture.
 */
#define TF_VERIFICATION_FAILED ((uint32_t) 13)

/**
 *  Status: a file of the team's own is missing or unreadable.
 */
#define TF_INPUT_FILE ((uint32_t) 14)

/**
 *  Status: an output could not be written.
 */
#define TF_OUTPUT_FILE ((uint32_t) 15)

/**
 *  Status: an output path leaves the project or collides with another.
 */
#define TF_OUTPUT_PATH ((uint32_t) 16)

/**
 *  Status: the journal or the store failed.
 */
#define TF_STORAGE ((uint32_t) 17)

/**
 *  Status: the disk is full.
 */
#define TF_DISK_FULL ((uint32_t) 18)

/**
 *  Status: another sidecar owns the data directory.
 */
#define TF_DATA_DIR_IN_USE ((uint32_t) 19)

/**
 *  Status: a port is taken.
 */
#define TF_PORT_TAKEN ((uint32_t) 20)

/**
 *  Status: no such thing.
 */
#define TF_NOT_FOUND ((uint32_t) 21)

/**
 *  Status: the caller may not do this.
 */
#define TF_FORBIDDEN ((uint32_t) 22)

/**
 *  Status: too many requests in a short time.
 */
#define TF_RATE_LIMITED ((uint32_t) 23)

/**
 *  Status: a text, a picture or a message beyond its bound, or a buffer that is too small for what was to be written.
 */
#define TF_TOO_LARGE ((uint32_t) 24)

/**
 *  Status: another version of Thumbforge is asked for.
 */
#define TF_VERSION_MISMATCH ((uint32_t) 25)

/**
 *  Status: a locale lacks a string.
 */
#define TF_MISSING_STRING ((uint32_t) 26)

/**
 *  Status: version control would not let an output be written.
 */
#define TF_VERSION_CONTROL ((uint32_t) 27)

/**
 *  Status: a fault of Thumbforge itself; please report it.
 */
#define TF_INTERNAL ((uint32_t) 28)

/**
 *  Status: a damaged journal or lock file.
 */
#define TF_CORRUPT ((uint32_t) 29)

/**
 *  Status: the words asked for cannot be found in the picture.
 */
#define TF_RENDERED_TEXT_MISMATCH ((uint32_t) 30)

/**
 *  Status: a handle that names nothing: released, closed, of an earlier session, or never given out.
 */
#define TF_STALE_HANDLE ((uint32_t) 31)

/**
 *  Status: caller and library are of different major versions; in an editor, restart it.
 */
#define TF_ABI_MISMATCH ((uint32_t) 32)

/**
 *  Status: no sidecar runs, and none was to be started or could be.
 */
#define TF_NO_SIDECAR ((uint32_t) 33)

/**
 *  Status: a call to a provider went out, and nobody knows whether the picture was made and billed; a person or a rule decides.
 */
#define TF_AMBIGUOUS ((uint32_t) 34)

/**
 *  Status: the picture would cost more than a budget has left.
 */
#define TF_OVER_BUDGET ((uint32_t) 35)

/**
 *  Status: nobody knows what the picture would cost, so it is not bought.
 */
#define TF_UNKNOWN_PRICE ((uint32_t) 36)

/**
 *  Status: the model is retired, and the template pins it.
 */
#define TF_MODEL_RETIRED ((uint32_t) 37)

/**
 *  Status: the project's policy does not allow the licence of the model or adapter.
 */
#define TF_LICENCE_DENIED ((uint32_t) 38)

/**
 *  Status: the project's policy does not allow the provider.
 */
#define TF_POLICY_DENIED ((uint32_t) 39)

/**
 *  Status: the provider refused the prompt or withheld its picture.
 */
#define TF_CONTENT_POLICY_VIOLATION ((uint32_t) 40)

/**
 *  Status: the provider failed as often as was allowed to try.
 */
#define TF_PROVIDER_FAILED ((uint32_t) 41)

/**
 *  Status: the provider does not take the account's key.
 */
#define TF_PROVIDER_AUTH ((uint32_t) 42)

/**
 *  Status: the account has no credit left.
 */
#define TF_OUT_OF_FUNDS ((uint32_t) 43)

/**
 *  Status: the picture needs more memory than this machine has for it.
 */
#define TF_OUT_OF_MEMORY ((uint32_t) 44)

/**
 *  `TfOptions.flags`: adopt a session of the same data directory and project even if nobody relinquished it.
 */
#define TF_OPEN_TAKE_OVER ((uint32_t) 1)

/**
 *  `TfRequest.flags`: `seed` is set; without it the seed follows from the recipe.
 */
#define TF_REQUEST_SEED ((uint32_t) 1)

/**
 *  `TfRequest.flags`: `steps` is set; without it the model's default applies.
 */
#define TF_REQUEST_STEPS ((uint32_t) 2)

/**
 *  `TfRequest.flags`: `guidance` is set; without it the model's default applies.
 */
#define TF_REQUEST_GUIDANCE ((uint32_t) 4)

/**
 *  `TfRequest.flags`: `safe_inset` is set.
 */
#define TF_REQUEST_SAFE_INSET ((uint32_t) 8)

/**
 *  `TfRequest.flags`: `deadline_ms` is set.
 */
#define TF_REQUEST_DEADLINE ((uint32_t) 16)

/**
 *  `TfRequest.flags`: the built-in engine may stand in for a model that is not there.
 */
#define TF_REQUEST_PLACEHOLDER ((uint32_t) 32)

/**
 *  `TfRequest.flags`: a route may drop fields that it cannot honour; they are listed in the detail.
 */
#define TF_REQUEST_LOSSY ((uint32_t) 64)

/**
 *  `TfRequest.flags`: an error of the checks fails the job; without it findings are told and the picture is kept.
 */
#define TF_REQUEST_ENFORCE ((uint32_t) 128)

/**
 *  `TfRequest.flags`: the words of the finished picture are read back and compared.
 */
#define TF_REQUEST_READ_BACK ((uint32_t) 256)

/**
 *  `TfRequest.lane`: a person waits; always first.
 */
#define TF_LANE_INTERACTIVE ((uint32_t) 0)

/**
 *  `TfRequest.lane`: a build waits.
 */
#define TF_LANE_BATCH ((uint32_t) 1)

/**
 *  `TfRequest.tier`: the final picture.
 */
#define TF_TIER_PRODUCTION ((uint32_t) 0)

/**
 *  `TfRequest.tier`: a draft, as fast as can be.
 */
#define TF_TIER_PREVIEW ((uint32_t) 1)

/**
 *  `TfRequest.deliver`, `TfCompletion.format`: no picture; the store keeps it under its key.
 */
#define TF_DELIVER_NOTHING ((uint32_t) 0)

/**
 *  `TfRequest.deliver`, `TfCompletion.format`: RGBA8 pixels, sRGB, straight alpha, rows top down without padding.
 */
#define TF_DELIVER_PIXELS ((uint32_t) 1)

/**
 *  `TfRequest.deliver`, `TfCompletion.format`: the bytes of the finished PNG, with its provenance.
 */
#define TF_DELIVER_PNG ((uint32_t) 2)

/**
 *  `TfCompletion.outcome`: there is what was asked for: a picture, a file kept, a command run to its end.
 */
#define TF_OUTCOME_DONE ((uint32_t) 0)

/**
 *  `TfCompletion.outcome`: there is none; `status` and `TF_TEXT_MESSAGE` say why.
 */
#define TF_OUTCOME_FAILED ((uint32_t) 1)

/**
 *  `TfCompletion.outcome`: somebody took it back.
 */
#define TF_OUTCOME_CANCELLED ((uint32_t) 2)

/**
 *  `TfCompletion.flags`: the picture was in the store already.
 */
#define TF_COMPLETION_CACHED ((uint32_t) 1)

/**
 *  `TfCompletion.flags`: an earlier owner of the session polled this one and had not released it.
 */
#define TF_COMPLETION_AGAIN ((uint32_t) 2)

/**
 *  `TfProgress.state`, `TfJob.state`: journalled, or on its way to the sidecar.
 */
#define TF_JOB_QUEUED ((uint32_t) 0)

/**
 *  `TfProgress.state`, `TfJob.state`: a route is being chosen.
 */
#define TF_JOB_PLANNING ((uint32_t) 1)

/**
 *  `TfProgress.state`, `TfJob.state`: an engine draws it.
 */
#define TF_JOB_RUNNING ((uint32_t) 2)

/**
 *  `TfProgress.state`, `TfJob.state`: the checks look at it.
 */
#define TF_JOB_VERIFYING ((uint32_t) 3)

/**
 *  `TfProgress.state`, `TfJob.state`: a failed check is being mended.
 */
#define TF_JOB_REPAIRING ((uint32_t) 4)

/**
 *  `TfProgress.state`, `TfJob.state`: held by a rate limit, a budget or a schedule.
 */
#define TF_JOB_WAITING ((uint32_t) 5)

/**
 *  `TfProgress.state`, `TfJob.state`: a call went out and nobody knows what became of it.
 */
#define TF_JOB_AMBIGUOUS ((uint32_t) 6)

/**
 *  `TfProgress.state`, `TfJob.state`: there is a picture.
 */
#define TF_JOB_DONE ((uint32_t) 7)

/**
 *  `TfProgress.state`, `TfJob.state`: there will be none.
 */
#define TF_JOB_FAILED ((uint32_t) 8)

/**
 *  `TfProgress.state`, `TfJob.state`: taken back.
 */
#define TF_JOB_CANCELLED ((uint32_t) 9)

/**
 *  `TfSessionState.link`: a sidecar is being looked for, started or greeted; what is submitted waits for it.
 */
#define TF_LINK_CONNECTING ((uint32_t) 0)

/**
 *  `TfSessionState.link`: a sidecar serves this session.
 */
#define TF_LINK_ATTACHED ((uint32_t) 1)

/**
 *  `TfSessionState.link`: there is none; `status` and `tf_session_text` say why.
 */
#define TF_LINK_DOWN ((uint32_t) 2)

/**
 *  Part of `tf_job_text`: the asset that the request named.
 */
#define TF_TEXT_ASSET ((uint32_t) 0)

/**
 *  Part of `tf_job_text`: the locale that the request named.
 */
#define TF_TEXT_LOCALE ((uint32_t) 1)

/**
 *  Part of `tf_job_text`: why the job failed, a sentence; empty otherwise.
 */
#define TF_TEXT_MESSAGE ((uint32_t) 2)

/**
 *  Part of `tf_job_text`: as JSON, everything that is known of the picture or the failure, or a command's answer.
 */
#define TF_TEXT_DETAIL ((uint32_t) 3)

/**
 *  Part of `tf_job_text`: the realised key as 64 hexadecimal digits; empty where there is no picture.
 */
#define TF_TEXT_KEY ((uint32_t) 4)

/**
 *  `tf_texture_copy`: rows as they are, the top one first.
 */
#define TF_ROWS_TOP_DOWN ((uint32_t) 0)

/**
 *  `tf_texture_copy`: the bottom row first, as Unity and OpenGL keep textures.
 */
#define TF_ROWS_BOTTOM_UP ((uint32_t) 1)

/**
 *  Text or bytes of the caller: read during the call that gets them and never kept. UTF-8 without a terminator.
 */
typedef struct TfText {
    /**
     *  First byte; may be null when `bytes` is 0.
     */
    uint8_t const * data;

    /**
     *  Number of bytes.
     */
    uint32_t bytes;

    /**
     *  Must be 0.
     */
    uint32_t reserved;
} TfText_t;

/**
 *  What `tf_open` is told. The caller owns it and everything it points to; nothing is kept.
 */
typedef struct TfOptions {
    /**
     *  `sizeof(TfOptions_t)` of the caller.
     */
    uint32_t struct_size;

    /**
     *  `TF_ABI_VERSION` of the header that the caller was built with.
     */
    uint32_t abi;

    /**
     *  `TF_OPEN_…`, or 0.
     */
    uint32_t flags;

    /**
     *  Number of `arguments`.
     */
    uint32_t argument_count;

    /**
     *  Arguments of `program`; may be null when there are none.
     */
    TfText_t const * arguments;

    /**
     *  Absolute path of the user's data directory; it names the sidecar.
     */
    TfText_t data_dir;

    /**
     *  The project that jobs belong to, usually its absolute path.
     */
    TfText_t project;

    /**
     *  Program that is started as the sidecar when none runs; empty: never start one.
     */
    TfText_t program;
} TfOptions_t;

/**
 *  What `tf_submit` is told. The caller owns it and everything it points to; nothing is kept.
 *
 *  Zeroed memory with `struct_size`, `prompt`, `width` and `height` set is a valid request.
 */
typedef struct TfRequest {
    /**
     *  `sizeof(TfRequest_t)` of the caller.
     */
    uint32_t struct_size;

    /**
     *  `TF_REQUEST_…`, or 0.
     */
    uint32_t flags;

    /**
     *  The caller's own number; it comes back with the completion, also after the session was adopted.
     */
    uint64_t tag;

    /**
     *  Name of the asset in the manifest; empty for a bare prompt.
     */
    TfText_t asset;

    /**
     *  BCP 47 tag; empty where the picture has no words.
     */
    TfText_t locale;

    /**
     *  A whole recipe as JSON; where it is given, everything from `prompt` to `guidance` must be empty or 0.
     */
    TfText_t recipe_json;

    /**
     *  What to draw.
     */
    TfText_t prompt;

    /**
     *  What not to draw; may be empty.
     */
    TfText_t negative;

    /**
     *  Model of the catalogue; empty: the router chooses.
     */
    TfText_t model;

    /**
     *  Words set over the picture; may be empty.
     */
    TfText_t words;

    /**
     *  Width of the finished picture in pixels.
     */
    uint32_t width;

    /**
     *  Height of the finished picture in pixels.
     */
    uint32_t height;

    /**
     *  `TF_TIER_…`.
     */
    uint32_t tier;

    /**
     *  Denoising steps, with `TF_REQUEST_STEPS`.
     */
    uint32_t steps;

    /**
     *  Seed, 0 to 2^53 - 1, with `TF_REQUEST_SEED`.
     */
    uint64_t seed;

    /**
     *  Classifier-free guidance, with `TF_REQUEST_GUIDANCE`.
     */
    double guidance;

    /**
     *  `TF_LANE_…`.
     */
    uint32_t lane;

    /**
     *  Within a lane, higher first.
     */
    int32_t priority;

    /**
     *  `TF_DELIVER_…`: what the completion brings.
     */
    uint32_t deliver;

    /**
     *  Must be 0.
     */
    uint32_t reserved;

    /**
     *  Share of each side that text keeps clear of, 0 to 0.5, with `TF_REQUEST_SAFE_INSET`.
     */
    double safe_inset;

    /**
     *  Unix time in milliseconds after which nobody wants the picture, with `TF_REQUEST_DEADLINE`.
     */
    uint64_t deadline_ms;
} TfRequest_t;

/**
 *  How a job ended: filled by `tf_poll`. What it names is lent to the caller until `tf_release`.
 */
typedef struct TfCompletion {
    /**
     *  `sizeof(TfCompletion_t)` of the caller; it must stand in the first element and is the distance of all.
     */
    uint32_t struct_size;

    /**
     *  `TF_OUTCOME_…`.
     */
    uint32_t outcome;

    /**
     *  Status of the failure; `TF_OK` where there is a picture.
     */
    uint32_t status;

    /**
     *  `TF_COMPLETION_…`, or 0.
     */
    uint32_t flags;

    /**
     *  The job's handle, which is the handle of its texture and texts too, until `tf_release`.
     */
    uint64_t job;

    /**
     *  What the request's `tag` was.
     */
    uint64_t tag;

    /**
     *  Seed that was drawn with.
     */
    uint64_t seed;

    /**
     *  What it cost, in millionths of a US dollar.
     */
    uint64_t cost_micros_usd;

    /**
     *  Wall time of drawing, checking and encoding.
     */
    uint64_t latency_ms;

    /**
     *  `TF_DELIVER_…`: what `tf_texture_view` shows; `TF_DELIVER_NOTHING`: there is no texture.
     */
    uint32_t format;

    /**
     *  Width of the picture in pixels; 0 where there is none.
     */
    uint32_t width;

    /**
     *  Height of the picture in pixels; 0 where there is none.
     */
    uint32_t height;

    /**
     *  Tries it took.
     */
    uint32_t attempts;
} TfCompletion_t;

/**
 *  A job that has not been released: filled by `tf_jobs`.
 */
typedef struct TfJob {
    /**
     *  `sizeof(TfJob_t)` of the caller; it must stand in the first element and is the distance of all.
     */
    uint32_t struct_size;

    /**
     *  `TF_JOB_…`.
     */
    uint32_t state;

    /**
     *  Its handle.
     */
    uint64_t job;

    /**
     *  What the request's `tag` was.
     */
    uint64_t tag;
} TfJob_t;

/**
 *  How far a job is: filled by `tf_progress`.
 */
typedef struct TfProgress {
    /**
     *  `sizeof(TfProgress_t)` of the caller.
     */
    uint32_t struct_size;

    /**
     *  `TF_JOB_…`.
     */
    uint32_t state;

    /**
     *  Steps done.
     */
    uint32_t step;

    /**
     *  Steps in all; 0 while unknown.
     */
    uint32_t steps;
} TfProgress_t;

/**
 *  A lent texture: filled by `tf_texture_view`.
 */
typedef struct TfTexture {
    /**
     *  `sizeof(TfTexture_t)` of the caller.
     */
    uint32_t struct_size;

    /**
     *  `TF_DELIVER_PIXELS` or `TF_DELIVER_PNG`.
     */
    uint32_t format;

    /**
     *  Width in pixels.
     */
    uint32_t width;

    /**
     *  Height in pixels.
     */
    uint32_t height;

    /**
     *  First byte. Read-only memory of the library, valid until `tf_release` of the job or `tf_close` of its session.
     */
    uint8_t const * data;

    /**
     *  Number of bytes.
     */
    uint64_t bytes;
} TfTexture_t;

/**
 *  How a session stands: filled by `tf_session_state`.
 */
typedef struct TfSessionState {
    /**
     *  `sizeof(TfSessionState_t)` of the caller.
     */
    uint32_t struct_size;

    /**
     *  `TF_LINK_…`.
     */
    uint32_t link;

    /**
     *  Process of the sidecar; 0 while there is none.
     */
    uint32_t sidecar_pid;

    /**
     *  Times that a sidecar was attached anew, after the first.
     */
    uint32_t restarts;

    /**
     *  Jobs without an answer, and answers that were not polled.
     */
    uint32_t in_flight;

    /**
     *  Completions that were polled and not released.
     */
    uint32_t lent;

    /**
     *  Status of what keeps the session from its sidecar; `TF_OK` where nothing does.
     */
    uint32_t status;

    /**
     *  0.
     */
    uint32_t reserved;
} TfSessionState_t;

/**
 *  Version of the loaded library: major in the upper 16 bits, minor in the lower.
 *
 *  Any thread, any time, before anything else. Refuse to go on when the major version is not that of your header;
 *  `tf_open` does the same.
 */
uint32_t
tf_abi_version (void);

/**
 *  The stable word of a status ("queue_full"), or "unknown"; static, NUL-terminated, never freed, never null.
 *
 *  Any thread. Valid as long as the library is loaded.
 */
char const *
tf_status_text (
    uint32_t status);

/**
 *  Why the last failed call of this thread failed, as a sentence in UTF-8 of at most 1024 bytes.
 *
 *  Any thread; each has its own. A call that succeeds leaves it as it was.
 *  `needed` gets the number of bytes. A null `buffer` with a `capacity` of 0 only asks for it; a buffer that is too
 *  small is `TF_TOO_LARGE` and stays as it was. No terminator is written.
 */
uint32_t
tf_last_error (
    uint8_t * buffer,
    uint32_t capacity,
    uint32_t * needed);

/**
 *  Opens a session, or adopts the one of the same data directory and project that was relinquished in this process.
 *
 *  Any thread; returns at once, and a thread of the library finds, starts and watches the sidecar.
 *  The caller owns `options` and what it points to; nothing of it is kept. `session` gets a handle for `tf_close`.
 *
 *  Adopting makes the session's earlier handles stale; its open jobs go on (`tf_jobs` names them), and completions
 *  that nobody had polled or released come from `tf_poll`. It keeps the program that it was opened with, and waits
 *  at most some 10 milliseconds for calls that other threads still make on it. Names must be spelled as before.
 *  With `TF_OPEN_TAKE_OVER` a session is adopted that nobody relinquished, as after a reload without notice.
 */
uint32_t
tf_open (
    TfOptions_t const * options,
    uint64_t * session);

/**
 *  How the session stands.
 *
 *  Any thread; never waits. `state` is the caller's, with `struct_size` set.
 */
uint32_t
tf_session_state (
    uint64_t session,
    TfSessionState_t * state);

/**
 *  Why the session has no sidecar, as a sentence in UTF-8; empty where it has one or looks for one.
 *
 *  Any thread; never waits. Sizes as with `tf_last_error`.
 */
uint32_t
tf_session_text (
    uint64_t session,
    uint8_t * buffer,
    uint32_t capacity,
    uint32_t * needed);

/**
 *  Submits a request; `job` gets a handle for `tf_release`.
 *
 *  Any thread; never waits: `TF_QUEUE_FULL` when there is no room, and then nothing was submitted.
 *  The caller owns `request` and what it points to, and may free or reuse it as soon as the call returns.
 *  It must not change while the call runs. What is submitted before a sidecar is there waits for it, and what a
 *  sidecar that dies leaves unanswered goes to the next one: nothing is lost, drawn or billed twice.
 */
uint32_t
tf_submit (
    uint64_t session,
    TfRequest_t const * request,
    uint64_t * job);

/**
 *  Tells the sidecar of a file (art, font, adapter) that recipes name by its content; completes like a job.
 *
 *  Any thread; never waits. `path` is an absolute path of this machine in `path_bytes` bytes of UTF-8, the caller's.
 *  `tag` comes back with the completion; `job` gets a handle for `tf_release`.
 */
uint32_t
tf_provide (
    uint64_t session,
    uint8_t const * path,
    uint32_t path_bytes,
    uint64_t tag,
    uint64_t * job);

/**
 *  Asks the sidecar to do what the command line can do: `json` says what.
 *
 *  Any thread; never waits. `json` has `json_bytes` bytes of UTF-8, the caller's, as `{"verb":"doctor"}` is; verbs
 *  and fields that the sidecar does not know fail it.
 *  It completes like a job: with `TF_OUTCOME_DONE` when it ran to its end, however that came out, and then
 *  `TF_TEXT_DETAIL` is `{"answer":…}`; some bring a picture, as pixels. It is asked again of the next sidecar where
 *  one dies, so it may be begun twice. `tf_progress` counts what it works through, and `tf_cancel` interrupts it.
 *  `tag` comes back with the completion; `job` gets a handle for `tf_release`. Since 1.1.
 */
uint32_t
tf_command (
    uint64_t session,
    uint8_t const * json,
    uint32_t json_bytes,
    uint64_t tag,
    uint64_t * job);

/**
 *  Lists the jobs of a session that have not been released, oldest first: how an adopter learns what goes on.
 *
 *  Any thread; never waits. `jobs` is the caller's array of `capacity` elements, the first with `struct_size` set;
 *  `count` gets how many there are, which may be more than were written. A null `jobs` with a `capacity` of 0 only
 *  counts.
 */
uint32_t
tf_jobs (
    uint64_t session,
    TfJob_t * jobs,
    uint32_t capacity,
    uint32_t * count);

/**
 *  How far a job is.
 *
 *  Any thread; never waits. `progress` is the caller's, with `struct_size` set.
 */
uint32_t
tf_progress (
    uint64_t job,
    TfProgress_t * progress);

/**
 *  Asks to cancel a job. It still completes, cancelled or not; a job that has ended already is left as it is.
 *
 *  Any thread; never waits.
 */
uint32_t
tf_cancel (
    uint64_t job);

/**
 *  Waits at most `timeout_ms` milliseconds until there is something to poll.
 *
 *  Never on an editor's main thread: poll once per frame there. For headless hosts, on any other thread.
 *  `ready` gets 1 when there is, 0 when the time passed. `tf_close` and an adoption on another thread end
 *  it with `TF_STALE_HANDLE`.
 */
uint32_t
tf_wait (
    uint64_t session,
    uint32_t timeout_ms,
    uint32_t * ready);

/**
 *  Fetches completions, oldest first; each is given to one caller, once.
 *
 *  Any thread; never waits. `completions` is the caller's array of `capacity` elements, the first with
 *  `struct_size` set; `count` gets how many were filled. Each is lent until `tf_release` of its job.
 */
uint32_t
tf_poll (
    uint64_t session,
    TfCompletion_t * completions,
    uint32_t capacity,
    uint32_t * count);

/**
 *  A text of a job: `part` is `TF_TEXT_…`. Asset and locale from the submit on, the others once it was polled.
 *
 *  Any thread; never waits. Sizes as with `tf_last_error`. What is written is the caller's.
 */
uint32_t
tf_job_text (
    uint64_t job,
    uint32_t part,
    uint8_t * buffer,
    uint32_t capacity,
    uint32_t * needed);

/**
 *  Shows the texture of a polled completion where it lies, without a copy; `TF_NOT_FOUND` where there is none.
 *
 *  Any thread; never waits. `texture` is the caller's, with `struct_size` set. The memory that it names is the
 *  library's, read-only (writing to it ends the process), and valid until `tf_release` or `tf_close`. It outlives
 *  the sidecar, a relinquish and an adoption.
 */
uint32_t
tf_texture_view (
    uint64_t job,
    TfTexture_t * texture);

/**
 *  Copies the texture of a polled completion into `buffer`, the caller's, of `buffer_bytes` bytes.
 *
 *  Any thread; takes as long as the copy. `rows` is `TF_ROWS_…`; only pixels have rows to turn around.
 *  A buffer that is too small is `TF_TOO_LARGE` and stays as it was.
 */
uint32_t
tf_texture_copy (
    uint64_t job,
    uint8_t * buffer,
    uint64_t buffer_bytes,
    uint32_t rows);

/**
 *  Gives a polled completion back: its texture, its texts and its handle. A job that has not been polled is not
 *  the caller's to release: `TF_INVALID_REQUEST`.
 *
 *  Any thread; never waits. A second call is `TF_STALE_HANDLE`. A copy that another thread makes meanwhile ends well.
 */
uint32_t
tf_release (
    uint64_t job);

/**
 *  Lets go of a session and keeps it for the next `tf_open` in this process, as before scripts are reloaded.
 *
 *  Any thread; never waits. Its handles are stale from here on, its jobs go on, and lent memory stays where it is.
 *  A session that nobody adopts ends with the process.
 */
uint32_t
tf_relinquish (
    uint64_t session);

/**
 *  Ends a session: its thread is joined, its handles are stale, and its textures are gone.
 *
 *  Any thread; waits for calls of other threads on this session, at most some 10 milliseconds, and for the session's
 *  own thread. Accepted jobs go on in the sidecar; what they draw is in the store. Do not touch lent memory any more.
 */
uint32_t
tf_close (
    uint64_t session);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* THUMBFORGE_H */
