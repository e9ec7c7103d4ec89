//! Hostile clients against the real server, while an honest one works.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use proptest::test_runner::TestRunner;
use thumbforge_core::limits;
use thumbforge_core::wire::frame::{self, Kind};
use thumbforge_core::wire::hello::{self, Hello, Welcome};
use thumbforge_core::wire::message::{ClientMessage, Deliver, Lent, Outcome, ServerMessage};

use super::common::{PATIENCE, Rig, job, next, wait_for};
use super::*;
use crate::client::Session;
use crate::inbox::Inbox;
use crate::layout::ClientRings;
use crate::ring::{Popped, must_ring};
use crate::server::Reply;
use crate::sys::{Access, Address, Memory, Stream};

fn hello(shared: bool) -> Hello {
    let (build, project) = ("0.1.0".to_owned(), "hostile".to_owned());
    Hello { protocol: 1, build, project, instance: [6; 16], pid: 1, shared }
}

fn connect(data: &Path) -> Arc<Stream> {
    Arc::new(Address::of(data).and_then(|address| Stream::connect(&address)).expect("a server"))
}

/// A client without a conscience.
struct Raw {
    inbox: Inbox,
    memory: Option<Memory>,
}

impl Raw {
    fn greet(data: &Path, shared: bool) -> Self {
        let stream = connect(data);
        stream.send(&frame::encode(Kind::Hello, &hello(shared).encode()), None).expect("a server");
        let mut inbox = Inbox::new(stream);
        let (kind, payload) = inbox.next(Some(PATIENCE)).expect("an answer").expect("an answer");
        assert_eq!(kind, Kind::Welcome);
        let welcome = Welcome::decode(&payload).expect("an honest server");
        let memory = (welcome.ring_bytes > 0).then(|| inbox.stream.take(welcome.ticket).expect("memory"));
        Self { inbox, memory }
    }

    fn mapping(&self) -> Mapping {
        self.memory.as_ref().and_then(|memory| memory.map(RING_BYTES, Access::Write).ok()).expect("memory")
    }
}

fn submit(number: u64, prompt: &str, deliver: Deliver) -> Vec<u8> {
    ClientMessage::Submit { number, request: job(prompt, 64, number, deliver).wire() }.encode()
}

