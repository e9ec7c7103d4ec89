//! The body of every export: check, convert, call. The guard stands in front of all of them (`lib.rs`).
//!
//! Each is `unsafe` for one reason: it follows pointers of the caller, which must be what the header says they are.
//! What can be checked of them is checked in `pointer`, before anything is done.

use std::path::Path;
use std::time::{Duration, Instant};

use thumbforge_channel::client::{self, Completion, Deliver, Flip, Link, Outcome, Texture};
use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::job::JobState;

use crate::abi::*;
use crate::guard::{self, status};
use crate::handle::{self, Generation};
use crate::pointer::{self, Room};
use crate::registry::{self, Home};
use crate::session::{Session, Standing};
use crate::{detail, request, word};

/// How long a call that waits goes without looking whether its session is being closed.
const WAIT_SLICE: Duration = Duration::from_millis(10);

pub(crate) unsafe fn abi_version() -> u32 {
    TF_ABI_VERSION
}

pub(crate) unsafe fn status_text(status: u32) -> *const CChar {
    word::of_status(status).as_ptr()
}

pub(crate) unsafe fn last_error(buffer: *mut u8, capacity: u32, needed: *mut u32) -> u32 {
    let text = guard::last_error();
    // SAFETY: the caller's buffer and number, as the header has it.
    status(unsafe { pointer::give(text.as_bytes(), buffer, capacity, needed) })
}

pub(crate) unsafe fn open(options: *const TfOptions, session: *mut u64) -> u32 {
    let opened = || {
        pointer::may_answer("session", session)?;
        // SAFETY: the caller's struct, as the header has it.
        let opening = unsafe { request::opening(options) }?;
        let Home { data_dir, project } = opening.home.clone();
        let options = client::Options::new(data_dir, project, opening.start);
        registry::open(opening.home, opening.adopt, || client::Session::open(options).map(Session::new))
    };
    // SAFETY: the caller's number, as the header has it.
    status(opened().and_then(|handle| unsafe { pointer::answer("session", session, handle) }))
}

pub(crate) unsafe fn session_state(session: u64, state: *mut TfSessionState) -> u32 {
    status(with_session(session, |session, _| {
        // SAFETY: the caller's struct, as the header has it.
        let mut room = unsafe { Room::new("state", state, 1) }?;
        let (stands, lent) = session.state();
        room.write(
            0,
            &TfSessionState {
                struct_size: 0,
                link: match stands.link {
                    Link::Connecting => TF_LINK_CONNECTING,
                    Link::Attached => TF_LINK_ATTACHED,
                    Link::Down => TF_LINK_DOWN,
                },
                sidecar_pid: stands.sidecar_pid,
                restarts: stands.restarts,
                in_flight: count(stands.in_flight),
                lent: count(lent),
                status: stands.failure.map_or(TF_OK, |failure| failure.code.number()),
                reserved: 0,
            },
        );
        Ok(())
    }))
}

pub(crate) unsafe fn session_text(session: u64, buffer: *mut u8, capacity: u32, needed: *mut u32) -> u32 {
    status(with_session(session, |session, _| {
        let text = session.state().0.failure.map_or_else(String::new, |failure| failure.message);
        // SAFETY: the caller's buffer and number, as the header has it.
        unsafe { pointer::give(text.as_bytes(), buffer, capacity, needed) }
    }))
}

pub(crate) unsafe fn submit(session: u64, request: *const TfRequest, job: *mut u64) -> u32 {
    status(with_session(session, |session, generation| {
        pointer::may_answer("job", job)?;
        // SAFETY: the caller's struct and texts, which stay as they are until the call returns.
        let request = unsafe { request::request(request) }?;
        let number = session.submit(&request)?;
        // SAFETY: the caller's number, as the header has it.
        unsafe { pointer::answer("job", job, generation.job(number)) }
    }))
}

pub(crate) unsafe fn provide(session: u64, path: *const u8, path_bytes: u32, tag: u64, job: *mut u64) -> u32 {
    status(with_session(session, |session, generation| {
        pointer::may_answer("job", job)?;
        // SAFETY: the caller's text, which stays as it is until the call returns.
        let path = Path::new(unsafe { pointer::utf8("path", path, path_bytes) }?);
        if !path.is_absolute() {
            return Err(Failure::new(ErrorCode::InvalidRequest, "failed to provide a file: its path must be absolute"));
        }
        let number = session.provide(path, tag)?;
        // SAFETY: the caller's number, as the header has it.
        unsafe { pointer::answer("job", job, generation.job(number)) }
    }))
}

pub(crate) unsafe fn command(session: u64, json: *const u8, json_bytes: u32, tag: u64, job: *mut u64) -> u32 {
    status(with_session(session, |session, generation| {
        pointer::may_answer("job", job)?;
        // SAFETY: the caller's text, which stays as it is until the call returns.
        let json = unsafe { pointer::utf8("json", json, json_bytes) }?;
        if json.is_empty() {
            return Err(Failure::new(ErrorCode::InvalidRequest, "failed to send a command: `json` is empty"));
        }
        let number = session.command(json.as_bytes(), tag)?;
        // SAFETY: the caller's number, as the header has it.
        unsafe { pointer::answer("job", job, generation.job(number)) }
    }))
}

