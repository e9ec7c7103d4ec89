//! The one HTTP client: sends what adapters make, waits, polls and fetches; says what is known when something breaks.
//!
//! ```text
//! begin ─► send ─► next ─► Done ──────────────────────────────────► Answer
//!            ▲       ├───► Again (once) ─► send
//!            │       ├───► Fetch ─► fetch each address ───────────► Answer
//!            │       ├───► Poll ─► accepted, wait ─► send ─► next
//!            │       └───► Failed ────────────────────────────────► Fault
//!            └─ what breaks before the body goes out is transient, after that ambiguous
//! ```
//! Nothing that could be billed is sent twice here: not after an error, not after a redirect, and not by the HTTP
//! library, whose own repeats are off. Polls and fetches change nothing and are repeated until the endpoint's time is over.
//!
//! Calls of providers go through the proxy that the environment or the system names, as `HTTPS_PROXY` and `NO_PROXY` say.
//! Servers of one's own (`allow_private`), this machine, and results at addresses that a provider names are reached
//! without one: a proxy would look names up by itself, behind the check of where they lead.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;
use thumbforge_core::job::Outcome;
use tokio::time::Instant;

use crate::adapter::{Adapter, Quote, Reply, Request, Stage, Step};
use crate::call::{Answer, Call, Picture, Usage};
use crate::endpoint::Endpoint;
use crate::fault::{Billed, Fault, Range};
use crate::fetch::{FetchError, Fetcher, Reach};
use crate::sniff;

mod body;
pub(crate) mod tls;
pub(crate) mod wire;

use wire::{Broken, Wire};

/// Shortest wait between two polls: a provider that says "at once" is not asked in a busy loop.
const POLL_AFTER_MIN: Duration = Duration::from_millis(100);
/// Longest wait between two polls: every provider of images is done, or has said so, within it.
const POLL_AFTER_MAX: Duration = Duration::from_secs(60);
/// Longest time for one poll's answer; the next may go through where this one hung.
const POLL_TIMEOUT: Duration = Duration::from_secs(60);
/// First wait after a poll that broke; each that breaks after it doubles it, up to [`POLL_BACKOFF_MAX`].
const POLL_BACKOFF: Duration = Duration::from_secs(1);
/// Longest wait after polls that broke.
const POLL_BACKOFF_MAX: Duration = Duration::from_secs(30);
/// How often a result is fetched: the picture is paid for, and results outlive a second of trouble.
const FETCHES_MAX: u32 = 3;
/// First wait after a fetch that broke; each doubles it.
const FETCH_BACKOFF: Duration = Duration::from_millis(500);
/// Longest time for one result: 96 MiB over a slow line.
const FETCH_TIMEOUT: Duration = Duration::from_secs(120);
/// Most results of one call that are fetched: no provider makes more pictures in one.
const RESULTS_MAX: usize = 16;
/// Longest time for a question beside a call: a price, or giving a call up.
const ASIDE_TIMEOUT: Duration = Duration::from_secs(30);

/// Whoever waits for a call.
pub trait Watch: Send + Sync {
    /// The provider has the call under `id`. Durable before the future ends, which is before the first poll; `false` stops.
    fn accepted<'a>(&'a self, id: &'a str) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>>;

