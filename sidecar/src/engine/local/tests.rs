//! The model thread with a painter that does as it is told.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use thumbforge_core::image::{Extent, ImageBuf};
use thumbforge_core::job::Lane;
use thumbforge_core::recipe::{Dtype, Noise};

use super::super::{Cancel, EngineError, Saves};
use super::asked::{Asked, Files, Lossy, Purpose, Shape};
use super::losses::Ceiling;
use super::painter::{Painted, Painter, Watch};
use super::room::{self, Plan};
use super::seat::{Draws, Seat};
use super::shelf::Classes;
use super::thread::{Ask, Model, Reply};

/// A picture of a model by its name.
pub(in crate::engine) fn asked(model: &str, prompt: &str, seed: u64) -> Asked {
    let shape = Shape {
        prompt: prompt.to_owned(),
        negative: String::new(),
        size: Extent { width: 16, height: 16 },
        steps: 2,
        guidance: 4.5,
        shift: 3.0,
        sampler: "Euler (flow)".to_owned(),
        dtype: Dtype::F32,
        class: "fake".to_owned(),
        noise: Noise::Philox,
        slg: None,
        lossy: Lossy::NONE,
    };
    let files = Files { model: PathBuf::from(model), ..Files::default() };
    Asked { files: Arc::new(files), shape, seed, source: None, purpose: Purpose::Batch }
}

/// Paints pictures of one colour: the seed's. Prompts are orders: `panic`, `memory` (runs out with more than one), `short`
/// (runs out unless the texts leave), `none` (always runs out), `gate` (waits for a word before every step), `lost` (the
/// device is lost, as often as `losses` says), `memory, lost` (runs out with more than one; alone the device is lost),
/// `lost, full` (likewise, and others take its memory meanwhile).
struct Fake {
    /// Everything that happened, in order.
    told: Sender<String>,
    gate: Receiver<()>,
    free: Arc<AtomicU64>,
    losses: Arc<AtomicU64>,
    /// Whether the device comes back.
    back: bool,
    rests: Sender<()>,
}

/// An open model; it says when it is closed.
struct Open(String, Sender<String>);

impl Drop for Open {
    fn drop(&mut self) {
        let _ = self.1.send(format!("close {}", self.0));
    }
}

impl Painter for Fake {
    type Model = Open;

    fn open(&self, files: &Files) -> Result<Open, EngineError> {
        let name = files.model.display().to_string();
        if name == "broken" {
            return Err(EngineError::Weights("read broken: it is no model".to_owned()));
        }
        if name == "shut" {
            return Err(EngineError::Unopened("open the fake: no module loads".to_owned()));
        }
        let _ = self.told.send(format!("open {name}"));
        Ok(Open(name, self.told.clone()))
    }

    fn fit(&self, _: &mut Open, asked: &Asked, pictures: usize, most: u64) -> Result<Plan, EngineError> {
        let free = self.free.load(Ordering::SeqCst).min(most);
        let fitted = room::fit(pictures, asked.shape.lossy, free, &|plan| {
            let kept = [plan.text_leaves, plan.modulation_leaves, plan.apart].iter().filter(|leaves| !**leaves).count();
            Ok(10 * plan.pictures as u64 + kept as u64)
        });
        if fitted.is_err() {
            let _ = self.told.send("no room".to_owned());
        }
        fitted
    }

    fn rest(&self, _: Duration) {
        // Heard once by whoever listens.
        let _ = self.rests.try_send(());
    }

    fn restart(&self) -> Result<(), EngineError> {
        let _ = self.told.send("restart".to_owned());
        if self.free.load(Ordering::SeqCst) == 0 {
            return Err(EngineError::OutOfMemory { needed_bytes: 1, free_bytes: 0, saves: Saves::default() });
        }
        if self.back { Ok(()) } else { Err(EngineError::Failed("open the fake: it is gone".to_owned())) }
    }

