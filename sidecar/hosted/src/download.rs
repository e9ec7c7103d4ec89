//! Large files from a hub: one request for one range of bytes, its answer as a stream, and the token kept at home.
//!
//! Hubs keep files elsewhere: the hub itself answers with a redirect to a store, and says on the way what the file is.
//! Redirects are followed by hand, so that the token goes to the hub's own origin alone and what the hub said is kept.
//! Whoever calls decides what to ask again, and where the bytes go.
//!
//! Far hubs are reached through the proxy that the environment or the system names; this machine is reached without one.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, HeaderMap, HeaderValue, LOCATION, RANGE};
use thiserror::Error;
use url::{Host, Url};

use crate::adapter::read::DELAY_MS_MAX;
use crate::client::{ClientError, tls, wire};
use crate::endpoint::Secret;

/// Most redirects that are followed: a hub makes up to two, one for a renamed repository and one to its store.
const REDIRECTS_MAX: u32 = 5;
/// Longest silence in the middle of an answer. Stores that throttle still send something in it.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// Why there is no answer, or no more of it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DownloadError {
    /// It must not be asked at all; the next time is no better.
    #[error("{0}")]
    Refused(String),
    /// The connection did not come about or broke off; the next time it may not.
    #[error("{0}")]
    Broken(String),
    /// It is longer than anybody reads.
    #[error("{0}")]
    TooLarge(String),
}

/// What is asked.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Where.
    pub url: Url,
    /// What the hub is told about who asks. It goes to the origin of `url` and to no other.
    pub token: Option<Secret>,
    /// Which bytes of the file; the whole without.
    pub range: Option<Range<u64>>,
}

/// What the headers of an answer say, of the hub's and of its store's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// HTTP status of the last answer.
    pub status: u16,
    /// Who gave the last answer.
    pub host: String,
    /// Whether the last answer came from the origin that was asked.
    pub at_home: bool,
    /// The hub's name for the file's content: for large files the SHA-256 of it.
    pub linked_etag: Option<String>,
    /// The store's name for the file's content.
    pub etag: Option<String>,
    /// The commit of the repository that the file is of.
    pub commit: Option<String>,
    /// Which bytes of how many come, as `(first, behind the last, of all)`.
    pub content_range: Option<(u64, u64, u64)>,
    /// How many bytes the body is said to have.
    pub length: Option<u64>,
    /// How long to wait before the next request.
    pub retry_after: Option<Duration>,
    /// The hub's word for what is wrong, as `GatedRepo`.
    pub error_code: Option<String>,
}

/// An answer whose body has not been read.
pub struct Opened {
    /// What its headers say.
    pub head: Head,
    response: reqwest::Response,
}

/// The client; cheap to clone.
#[derive(Clone)]
pub struct Downloader(Arc<Clients>);

struct Clients {
    /// Through the proxy of the environment.
    far: reqwest::Client,
    /// Straight, for this machine.
    near: reqwest::Client,
}

impl Downloader {
    /// A client that calls itself `identity`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn new(identity: &str) -> Result<Self, ClientError> {
        let mut tls = tls::config()?;
        // Ranges side by side are faster over connections of their own than over one with a common window.
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let settings = || wire::settings(identity, tls.clone()).http1_only().read_timeout(SILENCE_MAX);
        let failed = |error| ClientError::Http(wire::told(error));
        let (far, near) = (settings().build().map_err(failed)?, settings().no_proxy().build().map_err(failed)?);
        Ok(Self(Arc::new(Clients { far, near })))
    }

    /// Asks, follows redirects, and gives the answer with its body unread, whatever its status.
    ///
    /// # Errors
    /// [`DownloadError`]; its words name hosts alone, since addresses of stores are signatures.
    pub async fn open(&self, ask: &Ask) -> Result<Opened, DownloadError> {
        let mut url = ask.url.clone();
        let mut head = Head::default();
        for _ in 0..=REDIRECTS_MAX {
            let at_home = url.origin() == ask.url.origin();
            check(&url, &ask.url, ask.token.is_some())?;
            let host = url.host_str().unwrap_or_default().to_owned();
            let client = if is_here(&url) { &self.0.near } else { &self.0.far };
            let mut request = client.get(url.clone()).header(ACCEPT_ENCODING, "identity");
            if let Some(range) = &ask.range {
                let last = range.end.checked_sub(1).filter(|last| *last >= range.start);
                let last = last.ok_or_else(|| DownloadError::Refused("an empty range was asked for".to_owned()))?;
                request = request.header(RANGE, format!("bytes={}-{last}", range.start));
            }
            if let Some(token) = ask.token.as_ref().filter(|_| at_home) {
                request = request.header(AUTHORIZATION, bearer(token)?);
            }
            let response = request
                .send()
                .await
                .map_err(|error| DownloadError::Broken(format!("reach {host}: {}", wire::told(error))))?;
            head =
                Head { status: response.status().as_u16(), host, at_home, ..heard(response.headers(), at_home, head) };
            if !response.status().is_redirection() || head.status == 304 {
                return Ok(Opened { head, response });
            }
            let target = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
            let target = target.and_then(|location| url.join(location).ok());
            url = target.ok_or_else(|| {
                DownloadError::Broken(format!("{} answered {} with no target", head.host, head.status))
            })?;
        }
        Err(DownloadError::Refused(format!("it redirects more than {REDIRECTS_MAX} times")))
    }
}

