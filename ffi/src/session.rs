//! One session: the channel's client, and the book of what its owner has submitted and not yet given back.
//!
//! ```text
//! submit ─► open ──(answered, and fetched by poll)──► lent ──► released: forgotten
//!                                                      ▲ │ adopted
//!                                                      └─┘ offered again by poll
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thumbforge_channel::client::{Completion, Progress, Request, Session as Client, SessionState};
use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::job::JobState;

use crate::handle;

/// Most jobs that a session knows, open and lent together: an owner that never releases is told so before memory is.
pub(crate) const JOBS_MAX: usize = 16 * 1024;

/// A client and its book.
pub(crate) struct Session {
    client: Client,
    // Held while a job is submitted and while completions are fetched, so that no answer comes before its entry stands.
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    jobs: BTreeMap<u32, Job>,
    /// Lent to an earlier owner, and to be offered to this one.
    offers: VecDeque<u32>,
}

/// What is known of a job.
struct Job {
    tag: u64,
    names: Arc<Names>,
    answer: Option<Arc<Completion>>,
}

/// What a request was for.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// The asset in the manifest.
    pub(crate) asset: String,
    /// BCP 47.
    pub(crate) locale: String,
}

/// A completion on its way to the caller.
pub(crate) struct Lent {
    /// Number of the job.
    pub(crate) number: u32,
    /// The request's.
    pub(crate) tag: u64,
    /// Whether an earlier owner had it.
    pub(crate) again: bool,
    /// How it ended.
    pub(crate) answer: Arc<Completion>,
}

/// Where a job stands.
pub(crate) enum Standing {
    /// It has no answer that anybody fetched.
    Open(Progress),
    /// It was polled.
    Lent(Arc<Completion>),
}

