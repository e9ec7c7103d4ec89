//! The model thread: everything that a model computes, computed in one place, one call after another.
//!
//! ```text
//! draw ─► asks ─► queue ─► open (another model) ─► fit (into memory) ─► draw ─► answers
//!                   ▲                                   └─► wait, a while ─┘
//!                   └── nobody asks for a while: the model is closed
//! ```
//! A call's pictures live and die apart: one that is cancelled stops no other, and a panic or a lack of memory ends the
//! call's pictures and nothing else. Where the driver says no to what the plan thought would fit, the call goes further down
//! the ladder. A device that is lost is begun anew with the queue as it was; one that is lost too often, or cannot be opened
//! at all, is given up, and everybody hears so at once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use thumbforge_core::job::Lane;

use super::super::{Cancel, EngineError};
use super::asked::{Asked, Files};
use super::losses::{Ceiling, Losses, PICTURE_LOSSES_MAX};
use super::painter::{Painted, Painter, Watch};
use super::queue::{Queue, Waiting};
use super::room::Plan;

/// How long a call waits for memory that others hold: a browser or an editor may be about to give some back.
const MEMORY_WAIT: Duration = Duration::from_secs(60);
/// How often it is looked whether there is enough.
const MEMORY_LOOK: Duration = Duration::from_millis(500);

/// A picture that is asked for.
pub(super) struct Ask {
    pub(super) asked: Asked,
    pub(super) lane: Lane,
    pub(super) per_call: usize,
    pub(super) cancel: Cancel,
    pub(super) reply: Sender<Reply>,
}

/// What whoever asked hears.
pub(super) enum Reply {
    /// So many of so many steps are done.
    Step(u32, u32),
    /// It is over.
    Done(Result<Painted, EngineError>),
}

/// The owner of a picture in the queue.
struct Owner {
    cancel: Cancel,
    reply: Sender<Reply>,
    /// How often the device was lost while it was drawn.
    losses: u32,
}

impl Owner {
    fn answer(&self, result: Result<Painted, EngineError>) {
        // Whoever was cancelled may have gone already.
        let _ = self.reply.send(Reply::Done(result));
    }
}

/// The thread's own.
pub(super) struct Model<P: Painter> {
    painter: P,
    asks: Receiver<Ask>,
    /// How long a model stays open that nobody draws with.
    idle: Duration,
    queue: Queue<Owner>,
    open: Option<(Arc<Files>, P::Model)>,
    losses: Losses,
    /// What the driver refused, for whoever plans.
    ceiling: Arc<Ceiling>,
    /// Hears that the device is given up, and why.
    fell: Box<dyn Fn(&str) + Send>,
    /// Why it is.
    fallen: Option<String>,
}

impl<P: Painter> Model<P> {
    pub(super) fn new(
        painter: P,
        asks: Receiver<Ask>,
        idle: Duration,
        ceiling: Arc<Ceiling>,
        fell: Box<dyn Fn(&str) + Send>,
    ) -> Self {
        let (queue, losses) = (Queue::new(), Losses::default());
        Self { painter, asks, idle, queue, open: None, losses, ceiling, fell, fallen: None }
    }

    /// Draws until nobody can ask any more.
    pub(super) fn run(mut self) {
        while self.take_in() {
            let gone = self.queue.take_out(|waiting| waiting.owner.cancel.is_raised());
            gone.iter().for_each(|waiting| waiting.owner.answer(Err(EngineError::Cancelled)));
            if let Some(why) = &self.fallen {
                let all = self.queue.take_out(|_| true);
                all.iter().for_each(|waiting| waiting.owner.answer(Err(EngineError::Lost(why.clone()))));
                continue;
            }
            let loaded = self.open.as_ref().map(|(files, _)| files.clone());
            let call = self.queue.next(loaded.as_ref());
            if !call.is_empty() {
                self.draw(call);
            }
        }
    }

