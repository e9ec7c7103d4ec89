//! One request and its whole reply, and exactly how far it came when something breaks.

use std::convert::Infallible;
use std::error::Error as _;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use thumbforge_core::limits::ANSWER_BYTES_MAX;
use tokio::time::Instant;
use url::Url;

use super::{ClientError, body};
use crate::adapter::{Method, Reply, Request};
use crate::endpoint::{Endpoint, Secret};

/// Longest time to connect: beyond it a host is down, and what was not sent can go elsewhere.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an idle connection is kept. Common servers close theirs after 5 seconds, and a request that meets such a
/// close on its way is ambiguous; a new handshake costs a tenth of a second in calls that take several.
const IDLE: Duration = Duration::from_secs(4);
/// Probes for connections that died without a word, while an answer takes minutes.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// How a request came to nothing.
#[derive(Debug)]
pub(crate) enum Broken {
    /// Its body never went out, so nothing was made.
    NotSent(String),
    /// It cannot be put into HTTP at all.
    Refused(String),
    /// It went out, and what became of it is not known.
    Lost(String),
    /// The reply is larger than anybody reads.
    TooLarge(String),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent(why) => write!(f, "it cannot be reached: {why}"),
            Self::Refused(why) => write!(f, "the request cannot be made: {why}"),
            Self::Lost(why) => write!(f, "the request went out, and its answer did not come: {why}"),
            Self::TooLarge(why) => f.write_str(why),
        }
    }
}

/// Whether a body began to go out. While it has not, the server has at most a head that announces one, and can do nothing.
#[derive(Debug, Clone, Default)]
pub(super) struct Sent(Arc<AtomicBool>);

impl Sent {
    pub(super) fn begun(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A client with its settings.
pub(super) struct Wire(reqwest::Client);

/// What every client of ours has in common: no redirects, no repeats, no compression.
pub(crate) fn settings(identity: &str, tls: rustls::ClientConfig) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(identity)
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE)
        .tcp_keepalive(KEEP_ALIVE)
        .http2_keep_alive_interval(KEEP_ALIVE)
}

impl Wire {
    pub(super) fn new(identity: &str, tls: rustls::ClientConfig, proxied: bool) -> Result<Self, ClientError> {
        let settings = settings(identity, tls);
        let settings = if proxied { settings } else { settings.no_proxy() };
        settings.build().map(Self).map_err(|error| ClientError::Http(told(error)))
    }

    /// Sends a request and reads its whole reply.
    pub(super) async fn send(
        &self,
        endpoint: &Endpoint,
        keys: Vec<(&'static str, Secret)>,
        request: &Request,
        deadline: Instant,
    ) -> Result<Reply, Broken> {
        self.send_watched(endpoint, keys, request, deadline, &Sent::default()).await
    }

    /// The same, telling through `sent` when its body begins to go out.
    pub(super) async fn send_watched(
        &self,
        endpoint: &Endpoint,
        keys: Vec<(&'static str, Secret)>,
        request: &Request,
        deadline: Instant,
        sent: &Sent,
    ) -> Result<Reply, Broken> {
        let mut headers = key_headers(&keys)?;
        for (name, value) in &request.headers {
            headers.insert(header_name(name)?, header_value(name, value)?);
        }
        let (kind, bytes) = body::encode(&request.body);
        if let Some(kind) = kind {
            headers.insert(reqwest::header::CONTENT_TYPE, header_value("content-type", &kind)?);
        }
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
        };
        let request = self.0.request(method.clone(), address(&endpoint.base_url, request)).headers(headers);
        let request = if bytes.is_empty() {
            // Nothing is held back, so the head alone may start it.
            sent.0.store(method == reqwest::Method::POST, Ordering::Release);
            request
        } else {
            request.body(reqwest::Body::wrap(Watched { bytes: Some(bytes), sent: sent.clone() }))
        };
        let broken = |why: String| if sent.begun() { Broken::Lost(why) } else { Broken::NotSent(why) };
        let response = match tokio::time::timeout_at(deadline, request.send()).await {
            Err(_) => return Err(broken("it took longer than the account allows".to_owned())),
            Ok(Err(error)) if error.is_connect() || is_refused(&error) => return Err(Broken::NotSent(told(error))),
            Ok(Err(error)) if error.is_builder() => return Err(Broken::Refused(told(error))),
            Ok(Err(error)) => return Err(broken(told(error))),
            Ok(Ok(response)) => response,
        };
        let status = response.status().as_u16();
        let pairs = response.headers().iter();
        let pairs = pairs
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
        let headers = pairs.collect();
        let read = tokio::time::timeout_at(deadline, read(response)).await;
        let body = match read.unwrap_or_else(|_| Err(Unread { why: Why::Late, bytes: Bytes::new() })) {
            Ok(body) => body,
            Err(Unread { why: Why::TooLarge, .. }) => return Err(Broken::TooLarge(too_large())),
            // What a refusal means stands in its status; its words may be cut.
            Err(Unread { bytes, .. }) if status >= 400 => bytes,
            Err(Unread { why, .. }) => return Err(Broken::Lost(format!("it answered {status}, and {why}"))),
        };
        Ok(Reply { status, headers, body })
    }
}

/// Why a body was not read to its end, and what was.
pub(crate) struct Unread {
    pub(crate) why: Why,
    pub(crate) bytes: Bytes,
}

pub(crate) enum Why {
    Late,
    Cut(String),
    TooLarge,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late => f.write_str("the rest took longer than the account allows"),
            Self::Cut(why) => write!(f, "the rest did not come: {why}"),
            Self::TooLarge => f.write_str(&too_large()),
        }
    }
}

