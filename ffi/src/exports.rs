//! Every function of the C ABI, in the order of a session's life, with the body that it guards.
//!
//! `exports!` makes them: the library's puts each body behind [`crate::guard`], so none can forget it; the generator's
//! (`ffi/bindgen`) hands the signatures and comments to safer-ffi. Comments here are those of the header.

use crate::abi::{CChar, TfCompletion, TfJob, TfOptions, TfProgress, TfRequest, TfSessionState, TfTexture};

exports! {
    /// Version of the loaded library: major in the upper 16 bits, minor in the lower.
    ///
    /// Any thread, any time, before anything else. Refuse to go on when the major version is not that of your header;
    /// `tf_open` does the same.
    fn tf_abi_version() -> u32 = calls::abi_version;

    /// The stable word of a status ("queue_full"), or "unknown"; static, NUL-terminated, never freed, never null.
    ///
    /// Any thread. Valid as long as the library is loaded.
    fn tf_status_text(status: u32) -> *const CChar = calls::status_text;

    /// Why the last failed call of this thread failed, as a sentence in UTF-8 of at most 1024 bytes.
    ///
    /// Any thread; each has its own. A call that succeeds leaves it as it was.
    /// `needed` gets the number of bytes. A null `buffer` with a `capacity` of 0 only asks for it; a buffer that is too
    /// small is `TF_TOO_LARGE` and stays as it was. No terminator is written.
    fn tf_last_error(buffer: *mut u8, capacity: u32, needed: *mut u32) -> u32 = calls::last_error;

    /// Opens a session, or adopts the one of the same data directory and project that was relinquished in this process.
    ///
    /// Any thread; returns at once, and a thread of the library finds, starts and watches the sidecar.
    /// The caller owns `options` and what it points to; nothing of it is kept. `session` gets a handle for `tf_close`.
    ///
    /// Adopting makes the session's earlier handles stale; its open jobs go on (`tf_jobs` names them), and completions
    /// that nobody had polled or released come from `tf_poll`. It keeps the program that it was opened with, and waits
    /// at most some 10 milliseconds for calls that other threads still make on it. Names must be spelled as before.
    /// With `TF_OPEN_TAKE_OVER` a session is adopted that nobody relinquished, as after a reload without notice.
    fn tf_open(options: *const TfOptions, session: *mut u64) -> u32 = calls::open;

    /// How the session stands.
    ///
    /// Any thread; never waits. `state` is the caller's, with `struct_size` set.
    fn tf_session_state(session: u64, state: *mut TfSessionState) -> u32 = calls::session_state;

    /// Why the session has no sidecar, as a sentence in UTF-8; empty where it has one or looks for one.
    ///
    /// Any thread; never waits. Sizes as with `tf_last_error`.
    fn tf_session_text(session: u64, buffer: *mut u8, capacity: u32, needed: *mut u32) -> u32 = calls::session_text;

    /// Submits a request; `job` gets a handle for `tf_release`.
    ///
    /// Any thread; never waits: `TF_QUEUE_FULL` when there is no room, and then nothing was submitted.
    /// The caller owns `request` and what it points to, and may free or reuse it as soon as the call returns.
    /// It must not change while the call runs. What is submitted before a sidecar is there waits for it, and what a
    /// sidecar that dies leaves unanswered goes to the next one: nothing is lost, drawn or billed twice.
    fn tf_submit(session: u64, request: *const TfRequest, job: *mut u64) -> u32 = calls::submit;

    /// Tells the sidecar of a file (art, font, adapter) that recipes name by its content; completes like a job.
    ///
    /// Any thread; never waits. `path` is an absolute path of this machine in `path_bytes` bytes of UTF-8, the caller's.
    /// `tag` comes back with the completion; `job` gets a handle for `tf_release`.
    fn tf_provide(session: u64, path: *const u8, path_bytes: u32, tag: u64, job: *mut u64) -> u32 = calls::provide;

    /// Asks the sidecar to do what the command line can do: `json` says what.
    ///
    /// Any thread; never waits. `json` has `json_bytes` bytes of UTF-8, the caller's, as `{"verb":"doctor"}` is; verbs
    /// and fields that the sidecar does not know fail it.
    /// It completes like a job: with `TF_OUTCOME_DONE` when it ran to its end, however that came out, and then
    /// `TF_TEXT_DETAIL` is `{"answer":…}`; some bring a picture, as pixels. It is asked again of the next sidecar where
    /// one dies, so it may be begun twice. `tf_progress` counts what it works through, and `tf_cancel` interrupts it.
    /// `tag` comes back with the completion; `job` gets a handle for `tf_release`. Since 1.1.
    fn tf_command(session: u64, json: *const u8, json_bytes: u32, tag: u64, job: *mut u64) -> u32 = calls::command;

    /// Lists the jobs of a session that have not been released, oldest first: how an adopter learns what goes on.
    ///
    /// Any thread; never waits. `jobs` is the caller's array of `capacity` elements, the first with `struct_size` set;
    /// `count` gets how many there are, which may be more than were written. A null `jobs` with a `capacity` of 0 only
    /// counts.
    fn tf_jobs(session: u64, jobs: *mut TfJob, capacity: u32, count: *mut u32) -> u32 = calls::jobs;

    /// How far a job is.
    ///
    /// Any thread; never waits. `progress` is the caller's, with `struct_size` set.
    fn tf_progress(job: u64, progress: *mut TfProgress) -> u32 = calls::progress;

    /// Asks to cancel a job. It still completes, cancelled or not; a job that has ended already is left as it is.
    ///
    /// Any thread; never waits.
    fn tf_cancel(job: u64) -> u32 = calls::cancel;

    /// Waits at most `timeout_ms` milliseconds until there is something to poll.
    ///
    /// Never on an editor's main thread: poll once per frame there. For headless hosts, on any other thread.
    /// `ready` gets 1 when there is, 0 when the time passed. `tf_close` and an adoption on another thread end
    /// it with `TF_STALE_HANDLE`.
    fn tf_wait(session: u64, timeout_ms: u32, ready: *mut u32) -> u32 = calls::wait;

    /// Fetches completions, oldest first; each is given to one caller, once.
    ///
    /// Any thread; never waits. `completions` is the caller's array of `capacity` elements, the first with
    /// `struct_size` set; `count` gets how many were filled. Each is lent until `tf_release` of its job.
    fn tf_poll(session: u64, completions: *mut TfCompletion, capacity: u32, count: *mut u32) -> u32 = calls::poll;

    /// A text of a job: `part` is `TF_TEXT_…`. Asset and locale from the submit on, the others once it was polled.
    ///
    /// Any thread; never waits. Sizes as with `tf_last_error`. What is written is the caller's.
    fn tf_job_text(job: u64, part: u32, buffer: *mut u8, capacity: u32, needed: *mut u32) -> u32 = calls::job_text;

    /// Shows the texture of a polled completion where it lies, without a copy; `TF_NOT_FOUND` where there is none.
    ///
    /// Any thread; never waits. `texture` is the caller's, with `struct_size` set. The memory that it names is the
    /// library's, read-only (writing to it ends the process), and valid until `tf_release` or `tf_close`. It outlives
    /// the sidecar, a relinquish and an adoption.
    fn tf_texture_view(job: u64, texture: *mut TfTexture) -> u32 = calls::texture_view;

    /// Copies the texture of a polled completion into `buffer`, the caller's, of `buffer_bytes` bytes.
    ///
    /// Any thread; takes as long as the copy. `rows` is `TF_ROWS_…`; only pixels have rows to turn around.
    /// A buffer that is too small is `TF_TOO_LARGE` and stays as it was.
    fn tf_texture_copy(job: u64, buffer: *mut u8, buffer_bytes: u64, rows: u32) -> u32 = calls::texture_copy;

    /// Gives a polled completion back: its texture, its texts and its handle. A job that has not been polled is not
    /// the caller's to release: `TF_INVALID_REQUEST`.
    ///
    /// Any thread; never waits. A second call is `TF_STALE_HANDLE`. A copy that another thread makes meanwhile ends well.
    fn tf_release(job: u64) -> u32 = calls::release;

    /// Lets go of a session and keeps it for the next `tf_open` in this process, as before scripts are reloaded.
    ///
    /// Any thread; never waits. Its handles are stale from here on, its jobs go on, and lent memory stays where it is.
    /// A session that nobody adopts ends with the process.
    fn tf_relinquish(session: u64) -> u32 = calls::relinquish;

    /// Ends a session: its thread is joined, its handles are stale, and its textures are gone.
    ///
    /// Any thread; waits for calls of other threads on this session, at most some 10 milliseconds, and for the session's
    /// own thread. Accepted jobs go on in the sidecar; what they draw is in the store. Do not touch lent memory any more.
    fn tf_close(session: u64) -> u32 = calls::close;
}
