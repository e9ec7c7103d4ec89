//! Hostile servers against the real session: it never panics, never holds up its caller, keeps what it was asked, and
//! goes on with an honest server afterwards.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use proptest::test_runner::TestRunner;
use thumbforge_core::job::JobState;
use thumbforge_core::limits;
use thumbforge_core::wire::frame::{self, Kind};
use thumbforge_core::wire::hello::{self, Welcome};
use thumbforge_core::wire::message::{Answer, Deliver, Lent, Outcome, ServerMessage};

use super::common::{PATIENCE, Rig, job, wait_for};
use super::*;
use crate::client::{Link, Options, Session, Start};
use crate::inbox::Inbox;
use crate::layout::ServerRings;
use crate::ring::must_ring;
use crate::sys::{Access, Address, Listener, Memory, Stream};

/// How it greets.
#[derive(Debug, Clone)]
enum Greeting {
    Nothing,
    Bytes(Vec<u8>),
    Frame(Kind, Vec<u8>),
    /// Ring memory that is promised and not there.
    Promise,
    Short,
    /// Memory that its maker could cut short under whoever maps it.
    Unsealed,
    OddSize(u64),
    OddProtocol(u16),
    /// As it should be; what follows is not.
    Fair,
    /// As it should be, without rings.
    FairFrames,
}

#[derive(Debug, Clone)]
enum Lie {
    Bell,
    Frame(Kind, Vec<u8>),
    Bytes(Vec<u8>),
    Push(Vec<u8>),
    Progress(u64),
    /// The size of the picture, the bytes that it claims to have, and where it claims to lie.
    Completion(u64, u32, u64, Option<Lent>),
    Pixels(Lent, usize),
    /// Whether its memory is as large as it says, and whether it is sealed.
    Segment(u32, bool, bool),
    Retire(u32),
    Write(usize, u64),
    Smear(usize, usize, u64),
}

fn greetings() -> impl Strategy<Value = Greeting> {
    let kinds = proptest::sample::select(&Kind::ALL[..]);
    prop_oneof![
        1 => Just(Greeting::Nothing),
        1 => payloads().prop_map(Greeting::Bytes),
        1 => (kinds, payloads()).prop_map(|(kind, payload)| Greeting::Frame(kind, payload)),
        1 => Just(Greeting::Promise),
        1 => Just(Greeting::Short),
        1 => Just(Greeting::Unsealed),
        1 => prop_oneof![1..4096_u64, any::<u64>()].prop_map(Greeting::OddSize),
        1 => any::<u16>().prop_map(Greeting::OddProtocol),
        12 => Just(Greeting::Fair),
        6 => Just(Greeting::FairFrames),
    ]
}

fn lies() -> impl Strategy<Value = Vec<Lie>> {
    let kinds = proptest::sample::select(&Kind::ALL[1..]);
    let lent = || {
        (0..4_u32, prop_oneof![0..20_u32, Just(u32::MAX)], 0..3_u64).prop_map(|(segment, slot, generation)| Lent {
            segment,
            slot,
            generation,
        })
    };
    let size = || prop_oneof![Just(8_u32), Just(0), Just(u32::MAX), any::<u32>()];
    let bytes = prop_oneof![Just(256_u64), Just(0), Just(u64::MAX), Just(limits::SLOT_BYTES_MAX as u64), any::<u64>()];
    let completion = (0..8_u64, size(), bytes, proptest::option::of(lent()));
    let lie = prop_oneof![
        2 => Just(Lie::Bell),
        1 => (kinds, payloads()).prop_map(|(kind, payload)| Lie::Frame(kind, payload)),
        1 => payloads().prop_map(Lie::Bytes),
        1 => payloads().prop_map(Lie::Push),
        2 => (0..8_u64).prop_map(Lie::Progress),
        6 => completion.prop_map(|(number, size, bytes, lent)| Lie::Completion(number, size, bytes, lent)),
        1 => (lent(), 0..600_usize).prop_map(|(lent, bytes)| Lie::Pixels(lent, bytes)),
        4 => (0..4_u32, prop_oneof![4 => Just(true), 1 => Just(false)], prop_oneof![4 => Just(true), 1 => Just(false)])
            .prop_map(|(id, whole, sealed)| Lie::Segment(id, whole, sealed)),
        2 => (0..4_u32).prop_map(Lie::Retire),
        2 => (places(), values()).prop_map(|(at, value)| Lie::Write(at, value)),
        1 => (places(), 1..600_usize, values()).prop_map(|(from, step, value)| Lie::Smear(from, step, value)),
    ];
    proptest::collection::vec(lie, 0..40)
}

