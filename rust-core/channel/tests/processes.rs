//! Real processes: killed, stopped, or somebody else's. This program starts itself as the other side.
#![cfg(target_os = "linux")]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use common::{Echo, PATIENCE, Rig, Shared, job, next, wait_for};
use rustix::process::{Pid, Signal, kill_process};
use thumbforge_channel::client::{Deliver, Link, Options, Session, Start};
use thumbforge_channel::server;
use thumbforge_core::error::ErrorCode;
use thumbforge_core::wire::frame::{self, Kind};
use thumbforge_core::wire::hello::Hello;

/// Names the part that a child plays, and its data directory.
const PART: (&str, &str) = ("THUMBFORGE_TEST_PART", "THUMBFORGE_TEST_DATA");

/// Rounds of each check.
fn rounds() -> usize {
    if std::env::var_os("THUMBFORGE_FULL").is_some() { 100 } else { 10 }
}

/// The other side. It ends with its standard input, or however the test ends it.
struct Other(Child);

impl Other {
    fn start(part: &str, data: &Path, configure: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command
            .args(["--exact", "the_other_side", "--nocapture", "--test-threads", "1"])
            .env(PART.0, part)
            .env(PART.1, data)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        configure(&mut command);
        Self(command.spawn().expect("this program"))
    }

