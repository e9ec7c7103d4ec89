//! Sockets and shared memory as every system must give them.

use std::io::ErrorKind;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use tempfile::TempDir;

use super::*;

/// Long enough for a machine under load; nothing that works takes so long.
const PATIENCE: Duration = Duration::from_secs(30);
/// Names the data directory for the process that [`part_of_another_process`] is run in.
const CHILD_VARIABLE: &str = "THUMBFORGE_TEST_CHANNEL_CHILD";

struct Rig {
    folder: TempDir,
    listener: Listener,
}

impl Rig {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = Listener::bind(&Address::of(folder.path()).unwrap()).unwrap();
        Self { folder, listener }
    }

    fn address(&self) -> Address {
        Address::of(self.folder.path()).unwrap()
    }

    /// A client's end and the listener's.
    fn pair(&self) -> (Stream, Stream) {
        let client = Stream::connect(&self.address()).unwrap();
        (client, self.listener.accept().unwrap())
    }
}

/// Receives exactly so many bytes.
fn receive(stream: &Stream, bytes: usize) -> Vec<u8> {
    let mut received = vec![0; bytes];
    let mut at = 0;
    while at < bytes {
        let length = stream.recv(&mut received[at..], Some(PATIENCE)).unwrap();
        assert!(length > 0, "the peer is gone after {at} of {bytes} bytes");
        at += length;
    }
    received
}

fn is_over(stream: &Stream) -> bool {
    stream.recv(&mut [0; 64], Some(PATIENCE)).unwrap() == 0
}

/// Hands memory over as a frame does.
fn hand_over(from: &Stream, to: &Stream, memory: &Memory, access: Access) -> Memory {
    let ticket = from.grant(memory, access).unwrap();
    from.send(&ticket.to_le_bytes(), Some((memory, access))).unwrap();
    taken(to)
}

fn taken(stream: &Stream) -> Memory {
    let ticket = receive(stream, 8).try_into().unwrap();
    stream.take(u64::from_le_bytes(ticket)).unwrap()
}

fn write(mapping: &Mapping, at: usize, byte: u8) {
    assert!(at < mapping.bytes());
    // SAFETY: within the mapping, which can be written; nobody else touches it at the same time.
    unsafe { mapping.ptr().add(at).write_volatile(byte) }
}

fn read(mapping: &Mapping, at: usize) -> u8 {
    assert!(at < mapping.bytes());
    // SAFETY: within the mapping; nobody writes at the same time.
    unsafe { mapping.ptr().add(at).read_volatile() }
}

#[test]
fn bytes_go_both_ways() {
    let rig = Rig::new();
    let (client, server) = rig.pair();
    client.send(b"hello", None).unwrap();
    assert_eq!(receive(&server, 5), b"hello");
    server.send(b"welcome", None).unwrap();
    assert_eq!(receive(&client, 7), b"welcome");
}

#[test]
fn a_frame_larger_than_any_buffer_arrives_whole() {
    let rig = Rig::new();
    let (client, server) = rig.pair();
    let frame: Vec<u8> = (0..8_u32 << 20).map(|at| (at % 251) as u8).collect();
    thread::scope(|scope| {
        scope.spawn(|| client.send(&frame, None).unwrap());
        assert!(receive(&server, frame.len()) == frame);
    });
}

#[test]
fn receiving_gives_up_in_time_and_loses_nothing_by_it() {
    let rig = Rig::new();
    let (client, server) = rig.pair();
    for timeout in [Duration::ZERO, Duration::from_millis(20)] {
        let began = Instant::now();
        let err = server.recv(&mut [0; 8], Some(timeout)).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::TimedOut);
        assert!(began.elapsed() >= timeout);
    }
    client.send(b"late", None).unwrap();
    assert_eq!(receive(&server, 4), b"late");
}

