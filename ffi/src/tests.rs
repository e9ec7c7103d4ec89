//! The ABI from its outside, through the exports alone, against a scripted sidecar in this process.

use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use thumbforge_core::error::ErrorCode;

use crate::abi::*;
use crate::exports::*;
use caller::{Caller, last_error, options, request, text};
use sidecar::{Sidecar, pixel, until};

mod caller;
mod sidecar;

/// Nothing here takes so long.
const PATIENCE_MS: u32 = 60_000;

#[test]
fn every_status_is_a_code_with_its_word_and_its_constant() {
    let source = include_str!("abi.rs");
    let word = |status| {
        // SAFETY: any number will do; what comes back is static and ends.
        unsafe { CStr::from_ptr(tf_status_text(status)) }.to_str().expect("ASCII")
    };
    assert_eq!((word(TF_OK), word(u32::MAX)), ("ok", "unknown"));
    for code in ErrorCode::ALL {
        assert_eq!(word(code.number()), code.word());
        let constant = format!("pub const TF_{}: u32 = {};", code.word().to_uppercase(), code.number());
        assert!(source.contains(&constant), "abi.rs lacks: {constant}");
    }
}

#[test]
fn what_cannot_be_opened_is_answered() {
    let sidecar = Sidecar::start();
    let folder = sidecar.data_dir();
    let refused = |expected: u32, change: &dyn Fn(&mut TfOptions)| {
        let mut options = options(&folder, "refused");
        change(&mut options);
        let mut session = 7_u64;
        // SAFETY: a struct and a number of this frame.
        let status = unsafe { tf_open(&raw const options, &raw mut session) };
        assert_eq!(status, expected, "{}", last_error());
        assert_eq!(session, 7, "a refused call writes nothing");
        last_error()
    };
    assert!(refused(TF_ABI_MISMATCH, &|options| options.abi += 1 << 16).contains("restart the editor"));
    // Another major version may have another size: it is told its version, not its size.
    refused(TF_ABI_MISMATCH, &|options| (options.abi, options.struct_size) = (0, 8));
    refused(TF_INVALID_REQUEST, &|options| options.struct_size = 8);
    refused(TF_INVALID_REQUEST, &|options| options.data_dir = text("relative"));
    refused(TF_INVALID_REQUEST, &|options| options.data_dir.reserved = 1);
    refused(TF_INVALID_REQUEST, &|options| options.project = TfText { data: std::ptr::null(), bytes: 1, reserved: 0 });
    refused(TF_UNSUPPORTED_FIELD, &|options| options.flags = 1 << 31);
    refused(TF_TOO_LARGE, &|options| options.argument_count = u32::MAX);
    // SAFETY: null is answered.
    unsafe {
        assert_eq!(tf_open(std::ptr::null(), &mut 0), TF_INVALID_REQUEST);
        assert_eq!(tf_open(&options(&folder, "x"), std::ptr::null_mut()), TF_INVALID_REQUEST);
    }
    // A later minor version is as good as ours.
    let mut options = options(&folder, "later");
    options.abi += 1;
    Caller::open_with(&options).close();
}