impl Opened {
    /// The next piece of the body; nothing when it is over.
    ///
    /// # Errors
    /// [`DownloadError::Broken`] when it breaks off before its announced end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, DownloadError> {
        let host = &self.head.host;
        self.response
            .chunk()
            .await
            .map_err(|error| DownloadError::Broken(format!("the answer of {host} broke off: {}", wire::told(error))))
    }

    /// The whole body, of at most `most` bytes.
    ///
    /// # Errors
    /// [`DownloadError`] when it is longer, or breaks off.
    pub async fn read(mut self, most: usize) -> Result<Vec<u8>, DownloadError> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.next().await? {
            if bytes.len() + piece.len() > most {
                let words = format!("the answer of {} is larger than the {most} bytes that are read", self.head.host);
                return Err(DownloadError::TooLarge(words));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }
}

/// What can be said of an address before anything is sent to it.
fn check(url: &Url, home: &Url, with_token: bool) -> Result<(), DownloadError> {
    let wrong = |why: String| Err(DownloadError::Refused(why));
    if !matches!(url.scheme(), "https" | "http") {
        return wrong(format!("an address begins with {}://, and only https:// is followed", url.scheme()));
    }
    let host = url.host_str().unwrap_or_default();
    if host.is_empty() || !url.username().is_empty() || url.password().is_some() {
        return wrong("an address has no host, or a name or password in it".to_owned());
    }
    if url.scheme() == "http" && home.scheme() == "https" {
        return wrong(format!("{} leads to {host} without TLS", home.host_str().unwrap_or_default()));
    }
    if with_token && url.origin() == home.origin() && url.scheme() == "http" && !is_here(url) {
        return wrong(format!("the token would cross the network to {host} in the clear; name the hub by https://"));
    }
    Ok(())
}