impl Session {
    /// A session of its own.
    pub(crate) fn new(client: Client) -> Self {
        Self { client, book: Mutex::default() }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // Every change of the book is one insertion or removal: what a panic left is whole.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Submits; the number of the new job.
    pub(crate) fn submit(&self, request: &Request<'_>) -> Result<u32, Failure> {
        let names = Names { asset: request.asset.to_owned(), locale: request.locale.to_owned() };
        self.enter(request.tag, names, |client| client.submit(request))
    }

    /// Tells of a file; the number of what completes like a job.
    pub(crate) fn provide(&self, path: &Path, tag: u64) -> Result<u32, Failure> {
        self.enter(tag, Names::default(), |client| client.provide(path))
    }

    /// Asks for a command; the number of what completes like a job.
    pub(crate) fn command(&self, json: &[u8], tag: u64) -> Result<u32, Failure> {
        self.enter(tag, Names::default(), |client| client.command(json, tag))
    }

    fn enter(
        &self,
        tag: u64,
        names: Names,
        send: impl FnOnce(&Client) -> Result<u64, Failure>,
    ) -> Result<u32, Failure> {
        let mut book = self.book();
        if book.jobs.len() >= JOBS_MAX {
            let lent = book.jobs.values().filter(|job| job.answer.is_some()).count();
            return Err(Failure::new(
                ErrorCode::QueueFull,
                format!(
                    "failed to submit: {JOBS_MAX} jobs of this session are open or lent; {lent} of them wait for tf_release"
                ),
            ));
        }
        let number = send(&self.client)?;
        let Ok(number) = u32::try_from(number) else {
            return Err(Failure::new(
                ErrorCode::Internal,
                "failed to submit: a session has four billion jobs; open another",
            ));
        };
        book.jobs.insert(number, Job { tag, names: Arc::new(names), answer: None });
        Ok(number)
    }

    /// The next completion.
    pub(crate) fn poll(&self) -> Option<Lent> {
        let mut book = self.book();
        while let Some(number) = book.offers.pop_front() {
            if let Some(Job { tag, answer: Some(answer), .. }) = book.jobs.get(&number) {
                return Some(Lent { number, tag: *tag, again: true, answer: answer.clone() });
            }
        }
        loop {
            let completion = self.client.poll()?;
            // Every number comes from `enter`; an answer to none would be the channel's fault, and nobody could use it.
            let Ok(number) = u32::try_from(completion.number) else { continue };
            let Some(job) = book.jobs.get_mut(&number) else { continue };
            let answer = Arc::new(completion);
            job.answer = Some(answer.clone());
            return Some(Lent { number, tag: job.tag, again: false, answer });
        }
    }

    /// Waits for something to poll; `false` when the time passed.
    pub(crate) fn wait(&self, timeout: Duration) -> bool {
        !self.book().offers.is_empty() || self.client.wait(timeout)
    }

    /// Where a job stands.
    pub(crate) fn standing(&self, number: u32) -> Result<Standing, Failure> {
        let answer = self.book().jobs.get(&number).ok_or_else(handle::stale)?.answer.clone();
        Ok(match answer {
            Some(answer) => Standing::Lent(answer),
            None => Standing::Open(self.progress(number)),
        })
    }

    /// How far an open job is; one that was answered and not fetched yet is as good as verified.
    fn progress(&self, number: u32) -> Progress {
        let answered = Progress { state: JobState::Verifying, step: 0, steps: 0 };
        self.client.progress(u64::from(number)).unwrap_or(answered)
    }

    /// What a job was for.
    pub(crate) fn names(&self, number: u32) -> Result<Arc<Names>, Failure> {
        Ok(self.book().jobs.get(&number).ok_or_else(handle::stale)?.names.clone())
    }

    /// The completion of a job that was polled.
    pub(crate) fn lent(&self, number: u32) -> Result<Arc<Completion>, Failure> {
        match self.standing(number)? {
            Standing::Lent(answer) => Ok(answer),
            Standing::Open(_) => {
                Err(Failure::new(ErrorCode::NotFound, "failed to look at this job's end: it was not polled yet"))
            }
        }
    }

    /// Asks to cancel; what has ended stays ended.
    pub(crate) fn cancel(&self, number: u32) -> Result<(), Failure> {
        if let Standing::Lent(_) = self.standing(number)? {
            return Ok(());
        }
        match self.client.cancel(u64::from(number)) {
            // It was answered meanwhile, and its completion waits to be polled.
            Err(failure) if failure.code == ErrorCode::NotFound => Ok(()),
            answer => answer,
        }
    }

    /// Forgets a job that was polled.
    pub(crate) fn release(&self, number: u32) -> Result<(), Failure> {
        let job = {
            let mut book = self.book();
            match book.jobs.get(&number) {
                None => return Err(handle::stale()),
                Some(Job { answer: None, .. }) => {
                    return Err(Failure::new(
                        ErrorCode::InvalidRequest,
                        "failed to release a job that was not polled: cancel it, poll, then release",
                    ));
                }
                Some(_) => book.jobs.remove(&number),
            }
        };
        // Outside the lock: the last to hold a texture gives its slot back.
        drop(job);
        Ok(())
    }

    /// Numbers, tags and standings of all jobs, oldest first; `see` is called for each.
    pub(crate) fn jobs(&self, mut see: impl FnMut(u32, u64, Standing)) {
        let book = self.book();
        for (number, job) in &book.jobs {
            let standing = match &job.answer {
                Some(answer) => Standing::Lent(answer.clone()),
                None => Standing::Open(self.progress(*number)),
            };
            see(*number, job.tag, standing);
        }
    }

    /// How the client stands, and how many completions are lent.
    pub(crate) fn state(&self) -> (SessionState, usize) {
        let lent = self.book().jobs.values().filter(|job| job.answer.is_some()).count();
        (self.client.state(), lent)
    }

    /// Offers everything that is lent once more, to the next owner.
    pub(crate) fn offer_again(&self) {
        let mut book = self.book();
        book.offers = book.jobs.iter().filter(|(_, job)| job.answer.is_some()).map(|(number, _)| *number).collect();
    }

    /// Ends it: textures are gone and the client's thread is joined.
    pub(crate) fn close(self) {
        let Self { client, book } = self;
        drop(book);
        client.close();
    }
}