/// Memory that can be cut short, and what cuts it.
#[cfg(target_os = "linux")]
fn unsealed(bytes: usize) -> (Memory, impl FnOnce()) {
    use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
    let descriptor =
        memfd_create("thumbforge-unsealed", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).expect("memory");
    ftruncate(&descriptor, bytes as u64).expect("memory");
    let knife = descriptor.try_clone().expect("a descriptor");
    (Memory::received(descriptor), move || ftruncate(&knife, 0).expect("it is not sealed"))
}

/// Elsewhere no memory can be cut short.
#[cfg(not(target_os = "linux"))]
fn unsealed(bytes: usize) -> (Memory, impl FnOnce()) {
    (Memory::create(bytes).expect("memory"), || {})
}

fn welcome(protocol: u16, ring_bytes: u64, ticket: u64) -> Vec<u8> {
    frame::encode(Kind::Welcome, &Welcome { protocol, build: "0.1.0".to_owned(), pid: 1, ring_bytes, ticket }.encode())
}

/// A connection, and what of its rings the server has.
type Greeted = (Arc<Stream>, Option<(ServerRings, Scribbler)>);

/// A server without a conscience: one connection, and the end.
struct Liar {
    listener: Listener,
}

impl Liar {
    fn sit(data: &Path) -> Self {
        let listener = Address::of(data).and_then(|address| Listener::bind(&address)).expect("a socket");
        Self { listener }
    }

    /// Waits for the session and greets it. Nothing comes back where there is nothing to go on with.
    fn greet(&self, greeting: &Greeting) -> Option<Greeted> {
        let stream = Arc::new(self.listener.accept().expect("the session"));
        let mut inbox = Inbox::new(stream.clone());
        inbox.next(Some(PATIENCE)).expect("a greeting").expect("a greeting");
        let send = |bytes: &[u8]| drop(stream.send(bytes, None));
        let send_with = |memory: &Memory, ring_bytes: u64| {
            let ticket = stream.grant(memory, Access::Write).expect("a live peer");
            drop(stream.send(&welcome(1, ring_bytes, ticket), Some((memory, Access::Write))));
        };
        match greeting {
            Greeting::Nothing => {}
            Greeting::Bytes(bytes) => send(bytes),
            Greeting::Frame(kind, payload) => send(&frame::encode(*kind, payload)),
            Greeting::Promise => send(&welcome(1, RING_BYTES as u64, 0)),
            Greeting::Short => send_with(&Memory::create(4096).expect("memory"), RING_BYTES as u64),
            Greeting::Unsealed => {
                let (memory, cut) = unsealed(RING_BYTES);
                send_with(&memory, RING_BYTES as u64);
                cut();
            }
            Greeting::OddSize(bytes) => send_with(&Memory::create(RING_BYTES).expect("memory"), *bytes),
            Greeting::OddProtocol(protocol) => send(&welcome(*protocol, 0, 0)),
            Greeting::FairFrames => {
                send(&welcome(1, 0, 0));
                return Some((stream, None));
            }
            Greeting::Fair => {
                let memory = Memory::create(RING_BYTES).expect("memory");
                let map = || memory.map(RING_BYTES, Access::Write).expect("memory");
                let (rings, scribbler) = (ServerRings::over(map()), Scribbler(map()));
                send_with(&memory, RING_BYTES as u64);
                return Some((stream, Some((rings, scribbler))));
            }
        }
        None
    }
}

fn answer(number: u64, size: u32, bytes: u64, lent: Option<Lent>) -> Vec<u8> {
    let format = if lent.is_some() { Deliver::Pixels } else { Deliver::Nothing };
    ServerMessage::Completion(Answer {
        number,
        outcome: Outcome::Done,
        code: 0,
        attempts: 1,
        cached: false,
        seed: 0,
        key: [0; 32],
        cost_micros_usd: 0,
        latency_ms: 0,
        size: (size, size),
        format,
        bytes,
        lent,
        detail: b"a lie",
    })
    .encode()
}

