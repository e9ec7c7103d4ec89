//! What breaks on the way. The rule that money hangs on: a call that may have reached the provider is ambiguous, and only
//! one that provably did not start is free to be made again.

use std::time::Instant;

use thumbforge_core::job::Outcome;
use thumbforge_hosted::Billed;
use thumbforge_tests::provider::{Act, Delivery, Gate, Reply, Rule};
use thumbforge_tests::rig::{PATIENCE, wait_for};

use super::*;

/// The POST of a call is delivered like this, after the picture was made and billed.
#[track_caller]
fn breaks(protocol: Protocol, delivery: Delivery) -> (Fault, Shop) {
    let mut shop = Shop::open();
    shop.timeout = Duration::from_millis(if matches!(delivery, Delivery::Held(_)) { 2_000 } else { 60_000 });
    let how = format!("{} {delivery:?}", protocol.word());
    shop.provider.rule(Rule::delivery(delivery).method("POST"));
    let fault = fault(shop.ask(protocol, &drawing(protocol)));
    assert_eq!((fault.outcome, fault.billed), (Outcome::Ambiguous, Billed::Unknown), "{how}: {}", fault.message);
    assert_eq!((shop.billed(), shop.provider.count()), (1, 1), "{how}: it was billed, and nobody sent it again");
    (fault, shop)
}

/// Cases that wait for a time to pass, side by side.
fn at_once(protocols: &[Protocol], case: impl Fn(Protocol) + Sync) {
    std::thread::scope(|scope| {
        for protocol in protocols {
            scope.spawn(|| case(*protocol));
        }
    });
}

#[test]
fn what_may_have_started_is_ambiguous() {
    for protocol in Protocol::ALL {
        breaks(protocol, Delivery::Reset);
        breaks(protocol, Delivery::Closed);
        breaks(protocol, Delivery::Cut(10));
        breaks(protocol, Delivery::Raw(Bytes::from_static(b"\x16\x03\x01 this is no HTTP\r\n\r\n")));
    }
}

#[test]
fn an_answer_that_never_comes_is_ambiguous() {
    at_once(&Protocol::ALL, |protocol| {
        let gate = Gate::new();
        breaks(protocol, Delivery::Held(gate.clone()));
        assert_eq!(gate.reached(), 1);
    });
}

#[test]
fn what_reached_nobody_is_free() {
    for protocol in Protocol::ALL {
        let mut shop = Shop::open();
        shop.provider.stop();
        let fault = fault(shop.ask(protocol, &drawing(protocol)));
        assert_eq!(
            (fault.outcome, fault.billed),
            (Outcome::Transient, Billed::No),
            "{}: {}",
            protocol.word(),
            fault.message
        );
    }
}

#[test]
fn a_server_without_tls_is_told_nothing() {
    let shop = Shop::open();
    let mut endpoint = shop.endpoint(Protocol::OpenAi);
    endpoint.base_url.set_scheme("https").expect("another scheme");
    let (call, waiting) = (drawing(Protocol::OpenAi), waiting());
    let work = shop.client.perform(by(Protocol::OpenAi), &endpoint, &call, &waiting);
    let fault = fault(shop.runtime.block_on(work));
    assert_eq!((fault.outcome, fault.billed), (Outcome::Transient, Billed::No), "{}", fault.message);
    assert_eq!(shop.provider.count(), 0);
}

#[test]
fn slow_answers_are_whole() {
    let shop = Shop::open();
    let gate = Gate::new();
    gate.open_wide();
    shop.provider.rule(Rule::delivery(Delivery::Pieces(gate.clone(), 97)).method("POST"));
    for protocol in Protocol::ALL {
        let answer = shop.ask(protocol, &drawing(protocol));
        assert!(answer.is_ok(), "{}: {answer:?}", protocol.word());
    }
    assert!(gate.reached() > 100);
}

#[test]
fn calls_are_not_redirected() {
    for (protocol, status) in [(Protocol::OpenAi, 307), (Protocol::Gemini, 308), (Protocol::Stability, 302)] {
        let shop = Shop::open();
        let elsewhere = Provider::start();
        let reply = Reply::of(status, "text/plain", "").header("location", format!("{}/v1", elsewhere.origin()));
        shop.provider.rule(Rule::reply(reply));
        fault(shop.ask(protocol, &drawing(protocol)));
        assert_eq!((shop.provider.count(), elsewhere.count()), (1, 0), "{}: the key stays here", protocol.word());
    }
}

#[test]
fn polls_are_made_again() {
    let shop = Shop::open();
    shop.provider.rule(Rule::delivery(Delivery::Reset).method("GET").path("/v2/generations/").times(1));
    let answer = shop.ask(Protocol::Ideogram, &drawing(Protocol::Ideogram)).expect("a picture");
    assert_eq!((answer.pictures.len(), shop.billed()), (1, 1));
}

#[test]
fn polls_that_never_work_leave_a_name() {
    at_once(&[Protocol::Ideogram, Protocol::SdCpp, Protocol::ComfyUi], |protocol| {
        let mut shop = Shop::open();
        shop.timeout = Duration::from_millis(3_000);
        shop.provider.rule(Rule::delivery(Delivery::Reset).method("GET"));
        let began = Instant::now();
        let fault = fault(shop.ask(protocol, &drawing(protocol)));
        assert_eq!(fault.outcome, Outcome::Ambiguous, "{}: {}", protocol.word(), fault.message);
        assert!(fault.provider_id.is_some(), "{}: it can be asked after", protocol.word());
        assert!(began.elapsed() < Duration::from_secs(20), "{}: {:?}", protocol.word(), began.elapsed());
        assert_eq!(shop.billed(), 1);
    });
}

