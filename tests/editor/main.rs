//! Editors and their sidecar, as real processes: starting, adopting, replacing, and either of them killed.
//!
//! Ten rounds of kills, or a hundred with `THUMBFORGE_FULL=1` (`tests/run --full`).

#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use thumbforge_channel::client::{Link, Options, Outcome, Session, Start};
use thumbforge_core::error::ErrorCode;
use thumbforge_core::job::JobState;
use thumbforge_tests::rig::editor::{answer, descriptors, job, shared_mappings};
use thumbforge_tests::rig::process::memory_kib;
use thumbforge_tests::rig::{self, PATIENCE, Rig, journal, wait_for};

mod commands;

const BINARY: &str = env!("CARGO_BIN_EXE_sidecar");
const EDITOR: &str = env!("CARGO_BIN_EXE_editor");

/// Tests that hold times to a bound have the machine to themselves; the others run beside each other.
static MACHINE: RwLock<()> = RwLock::new(());

fn alone() -> RwLockWriteGuard<'static, ()> {
    MACHINE.write().unwrap_or_else(PoisonError::into_inner)
}

fn beside_others() -> RwLockReadGuard<'static, ()> {
    MACHINE.read().unwrap_or_else(PoisonError::into_inner)
}

fn rounds() -> usize {
    if std::env::var_os("THUMBFORGE_FULL").is_some() { 100 } else { 10 }
}

/// A session that starts its sidecar, which ends with the test.
struct Editor {
    session: Session,
}

impl Editor {
    fn open(rig: &Rig, project: &str) -> Self {
        Self::with(rig, project, Start::With { program: BINARY.into(), args: Vec::new() })
    }

    fn with(rig: &Rig, project: &str, start: Start) -> Self {
        let session = Session::open(Options::new(rig.data(), project, start)).expect("a session");
        session.attached(PATIENCE).expect("a sidecar");
        Self { session }
    }

    fn pid(&self) -> u32 {
        self.session.state().sidecar_pid
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        end(self.pid(), Signal::TERM);
    }
}

fn end(pid: u32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid.cast_signed()) {
        let _ = kill_process(pid, signal);
    }
}

fn is_alive(pid: u32) -> bool {
    Pid::from_raw(pid.cast_signed()).is_some_and(|pid| test_kill_process(pid).is_ok())
}

fn percentile(samples: &mut [Duration], share: f64) -> Duration {
    samples.sort_unstable();
    samples[((samples.len() - 1) as f64 * share).round() as usize]
}

#[test]
fn an_editor_starts_a_sidecar_and_another_adopts_it() {
    let _machine = beside_others();
    let rig = Rig::new(BINARY);
    let one = Editor::open(&rig, "one");
    one.session.submit(&job("a golden sword", 256, 7)).expect("room");
    let completion = answer(&one.session);
    assert_eq!((completion.outcome, completion.tag, completion.seed), (Outcome::Done, 7, 7));
    let texture = completion.texture.expect("a picture");
    assert_eq!((texture.size(), texture.bytes()), ((256, 256), 256 * 256 * 4));
    let colours: BTreeSet<Vec<u8>> = texture.to_vec().chunks(4).map(<[u8]>::to_vec).collect();
    assert!(colours.len() > 100, "{} colours", colours.len());

    let other = Editor::with(&rig, "other", Start::Never);
    assert_eq!(other.pid(), one.pid());
    let doctor = rig.run(&["doctor"]).expect(0).stdout;
    assert!(doctor.contains(&format!("process {} serves editors", one.pid())), "{doctor}");
    // Projects share the store, so what one has drawn the other is given.
    other.session.submit(&job("a golden sword", 256, 7)).expect("room");
    let again = answer(&other.session);
    assert_eq!((again.outcome, again.cached, again.key), (Outcome::Done, true, completion.key));
    assert_eq!(again.texture.expect("a picture").to_vec(), texture.to_vec());
    let clients: BTreeSet<String> = {
        let journal = journal::open(&rig.journal());
        let mut rows = journal.prepare("SELECT DISTINCT client FROM jobs").expect("a table");
        rows.query_map([], |row| row.get(0)).expect("rows").map(|row| row.expect("a word")).collect()
    };
    assert_eq!(clients.len(), 2, "{clients:?}");
    assert_eq!(journal::figures(&rig.journal()).rendered, 1);
}

