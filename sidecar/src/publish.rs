//! Tells listeners what becomes of jobs. Nobody waits for a listener.
//!
//! Two ways: every change of every job, where a listener that lags is told that it missed some;
//! and one job followed by whoever waits for it, who sees where it stands and may skip what came between.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;
use thumbforge_core::id::JobId;
use thumbforge_core::job::{Ending, JobState};
use thumbforge_core::limits;
use tokio::sync::{broadcast, watch};

/// A change in a job's life, as it goes over the wire.
#[derive(Debug, Clone, Serialize)]
pub struct JobEvent {
    /// The job.
    pub job: JobId,
    /// Its new state.
    pub state: &'static str,
    /// Key of its render, when done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realised_key: Option<String>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<thumbforge_core::error::Failure>,
}

/// Where a job stands, and how far its drawing has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Where.
    pub state: JobState,
    /// Steps of the drawing that are done.
    pub step: u32,
    /// Steps that it has; 0 where the engine does not say.
    pub steps: u32,
}

impl Progress {
    fn of(state: JobState) -> Self {
        Self { state, step: 0, steps: 0 }
    }
}

/// The sending end.
#[derive(Clone)]
pub struct Publisher {
    sender: broadcast::Sender<JobEvent>,
    /// Jobs that somebody follows, and no others: an entry goes with its last follower.
    followed: Arc<Mutex<HashMap<JobId, watch::Sender<Progress>>>>,
}

impl Default for Publisher {
    fn default() -> Self {
        Self { sender: broadcast::channel(limits::LISTENER_LAG_MAX).0, followed: Arc::default() }
    }
}

impl Publisher {
    /// A new listener, from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<JobEvent> {
        self.sender.subscribe()
    }

    /// Follows one job. Until it is heard of again it is held to be queued.
    pub fn follow(&self, job: JobId) -> Follow {
        let mut followed = self.followed.lock();
        let sender = followed.entry(job).or_insert_with(|| watch::Sender::new(Progress::of(JobState::Queued)));
        Follow { job, receiver: sender.subscribe(), publisher: self.clone() }
    }

    /// A job reached a state that is not its last.
    pub fn state(&self, job: JobId, state: JobState) {
        self.tell(job, Progress::of(state));
        // An error only says that nobody listens.
        let _ = self.sender.send(JobEvent { job, state: state.word(), realised_key: None, error: None });
    }

    /// A drawing has come further; those alone who follow the job hear of it.
    pub fn step(&self, job: JobId, step: u32, steps: u32) {
        self.tell(job, Progress { state: JobState::Running, step, steps });
    }

    /// A job ended.
    pub fn ended(&self, job: JobId, ending: &Ending) {
        let (state, realised_key, error) = match ending {
            Ending::Done { render, .. } => (JobState::Done, Some(render.realised_key.to_string()), None),
            Ending::Failed(failure) => (JobState::Failed, None, Some(failure.clone())),
            Ending::Cancelled => (JobState::Cancelled, None, None),
        };
        self.tell(job, Progress::of(state));
        let _ = self.sender.send(JobEvent { job, state: state.word(), realised_key, error });
    }

    fn tell(&self, job: JobId, progress: Progress) {
        if let Some(sender) = self.followed.lock().get(&job) {
            sender.send_replace(progress);
        }
    }
}

/// One job, followed until this is dropped.
pub struct Follow {
    job: JobId,
    receiver: watch::Receiver<Progress>,
    publisher: Publisher,
}

impl Follow {
    /// Says where the job stood before anybody followed it, unless it has been heard of since.
    pub(crate) fn from(self, state: JobState) -> Self {
        if let Some(sender) = self.publisher.followed.lock().get(&self.job) {
            sender.send_if_modified(|progress| {
                let unheard = progress.state == JobState::Queued && state != JobState::Queued;
                if unheard {
                    *progress = Progress::of(state);
                }
                unheard
            });
        }
        self
    }

    /// Where the job stands.
    pub fn now(&self) -> Progress {
        *self.receiver.borrow()
    }

    /// Waits until it stands elsewhere, or has come further.
    pub async fn next(&mut self) -> Progress {
        // The sender stays while somebody follows.
        let _ = self.receiver.changed().await;
        *self.receiver.borrow_and_update()
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        let mut followed = self.publisher.followed.lock();
        if followed.get(&self.job).is_some_and(|sender| sender.receiver_count() <= 1) {
            followed.remove(&self.job);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_follower_sees_the_last_of_what_it_missed_and_leaves_nothing_behind() {
        let publisher = Publisher::default();
        let job = JobId(7);
        publisher.state(job, JobState::Planning);
        let (mut first, second) = (publisher.follow(job), publisher.follow(job));
        assert_eq!(first.now(), Progress::of(JobState::Queued), "nobody followed it then");
        publisher.state(job, JobState::Running);
        publisher.step(job, 3, 28);
        publisher.step(JobId(8), 1, 2);
        assert_eq!(first.next().await, Progress { state: JobState::Running, step: 3, steps: 28 });
        drop(second);
        assert!(futures_util::poll!(Box::pin(first.next())).is_pending(), "nothing has changed");
        publisher.ended(job, &Ending::Cancelled);
        assert_eq!(first.next().await.state, JobState::Cancelled);
        drop(first);
        assert!(publisher.followed.lock().is_empty());
    }
}
