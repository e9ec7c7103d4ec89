//! Fetching of results that lie at an address which a provider names.
//!
//! The address comes from outside, and this machine stands inside somebody's network. So it is `https`, leads to no private
//! address, and is looked up exactly once: the addresses that were checked are those that are connected to, and a name
//! that answers otherwise the second time gains nothing. Redirects are followed by hand and checked like the first
//! address. The key goes along to the endpoint's own origin alone, where it is sent anyway. Only for servers of one's own are private addresses and plain `http` allowed.

use std::error::Error as _;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT, HeaderMap, LOCATION};
use thiserror::Error;
use tokio::time::Instant;
use url::{Host, Url};

use crate::client::ClientError;
use crate::client::wire::{self, Why};

/// Most redirects that are followed: storage services make one.
const REDIRECTS_MAX: u32 = 3;

/// A result that was not fetched. The words name its host alone: paths and queries of results are signatures.
#[derive(Debug, Error)]
pub(crate) enum FetchError {
    /// Its address must not be reached.
    #[error("the result is not fetched: {0}")]
    Unsafe(String),
    /// It is larger than anybody reads.
    #[error("the result is not fetched: {0}")]
    TooLarge(String),
    /// Something broke; the next time it may not.
    #[error("the result cannot be fetched: {0}")]
    Broken(String),
}

/// What may be reached.
#[derive(Clone, Copy)]
pub(crate) struct Reach {
    /// Whether plain `http` will do.
    pub(crate) plain: bool,
    /// Addresses that are never connected to.
    pub(crate) refuses: fn(IpAddr) -> bool,
}

impl Reach {
    /// The public internet, with TLS.
    pub(crate) const PUBLIC: Self = Self { plain: false, refuses: |address| !is_public(address) };
    /// One's own network besides; not the places where clouds keep the keys of a machine.
    pub(crate) const PRIVATE: Self = Self { plain: true, refuses: is_metadata };
}

/// Looks names up.
pub(crate) trait Lookup: Send + Sync {
    /// The addresses of a name.
    fn lookup(&self, name: String) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;
}

/// The system's own lookup.
struct System;

impl Lookup for System {
    fn lookup(&self, name: String) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect()) })
    }
}

/// A lookup that gives no address which must not be reached. The connector connects to what it gives and to nothing else.
struct Guard {
    lookup: Arc<dyn Lookup>,
    refuses: fn(IpAddr) -> bool,
}