#[test]
fn two_projects_are_kept_apart() {
    let _machine = beside_others();
    let rig = Rig::new(BINARY);
    let (one, other) = (Editor::open(&rig, "one"), Editor::with(&rig, "other", Start::Never));
    // Large enough that all of them are open when the first is taken back.
    let asked: Vec<(u64, u64)> = (0..12)
        .map(|seed| {
            let of = |session: &Session| session.submit(&job("a castle", 1024, seed)).expect("room");
            (of(&one.session), of(&other.session))
        })
        .collect();
    for (number, _) in &asked {
        // One that has ended by now has ended.
        let _ = one.session.cancel(*number);
    }
    let theirs: Vec<Outcome> = asked.iter().map(|_| answer(&other.session).outcome).collect();
    assert!(theirs.iter().all(|outcome| *outcome == Outcome::Done), "{theirs:?}");
    let ours: Vec<Outcome> = asked.iter().map(|_| answer(&one.session).outcome).collect();
    assert!(ours.contains(&Outcome::Cancelled), "{ours:?}");
    assert_eq!(journal::figures(&rig.journal()).rendered_twice, 0);
}

#[test]
fn a_sidecar_of_another_version_makes_room() {
    let _machine = beside_others();
    let rig = Rig::new(BINARY);
    let old = rig.serve(&[]);
    let older = Editor::with(&rig, "older", Start::Never);
    let old_pid = older.pid();
    for seed in 0..20 {
        older.session.submit(&job("a rock", 512, seed)).expect("room");
    }
    let newer = Options {
        build: "99.0.0".to_owned(),
        ..Options::new(rig.data(), "newer", Start::With { program: BINARY.into(), args: Vec::new() })
    };
    let newer = Session::open(newer).expect("a session");
    newer.attached(PATIENCE).expect("a sidecar");
    let newer = Editor { session: newer };
    assert_ne!(newer.pid(), old_pid);
    let outcomes: Vec<Outcome> = (0..20).map(|_| answer(&older.session).outcome).collect();
    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Done), "{outcomes:?}");
    assert_eq!(older.pid(), newer.pid(), "the one that starts none goes over to the new one");
    drop(old);
    let figures = journal::figures(&rig.journal());
    assert_eq!((figures.rendered, figures.rendered_twice), (20, 0), "{figures:?}");
}

#[test]
fn what_ends_while_a_sidecar_stops_is_told_by_it() {
    let _machine = beside_others();
    let rig = Rig::new(BINARY);
    let sidecar = rig.serve(&[]);
    let editor = Editor::with(&rig, "game", Start::Never);
    // Drawing it takes a while, and so does handing it over.
    let number = editor.session.submit(&job("a castle", 2048, 7)).expect("room");
    wait_for("the drawing", PATIENCE, || {
        editor.session.progress(number).filter(|progress| progress.state == JobState::Running)
    });
    sidecar.end(rig::Signal::Terminate);
    assert_eq!(journal::figures(&rig.journal()).of("done"), 1, "what runs is finished");
    let completion = answer(&editor.session);
    assert_eq!((completion.outcome, completion.tag), (Outcome::Done, 7));
    assert_eq!(completion.texture.expect("a picture").size(), (2048, 2048));
}

#[test]
fn a_data_directory_may_be_named_from_where_the_editor_stands() {
    let _machine = beside_others();
    let rig = Rig::new(BINARY);
    let here = std::env::current_dir().expect("a folder").canonicalize().expect("a folder");
    let root: PathBuf = here.components().skip(1).map(|_| "..").collect();
    // So deep that the way up from there ends somewhere else.
    let deep: PathBuf = rig.data().join(here.components().skip(1).map(|_| "d").collect::<PathBuf>());
    let data = root.join(deep.strip_prefix("/").expect("an absolute path"));
    let start = Start::With { program: BINARY.into(), args: Vec::new() };
    let session = Session::open(Options::new(data, "game", start)).expect("a session");
    session.attached(PATIENCE).expect("a sidecar");
    let editor = Editor { session };
    editor.session.submit(&job("a rock", 64, 1)).expect("room");
    assert_eq!(answer(&editor.session).outcome, Outcome::Done);
    assert!(deep.join("journal.sqlite").exists(), "it is the directory that was meant");
}