    /// Ends when nobody wants the picture any more.
    fn cancelled(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// A client that cannot be made.
#[derive(Debug, Error)]
pub enum ClientError {
    /// TLS has no way to know whom to trust.
    #[error("set up TLS for calls to providers: {0}")]
    Tls(String),
    /// The HTTP library refuses its settings.
    #[error("set up calls to providers: {0}")]
    Http(String),
}

/// The client; cheap to clone, its connections are shared.
#[derive(Clone)]
pub struct Client(Arc<Parts>);

struct Parts {
    /// For providers: through the proxy of the environment.
    providers: Wire,
    /// For servers of one's own: straight.
    own: Wire,
    public: Fetcher,
    private: Fetcher,
}

/// A bare HTTP client with the same TLS, for whoever speaks to this machine: without that, none can be built at all.
///
/// # Errors
/// [`ClientError`].
pub fn bare() -> Result<reqwest::ClientBuilder, ClientError> {
    Ok(reqwest::Client::builder().tls_backend_preconfigured(tls::config()?))
}

impl Client {
    /// A client that calls itself `identity`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn new(identity: &str) -> Result<Self, ClientError> {
        Self::with_tls(identity, tls::config()?)
    }

    fn with_tls(identity: &str, tls: rustls::ClientConfig) -> Result<Self, ClientError> {
        Ok(Self(Arc::new(Parts {
            providers: Wire::new(identity, tls.clone(), true)?,
            own: Wire::new(identity, tls.clone(), false)?,
            public: Fetcher::new(identity, tls.clone(), Reach::PUBLIC)?,
            private: Fetcher::new(identity, tls, Reach::PRIVATE)?,
        })))
    }

    /// Carries a call out.
    ///
    /// # Errors
    /// Why there is no picture.
    pub async fn perform(
        &self,
        adapter: &dyn Adapter,
        endpoint: &Endpoint,
        call: &Call,
        watch: &dyn Watch,
    ) -> Result<Answer, Fault> {
        let work = Work::new(self, adapter, endpoint, call, watch);
        let known = adapter.known_as(&call.nonce);
        let result = match work.begin().await {
            Ok(step) => work.follow(step, None).await,
            Err(fault) => Err(fault),
        };
        result.map(|answer| Answer { provider_id: nameable(endpoint, answer.provider_id), ..answer }).map_err(|fault| {
            // What went out and has no answer can be asked after by the name that it took along.
            let asked_after = fault.outcome == Outcome::Ambiguous && fault.provider_id.is_none();
            let provider_id = if asked_after { known } else { fault.provider_id.clone() };
            scrub(endpoint, Fault { provider_id, ..fault })
        })
    }

    /// Goes on with a call that the provider accepted as `id` in an earlier life.
    ///
    /// # Errors
    /// Why there is no picture.
    pub async fn resume(
        &self,
        adapter: &dyn Adapter,
        endpoint: &Endpoint,
        call: &Call,
        id: &str,
        watch: &dyn Watch,
    ) -> Result<Answer, Fault> {
        let work = Work::new(self, adapter, endpoint, call, watch);
        let step = Step::Poll { id: id.to_owned(), after: Duration::ZERO };
        let allowed = work.allowed();
        let result = match allowed {
            Ok(()) => work.follow(step, Some(id.to_owned())).await,
            // It was made before, however it may not be asked after now.
            Err(fault) => Err(Fault {
                outcome: Outcome::Ambiguous,
                billed: Billed::Unknown,
                provider_id: Some(id.to_owned()),
                ..fault
            }),
        };
        result
            .map(|answer| Answer { provider_id: nameable(endpoint, answer.provider_id), ..answer })
            .map_err(|fault| scrub(endpoint, fault))
    }

    /// What a call would cost, where the provider says so; this is never billed.
    ///
    /// # Errors
    /// Why the provider says nothing.
    pub async fn quote(&self, adapter: &dyn Adapter, endpoint: &Endpoint, call: &Call) -> Result<Option<Quote>, Fault> {
        let Some(request) = adapter.quote(endpoint, call) else { return Ok(None) };
        let result = match self.aside(adapter, endpoint, &request).await {
            Ok(reply) => adapter.quoted(&reply).map(Some),
            Err(fault) => Err(fault),
        };
        result.map_err(|fault| scrub(endpoint, fault))
    }

    /// Gives up a call that the provider has, so far as it lets one. Best effort: nothing follows from it.
    pub async fn give_up(&self, adapter: &dyn Adapter, endpoint: &Endpoint, id: &str) {
        if let Some(request) = adapter.cancel(endpoint, id) {
            // Whether it worked is seen when the call is asked after.
            let _ = self.aside(adapter, endpoint, &request).await;
        }
    }

    /// A request beside a call, which costs nothing.
    async fn aside(&self, adapter: &dyn Adapter, endpoint: &Endpoint, request: &Request) -> Result<Reply, Fault> {
        allowed(endpoint)?;
        let deadline = Instant::now() + endpoint.timeout.min(ASIDE_TIMEOUT);
        let sent = self.wire(endpoint).send(endpoint, adapter.keys(endpoint), request, deadline).await;
        sent.map_err(|broken| Fault::new(Outcome::Transient, format!("ask {}: {broken}", endpoint.account)))
    }

    fn wire(&self, endpoint: &Endpoint) -> &Wire {
        if endpoint.allow_private || is_here(endpoint) { &self.0.own } else { &self.0.providers }
    }
}

/// Whether the endpoint is this machine.
fn is_here(endpoint: &Endpoint) -> bool {
    match endpoint.base_url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// A key does not cross a network in the clear, except to servers of one's own.
fn allowed(endpoint: &Endpoint) -> Result<(), Fault> {
    let account = &endpoint.account;
    match endpoint.base_url.scheme() {
        "https" => Ok(()),
        "http" if endpoint.allow_private || is_here(endpoint) || endpoint.key.is_none() => Ok(()),
        "http" => Err(Fault::new(
            Outcome::BadRequest,
            format!("reach {account}: its key would cross the network in the clear; write https:// in its base_url"),
        )
        .of(Range::Account)),
        _ => Err(Fault::new(Outcome::BadRequest, format!("reach {account}: its base_url is no address of the web"))
            .of(Range::Account)),
    }
}

/// The fault without the key, wherever a server may have repeated it.
fn scrub(endpoint: &Endpoint, fault: Fault) -> Fault {
    match &endpoint.key {
        Some(key) => Fault {
            message: key.hidden_in(&fault.message),
            provider_id: nameable(endpoint, fault.provider_id),
            ..fault
        },
        None => fault,
    }
}

/// A provider's name for a call, unless a piece of the key is in it: names are written down.
fn nameable(endpoint: &Endpoint, id: Option<String>) -> Option<String> {
    id.filter(|id| endpoint.key.as_ref().is_none_or(|key| key.hidden_in(id) == *id))
}

/// One call on its way.
struct Work<'a> {
    client: &'a Client,
    adapter: &'a dyn Adapter,
    endpoint: &'a Endpoint,
    call: &'a Call,
    watch: &'a dyn Watch,
    deadline: Instant,
}

impl<'a> Work<'a> {
    fn new(
        client: &'a Client,
        adapter: &'a dyn Adapter,
        endpoint: &'a Endpoint,
        call: &'a Call,
        watch: &'a dyn Watch,
    ) -> Self {
        Self { client, adapter, endpoint, call, watch, deadline: Instant::now() + endpoint.timeout }
    }

