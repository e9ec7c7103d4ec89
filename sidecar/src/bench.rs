//! What the channel is worth, measured against what people would wire together without it.
//!
//! A second process of this very program serves; this one asks, over the channel, over HTTP (axum and reqwest) and over
//! a bare socket, the same payload each time, all event-driven: from asking until the bytes can be read here.
//! The contenders take turns, so that a machine with other things to do slows all of them.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::Serialize;
use thumbforge_channel::client::{Brief, Completion, Deliver, Options, Outcome, RecipeForm, Request, Session, Start};
use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::job::{Gate, Lane};
use thumbforge_core::recipe::Tier;

use rivals::{BareSocket, Http};

mod rivals;
mod server;

pub use server::serve;

/// Sides of the pictures: 1 MiB and 16 MiB of RGBA8.
const SIDES: [u32; 2] = [512, 2048];
/// Turns that every contender gets; what is reported is the median of them.
const TURNS: usize = 7;
/// Nothing that is measured here takes so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// Half of the calls are faster, and all but one in a hundred.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Spread {
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
}

/// How many times longer HTTP takes.
#[derive(Debug, Clone, Serialize)]
pub struct HttpRatio {
    /// A picture of 512×512 that the sidecar copies into its slot.
    #[serde(rename = "1MiB")]
    pub small: f64,
    /// A picture of 2048×2048 that the sidecar copies into its slot.
    #[serde(rename = "16MiB")]
    pub large: f64,
    /// The same, rendered where it is read.
    #[serde(rename = "16MiB_direct")]
    pub direct: f64,
}

/// What the channel costs of what HTTP costs.
#[derive(Debug, Clone, Serialize)]
pub struct CpuRatio {
    /// Of both processes for a picture of 2048×2048, copied; absent where the system does not tell a process its time.
    #[serde(rename = "16MiB")]
    pub large: Option<f64>,
}

/// Microseconds until the bytes can be read.
#[derive(Debug, Clone, Serialize)]
pub struct Contender {
    /// Who.
    pub name: &'static str,
    /// 512×512.
    #[serde(rename = "1MiB_us")]
    pub small_us: Spread,
    /// 2048×2048.
    #[serde(rename = "16MiB_us")]
    pub large_us: Spread,
}

/// All figures of one run.
#[derive(Debug, Clone, Serialize)]
pub struct ChannelFigures {
    /// A submission as scripts make them: a hundred in one breath to a sidecar that sleeps, all of them counted.
    pub submit_ns: Spread,
    /// A single one to a sidecar that sleeps; it has the bell to ring, whose cost is the system's.
    pub submit_asleep_ns: Spread,
    /// An empty job and its answer.
    pub round_trip_us: Spread,
    /// HTTP's time by ours.
    pub http_ratio: HttpRatio,
    /// Our processor time by HTTP's.
    pub cpu_ratio: CpuRatio,
    /// Every contender's times.
    pub contenders: Vec<Contender>,
}

/// Runs the bench. `quick` takes a tenth of the samples.
///
/// # Errors
/// When the serving process cannot be started or answers wrongly.
pub fn channel(quick: bool) -> Result<ChannelFigures, Failure> {
    let folder = tempfile::tempdir().map_err(|err| failed(format!("make a folder: {err}")))?;
    let peer = Peer::start(folder.path())?;
    let session = Session::open(Options::new(folder.path(), "bench", Start::Never))?;
    session.attached(PATIENCE)?;
    let http = Http::new(peer.port)?;
    let mut bare = BareSocket::connect(folder.path())?;
    let few = if quick { 10 } else { 1 };

    let (submit_asleep_ns, round_trip_us) = alone(&session, 20_000 / few)?;
    let submit_ns = burst(&session, 200 / few)?;
    let (mut copied, mut direct) = (Samples::default(), Samples::default());
    let (mut over_http, mut over_socket) = (Samples::default(), Samples::default());
    for _ in 0..TURNS {
        for (at, side) in SIDES.into_iter().enumerate() {
            let count = [100, 20][at] / few;
            over_http.take(at, count, || http.fetch(bytes_of(side)))?;
            copied.take(at, count, || fetch(&session, "copy", side))?;
            direct.take(at, count, || fetch(&session, "direct", side))?;
            over_socket.take(at, count, || bare.fetch(bytes_of(side)))?;
        }
    }
    let rounds = 50 / few;
    let ours = cpu(&session, rounds, || fetch(&session, "copy", SIDES[1]))?;
    let theirs = cpu(&session, rounds, || http.fetch(bytes_of(SIDES[1])))?;
    let cpu_ratio = CpuRatio { large: ours.zip(theirs).map(|(ours, theirs)| ours / theirs) };

    let http_ratio = HttpRatio {
        small: over_http.ratio(&copied, 0),
        large: over_http.ratio(&copied, 1),
        direct: over_http.ratio(&direct, 1),
    };
    let contenders = vec![
        direct.contender("channel, rendered in place"),
        copied.contender("channel, with a copy"),
        over_socket.contender("bare socket"),
        over_http.contender("axum + reqwest"),
    ];
    Ok(ChannelFigures { submit_ns, submit_asleep_ns, round_trip_us, http_ratio, cpu_ratio, contenders })
}

fn failed(what: String) -> Failure {
    Failure::new(ErrorCode::Internal, format!("failed to {what}"))
}

fn bytes_of(side: u32) -> usize {
    side as usize * side as usize * 4
}

/// The serving process.
struct Peer {
    child: Child,
    port: u16,
}

