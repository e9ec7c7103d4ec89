//! The door: what comes in is checked, looked up, journalled and only then acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::id::{ContentHash, JobId, RealisedKey};
use thumbforge_core::job::{Ending, JobSpec, JobState, Render};
use thumbforge_core::limits;
use tokio::sync::oneshot;

use crate::dispatch::{Dispatcher, Event};
use crate::executor::Tools;
use crate::journal::{Accepted, JobRow, ops};
use crate::metrics::Metrics;
use crate::publish::{JobEvent, Publisher};
use crate::store::Pin;

pub mod http;

/// The sidecar as its clients see it; clones share it.
#[derive(Clone)]
pub struct Intake {
    inner: Arc<Inner>,
}

struct Inner {
    tools: Arc<Tools>,
    dispatcher: Dispatcher,
    publisher: Publisher,
    metrics: Arc<Metrics>,
    open_jobs_max: usize,
    /// Jobs between their check at the door and the dispatcher's mailbox.
    entering: AtomicUsize,
    draining: std::sync::atomic::AtomicBool,
}

/// A job that is durable.
pub struct Ticket {
    /// Its number.
    pub id: JobId,
    ending: oneshot::Receiver<Ending>,
}

impl Ticket {
    /// Waits until the job has ended, durably.
    pub async fn ending(self) -> Ending {
        self.ending.await.unwrap_or_else(|_| {
            Ending::Failed(Failure::new(
                ErrorCode::ShuttingDown,
                "failed to wait for the job: the sidecar is stopping; the job is kept and goes on at the next start",
            ))
        })
    }
}

/// An answer from the store, before any journal was asked.
pub struct Cached {
    /// The render.
    pub render: Render,
    /// Its PNG.
    pub bytes: Vec<u8>,
}

impl Intake {
    pub(crate) fn new(
        tools: Arc<Tools>,
        dispatcher: Dispatcher,
        publisher: Publisher,
        metrics: Arc<Metrics>,
        open_jobs_max: usize,
    ) -> Self {
        let draining = std::sync::atomic::AtomicBool::new(false);
        Self {
            inner: Arc::new(Inner {
                tools,
                dispatcher,
                publisher,
                metrics,
                open_jobs_max,
                entering: AtomicUsize::new(0),
                draining,
            }),
        }
    }

    /// Checks a job and gives it its one spelling.
    ///
    /// # Errors
    /// `invalid_request` with the field and its bound.
    pub fn admit(&self, mut spec: JobSpec) -> Result<JobSpec, Failure> {
        spec.recipe = spec
            .recipe
            .normalised()
            .map_err(|err| Failure::new(ErrorCode::InvalidRequest, format!("failed to {err}")))?;
        for (what, text) in [("client", &spec.client), ("asset", &spec.asset.name), ("locale", &spec.asset.locale)] {
            if text.len() > limits::LAYER_TEXT_BYTES_MAX {
                let message = format!("failed to accept a job: its {what} has {} bytes", text.len());
                return Err(Failure::new(ErrorCode::InvalidRequest, message));
            }
        }
        Ok(spec)
    }

    /// A finished picture for an admitted job, if the store has it. Costs nothing and is journalled after the answer.
    ///
    /// # Errors
    /// Why the job has no route on this machine.
    pub async fn cached(&self, spec: &JobSpec) -> Result<Option<Cached>, Failure> {
        let (inner, spec) = (self.inner.clone(), spec.clone());
        in_thread(move || {
            let planned = spec.recipe.planned_key();
            let route = inner.tools.route(&spec)?;
            let Some((render, bytes)) = inner.tools.store.render(route.realisation.key(planned)) else {
                return Ok(None);
            };
            inner.metrics.cached();
            let (noted, now_ms) = (render.clone(), inner.tools.clock.now_ms());
            let json = ops::spec_to_json(&spec);
            drop(
                inner.tools.journal.write(move |connection| ops::note_cached(connection, &spec, &json, &noted, now_ms)),
            );
            Ok(Some(Cached { render, bytes }))
        })
        .await
    }

    /// Accepts a job durably. Asking again for what the same client has open joins it.
    ///
    /// # Errors
    /// `invalid_request`, `queue_full`, `shutting_down`, or why the journal cannot write.
    pub async fn submit(&self, spec: JobSpec) -> Result<Ticket, Failure> {
        let inner = &self.inner;
        let _entering = Entering::count(&inner.entering);
        let accepted = self.accept(spec).await;
        if accepted.is_err() {
            inner.metrics.refused();
        }
        let accepted = accepted?;
        let (id, fresh) = (accepted.job(), matches!(accepted, Accepted::Fresh(_)));
        let (waiter, ending) = oneshot::channel();
        let open = match accepted {
            Accepted::Fresh(open) | Accepted::Joined(open) => open,
            Accepted::Ended(_, ended) => {
                // The receiver is in the ticket.
                let _ = waiter.send(ended);
                return Ok(Ticket { id, ending });
            }
        };
        inner.dispatcher.wait(id, waiter).await;
        inner.dispatcher.tell(Event::Accepted(open)).await;
        if fresh {
            inner.metrics.accepted();
            inner.publisher.state(id, JobState::Queued.word());
        }
        Ok(Ticket { id, ending })
    }