#[test]
fn closing_wakes_whoever_waits_at_either_end() {
    let rig = Rig::new();
    for closes_client in [true, false] {
        let (client, server) = rig.pair();
        thread::scope(|scope| {
            let waiting = [scope.spawn(|| is_over(&client)), scope.spawn(|| is_over(&server))];
            if closes_client {
                client.close()
            } else {
                server.close()
            }
            for waiting in waiting {
                assert!(waiting.join().unwrap());
            }
        });
        assert!(client.send(b"x", None).is_err() && server.send(b"x", None).is_err());
        assert!(client.bell().is_err() && server.bell().is_err());
    }
}

#[test]
fn what_was_sent_before_closing_is_still_received() {
    let rig = Rig::new();
    let (client, server) = rig.pair();
    server.send(b"refused", None).unwrap();
    server.close();
    assert_eq!(receive(&client, 7), b"refused");
    assert!(is_over(&client));
}

#[test]
fn a_stream_that_is_dropped_is_gone_for_its_peer() {
    let rig = Rig::new();
    let (client, server) = rig.pair();
    drop(client);
    assert!(is_over(&server));
}

#[test]
fn a_bell_is_one_zero_byte() {
    let rig = Rig::new();
    let (client, server) = rig.pair();
    client.bell().unwrap();
    server.bell().unwrap();
    client.close();
    let mut received = [1; 8];
    assert_eq!((server.recv(&mut received, Some(PATIENCE)).unwrap(), received[0]), (1, 0));
    assert!(is_over(&server));
}

#[test]
fn a_peer_that_reads_nothing_costs_a_frame_its_time_and_a_bell_none() {
    let rig = Rig::new();
    let (client, server) = rig.pair();
    let began = Instant::now();
    let err = client.send(&vec![1; 64 << 20], None).unwrap_err();
    assert_eq!(err.kind(), ErrorKind::TimedOut);
    assert!(began.elapsed() >= SEND_TIME_MAX);
    let began = Instant::now();
    for _ in 0..100 {
        client.bell().unwrap();
    }
    assert!(began.elapsed() < SEND_TIME_MAX, "a bell has waited");
    // It has bytes to wake up by.
    assert!(server.recv(&mut [0; 8], Some(Duration::ZERO)).unwrap() > 0);
}

#[test]
fn closing_ends_a_frame_on_its_way() {
    let rig = Rig::new();
    for closes_sender in [true, false] {
        let (client, server) = rig.pair();
        thread::scope(|scope| {
            let sending = scope.spawn(|| client.send(&vec![1; 64 << 20], None).unwrap_err());
            receive(&server, 1);
            if closes_sender {
                client.close()
            } else {
                server.close()
            }
            assert_ne!(sending.join().unwrap().kind(), ErrorKind::TimedOut);
        });
    }
}

#[test]
fn bells_ring_between_frames_and_never_within() {
    let rig = Rig::new();
    let (client, server) = rig.pair();
    const FRAME: usize = 300 << 10;
    const FRAMES: usize = 20;
    thread::scope(|scope| {
        let sending = scope.spawn(|| {
            for _ in 0..FRAMES {
                client.send(&vec![1; FRAME], None).unwrap();
            }
        });
        let client = &client;
        scope.spawn(move || {
            while !sending.is_finished() {
                client.bell().unwrap();
            }
            client.bell().unwrap();
            client.close();
        });
        let (mut received, mut run, mut bells) = (vec![0; 64 << 10], 0, 0);
        loop {
            let length = server.recv(&mut received, Some(PATIENCE)).unwrap();
            if length == 0 {
                break;
            }
            for byte in &received[..length] {
                if *byte == 0 {
                    assert_eq!(run % FRAME, 0, "a bell within a frame");
                    bells += 1;
                } else {
                    run += 1;
                }
            }
        }
        assert_eq!(run, FRAME * FRAMES);
        assert!(bells > 0);
    });
}