    fn draw(
        &self,
        model: &mut Open,
        asked: &[&Asked],
        plan: &Plan,
        watch: &dyn Watch,
    ) -> Result<Vec<Painted>, EngineError> {
        let seeds: Vec<String> = asked.iter().map(|asked| asked.seed.to_string()).collect();
        let _ = self.told.send(format!("draw {} {} by {}", model.0, seeds.join("+"), plan.pictures));
        let shape = &asked[0].shape;
        if shape.prompt == "panic" {
            panic!("told to");
        }
        if shape.prompt.starts_with("memory") && asked.len() > 1 {
            return Err(EngineError::OutOfMemory { needed_bytes: 2, free_bytes: 1, saves: Saves::default() });
        }
        let short = |enough: bool| {
            if enough {
                Ok(())
            } else {
                Err(EngineError::OutOfMemory { needed_bytes: 2, free_bytes: 1, saves: Saves::default() })
            }
        };
        match shape.prompt.as_str() {
            "short" => short(plan.text_leaves)?,
            "none" => short(false)?,
            "lost" | "memory, lost" | "lost, full"
                if self.losses.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() =>
            {
                if shape.prompt == "lost, full" {
                    self.free.store(0, Ordering::SeqCst);
                }
                return Err(EngineError::Lost("compute on a fake: it was lost: told to".to_owned()));
            }
            _ => {}
        }
        for step in 1..=shape.steps {
            if shape.prompt == "gate" {
                let _ = self.gate.recv();
            }
            if watch.is_cancelled() {
                return Err(EngineError::Cancelled);
            }
            watch.step(step, shape.steps);
        }
        let picture = |asked: &&Asked| {
            let image = ImageBuf::from_rgba(shape.size, vec![asked.seed as u8; shape.size.pixels() * 4]);
            Painted { image: image.expect("the right length"), findings: Vec::new() }
        };
        Ok(asked.iter().map(picture).collect())
    }
}

/// A model thread and everything that a test holds of it.
struct Rig {
    asks: Sender<Ask>,
    told: Receiver<String>,
    gate: Sender<()>,
    free: Arc<AtomicU64>,
    losses: Arc<AtomicU64>,
    ceiling: Arc<Ceiling>,
    /// Why the device was given up.
    fell: Receiver<String>,
}

/// Someone who waits.
struct Waits {
    cancel: Cancel,
    heard: Receiver<Reply>,
}

const SOON: Duration = Duration::from_secs(30);

impl Rig {
    fn new(idle: Duration) -> Self {
        Self::losing(idle, 0, true)
    }

    /// On a device that is lost so often, and may come back.
    fn losing(idle: Duration, losses: u64, back: bool) -> Self {
        let ((told, heard), (gate, gated), (asks, receiver)) = (bounded(1000), bounded(100), bounded(100));
        let (free, losses) = (Arc::new(AtomicU64::new(1000)), Arc::new(AtomicU64::new(losses)));
        let fake = Fake { told, gate: gated, free: free.clone(), losses: losses.clone(), back, rests: bounded(1).0 };
        let (ceiling, (fell, falls)) = (Arc::new(Ceiling::default()), bounded(10));
        let (shared, tell) = (ceiling.clone(), Box::new(move |why: &str| drop(fell.send(why.to_owned()))));
        std::thread::spawn(move || Model::new(fake, receiver, idle, shared, tell).run());
        Self { asks, told: heard, gate, free, losses, ceiling, fell: falls }
    }

    fn ask(&self, asked: Asked, lane: Lane, per_call: usize) -> Waits {
        let (reply, heard) = bounded(64);
        let cancel = Cancel::default();
        let ask = Ask { asked, lane, per_call, cancel: cancel.clone(), reply };
        self.asks.send(ask).expect("a thread");
        Waits { cancel, heard }
    }

    /// A picture of model `a`, in a call of its own.
    fn alone(&self, prompt: &str, seed: u64) -> Waits {
        self.ask(asked("a", prompt, seed), Lane::Batch, 1)
    }

    #[track_caller]
    fn told(&self, expected: &[&str]) {
        for expected in expected {
            assert_eq!(self.told.recv_timeout(SOON).expect("something happens"), *expected);
        }
    }
}

impl Waits {
    /// Steps and the end, in words.
    fn end(&self) -> String {
        let mut said = Vec::new();
        loop {
            match self.heard.recv_timeout(SOON).expect("an answer") {
                Reply::Step(done, of) => said.push(format!("{done}/{of}")),
                Reply::Done(Ok(painted)) => said.push(format!("seed {}", painted.image.pixels()[0])),
                Reply::Done(Err(err)) => said.push(err.to_string()),
            }
            if !said.last().is_some_and(|last| last.contains('/')) {
                return said.join(" ");
            }
        }
    }
}

#[test]
fn steps_are_told_and_pictures_come() {
    let rig = Rig::new(SOON);
    assert_eq!(rig.alone("p", 7).end(), "1/2 2/2 seed 7");
    rig.told(&["open a", "draw a 7 by 1"]);
    // The model stays open for the next.
    assert_eq!(rig.alone("p", 8).end(), "1/2 2/2 seed 8");
    rig.told(&["draw a 8 by 1"]);
}