#[test]
fn a_program_that_is_no_sidecar_is_named() {
    let _machine = beside_others();
    let rig = Rig::new(BINARY);
    let start = Start::With { program: "/bin/false".into(), args: Vec::new() };
    let session = Session::open(Options::new(rig.data(), "game", start)).expect("a session");
    let failure = wait_for("a failure", PATIENCE, || session.state().failure);
    assert_eq!(failure.code, ErrorCode::NoSidecar);
    assert!(failure.message.contains("/bin/false") && failure.message.contains("exit status: 1"), "{failure}");
}

#[test]
fn a_sidecar_that_is_killed_is_noticed_replaced_and_draws_nothing_twice() {
    let _machine = alone();
    let rig = Rig::new(BINARY);
    let editor = Editor::open(&rig, "game");
    let (mut noticed, mut served) = (Vec::new(), Vec::new());
    let ours = std::process::id();
    let mut before = None;
    let jobs_of_a_round = 12;
    for round in 0..rounds() as u64 {
        let first = round * jobs_of_a_round;
        for seed in first..first + jobs_of_a_round {
            editor.session.submit(&job("a red potion", 256, seed)).expect("room");
        }
        // Some are done by now, some are drawn just now, some wait.
        let mut answered = BTreeSet::from([answer(&editor.session).tag]);
        let pid = editor.pid();
        let killed = Instant::now();
        end(pid, Signal::KILL);
        wait_for("notice", PATIENCE, || (editor.session.state().link != Link::Attached).then_some(()));
        noticed.push(killed.elapsed());
        wait_for("a new sidecar", PATIENCE, || {
            let state = editor.session.state();
            (state.link == Link::Attached && state.sidecar_pid != pid).then_some(())
        });
        served.push(killed.elapsed());
        while answered.len() < jobs_of_a_round as usize {
            let completion = answer(&editor.session);
            assert_eq!(completion.outcome, Outcome::Done, "{completion:?}");
            assert!(answered.insert(completion.tag), "answered twice: {}", completion.tag);
        }
        assert_eq!(answered, (first..first + jobs_of_a_round).collect());
        // The first round opens what is kept: the session's descriptors, the reaper's list.
        let now = (descriptors(ours), shared_mappings(ours));
        if round == 0 {
            before = Some(now);
        } else {
            assert!(
                now.0 <= before.expect("the first round").0.map(|count| count + 2),
                "descriptors: {before:?}, {now:?}"
            );
            assert!(
                now.1 <= before.expect("the first round").1.map(|count| count + 2),
                "mappings: {before:?}, {now:?}"
            );
        }
    }
    let figures = journal::figures(&rig.journal());
    assert_eq!((figures.rendered_twice, figures.of("failed")), (0, 0), "{figures:?}");
    assert_eq!(figures.of("done"), rounds() as u64 * jobs_of_a_round, "{figures:?}");
    let (death, again) = (percentile(&mut noticed, 0.99), percentile(&mut served, 0.99));
    println!(
        "sidecar killed {} times: death seen p50 {:?}, p99 {death:?} (goal 50 ms); served again p50 {:?}, p99 {again:?} \
         (goal 500 ms); {} drawn, 0 twice",
        rounds(),
        percentile(&mut noticed, 0.5),
        percentile(&mut served, 0.5),
        figures.rendered
    );
    assert!(death <= Duration::from_millis(50), "{death:?}");
    assert!(again <= Duration::from_millis(500), "{again:?}");
}

/// An editor in a process of its own.
struct Foreign {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
}

