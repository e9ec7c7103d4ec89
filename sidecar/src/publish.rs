//! Tells listeners what becomes of jobs. A listener that lags is told that it missed some; nobody waits for it.

use serde::Serialize;
use thumbforge_core::id::JobId;
use thumbforge_core::job::Ending;
use thumbforge_core::limits;
use tokio::sync::broadcast;

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

/// The sending end.
#[derive(Clone)]
pub struct Publisher {
    sender: broadcast::Sender<JobEvent>,
}

impl Default for Publisher {
    fn default() -> Self {
        Self { sender: broadcast::channel(limits::LISTENER_LAG_MAX).0 }
    }
}

impl Publisher {
    /// A new listener, from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<JobEvent> {
        self.sender.subscribe()
    }

    /// A job reached a state that is not its last.
    pub fn state(&self, job: JobId, state: &'static str) {
        // An error only says that nobody listens.
        let _ = self.sender.send(JobEvent { job, state, realised_key: None, error: None });
    }

    /// A job ended.
    pub fn ended(&self, job: JobId, ending: &Ending) {
        let event = match ending {
            Ending::Done { render, .. } => {
                JobEvent { job, state: "done", realised_key: Some(render.realised_key.to_string()), error: None }
            }
            Ending::Failed(failure) => {
                JobEvent { job, state: "failed", realised_key: None, error: Some(failure.clone()) }
            }
            Ending::Cancelled => JobEvent { job, state: "cancelled", realised_key: None, error: None },
        };
        let _ = self.sender.send(event);
    }
}