#[test]
fn one_model_is_closed_before_another_is_opened() {
    let rig = Rig::new(SOON);
    rig.alone("p", 1).end();
    rig.ask(asked("b", "p", 2), Lane::Batch, 1).end();
    rig.told(&["open a", "draw a 1 by 1", "close a", "open b", "draw b 2 by 1"]);
}

#[test]
fn a_model_that_nobody_draws_with_is_closed_and_opened_again() {
    let rig = Rig::new(Duration::from_millis(1));
    rig.alone("p", 1).end();
    rig.told(&["open a", "draw a 1 by 1", "close a"]);
    rig.alone("p", 2).end();
    rig.told(&["open a", "draw a 2 by 1", "close a"]);
}

#[test]
fn one_of_a_call_that_is_cancelled_stops_no_other() {
    let rig = Rig::new(SOON);
    // While the first is drawn the others gather.
    let first = rig.alone("gate", 1);
    rig.told(&["open a", "draw a 1 by 1"]);
    let others: Vec<Waits> = (2..5).map(|seed| rig.ask(asked("a", "gate", seed), Lane::Batch, 3)).collect();
    (0..2).for_each(|_| rig.gate.send(()).expect("a gate"));
    assert_eq!(first.end(), "1/2 2/2 seed 1");
    rig.told(&["draw a 2+3+4 by 3"]);
    others[1].cancel.raise();
    (0..2).for_each(|_| rig.gate.send(()).expect("a gate"));
    assert_eq!(others[0].end(), "1/2 2/2 seed 2");
    assert_eq!(others[1].end(), "1/2 2/2 draw: it was cancelled");
    assert_eq!(others[2].end(), "1/2 2/2 seed 4");
}

#[test]
fn a_call_that_nobody_wants_ends_at_its_next_step() {
    let rig = Rig::new(SOON);
    let drawing = rig.alone("gate", 1);
    rig.told(&["open a", "draw a 1 by 1"]);
    let waiting = rig.alone("gate", 2);
    waiting.cancel.raise();
    drawing.cancel.raise();
    rig.gate.send(()).expect("a gate");
    assert_eq!(drawing.end(), "draw: it was cancelled");
    assert_eq!(waiting.end(), "draw: it was cancelled");
    // Nothing was drawn for the one that waited.
    assert_eq!(rig.alone("p", 3).end(), "1/2 2/2 seed 3");
    rig.told(&["draw a 3 by 1"]);
}

#[test]
fn a_panic_ends_its_call_and_nothing_else() {
    let rig = Rig::new(SOON);
    let said = rig.alone("panic", 1).end();
    assert_eq!(said, "finish a drawing, a fault of Thumbforge: told to");
    assert_eq!(rig.alone("p", 2).end(), "1/2 2/2 seed 2");
    // What was half changed is opened anew.
    rig.told(&["open a", "draw a 1 by 1", "close a", "open a", "draw a 2 by 1"]);
}

#[test]
fn files_that_are_no_model_fail_their_call_alone() {
    let rig = Rig::new(SOON);
    assert_eq!(rig.ask(asked("broken", "p", 1), Lane::Batch, 1).end(), "read broken: it is no model");
    assert_eq!(rig.alone("p", 2).end(), "1/2 2/2 seed 2");
}

#[test]
fn where_memory_runs_out_after_all_half_as_many_are_drawn_at_once() {
    let rig = Rig::new(SOON);
    let first = rig.alone("gate", 0);
    rig.told(&["open a", "draw a 0 by 1"]);
    let others: Vec<Waits> = (1..4).map(|seed| rig.ask(asked("a", "memory", seed), Lane::Batch, 3)).collect();
    (0..2).for_each(|_| rig.gate.send(()).expect("a gate"));
    first.end();
    let ends: Vec<String> = others.iter().map(Waits::end).collect();
    assert_eq!(ends, ["1/2 2/2 seed 1", "1/2 2/2 seed 2", "1/2 2/2 seed 3"]);
    rig.told(&["draw a 1+2+3 by 3", "draw a 1 by 1", "draw a 2+3 by 2", "draw a 2 by 1", "draw a 3 by 1"]);
}

#[test]
fn a_call_waits_for_memory_that_others_hold() {
    let rig = Rig::new(SOON);
    rig.free.store(0, Ordering::SeqCst);
    let waits = rig.alone("p", 1);
    rig.told(&["open a", "no room"]);
    rig.free.store(1000, Ordering::SeqCst);
    // Whatever comes makes it look again at once.
    let other = rig.alone("p", 2);
    assert_eq!(waits.end(), "1/2 2/2 seed 1");
    assert_eq!(other.end(), "1/2 2/2 seed 2");
}

