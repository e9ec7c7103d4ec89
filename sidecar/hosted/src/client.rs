//! The one HTTP client: sends what adapters make, waits, polls and fetches; says what is known when something breaks.

use std::future::Future;
use std::pin::Pin;

use crate::adapter::{Adapter, Quote};
use crate::call::{Answer, Call};
use crate::endpoint::Endpoint;
use crate::fault::Fault;

/// Whoever waits for a call.
pub trait Watch: Send + Sync {
    /// The provider has the call under `id`. Durable before the future ends, which is before the first poll; `false` stops.
    fn accepted<'a>(&'a self, id: &'a str) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>>;

    /// Ends when nobody wants the picture any more.
    fn cancelled(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// A client that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// TLS has no way to know whom to trust, or the proxy of the environment cannot be read.
    #[error("set up the connection to providers: {0}")]
    Setup(String),
}

/// The client; cheap to clone, its connections are shared.
#[derive(Clone)]
pub struct Client {}

impl Client {
    /// A client that calls itself `identity`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn new(_identity: &str) -> Result<Self, ClientError> {
        Ok(Self {})
    }

    /// Carries a call out.
    ///
    /// # Errors
    /// Why there is no picture.
    pub async fn perform(
        &self,
        _adapter: &dyn Adapter,
        _endpoint: &Endpoint,
        _call: &Call,
        _watch: &dyn Watch,
    ) -> Result<Answer, Fault> {
        Err(Fault::new(thumbforge_core::job::Outcome::Transient, "reach a provider: this build has no client"))
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
        _id: &str,
        watch: &dyn Watch,
    ) -> Result<Answer, Fault> {
        self.perform(adapter, endpoint, call, watch).await
    }

    /// What a call would cost, where the provider says so; this is never billed.
    ///
    /// # Errors
    /// Why the provider says nothing.
    pub async fn quote(
        &self,
        _adapter: &dyn Adapter,
        _endpoint: &Endpoint,
        _call: &Call,
    ) -> Result<Option<Quote>, Fault> {
        Ok(None)
    }

    /// Gives up a call that the provider has, so far as it lets one. Best effort: nothing follows from it.
    pub async fn give_up(&self, _adapter: &dyn Adapter, _endpoint: &Endpoint, _id: &str) {}
}