    fn allowed(&self) -> Result<(), Fault> {
        allowed(self.endpoint)
    }

    fn wire(&self) -> &Wire {
        self.client.wire(self.endpoint)
    }

    /// Asks for the picture, and once more where the first request was refused for a field of it.
    async fn begin(&self) -> Result<Step, Fault> {
        self.allowed()?;
        let mut request = self.adapter.begin(self.endpoint, self.call)?;
        // Asked before anything else, so that what was cancelled in time costs nothing.
        tokio::select! {
            biased;
            () = self.watch.cancelled() => return Err(Fault::new(Outcome::Cancelled, "draw: it was cancelled")),
            () = std::future::ready(()) => {}
        }
        for last in [false, true] {
            let reply = self.ask(&request).await?;
            match self.adapter.next(self.endpoint, self.call, Stage::Begun, &reply) {
                Step::Again(changed) if !last => request = *changed,
                step => return Ok(step),
            }
        }
        Ok(Step::Failed(self.fault(Outcome::BadRequest, "it refuses the request in both forms")))
    }

    /// Sends the request that may be billed.
    async fn ask(&self, request: &Request) -> Result<Reply, Fault> {
        let sent = wire::Sent::default();
        let keys = self.adapter.keys(self.endpoint);
        let reply = tokio::select! {
            biased;
            reply = self.wire().send_watched(self.endpoint, keys, request, self.deadline, &sent) => reply,
            () = self.watch.cancelled() => {
                return Err(if sent.begun() {
                    self.fault(Outcome::Ambiguous, "it was cancelled while the answer was on its way")
                } else {
                    Fault::new(Outcome::Cancelled, "draw: it was cancelled")
                });
            }
        };
        reply.map_err(|broken| match broken {
            Broken::NotSent(_) => self.fault(Outcome::Transient, &broken.to_string()),
            Broken::Refused(_) => self.fault(Outcome::BadRequest, &broken.to_string()),
            Broken::Lost(_) => self.fault(Outcome::Ambiguous, &broken.to_string()),
            Broken::TooLarge(_) => self.fault(Outcome::Empty, &broken.to_string()).billed(Billed::Yes),
        })
    }