    /// Waits until it says that it is ready, and says what it says.
    fn ready(&mut self) -> String {
        let lines = BufReader::new(self.0.stdout.take().expect("piped")).lines();
        let found =
            lines.map_while(Result::ok).find_map(|line| line.split_once("READY ").map(|(_, rest)| rest.to_owned()));
        found.expect("it becomes ready")
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).expect("it runs");
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Not a test of its own: what a child does.
#[test]
fn the_other_side() {
    let (Ok(part), Some(data)) = (std::env::var(PART.0), std::env::var_os(PART.1)) else { return };
    let say = |what: &str| {
        println!("READY {what}");
        std::io::stdout().flush().expect("piped");
    };
    let _kept: Box<dyn std::any::Any> = match part.as_str() {
        "server" => {
            let host = std::sync::Arc::new(Shared(std::sync::Arc::new(Echo::default())));
            let serving = server::serve(data.as_ref(), host, server::Options::default()).expect("a socket");
            say("");
            Box::new(serving)
        }
        // Holds pictures and has jobs in flight.
        "client" => {
            let session = Session::open(Options::new(data, "game", Start::Never)).expect("a session");
            session.attached(PATIENCE).expect("a server");
            for seed in 0..8 {
                session.submit(&job("a rock", 256, seed, Deliver::Pixels)).expect("room");
                session.submit(&job("hold", 64, seed, Deliver::Pixels)).expect("room");
            }
            let textures: Vec<_> = (0..8).map(|_| next(&session).texture.expect("a picture")).collect();
            say("");
            Box::new((textures, session))
        }
        "stranger" => {
            let session = Session::open(Options::new(data, "game", Start::Never)).expect("a session");
            let refused = session.attached(PATIENCE);
            say(&format!("{refused:?}"));
            Box::new(session)
        }
        // Greets without looking who is there.
        "knocker" => {
            let mut stream = UnixStream::connect(Path::new(&data).join("sidecar.sock")).expect("it lies open");
            let (build, project) = ("0.1.0".to_owned(), "game".to_owned());
            let hello = Hello { protocol: 1, build, project, instance: [1; 16], pid: 1, shared: true };
            let _ = stream.write_all(&frame::encode(Kind::Hello, &hello.encode()));
            let mut answer = Vec::new();
            // The end of the connection, or its breaking off.
            let _ = stream.read_to_end(&mut answer);
            say(&format!("{} bytes", answer.len()));
            Box::new(stream)
        }
        part => panic!("no part {part}"),
    };
    let _ = std::io::stdin().read(&mut [0]);
}

/// Descriptors, mappings of shared memory, and threads of this process.
fn belongings() -> (usize, usize, usize) {
    let count = |folder: &str| fs::read_dir(folder).expect("procfs").count();
    let maps = fs::read_to_string("/proc/self/maps").expect("procfs");
    let shared = maps.lines().filter(|line| line.contains("memfd:thumbforge")).count();
    (count("/proc/self/fd"), shared, count("/proc/self/task"))
}

/// The `share`-th of sorted times.
fn quantile(times: &mut [Duration], share: f64) -> Duration {
    times.sort_unstable();
    times[((times.len() as f64 * share).ceil() as usize).clamp(1, times.len()) - 1]
}

/// One test after the other: they count what this process owns.
#[test]
fn processes_that_end_badly() {
    if std::env::var_os(PART.0).is_some() {
        return;
    }
    a_client_that_is_killed_leaves_nothing_behind();
    a_server_that_is_killed_is_noticed();
    a_server_that_is_stopped_holds_nobody_up();
    another_users_process_is_refused();
}

fn a_client_that_is_killed_leaves_nothing_behind() {
    let rig = Rig::new(true);
    let serving = rig.serving.as_ref().expect("it runs");
    let mut before = None;
    let mut times = Vec::new();
    for _ in 0..=rounds() {
        let mut client = Other::start("client", rig.data(), |_| {});
        client.ready();
        assert_eq!(serving.clients(), 1);
        wait_for("jobs", || rig.echo.held.lock().len() == 8);
        let gone = rig.echo.gone.load(Ordering::SeqCst);
        let killed = Instant::now();
        client.signal(Signal::KILL);
        wait_for("notice", || rig.echo.gone.load(Ordering::SeqCst) == gone + 1);
        times.push(killed.elapsed());
        wait_for("the thread's end", || serving.clients() == 0);
        drop(client);
        // Whoever was drawing for it lets go of it.
        rig.echo.held.lock().clear();
        // Another client comes and goes in between, so that what is kept for the next is compared with the same.
        let session = rig.open("honest");
        session.submit(&job("a rock", 64, 1, Deliver::Pixels)).expect("room");
        drop(next(&session));
        session.close();
        wait_for("its end", || serving.clients() == 0);
        // The first round makes what stays for good.
        let files = fs::read_dir(rig.data()).expect("a folder").count();
        match before {
            None => {
                let mut now = belongings();
                // Textures' memory goes with the last thread that drew.
                wait_for("the last thread", || {
                    now = belongings();
                    now.1 == 0
                });
                before = Some((now, files));
            }
            Some(before) => wait_for(&format!("everything back ({before:?}, now {:?})", belongings()), || {
                (belongings(), fs::read_dir(rig.data()).expect("a folder").count()) == before
            }),
        }
    }
    println!(
        "a client killed {} times: nothing left; noticed after {:?} at the median, {:?} at most",
        rounds() + 1,
        quantile(&mut times, 0.5),
        quantile(&mut times, 1.0),
    );
}

fn a_server_that_is_killed_is_noticed() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut times = Vec::new();
    let mut server = Other::start("server", folder.path(), |_| {});
    server.ready();
    let session = Session::open(Options::new(folder.path(), "game", Start::Never)).expect("a session");
    for round in 0..rounds() as u64 {
        wait_for("a server", || session.state().link == Link::Attached);
        let lost = session.submit(&job("hold", 64, round, Deliver::Nothing)).expect("room");
        wait_for("its start", || session.progress(lost).is_some_and(|progress| progress.step == 3));
        let killed = Instant::now();
        server.signal(Signal::KILL);
        wait_for("notice", || session.state().link != Link::Attached);
        times.push(killed.elapsed());
        session.cancel(lost).expect("it is unanswered");
        server = Other::start("server", folder.path(), |_| {});
        server.ready();
        // Asked again and taken back, at the next server.
        assert_eq!(next(&session).number, lost);
    }
    let worst = quantile(&mut times, 0.99);
    println!(
        "a server killed {} times: noticed after {:?} at the median, {worst:?} at the 99th percentile",
        rounds(),
        quantile(&mut times, 0.5),
    );
    assert!(worst <= Duration::from_millis(50), "noticed after {worst:?}");
}