#[test]
fn a_listener_that_closes_wakes_its_waiter_and_gives_the_address_back() {
    let rig = Rig::new();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| rig.listener.accept().map(|_| ()));
        rig.listener.close();
        assert_eq!(waiting.join().unwrap().unwrap_err().kind(), ErrorKind::ConnectionAborted);
    });
    assert!(rig.listener.accept().is_err());
    assert!(Stream::connect(&rig.address()).is_err());
    let again = Listener::bind(&rig.address()).unwrap();
    let _client = Stream::connect(&rig.address()).unwrap();
    again.accept().unwrap();
}

#[test]
fn where_nobody_listens_nobody_waits() {
    let folder = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let err = Stream::connect(&Address::of(folder.path()).unwrap()).unwrap_err();
    assert!(matches!(err.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused), "{err}");
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_client_that_holds_on_to_a_dead_listener_keeps_no_new_one_away() {
    let Rig { folder, listener } = Rig::new();
    let address = Address::of(folder.path()).unwrap();
    let client = Stream::connect(&address).unwrap();
    let server = listener.accept().unwrap();
    drop((listener, server));
    let rig = Rig { listener: Listener::bind(&address).unwrap(), folder };
    let (newer, server) = rig.pair();
    newer.send(b"x", None).unwrap();
    assert_eq!(receive(&server, 1), b"x");
    assert!(is_over(&client));
}

#[test]
fn clients_that_come_together_are_all_let_in() {
    let rig = Rig::new();
    const CLIENTS: u8 = 16;
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let address = rig.address();
            scope.spawn(move || {
                let client = Stream::connect(&address).unwrap();
                client.send(&[number], None).unwrap();
                assert_eq!(receive(&client, 1), [number]);
            });
        }
        let mut numbers: Vec<u8> = (0..CLIENTS)
            .map(|_| {
                let server = rig.listener.accept().unwrap();
                let number = receive(&server, 1)[0];
                server.send(&[number], None).unwrap();
                assert!(is_over(&server));
                number
            })
            .collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..CLIENTS).collect::<Vec<_>>());
    });
}

#[test]
fn a_client_that_came_and_went_keeps_nobody_out() {
    let rig = Rig::new();
    drop(Stream::connect(&rig.address()).unwrap());
    thread::scope(|scope| {
        scope.spawn(|| {
            let client = Stream::connect(&rig.address()).unwrap();
            client.send(b"x", None).unwrap();
            assert!(is_over(&client));
        });
        // Some systems show the one that went as a connection that is over, and some do not show it at all.
        let mut received = [0];
        while rig.listener.accept().unwrap().recv(&mut received, Some(PATIENCE)).unwrap() == 0 {}
        assert_eq!(received, *b"x");
    });
}

#[test]
fn an_address_is_its_directory_however_spelled() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (folder.path().join("one"), folder.path().join("other"));
    for folder in [&one, &other] {
        std::fs::create_dir(folder).unwrap();
    }
    let address = Address::of(&one).unwrap();
    assert_eq!(address, Address::of(&other.join("..").join("one")).unwrap());
    assert_ne!(address, Address::of(&other).unwrap());
    assert!(Address::of(&folder.path().join("missing")).is_err());
}

#[test]
fn a_directory_of_any_length_has_an_address() {
    let folder = tempfile::tempdir().unwrap();
    let long = folder.path().join("l".repeat(60)).join("o".repeat(60));
    std::fs::create_dir_all(&long).unwrap();
    let address = Address::of(&long).unwrap();
    let listener = Listener::bind(&address).unwrap();
    let _client = Stream::connect(&address).unwrap();
    listener.accept().unwrap();
    listener.close();
}

#[test]
fn memory_that_is_handed_over_for_reading_shows_what_its_maker_writes_and_takes_nothing() {
    const BYTES: usize = 3 << 20;
    let rig = Rig::new();
    let (client, server) = rig.pair();
    let memory = Memory::create(BYTES).unwrap();
    let ours = memory.map(BYTES, Access::Write).unwrap();
    memory.seal(true).unwrap();
    let theirs = hand_over(&server, &client, &memory, Access::Read);
    let seen = theirs.map(BYTES, Access::Read).unwrap();
    assert_eq!((read(&seen, 0), read(&seen, BYTES - 1)), (0, 0));
    write(&ours, 0, 7);
    write(&ours, BYTES - 1, 9);
    assert_eq!((read(&seen, 0), read(&seen, BYTES - 1)), (7, 9));
    assert!(theirs.map(BYTES, Access::Write).is_err());
}

