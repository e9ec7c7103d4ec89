//! Many threads, many clients: nothing is lost, nothing comes twice, and nobody goes short.

mod common;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Barrier, OnceLock};
use std::time::{Duration, Instant};

use common::{PATIENCE, Rig, byte, job, next};
use parking_lot::Mutex;
use thumbforge_channel::client::{Deliver, Options, Outcome, Session, Start};
use thumbforge_channel::server::{self, Client, Guest, Host, Reply};
use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::id::RequestKey;
use thumbforge_core::wire::hello::Hello;
use thumbforge_core::wire::message;

/// Whether this build watches every access of memory, which costs it a tenfold.
const WATCHED: bool = cfg!(thumbforge_watched);

/// One test at a time: both measure.
static ALONE: Mutex<()> = Mutex::new(());

/// Submits and, while the queue is full, gives way.
fn push(session: &Session, seed: u64, deliver: Deliver) -> u64 {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match session.submit(&job("a rock", 64, seed, deliver)) {
            Ok(number) => return number,
            Err(failure) => assert_eq!(failure.code, ErrorCode::QueueFull, "{failure}"),
        }
        assert!(Instant::now() < deadline, "the queue stays full: {:?}", session.state());
        std::thread::yield_now();
    }
}

/// Threads that submit beside one that polls: every number is answered once, with the tag that it was given.
fn threads_in_one_session(shared_memory: bool, threads: u64, jobs: u64) {
    let rig = Rig::new(shared_memory);
    let session = rig.open("game");
    let (began, refused) = (Instant::now(), AtomicU64::new(0));
    let answered = std::thread::scope(|scope| {
        for thread in 0..threads {
            let (session, refused) = (&session, &refused);
            scope.spawn(move || {
                for at in 0..jobs {
                    let tag = thread * jobs + at;
                    // Every hundredth has a picture.
                    let deliver = if at % 100 == 0 { Deliver::Pixels } else { Deliver::Nothing };
                    let before = Instant::now();
                    push(session, tag, deliver);
                    if before.elapsed() > Duration::from_millis(1) {
                        refused.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        let (mut numbers, mut tags) = (HashSet::new(), HashSet::new());
        for _ in 0..threads * jobs {
            let completion = next(&session);
            assert_eq!((completion.outcome, completion.seed), (Outcome::Done, completion.tag));
            assert!(numbers.insert(completion.number), "{} came twice", completion.number);
            assert!(tags.insert(completion.tag), "the tag {} came twice", completion.tag);
            if let Some(texture) = completion.texture {
                let bytes = texture.to_vec();
                assert!(bytes.iter().enumerate().all(|(at, value)| *value == byte(completion.tag, at)));
            }
        }
        tags.len() as u64
    });
    let seconds = began.elapsed().as_secs_f64();
    assert_eq!(answered, threads * jobs);
    assert!(session.poll().is_none(), "one too many");
    assert_eq!((session.state().in_flight, session.state().restarts), (0, 0), "{:?}", session.state());
    assert!(rig.echo.asked.lock().values().all(|count| *count == 1), "a job was asked twice");
    println!(
        "{threads} threads × {jobs} jobs over {}: 0 lost, 0 doubled, {:.0} a second, {} submits took more than 1 ms (full queue)",
        if shared_memory { "shared memory" } else { "frames" },
        answered as f64 / seconds,
        refused.into_inner(),
    );
}

#[test]
fn eight_threads_of_one_session_lose_and_double_nothing() {
    let _alone = ALONE.lock();
    let jobs = if WATCHED { 1500 } else { 5000 };
    threads_in_one_session(true, 8, jobs);
    threads_in_one_session(false, 8, jobs / 5);
}

/// Answers from one thread, in the order in which it was asked, as a sidecar with one engine does: whoever gets less
/// than others was kept from asking, or from hearing.
struct Engine {
    queue: Mutex<Option<SyncSender<(Client, u64, usize)>>>,
    asked: Arc<Mutex<HashMap<RequestKey, usize>>>,
}

struct Customer {
    queue: SyncSender<(Client, u64, usize)>,
    asked: Arc<Mutex<HashMap<RequestKey, usize>>>,
    client: Client,
    place: usize,
}

impl Host for Engine {
    fn welcome(&self, hello: &Hello, client: Client) -> Result<Arc<dyn Guest>, Failure> {
        let queue = self.queue.lock().clone().expect("it runs");
        let place = hello.project.parse().expect("projects are called by their numbers");
        Ok(Arc::new(Customer { queue, asked: self.asked.clone(), client, place }))
    }

    fn drain(&self, _build: &str) {}
}

impl Guest for Customer {
    fn submit(&self, number: u64, key: RequestKey, _request: message::Request<'_>) {
        *self.asked.lock().entry(key).or_default() += 1;
        self.queue.send((self.client.clone(), number, self.place)).expect("the engine runs");
    }

    fn provide(&self, _number: u64, _path: PathBuf) {}

    fn command(&self, _number: u64, _key: RequestKey, _json: &[u8]) {}

    fn cancel(&self, _number: u64) {}

    fn gone(&self) {}
}

/// Clients that are all busy the whole time; how far the share of one is off the mean at most.
fn clients_at_once(shared_memory: bool, clients: usize, jobs: u64) -> f64 {
    /// As many as a client keeps in flight: it runs dry only if its threads do not run for 60 ms.
    const OPEN: u64 = 512;
    /// What an answer costs the engine; far below a real picture's, and enough that the engine is what all wait for. An
    /// engine that answers for nothing shows how the system shares out its processors among 18 threads instead.
    const WORK: Duration = Duration::from_micros(20);
    let (queue, asked_of_engine) =
        sync_channel::<(Client, u64, usize)>(clients * thumbforge_core::limits::IN_FLIGHT_MAX);
    let (total, shares) = (jobs * clients as u64, Arc::new(OnceLock::new()));
    let counted = shares.clone();
    let engine = std::thread::spawn(move || {
        let (mut counts, mut first, mut answered) = (vec![0_u64; clients], None, 0);
        for (client, number, place) in asked_of_engine {
            let began = Instant::now();
            while began.elapsed() < WORK {
                std::hint::spin_loop();
            }
            client.complete(&Reply::bare(number, Outcome::Done), None);
            (counts[place], answered) = (counts[place] + 1, answered + 1);
            let first = *first.get_or_insert(began);
            if answered == total {
                counted.set((counts.clone(), first.elapsed())).expect("it ends once");
            }
        }
    });
    let (folder, asked) = (tempfile::tempdir().expect("a folder"), Arc::default());
    let host = Arc::new(Engine { queue: Mutex::new(Some(queue)), asked: Arc::clone(&asked) });
    let options = server::Options { shared_memory, ..server::Options::default() };
    let serving = server::serve(folder.path(), host.clone(), options).expect("a socket");
    let open = |at: usize| Session::open(Options::new(folder.path(), at.to_string(), Start::Never)).expect("a session");
    let sessions: Vec<Session> = (0..clients).map(open).collect();
    for session in &sessions {
        session.attached(PATIENCE).expect("a server");
    }
    let start = Barrier::new(clients);
    std::thread::scope(|scope| {
        for session in &sessions {
            let (shares, start) = (&shares, &start);
            scope.spawn(move || {
                let (mut sent, mut seen) = (0, HashSet::new());
                start.wait();
                while shares.get().is_none() {
                    while sent - (seen.len() as u64) < OPEN
                        && session.submit(&job("", 64, sent, Deliver::Nothing)).is_ok()
                    {
                        sent += 1;
                    }
                    session.wait(Duration::from_millis(100));
                    while let Some(completion) = session.poll() {
                        assert!(seen.insert(completion.number), "{} came twice", completion.number);
                    }
                }
                // The shares are counted by now; what is left comes too, each once.
                while (seen.len() as u64) < sent {
                    assert!(seen.insert(next(session).number), "twice");
                }
                assert!(session.poll().is_none(), "one too many");
            });
        }
    });
    drop(sessions);
    serving.close();
    host.queue.lock().take();
    engine.join().expect("no panic");
    assert!(asked.lock().values().all(|count| *count == 1), "a job was asked twice");
    let (shares, took) = shares.get().cloned().expect("they were counted");
    let off = shares.iter().map(|share| (*share as f64 / jobs as f64 - 1.0).abs()).fold(0.0, f64::max);
    println!(
        "{clients} clients over {}: {:.0} answers a second, shares {shares:?}, at most {:.1} % off the mean",
        if shared_memory { "shared memory" } else { "frames" },
        total as f64 / took.as_secs_f64(),
        off * 100.0,
    );
    off
}

#[test]
fn six_clients_at_once_get_equal_shares() {
    let _alone = ALONE.lock();
    let jobs = if WATCHED { 1500 } else { 16_000 };
    for (shared_memory, jobs) in [(true, jobs), (false, jobs * 3 / 4)] {
        // A machine that takes a thread its processor for 60 ms lets a client run dry, which says nothing of the channel;
        // three such in a row do.
        let fair = (0..3).any(|_| clients_at_once(shared_memory, 6, jobs) <= 0.1 || WATCHED);
        assert!(fair, "a client's share is more than a tenth off");
    }
}
