//! Pictures that are given as addresses: fetched before a call counts as done, and from nowhere that a provider must not
//! lead us to.

use serde_json::{Value, json};
use thumbforge_hosted::Billed;
use thumbforge_tests::provider::{Delivery, Reply, Rule};

use super::*;

/// An answer of Ideogram's first API whose picture lies at `url`.
fn at(url: &str) -> Reply {
    let picture = json!({"url": url, "prompt": "x", "resolution": "1024x1024", "seed": 7, "is_image_safe": true});
    Reply::json(200, &json!({"created": "2026-11-20T10:00:00Z", "data": [picture]}))
}

/// A call whose result is announced at `url`, and what becomes of it.
fn announced(shop: &Shop, url: &str) -> Result<Answer, Fault> {
    shop.provider.rule(Rule::reply(at(url)).path("/generate").times(1));
    shop.ask(Protocol::IdeogramV1, &drawing(Protocol::IdeogramV1))
}

#[test]
fn addresses_that_nobody_is_led_to() {
    let mut shop = Shop::open();
    shop.allow_private = false;
    let here = shop.provider.port();
    for url in [
        format!("http://127.0.0.1:{here}/files/a.png"),
        format!("https://127.0.0.1:{here}/files/a.png"),
        format!("https://localhost:{here}/files/a.png"),
        format!("https://[::1]:{here}/a.png"),
        format!("https://[::ffff:127.0.0.1]:{here}/a.png"),
        "https://169.254.169.254/latest/meta-data".into(),
        "https://10.0.0.1/a.png".into(),
        "https://100.64.0.1/a.png".into(),
        "https://[fd00::1]/a.png".into(),
        "https://2130706433/a.png".into(),
        "https://0.0.0.0/a.png".into(),
        "http://example.com/a.png".into(),
        "file:///etc/passwd".into(),
        "ftp://example.com/a.png".into(),
        "data:image/png;base64,AAAA".into(),
        "//x".into(),
        String::new(),
    ] {
        let before = shop.provider.count();
        let fault = fault(announced(&shop, &url));
        assert_eq!(shop.provider.count(), before + 1, "{url}: it was fetched");
        assert_ne!(fault.billed, Billed::No, "{url}: the provider made it: {}", fault.message);
    }
}

#[test]
fn redirects_are_followed_a_little_and_checked() {
    let shop = Shop::open();
    let origin = shop.provider.origin();
    let to = |place: String| Reply::of(302, "text/plain", "").header("location", place);
    let png = picture::picture((64, 64), "x", 1, 0).png;
    shop.provider.rule(Rule::reply(to(format!("{origin}/b"))).path("/a"));
    shop.provider.rule(Rule::reply(to("/c".into())).path("/b"));
    shop.provider.rule(Rule::reply(Reply::of(200, "image/png", png.clone())).path("/c"));
    let answer = announced(&shop, &format!("{origin}/a")).expect("a picture");
    assert_eq!((answer.pictures[0].bytes.clone(), answer.pictures[0].seed), (png, Some(7)));
    shop.provider.rule(Rule::reply(to("/round".into())).path("/round"));
    fault(announced(&shop, &format!("{origin}/round")));
    let rounds = shop.provider.requests().iter().filter(|request| request.path == "/round").count();
    assert!((1..=16).contains(&rounds), "{rounds} times round");
    shop.provider.rule(Rule::reply(to("file:///etc/passwd".into())).path("/file"));
    fault(announced(&shop, &format!("{origin}/file")));
}

#[test]
fn what_is_no_picture_is_none() {
    let shop = Shop::open();
    let origin = shop.provider.origin();
    for (name, reply) in [
        ("html", Reply::of(200, "image/png", "<html>expired</html>")),
        ("empty", Reply::of(200, "image/png", "")),
        ("svg", Reply::of(200, "image/svg+xml", "<svg xmlns='http://www.w3.org/2000/svg'/>")),
        ("gone", Reply::of(404, "text/plain", "expired")),
    ] {
        shop.provider.rule(Rule::reply(reply).path(&format!("/{name}-result")));
        let fault = fault(announced(&shop, &format!("{origin}/{name}-result")));
        assert_ne!(fault.billed, Billed::No, "{name}: the provider made it: {}", fault.message);
    }
}

#[test]
fn results_are_fetched_again_but_never_made_again() {
    for delivery in [Delivery::Reset, Delivery::Cut(5)] {
        let shop = Shop::open();
        shop.provider.rule(Rule::delivery(delivery).method("GET").path("/files/").times(2));
        let answer = shop.ask(Protocol::IdeogramV1, &drawing(Protocol::IdeogramV1)).expect("a picture");
        assert_eq!((answer.pictures.len(), shop.billed()), (1, 1));
    }
    let shop = Shop::open();
    shop.provider.rule(Rule::delivery(Delivery::Reset).method("GET").path("/files/"));
    let fault = fault(shop.ask(Protocol::Ideogram, &drawing(Protocol::Ideogram)));
    assert_eq!((fault.billed, shop.billed()), (Billed::Yes, 1), "{}", fault.message);
    assert!(fault.provider_id.is_some(), "it is still there to be asked for");
    let tries = shop.provider.requests().iter().filter(|request| request.path.starts_with("/files/")).count();
    assert!((2..=8).contains(&tries), "{tries} tries");
}

#[test]
fn several_results_are_all_fetched() {
    let shop = Shop::open();
    let call = Call { count: 3, ..drawing(Protocol::IdeogramV1) };
    let answer = shop.ask(Protocol::IdeogramV1, &call).expect("pictures");
    let seeds: Vec<_> = answer.pictures.iter().map(|picture| picture.seed).collect();
    assert_eq!(seeds, [Some(7), Some(8), Some(9)]);
}

#[test]
fn compatible_servers_may_give_addresses() {
    let shop = Shop::with(Options { key: Some(KEY.into()), urls: true, ..Options::plain() });
    shop.ask(Protocol::OpenAiCompatible, &drawing(Protocol::OpenAiCompatible)).expect("a picture");
    assert_eq!(shop.billed(), 1);
    let fetched = shop.provider.last();
    assert_eq!((fetched.method.as_str(), fetched.header("authorization")), ("GET", None));
}

#[test]
fn addresses_of_a_server_of_ones_own_may_be_relative() {
    let shop = Shop::open();
    let reply: Value = json!({"created": 1, "data": [{"url": "/images/9.png"}]});
    shop.provider.rule(Rule::reply(Reply::json(200, &reply)).path("/images/generations"));
    let png = picture::picture((64, 64), "x", 1, 0).png;
    shop.provider.rule(Rule::reply(Reply::of(200, "image/png", png.clone())).path("/images/9.png"));
    let answer = shop.ask(Protocol::OpenAiCompatible, &drawing(Protocol::OpenAiCompatible)).expect("a picture");
    assert_eq!(answer.pictures[0].bytes, png);
}
