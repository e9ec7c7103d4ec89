//! The model thread: everything that a model computes, computed in one place, one call after another.
//!
//! ```text
//! draw ─► asks ─► queue ─► open (another model) ─► fit (into memory) ─► draw ─► answers
//!                   ▲                                   └─► wait, a while ─┘
//!                   └── nobody asks for a while: the model is closed
//! ```
//! A call's pictures live and die apart: one that is cancelled stops no other, and a panic or a lack of memory ends the
//! call's pictures and nothing else.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use thumbforge_core::job::Lane;

use super::super::{Cancel, EngineError};
use super::asked::{Asked, Files};
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
}

impl<P: Painter> Model<P> {
    pub(super) fn new(painter: P, asks: Receiver<Ask>, idle: Duration) -> Self {
        Self { painter, asks, idle, queue: Queue::new(), open: None }
    }

    /// Draws until nobody can ask any more.
    pub(super) fn run(mut self) {
        while self.take_in() {
            let gone = self.queue.take_out(|waiting| waiting.owner.cancel.is_raised());
            gone.iter().for_each(|waiting| waiting.owner.answer(Err(EngineError::Cancelled)));
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
            let asked = match self.open {
                None => self.asks.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(_) => self.asks.recv_timeout(self.idle),
            };
            match asked {
                Ok(ask) => self.push(ask),
                Err(RecvTimeoutError::Timeout) => {
                    tracing::info!("nobody drew for {} s; the model is closed", self.idle.as_secs());
                    self.open = None;
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
        self.queue.push(Waiting { asked, lane, per_call, owner: Owner { cancel, reply } });
    }

    /// Draws one call, in parts where memory ran out after all.
    fn draw(&mut self, mut call: Vec<Waiting<Owner>>) {
        let drawn = match self.ready(&call) {
            Ok(plan) => self.attempt(&call, &plan),
            // Waited for already, and with one picture at a time: fewer of them would wait as long for nothing.
            Err(err) => return call.iter().for_each(|waiting| waiting.owner.answer(Err(err.clone()))),
        };
        match drawn {
            Ok(pictures) => {
                for (waiting, picture) in call.iter().zip(pictures) {
                    let cancelled = waiting.owner.cancel.is_raised();
                    waiting.owner.answer(if cancelled { Err(EngineError::Cancelled) } else { Ok(picture) });
                }
            }
            // What was counted was not all that was taken; less of it may fit. Each half is smaller, so this ends.
            Err(EngineError::OutOfMemory { needed_bytes, .. }) if call.len() > 1 => {
                tracing::warn!(pictures = call.len(), needed_bytes, "memory ran out; half as many are drawn at once");
                let rest = call.split_off(call.len() / 2);
                self.draw(call);
                self.draw(rest);
            }
            Err(err) => call.iter().for_each(|waiting| waiting.owner.answer(Err(err.clone()))),
        }
    }

    /// Opens the model of a call and fits the call into memory.
    fn ready(&mut self, call: &[Waiting<Owner>]) -> Result<Plan, EngineError> {
        let Some(first) = call.first() else { return Err(EngineError::Internal("a call has no picture".to_owned())) };
        let files = first.asked.files.clone();
        if self.open.as_ref().is_none_or(|(open, _)| *open != files) {
            // Closed first: there may be no room for two.
            self.open = None;
            let painter = &self.painter;
            let model = contained(|| painter.open(&files))?;
            self.open = Some((files, model));
        }
        self.fit(call)
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

    /// Fits a call into memory, waiting a while for others to give some back.
    fn fit(&mut self, call: &[Waiting<Owner>]) -> Result<Plan, EngineError> {
        let began = Instant::now();
        loop {
            let (painter, Some(first), Some((_, model))) = (&self.painter, call.first(), &mut self.open) else {
                return Err(EngineError::Internal("a call has no picture or no model".to_owned()));
            };
            let fitted = contained(|| painter.fit(model, &first.asked, call.len()));
            match fitted {
                Err(EngineError::OutOfMemory { .. }) if began.elapsed() < MEMORY_WAIT => {}
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
