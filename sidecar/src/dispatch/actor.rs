//! The task around [`State`]: it waits for an event, lets the state decide, and performs what was decided.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use thumbforge_core::id::{JobId, RealisedKey};
use thumbforge_core::job::{Ending, JobState, Route};
use tokio::sync::{mpsc, oneshot};

use super::{Effect, Event, State};
use crate::clock::Clock;
use crate::journal::{Applied, Journal, Record, ops};

/// Somebody who wants to hear how a job ends.
pub type Waiter = oneshot::Sender<Ending>;

/// What the dispatcher can ask of the rest of the sidecar. Each call returns at once and answers with an [`Event`].
pub trait Acts: Send + 'static {
    /// Asks router and store; answers [`Event::Planned`].
    fn plan(&mut self, job: JobId);
    /// Draws, from the art's drawing on or over art that is there (`art` is absent); answers [`Event::Drawn`] or
    /// [`Event::Refused`].
    fn draw(&mut self, job: JobId, attempt: u32, route: Box<Route>, art: Option<RealisedKey>);
    /// Asks a provider for a picture, or what became of the call that it knows as `known_as`; answers [`Event::Called`].
    fn call(&mut self, job: JobId, attempt: u32, route: Box<Route>, art: RealisedKey, known_as: Option<String>);
    /// Stops a drawing or a call, which still answers with its event.
    fn stop(&mut self, job: JobId);
    /// Hears where a job stands.
    fn moved(&mut self, job: JobId, state: JobState);
    /// Hears every ending, for listeners and metrics.
    fn ended(&mut self, job: JobId, ending: &Ending);
    /// Hears how many jobs are open.
    fn census(&mut self, state: &State);
}

/// What reaches the dispatcher: events, and people who wait.
pub enum Message {
    /// Something happened.
    Event(Event),
    /// Somebody waits for a job; answered at once with `None`-like drop if it is not open.
    Wait(JobId, Waiter),
    /// Somebody asks whether a job waits for a person's decision.
    IsHeld(JobId, oneshot::Sender<bool>),
}

/// The address of the running dispatcher.
#[derive(Clone)]
pub struct Dispatcher {
    mailbox: mpsc::Sender<Message>,
}

impl Dispatcher {
    /// Starts the task. `open` are the jobs that the journal still holds.
    pub fn start<A: Acts>(
        slots: usize,
        open: Vec<ops::Open>,
        journal: Journal,
        clock: Clock,
        mailbox: (mpsc::Sender<Message>, mpsc::Receiver<Message>),
        acts: A,
        drained: oneshot::Sender<()>,
    ) -> Self {
        let (sender, receiver) = mailbox;
        let actor = Actor {
            state: State::new(slots),
            waiters: HashMap::new(),
            journal,
            clock,
            events: sender.clone(),
            acts,
            drained: Some(drained),
        };
        tokio::spawn(actor.run(open, receiver));
        Self { mailbox: sender }
    }

    /// Tells the dispatcher; waits while its mailbox is full.
    pub async fn tell(&self, event: Event) {
        // A closed mailbox means that the process ends; there is nobody left to tell.
        let _ = self.mailbox.send(Message::Event(event)).await;
    }

    /// Tells the dispatcher from a thread that is not a task.
    pub fn tell_blocking(&self, event: Event) {
        let _ = self.mailbox.blocking_send(Message::Event(event));
    }

    /// Registers a waiter; must come before the event that could end the job.
    pub async fn wait(&self, job: JobId, waiter: Waiter) {
        let _ = self.mailbox.send(Message::Wait(job, waiter)).await;
    }

    /// Whether a job waits for somebody who decides about a call of which nobody knows what became.
    pub async fn is_held(&self, job: JobId) -> bool {
        let (sender, answer) = oneshot::channel();
        let _ = self.mailbox.send(Message::IsHeld(job, sender)).await;
        answer.await.unwrap_or(false)
    }

    /// An address for a mailbox whose dispatcher is about to start.
    pub fn address(mailbox: mpsc::Sender<Message>) -> Self {
        Self { mailbox }
    }
}

struct Actor<A> {
    state: State,
    waiters: HashMap<JobId, Vec<Waiter>>,
    journal: Journal,
    clock: Clock,
    events: mpsc::Sender<Message>,
    acts: A,
    drained: Option<oneshot::Sender<()>>,
}