#[test]
fn a_call_is_written_down_before_it_is_polled() {
    for protocol in [Protocol::Ideogram, Protocol::SdCpp, Protocol::ComfyUi] {
        let shop = Shop::open();
        let call = drawing(protocol);
        let waiting = Waiting { goes_on: false, ..waiting() };
        let result =
            shop.runtime.block_on(shop.client.perform(by(protocol), &shop.endpoint(protocol), &call, &waiting));
        let fault = fault(result);
        let accepted = waiting.accepted.into_inner().expect("nobody panicked");
        assert_eq!(accepted.len(), 1, "{}: {fault:?}", protocol.word());
        assert_eq!(shop.provider.count(), 1, "{}: whoever cannot write it down does not poll", protocol.word());
        // Another life goes on with the name.
        shop.resume(protocol, &call, &accepted[0]).expect("a picture");
        assert_eq!(shop.billed(), 1, "{}", protocol.word());
    }
}

#[test]
fn comfyui_is_asked_after_calls_that_it_did_not_answer() {
    let (fault, mut shop) = breaks(Protocol::ComfyUi, Delivery::Reset);
    let call = drawing(Protocol::ComfyUi);
    let id = fault.provider_id.expect("our own name for it");
    shop.provider.well();
    shop.timeout = Duration::from_secs(60);
    shop.resume(Protocol::ComfyUi, &call, &id).expect("the picture that was made");
    assert_eq!(shop.billed(), 1);
    // A restarted server knows nothing of it, and bills nothing.
    shop.provider.forget();
    let lost = super::fault(shop.resume(Protocol::ComfyUi, &call, &id));
    assert_eq!((lost.outcome, lost.billed), (Outcome::Transient, Billed::No), "{}", lost.message);
}

#[test]
fn a_call_that_nobody_wants_any_more() {
    // Before it is sent it costs nothing.
    let shop = Shop::open();
    let (cancel, cancelled) = watch::channel(true);
    let waiting = Waiting { cancelled, ..waiting() };
    let call = drawing(Protocol::OpenAi);
    let endpoint = shop.endpoint(Protocol::OpenAi);
    let first = fault(shop.runtime.block_on(shop.client.perform(by(Protocol::OpenAi), &endpoint, &call, &waiting)));
    assert_eq!((first.outcome, first.billed, shop.provider.count()), (Outcome::Cancelled, Billed::No, 0));
    // Afterwards nobody knows.
    cancel.send(false).expect("somebody listens");
    let gate = Gate::new();
    shop.provider.rule(Rule::delivery(Delivery::Held(gate.clone())));
    let second = std::thread::scope(|scope| {
        let work = shop.client.perform(by(Protocol::OpenAi), &endpoint, &call, &waiting);
        let asking = scope.spawn(|| shop.runtime.block_on(work));
        wait_for("the provider to have it", PATIENCE, || (gate.reached() == 1).then_some(()));
        cancel.send(true).expect("somebody listens");
        fault(asking.join().expect("a thread"))
    });
    assert_eq!((second.outcome, second.billed), (Outcome::Ambiguous, Billed::Unknown), "{}", second.message);
    assert_eq!(shop.billed(), 1, "it was right to say so");
}

#[test]
fn giving_up_tells_the_server() {
    let shop = Shop::with(Options { key: Some(KEY.into()), polls: 1_000, ..Options::plain() });
    for (protocol, path) in [(Protocol::ComfyUi, "/queue"), (Protocol::SdCpp, "/cancel")] {
        let call = drawing(protocol);
        let waiting = Waiting { goes_on: false, ..waiting() };
        let endpoint = shop.endpoint(protocol);
        let _ = shop.runtime.block_on(shop.client.perform(by(protocol), &endpoint, &call, &waiting));
        let accepted = waiting.accepted.into_inner().expect("nobody panicked");
        shop.runtime.block_on(shop.client.give_up(by(protocol), &endpoint, &accepted[0]));
        let last = shop.provider.last();
        assert!(last.method == "POST" && last.path.ends_with(path), "{} {}", last.method, last.path);
    }
}

#[test]
fn answers_have_a_bound() {
    let shop = Shop::open();
    // More than any picture may have, in one shared mebibyte.
    let mebibyte = Bytes::from(vec![b' '; 1 << 20]);
    let mut reply = Reply::of(200, "application/json", "");
    reply.body = vec![mebibyte; (thumbforge_core::limits::ANSWER_BYTES_MAX >> 20) + 8];
    shop.provider
        .rule(Rule::new(Act { answer: thumbforge_tests::provider::Answer::Lost(reply), delivery: Delivery::Whole }));
    let fault = fault(shop.ask(Protocol::OpenAi, &drawing(Protocol::OpenAi)));
    assert!(fault.billed != Billed::No, "a picture may have been made: {fault:?}");
    assert_eq!(shop.billed(), 1);
}

#[test]
fn connections_are_kept() {
    let shop = Shop::open();
    for _ in 0..5 {
        shop.ask(Protocol::OpenAi, &drawing(Protocol::OpenAi)).expect("a picture");
    }
    let connections: std::collections::BTreeSet<u64> =
        shop.provider.requests().iter().map(|request| request.connection).collect();
    assert_eq!(connections.len(), 1);
}