#[derive(Debug, Clone)]
enum Attack {
    Bell,
    Frame(Kind, Vec<u8>),
    Bytes(Vec<u8>),
    /// A length that its kind may have, and then nothing.
    Claim(Kind, u32),
    Push(Vec<u8>),
    Submit(u64, Deliver),
    Command(u64, &'static [u8]),
    Cancel(u64),
    Release(Lent),
    Write(usize, u64),
    Smear(usize, usize, u64),
}

fn attacks() -> impl Strategy<Value = Vec<Attack>> {
    let kinds = proptest::sample::select(&Kind::ALL[1..]);
    let lent = (0..4_u32, prop_oneof![0..20_u32, Just(u32::MAX)], prop_oneof![0..4_u64, Just(u64::MAX)])
        .prop_map(|(segment, slot, generation)| Lent { segment, slot, generation });
    let deliver = proptest::sample::select(vec![Deliver::Nothing, Deliver::Pixels]);
    let commands = proptest::sample::select(vec![&b""[..], b"hold", b"picture", b"fault", b"{}"]);
    let attack = prop_oneof![
        3 => Just(Attack::Bell),
        1 => (kinds.clone(), payloads()).prop_map(|(kind, payload)| Attack::Frame(kind, payload)),
        1 => payloads().prop_map(Attack::Bytes),
        1 => (kinds, any::<u32>()).prop_map(|(kind, length)| Attack::Claim(kind, length)),
        1 => payloads().prop_map(Attack::Push),
        4 => (0..6_u64, deliver).prop_map(|(number, deliver)| Attack::Submit(number, deliver)),
        2 => (0..6_u64, commands).prop_map(|(number, json)| Attack::Command(number, json)),
        2 => (0..6_u64).prop_map(Attack::Cancel),
        4 => lent.prop_map(Attack::Release),
        3 => (places(), values()).prop_map(|(at, value)| Attack::Write(at, value)),
        1 => (places(), 1..600_usize, values()).prop_map(|(from, step, value)| Attack::Smear(from, step, value)),
    ];
    proptest::collection::vec(attack, 1..40)
}

fn perform(raw: &Raw, rings: Option<&ClientRings>, scribbler: Option<&Scribbler>, attack: &Attack) {
    let stream = &raw.inbox.stream;
    // Errors say that the server has had enough.
    let message = |message: Vec<u8>| match rings {
        Some(rings) => drop(rings.submissions.push(&message)),
        None => drop(stream.send(&frame::encode(Kind::Message, &message), None)),
    };
    match attack {
        Attack::Bell => drop(stream.bell()),
        Attack::Frame(kind, payload) => drop(stream.send(&frame::encode(*kind, payload), None)),
        Attack::Bytes(bytes) => drop(stream.send(bytes, None)),
        Attack::Claim(kind, length) => {
            let mut head = vec![*kind as u8];
            head.extend((*length % (kind.bytes_max() as u32 + 2)).to_le_bytes());
            drop(stream.send(&head, None));
        }
        Attack::Push(bytes) => message(bytes.clone()),
        Attack::Submit(number, deliver) => message(submit(*number, "a rock", *deliver)),
        Attack::Command(number, json) => message(ClientMessage::Command { number: *number, json }.encode()),
        Attack::Cancel(number) => message(ClientMessage::Cancel { number: *number }.encode()),
        Attack::Release(lent) => match rings {
            Some(rings) => drop(rings.returns.push(&lent.encode())),
            None => message(ClientMessage::Release(*lent).encode()),
        },
        Attack::Write(at, value) => scribbler.into_iter().for_each(|scribbler| scribbler.write(*at, *value)),
        Attack::Smear(from, step, value) => {
            scribbler.into_iter().for_each(|scribbler| scribbler.smear(*from, *step, *value));
        }
    }
}

/// Some jobs of an honest client, each answered once, and soon.
fn honest_work(session: &Session) {
    prompt("honest work", || {
        for seed in 0..6 {
            let deliver = if seed % 3 == 0 { Deliver::Pixels } else { Deliver::Nothing };
            session.submit(&job("a rock", 64, seed, deliver)).expect("room");
        }
        let mut tags: Vec<u64> = (0..6)
            .map(|_| {
                let completion = next(session);
                assert_eq!(completion.outcome, Outcome::Done);
                completion.tag
            })
            .collect();
        tags.sort_unstable();
        assert_eq!(tags, [0, 1, 2, 3, 4, 5]);
    });
    assert_eq!(session.state().restarts, 0);
}

#[test]
fn whatever_a_client_does_others_work_on() {
    for shared in [true, false] {
        let rig = Rig::new(shared);
        let honest = rig.open("honest");
        TestRunner::new(rounds(100))
            .run(&attacks(), |attacks| {
                let raw = Raw::greet(rig.data(), shared);
                let rings = shared.then(|| ClientRings::over(raw.mapping()));
                let scribbler = shared.then(|| Scribbler(raw.mapping()));
                for (at, attack) in attacks.iter().enumerate() {
                    perform(&raw, rings.as_ref(), scribbler.as_ref(), attack);
                    if at == attacks.len() / 2 {
                        honest_work(&honest);
                    }
                }
                let _ = raw.inbox.stream.bell();
                honest_work(&honest);
                drop((rings, scribbler, raw));
                wait_for("the hostile client's end", || {
                    rig.serving.as_ref().is_some_and(|serving| serving.clients() == 1)
                });
                Ok(())
            })
            .unwrap_or_else(|err| panic!("{err}"));
    }
}

#[test]
fn whatever_a_greeting_is_others_work_on() {
    let rig = Rig::new(true);
    let honest = rig.open("honest");
    let whole = frame::encode(Kind::Hello, &hello(true).encode());
    let mut silent = Vec::new();
    for cut in 0..whole.len() {
        let stream = connect(rig.data());
        stream.send(&whole[..cut.max(1)], None).expect("a server");
        // Every tenth keeps the connection and says no more; so many are far below the most clients there may be.
        if cut % 10 == 0 { silent.push(stream) } else { stream.close() }
    }
    honest_work(&honest);
    // Byte by byte it is a greeting all the same.
    let stream = connect(rig.data());
    for byte in whole.chunks(1) {
        stream.send(byte, None).expect("a server");
    }
    let mut inbox = Inbox::new(stream);
    assert_eq!(inbox.next(Some(PATIENCE)).expect("an answer").map(|(kind, _)| kind), Some(Kind::Welcome));
    TestRunner::new(rounds(100))
        .run(&payloads(), |bytes| {
            let stream = connect(rig.data());
            let _ = stream.send(&bytes, None);
            Ok(())
        })
        .expect("nothing to fail");
    honest_work(&honest);
    drop((silent, inbox));
    wait_for("their end", || rig.serving.as_ref().is_some_and(|serving| serving.clients() == 1));
}

/// Neither the host's threads nor the server's end wait for a client that never ends.
#[test]
fn a_client_that_never_ends_holds_nobody_up() {
    let mut rig = Rig::new(true);
    let honest = rig.open("honest");
    let raw = Raw::greet(rig.data(), true);
    let rings = ClientRings::over(raw.mapping());
    rings.submissions.push(&submit(1, "hold", Deliver::Nothing)).expect("room");
    raw.inbox.stream.bell().expect("a server");
    wait_for("the job", || rig.echo.held.lock().len() == 1);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                // Under a number that is in nobody's books, so that each costs the server a look and no more.
                let cancel = ClientMessage::Cancel { number: u64::MAX }.encode();
                while !done.load(Ordering::Relaxed) {
                    if rings.submissions.push(&cancel).is_ok() && must_ring(rings.flags.server_sleeps()) {
                        let _ = raw.inbox.stream.bell();
                    }
                }
            });
        }
        let (client, number) = rig.echo.held.lock().pop().expect("one");
        prompt("an answer", || client.complete(&Reply::bare(number, Outcome::Done), None));
        honest_work(&honest);
        prompt("the server's end", || rig.stop());
        done.store(true, Ordering::Relaxed);
    });
}