fn a_server_that_is_stopped_holds_nobody_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = Other::start("server", folder.path(), |_| {});
    server.ready();
    let session = Session::open(Options::new(folder.path(), "game", Start::Never)).expect("a session");
    session.attached(PATIENCE).expect("a server");
    session.submit(&job("a rock", 64, 0, Deliver::Nothing)).expect("room");
    next(&session);
    server.signal(Signal::STOP);
    let (mut times, mut full, mut accepted) = (Vec::with_capacity(100_000), Vec::new(), 0);
    for seed in 0..100_000 {
        let request = job("a rock", 64, seed, Deliver::Nothing);
        let before = Instant::now();
        let submitted = session.submit(&request);
        let took = before.elapsed();
        times.push(took);
        match submitted {
            Ok(_) => accepted += 1,
            Err(failure) => {
                assert_eq!(failure.code, ErrorCode::QueueFull);
                full.push(took);
            }
        }
    }
    assert!(accepted >= 1000 && !full.is_empty(), "{accepted} accepted, {} refused", full.len());
    assert_eq!(session.state().link, Link::Attached, "a server that is stopped is not dead");
    server.signal(Signal::CONT);
    for _ in 0..accepted {
        next(&session);
    }
    assert!(session.poll().is_none());
    session.submit(&job("a rock", 64, 0, Deliver::Nothing)).expect("room again");
    next(&session);
    let worst = quantile(&mut times, 0.999);
    println!(
        "a server stopped: {accepted} of 100000 accepted and all answered; a submit took {:?} at the median, {worst:?} at \
         the 99.9th percentile, {:?} at most; one refused took {:?} at the 99.9th percentile",
        quantile(&mut times, 0.5),
        quantile(&mut times, 1.0),
        quantile(&mut full, 0.999),
    );
    assert!(worst <= Duration::from_micros(200), "a submit took {worst:?}");
}

fn another_users_process_is_refused() {
    if !rustix::process::geteuid().is_root() {
        println!("NOT RUN: another user's process, which takes root to start");
        return;
    }
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let mut rig = Rig::new(true);
    // A folder and a socket that lie open, as if somebody had been careless: the user is checked all the same.
    let socket = rig.data().join("sidecar.sock");
    fs::set_permissions(rig.data(), fs::Permissions::from_mode(0o755)).expect("ours");
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).expect("ours");
    // A program that this user may not read is run from a copy.
    let program = rig.data().join("stranger");
    fs::copy(std::env::current_exe().expect("this program"), &program).expect("a copy");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("ours");
    let start = |part: &str, data: &Path| {
        let mut command = Command::new(&program);
        command
            .args(["--exact", "the_other_side", "--nocapture", "--test-threads", "1"])
            .env(PART.0, part)
            .env(PART.1, data)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .uid(65534)
            .gid(65534);
        Other(command.spawn().expect("the copy"))
    };
    let mut stranger = start("stranger", rig.data());
    let said = stranger.ready();
    assert!(said.contains("belongs to user 0, not to 65534"), "it was let in, or refused for another reason: {said}");
    drop(stranger);
    // Nor does the server talk to whoever leaves that check out.
    let mut knocker = start("knocker", rig.data());
    assert_eq!(knocker.ready(), "0 bytes");
    drop(knocker);
    rig.stop();
    // And a stranger who sits where the sidecar should be gets nothing told.
    let theirs = tempfile::tempdir().expect("a folder");
    std::os::unix::fs::chown(theirs.path(), Some(65534), Some(65534)).expect("root may");
    let mut impostor = start("server", theirs.path());
    impostor.ready();
    let session = Session::open(Options::new(theirs.path(), "game", Start::Never)).expect("a session");
    let failure = session.attached(PATIENCE).expect_err("another user's sidecar");
    assert!(failure.message.contains("belongs to user 65534"), "{failure}");
    println!("another user's process was refused, at either end");
}