fn tell(stream: &Stream, rings: Option<&(ServerRings, Scribbler)>, message: &[u8]) {
    match rings {
        Some((rings, _)) => {
            if rings.completions.push(message).is_ok() && must_ring(rings.flags.client_sleeps()) {
                let _ = stream.bell();
            }
        }
        None => drop(stream.send(&frame::encode(Kind::Message, message), None)),
    }
}

fn perform(stream: &Stream, rings: Option<&(ServerRings, Scribbler)>, lie: &Lie) {
    match lie {
        Lie::Bell => drop(stream.bell()),
        Lie::Frame(kind, payload) => drop(stream.send(&frame::encode(*kind, payload), None)),
        Lie::Bytes(bytes) => drop(stream.send(bytes, None)),
        Lie::Push(bytes) => tell(stream, rings, bytes),
        Lie::Progress(number) => {
            let progress = ServerMessage::Progress { number: *number, state: JobState::Running, step: 9, steps: 1 };
            tell(stream, rings, &progress.encode());
        }
        Lie::Completion(number, size, bytes, lent) => tell(stream, rings, &answer(*number, *size, *bytes, *lent)),
        Lie::Pixels(lent, bytes) => {
            let mut payload = lent.encode().to_vec();
            payload.resize(payload.len() + bytes, 7);
            drop(stream.send(&frame::encode(Kind::Pixels, &payload), None));
        }
        Lie::Segment(id, whole, sealed) => {
            let bytes = if *whole { 16 << 12 } else { 4096 };
            let (memory, cut) = unsealed(bytes);
            let memory = if *sealed { Memory::create(bytes).expect("memory") } else { memory };
            // Gone already, it takes nothing more.
            let Ok(ticket) = stream.grant(&memory, Access::Read) else { return };
            let segment = hello::Segment { id: *id, slot_bytes: 4096, slots: 16, ticket };
            drop(stream.send(&frame::encode(Kind::Segment, &segment.encode()), Some((&memory, Access::Read))));
            // Whoever has mapped it in spite of that dies of the next look.
            cut();
        }
        Lie::Retire(id) => drop(stream.send(&frame::encode(Kind::Retire, &id.to_le_bytes()), None)),
        Lie::Write(at, value) => rings.into_iter().for_each(|(_, scribbler)| scribbler.write(*at, *value)),
        Lie::Smear(from, step, value) => {
            rings.into_iter().for_each(|(_, scribbler)| scribbler.smear(*from, *step, *value));
        }
    }
}

/// What a caller does all day; none of it waits.
fn use_session(session: &Session, seed: u64) -> bool {
    prompt("a caller's turn", || {
        // Every third is a command; what an honest server answers to it is a picture as well.
        let accepted = match seed % 3 {
            2 => session.command(b"picture", seed).is_ok(),
            _ => session.submit(&job("a rock", 8, seed, Deliver::Pixels)).is_ok(),
        };
        let _ = session.progress(seed);
        let _ = session.state();
        session.wait(Duration::from_micros(100));
        accepted
    })
}

/// Takes what there is, reads every picture to its end, and gives it back.
fn take(session: &Session, seen: &mut Vec<u64>) {
    while let Some(completion) = session.poll() {
        if let Some(texture) = completion.texture {
            assert_eq!(texture.to_vec().len(), texture.bytes());
        }
        seen.push(completion.number);
    }
}

#[test]
fn whatever_a_server_does_the_session_works_on() {
    let honest = Rig::new(true);
    TestRunner::new(rounds(60))
        .run(&(greetings(), lies()), |(greeting, lies)| {
            let folder = tempfile::tempdir().expect("a folder");
            let liar = Liar::sit(folder.path());
            let session = Session::open(Options::new(folder.path(), "game", Start::Never)).expect("a session");
            let (mut accepted, mut seen) = (0, Vec::new());
            for seed in 0..3 {
                accepted += usize::from(use_session(&session, seed));
            }
            let talking = liar.greet(&greeting);
            if let Some((stream, rings)) = &talking {
                for (at, lie) in lies.iter().enumerate() {
                    perform(stream, rings.as_ref(), lie);
                    if at % 8 == 0 {
                        accepted += usize::from(use_session(&session, at as u64));
                    }
                    take(&session, &mut seen);
                }
                stream.close();
            }
            drop((talking, liar));
            // An honest server takes its place; what was accepted and not answered is answered by it.
            let options = crate::server::Options::default();
            let host = Arc::new(super::common::Shared(honest.echo.clone()));
            let serving = crate::server::serve(folder.path(), host, options).expect("a socket");
            wait_for("an honest server", || session.state().link == Link::Attached);
            prompt("all answers", || {
                wait_for("all answers", || {
                    take(&session, &mut seen);
                    seen.len() >= accepted
                });
            });
            seen.sort_unstable();
            let answers = seen.len();
            seen.dedup();
            prop_assert_eq!((answers, seen.len()), (accepted, accepted), "something came twice");
            prop_assert_eq!(session.state().in_flight, 0);
            prompt("closing", || session.close());
            serving.close();
            Ok(())
        })
        .unwrap_or_else(|err| panic!("{err}"));
}