/// A client that submits and takes no answer gets as far as one that keeps within its bound, and no further.
#[test]
fn a_client_that_takes_no_answer_piles_up_none() {
    let rig = Rig::new(true);
    let raw = Raw::greet(rig.data(), true);
    let rings = ClientRings::over(raw.mapping());
    let (began, mut number) = (Instant::now(), 0);
    // Until nothing has gone in for a while.
    let mut last = Instant::now();
    while last.elapsed() < Duration::from_millis(300) && began.elapsed() < PATIENCE {
        if rings.submissions.push(&submit(number, "a rock", Deliver::Nothing)).is_ok() {
            (number, last) = (number + 1, Instant::now());
        }
        let _ = raw.inbox.stream.bell();
    }
    let asked = rig.echo.asked.lock().len();
    // As many as wait for the ring, and those in the ring.
    assert!((limits::IN_FLIGHT_MAX..=limits::IN_FLIGHT_MAX + 1024).contains(&asked), "{asked} were heard");
    drop(raw);
    wait_for("its end", || rig.serving.as_ref().is_some_and(|serving| serving.clients() == 0));
}

/// Everything that an honest client can have in flight, answered at once while it looks elsewhere.
#[test]
fn answers_to_all_that_is_in_flight_find_room() {
    const PICTURES: u64 = 100;
    let all = limits::IN_FLIGHT_MAX as u64;
    for shared in [true, false] {
        let rig = Rig::new(shared);
        let mut raw = Raw::greet(rig.data(), shared);
        let mut rings = shared.then(|| ClientRings::over(raw.mapping()));
        for number in 0..all - PICTURES {
            let message = submit(number, "hold", Deliver::Nothing);
            match &rings {
                Some(rings) => wait_for("room", || {
                    let _ = raw.inbox.stream.bell();
                    rings.submissions.push(&message).is_ok()
                }),
                None => raw.inbox.stream.send(&frame::encode(Kind::Message, &message), None).expect("a server"),
            }
            // Progress of each is nothing that this client reads, either.
        }
        let _ = raw.inbox.stream.bell();
        wait_for("all", || rig.echo.held.lock().len() as u64 == all - PICTURES);
        for (client, number) in std::mem::take(&mut *rig.echo.held.lock()) {
            client.complete(&Reply::bare(number, Outcome::Done), None);
        }
        for number in all - PICTURES..all {
            let message = submit(number, "a rock", Deliver::Pixels);
            match &rings {
                Some(rings) => drop(rings.submissions.push(&message)),
                None => raw.inbox.stream.send(&frame::encode(Kind::Message, &message), None).expect("a server"),
            }
        }
        let _ = raw.inbox.stream.bell();
        let (mut answered, mut pixels, mut buffer) = (0, 0, Vec::new());
        prompt("all answers", || {
            while answered < all {
                if let Some(rings) = &mut rings {
                    while rings.completions.pop(limits::MESSAGE_BYTES_MAX, &mut buffer) == Ok(Popped::Message) {
                        answered +=
                            u64::from(matches!(ServerMessage::decode(&buffer), Ok(ServerMessage::Completion(_))));
                    }
                    let _ = raw.inbox.stream.bell();
                    std::thread::yield_now();
                    continue;
                }
                match raw.inbox.next(Some(PATIENCE)).expect("an honest server").expect("it stays") {
                    (Kind::Message, payload) => {
                        answered +=
                            u64::from(matches!(ServerMessage::decode(&payload), Ok(ServerMessage::Completion(_))));
                    }
                    (Kind::Pixels, _) => pixels += 1,
                    _ => {}
                }
            }
        });
        assert_eq!(pixels, if shared { 0 } else { PICTURES });
    }
}

/// What the sidecar draws into is its own: nobody that it is shown to can write there.
#[test]
fn texture_memory_cannot_be_written_by_clients() {
    let rig = Rig::new(true);
    let mut raw = Raw::greet(rig.data(), true);
    let rings = ClientRings::over(raw.mapping());
    rings.submissions.push(&submit(1, "a rock", Deliver::Pixels)).expect("room");
    raw.inbox.stream.bell().expect("a server");
    let segment = loop {
        match raw.inbox.next(Some(PATIENCE)).expect("an honest server").expect("it stays") {
            (Kind::Segment, payload) => break hello::Segment::decode(&payload).expect("an honest server"),
            _ => continue,
        }
    };
    let memory = raw.inbox.stream.take(segment.ticket).expect("memory");
    let bytes = segment.slot_bytes as usize * segment.slots as usize;
    memory.map(bytes, Access::Read).expect("for reading");
    assert!(memory.map(bytes, Access::Write).is_err(), "a client can write into what the sidecar draws");
    assert!(memory.map(bytes + 1, Access::Read).is_err(), "beyond its end");
}