pub(crate) unsafe fn jobs(session: u64, jobs: *mut TfJob, capacity: u32, count: *mut u32) -> u32 {
    status(with_session(session, |session, generation| {
        pointer::may_answer("count", count)?;
        // SAFETY: the caller's array, as the header has it.
        let mut room = if capacity == 0 { None } else { Some(unsafe { Room::new("jobs", jobs, capacity) }?) };
        let mut found = 0_usize;
        session.jobs(|number, tag, standing| {
            if let Some(room) = room.as_mut().filter(|room| found < room.count()) {
                let (state, ..) = progress_of(&standing);
                room.write(found, &TfJob { struct_size: 0, state, job: generation.job(number), tag });
            }
            found += 1;
        });
        // SAFETY: the caller's number, as the header has it.
        unsafe { pointer::answer("count", count, self::count(found)) }
    }))
}

pub(crate) unsafe fn progress(job: u64, progress: *mut TfProgress) -> u32 {
    status(with_job(job, |session, number| {
        // SAFETY: the caller's struct, as the header has it.
        let mut room = unsafe { Room::new("progress", progress, 1) }?;
        let (state, step, steps) = progress_of(&session.standing(number)?);
        room.write(0, &TfProgress { struct_size: 0, state, step, steps });
        Ok(())
    }))
}

pub(crate) unsafe fn cancel(job: u64) -> u32 {
    status(with_job(job, |session, number| session.cancel(number)))
}

pub(crate) unsafe fn wait(session: u64, timeout_ms: u32, ready: *mut u32) -> u32 {
    let waited = || {
        pointer::may_answer("ready", ready)?;
        let generation = handle::session(session)?;
        let began = Instant::now();
        let timeout = Duration::from_millis(timeout_ms.into());
        registry::with(generation, |session, leaving| {
            loop {
                let left = timeout.saturating_sub(began.elapsed());
                if session.wait(left.min(WAIT_SLICE)) {
                    return Ok(1);
                }
                if leaving() {
                    return Err(handle::stale());
                }
                if left <= WAIT_SLICE {
                    return Ok(0);
                }
            }
        })
    };
    // SAFETY: the caller's number, as the header has it.
    status(waited().and_then(|happened| unsafe { pointer::answer("ready", ready, happened) }))
}

pub(crate) unsafe fn poll(session: u64, completions: *mut TfCompletion, capacity: u32, count: *mut u32) -> u32 {
    status(with_session(session, |session, generation| {
        pointer::may_answer("count", count)?;
        // SAFETY: the caller's array, as the header has it.
        let mut room = unsafe { Room::new("completions", completions, capacity) }?;
        let mut filled = 0_usize;
        while filled < room.count() {
            let Some(lent) = session.poll() else { break };
            room.write(filled, &completion_of(generation, &lent));
            filled += 1;
        }
        // SAFETY: the caller's number, as the header has it.
        unsafe { pointer::answer("count", count, self::count(filled)) }
    }))
}

pub(crate) unsafe fn job_text(job: u64, part: u32, buffer: *mut u8, capacity: u32, needed: *mut u32) -> u32 {
    status(with_job(job, |session, number| {
        let give = |text: &[u8]| {
            // SAFETY: the caller's buffer and number, as the header has it.
            unsafe { pointer::give(text, buffer, capacity, needed) }
        };
        match part {
            TF_TEXT_ASSET => give(session.names(number)?.asset.as_bytes()),
            TF_TEXT_LOCALE => give(session.names(number)?.locale.as_bytes()),
            TF_TEXT_MESSAGE => give(detail::message(session.lent(number)?.as_ref()).as_bytes()),
            TF_TEXT_DETAIL => give(&session.lent(number)?.detail),
            TF_TEXT_KEY => give(detail::key(session.lent(number)?.as_ref()).as_bytes()),
            other => Err(Failure::new(
                ErrorCode::InvalidRequest,
                format!("failed to read a job's text: there is no part {other}"),
            )),
        }
    }))
}

pub(crate) unsafe fn texture_view(job: u64, texture: *mut TfTexture) -> u32 {
    status(with_job(job, |session, number| {
        // SAFETY: the caller's struct, as the header has it.
        let mut room = unsafe { Room::new("texture", texture, 1) }?;
        let answer = session.lent(number)?;
        let shown = texture_of(&answer)?;
        let (width, height) = shown.size();
        let format = format_of(shown.format());
        let (data, bytes) = (shown.ptr(), shown.bytes() as u64);
        room.write(0, &TfTexture { struct_size: 0, format, width, height, data, bytes });
        Ok(())
    }))
}

