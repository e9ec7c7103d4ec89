//! Where results may lie, and that names cannot lie about it.

use std::sync::Mutex;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderValue};

use super::*;
use crate::client::tests::{Server, Turn, png, response, tls};

#[test]
fn addresses_of_the_public_internet() {
    for (address, expected) in [
        ("1.1.1.1", true),
        ("8.8.8.8", true),
        ("100.63.255.255", true),
        ("172.15.0.1", true),
        ("192.0.1.1", true),
        ("223.255.255.254", true),
        ("0.0.0.0", false),
        ("10.0.0.1", false),
        ("100.64.0.1", false),
        ("100.100.100.200", false),
        ("127.0.0.1", false),
        ("127.255.0.9", false),
        ("168.63.129.16", false),
        ("169.254.169.254", false),
        ("172.16.0.1", false),
        ("172.31.255.255", false),
        ("192.0.0.192", false),
        ("192.0.2.1", false),
        ("192.88.99.1", false),
        ("192.168.1.1", false),
        ("198.18.0.1", false),
        ("198.51.100.7", false),
        ("203.0.113.7", false),
        ("224.0.0.1", false),
        ("240.0.0.1", false),
        ("255.255.255.255", false),
        ("2606:4700::1111", true),
        ("2a00:1450:4001:81b::200e", true),
        ("::ffff:8.8.8.8", true),
        ("64:ff9b::808:808", true),
        ("::", false),
        ("::1", false),
        ("::ffff:127.0.0.1", false),
        ("::ffff:10.0.0.1", false),
        ("::127.0.0.1", false),
        ("64:ff9b::7f00:1", false),
        ("64:ff9b:1::808:808", false),
        ("100::1", false),
        ("2001::1", false),
        ("2001:db8::1", false),
        ("2002:7f00:1::", false),
        ("3fff:1::1", false),
        ("fc00::1", false),
        ("fd00:ec2::254", false),
        ("fe80::1", false),
        ("ff02::1", false),
    ] {
        assert_eq!(is_public(address.parse().unwrap()), expected, "{address}");
    }
}

#[test]
fn places_of_keys_are_refused_even_in_ones_own_network() {
    for (address, expected) in [
        ("169.254.169.254", true),
        ("::ffff:169.254.169.254", true),
        ("fe80::a9fe:a9fe", true),
        ("fd00:ec2::254", true),
        ("168.63.129.16", true),
        ("127.0.0.1", false),
        ("192.168.1.5", false),
        ("10.0.0.1", false),
        ("fd00::1", false),
        ("::1", false),
    ] {
        assert_eq!(is_metadata(address.parse().unwrap()), expected, "{address}");
    }
}

/// Names by a script: each lookup of any name gives the next line.
struct Names {
    lines: Vec<&'static [&'static str]>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Lookup for Names {
    fn lookup(&self, name: String) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> {
        let mut asked = self.asked.lock().unwrap();
        let line = self.lines.get(asked.len()).copied();
        asked.push(name);
        let found = line.map(|line| line.iter().map(|address| address.parse().unwrap()).collect());
        Box::pin(std::future::ready(found.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))))
    }
}

/// In these tests 127.0.0.1 plays the public internet, because it is all that can be reached; everything else is private.
const PLAYED: Reach = Reach { plain: true, refuses: |address| address != IpAddr::V4(Ipv4Addr::LOCALHOST) };

fn fetcher(reach: Reach, lines: &[&'static [&'static str]]) -> (Fetcher, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let names = Names { lines: lines.to_vec(), asked: asked.clone() };
    (Fetcher::with_lookup("thumbforge/test", tls(), reach, Arc::new(names)).unwrap(), asked)
}

async fn fetch(fetcher: &Fetcher, url: &str) -> Result<Bytes, FetchError> {
    let home = "https://provider.example/".parse().unwrap();
    let keys = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("marked"))]);
    fetcher.fetch(url, &home, &keys, Instant::now() + Duration::from_secs(10)).await
}

fn redirect(target: &str) -> Turn {
    Turn::Say(response(302, &format!("location: {target}\r\n"), b""))
}

fn found() -> Turn {
    Turn::Say(response(200, "", &png()))
}