impl<A: Acts> Actor<A> {
    async fn run(mut self, open: Vec<ops::Open>, mut receiver: mpsc::Receiver<Message>) {
        for open in open {
            self.decide(Event::Accepted(open));
        }
        while let Some(message) = self.next(&mut receiver).await {
            match message {
                Message::Event(Event::Accepted(open)) if open.held.is_some() => self.take_up(open),
                Message::Event(event) => self.decide(event),
                Message::Wait(job, waiter) => self.wait(job, waiter),
                Message::IsHeld(job, asker) => drop(asker.send(self.state.is_held(job))),
            }
        }
    }

    /// A job with a call that had no end when somebody looked. It may have ended since, and then it must not be taken up
    /// once more; nobody but this task ends jobs, so that what the journal says now is true.
    fn take_up(&mut self, open: ops::Open) {
        let job = open.id;
        if self.state.has(job) {
            return;
        }
        let read = self.journal.read(|connection| Ok((ops::open(connection, job)?, ops::ending(connection, job)?)));
        match read {
            Ok((Some(open), _)) => self.decide(Event::Accepted(open)),
            Ok((None, ending)) => {
                let waiters = self.waiters.remove(&job).unwrap_or_default();
                for (waiter, ending) in waiters.into_iter().zip(std::iter::repeat(ending)) {
                    drop(ending.map(|ending| waiter.send(ending)));
                }
            }
            Err(_) => self.decide(Event::Accepted(open)),
        }
    }

    /// Whoever waits for a job that waits for a person is told so at once.
    fn wait(&mut self, job: JobId, waiter: Waiter) {
        match self.state.held(job) {
            Some(failure) => drop(waiter.send(Ending::Failed(failure))),
            None => self.waiters.entry(job).or_default().push(waiter),
        }
    }

    /// The only place that waits.
    async fn next(&mut self, receiver: &mut mpsc::Receiver<Message>) -> Option<Message> {
        let Some(deadline_ms) = self.state.next_deadline_ms() else { return receiver.recv().await };
        let left = Duration::from_millis(deadline_ms.saturating_sub(self.clock.now_ms()));
        tokio::select! {
            message = receiver.recv() => message,
            () = tokio::time::sleep(left) => Some(Message::Event(Event::Tick)),
        }
    }

    fn decide(&mut self, event: Event) {
        let now_ms = self.clock.now_ms();
        let effects = self.state.apply(event, now_ms);
        // Before anybody is told of an ending, so that whoever asks again finds the place free.
        self.acts.census(&self.state);
        for effect in effects {
            self.perform(effect, now_ms);
        }
    }

    /// The only place that acts.
    fn perform(&mut self, effect: Effect, now_ms: u64) {
        match effect {
            Effect::Plan(job) => self.acts.plan(job),
            Effect::Draw { job, attempt, route, art } => self.acts.draw(job, attempt, route, art),
            Effect::Stop(job) => self.acts.stop(job),
            Effect::Call { job, attempt, route, art } => self.acts.call(job, attempt, route, art, None),
            Effect::Ask { job, attempt, route, art, id } => self.acts.call(job, attempt, route, art, Some(id)),
            Effect::Moved(job, state) => self.acts.moved(job, state),
            Effect::Tell(job, failure) => {
                for waiter in self.waiters.remove(&job).unwrap_or_default() {
                    let _ = waiter.send(Ending::Failed(failure.clone()));
                }
            }
            Effect::Record(record) => self.record(record, now_ms),
            Effect::Answer(job, ending) => {
                self.acts.ended(job, &ending);
                for waiter in self.waiters.remove(&job).unwrap_or_default() {
                    // Whoever went away finds the job by its number.
                    let _ = waiter.send(ending.clone());
                }
            }
            Effect::Drained => {
                if let Some(drained) = self.drained.take() {
                    let _ = drained.send(());
                }
            }
        }
    }

    fn record(&self, record: Record, now_ms: u64) {
        let shared = Arc::new(record);
        let written = shared.clone();
        let pending = self.journal.write(move |connection| ops::apply(connection, &written, now_ms));
        let events = self.events.clone();
        tokio::spawn(async move {
            let result = pending.durable().await;
            let record = Arc::unwrap_or_clone(shared);
            let event = match result {
                Ok(Applied::Written) => Event::Recorded(record),
                Ok(Applied::Refused { failure, may_fit }) => Event::Overdrawn { record, failure, may_fit },
                Ok(Applied::Owned) => Event::Owned(record),
                Err(err) => Event::Unrecorded(record, err.failure()),
            };
            let _ = events.send(Message::Event(event)).await;
        });
    }
}