#[test]
fn memory_that_is_handed_over_for_writing_is_written_by_both() {
    const BYTES: usize = 1 << 20;
    let rig = Rig::new();
    let (client, server) = rig.pair();
    let memory = Memory::create(BYTES).unwrap();
    let ours = memory.map(BYTES, Access::Write).unwrap();
    memory.seal(false).unwrap();
    let theirs = hand_over(&server, &client, &memory, Access::Write).map(BYTES, Access::Write).unwrap();
    write(&theirs, 5, 1);
    write(&ours, 6, 2);
    assert_eq!((read(&ours, 5), read(&theirs, 6)), (1, 2));
}

#[test]
fn a_mapping_outlives_everything_it_came_by() {
    let rig = Rig::new();
    let (client, server) = rig.pair();
    let memory = Memory::create(8192).unwrap();
    let ours = memory.map(8192, Access::Write).unwrap();
    let theirs = hand_over(&server, &client, &memory, Access::Read).map(8192, Access::Read).unwrap();
    write(&ours, 8191, 3);
    drop((rig, client, server, memory, ours));
    assert_eq!(read(&theirs, 8191), 3);
}

#[test]
fn memory_is_not_mapped_beyond_its_end() {
    let memory = Memory::create(64 << 10).unwrap();
    for bytes in [0, (64 << 10) + 1, 1 << 30, usize::MAX] {
        assert!(memory.map(bytes, Access::Read).is_err(), "{bytes} bytes");
    }
    assert_eq!(memory.map(5, Access::Read).unwrap().bytes(), 5);
}

#[test]
fn memory_that_nobody_sent_is_not_taken() {
    let rig = Rig::new();
    let (client, _server) = rig.pair();
    assert!(client.take(0).is_err());
}

/// What the next test runs in a process of its own.
#[test]
#[ignore = "a part of another test"]
fn part_of_another_process() {
    let Some(folder) = std::env::var_os(CHILD_VARIABLE) else { return };
    let server = Stream::connect(&Address::of(Path::new(&folder)).unwrap()).unwrap();
    let rings = taken(&server).map(4096, Access::Write).unwrap();
    let pixels = taken(&server).map(8192, Access::Read).unwrap();
    write(&rings, 1, read(&pixels, 8191) + read(&rings, 0));
    server.bell().unwrap();
    // Until it is killed.
    let _ = server.recv(&mut [0], None);
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn another_process_is_handed_memory_and_its_death_is_noticed() {
    let rig = Rig::new();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--ignored"]);
    // A test's name has no crate in front.
    command.args(module_path!().split_once("::").map(|(_, path)| format!("{path}::part_of_another_process")));
    command.env(CHILD_VARIABLE, rig.folder.path()).stdin(Stdio::null()).stdout(Stdio::null());
    detached(&mut command);
    let mut child = Killed(command.spawn().unwrap());
    let server = rig.listener.accept().unwrap();

    let rings = Memory::create(4096).unwrap();
    let ours = rings.map(4096, Access::Write).unwrap();
    rings.seal(false).unwrap();
    let pixels = Memory::create(8192).unwrap();
    let drawn = pixels.map(8192, Access::Write).unwrap();
    pixels.seal(true).unwrap();
    write(&ours, 0, 40);
    write(&drawn, 8191, 2);
    for (memory, access) in [(&rings, Access::Write), (&pixels, Access::Read)] {
        let ticket = server.grant(memory, access).unwrap();
        server.send(&ticket.to_le_bytes(), Some((memory, access))).unwrap();
    }
    assert_eq!(receive(&server, 1), [0]);
    assert_eq!(read(&ours, 1), 42);

    child.0.kill().unwrap();
    assert!(is_over(&server));
}