pub(crate) unsafe fn texture_copy(job: u64, buffer: *mut u8, buffer_bytes: u64, rows: u32) -> u32 {
    status(with_job(job, |session, number| {
        let answer = session.lent(number)?;
        let texture = texture_of(&answer)?;
        let flip = match (rows, texture.format()) {
            (TF_ROWS_TOP_DOWN, _) => Flip::TopDown,
            (TF_ROWS_BOTTOM_UP, Deliver::Pixels) => Flip::BottomUp,
            (TF_ROWS_BOTTOM_UP, _) => {
                return Err(Failure::new(
                    ErrorCode::InvalidRequest,
                    "failed to turn a PNG around: only pixels have rows",
                ));
            }
            (other, _) => {
                return Err(Failure::new(
                    ErrorCode::InvalidRequest,
                    format!("failed to copy rows in an order {other}"),
                ));
            }
        };
        // SAFETY: the caller's buffer, which nobody else touches until the call returns.
        let room = unsafe { pointer::buffer("buffer", buffer, buffer_bytes, texture.bytes()) }?;
        texture.copy_to(room, flip)
    }))
}

pub(crate) unsafe fn release(job: u64) -> u32 {
    status(with_job(job, |session, number| session.release(number)))
}

pub(crate) unsafe fn relinquish(session: u64) -> u32 {
    status(handle::session(session).and_then(registry::relinquish))
}

pub(crate) unsafe fn close(session: u64) -> u32 {
    status(handle::session(session).and_then(registry::close))
}

/// Calls `use_it` with the session that a handle names.
fn with_session<T>(
    session: u64,
    use_it: impl FnOnce(&Session, Generation) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let generation = handle::session(session)?;
    registry::with(generation, |session, _| use_it(session, generation))
}

/// Calls `use_it` with the session and the number of the job that a handle names.
fn with_job<T>(job: u64, use_it: impl FnOnce(&Session, u32) -> Result<T, Failure>) -> Result<T, Failure> {
    let (generation, number) = handle::job(job)?;
    registry::with(generation, |session, _| use_it(session, number))
}

/// A count of things that are bounded far below what a number holds.
fn count(things: usize) -> u32 {
    u32::try_from(things).unwrap_or(u32::MAX)
}

fn texture_of(answer: &Completion) -> Result<&Texture, Failure> {
    answer.texture.as_ref().ok_or_else(|| {
        Failure::new(
            ErrorCode::NotFound,
            "failed to show a texture: there is none; ask for pixels or a PNG in `deliver`, or for a preview",
        )
    })
}

fn format_of(deliver: Deliver) -> u32 {
    match deliver {
        Deliver::Nothing => TF_DELIVER_NOTHING,
        Deliver::Pixels => TF_DELIVER_PIXELS,
        Deliver::Png => TF_DELIVER_PNG,
    }
}

fn outcome_of(outcome: Outcome) -> (u32, u32) {
    match outcome {
        Outcome::Done => (TF_OUTCOME_DONE, TF_JOB_DONE),
        Outcome::Failed => (TF_OUTCOME_FAILED, TF_JOB_FAILED),
        Outcome::Cancelled => (TF_OUTCOME_CANCELLED, TF_JOB_CANCELLED),
    }
}

fn completion_of(generation: Generation, lent: &crate::session::Lent) -> TfCompletion {
    let answer = &lent.answer;
    let (width, height) = answer.texture.as_ref().map_or((0, 0), Texture::size);
    let cached = if answer.cached { TF_COMPLETION_CACHED } else { 0 };
    let again = if lent.again { TF_COMPLETION_AGAIN } else { 0 };
    TfCompletion {
        struct_size: 0,
        outcome: outcome_of(answer.outcome).0,
        status: answer.code,
        flags: cached | again,
        job: generation.job(lent.number),
        tag: lent.tag,
        seed: answer.seed,
        cost_micros_usd: answer.cost_micros_usd,
        latency_ms: answer.latency_ms,
        format: answer.texture.as_ref().map_or(TF_DELIVER_NOTHING, |texture| format_of(texture.format())),
        width,
        height,
        attempts: answer.attempts,
    }
}

/// State, step and steps of a job.
fn progress_of(standing: &Standing) -> (u32, u32, u32) {
    match standing {
        Standing::Open(progress) => (state_of(progress.state), progress.step, progress.steps),
        Standing::Lent(answer) => (outcome_of(answer.outcome).1, 0, 0),
    }
}

fn state_of(state: JobState) -> u32 {
    match state {
        JobState::Queued => TF_JOB_QUEUED,
        JobState::Planning => TF_JOB_PLANNING,
        JobState::Running => TF_JOB_RUNNING,
        JobState::Verifying => TF_JOB_VERIFYING,
        JobState::Repairing => TF_JOB_REPAIRING,
        JobState::Waiting => TF_JOB_WAITING,
        JobState::Ambiguous => TF_JOB_AMBIGUOUS,
        JobState::Done => TF_JOB_DONE,
        JobState::Failed => TF_JOB_FAILED,
        JobState::Cancelled => TF_JOB_CANCELLED,
    }
}