impl Peer {
    fn start(folder: &Path) -> Result<Self, Failure> {
        let program = std::env::current_exe().map_err(|err| failed(format!("find this program: {err}")))?;
        let mut child = Command::new(program)
            .args(["bench", "channel-peer", "--data-dir"])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|err| failed(format!("start a second process: {err}")))?;
        let mut line = String::new();
        let read = child.stdout.take().map(|stdout| BufReader::new(stdout).read_line(&mut line));
        match line.trim().parse() {
            Ok(port) => Ok(Self { child, port }),
            Err(_) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(failed(format!("hear from the second process: {read:?}, {line:?}")))
            }
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It ends when its input does.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn request(prompt: &'static str, side: u32, deliver: Deliver) -> Request<'static> {
    Request {
        asset: "Icons/sword",
        locale: "en",
        lane: Lane::Interactive,
        priority: 0,
        deadline_ms: None,
        placeholder: false,
        lossy: false,
        gate: Gate::Report,
        read_back: false,
        safe_inset: None,
        deliver,
        tag: 0,
        terms: b"",
        recipe: RecipeForm::Brief(Brief {
            prompt,
            negative: "",
            model: "",
            text: "",
            size: (side, side),
            tier: Tier::Preview,
            seed: Some(7),
            steps: None,
            guidance: None,
        }),
    }
}

/// The answer to the one job that is out.
fn answer(session: &Session) -> Result<Completion, Failure> {
    loop {
        if let Some(completion) = session.poll() {
            return Ok(completion);
        }
        if !session.wait(PATIENCE) {
            return Err(failed(format!("hear an answer: {:?}", session.state())));
        }
    }
}

/// A picture over the channel, to its first and last byte.
fn fetch(session: &Session, how: &'static str, side: u32) -> Result<u64, Failure> {
    session.submit(&request(how, side, Deliver::Pixels))?;
    let completion = answer(session)?;
    match (&completion.outcome, &completion.texture) {
        (Outcome::Done, Some(texture)) => Ok(texture.bytes() as u64),
        _ => Err(failed(format!("get a picture over the channel: {completion:?}"))),
    }
}

/// Jobs one at a time: the receiver sleeps when each comes.
fn alone(session: &Session, count: usize) -> Result<(Spread, Spread), Failure> {
    let (mut submits, mut trips) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let job = request("a red sword on a table, cinematic lighting, studio photo, 4k", 512, Deliver::Nothing);
    for _ in 0..count {
        let began = Instant::now();
        session.submit(&job)?;
        submits.push(began.elapsed());
        answer(session)?;
        trips.push(began.elapsed());
    }
    Ok((spread(&submits, 1.0), spread(&trips, 1000.0)))
}

/// A hundred jobs in one breath, `count` times.
fn burst(session: &Session, count: usize) -> Result<Spread, Failure> {
    let mut submits = Vec::with_capacity(count * 100);
    let job = request("a red sword on a table, cinematic lighting, studio photo, 4k", 512, Deliver::Nothing);
    for _ in 0..count {
        for _ in 0..100 {
            let began = Instant::now();
            session.submit(&job)?;
            submits.push(began.elapsed());
        }
        for _ in 0..100 {
            answer(session)?;
        }
    }
    Ok(spread(&submits, 1.0))
}

/// Processor time of both processes for `count` rounds, in nanoseconds; `None` where the system does not say.
fn cpu(
    session: &Session,
    count: usize,
    mut round: impl FnMut() -> Result<u64, Failure>,
) -> Result<Option<f64>, Failure> {
    let both = || -> Result<Option<f64>, Failure> {
        session.submit(&request("cpu", 16, Deliver::Nothing))?;
        let completion = answer(session)?;
        let there: Option<f64> = String::from_utf8_lossy(&completion.detail).parse().ok();
        Ok(there.zip(server::cpu_ns()).map(|(there, here)| there + here))
    };
    let before = both()?;
    for _ in 0..count {
        round()?;
    }
    Ok(both()?.zip(before).map(|(after, before)| after - before))
}

fn spread(samples: &[Duration], unit_ns: f64) -> Spread {
    let mut sorted: Vec<f64> = samples.iter().map(|sample| sample.as_nanos() as f64 / unit_ns).collect();
    sorted.sort_by(f64::total_cmp);
    let at = |share: f64| sorted.get(((sorted.len() as f64 - 1.0) * share) as usize).copied().unwrap_or(f64::NAN);
    Spread { p50: at(0.5), p99: at(0.99) }
}

/// Times of one contender, by size and turn.
#[derive(Default)]
struct Samples {
    turns: [Vec<f64>; 2],
    all: [Vec<Duration>; 2],
}

impl Samples {
    fn take(
        &mut self,
        size: usize,
        count: usize,
        mut fetch: impl FnMut() -> Result<u64, Failure>,
    ) -> Result<(), Failure> {
        // The first of a turn finds cold caches, whoever it is.
        fetch()?;
        let mut samples = Vec::with_capacity(count);
        for _ in 0..count {
            let began = Instant::now();
            fetch()?;
            samples.push(began.elapsed());
        }
        self.turns[size].push(spread(&samples, 1000.0).p50);
        self.all[size].extend(samples);
        Ok(())
    }

    /// The median over the turns of this one's time by the other's.
    fn ratio(&self, other: &Self, size: usize) -> f64 {
        let mut ratios: Vec<f64> = self.turns[size].iter().zip(&other.turns[size]).map(|(a, b)| a / b).collect();
        ratios.sort_by(f64::total_cmp);
        ratios.get(ratios.len() / 2).copied().unwrap_or(f64::NAN)
    }

    fn contender(&self, name: &'static str) -> Contender {
        Contender { name, small_us: spread(&self.all[0], 1000.0), large_us: spread(&self.all[1], 1000.0) }
    }
}
