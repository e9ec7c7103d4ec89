//! What crosses the C ABI as data: structs, constants, and how they grow. No behaviour, and nothing but plain types.
//!
//! Two generators and one of our own read this file (see `ffi/bindgen`), so it names only types that all of them know:
//! fixed-size integers, `f64`, pointers, and structs of this file. Every struct but [`TfText`] begins with `struct_size`.
//! A later version appends fields and raises the minor version; it never moves, removes or reinterprets one.

/// `char` of C, for the one static string that we return.
pub type CChar = core::ffi::c_char;

/// Version of this ABI: major in the upper 16 bits, minor in the lower. Put it into `TfOptions.abi`.
///
/// 1.0: sessions, jobs, files, textures. 1.1: `tf_command`.
pub const TF_ABI_VERSION: u32 = 0x0001_0001;

/// Status: success. Every other status is an error, has a word (`tf_status_text`) and never changes its meaning.
pub const TF_OK: u32 = 0;
/// Status: a null or misaligned pointer, a size that cannot be, text that is not UTF-8, a value out of its bounds.
pub const TF_INVALID_REQUEST: u32 = 1;
/// Status: a manifest, locale table, tier file or prompt file that cannot be read as what it is.
pub const TF_INVALID_MANIFEST: u32 = 2;
/// Status: a model name that nobody knows.
pub const TF_UNKNOWN_MODEL: u32 = 3;
/// Status: a known model that this machine cannot run now.
pub const TF_MODEL_UNAVAILABLE: u32 = 4;
/// Status: a field that the route, or this version of the library, cannot honour.
pub const TF_UNSUPPORTED_FIELD: u32 = 5;
/// Status: a bounded queue is full; poll, release and try again later. Nothing was submitted.
pub const TF_QUEUE_FULL: u32 = 6;
/// Status: the sidecar is draining and takes no new jobs.
pub const TF_SHUTTING_DOWN: u32 = 7;
/// Status: somebody cancelled the job.
pub const TF_CANCELLED: u32 = 8;
/// Status: the deadline passed before the job was done.
pub const TF_DEADLINE_EXCEEDED: u32 = 9;
/// Status: a text layer needs a character that none of its fonts has.
pub const TF_MISSING_GLYPH: u32 = 10;
/// Status: a text layer does not fit its area.
pub const TF_TEXT_DOES_NOT_FIT: u32 = 11;
/// Status: an engine failed to draw.
pub const TF_ENGINE_FAILED: u32 = 12;
/// Status: the checks found an error in the picture.
pub const TF_VERIFICATION_FAILED: u32 = 13;
/// Status: a file of the team's own is missing or unreadable.
pub const TF_INPUT_FILE: u32 = 14;
/// Status: an output could not be written.
pub const TF_OUTPUT_FILE: u32 = 15;
/// Status: an output path leaves the project or collides with another.
pub const TF_OUTPUT_PATH: u32 = 16;
/// Status: the journal or the store failed.
pub const TF_STORAGE: u32 = 17;
/// Status: the disk is full.
pub const TF_DISK_FULL: u32 = 18;
/// Status: another sidecar owns the data directory.
pub const TF_DATA_DIR_IN_USE: u32 = 19;
/// Status: a port is taken.
pub const TF_PORT_TAKEN: u32 = 20;
/// Status: no such thing.
pub const TF_NOT_FOUND: u32 = 21;
/// Status: the caller may not do this.
pub const TF_FORBIDDEN: u32 = 22;
/// Status: too many requests in a short time.
pub const TF_RATE_LIMITED: u32 = 23;
/// Status: a text, a picture or a message beyond its bound, or a buffer that is too small for what was to be written.
pub const TF_TOO_LARGE: u32 = 24;
/// Status: another version of Thumbforge is asked for.
pub const TF_VERSION_MISMATCH: u32 = 25;
/// Status: a locale lacks a string.
pub const TF_MISSING_STRING: u32 = 26;
/// Status: version control would not let an output be written.
pub const TF_VERSION_CONTROL: u32 = 27;
/// Status: a fault of Thumbforge itself; please report it.
pub const TF_INTERNAL: u32 = 28;
/// Status: a damaged journal or lock file.
pub const TF_CORRUPT: u32 = 29;
/// Status: the words asked for cannot be found in the picture.
pub const TF_RENDERED_TEXT_MISMATCH: u32 = 30;
/// Status: a handle that names nothing: released, closed, of an earlier session, or never given out.
pub const TF_STALE_HANDLE: u32 = 31;
/// Status: caller and library are of different major versions; in an editor, restart it.
pub const TF_ABI_MISMATCH: u32 = 32;
/// Status: no sidecar runs, and none was to be started or could be.
pub const TF_NO_SIDECAR: u32 = 33;
/// Status: a call to a provider went out, and nobody knows whether the picture was made and billed; a person or a rule decides.
pub const TF_AMBIGUOUS: u32 = 34;
/// Status: the picture would cost more than a budget has left.
pub const TF_OVER_BUDGET: u32 = 35;
/// Status: nobody knows what the picture would cost, so it is not bought.
pub const TF_UNKNOWN_PRICE: u32 = 36;
/// Status: the model is retired, and the template pins it.
pub const TF_MODEL_RETIRED: u32 = 37;
/// Status: the project's policy does not allow the licence of the model or adapter.
pub const TF_LICENCE_DENIED: u32 = 38;
/// Status: the project's policy does not allow the provider.
pub const TF_POLICY_DENIED: u32 = 39;
/// Status: the provider refused the prompt or withheld its picture.
pub const TF_CONTENT_POLICY_VIOLATION: u32 = 40;
/// Status: the provider failed as often as was allowed to try.
pub const TF_PROVIDER_FAILED: u32 = 41;
/// Status: the provider does not take the account's key.
pub const TF_PROVIDER_AUTH: u32 = 42;
/// Status: the account has no credit left.
pub const TF_OUT_OF_FUNDS: u32 = 43;
/// Status: the picture needs more memory than this machine has for it.
pub const TF_OUT_OF_MEMORY: u32 = 44;

