//! The door: what comes in is checked, looked up, journalled and only then acknowledged; each request is counted while it waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::id::{ContentHash, JobId, RealisedKey, RequestKey};
use thumbforge_core::image::Extent;
use thumbforge_core::job::{Ending, JobSpec, JobState, Render};
use thumbforge_core::limits;
use tokio::sync::oneshot;

use crate::dispatch::{Dispatcher, Event, Waiter};
use crate::executor::Tools;
use crate::journal::{Accepted, JobRow, Open, ops};
use crate::metrics::Metrics;
use crate::publish::{Follow, JobEvent, Publisher};
use crate::store::{Pin, Store};
use interest::{Interest, Interests, Wish};

pub mod channel;
pub mod http;

mod interest;
pub(crate) mod words;

/// Largest margin that words keep, as in a manifest.
const SAFE_INSET_MAX: f64 = 0.25;

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
    interests: Interests,
    /// Jobs between their check at the door and the dispatcher's mailbox.
    entering: AtomicUsize,
    draining: std::sync::atomic::AtomicBool,
}

/// A request whose job is durable. Whoever drops it waits no longer, and the job goes on.
pub struct Ticket {
    /// The job's number.
    pub id: JobId,
    ending: oneshot::Receiver<Ending>,
    /// `None` when the job had ended before it was asked for again.
    interest: Option<Interest>,
}