    async fn accept(&self, spec: JobSpec) -> Result<Accepted, Failure> {
        let inner = &self.inner;
        if inner.draining.load(Ordering::Relaxed) {
            return Err(Failure::new(ErrorCode::ShuttingDown, "failed to accept the job: the sidecar is stopping"));
        }
        let spec = self.admit(spec)?;
        // What is open is what the dispatcher holds, so a place is free as soon as a job has ended, whoever asked for it.
        // Jobs in the dispatcher's mailbox are in neither number; there are never more than the mailbox holds.
        if inner.metrics.open() + inner.entering.load(Ordering::Relaxed) > inner.open_jobs_max {
            return Err(Failure::new(
                ErrorCode::QueueFull,
                format!("failed to accept the job: {} are open already; try again later", inner.open_jobs_max),
            ));
        }
        let (planned, json) = (spec.recipe.planned_key(), ops::spec_to_json(&spec));
        let now_ms = inner.tools.clock.now_ms();
        inner
            .tools
            .journal
            .write(move |connection| ops::accept(connection, None, &spec, &json, planned, now_ms))
            .durable()
            .await
            .map_err(|err| err.failure())
    }

    /// Puts a file that recipes name (art, a font) into the store; it stays while the pin lives or an open job needs it.
    ///
    /// # Errors
    /// Why the store cannot keep it.
    pub async fn provide(&self, bytes: Vec<u8>) -> Result<(ContentHash, Pin), Failure> {
        let inner = self.inner.clone();
        in_thread(move || inner.tools.store.put(&bytes).map_err(|err| err.failure())).await
    }

    /// Takes a job back.
    ///
    /// # Errors
    /// `not_found` when there is no such job.
    pub async fn cancel(&self, id: JobId) -> Result<JobRow, Failure> {
        let job = self.job(id)?;
        if !job.state.is_final() {
            let (waiter, ending) = oneshot::channel();
            self.inner.dispatcher.wait(id, waiter).await;
            // After a failed write the dispatcher may hold an open job no more; told again, it takes it up and can end it.
            let open = self.inner.tools.journal.read(|connection| ops::open(connection, id));
            if let Some(open) = open.map_err(|err| err.failure())? {
                self.inner.dispatcher.tell(Event::Accepted(open)).await;
            }
            self.inner.dispatcher.tell(Event::Cancel(id)).await;
            // A job that ended in between is answered by the journal instead.
            if !self.job(id)?.state.is_final() {
                let _ = ending.await;
            }
        }
        self.job(id)
    }

    /// A job as it stands in the journal.
    ///
    /// # Errors
    /// `not_found`, or why the journal cannot be read.
    pub fn job(&self, id: JobId) -> Result<JobRow, Failure> {
        self.inner
            .tools
            .journal
            .read(|connection| ops::job(connection, id))
            .map_err(|err| err.failure())?
            .ok_or_else(|| Failure::new(ErrorCode::NotFound, format!("failed to find job {id}")))
    }

    /// The newest jobs.
    ///
    /// # Errors
    /// Why the journal cannot be read.
    pub fn jobs(&self, state: Option<JobState>, count: usize) -> Result<Vec<JobRow>, Failure> {
        self.inner.tools.journal.read(|connection| ops::jobs(connection, state, count)).map_err(|err| err.failure())
    }

    /// The finished PNG of a key.
    pub async fn picture(&self, key: RealisedKey) -> Option<(Render, Vec<u8>)> {
        let inner = self.inner.clone();
        in_thread(move || Ok(inner.tools.store.render(key))).await.ok().flatten()
    }

    /// Where an admitted recipe would go.
    ///
    /// # Errors
    /// Why it has no route here.
    pub fn route(&self, spec: &JobSpec) -> Result<thumbforge_core::job::Route, Failure> {
        self.inner.tools.route(spec)
    }

    /// Listens to job events from now on.
    pub fn subscribe(&self) -> tokio::sync::broadcast::Receiver<JobEvent> {
        self.inner.publisher.subscribe()
    }

    /// The models there are.
    pub fn catalogue(&self) -> &thumbforge_core::model::Catalogue {
        &self.inner.tools.catalogue
    }

    /// The engines of this machine.
    pub fn engines(&self) -> &crate::router::EnginesHere {
        self.inner.tools.engines.here()
    }

    /// Counters.
    pub fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// Unix time in milliseconds, as jobs are dated by.
    pub fn now_ms(&self) -> u64 {
        self.inner.tools.clock.now_ms()
    }

    /// Whether every further job is refused because the sidecar is stopping.
    pub fn is_closed(&self) -> bool {
        self.inner.draining.load(Ordering::Relaxed)
    }

    /// Refuses every further job.
    pub(crate) fn close(&self) {
        self.inner.draining.store(true, Ordering::Relaxed);
    }

    pub(crate) async fn drain(&self) {
        self.inner.dispatcher.tell(Event::Drain).await;
    }
}

/// One job on its way in, while this lives.
struct Entering<'a>(&'a AtomicUsize);

impl<'a> Entering<'a> {
    fn count(entering: &'a AtomicUsize) -> Self {
        entering.fetch_add(1, Ordering::Relaxed);
        Self(entering)
    }
}

impl Drop for Entering<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Runs what reads and writes files away from the tasks that answer.
async fn in_thread<T: Send + 'static>(
    body: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(body)
        .await
        .unwrap_or_else(|err| Err(Failure::new(ErrorCode::Internal, format!("failed to finish a request: {err}"))))
}

#[cfg(test)]
mod tests;