    /// Goes from step to step until there is an answer, or it is known why there is none.
    async fn follow(&self, mut step: Step, mut known: Option<String>) -> Result<Answer, Fault> {
        // Bounded by the deadline: every turn but the last waits for at least `POLL_AFTER_MIN`.
        let (mut polls, mut broken) = (0_u32, 0_u32);
        loop {
            let (id, after) = match step {
                Step::Done(answer) => return self.check(answer),
                Step::Fetch { urls, usage, provider_id } => {
                    return self.fetch(urls, usage, provider_id.or(known)).await;
                }
                Step::Failed(fault) => {
                    return Err(Fault { provider_id: fault.provider_id.or(known), ..fault });
                }
                Step::Again(_) => {
                    let fault = self.fault(Outcome::BadRequest, "it refuses the request in both forms");
                    return Err(Fault { provider_id: known, ..fault });
                }
                Step::Poll { id, after } => (id, after),
            };
            if nameable(self.endpoint, Some(id.clone())).is_none() {
                return Err(
                    self.fault(Outcome::Ambiguous, "the provider names the call by the key, which is not written down")
                );
            }
            let lost = |why: &str| Fault { provider_id: Some(id.clone()), ..self.fault(Outcome::Ambiguous, why) };
            if known.as_deref() != Some(&id) {
                if !self.watch.accepted(&id).await {
                    return Err(lost("nobody waits for it any more"));
                }
                known = Some(id.clone());
            }
            // A call of an earlier life may long be done: its first poll does not wait.
            let after = if polls == 0 && after.is_zero() { after } else { after.clamp(POLL_AFTER_MIN, POLL_AFTER_MAX) };
            if Instant::now() + after >= self.deadline {
                return Err(lost("it is not done in the time that the account allows"));
            }
            let Some(request) = self.adapter.poll(self.endpoint, self.call, &id) else {
                return Err(lost("its protocol has no way to ask after a call"));
            };
            let poll = async {
                tokio::time::sleep(after).await;
                let deadline = self.deadline.min(Instant::now() + POLL_TIMEOUT);
                self.wire().send(self.endpoint, self.adapter.keys(self.endpoint), &request, deadline).await
            };
            let reply = tokio::select! {
                biased;
                reply = poll => reply,
                () = self.watch.cancelled() => return Err(lost("it was cancelled while the provider worked on it")),
            };
            let next = match reply {
                Ok(reply) => {
                    let stage = Stage::Polled { id: &id, polls };
                    let next = self.adapter.next(self.endpoint, self.call, stage, &reply);
                    polls = polls.saturating_add(1);
                    judged(next, reply.status)
                }
                Err(Broken::TooLarge(why)) => {
                    let fault = self.fault(Outcome::Empty, &why).billed(Billed::Yes);
                    return Err(Fault { provider_id: known, ..fault });
                }
                Err(Broken::Refused(why)) => return Err(lost(&why)),
                Err(Broken::NotSent(_) | Broken::Lost(_)) => Err(None),
            };
            step = match next {
                Ok(next) => {
                    broken = 0;
                    next
                }
                Err(delay) => {
                    let backoff = POLL_BACKOFF.saturating_mul(1 << broken.min(5)).min(POLL_BACKOFF_MAX);
                    broken += 1;
                    Step::Poll { id, after: delay.unwrap_or(backoff) }
                }
            };
        }
    }