#[test]
fn twenty_pictures_there_and_back() {
    let sidecar = Sidecar::start();
    let caller = Caller::open(&sidecar, "twenty");
    for tag in 0..20 {
        caller.submit(&request("picture", 8, 4, tag));
    }
    let mut tags = Vec::new();
    while tags.len() < 20 {
        for completion in caller.completions() {
            assert_eq!((completion.outcome, completion.status, completion.flags), (TF_OUTCOME_DONE, TF_OK, 0));
            assert_eq!((completion.format, completion.width, completion.height), (TF_DELIVER_PIXELS, 8, 4));
            let shown = caller.view(completion.job).expect("a texture");
            assert_eq!(shown.bytes, 8 * 4 * 4);
            // SAFETY: lent to this test until it releases.
            let pixels = unsafe { std::slice::from_raw_parts(shown.data, 8 * 4 * 4) };
            let expected: Vec<u8> = (0..8 * 4 * 4).map(|at| pixel(completion.tag, at)).collect();
            assert_eq!(pixels, expected);
            assert_eq!(caller.copy(completion.job, 8 * 4 * 4, TF_ROWS_TOP_DOWN).expect("a copy"), expected);
            let turned: Vec<u8> = expected.chunks(8 * 4).rev().flatten().copied().collect();
            assert_eq!(caller.copy(completion.job, 8 * 4 * 4 + 9, TF_ROWS_BOTTOM_UP).expect("a copy")[..128], turned);
            assert_eq!(caller.copy(completion.job, 8 * 4 * 4 - 1, TF_ROWS_TOP_DOWN), Err(TF_TOO_LARGE));
            assert_eq!(caller.copy(completion.job, 8 * 4 * 4, 2), Err(TF_INVALID_REQUEST));
            assert_eq!(caller.text(completion.job, TF_TEXT_ASSET).expect("text"), "picture");
            assert_eq!(caller.text(completion.job, TF_TEXT_LOCALE).expect("text"), "ja");
            assert_eq!(caller.text(completion.job, TF_TEXT_MESSAGE).expect("text"), "");
            assert_eq!(caller.text(completion.job, TF_TEXT_KEY).expect("text"), "07".repeat(32));
            assert_eq!(caller.text(completion.job, TF_TEXT_DETAIL).expect("text"), r#"{"render":{}}"#);
            assert_eq!(caller.text(completion.job, 99), Err(TF_INVALID_REQUEST));
            assert_eq!(caller.progress(completion.job).expect("progress").state, TF_JOB_DONE);
            assert_eq!(caller.release(completion.job), TF_OK);
            assert_eq!(caller.release(completion.job), TF_STALE_HANDLE);
            assert_eq!(caller.view(completion.job).map(|_| ()), Err(TF_STALE_HANDLE));
            assert_eq!(caller.text(completion.job, TF_TEXT_ASSET), Err(TF_STALE_HANDLE));
            tags.push(completion.tag);
        }
    }
    tags.sort_unstable();
    assert_eq!(tags, (0..20).collect::<Vec<_>>());
    assert_eq!((caller.state().in_flight, caller.state().lent), (0, 0));
    caller.close();
}

#[test]
fn a_failure_has_its_status_and_its_sentence() {
    let sidecar = Sidecar::start();
    let caller = Caller::open(&sidecar, "failure");
    let job = caller.submit(&request("fail", 8, 8, 3));
    let completion = caller.completion();
    assert_eq!((completion.job, completion.tag), (job, 3));
    assert_eq!((completion.outcome, completion.status), (TF_OUTCOME_FAILED, TF_ENGINE_FAILED));
    assert_eq!(caller.text(job, TF_TEXT_MESSAGE).expect("text"), "failed to draw \"fail\": as the script says");
    assert_eq!(caller.text(job, TF_TEXT_KEY).expect("text"), "");
    assert_eq!(caller.view(job).map(|_| ()), Err(TF_NOT_FOUND));
    assert_eq!(caller.progress(job).expect("progress").state, TF_JOB_FAILED);
    assert_eq!(caller.release(job), TF_OK);
    caller.close();
}

#[test]
fn a_job_is_watched_and_taken_back() {
    let sidecar = Sidecar::start();
    let caller = Caller::open(&sidecar, "cancel");
    let job = caller.submit(&request("hold", 8, 8, 4));
    until("it runs", || {
        let progress = caller.progress(job).expect("progress");
        (progress.state == TF_JOB_RUNNING).then(|| assert_eq!((progress.step, progress.steps), (3, 28)))
    });
    assert_eq!(caller.release(job), TF_INVALID_REQUEST, "nobody polled it");
    assert_eq!(caller.text(job, TF_TEXT_DETAIL), Err(TF_NOT_FOUND), "it has not ended");
    assert_eq!(caller.text(job, TF_TEXT_ASSET).expect("text"), "hold");
    // SAFETY: a handle.
    assert_eq!(unsafe { tf_cancel(job) }, TF_OK);
    let completion = caller.completion();
    assert_eq!((completion.job, completion.outcome, completion.status), (job, TF_OUTCOME_CANCELLED, TF_CANCELLED));
    // SAFETY: a handle.
    assert_eq!(unsafe { tf_cancel(job) }, TF_OK, "what has ended is left as it is");
    assert_eq!(caller.release(job), TF_OK);
    // SAFETY: a handle that is stale by now.
    assert_eq!(unsafe { tf_cancel(job) }, TF_STALE_HANDLE);
    caller.close();
}

#[test]
fn a_file_is_provided() {
    let sidecar = Sidecar::start();
    let caller = Caller::open(&sidecar, "provide");
    let path = sidecar.data_dir() + "/art.png";
    let mut job = 0;
    // SAFETY: texts and numbers of this frame.
    unsafe {
        assert_eq!(tf_provide(caller.session, c"art.png".as_ptr().cast(), 7, 5, &raw mut job), TF_INVALID_REQUEST);
        assert_eq!(tf_provide(caller.session, path.as_ptr(), path.len() as u32, 5, &raw mut job), TF_OK);
    }
    let completion = caller.completion();
    assert_eq!((completion.job, completion.tag), (job, 5));
    assert!(caller.text(job, TF_TEXT_DETAIL).expect("text").contains("art.png"));
    caller.close();
}

#[test]
fn a_command_is_answered_in_words() {
    let sidecar = Sidecar::start();
    let caller = Caller::open(&sidecar, "command");
    let job = caller.command(r#"{"verb":"doctor"}"#, 5).expect("it is sent");
    let completion = caller.completion();
    assert_eq!((completion.job, completion.tag), (job, 5));
    assert_eq!(
        (completion.outcome, completion.status, completion.format),
        (TF_OUTCOME_DONE, TF_OK, TF_DELIVER_NOTHING)
    );
    assert_eq!(caller.text(job, TF_TEXT_DETAIL).expect("text"), r#"{"answer":{"healthy":true}}"#);
    for part in [TF_TEXT_ASSET, TF_TEXT_LOCALE, TF_TEXT_MESSAGE, TF_TEXT_KEY] {
        assert_eq!(caller.text(job, part).expect("text"), "");
    }
    assert_eq!(caller.view(job).map(|_| ()), Err(TF_NOT_FOUND));
    assert_eq!(caller.release(job), TF_OK);
    let unknown = caller.command(r#"{"verb":"no-such-verb"}"#, 6).expect("it is sent");
    let completion = caller.completion();
    assert_eq!((completion.job, completion.outcome), (unknown, TF_OUTCOME_FAILED));
    assert_eq!(completion.status, TF_INVALID_REQUEST);
    assert!(caller.text(unknown, TF_TEXT_MESSAGE).expect("text").contains("no such verb"));
    caller.close();
}

#[test]
fn a_commands_picture_is_a_texture() {
    const BYTES: usize = 64 * 48 * 4;
    let sidecar = Sidecar::start();
    let caller = Caller::open(&sidecar, "preview");
    let job = caller.command(r#"{"verb":"preview"}"#, 1).expect("it is sent");
    let completion = caller.completion();
    assert_eq!((completion.outcome, completion.format), (TF_OUTCOME_DONE, TF_DELIVER_PIXELS));
    assert_eq!((completion.width, completion.height), (64, 48));
    assert_eq!(caller.text(job, TF_TEXT_DETAIL).expect("text"), r#"{"answer":{"width":64,"height":48}}"#);
    let shown = caller.view(job).expect("a texture");
    assert_eq!((shown.width, shown.height, shown.bytes as usize), (64, 48, BYTES));
    let expected: Vec<u8> = (0..BYTES).map(|at| pixel(0, at)).collect();
    assert_eq!(caller.copy(job, BYTES, TF_ROWS_TOP_DOWN).expect("a copy"), expected);
    // The memory of a texture in an editor: RGBA with the bottom row first, and smaller versions of it behind.
    let turned: Vec<u8> = expected.chunks(64 * 4).rev().flatten().copied().collect();
    let texture = caller.copy(job, BYTES + BYTES / 3, TF_ROWS_BOTTOM_UP).expect("a copy");
    assert_eq!((&texture[..BYTES], texture[BYTES..].iter().all(|byte| *byte == 0)), (&turned[..], true));
    assert_eq!(caller.release(job), TF_OK);
    caller.close();
}

#[test]
fn a_command_is_watched_adopted_and_taken_back() {
    let sidecar = Sidecar::start();
    let before = Caller::open(&sidecar, "batch");
    let job = before.command(r#"{"verb":"batch"}"#, 9).expect("it is sent");
    let running = |caller: &Caller, job| {
        let progress = caller.progress(job).expect("progress");
        (progress.state == TF_JOB_RUNNING).then_some((progress.step, progress.steps))
    };
    assert_eq!(until("it runs", || running(&before, job)), (3, 28));
    before.relinquish();
    let after = Caller::open(&sidecar, "batch");
    let jobs = after.jobs();
    assert_eq!((jobs.len(), jobs[0].tag, jobs[0].state), (1, 9, TF_JOB_RUNNING));
    assert_eq!(running(&after, jobs[0].job), Some((3, 28)), "who adopts it sees how far it is");
    // SAFETY: a handle.
    assert_eq!(unsafe { tf_cancel(jobs[0].job) }, TF_OK);
    let completion = after.completion();
    assert_eq!((completion.tag, completion.outcome, completion.status), (9, TF_OUTCOME_CANCELLED, TF_CANCELLED));
    assert_eq!(after.release(completion.job), TF_OK);
    after.close();
}

#[test]
fn commands_are_checked_before_anything_is_sent() {
    let sidecar = Sidecar::start();
    let caller = Caller::open(&sidecar, "checks");
    assert_eq!(caller.command("", 1), Err(TF_INVALID_REQUEST), "{}", last_error());
    assert!(last_error().contains("empty"), "{}", last_error());
    // SAFETY: null, bytes that are no UTF-8, and numbers of this frame; a length that no memory has is not followed.
    unsafe {
        assert_eq!(tf_command(caller.session, std::ptr::null(), 2, 1, &mut 0), TF_INVALID_REQUEST);
        assert_eq!(tf_command(caller.session, b"\xff".as_ptr(), 1, 1, &mut 0), TF_INVALID_REQUEST);
        assert_eq!(tf_command(caller.session, b"{}".as_ptr(), u32::MAX, 1, &mut 0), TF_TOO_LARGE);
        assert_eq!(tf_command(caller.session, b"{}".as_ptr(), 2, 1, std::ptr::null_mut()), TF_INVALID_REQUEST);
    }
    // It fits into what is read of a caller, and not into a message.
    assert_eq!(caller.command(&" ".repeat(crate::pointer::TEXT_BYTES_MAX), 1), Err(TF_TOO_LARGE));
    assert!(caller.jobs().is_empty(), "what was refused is nobody's job");
    caller.close();
}

#[test]
fn a_relinquished_session_is_adopted_with_everything_that_was_lent_or_open() {
    let sidecar = Sidecar::start();
    let before = Caller::open(&sidecar, "reload");
    let lent = before.submit(&request("picture", 8, 8, 1));
    assert_eq!(before.completion().job, lent);
    let shown = before.view(lent).expect("a texture");
    let released = before.submit(&request("picture", 8, 8, 2));
    before.completion();
    assert_eq!(before.release(released), TF_OK);
    let unread = before.submit(&request("fail", 8, 8, 3));
    until("its answer is there", || {
        (before.progress(unread).expect("it is open").state == TF_JOB_VERIFYING).then_some(())
    });
    let open = before.submit(&request("hold", 8, 8, 4));
    let stale = [lent, unread, open];
    let session = before.relinquish();
    // SAFETY: handles, stale by now, and a number of this frame.
    unsafe {
        assert_eq!(tf_close(session), TF_STALE_HANDLE);
        assert_eq!(tf_relinquish(session), TF_STALE_HANDLE);
        assert_eq!(tf_submit(session, &request("x", 8, 8, 0), &mut 0), TF_STALE_HANDLE);
    }

    let after = Caller::open(&sidecar, "reload");
    assert_ne!(after.session, session);
    for job in stale {
        assert_eq!(after.view(job).map(|_| ()), Err(TF_STALE_HANDLE));
        assert_eq!(after.release(job), TF_STALE_HANDLE);
    }
    let jobs: Vec<(u64, u32)> = after.jobs().iter().map(|job| (job.tag, job.state)).collect();
    assert_eq!(jobs[0], (1, TF_JOB_DONE));
    assert_eq!(jobs.iter().map(|(tag, _)| *tag).collect::<Vec<_>>(), [1, 3, 4]);

    let again = after.completion();
    assert_eq!((again.tag, again.flags & TF_COMPLETION_AGAIN), (1, TF_COMPLETION_AGAIN));
    assert_eq!(after.view(again.job).expect("a texture").data, shown.data, "it lies where it lay");
    assert_eq!(after.text(again.job, TF_TEXT_ASSET).expect("text"), "picture");
    let first = after.completion();
    assert_eq!((first.tag, first.flags), (3, 0));
    assert_eq!(first.status, TF_ENGINE_FAILED);
    sidecar.let_go();
    let done = after.completion();
    assert_eq!((done.tag, done.outcome), (4, TF_OUTCOME_DONE));
    assert_eq!(after.text(done.job, TF_TEXT_LOCALE).expect("text"), "ja");
    for completion in [again, first, done] {
        assert_eq!(after.release(completion.job), TF_OK);
    }
    assert_eq!(sidecar.clients(), 1, "the sidecar has seen one session all the time");
    after.close();
}

#[test]
fn a_session_is_taken_over_only_on_request_and_only_at_its_home() {
    let sidecar = Sidecar::start();
    let first = Caller::open(&sidecar, "home");
    let job = first.submit(&request("hold", 8, 8, 1));
    let beside = Caller::open(&sidecar, "home");
    let elsewhere = Caller::open(&sidecar, "elsewhere");
    assert!(beside.jobs().is_empty() && elsewhere.jobs().is_empty());
    elsewhere.close();
    beside.close();

    let folder = sidecar.data_dir();
    let mut options = options(&folder, "home");
    options.flags = TF_OPEN_TAKE_OVER;
    let after = Caller::open_with(&options);
    assert_eq!(first.view(job).map(|_| ()), Err(TF_STALE_HANDLE));
    assert_eq!(after.jobs().len(), 1);
    assert_eq!(after.jobs()[0].tag, 1);
    first.forget();
    sidecar.let_go();
    assert_eq!(after.completion().tag, 1);
    after.close();
}

#[test]
fn without_a_sidecar_jobs_wait_up_to_a_bound_and_the_state_says_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let caller = Caller::open_with(&options(folder.path().to_str().expect("UTF-8"), "alone"));
    let asked = request("picture", 8, 8, 0);
    let mut submitted = 0;
    let refused = loop {
        let mut job = 0;
        // SAFETY: a struct and a number of this frame.
        match unsafe { tf_submit(caller.session, &raw const asked, &raw mut job) } {
            TF_OK => submitted += 1,
            status => break status,
        }
        assert!(submitted <= crate::session::JOBS_MAX, "there is no bound");
    };
    assert_eq!(refused, TF_QUEUE_FULL, "{}", last_error());
    assert_eq!(caller.state().in_flight as usize, submitted);
    until("it says why", || (caller.state().link == TF_LINK_DOWN).then_some(()));
    assert_eq!(caller.state().status, TF_NO_SIDECAR);
    assert!(caller.session_text().contains("sidecar"), "{}", caller.session_text());
    let began = Instant::now();
    assert!(!caller.wait(20));
    assert!(began.elapsed() >= Duration::from_millis(20));
    caller.close();
}

#[test]
fn a_program_that_cannot_be_started_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let arguments = [text("--quiet"), text("two words")];
    let mut options = options(folder.path().to_str().expect("UTF-8"), "start");
    let program = folder.path().join("no-such-program");
    let program = program.to_str().expect("UTF-8");
    options.program = text(program);
    (options.arguments, options.argument_count) = (arguments.as_ptr(), 2);
    let caller = Caller::open_with(&options);
    until("it says why", || (caller.state().link == TF_LINK_DOWN).then_some(()));
    assert_eq!(caller.state().status, TF_NO_SIDECAR);
    assert!(caller.session_text().contains(program), "{}", caller.session_text());
    caller.close();
}

#[test]
fn who_waits_is_told_that_the_session_is_closed() {
    let sidecar = Sidecar::start();
    let caller = Caller::open(&sidecar, "wait");
    let session = caller.session;
    let waiting = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| {
            waiting.store(true, Ordering::Release);
            // SAFETY: a number of this thread.
            unsafe { tf_wait(session, PATIENCE_MS, &mut 0) }
        });
        until("it waits", || waiting.load(Ordering::Acquire).then_some(()));
        caller.close();
        assert_eq!(waits.join().expect("no panic"), TF_STALE_HANDLE);
    });
}

#[test]
fn forged_handles_are_stale_in_every_call() {
    let sidecar = Sidecar::start();
    let caller = Caller::open(&sidecar, "forged");
    let job = caller.submit(&request("hold", 8, 8, 1));
    for forged in [0, 1, u64::MAX, job + 1, job ^ (1 << 40), caller.session ^ 1, caller.session ^ (1 << 33), job << 8] {
        caller::every_call(forged, |name, status| {
            assert_eq!(status, TF_STALE_HANDLE, "{name} of {forged:x}: {}", last_error());
        });
    }
    // One kind of handle is no handle of the other kind.
    assert_eq!(caller.release(caller.session), TF_STALE_HANDLE);
    // SAFETY: a handle of the wrong kind.
    assert_eq!(unsafe { tf_close(job) }, TF_STALE_HANDLE);
    caller.close();
    caller::every_call(job, |name, status| assert_eq!(status, TF_STALE_HANDLE, "{name}"));
}

#[test]
fn eight_threads_call_while_others_adopt_and_close() {
    let sidecar = Sidecar::start();
    let folder = sidecar.data_dir();
    for round in 0..8 {
        let caller = Caller::open(&sidecar, "storm");
        let jobs: Vec<u64> = (0..32).map(|tag| caller.submit(&request("picture", 8, 8, tag))).collect();
        let (started, session) = (AtomicU32::new(0), caller.session);
        std::thread::scope(|scope| {
            for thread in 0..8_usize {
                let (jobs, started) = (&jobs, &started);
                scope.spawn(move || {
                    started.fetch_add(1, Ordering::AcqRel);
                    let mut at = thread;
                    loop {
                        let known = |status: u32| {
                            let fine = [TF_OK, TF_STALE_HANDLE, TF_NOT_FOUND, TF_INVALID_REQUEST, TF_QUEUE_FULL];
                            assert!(fine.contains(&status), "{status}: {}", last_error());
                        };
                        caller::every_call_but_close(jobs[at % jobs.len()], |_, status| known(status));
                        caller::every_call_but_close(session, |_, status| known(status));
                        // SAFETY: a handle, and a number of this frame.
                        if unsafe { tf_jobs(session, std::ptr::null_mut(), 0, &mut 0) } == TF_STALE_HANDLE {
                            break;
                        }
                        at += 1;
                    }
                });
            }
            until("all call", || (started.load(Ordering::Acquire) == 8).then_some(()));
            if round % 2 == 0 {
                caller.close();
            } else {
                let mut options = options(&folder, "storm");
                options.flags = TF_OPEN_TAKE_OVER;
                let taken = Caller::open_with(&options);
                caller.forget();
                taken.close();
            }
        });
    }
}

#[test]
fn requests_are_checked_before_anything_is_submitted() {
    let sidecar = Sidecar::start();
    let caller = Caller::open(&sidecar, "checks");
    let refused = |expected: u32, change: &dyn Fn(&mut TfRequest)| {
        let mut asked = request("picture", 8, 8, 1);
        change(&mut asked);
        // SAFETY: a struct and a number of this frame.
        let status = unsafe { tf_submit(caller.session, &raw const asked, &mut 0) };
        assert_eq!(status, expected, "{}", last_error());
    };
    refused(TF_INVALID_REQUEST, &|asked| asked.struct_size = 16);
    refused(TF_INVALID_REQUEST, &|asked| asked.lane = 2);
    refused(TF_INVALID_REQUEST, &|asked| asked.tier = 2);
    refused(TF_INVALID_REQUEST, &|asked| asked.deliver = 3);
    refused(TF_INVALID_REQUEST, &|asked| asked.reserved = 1);
    refused(TF_INVALID_REQUEST, &|asked| asked.recipe_json = text("{}"));
    refused(TF_UNSUPPORTED_FIELD, &|asked| asked.flags = 1 << 20);
    refused(TF_TOO_LARGE, &|asked| asked.prompt.bytes = u32::MAX);
    assert!(caller.jobs().is_empty());

    let mut whole = request("", 0, 0, 9);
    whole.recipe_json = text(r#"{"prompt":"x"}"#);
    whole.flags = TF_REQUEST_LOSSY | TF_REQUEST_DEADLINE;
    whole.deadline_ms = u64::MAX;
    caller.submit(&whole);
    let completion = caller.completion();
    assert!(caller.text(completion.job, TF_TEXT_DETAIL).expect("text").contains("14 bytes of JSON"));
    caller.close();
}