    /// Takes in what is asked, waiting where nothing is. False when nobody can ask any more.
    fn take_in(&mut self) -> bool {
        if self.queue.is_empty() {
            // Looked at also while no model is open here: others may have opened one to plan with.
            match self.asks.recv_timeout(self.idle) {
                Ok(ask) => self.push(ask),
                Err(RecvTimeoutError::Timeout) => {
                    if self.open.take().is_some() {
                        tracing::info!("nobody drew for {} s; the model is closed", self.idle.as_secs());
                    }
                    self.painter.rest(self.idle);
                }
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        while let Ok(ask) = self.asks.try_recv() {
            self.push(ask);
        }
        true
    }

    fn push(&mut self, ask: Ask) {
        let Ask { asked, lane, per_call, cancel, reply } = ask;
        self.queue.push(Waiting { asked, lane, per_call, owner: Owner { cancel, reply, losses: 0 } });
    }

    /// Draws one call, in parts where memory ran out after all, and then by smaller plans.
    fn draw(&mut self, mut call: Vec<Waiting<Owner>>) {
        let mut most = u64::MAX;
        loop {
            let plan = match self.ready(&call, most) {
                Ok(plan) => {
                    // Told to whoever plans only where there is a smaller plan: below the last rung nothing is left to plan
                    // with, and every job would fail for as long as the refusal is believed.
                    if let (true, Some(first)) = (most < u64::MAX, call.first()) {
                        self.ceiling.met(&first.asked, most, Instant::now());
                    }
                    plan
                }
                Err(EngineError::Lost(why)) => return self.lost(call, &why),
                Err(EngineError::Unopened(why)) => return self.given_up(call, why),
                // Waited for already, and with one picture at a time: fewer of them would wait as long for nothing.
                Err(err) => return call.iter().for_each(|waiting| waiting.owner.answer(Err(err.clone()))),
            };
            match self.attempt(&call, &plan) {
                Ok(pictures) => {
                    call.first().inspect(|first| self.ceiling.gave(&first.asked, plan.needed_bytes));
                    for (waiting, picture) in call.iter().zip(pictures) {
                        let cancelled = waiting.owner.cancel.is_raised();
                        waiting.owner.answer(if cancelled { Err(EngineError::Cancelled) } else { Ok(picture) });
                    }
                    return;
                }
                // What was counted was not all that was taken; less of it may fit. Each half is smaller, so this ends.
                Err(EngineError::OutOfMemory { needed_bytes, .. }) if call.len() > 1 => {
                    tracing::warn!(
                        pictures = call.len(),
                        needed_bytes,
                        "memory ran out; half as many are drawn at once"
                    );
                    let rest = call.split_off(call.len() / 2);
                    self.draw(call);
                    // The first half may have been the end of the device.
                    return match self.fallen.clone() {
                        Some(why) => {
                            rest.iter().for_each(|waiting| waiting.owner.answer(Err(EngineError::Lost(why.clone()))))
                        }
                        None => self.draw(rest),
                    };
                }
                // Each plan takes less than the one before, so this ends too: with the last rung, below which none fits.
                Err(EngineError::OutOfMemory { .. }) => {
                    tracing::warn!(%plan, "memory ran out after all; it is drawn with less");
                    most = plan.needed_bytes.saturating_sub(1);
                }
                Err(EngineError::Lost(why)) => return self.lost(call, &why),
                Err(err) => return call.iter().for_each(|waiting| waiting.owner.answer(Err(err.clone()))),
            }
        }
    }

    /// The device is lost with all that lay on it: it is begun anew, or given up. Nobody has been answered yet, so each of
    /// the call's pictures is drawn again, alone, unless it was there too often when this happened.
    fn lost(&mut self, call: Vec<Waiting<Owner>>, why: &str) {
        // Closing what is dead may fail too.
        let open = self.open.take();
        let _ = contained(|| {
            drop(open);
            Ok(())
        });
        let again = self.losses.again(Instant::now());
        let painter = &self.painter;
        let begun = if again { contained(|| painter.restart()) } else { Ok(()) };
        match begun {
            // Memory that others took meanwhile comes back; whoever draws next opens it, or hears how much is lacking.
            Ok(()) | Err(EngineError::OutOfMemory { .. }) if again => {}
            Ok(()) => {
                let count = self.losses.count();
                return self.given_up(call, format!("draw: the device was lost {count} times, at last: {why}"));
            }
            Err(err) => {
                let why = format!("draw: the device was lost ({why}) and cannot be had again: {err}");
                return self.given_up(call, why);
            }
        }
        tracing::warn!(waiting = call.len() + self.queue.len(), "the device was lost and is begun anew: {why}");
        for mut waiting in call.into_iter().rev() {
            waiting.owner.losses += 1;
            if waiting.owner.losses >= PICTURE_LOSSES_MAX {
                let why =
                    format!("draw: the device was lost {} times while this was drawn: {why}", waiting.owner.losses);
                waiting.owner.answer(Err(EngineError::Failed(why)));
            } else {
                waiting.per_call = 1;
                self.queue.push_front(waiting);
            }
        }
    }

    /// Nothing is drawn on the device any more: the call's pictures may be planned anew, as may whoever waits or asks later.
    /// Also those that it broke on twice: a device that breaks on everything says nothing of a picture.
    fn given_up(&mut self, call: Vec<Waiting<Owner>>, why: String) {
        tracing::error!("failed to {why}");
        (self.fell)(&why);
        call.iter().for_each(|waiting| waiting.owner.answer(Err(EngineError::Lost(why.clone()))));
        self.fallen = Some(why);
    }

    /// Opens the model of a call and fits the call into memory.
    fn ready(&mut self, call: &[Waiting<Owner>], most: u64) -> Result<Plan, EngineError> {
        let Some(first) = call.first() else { return Err(EngineError::Internal("a call has no picture".to_owned())) };
        let files = first.asked.files.clone();
        if self.open.as_ref().is_none_or(|(open, _)| *open != files) {
            // Closed first: there may be no room for two.
            self.open = None;
            let painter = &self.painter;
            let model = contained(|| painter.open(&files))?;
            self.open = Some((files, model));
        }
        self.fit(call, most)
    }

    fn attempt(&mut self, call: &[Waiting<Owner>], plan: &Plan) -> Result<Vec<Painted>, EngineError> {
        tracing::info!(pictures = call.len(), %plan, "draws");
        let (painter, Some((_, model))) = (&self.painter, &mut self.open) else { return Ok(Vec::new()) };
        let asked: Vec<&Asked> = call.iter().map(|waiting| &waiting.asked).collect();
        let drawn = contained(|| painter.draw(model, &asked, plan, &Call(call)));
        if matches!(drawn, Err(EngineError::Internal(_))) {
            // Whoever panicked may have left it half changed.
            self.open = None;
        }
        let pictures = drawn?;
        if pictures.len() != call.len() {
            let (drawn, asked) = (pictures.len(), call.len());
            return Err(EngineError::Internal(format!("{drawn} pictures came of a call for {asked}")));
        }
        Ok(pictures)
    }

    /// Fits a call into memory, waiting a while for others to give some back. Where the driver has said no to more than
    /// `most` already, there is nothing to wait for.
    fn fit(&mut self, call: &[Waiting<Owner>], most: u64) -> Result<Plan, EngineError> {
        let began = Instant::now();
        loop {
            let (painter, Some(first), Some((_, model))) = (&self.painter, call.first(), &mut self.open) else {
                return Err(EngineError::Internal("a call has no picture or no model".to_owned()));
            };
            let fitted = contained(|| painter.fit(model, &first.asked, call.len(), most));
            match fitted {
                Err(EngineError::OutOfMemory { .. }) if most == u64::MAX && began.elapsed() < MEMORY_WAIT => {}
                fitted => return fitted,
            }
            if Call(call).is_cancelled() {
                return Err(EngineError::Cancelled);
            }
            // Nothing is missed by whoever asks meanwhile.
            match self.asks.recv_timeout(MEMORY_LOOK) {
                Ok(ask) => self.push(ask),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return fitted,
            }
        }
    }
}

/// A panic as an error.
fn contained<T>(body: impl FnOnce() -> Result<T, EngineError>) -> Result<T, EngineError> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let said = said.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        Err(EngineError::Internal(said))
    })
}

/// A call as the painter sees it.
struct Call<'a>(&'a [Waiting<Owner>]);

impl Watch for Call<'_> {
    fn step(&self, done: u32, of: u32) {
        for waiting in self.0 {
            // A listener that is behind hears of the next step; the end is never left out.
            let _ = waiting.owner.reply.try_send(Reply::Step(done, of));
        }
    }

    fn is_cancelled(&self) -> bool {
        self.0.iter().all(|waiting| waiting.owner.cancel.is_raised())
    }
}
