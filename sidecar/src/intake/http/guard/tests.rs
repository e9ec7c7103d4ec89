//! Who is admitted, by headers and by where they come from.

use std::net::SocketAddr;

use super::*;

const HERE: &str = "127.0.0.1";
const THERE: &str = "192.168.1.20";

fn admitted(peer: &str, token: Option<&str>, head: &[(&str, &str)]) -> bool {
    let serving = Serving {
        listen: SocketAddr::from(([0, 0, 0, 0], 8080)),
        token: token.map(str::to_owned),
        allowed_hosts: vec!["thumbs.studio.lan".to_owned()],
        placeholder: false,
    };
    let mut headers = HeaderMap::new();
    for (name, value) in head {
        let name = axum::http::HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    match check(&headers, Some(Peer(peer.parse().unwrap())), &serving) {
        Ok(()) => true,
        Err(refusal) => {
            assert_eq!(refusal.told().0, 403);
            false
        }
    }
}

#[test]
fn this_machine_by_its_own_names() {
    for host in [
        "localhost",
        "localhost:8080",
        "LOCALHOST:1",
        "127.0.0.1",
        "127.0.0.1:8080",
        "127.8.9.10:80",
        "[::1]",
        "[::1]:8080",
        "thumbs.studio.lan:8080",
    ] {
        assert!(admitted(HERE, None, &[("host", host)]), "{host}");
        assert!(admitted("::1", None, &[("host", host)]), "{host}");
    }
}

#[test]
fn names_that_were_pointed_here() {
    for host in [
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "0.0.0.0:8080",
        "192.168.1.2",
        "localhost:99999",
        "localhost:",
        "[::1",
        "[evil]:80",
        "::1",
        "",
        "localhost@evil.example",
        "127.1",
    ] {
        assert!(!admitted(HERE, None, &[("host", host)]), "{host}");
    }
    assert!(!admitted(HERE, None, &[]));
    assert!(!admitted(HERE, None, &[("host", "localhost"), ("host", "evil.example")]));
}

#[test]
fn pages_of_other_sites() {
    let with_origin = |origin| admitted(HERE, None, &[("host", "localhost:8080"), ("origin", origin)]);
    assert!(with_origin("http://localhost:8080"));
    assert!(with_origin("http://LOCALHOST:8080"));
    for origin in [
        "null",
        "http://evil.example",
        "http://localhost:3000",
        "http://127.0.0.1:8080",
        "file://",
        "localhost:8080",
        "http://localhost:8080.evil.example",
        "chrome-extension://abc",
    ] {
        assert!(!with_origin(origin), "{origin}");
    }
    assert!(admitted(HERE, None, &[("host", "localhost"), ("origin", "http://localhost:80")]));
}

#[test]
fn other_machines_need_the_token_and_then_any_name_is_good() {
    let host = ("host", "192.168.1.2:8080");
    assert!(admitted(THERE, Some("s3cret"), &[host, ("authorization", "Bearer s3cret")]));
    assert!(admitted(THERE, Some("s3cret"), &[host, ("authorization", "bearer s3cret")]));
    for wrong in ["Bearer s3cre", "Bearer", "Bearer ", "Basic s3cret", "s3cret", "Bearer s3cret s3cret"] {
        assert!(!admitted(THERE, Some("s3cret"), &[host, ("authorization", wrong)]), "{wrong}");
    }
    assert!(!admitted(THERE, Some("s3cret"), &[("host", "localhost")]));
    assert!(!admitted(THERE, None, &[("host", "localhost"), ("authorization", "Bearer ")]));
    assert!(!admitted(THERE, Some(""), &[("host", "localhost"), ("authorization", "Bearer ")]));
    let page = [host, ("authorization", "Bearer s3cret"), ("origin", "http://evil.example")];
    assert!(!admitted(THERE, Some("s3cret"), &page));
}

#[test]
fn a_proxy_here_speaks_for_others() {
    let forwarded = [("host", "localhost:8080"), ("x-forwarded-for", "203.0.113.9")];
    assert!(!admitted(HERE, None, &forwarded));
    assert!(!admitted(HERE, Some("s3cret"), &forwarded));
}

#[test]
fn keys_that_openai_clients_always_send_are_no_matter_here() {
    assert!(admitted(HERE, None, &[("host", "localhost:8080"), ("authorization", "Bearer sk-unused")]));
    assert!(admitted("::ffff:127.0.0.1", Some("s3cret"), &[("host", "localhost:8080")]));
}
