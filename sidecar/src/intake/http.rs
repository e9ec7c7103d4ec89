//! The HTTP door: the calls that scripts make, OpenAI's image calls, jobs, events, health and counters.
//!
//! ```text
//! socket ─► guard (rate, host, origin, token) ─► endpoint ─► body ─► Intake ─► answer
//! ```
//! Nothing is decided here about jobs: an endpoint reads a request into a `JobSpec`, asks [`Intake`], and words the answer.
//! Whoever disconnects leaves the job running; it is found again by its number or its key.
//! axum and hyper stay in this folder.

use std::future::Future;
use std::hash::{BuildHasher as _, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::middleware;
use axum::routing::{get, post};
use hyper::body::Incoming;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use thumbforge_core::error::{ErrorCode, Failure};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Intake;
pub use activity::Activity;
use rate::Bucket;
use refusal::Refusal;

pub mod activity;

mod asked;
mod attach;
mod body;
mod edit;
mod events;
mod fields;
mod generate;
mod guard;
mod jobs;
mod models;
mod openai;
mod rate;
mod refusal;
mod stream;

/// Connections at once; more wait in the system's queue. Far above any team's editors on one machine,
/// and with [`HEAD_BYTES_MAX`] at most 32 MiB of request heads.
const CONNECTIONS_MAX: usize = 512;
/// Bytes of a request's head, and of what one read of a body takes.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// How long a client may take over a request's head, and how long a kept connection may be idle:
/// the pause between two calls of a script, and well below what a hundred trickling clients need to do harm.
const HEAD_TIME_MAX: Duration = Duration::from_secs(60);
/// Requests that carry pictures and are read at once; more wait. Each holds at most
/// [`thumbforge_core::limits::BODY_BYTES_MAX`] twice, as it came and as pictures, so together 1.5 GiB at the very worst.
const CARRIERS_MAX: usize = 4;
/// How long answers may take once the server is asked to stop; what is not drawn by then is kept for the next start.
const GRACE: Duration = Duration::from_secs(10);
/// How long the last answers, which say that the sidecar stops, may take on their way out.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How long to wait after the system gave no connection (out of file descriptors), so as not to spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the operator decided about the server.
#[derive(Clone)]
pub struct Serving {
    /// Where to listen.
    pub listen: SocketAddr,
    /// What callers from other machines must present as `Authorization: Bearer`; required unless `listen` is loopback.
    pub token: Option<String>,
    /// Host names besides `localhost` and loopback addresses that this machine answers to.
    pub allowed_hosts: Vec<String>,
    /// Whether built-in art may stand in for models that are not here, where the request does not say.
    pub placeholder: bool,
}

/// A port that is ours, before anything is answered on it.
pub struct Bound {
    listener: TcpListener,
    activity: Activity,
}

impl Bound {
    /// The address, with the port that the system chose if none was named.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// Counts what is being answered; stays valid while [`serve`] runs and after.
    pub fn activity(&self) -> Activity {
        self.activity.clone()
    }
}

/// Takes the port.
///
/// # Errors
/// `port_taken`, or `invalid_request` for an address that this machine does not have or may not use.
pub async fn bind(listen: SocketAddr) -> Result<Bound, Failure> {
    use std::io::ErrorKind;
    let listener = TcpListener::bind(listen).await.map_err(|err| {
        let (code, mend) = match err.kind() {
            ErrorKind::AddrInUse => (
                ErrorCode::PortTaken,
                "another program has this port, perhaps a sidecar that runs already; \
                 stop that one, or choose another port with --port (0 takes any free one)"
                    .to_owned(),
            ),
            ErrorKind::PermissionDenied => (
                ErrorCode::PortTaken,
                "the system reserves this port; choose another one above 1023 with --port".to_owned(),
            ),
            ErrorKind::AddrNotAvailable => (ErrorCode::InvalidRequest, "this machine has no such address".to_owned()),
            _ => (ErrorCode::Internal, err.to_string()),
        };
        Failure::new(code, format!("failed to listen on {listen}: {mend}"))
    })?;
    Ok(Bound { listener, activity: Activity::default() })
}

/// Answers until `shutdown`, then lets what is being answered finish for a bounded time.
///
/// # Errors
/// `forbidden` when another machine could reach the address and no token is set.
pub async fn serve(
    bound: Bound,
    intake: Intake,
    serving: Serving,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Failure> {
    let listen = bound.local_addr().unwrap_or(serving.listen);
    if !listen.ip().is_loopback() && serving.token.as_deref().unwrap_or_default().is_empty() {
        return Err(Failure::new(
            ErrorCode::Forbidden,
            format!(
                "failed to serve on {listen}: other machines can reach this address, so a token is needed; \
                 name a file that holds one with `token_file`, or listen on 127.0.0.1"
            ),
        ));
    }
    let (closing, cut) = (CancellationToken::new(), CancellationToken::new());
    let door = Door::new(intake, serving, bound.activity.clone(), closing.clone(), cut.clone());
    let router = router(door);
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            (stream, peer, permit) = accept(&bound.listener, &room) => {
                connections.spawn(converse(stream, peer, permit, router.clone(), closing.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
    drop(bound);
    closing.cancel();
    let over = async |connections: &mut JoinSet<()>| while connections.join_next().await.is_some() {};
    if tokio::time::timeout(GRACE, over(&mut connections)).await.is_err() {
        cut.cancel();
        let _ = tokio::time::timeout(LAST_WORDS, over(&mut connections)).await;
    }
    Ok(())
}

/// The next connection for which there is room.
async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    loop {
        match (room.clone().acquire_owned().await, listener.accept().await) {
            (Ok(permit), Ok((stream, peer))) => return (stream, peer, permit),
            (_, Err(err)) => {
                tracing::warn!(%err, "could not take a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
            // The semaphore is never closed.
            (Err(_), Ok(_)) => {}
        }
    }
}

/// One connection, from its first byte to its last.
async fn converse(
    stream: TcpStream,
    peer: SocketAddr,
    permit: OwnedSemaphorePermit,
    router: Router,
    closing: CancellationToken,
) {
    // An answer is written at once; waiting to fill a packet would cost 40 ms.
    let _ = stream.set_nodelay(true);
    let endpoints = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(guard::Peer(peer.ip()));
        endpoints.call(request)
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(err) = ended {
        tracing::debug!(%peer, err = %thumbforge_core::error::chain(&err), "a connection broke");
    }
    drop(permit);
}

/// What every endpoint shares.
struct Door {
    intake: Intake,
    serving: Serving,
    activity: Activity,
    bucket: Mutex<Bucket>,
    /// Room for requests that carry pictures.
    carriers: Arc<Semaphore>,
    /// Names requests in answers: what this server begins its names with, and how many it has given out.
    requests: (u64, AtomicU64),
    /// What the bucket counts its time from.
    began: Instant,
    /// The server is asked to stop: endless answers end.
    closing: CancellationToken,
    /// The time for answers is over: they say so.
    cut: CancellationToken,
}

impl Door {
    fn new(
        intake: Intake,
        serving: Serving,
        activity: Activity,
        closing: CancellationToken,
        cut: CancellationToken,
    ) -> Arc<Self> {
        let bucket = Mutex::new(Bucket::full());
        let carriers = Arc::new(Semaphore::new(CARRIERS_MAX));
        // The hasher's keys are random, so that two lives of the sidecar give out different names.
        let requests = (RandomState::new().hash_one(()), AtomicU64::new(0));
        Arc::new(Self { intake, serving, activity, bucket, carriers, requests, began: Instant::now(), closing, cut })
    }

    /// A name for an answer, to be found in reports of trouble.
    fn request_id(&self) -> HeaderValue {
        let (server, count) = &self.requests;
        let name = format!("req_{server:016x}{:08x}", count.fetch_add(1, Ordering::Relaxed));
        HeaderValue::try_from(name).unwrap_or(HeaderValue::from_static("req_0"))
    }

    fn since_ms(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }
}

fn router(door: Arc<Door>) -> Router {
    Router::new()
        .route("/generate", post(generate::json))
        .route("/sample", post(models::sample))
        .route("/api/generate", post(generate::image))
        .route("/models/{name}", post(generate::image_by))
        .route("/v1/images/generations", post(openai::generations))
        .route("/v1/images/edits", post(openai::edits))
        .route("/v1/models", get(models::list))
        .route("/v1/models/{name}", get(models::one))
        .route("/jobs", get(jobs::list))
        .route("/jobs/{id}", get(jobs::one).delete(jobs::cancel))
        .route("/jobs/{id}/resend", post(jobs::resend))
        .route("/renders/{file}", get(jobs::picture))
        .route("/events", get(events::listen))
        .route("/healthz", get(jobs::health))
        .route("/metrics", get(jobs::metrics))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(middleware::from_fn_with_state(door.clone(), guard::admit))
        .with_state(door)
}

async fn no_such_path(request: Request<Body>) -> Refusal {
    let message = format!("failed to find {}: there is no such path", refusal::shown(request.uri().path()));
    Refusal::new(ErrorCode::NotFound, message)
}

async fn no_such_method(request: Request<Body>) -> Refusal {
    let path = refusal::shown(request.uri().path());
    let message = format!("failed to {} {path}: this path has other methods, see the Allow header", request.method());
    Refusal::new(ErrorCode::InvalidRequest, message).with_status(axum::http::StatusCode::METHOD_NOT_ALLOWED)
}

#[cfg(test)]
mod tests;