/// Told without end, a session stays usable and can be closed.
#[test]
fn a_server_that_never_ends_holds_nobody_up() {
    for greeting in [Greeting::Fair, Greeting::FairFrames] {
        let folder = tempfile::tempdir().expect("a folder");
        let liar = Liar::sit(folder.path());
        let session = Session::open(Options::new(folder.path(), "game", Start::Never)).expect("a session");
        let (stream, rings) = liar.greet(&greeting).expect("a fair greeting");
        prompt("attaching", || session.attached(PATIENCE)).expect("a fair greeting");
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        perform(&stream, rings.as_ref(), &Lie::Progress(1));
                    }
                });
            }
            for seed in 0..1000 {
                use_session(&session, seed);
            }
            prompt("closing", || session.close());
            done.store(true, Ordering::Relaxed);
        });
    }
}

/// Pictures that no answer ever names, of no bytes, so that no bound of bytes ends them.
#[test]
fn pictures_without_answers_pile_up_to_a_bound() {
    let folder = tempfile::tempdir().expect("a folder");
    let liar = Liar::sit(folder.path());
    let session = Session::open(Options::new(folder.path(), "game", Start::Never)).expect("a session");
    let (stream, _) = liar.greet(&Greeting::FairFrames).expect("a fair greeting");
    session.attached(PATIENCE).expect("a fair greeting");
    let mut sent = 0;
    let ended = (0..1_000_000_u64).find(|generation| {
        sent += 1;
        let lent = Lent { segment: 1, slot: 1, generation: *generation };
        stream.send(&frame::encode(Kind::Pixels, &lent.encode()), None).is_err()
    });
    assert!(ended.is_some(), "{sent} pictures of no size were kept");
    drop((stream, liar));
    wait_for("notice", || session.state().link != Link::Attached);
}

/// A server that has stopped listening, with a queue of connections that is full: connecting must not wait for it.
#[cfg(target_os = "linux")]
#[test]
fn a_server_that_accepts_nobody_holds_nobody_up() {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, listen, socket};
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().canonicalize().expect("a folder").join("sidecar.sock");
    let deaf = socket(AddressFamily::UNIX, SocketType::STREAM, None).expect("a socket");
    bind(&deaf, &SocketAddrUnix::new(&path).expect("short")).expect("free");
    listen(&deaf, 0).expect("a socket");
    let _first = std::os::unix::net::UnixStream::connect(&path).expect("room for one");
    let session = Session::open(Options::new(folder.path(), "game", Start::Never)).expect("a session");
    let failure = prompt("the failure", || session.attached(PATIENCE)).expect_err("nobody accepts");
    assert!(failure.message.contains("failed to connect to the sidecar"), "{failure}");
    use_session(&session, 1);
    prompt("closing", || session.close());
}

#[test]
fn a_server_that_dies_at_every_greeting_is_met_with_growing_pauses() {
    let folder = tempfile::tempdir().expect("a folder");
    let liar = Liar::sit(folder.path());
    let session = Session::open(Options::new(folder.path(), "game", Start::Never)).expect("a session");
    let began = Instant::now();
    for _ in 0..7 {
        let (stream, _rings) = liar.greet(&Greeting::Fair).expect("a connection");
        stream.close();
    }
    // The first death costs nothing; 50, 100, 200, 400 and 800 ms follow.
    assert!(began.elapsed() >= Duration::from_secs(1), "seven lives took {:?}", began.elapsed());
    prompt("closing", || session.close());
}