/// `TfOptions.flags`: adopt a session of the same data directory and project even if nobody relinquished it.
pub const TF_OPEN_TAKE_OVER: u32 = 1;

/// `TfRequest.flags`: `seed` is set; without it the seed follows from the recipe.
pub const TF_REQUEST_SEED: u32 = 1;
/// `TfRequest.flags`: `steps` is set; without it the model's default applies.
pub const TF_REQUEST_STEPS: u32 = 2;
/// `TfRequest.flags`: `guidance` is set; without it the model's default applies.
pub const TF_REQUEST_GUIDANCE: u32 = 4;
/// `TfRequest.flags`: `safe_inset` is set.
pub const TF_REQUEST_SAFE_INSET: u32 = 8;
/// `TfRequest.flags`: `deadline_ms` is set.
pub const TF_REQUEST_DEADLINE: u32 = 16;
/// `TfRequest.flags`: the built-in engine may stand in for a model that is not there.
pub const TF_REQUEST_PLACEHOLDER: u32 = 32;
/// `TfRequest.flags`: a route may drop fields that it cannot honour; they are listed in the detail.
pub const TF_REQUEST_LOSSY: u32 = 64;
/// `TfRequest.flags`: an error of the checks fails the job; without it findings are told and the picture is kept.
pub const TF_REQUEST_ENFORCE: u32 = 128;
/// `TfRequest.flags`: the words of the finished picture are read back and compared.
pub const TF_REQUEST_READ_BACK: u32 = 256;

/// `TfRequest.lane`: a person waits; always first.
pub const TF_LANE_INTERACTIVE: u32 = 0;
/// `TfRequest.lane`: a build waits.
pub const TF_LANE_BATCH: u32 = 1;

/// `TfRequest.tier`: the final picture.
pub const TF_TIER_PRODUCTION: u32 = 0;
/// `TfRequest.tier`: a draft, as fast as can be.
pub const TF_TIER_PREVIEW: u32 = 1;

/// `TfRequest.deliver`, `TfCompletion.format`: no picture; the store keeps it under its key.
pub const TF_DELIVER_NOTHING: u32 = 0;
/// `TfRequest.deliver`, `TfCompletion.format`: RGBA8 pixels, sRGB, straight alpha, rows top down without padding.
pub const TF_DELIVER_PIXELS: u32 = 1;
/// `TfRequest.deliver`, `TfCompletion.format`: the bytes of the finished PNG, with its provenance.
pub const TF_DELIVER_PNG: u32 = 2;

/// `TfCompletion.outcome`: there is what was asked for: a picture, a file kept, a command run to its end.
pub const TF_OUTCOME_DONE: u32 = 0;
/// `TfCompletion.outcome`: there is none; `status` and `TF_TEXT_MESSAGE` say why.
pub const TF_OUTCOME_FAILED: u32 = 1;
/// `TfCompletion.outcome`: somebody took it back.
pub const TF_OUTCOME_CANCELLED: u32 = 2;

/// `TfCompletion.flags`: the picture was in the store already.
pub const TF_COMPLETION_CACHED: u32 = 1;
/// `TfCompletion.flags`: an earlier owner of the session polled this one and had not released it.
pub const TF_COMPLETION_AGAIN: u32 = 2;