impl Ticket {
    /// Waits until the job has ended, durably. It may be dropped and asked again, and answers once.
    pub async fn ending(&mut self) -> Ending {
        (&mut self.ending).await.unwrap_or_else(|_| {
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
                interests: Interests::default(),
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
        let invalid = |what: String| Failure::new(ErrorCode::InvalidRequest, format!("failed to {what}"));
        spec.terms.check().map_err(invalid)?;
        if !spec.terms.rows.is_empty() {
            // Budgets are kept by what pictures are said to cost, and a project must not spend the user's by saying less.
            let market = self.market();
            spec.terms.rows.iter_mut().for_each(|row| market.catalogue.raise(row));
        }
        // A recipe that came whole was made by nobody's constructor.
        let Extent { width, height } = spec.recipe.size;
        Extent::new(width.into(), height.into()).map_err(|err| invalid(err.to_string()))?;
        if let Some(inset) = spec.safe_inset.filter(|inset| !(0.0..=SAFE_INSET_MAX).contains(inset)) {
            return Err(invalid(format!(
                "keep text {inset} from the sides: write a number from 0 to {SAFE_INSET_MAX}"
            )));
        }
        // A client may be named after its project, which may be named by its path.
        let names = [
            ("client", &spec.client, limits::PROJECT_BYTES_MAX),
            ("asset", &spec.asset.name, limits::LAYER_TEXT_BYTES_MAX),
            ("locale", &spec.asset.locale, limits::LAYER_TEXT_BYTES_MAX),
        ];
        for (what, text, max) in names {
            if text.len() > max {
                return Err(invalid(format!(
                    "accept a job: its {what} has {} bytes, at most {max} are read",
                    text.len()
                )));
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
            let Some((render, bytes)) = inner.tools.finished(&spec)? else { return Ok(None) };
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

    /// Accepts a job durably. Asking again for what the same client has open joins it, where it is held to the same.
    ///
    /// # Errors
    /// `invalid_request`, `queue_full`, `shutting_down`, or why the journal cannot write.
    pub async fn submit(&self, spec: JobSpec) -> Result<Ticket, Failure> {
        let _entering = Entering::count(&self.inner.entering);
        self.counted(self.enter(None, spec).await).await
    }

    /// As [`Intake::submit`], under a name that the request keeps: sent again, whenever that is and whatever became of its
    /// job, it is told of that job. It never draws or bills again, even where the job failed.
    ///
    /// # Errors
    /// As [`Intake::submit`]; never for want of room when the request is known.
    pub async fn submit_as(&self, request: RequestKey, spec: JobSpec) -> Result<Ticket, Failure> {
        let _entering = Entering::count(&self.inner.entering);
        let known = self.inner.tools.journal.read(|connection| ops::known(connection, request));
        let entered = match known.map_err(|err| err.failure())? {
            Some(accepted) => self.known(accepted),
            None => self.enter(Some(request), spec).await,
        };
        self.counted(entered).await
    }

    /// The job that a request was accepted as, if it was.
    ///
    /// # Errors
    /// Why the journal cannot be read.
    pub(crate) fn requested(&self, request: RequestKey) -> Result<Option<JobRow>, Failure> {
        let known = self.inner.tools.journal.read(|connection| ops::known(connection, request));
        known.map_err(|err| err.failure())?.map(|accepted| self.job(accepted.job())).transpose()
    }

    /// Takes a request's name from it; on return the next request of this name is a new one. Its job goes on.
    ///
    /// # Errors
    /// Why the journal cannot be read or written.
    pub(crate) async fn forget_request(&self, request: RequestKey) -> Result<(), Failure> {
        let journal = &self.inner.tools.journal;
        let known = journal.read(|connection| ops::known(connection, request)).map_err(|err| err.failure())?;
        if known.is_some() {
            let written = journal.write(move |connection| ops::forget_request(connection, request));
            written.durable().await.map_err(|err| err.failure())?;
        }
        Ok(())
    }

    /// Gives out the ticket of what was let in, and counts what was turned away.
    async fn counted(&self, entered: Result<(Accepted, Option<Interest>), Failure>) -> Result<Ticket, Failure> {
        let inner = &self.inner;
        let (accepted, interest) = entered.inspect_err(|_| inner.metrics.refused())?;
        let id = accepted.job();
        let (waiter, ending) = oneshot::channel();
        match accepted {
            Accepted::Ended(_, ended) => {
                // The receiver is in the ticket below.
                let _ = waiter.send(ended);
            }
            Accepted::Fresh(open) => {
                inner.metrics.accepted();
                inner.publisher.state(id, JobState::Queued);
                self.hand_over(open, waiter).await;
            }
            Accepted::Joined(open) => self.hand_over(open, waiter).await,
        }
        Ok(Ticket { id, ending, interest })
    }

    async fn hand_over(&self, open: Open, waiter: Waiter) {
        self.inner.dispatcher.wait(open.id, waiter).await;
        self.inner.dispatcher.tell(Event::Accepted(open)).await;
    }

    /// A request that was accepted before, in this life of the sidecar or an earlier one.
    fn known(&self, accepted: Accepted) -> Result<(Accepted, Option<Interest>), Failure> {
        let interest = match &accepted {
            Accepted::Ended(..) => None,
            _ => Some(self.inner.interests.enter_bound(self.wish(&self.job(accepted.job())?)?)),
        };
        Ok((accepted, interest))
    }

    /// What makes other requests the same as a job.
    fn wish(&self, job: &JobRow) -> Result<Wish, Failure> {
        let judged_by = self.inner.tools.journal.read(|connection| ops::judged_by_of(connection, job.id));
        Ok(Wish::of_row(job, judged_by.map_err(|err| err.failure())?))
    }

    async fn enter(&self, request: Option<RequestKey>, spec: JobSpec) -> Result<(Accepted, Option<Interest>), Failure> {
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
        let interest = inner.interests.enter(Wish::of_spec(&spec)).await;
        let (planned, json) = (spec.recipe.planned_key(), ops::spec_to_json(&spec));
        let now_ms = inner.tools.clock.now_ms();
        let written = inner
            .tools
            .journal
            .write(move |connection| ops::accept(connection, request, &spec, &json, planned, now_ms));
        let accepted = written.durable().await.map_err(|err| err.failure())?;
        let interest = (!matches!(accepted, Accepted::Ended(..))).then_some(interest);
        Ok((accepted, interest))
    }

    /// Takes one request back. Its job goes on while another request waits for it, and is cancelled otherwise;
    /// one that was done first is told as done.
    ///
    /// # Errors
    /// Why the journal cannot be read.
    pub async fn withdraw(&self, mut ticket: Ticket) -> Result<Ending, Failure> {
        let Some(interest) = ticket.interest.take() else { return Ok(ticket.ending().await) };
        match interest.leave() {
            None => Ok(Ending::Cancelled),
            Some(doom) => {
                self.stop(ticket.id).await?;
                drop(doom);
                Ok(ticket.ending().await)
            }
        }
    }

    /// Puts a file that recipes name (art, a font) into the store; it stays while the pin lives or an open job needs it.
    ///
    /// # Errors
    /// Why the store cannot keep it.
    pub async fn provide(&self, bytes: Vec<u8>) -> Result<(ContentHash, Pin), Failure> {
        let inner = self.inner.clone();
        in_thread(move || inner.tools.store.put(&bytes).map_err(|err| err.failure())).await
    }

    /// Takes a job back, whoever waits for it.
    ///
    /// # Errors
    /// `not_found` when there is no such job.
    pub async fn cancel(&self, id: JobId) -> Result<JobRow, Failure> {
        let job = self.job(id)?;
        if !job.state.is_final() {
            let _doom = self.inner.interests.doom(self.wish(&job)?);
            self.stop(id).await?;
        }
        self.job(id)
    }

    /// Says that a job of which nobody knows what became of its call is to be bought again. It may be billed twice.
    ///
    /// # Errors
    /// `not_found`, or `invalid_request` for a job that waits for no such word.
    pub async fn resend(&self, id: JobId) -> Result<JobRow, Failure> {
        let job = self.job(id)?;
        if !self.is_held(id).await? {
            let state = job.state.word();
            let message =
                format!("failed to send job {id} again: it is {state}, and only an ambiguous one waits for that");
            return Err(Failure::new(ErrorCode::InvalidRequest, message));
        }
        self.inner.dispatcher.tell(Event::Resend(id)).await;
        Ok(JobRow { state: JobState::Queued, ..job })
    }

    /// Ends a job of which nobody knows what became of its call; it is counted as billed.
    ///
    /// # Errors
    /// `not_found`, or `invalid_request` for a job that waits for no such word.
    pub async fn give_up(&self, id: JobId) -> Result<JobRow, Failure> {
        let job = self.job(id)?;
        if !self.is_held(id).await? {
            let state = job.state.word();
            let message =
                format!("failed to give job {id} up: it is {state}, and only an ambiguous one waits for that");
            return Err(Failure::new(ErrorCode::InvalidRequest, message));
        }
        self.cancel(id).await
    }

    /// Whether a job waits for a person's decision about its call. After a failed write the dispatcher may hold such a job
    /// no more, and the journal may say that its call is under way; told of it again, it takes it up.
    async fn is_held(&self, id: JobId) -> Result<bool, Failure> {
        let open = self.inner.tools.journal.read(|connection| ops::open(connection, id));
        match open.map_err(|err| err.failure())? {
            Some(open) if open.held.is_some() => self.inner.dispatcher.tell(Event::Accepted(open)).await,
            _ => return Ok(false),
        }
        Ok(self.inner.dispatcher.is_held(id).await)
    }

    /// Ends a job and waits until it has, durably.
    async fn stop(&self, id: JobId) -> Result<(), Failure> {
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
        Ok(())
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

    /// Follows one job from where it stands.
    ///
    /// # Errors
    /// `not_found` when there is no such job.
    pub fn follow(&self, id: JobId) -> Result<Follow, Failure> {
        let follow = self.inner.publisher.follow(id);
        // Followed before the journal is asked: what comes after its answer is heard.
        let state = self.job(id)?.state;
        Ok(follow.from(state))
    }

    /// Listens to job events from now on.
    pub fn subscribe(&self) -> tokio::sync::broadcast::Receiver<JobEvent> {
        self.inner.publisher.subscribe()
    }

    /// What words are read with, as the settings have it.
    pub fn ocr(&self) -> crate::config::OcrFile {
        self.inner.tools.eyes.settings().clone()
    }

    /// The models there are and the accounts that sell some, as they are now.
    pub fn market(&self) -> Arc<crate::market::Market> {
        self.inner.tools.shelf.now()
    }

    /// The engines of this machine.
    pub fn engines(&self) -> Arc<crate::router::EnginesHere> {
        self.inner.tools.engines.here()
    }

    /// Counters, and the memory of graphics cards, in the Prometheus text format.
    pub fn metrics_text(&self) -> String {
        self.inner.metrics.text(&self.inner.tools.engines.memory())
    }

    /// Counters.
    pub fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// Where finished pictures lie.
    pub(crate) fn store(&self) -> &Store {
        &self.inner.tools.store
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