impl Foreign {
    fn start(rig: &Rig, project: &str, jobs: u64, first: u64) -> Self {
        let mut child = Command::new(EDITOR)
            .arg(rig.data())
            .args([BINARY, project, &jobs.to_string(), &first.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the editor starts");
        let out = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, out }
    }

    /// Waits until it holds `count` pictures.
    fn holds(&mut self, count: usize) {
        let wanted = format!("held {count}");
        let mut line = String::new();
        while line.trim() != wanted {
            line.clear();
            assert!(self.out.read_line(&mut line).expect("text") > 0, "it ended before it held {count}");
        }
    }

    fn kill(mut self) {
        self.child.kill().expect("a child of ours");
        self.child.wait().expect("a child of ours");
    }
}

#[test]
fn an_editor_that_is_killed_leaves_nothing_behind_and_its_jobs_go_on() {
    let _machine = beside_others();
    let rig = Rig::new(BINARY);
    let watcher = Editor::open(&rig, "watcher");
    let sidecar = watcher.pid();
    let (mut before, mut memory) = (None, Vec::new());
    let names = || -> BTreeSet<String> {
        let entries = std::fs::read_dir(rig.data()).expect("a folder").flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    };
    let files = names();
    let jobs_of_a_round = 8;
    for round in 0..rounds() as u64 {
        let mut foreign = Foreign::start(&rig, "victim", jobs_of_a_round, round * jobs_of_a_round);
        foreign.holds(2);
        foreign.kill();
        // A client that lives is served as before.
        let asked = Instant::now();
        watcher.session.submit(&job("a green potion", 64, round)).expect("room");
        assert_eq!(answer(&watcher.session).outcome, Outcome::Done);
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
        wait_for("the victim's jobs", PATIENCE, || {
            let figures = journal::figures(&rig.journal());
            (figures.of("done") == (round + 1) * (jobs_of_a_round + 1)).then_some(())
        });
        let now = wait_for("its connection to be cleared away", PATIENCE, || {
            let now = (descriptors(sidecar)?, shared_mappings(sidecar)?);
            let settled = before.is_none_or(|before: (usize, usize)| now.0 <= before.0 && now.1 <= before.1);
            settled.then_some(now)
        });
        // One mapping for the watcher's rings and one segment of its slots.
        if round == 0 {
            wait_for("the victim's mappings to go", PATIENCE, || (shared_mappings(sidecar)? <= 2).then_some(()));
            before = Some((descriptors(sidecar).unwrap_or(now.0), 2));
        }
        memory.push(memory_kib(sidecar, "VmRSS:").expect("its memory"));
    }
    // Journal and caches warm up in the first rounds.
    let (early, late) = (memory[memory.len() / 4], memory[memory.len() - 1]);
    assert!(late < early + 8 * 1024, "memory grew from {early} to {late} KiB");
    assert_eq!(names(), files, "files of the data directory");
    assert!(is_alive(sidecar), "the sidecar is the one that it was");
    let figures = journal::figures(&rig.journal());
    assert_eq!((figures.rendered_twice, figures.of("failed"), figures.attempts_open), (0, 0, 0), "{figures:?}");
    let open = before.map_or(0, |(descriptors, _)| descriptors);
    println!(
        "editor killed {} times: {} jobs done, {open} descriptors open before and after, memory {early} to {late} KiB",
        rounds(),
        figures.of("done")
    );
}

#[test]
fn a_sidecar_that_is_stopped_holds_no_submit_up() {
    let _machine = alone();
    let rig = Rig::new(BINARY);
    let editor = Editor::open(&rig, "game");
    editor.session.submit(&job("a rock", 64, 0)).expect("room");
    answer(&editor.session);
    end(editor.pid(), Signal::STOP);
    let calls = 100_000_u64;
    let (mut times, mut accepted, mut full) = (Vec::with_capacity(calls as usize), 0, 0);
    for seed in 1..=calls {
        let request = job("a rock", 64, seed);
        let began = Instant::now();
        let outcome = editor.session.submit(&request);
        times.push(began.elapsed());
        match outcome {
            Ok(_) => accepted += 1,
            Err(failure) => {
                assert_eq!(failure.code, ErrorCode::QueueFull);
                full += 1;
            }
        }
    }
    let (p50, p999) = (percentile(&mut times, 0.5), percentile(&mut times, 0.999));
    println!(
        "sidecar stopped: {calls} submits, {accepted} accepted, {full} refused at once; p50 {p50:?}, p99.9 {p999:?} \
         (goal 200 µs), slowest {:?}",
        times.last()
    );
    assert!(p999 <= Duration::from_micros(200), "{p999:?}");
    assert!(accepted > 100 && full > 0);
    end(editor.pid(), Signal::CONT);
    for _ in 0..accepted {
        assert_eq!(answer(&editor.session).outcome, Outcome::Done);
    }
    assert_eq!(editor.session.state().in_flight, 0);
}