/// `TfProgress.state`, `TfJob.state`: journalled, or on its way to the sidecar.
pub const TF_JOB_QUEUED: u32 = 0;
/// `TfProgress.state`, `TfJob.state`: a route is being chosen.
pub const TF_JOB_PLANNING: u32 = 1;
/// `TfProgress.state`, `TfJob.state`: an engine draws it.
pub const TF_JOB_RUNNING: u32 = 2;
/// `TfProgress.state`, `TfJob.state`: the checks look at it.
pub const TF_JOB_VERIFYING: u32 = 3;
/// `TfProgress.state`, `TfJob.state`: a failed check is being mended.
pub const TF_JOB_REPAIRING: u32 = 4;
/// `TfProgress.state`, `TfJob.state`: held by a rate limit, a budget or a schedule.
pub const TF_JOB_WAITING: u32 = 5;
/// `TfProgress.state`, `TfJob.state`: a call went out and nobody knows what became of it.
pub const TF_JOB_AMBIGUOUS: u32 = 6;
/// `TfProgress.state`, `TfJob.state`: there is a picture.
pub const TF_JOB_DONE: u32 = 7;
/// `TfProgress.state`, `TfJob.state`: there will be none.
pub const TF_JOB_FAILED: u32 = 8;
/// `TfProgress.state`, `TfJob.state`: taken back.
pub const TF_JOB_CANCELLED: u32 = 9;

/// `TfSessionState.link`: a sidecar is being looked for, started or greeted; what is submitted waits for it.
pub const TF_LINK_CONNECTING: u32 = 0;
/// `TfSessionState.link`: a sidecar serves this session.
pub const TF_LINK_ATTACHED: u32 = 1;
/// `TfSessionState.link`: there is none; `status` and `tf_session_text` say why.
pub const TF_LINK_DOWN: u32 = 2;

/// Part of `tf_job_text`: the asset that the request named.
pub const TF_TEXT_ASSET: u32 = 0;
/// Part of `tf_job_text`: the locale that the request named.
pub const TF_TEXT_LOCALE: u32 = 1;
/// Part of `tf_job_text`: why the job failed, a sentence; empty otherwise.
pub const TF_TEXT_MESSAGE: u32 = 2;
/// Part of `tf_job_text`: as JSON, everything that is known of the picture or the failure, or a command's answer.
pub const TF_TEXT_DETAIL: u32 = 3;
/// Part of `tf_job_text`: the realised key as 64 hexadecimal digits; empty where there is no picture.
pub const TF_TEXT_KEY: u32 = 4;

/// `tf_texture_copy`: rows as they are, the top one first.
pub const TF_ROWS_TOP_DOWN: u32 = 0;
/// `tf_texture_copy`: the bottom row first, as Unity and OpenGL keep textures.
pub const TF_ROWS_BOTTOM_UP: u32 = 1;

/// Text or bytes of the caller: read during the call that gets them and never kept. UTF-8 without a terminator.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TfText {
    /// First byte; may be null when `bytes` is 0.
    pub data: *const u8,
    /// Number of bytes.
    pub bytes: u32,
    /// Must be 0.
    pub reserved: u32,
}

/// What `tf_open` is told. The caller owns it and everything it points to; nothing is kept.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TfOptions {
    /// `sizeof(TfOptions_t)` of the caller.
    pub struct_size: u32,
    /// `TF_ABI_VERSION` of the header that the caller was built with.
    pub abi: u32,
    /// `TF_OPEN_…`, or 0.
    pub flags: u32,
    /// Number of `arguments`.
    pub argument_count: u32,
    /// Arguments of `program`; may be null when there are none.
    pub arguments: *const TfText,
    /// Absolute path of the user's data directory; it names the sidecar.
    pub data_dir: TfText,
    /// The project that jobs belong to, usually its absolute path.
    pub project: TfText,
    /// Program that is started as the sidecar when none runs; empty: never start one.
    pub program: TfText,
}