    /// The pictures at the addresses that a provider named.
    async fn fetch(
        &self,
        urls: Vec<(String, Option<u64>)>,
        usage: Usage,
        provider_id: Option<String>,
    ) -> Result<Answer, Fault> {
        let fetcher = if self.endpoint.allow_private { &self.client.0.private } else { &self.client.0.public };
        let mut pictures = Vec::new();
        let mut fault = None;
        for (url, seed) in urls.iter().take(RESULTS_MAX) {
            let fetched = tokio::select! {
                biased;
                fetched = self.fetch_one(fetcher, url) => fetched,
                () = self.watch.cancelled() => {
                    Err(self.fault(Outcome::Ambiguous, "it was cancelled while its picture was fetched"))
                }
            };
            match fetched {
                Ok(bytes) => pictures.push(Picture { bytes, seed: *seed }),
                Err(error) => fault = Some(error),
            }
        }
        match fault {
            // Of several pictures those that came are delivered; all are paid for.
            Some(fault) if pictures.is_empty() => Err(Fault { usage, provider_id, ..fault.billed(Billed::Yes) }),
            _ => self.check(Answer { pictures, usage, provider_id }),
        }
    }

    async fn fetch_one(&self, fetcher: &Fetcher, url: &str) -> Result<Bytes, Fault> {
        let keys = wire::key_headers(&self.adapter.keys(self.endpoint));
        let keys = keys.map_err(|broken| self.fault(Outcome::Ambiguous, &broken.to_string()))?;
        let mut backoff = FETCH_BACKOFF;
        let mut last = String::new();
        for attempt in 0..FETCHES_MAX {
            if attempt > 0 {
                tokio::time::sleep(backoff).await;
                backoff *= 2;
            }
            match fetcher.fetch(url, &self.endpoint.base_url, &keys, Instant::now() + FETCH_TIMEOUT).await {
                Ok(bytes) => return Ok(bytes),
                // Trying again would give the same.
                Err(error @ (FetchError::Unsafe(_) | FetchError::TooLarge(_))) => {
                    return Err(self.fault(Outcome::Empty, &error.to_string()));
                }
                Err(error) => last = error.to_string(),
            }
        }
        Err(self.fault(Outcome::Ambiguous, &format!("{last}, {FETCHES_MAX} times over")))
    }

    /// Takes nothing that is no picture, whatever a server calls it.
    fn check(&self, answer: Answer) -> Result<Answer, Fault> {
        let Answer { pictures, usage, provider_id } = answer;
        let mut why = "it answered without a picture".to_owned();
        let kept = pictures.into_iter().filter(|picture| match sniff::objection(&picture.bytes) {
            Some(objection) => {
                why = format!("it answered with a picture that is not taken, because {objection}");
                false
            }
            None => true,
        });
        let pictures: Vec<Picture> = kept.collect();
        if pictures.is_empty() {
            let fault = self.fault(Outcome::Empty, &why).billed(Billed::Yes);
            return Err(Fault { usage, provider_id, ..fault });
        }
        Ok(Answer { pictures, usage, provider_id })
    }

    fn fault(&self, outcome: Outcome, why: &str) -> Fault {
        let model = if self.call.model.is_empty() { "the server's model" } else { &self.call.model };
        Fault::new(outcome, format!("draw with {model} of {}: {why}", self.endpoint.account))
    }
}

/// What a poll's answer means for the call. A poll that is itself turned away says nothing of the call, which goes on: it
/// is asked again after the delay. Where the account is turned away, the call is out of reach, and may still be billed.
fn judged(next: Step, status: u16) -> Result<Step, Option<Duration>> {
    match next {
        Step::Failed(fault) if status == 408 || status == 429 || status >= 500 => {
            Err(fault.retry_after_ms.map(Duration::from_millis))
        }
        Step::Failed(fault) if matches!(status, 401..=403 | 407) && fault.billed == Billed::No => {
            Ok(Step::Failed(fault.billed(Billed::Unknown)))
        }
        other => Ok(other),
    }
}

#[cfg(test)]
pub(crate) mod tests;
