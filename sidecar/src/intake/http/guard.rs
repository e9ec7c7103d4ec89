//! Who may knock: rate, host, origin and token, before any body is read.
//!
//! A web page must not reach the sidecar through a visitor's browser. It cannot forge `Host` and `Origin`:
//! a foreign `Origin` is another site's script, a foreign `Host` is a name that was pointed at this machine (DNS rebinding).
//! Other machines present a token; programs of this one need none, since they could read the token's file as well.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use thumbforge_core::error::ErrorCode;

use super::refusal::{Refusal, shown};
use super::{Door, Serving};

/// Where a connection comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) IpAddr);

/// The layer around every endpoint.
pub(super) async fn admit(State(door): State<Arc<Door>>, request: Request<Body>, next: Next) -> Response {
    let _under_way = door.activity.begin();
    let peer = request.extensions().get::<Peer>().copied();
    let passed = rate(&door).and_then(|()| check(request.headers(), peer, &door.serving));
    let mut response = match passed {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    headers.insert("x-request-id", door.request_id());
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn rate(door: &Door) -> Result<(), Refusal> {
    door.bucket.lock().take(door.since_ms()).map_err(|wait_ms| {
        let message = "failed to answer: too many requests in a short time; wait as long as Retry-After says";
        Refusal::new(ErrorCode::RateLimited, message).with_retry_after(wait_ms.div_ceil(1000))
    })
}

/// Whether a request with these headers, from there, may pass.
fn check(headers: &HeaderMap, peer: Option<Peer>, serving: &Serving) -> Result<(), Refusal> {
    let refused = |message: String| Err(Refusal::new(ErrorCode::Forbidden, message));
    let host = match (only(headers, header::HOST), headers.contains_key(header::HOST)) {
        (Some(host), _) => host,
        (None, true) => return refused("failed to admit a request with an unreadable Host header".to_owned()),
        (None, false) => return refused("failed to admit a request without a Host header".to_owned()),
    };
    if headers.contains_key(header::ORIGIN) && !only(headers, header::ORIGIN).is_some_and(|origin| same(origin, host)) {
        return refused("failed to admit a request from another site: its Origin is not this server".to_owned());
    }
    // A proxy on this machine speaks for others.
    let forwarded = ["forwarded", "x-forwarded-for", "x-real-ip"].iter().any(|name| headers.contains_key(*name));
    let from_here = !forwarded && peer.is_some_and(|peer| peer.0.to_canonical().is_loopback());
    if !from_here {
        // With a token any name is good: a page behind a rebound name does not have it.
        return match &serving.token {
            Some(token) if !token.is_empty() && bearer(headers).is_some_and(|given| equal(given, token)) => Ok(()),
            _ => refused(
                "failed to admit a request from another machine: \
                 send the token of this server as `Authorization: Bearer TOKEN`"
                    .to_owned(),
            ),
        };
    }
    if name_of(host).is_some_and(|name| answers_to(name, &serving.allowed_hosts)) {
        return Ok(());
    }
    refused(format!(
        "failed to admit a request for the host {:?}: this server answers to localhost, 127.0.0.1 and [::1], \
         and to the names that its operator allows",
        shown(host)
    ))
}

/// The value of a header that stands there once.
fn only(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then(|| value.to_str().ok()).flatten()
}

/// The name in `name:port`, if it is that.
fn name_of(host: &str) -> Option<&str> {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            address.parse::<Ipv6Addr>().ok()?;
            (address, port)
        }
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let port_is_one = match port.strip_prefix(':') {
        Some(digits) => digits.parse::<u16>().is_ok(),
        None => port.is_empty(),
    };
    (port_is_one && !name.is_empty()).then_some(name)
}

fn answers_to(name: &str, allowed: &[String]) -> bool {
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        || allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(name))
}

/// Whether an origin is this server under the name that the request calls it by.
fn same(origin: &str, host: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => return false,
    };
    let plain = |authority: &str| authority.strip_suffix(port).unwrap_or(authority).to_ascii_lowercase();
    plain(authority) == plain(host)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = only(headers, header::AUTHORIZATION)?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Takes the same time for every wrong token: digests are compared, and those in constant time.
fn equal(given: &str, token: &str) -> bool {
    blake3::hash(given.as_bytes()) == blake3::hash(token.as_bytes())
}

#[cfg(test)]
mod tests;