/// What `tf_submit` is told. The caller owns it and everything it points to; nothing is kept.
///
/// Zeroed memory with `struct_size`, `prompt`, `width` and `height` set is a valid request.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TfRequest {
    /// `sizeof(TfRequest_t)` of the caller.
    pub struct_size: u32,
    /// `TF_REQUEST_…`, or 0.
    pub flags: u32,
    /// The caller's own number; it comes back with the completion, also after the session was adopted.
    pub tag: u64,
    /// Name of the asset in the manifest; empty for a bare prompt.
    pub asset: TfText,
    /// BCP 47 tag; empty where the picture has no words.
    pub locale: TfText,
    /// A whole recipe as JSON; where it is given, everything from `prompt` to `guidance` must be empty or 0.
    pub recipe_json: TfText,
    /// What to draw.
    pub prompt: TfText,
    /// What not to draw; may be empty.
    pub negative: TfText,
    /// Model of the catalogue; empty: the router chooses.
    pub model: TfText,
    /// Words set over the picture; may be empty.
    pub words: TfText,
    /// Width of the finished picture in pixels.
    pub width: u32,
    /// Height of the finished picture in pixels.
    pub height: u32,
    /// `TF_TIER_…`.
    pub tier: u32,
    /// Denoising steps, with `TF_REQUEST_STEPS`.
    pub steps: u32,
    /// Seed, 0 to 2^53 - 1, with `TF_REQUEST_SEED`.
    pub seed: u64,
    /// Classifier-free guidance, with `TF_REQUEST_GUIDANCE`.
    pub guidance: f64,
    /// `TF_LANE_…`.
    pub lane: u32,
    /// Within a lane, higher first.
    pub priority: i32,
    /// `TF_DELIVER_…`: what the completion brings.
    pub deliver: u32,
    /// Must be 0.
    pub reserved: u32,
    /// Share of each side that text keeps clear of, 0 to 0.5, with `TF_REQUEST_SAFE_INSET`.
    pub safe_inset: f64,
    /// Unix time in milliseconds after which nobody wants the picture, with `TF_REQUEST_DEADLINE`.
    pub deadline_ms: u64,
}

/// How a job ended: filled by `tf_poll`. What it names is lent to the caller until `tf_release`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TfCompletion {
    /// `sizeof(TfCompletion_t)` of the caller; it must stand in the first element and is the distance of all.
    pub struct_size: u32,
    /// `TF_OUTCOME_…`.
    pub outcome: u32,
    /// Status of the failure; `TF_OK` where there is a picture.
    pub status: u32,
    /// `TF_COMPLETION_…`, or 0.
    pub flags: u32,
    /// The job's handle, which is the handle of its texture and texts too, until `tf_release`.
    pub job: u64,
    /// What the request's `tag` was.
    pub tag: u64,
    /// Seed that was drawn with.
    pub seed: u64,
    /// What it cost, in millionths of a US dollar.
    pub cost_micros_usd: u64,
    /// Wall time of drawing, checking and encoding.
    pub latency_ms: u64,
    /// `TF_DELIVER_…`: what `tf_texture_view` shows; `TF_DELIVER_NOTHING`: there is no texture.
    pub format: u32,
    /// Width of the picture in pixels; 0 where there is none.
    pub width: u32,
    /// Height of the picture in pixels; 0 where there is none.
    pub height: u32,
    /// Tries it took.
    pub attempts: u32,
}

/// A job that has not been released: filled by `tf_jobs`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TfJob {
    /// `sizeof(TfJob_t)` of the caller; it must stand in the first element and is the distance of all.
    pub struct_size: u32,
    /// `TF_JOB_…`.
    pub state: u32,
    /// Its handle.
    pub job: u64,
    /// What the request's `tag` was.
    pub tag: u64,
}

/// How far a job is: filled by `tf_progress`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TfProgress {
    /// `sizeof(TfProgress_t)` of the caller.
    pub struct_size: u32,
    /// `TF_JOB_…`.
    pub state: u32,
    /// Steps done.
    pub step: u32,
    /// Steps in all; 0 while unknown.
    pub steps: u32,
}

/// A lent texture: filled by `tf_texture_view`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TfTexture {
    /// `sizeof(TfTexture_t)` of the caller.
    pub struct_size: u32,
    /// `TF_DELIVER_PIXELS` or `TF_DELIVER_PNG`.
    pub format: u32,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// First byte. Read-only memory of the library, valid until `tf_release` of the job or `tf_close` of its session.
    pub data: *const u8,
    /// Number of bytes.
    pub bytes: u64,
}

/// How a session stands: filled by `tf_session_state`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TfSessionState {
    /// `sizeof(TfSessionState_t)` of the caller.
    pub struct_size: u32,
    /// `TF_LINK_…`.
    pub link: u32,
    /// Process of the sidecar; 0 while there is none.
    pub sidecar_pid: u32,
    /// Times that a sidecar was attached anew, after the first.
    pub restarts: u32,
    /// Jobs without an answer, and answers that were not polled.
    pub in_flight: u32,
    /// Completions that were polled and not released.
    pub lent: u32,
    /// Status of what keeps the session from its sidecar; `TF_OK` where nothing does.
    pub status: u32,
    /// 0.
    pub reserved: u32,
}