#[tokio::test]
async fn a_name_is_looked_up_once_and_that_address_is_used() {
    // A second lookup would lead inside.
    let server = Server::start(vec![found()]).await;
    let (fetcher, asked) = fetcher(PLAYED, &[&["127.0.0.1"], &["10.0.0.1"]]);
    let bytes = fetch(&fetcher, &format!("http://files.example:{}/a.png", server.address.port())).await.unwrap();
    assert_eq!(bytes, png());
    assert_eq!(*asked.lock().unwrap(), ["files.example"]);
    assert!(server.requests()[0].to_ascii_lowercase().contains("host: files.example"));
}

#[tokio::test]
async fn a_name_that_leads_inside_is_not_connected_to() {
    for line in [&["127.0.0.2"][..], &["127.0.0.1", "127.0.0.2"], &["::1"], &["::ffff:127.0.0.1"]] {
        let server = Server::start(vec![found()]).await;
        let (fetcher, asked) = fetcher(PLAYED, &[line]);
        let error =
            fetch(&fetcher, &format!("http://files.example:{}/a.png", server.address.port())).await.unwrap_err();
        assert!(matches!(error, FetchError::Unsafe(_)), "{line:?}: {error}");
        assert_eq!((server.connections(), asked.lock().unwrap().len()), (0, 1), "{line:?}");
    }
}

#[tokio::test]
async fn a_name_that_changes_its_mind_between_redirects_is_caught() {
    let server = Server::start(vec![redirect("/b.png"), found()]).await;
    let (fetcher, _) = fetcher(PLAYED, &[&["127.0.0.1"], &["127.0.0.2"]]);
    let error = fetch(&fetcher, &format!("http://files.example:{}/a.png", server.address.port())).await.unwrap_err();
    assert!(matches!(error, FetchError::Unsafe(_)), "{error}");
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn redirects_are_few_and_checked_like_the_first_address() {
    let three = Server::start(vec![redirect("/1"), redirect("/2"), redirect("/3"), found()]).await;
    let (many, _) = fetcher(PLAYED, &[]);
    let url = format!("http://127.0.0.1:{}/a.png?signature=marked", three.address.port());
    assert_eq!(fetch(&many, &url).await.unwrap(), png());
    let four = Server::start((0..5).map(|_| redirect("/x")).collect()).await;
    let url = format!("http://127.0.0.1:{}/a.png?signature=marked", four.address.port());
    let error = fetch(&many, &url).await.unwrap_err();
    assert!(matches!(error, FetchError::Unsafe(_)) && !error.to_string().contains("marked"), "{error}");
    assert_eq!(four.connections(), 4);
    for target in
        ["http://127.0.0.2/x", "http://169.254.169.254/", "file:///etc/passwd", "http://u:p@127.0.0.1/", "gopher://a/"]
    {
        let server = Server::start(vec![redirect(target), found()]).await;
        let url = format!("http://127.0.0.1:{}/a.png", server.address.port());
        let error = fetch(&many, &url).await.unwrap_err();
        assert!(matches!(error, FetchError::Unsafe(_)), "{target}: {error}");
        assert_eq!(server.connections(), 1, "{target}");
    }
    let nowhere = Server::start(vec![Turn::Say(response(302, "", b""))]).await;
    let error = fetch(&many, &format!("http://127.0.0.1:{}/", nowhere.address.port())).await.unwrap_err();
    assert!(matches!(error, FetchError::Broken(_)), "{error}");
}

#[tokio::test]
async fn the_public_internet_is_reached_with_tls_alone() {
    let (fetcher, asked) = fetcher(Reach::PUBLIC, &[&["10.0.0.1"]]);
    for url in
        ["http://files.example/a.png", "ftp://files.example/a", "data:image/png;base64,aGk=", "//a", "", "https://"]
    {
        let error = fetch(&fetcher, url).await.unwrap_err();
        assert!(matches!(error, FetchError::Unsafe(_)), "{url}: {error}");
    }
    assert_eq!(asked.lock().unwrap().len(), 0, "nothing is even looked up");
    let error = fetch(&fetcher, "https://files.example/a.png?signature=marked").await.unwrap_err();
    assert!(matches!(error, FetchError::Unsafe(_)) && error.to_string().contains("10.0.0.1"), "{error}");
    assert!(!error.to_string().contains("marked"), "{error}");
}

#[tokio::test]
async fn trouble_is_told_without_the_signature() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (fetcher, _) = fetcher(PLAYED, &[]);
    for url in [format!("http://{free}/a.png?signature=marked"), "http://files.example/marked".to_owned()] {
        let error = fetch(&fetcher, &url).await.unwrap_err();
        assert!(matches!(error, FetchError::Broken(_)) && !error.to_string().contains("marked"), "{error}");
    }
}