pub(crate) fn too_large() -> String {
    format!("its answer is larger than the {} MiB that are read", ANSWER_BYTES_MAX >> 20)
}

/// The whole body, at most [`ANSWER_BYTES_MAX`] of it.
pub(crate) async fn read(mut response: reqwest::Response) -> Result<Bytes, Unread> {
    let announced = response.content_length().unwrap_or(0);
    let unread = |why, bytes: BytesMut| Unread { why, bytes: bytes.freeze() };
    if announced > ANSWER_BYTES_MAX as u64 {
        return Err(unread(Why::TooLarge, BytesMut::new()));
    }
    // A server that announces much and sends little costs a megabyte.
    let mut bytes = BytesMut::with_capacity((announced as usize).min(1 << 20));
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if bytes.len() + chunk.len() > ANSWER_BYTES_MAX => {
                return Err(unread(Why::TooLarge, bytes));
            }
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => return Ok(bytes.freeze()),
            Err(error) => return Err(unread(Why::Cut(told(error)), bytes)),
        }
    }
}

/// Whether a server turned a stream away before it did anything with it, as only HTTP/2 can say (RFC 9113, 8.7).
fn is_refused(error: &reqwest::Error) -> bool {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(h2) = cause.downcast_ref::<h2::Error>() {
            return h2.is_reset() && h2.is_remote() && h2.reason() == Some(h2::Reason::REFUSED_STREAM);
        }
        source = cause.source();
    }
    false
}

/// An error in words, without the address: its query may be a signature, and paths name projects.
pub(crate) fn told(error: reqwest::Error) -> String {
    thumbforge_core::error::chain(&error.without_url())
}

/// The endpoint's address with the request's path and query behind it.
fn address(base: &Url, request: &Request) -> Url {
    let mut url = base.clone();
    url.set_fragment(None);
    if !request.path.is_empty() {
        let path = format!("{}{}", base.path().trim_end_matches('/'), request.path);
        url.set_path(&path);
        url.set_query(None);
    }
    if !request.query.is_empty() {
        url.query_pairs_mut().extend_pairs(&request.query);
    }
    url
}

/// The headers that carry a key, marked so that no library prints them.
pub(crate) fn key_headers(keys: &[(&'static str, Secret)]) -> Result<HeaderMap, Broken> {
    let mut headers = HeaderMap::new();
    for (name, key) in keys {
        let mut value = header_value(name, key.expose())?;
        value.set_sensitive(true);
        headers.insert(header_name(name)?, value);
    }
    Ok(headers)
}

fn header_name(name: &str) -> Result<HeaderName, Broken> {
    HeaderName::try_from(name).map_err(|_| Broken::Refused(format!("{name:?} is no header")))
}

/// A header's value; the words of an error do not repeat it, since it may be a key.
fn header_value(name: &str, value: &str) -> Result<HeaderValue, Broken> {
    let wrong =
        |_| Broken::Refused(format!("what is to stand in the header {name} has characters that no header may have"));
    HeaderValue::try_from(value).map_err(wrong)
}

/// A body that tells when it begins to go out.
struct Watched {
    bytes: Option<Bytes>,
    sent: Sent,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.sent.0.store(true, Ordering::Release);
        Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, Bytes::len) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::Body;

    #[test]
    fn addresses_are_put_together() {
        for (base, path, query, expected) in [
            ("https://a.example/v1", "/images", &[][..], "https://a.example/v1/images"),
            ("https://a.example/v1/", "/images", &[], "https://a.example/v1/images"),
            ("https://a.example", "/images", &[], "https://a.example/images"),
            ("https://a.example/draw?x=1", "", &[], "https://a.example/draw?x=1"),
            ("https://a.example/draw/", "", &[], "https://a.example/draw/"),
            ("https://a.example", "/a%2Fb", &[("k", "ü &")], "https://a.example/a%2Fb?k=%C3%BC+%26"),
        ] {
            let query = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let request =
                Request { method: Method::Get, path: path.to_owned(), query, headers: Vec::new(), body: Body::None };
            assert_eq!(address(&base.parse().unwrap(), &request).as_str(), expected);
        }
    }
}