#[test]
fn what_waits_for_memory_can_be_cancelled() {
    let rig = Rig::new(SOON);
    rig.free.store(0, Ordering::SeqCst);
    let waits = rig.alone("p", 1);
    rig.told(&["open a", "no room"]);
    waits.cancel.raise();
    assert_eq!(waits.end(), "draw: it was cancelled");
}

#[test]
fn where_the_driver_says_no_after_all_one_picture_is_drawn_with_less() {
    let rig = Rig::new(SOON);
    assert_eq!(rig.alone("short", 1).end(), "1/2 2/2 seed 1");
    rig.told(&["open a", "draw a 1 by 1", "draw a 1 by 1"]);
    // The next is drawn as if nothing had been, and whoever plans knows what was refused.
    assert_eq!(rig.alone("p", 2).end(), "1/2 2/2 seed 2");
    let most = |model: &str| {
        let asked = asked(model, "p", 1);
        rig.ceiling.most(&asked.files, asked.purpose, std::time::Instant::now())
    };
    // It was drawn with as much as was refused, so that holds no longer.
    assert_eq!(most("a"), u64::MAX);
    // Below the last rung there is none: the figures are told, and nobody waits for a minute.
    assert!(rig.alone("none", 3).end().starts_with("fit the picture into memory: it needs"));
    // Nobody plans with less than the last rung takes, or every job of the next minute would fail.
    assert_eq!((most("a"), most("b")), (10, u64::MAX), "and nobody else with less");
    assert_eq!(rig.alone("p", 4).end(), "1/2 2/2 seed 4");
}

#[test]
fn a_lost_device_is_begun_anew_with_the_queue_as_it_was() {
    let rig = Rig::losing(SOON, 1, true);
    let first = rig.alone("gate", 0);
    rig.told(&["open a", "draw a 0 by 1"]);
    let others: Vec<Waits> = (1..4).map(|seed| rig.ask(asked("a", "lost", seed), Lane::Batch, 2)).collect();
    (0..2).for_each(|_| rig.gate.send(()).expect("a gate"));
    first.end();
    let ends: Vec<String> = others.iter().map(Waits::end).collect();
    assert_eq!(ends, ["1/2 2/2 seed 1", "1/2 2/2 seed 2", "1/2 2/2 seed 3"]);
    // Those that it was lost with are drawn alone; nobody is drawn twice.
    rig.told(&["draw a 1+2 by 2", "close a", "restart", "open a", "draw a 1 by 1", "draw a 2 by 1", "draw a 3 by 1"]);
    assert!(rig.fell.is_empty() && rig.told.is_empty());
}

#[test]
fn a_picture_that_breaks_the_device_twice_fails_and_no_other_does() {
    let rig = Rig::losing(SOON, 2, true);
    let gate = rig.alone("gate", 0);
    rig.told(&["open a", "draw a 0 by 1"]);
    let (breaks, other) = (rig.alone("lost", 1), rig.alone("p", 2));
    (0..2).for_each(|_| rig.gate.send(()).expect("a gate"));
    gate.end();
    assert!(breaks.end().starts_with("draw: the device was lost 2 times while this was drawn: compute on a fake"));
    assert_eq!(other.end(), "1/2 2/2 seed 2");
    assert!(rig.fell.is_empty());
}

#[test]
fn a_device_that_is_lost_too_often_is_given_up_and_everybody_hears_why() {
    let rig = Rig::losing(SOON, 100, true);
    let lost: Vec<String> = (1..4).map(|seed| rig.alone("lost", seed).end()).collect();
    assert!(lost[0].contains("2 times while this was drawn"), "{lost:?}");
    let why = rig.fell.recv_timeout(SOON).expect("it is given up");
    assert!(why.starts_with("draw: the device was lost 4 times, at last: compute on a fake"), "{why}");
    // The second picture's second loss is the fourth of all: it may be drawn elsewhere, as may whoever comes later.
    assert_eq!(lost[1], why);
    assert_eq!((lost[2].as_str(), rig.alone("p", 9).end()), (why.as_str(), why.clone()));
}

#[test]
fn a_device_that_does_not_come_back_is_given_up_at_once() {
    let rig = Rig::losing(SOON, 1, false);
    let why = rig.alone("lost", 1).end();
    assert!(why.contains("cannot be had again: open the fake: it is gone"), "{why}");
    assert_eq!(rig.fell.recv_timeout(SOON).expect("it is given up"), why);
    assert_eq!(rig.losses.load(Ordering::SeqCst), 0);
}

