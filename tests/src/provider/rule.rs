//! Rules of a script: which requests, what they are answered, and how the answer travels.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::Notify;

use super::record::Recorded;

/// What is done to requests that fit. Without conditions every request fits, as often as it comes.
#[derive(Debug, Clone)]
pub struct Rule {
    method: Option<String>,
    path: Option<String>,
    prompt: Option<String>,
    skip: u64,
    times: Option<u64>,
    lasts: Option<Duration>,
    act: Act,
}

impl Rule {
    /// Does `act` to every request.
    pub fn new(act: Act) -> Self {
        Self { method: None, path: None, prompt: None, skip: 0, times: None, lasts: None, act }
    }

    /// Answers with `reply`; nothing is made.
    pub fn reply(reply: Reply) -> Self {
        Self::new(Act { answer: Answer::Reply(reply), delivery: Delivery::Whole })
    }

    /// Makes and bills what is asked, but the answer travels like this.
    pub fn delivery(delivery: Delivery) -> Self {
        Self::new(Act { answer: Answer::Own, delivery })
    }

    /// Only requests of this method.
    pub fn method(self, method: &str) -> Self {
        Self { method: Some(method.into()), ..self }
    }

    /// Only requests whose path has this in it.
    pub fn path(self, part: &str) -> Self {
        Self { path: Some(part.into()), ..self }
    }

    /// Only requests whose prompt has this in it.
    pub fn prompt(self, part: &str) -> Self {
        Self { prompt: Some(part.into()), ..self }
    }

    /// Only after so many that fit were let through.
    pub fn after(self, requests: u64) -> Self {
        Self { skip: requests, ..self }
    }

    /// Only so many times.
    pub fn times(self, times: u64) -> Self {
        Self { times: Some(times), ..self }
    }

    /// Only so long after it was first used, as a rate limit passes.
    pub fn lasting(self, time: Duration) -> Self {
        Self { lasts: Some(time), ..self }
    }
}

/// A rule, and how often it was used.
pub(super) struct Standing {
    rule: Rule,
    fitted: u64,
    used: u64,
    first: Option<Instant>,
}

impl Standing {
    pub(super) fn new(rule: Rule) -> Self {
        Self { rule, fitted: 0, used: 0, first: None }
    }

    /// What is done to a request, if this rule has something to do to it.
    pub(super) fn judge(&mut self, request: &Recorded, prompt: Option<&str>) -> Option<Act> {
        let rule = &self.rule;
        let method = rule.method.as_ref().is_none_or(|method| *method == request.method);
        let path = rule.path.as_ref().is_none_or(|part| request.path.contains(part.as_str()));
        let words = rule.prompt.as_ref().is_none_or(|part| prompt.is_some_and(|prompt| prompt.contains(part.as_str())));
        if !(method && path && words) {
            return None;
        }
        self.fitted += 1;
        let spent = rule.times.is_some_and(|times| self.used >= times);
        let over = rule.lasts.zip(self.first).is_some_and(|(lasts, first)| first.elapsed() > lasts);
        if self.fitted <= rule.skip || spent || over {
            return None;
        }
        self.used += 1;
        self.first.get_or_insert_with(Instant::now);
        Some(rule.act.clone())
    }
}

/// What is done to a request.
#[derive(Debug, Clone)]
pub struct Act {
    /// What it is answered.
    pub answer: Answer,
    /// How the answer travels.
    pub delivery: Delivery,
}

/// What a request is answered.
#[derive(Debug, Clone)]
pub enum Answer {
    /// What the dialect says, which may make and bill a picture.
    Own,
    /// This; nothing is made.
    Reply(Reply),
    /// The picture is made and billed as ever, but this is said.
    Lost(Reply),
}

/// How an answer travels.
#[derive(Debug, Clone)]
pub enum Delivery {
    /// At once.
    Whole,
    /// Its head and then its body in pieces of so many bytes, one each time that the gate lets one through.
    Pieces(Gate, usize),
    /// Its head says the whole length; after so many bytes of the body the connection closes.
    Cut(usize),
    /// The connection is reset after the request was read; nothing is sent.
    Reset,
    /// The connection is closed after the request was read; nothing is sent.
    Closed,
    /// Nothing is sent until the gate lets one through.
    Held(Gate),
    /// These bytes are sent instead of HTTP, and the connection closes.
    Raw(Bytes),
}

/// Where answers wait until a test lets them through.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<GateState>);

#[derive(Debug, Default)]
struct GateState {
    /// Passages granted and not used yet.
    open: AtomicU64,
    /// Answers that ever came to the gate.
    reached: AtomicU64,
    changed: Notify,
}

impl Gate {
    /// A closed one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets `count` answers or pieces through.
    pub fn open(&self, count: u64) {
        self.0.open.fetch_add(count, Ordering::SeqCst);
        self.0.changed.notify_waiters();
    }

    /// Lets everything through from now on.
    pub fn open_wide(&self) {
        self.open(u64::from(u32::MAX));
    }

    /// How many came to it so far, whether they passed or wait.
    pub fn reached(&self) -> u64 {
        self.0.reached.load(Ordering::SeqCst)
    }

    /// Waits for a passage and uses it.
    pub(super) async fn pass(&self) {
        self.0.reached.fetch_add(1, Ordering::SeqCst);
        loop {
            let changed = self.0.changed.notified();
            tokio::pin!(changed);
            // Registered before the count is read, so that an opening in between is not missed.
            changed.as_mut().enable();
            let taken = self.0.open.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |open| open.checked_sub(1));
            if taken.is_ok() {
                return;
            }
            changed.await;
        }
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// The body, in pieces that lie apart in memory: pictures are shared between answers.
    pub body: Vec<Bytes>,
}

impl Reply {
    /// JSON.
    pub fn json(status: u16, value: &Value) -> Self {
        Self::of(status, "application/json", value.to_string())
    }

    /// Anything.
    pub fn of(status: u16, mime: &str, body: impl Into<Bytes>) -> Self {
        Self { status, headers: vec![("content-type".into(), mime.into())], body: vec![body.into()] }
    }

    /// The same with a header.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Length of the body in bytes.
    pub(super) fn length(&self) -> usize {
        self.body.iter().map(Bytes::len).sum()
    }
}