/// Whether an address is of this machine.
fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// The token as a header, marked so that no library prints it.
fn bearer(token: &Secret) -> Result<HeaderValue, DownloadError> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose()))
        .map_err(|_| DownloadError::Refused("the token has characters that no header may have".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// What an answer's headers say, on top of what the hub said before. Only the hub itself names commits and contents.
fn heard(headers: &HeaderMap, at_home: bool, before: Head) -> Head {
    let text = |name: &str| {
        let value = headers.get(name)?.to_str().ok()?.trim();
        // Longer than any of them is; what is longer is no name.
        (!value.is_empty() && value.len() <= 512).then(|| value.to_owned())
    };
    let home = |name: &str| if at_home { text(name) } else { None };
    Head {
        status: before.status,
        host: before.host,
        at_home,
        linked_etag: home("x-linked-etag").or(before.linked_etag),
        etag: text("etag"),
        commit: home("x-repo-commit").or(before.commit),
        content_range: text("content-range").as_deref().and_then(content_range),
        length: text("content-length").and_then(|value| value.parse().ok()),
        retry_after: text("retry-after").as_deref().and_then(delay),
        error_code: text("x-error-code"),
    }
}

/// `bytes 0-99/500` as `(0, 100, 500)`; nothing where the whole is unknown or the numbers make no sense.
fn content_range(value: &str) -> Option<(u64, u64, u64)> {
    let (range, all) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, all): (u64, u64, u64) = (first.parse().ok()?, last.parse().ok()?, all.parse().ok()?);
    (first <= last && last < all).then(|| (first, last + 1, all))
}

/// A delay in seconds, of at most a day. Dates are not read: this crate knows no clock.
fn delay(value: &str) -> Option<Duration> {
    let seconds: f64 = value.parse().ok()?;
    let most = Duration::from_millis(DELAY_MS_MAX);
    (seconds.is_finite() && seconds >= 0.0)
        .then(|| Duration::try_from_secs_f64(seconds).map_or(most, |it| it.min(most)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_make_no_sense_are_none() {
        #[track_caller]
        fn range(value: &str, expected: Option<(u64, u64, u64)>) {
            assert_eq!(content_range(value), expected, "{value}");
        }
        range("bytes 0-99/500", Some((0, 100, 500)));
        range("bytes 499-499/500", Some((499, 500, 500)));
        range("bytes 0-500/500", None);
        range("bytes 9-3/500", None);
        range("bytes */500", None);
        range("bytes 0-99/*", None);
        range("bytes 0-18446744073709551615/18446744073709551615", None);
        range("items 0-99/500", None);
        range("", None);
    }

    #[test]
    fn delays_are_believed_up_to_a_day() {
        #[track_caller]
        fn wait(value: &str, expected: Option<f64>) {
            assert_eq!(delay(value).map(|delay| delay.as_secs_f64()), expected, "{value}");
        }
        wait("0", Some(0.0));
        wait("1.5", Some(1.5));
        wait("1e300", Some(86_400.0));
        wait("-1", None);
        wait("NaN", None);
        wait("Wed, 21 Oct 2026 07:28:00 GMT", None);
    }

    #[test]
    fn addresses_are_looked_at_before_anything_is_sent() {
        #[track_caller]
        fn at(url: &str, home: &str, with_token: bool, expected: Option<&str>) {
            let found = check(&url.parse().unwrap(), &home.parse().unwrap(), with_token);
            match (found, expected) {
                (Ok(()), None) => {}
                (Err(error), Some(words)) => assert!(error.to_string().contains(words), "{error}"),
                (found, _) => panic!("{url}: {found:?}"),
            }
        }
        at("https://hub.example/a", "https://hub.example/a", true, None);
        at("https://store.example/a", "https://hub.example/a", true, None);
        at("http://127.0.0.1:9/a", "http://127.0.0.1:9/a", true, None);
        at("http://hub.example/a", "http://hub.example/a", false, None);
        at("http://hub.example/a", "http://hub.example/a", true, Some("in the clear"));
        at("http://store.example/a", "https://hub.example/a", false, Some("without TLS"));
        at("http://hub.example/a", "https://hub.example/a", true, Some("without TLS"));
        at("ftp://hub.example/a", "https://hub.example/a", false, Some("only https://"));
        at("https://mia:pw@store.example/a", "https://hub.example/a", false, Some("password"));
    }

    #[test]
    fn only_the_hub_names_commits_and_contents() {
        let mut headers = HeaderMap::new();
        for (name, value) in [("x-linked-etag", "\"abc\""), ("x-repo-commit", "c0ffee"), ("etag", "\"e\"")] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let hub = heard(&headers, true, Head::default());
        assert_eq!((hub.linked_etag.as_deref(), hub.commit.as_deref()), (Some("\"abc\""), Some("c0ffee")));
        let store = heard(&headers, false, Head::default());
        assert_eq!((store.linked_etag, store.commit, store.etag.as_deref()), (None, None, Some("\"e\"")));
        let both = heard(&HeaderMap::new(), false, hub);
        assert_eq!((both.linked_etag.as_deref(), both.etag), (Some("\"abc\""), None));
    }

    #[test]
    fn nobody_sees_a_token() {
        let ask =
            Ask { url: "https://hub.example".parse().unwrap(), token: Some(Secret::new("hf_0123456789")), range: None };
        assert!(!format!("{ask:?} {:?}", bearer(&Secret::new("hf_0123456789")).unwrap()).contains("hf_0"));
    }
}
