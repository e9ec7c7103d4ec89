//! What every platform and both carriers must do.

mod common;

use std::sync::atomic::Ordering;
use std::time::Duration;

use common::{Echo, PATIENCE, Rig, byte, job, next, wait_for};
use thumbforge_channel::client::{
    Deliver, Flip, Link, Options, Outcome, Progress, RecipeForm, Request, Session, Start,
};
use thumbforge_core::error::ErrorCode;
use thumbforge_core::job::JobState;
use thumbforge_core::limits;

/// Each check runs over shared memory and over frames.
fn both(check: impl Fn(&mut Rig)) {
    for shared_memory in [true, false] {
        check(&mut Rig::new(shared_memory));
    }
}

#[test]
fn a_picture_comes_back_as_it_was_drawn() {
    both(|rig| {
        let session = rig.open("game");
        for (at, side) in [64, 512, 700, 1024].into_iter().enumerate() {
            let number = session.submit(&job("a sword", side, at as u64, Deliver::Pixels)).expect("room");
            let completion = next(&session);
            assert_eq!((completion.number, completion.tag, completion.outcome), (number, at as u64, Outcome::Done));
            let texture = completion.texture.expect("a picture");
            assert_eq!((texture.size(), texture.bytes()), ((side, side), side as usize * side as usize * 4));
            let bytes = texture.to_vec();
            assert!(bytes.iter().enumerate().all(|(place, value)| *value == byte(at as u64, place)), "{side}");
            let mut flipped = vec![0; bytes.len()];
            texture.copy_to(&mut flipped, Flip::BottomUp).expect("pixels");
            let row = side as usize * 4;
            assert_eq!(flipped[..row], bytes[bytes.len() - row..]);
            assert_eq!(flipped[flipped.len() - row..], bytes[..row]);
            assert!(texture.copy_to(&mut flipped[1..], Flip::TopDown).is_err(), "another size");
        }
    });
}

#[test]
fn the_largest_picture_fits() {
    let rig = Rig::new(true);
    let session = rig.open("game");
    session.submit(&job("a castle", 4096, 1, Deliver::Pixels)).expect("room");
    let texture = next(&session).texture.expect("a picture");
    assert_eq!(texture.bytes(), 64 << 20);
    let mut last = vec![0; texture.bytes()];
    texture.copy_to(&mut last, Flip::TopDown).expect("pixels");
    assert_eq!(last.last(), Some(&byte(1, (64 << 20) - 1)));
}

#[test]
fn more_pictures_than_texture_memory_come_as_slots_go_back() {
    both(|rig| {
        let session = rig.open("game");
        for seed in 0..60 {
            session.submit(&job("a rock", 1600, seed, Deliver::Pixels)).expect("room");
        }
        let mut held = Vec::new();
        let mut seen = Vec::new();
        for _ in 0..60 {
            let completion = next(&session);
            seen.push(completion.tag);
            held.push(completion.texture.expect("a picture"));
            // Fifteen of 16 MiB fit, so holding more would wait for ever.
            if held.len() > 8 {
                held.remove(0);
            }
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..60).collect::<Vec<u64>>());
    });
}

#[test]
fn an_answer_without_a_picture_has_its_words() {
    both(|rig| {
        let session = rig.open("game");
        session.submit(&job("fail", 64, 1, Deliver::Pixels)).expect("room");
        let failed = next(&session);
        assert_eq!((failed.outcome, failed.code, failed.detail.as_slice()), (Outcome::Failed, 12, &b"because"[..]));
        let json = Request { recipe: RecipeForm::Json(b"{}"), ..job("", 64, 2, Deliver::Nothing) };
        session.submit(&json).expect("room");
        assert_eq!(next(&session).detail, b"json");
        let file = rig.data().join("art.png");
        session.provide(&file).expect("room");
        assert_eq!(next(&session).detail, file.to_string_lossy().as_bytes());
        assert_eq!(session.provide("art.png".as_ref()).expect_err("a relative path").code, ErrorCode::InvalidRequest);
    });
}