/// An address that must not be reached.
#[derive(Debug, Error)]
#[error("it leads to {0}, which is no address of the public internet")]
struct Private(IpAddr);

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let (found, refuses) = (self.lookup.lookup(name.as_str().to_owned()), self.refuses);
        Box::pin(async move {
            let found = found.await?;
            // One bad address spoils the name: whoever mixes them in has a reason.
            if let Some(address) = found.iter().find(|address| refuses(**address)) {
                return Err(Private(*address).into());
            }
            Ok(Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

/// Fetches results.
pub(crate) struct Fetcher {
    http: reqwest::Client,
    reach: Reach,
}

impl Fetcher {
    pub(crate) fn new(identity: &str, tls: rustls::ClientConfig, reach: Reach) -> Result<Self, ClientError> {
        Self::with_lookup(identity, tls, reach, Arc::new(System))
    }

    pub(crate) fn with_lookup(
        identity: &str,
        tls: rustls::ClientConfig,
        reach: Reach,
        lookup: Arc<dyn Lookup>,
    ) -> Result<Self, ClientError> {
        let guard = Guard { lookup, refuses: reach.refuses };
        let settings = wire::settings(identity, tls).no_proxy().dns_resolver(guard);
        let http = settings.build().map_err(|error| ClientError::Http(wire::told(error)))?;
        Ok(Self { http, reach })
    }

    /// The bytes at an address; whether they are a picture is for others to see. `keys` go to the origin of `home` alone:
    /// servers behind a password want it for their pictures too.
    pub(crate) async fn fetch(
        &self,
        url: &str,
        home: &Url,
        keys: &HeaderMap,
        deadline: Instant,
    ) -> Result<Bytes, FetchError> {
        let late = |_| FetchError::Broken("it took too long".to_owned());
        tokio::time::timeout_at(deadline, self.follow(url, home, keys)).await.map_err(late)?
    }

    async fn follow(&self, url: &str, home: &Url, keys: &HeaderMap) -> Result<Bytes, FetchError> {
        let mut url = Url::parse(url).map_err(|_| FetchError::Unsafe("its address is none".to_owned()))?;
        for _ in 0..=REDIRECTS_MAX {
            self.check(&url)?;
            let host = url.host_str().unwrap_or_default().to_owned();
            let request = self.http.get(url.clone()).header(ACCEPT, "image/*");
            let request = if url.origin() == home.origin() { request.headers(keys.clone()) } else { request };
            let response = request.send().await.map_err(|error| failed(&host, error))?;
            let status = response.status();
            if status.is_redirection() {
                let target = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
                let target = target.and_then(|location| url.join(location).ok());
                url = target
                    .ok_or_else(|| FetchError::Broken(format!("{host} answered {} with no target", status.as_u16())))?;
                continue;
            }
            if status.as_u16() != 200 {
                return Err(FetchError::Broken(format!("{host} answered {}", status.as_u16())));
            }
            return wire::read(response).await.map_err(|unread| match unread.why {
                Why::TooLarge => FetchError::TooLarge(wire::too_large()),
                why => FetchError::Broken(format!("{host}: {why}")),
            });
        }
        Err(FetchError::Unsafe(format!("it redirects more than {REDIRECTS_MAX} times")))
    }

    /// What can be said of an address without looking its name up. Addresses in numbers never come to the [`Guard`].
    fn check(&self, url: &Url) -> Result<(), FetchError> {
        let wrong = |why: String| Err(FetchError::Unsafe(why));
        if url.scheme() != "https" && !(self.reach.plain && url.scheme() == "http") {
            return wrong(format!("its address begins with {}://, and only https:// is followed", url.scheme()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return wrong("its address has a name or password in it".to_owned());
        }
        let address = match url.host() {
            Some(Host::Domain("")) => return wrong("its address has no host".to_owned()),
            Some(Host::Domain(_)) => return Ok(()),
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            None => return wrong("its address has no host".to_owned()),
        };
        if (self.reach.refuses)(address) { wrong(Private(address).to_string()) } else { Ok(()) }
    }
}

/// Tells a refusal of the [`Guard`] from what may be better the next time.
fn failed(host: &str, error: reqwest::Error) -> FetchError {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(private) = cause.downcast_ref::<Private>() {
            return FetchError::Unsafe(format!("{host}: {private}"));
        }
        source = cause.source();
    }
    FetchError::Broken(format!("{host}: {}", wire::told(error)))
}

/// Whether an address is one of the public internet (IANA's special-purpose registries, RFC 6890).
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address) && !is_metadata(IpAddr::V4(address)),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !matches!(
        (a, b, c),
        (0 | 10 | 127 | 224.., ..)
            // Carrier-grade NAT, link-local, private.
            | (100, 64..=127, _) | (169, 254, _) | (172, 16..=31, _) | (192, 168, _)
            // Protocol assignments, documentation, 6to4 relays, benchmarks.
            | (192, 0, 0 | 2) | (192, 88, 99) | (198, 18..=19, _) | (198, 51, 100) | (203, 0, 113)
    )
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(inner) = address.to_ipv4_mapped() {
        return is_public(IpAddr::V4(inner));
    }
    let parts = address.segments();
    match parts {
        // A network that translates to IPv4: what counts is where it comes out.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            is_public(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
        }
        // Protocol assignments with Teredo, documentation, 6to4.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0..=0xfff, ..] => false,
        // Everything that is routed globally lies here.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

/// Whether clouds give out a machine's keys at an address: link-local, and three that lie elsewhere.
fn is_metadata(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            matches!(address.octets(), [169, 254, ..] | [168, 63, 129, 16] | [100, 100, 100, 200])
        }
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(inner) => is_metadata(IpAddr::V4(inner)),
            None => matches!(address.segments(), [0xfe80..=0xfebf, ..] | [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254]),
        },
    }
}

#[cfg(test)]
mod tests;