#[test]
fn a_device_that_cannot_be_opened_is_given_up_and_everybody_hears_why() {
    let rig = Rig::new(SOON);
    let first = rig.alone("gate", 0);
    rig.told(&["open a", "draw a 0 by 1"]);
    let shut = rig.ask(asked("shut", "p", 1), Lane::Batch, 1);
    let waits = rig.ask(asked("b", "p", 2), Lane::Batch, 1);
    (0..2).for_each(|_| rig.gate.send(()).expect("a gate"));
    first.end();
    let why = "open the fake: no module loads";
    assert_eq!([shut.end(), waits.end(), rig.alone("p", 3).end()], [why; 3]);
    assert_eq!(rig.fell.recv_timeout(SOON).expect("it is given up"), why);
}

#[test]
fn memory_that_others_took_while_a_device_was_lost_is_waited_for() {
    let rig = Rig::losing(SOON, 1, true);
    let lost = rig.alone("lost, full", 1);
    rig.told(&["open a", "draw a 1 by 1", "close a", "restart", "open a", "no room"]);
    rig.free.store(1000, Ordering::SeqCst);
    let other = rig.alone("p", 2);
    assert_eq!((lost.end(), other.end()), ("1/2 2/2 seed 1".to_owned(), "1/2 2/2 seed 2".to_owned()));
    assert!(rig.fell.is_empty(), "it was not given up");
}

#[test]
fn whoever_plans_for_a_device_that_cannot_be_opened_gives_it_up() {
    let start = Box::new(|| Fake {
        told: bounded(100).0,
        gate: bounded(1).1,
        free: Arc::new(AtomicU64::new(1000)),
        losses: Arc::default(),
        back: true,
        rests: bounded(1).0,
    });
    let classes = Classes { dtype: Dtype::F32, f32: "fake".to_owned(), bf16: "fake".to_owned() };
    let fits = Box::new(|_: &Files, _: &Asked, _: usize, _: u64| Err(EngineError::Unopened("open it".to_owned())));
    let (fell, falls) = bounded(10);
    let fell = Arc::new(move |why: &str| drop(fell.send(why.to_owned())));
    let seat = Seat::new(Box::new(move || classes.clone()), start, (fits, Box::new(|| Ok(false))), SOON, fell);
    let asked = asked("a", "p", 1);
    assert!(seat.fits(&asked.files, &asked, 1).is_err_and(|err| err.displaces()));
    assert!(seat.is_fallen());
    assert_eq!(falls.recv_timeout(SOON).expect("it is given up"), "open it");
}

#[test]
fn the_second_half_of_a_call_is_not_drawn_on_a_device_that_the_first_half_ended() {
    let rig = Rig::losing(SOON, 100, false);
    let first = rig.alone("gate", 0);
    rig.told(&["open a", "draw a 0 by 1"]);
    let others: Vec<Waits> = (1..3).map(|seed| rig.ask(asked("a", "memory, lost", seed), Lane::Batch, 2)).collect();
    (0..2).for_each(|_| rig.gate.send(()).expect("a gate"));
    first.end();
    let ends: Vec<String> = others.iter().map(Waits::end).collect();
    assert!(ends.iter().all(|said| said.contains("cannot be had again")), "{ends:?}");
    rig.told(&["draw a 1+2 by 2", "draw a 1 by 1", "close a", "restart"]);
    assert!(rig.told.is_empty(), "nothing is drawn on what is given up");
}

#[test]
fn a_device_that_is_planned_for_and_never_drawn_on_rests_too() {
    let (rests, heard) = bounded(1);
    let start = Box::new(move || Fake {
        told: bounded(1).0,
        gate: bounded(1).1,
        free: Arc::default(),
        losses: Arc::default(),
        back: true,
        rests: rests.clone(),
    });
    let classes = Classes { dtype: Dtype::F32, f32: "fake".to_owned(), bf16: "fake".to_owned() };
    let fits =
        Box::new(|_: &Files, _: &Asked, pictures, most: u64| room::fit(pictures, Lossy::NONE, most, &|_| Ok(10)));
    let seat = Seat::new(
        Box::new(move || classes.clone()),
        start,
        (fits, Box::new(|| Ok(false))),
        Duration::from_millis(1),
        Arc::new(|_: &str| {}),
    );
    let asked = asked("a", "p", 1);
    assert!(seat.fits(&asked.files, &asked, 1).is_ok());
    heard.recv_timeout(SOON).expect("it rests");
}