#[test]
fn a_command_is_answered_in_words_or_with_a_picture() {
    both(|rig| {
        let session = rig.open("game");
        let number = session.command(br#"{"verb":"doctor"}"#, 7).expect("room");
        let told = next(&session);
        assert_eq!((told.number, told.tag, told.outcome), (number, 7, Outcome::Done));
        assert_eq!((told.detail.as_slice(), told.texture.is_none()), (&br#"{"verb":"doctor"}"#[..], true));
        let number = session.command(b"picture", 8).expect("room");
        let shown = next(&session);
        assert_eq!((shown.tag, shown.detail.as_slice()), (8, &b"picture"[..]));
        let texture = shown.texture.expect("a picture");
        assert_eq!((texture.size(), texture.format(), texture.bytes()), ((64, 48), Deliver::Pixels, 64 * 48 * 4));
        assert!(texture.to_vec().iter().enumerate().all(|(place, value)| *value == byte(number, place)));
    });
}

#[test]
fn a_command_is_followed_and_taken_back() {
    both(|rig| {
        let session = rig.open("game");
        let number = session.command(b"hold", 1).expect("room");
        let running = Progress { state: JobState::Running, step: 2, steps: 40 };
        wait_for("progress", || session.progress(number) == Some(running));
        session.cancel(number).expect("it is open");
        assert_eq!(next(&session).outcome, Outcome::Cancelled);
        assert_eq!(session.cancel(number).expect_err("it has ended").code, ErrorCode::NotFound);
    });
}

#[test]
fn a_job_is_followed_and_taken_back() {
    both(|rig| {
        let session = rig.open("game");
        let number = session.submit(&job("hold", 64, 1, Deliver::Pixels)).expect("room");
        wait_for("progress", || session.progress(number).is_some_and(|progress| progress.state == JobState::Running));
        assert_eq!(session.progress(number).map(|progress| (progress.step, progress.steps)), Some((3, 28)));
        session.cancel(number).expect("it is open");
        assert_eq!(next(&session).outcome, Outcome::Cancelled);
        assert_eq!(session.cancel(number).expect_err("it has ended").code, ErrorCode::NotFound);
        assert_eq!(session.progress(number), None);
    });
}

#[test]
fn a_request_beyond_its_bound_is_refused_here() {
    let rig = Rig::new(true);
    let session = rig.open("game");
    let huge = vec![b'x'; limits::MESSAGE_BYTES_MAX + 1];
    let request = Request { recipe: RecipeForm::Json(&huge), ..job("", 64, 1, Deliver::Nothing) };
    assert_eq!(session.submit(&request).expect_err("too large").code, ErrorCode::TooLarge);
    let large = vec![b'x'; limits::MESSAGE_BYTES_MAX - 256];
    let request = Request { recipe: RecipeForm::Json(&large), ..job("", 64, 1, Deliver::Nothing) };
    session.submit(&request).expect("it fits");
    assert_eq!(next(&session).detail, b"json");
    // What it is made of takes 13 bytes beside the JSON.
    assert_eq!(session.command(&huge[..huge.len() - 13], 1).expect_err("too large").code, ErrorCode::TooLarge);
    session.command(&huge[..huge.len() - 14], 1).expect("it fits");
    assert_eq!(next(&session).detail, b"{}", "what is too long for an answer is not sent");
}

#[test]
fn what_is_unanswered_goes_over_to_the_next_server_under_its_key() {
    both(|rig| {
        let session = rig.open("game");
        let numbers: Vec<u64> =
            (0..50).map(|seed| session.submit(&job("hold", 64, seed, Deliver::Pixels)).expect("room")).collect();
        session.command(b"hold", 0).expect("room");
        wait_for("all", || rig.echo.held.lock().len() == 51);
        rig.stop();
        wait_for("notice of the end", || session.state().link != Link::Attached);
        rig.echo.held.lock().clear();
        session.cancel(numbers[7]).expect("it is unanswered");
        let late = session.submit(&job("hold", 64, 50, Deliver::Pixels)).expect("room without a sidecar too");
        session.command(b"hold", 51).expect("room without a sidecar too");
        rig.serve();
        wait_for("all again", || rig.echo.held.lock().len() == 52);
        assert_eq!(session.state().restarts, 1);
        assert_eq!(next(&session).number, numbers[7]);
        let asked = rig.echo.asked.lock();
        assert_eq!((asked.len(), asked.values().max()), (53, Some(&2)), "everything came under one key");
        assert_eq!(asked.values().filter(|times| **times == 2).count(), 51, "all but those that came late came twice");
        assert!(session.progress(late).is_some());
    });
}

#[test]
fn a_texture_outlives_sidecar_and_session() {
    let mut rig = Rig::new(true);
    let session = rig.open("game");
    session.submit(&job("a sword", 512, 5, Deliver::Pixels)).expect("room");
    let texture = next(&session).texture.expect("a picture");
    rig.stop();
    session.close();
    assert!(texture.to_vec().iter().enumerate().all(|(at, value)| *value == byte(5, at)));
}

#[test]
fn the_server_notices_that_a_client_is_gone() {
    both(|rig| {
        let session = rig.open("game");
        session.submit(&job("hold", 64, 1, Deliver::Pixels)).expect("room");
        wait_for("the job", || rig.echo.held.lock().len() == 1);
        session.close();
        wait_for("notice", || rig.echo.gone.load(std::sync::atomic::Ordering::SeqCst) == 1);
        let held = std::mem::take(&mut *rig.echo.held.lock());
        assert!(held.iter().all(|(client, _)| client.is_gone()));
        wait_for("the thread", || rig.serving.as_ref().is_some_and(|serving| serving.clients() == 0));
    });
}

#[test]
fn projects_are_kept_apart_and_can_be_refused() {
    let rig = Rig::with(true, Echo { refuses: Some("stranger".to_owned()), ..Echo::default() });
    let (one, other) = (rig.open("one"), rig.open("other"));
    let number = one.submit(&job("hold", 64, 1, Deliver::Pixels)).expect("room");
    other.submit(&job("a rock", 64, 2, Deliver::Nothing)).expect("room");
    assert_eq!(next(&other).tag, 2);
    assert!(other.cancel(number).is_err() || number == 1, "numbers are each session's own");
    // Each client has a thread of its own, so one may hear later than the other has answered.
    wait_for("the other job", || rig.echo.projects.lock().get("one") == Some(&1));
    let refused = Session::open(Options::new(rig.data(), "stranger", Start::Never)).expect("a session");
    assert_eq!(refused.attached(PATIENCE).expect_err("refused").code, ErrorCode::Forbidden);
}

#[test]
fn without_a_sidecar_a_session_says_so_at_once_and_takes_jobs_all_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let session = Session::open(Options::new(folder.path(), "game", Start::Never)).expect("a session");
    assert_eq!(session.attached(PATIENCE).expect_err("nobody").code, ErrorCode::NoSidecar);
    for seed in 0..limits::IN_FLIGHT_MAX as u64 {
        session.submit(&job("later", 64, seed, Deliver::Nothing)).expect("room");
    }
    let full = session.submit(&job("later", 64, 0, Deliver::Nothing)).expect_err("full");
    assert_eq!(full.code, ErrorCode::QueueFull);
    assert!(!session.wait(Duration::from_millis(1)));
}

#[test]
fn a_newer_build_asks_an_older_one_to_drain_if_it_can_start_its_own() {
    let mut rig = Rig::new(true);
    let newer = Options {
        build: "99.0.0".to_owned(),
        ..Options::new(rig.data(), "game", Start::With { program: "/nonexistent/thumbforge".into(), args: Vec::new() })
    };
    let session = Session::open(newer).expect("a session");
    wait_for("the request", || !rig.echo.drains.lock().is_empty());
    assert_eq!(rig.echo.drains.lock().as_slice(), ["99.0.0"]);
    rig.stop();
    wait_for("the failure", || session.state().failure.is_some());
    let failure = session.state().failure.expect("a failure");
    assert!(failure.message.contains("nonexistent"), "{failure}");
    // One that starts nothing takes what there is.
    rig.serve();
    let modest = Options { build: "99.0.0".to_owned(), ..Options::new(rig.data(), "game", Start::Never) };
    Session::open(modest).expect("a session").attached(PATIENCE).expect("the older one");
}

#[test]
fn waiting_for_ever_is_a_time_too() {
    let rig = Rig::new(true);
    let session = rig.open("game");
    session.attached(Duration::MAX).expect("a server");
    session.submit(&job("a sword", 64, 1, Deliver::Nothing)).expect("room");
    assert!(session.wait(Duration::MAX));
    assert!(session.poll().is_some());
}

#[test]
fn a_server_that_has_stopped_listening_leaves_the_address_to_the_next() {
    let mut rig = Rig::new(true);
    let session = rig.open("one");
    let old = rig.serving.take().expect("it serves");
    old.stop_listening();
    assert_eq!(session.state().link, Link::Attached, "connections stay");
    rig.serve();
    old.close();
    let other = rig.open("other");
    other.submit(&job("a sword", 64, 1, Deliver::Nothing)).expect("room");
    assert_eq!(next(&other).outcome, Outcome::Done);
    session.submit(&job("a sword", 64, 2, Deliver::Nothing)).expect("room");
    assert_eq!(next(&session).outcome, Outcome::Done, "it has gone over");
}

#[test]
fn a_fault_of_the_host_ends_the_connection_that_it_is_on() {
    both(|rig| {
        let (session, other) = (rig.open("game"), rig.open("other"));
        session.submit(&job("fault", 64, 1, Deliver::Nothing)).expect("room");
        wait_for("a new connection", || session.state().restarts > 0);
        wait_for("the host to hear of it", || rig.echo.gone.load(Ordering::SeqCst) > 0);
        let third = rig.open("third");
        third.command(b"fault", 3).expect("room");
        wait_for("a new connection", || third.state().restarts > 0);
        other.submit(&job("a sword", 64, 2, Deliver::Nothing)).expect("room");
        assert_eq!(next(&other).outcome, Outcome::Done);
    });
}
