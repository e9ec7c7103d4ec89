//! The client against a server that is nothing but a socket, so that it can break off anywhere.

mod http2;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::*;
use crate::adapter::{Body, Method, Part, PartContent, Protocol, adapter, read};
use crate::call::{AskedSize, Task};
use crate::endpoint::Secret;

/// What the server does with one connection, after it has read a whole request.
pub(crate) enum Turn {
    /// Writes this and closes.
    Say(Vec<u8>),
    /// Writes this and keeps the connection open without another word.
    Hang(Vec<u8>),
    /// Closes so that the peer sees a reset.
    Reset,
    /// Writes this head, then bytes without end, as long as somebody reads.
    Flood(Vec<u8>),
}

/// A server that does one turn for each connection, and what it was sent.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    begun: Arc<AtomicUsize>,
}

impl Server {
    pub(crate) async fn start(turns: Vec<Turn>) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), turns)
    }

    fn on(listener: TcpListener, turns: Vec<Turn>) -> Self {
        let (requests, begun) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
        let server = Self { address: listener.local_addr().unwrap(), requests: requests.clone(), begun: begun.clone() };
        tokio::spawn(async move {
            let mut held = Vec::new();
            for turn in turns {
                let (mut stream, _) = listener.accept().await.unwrap();
                begun.fetch_add(1, Ordering::SeqCst);
                let request = request(&mut stream).await;
                requests.lock().unwrap().push(request);
                // Whatever is written may meet a client that has gone.
                match turn {
                    Turn::Say(bytes) => drop(stream.write_all(&bytes).await),
                    Turn::Hang(bytes) => {
                        drop(stream.write_all(&bytes).await);
                        held.push(stream);
                    }
                    Turn::Reset => stream.set_zero_linger().unwrap(),
                    Turn::Flood(head) => {
                        drop(stream.write_all(&head).await);
                        let block = vec![b'x'; 1 << 20];
                        while stream.write_all(b"100000\r\n").await.is_ok() && stream.write_all(&block).await.is_ok() {
                            if stream.write_all(b"\r\n").await.is_err() {
                                break;
                            }
                        }
                    }
                }
            }
            // Nobody is refused because the script is over: a test that asks too often sees it in the count.
            while let Ok((stream, _)) = listener.accept().await {
                begun.fetch_add(1, Ordering::SeqCst);
                held.push(stream);
            }
        });
        server
    }

    /// Requests that were read whole.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// Connections that were made.
    pub(crate) fn connections(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

/// Reads a request with its body.
async fn request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let mut block = vec![0; 65_536];
        let count = stream.read(&mut block).await.unwrap_or(0);
        bytes.extend_from_slice(&block[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let whole = text.find("\r\n\r\n").is_some_and(|end| {
            let length = text[..end].lines().find_map(|line| line.strip_prefix("content-length: "));
            bytes.len() >= end + 4 + length.map_or(0, |length| length.parse().unwrap())
        });
        if whole || count == 0 {
            return text;
        }
    }
}

/// A response with its length.
pub(crate) fn response(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes =
        format!("HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n", body.len())
            .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

fn say(status: u16, body: &str) -> Turn {
    Turn::Say(response(status, "", body.as_bytes()))
}

/// The smallest head of a PNG.
pub(crate) fn png() -> Vec<u8> {
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    png.extend([0, 0, 0, 4, 0, 0, 0, 4]);
    png
}

fn picture() -> String {
    json!({"data": [{"b64_json": read::base64(&png())}]}).to_string()
}

pub(crate) fn tls() -> rustls::ClientConfig {
    tls::config().unwrap()
}

fn endpoint(url: &str) -> Endpoint {
    Endpoint {
        account: "studio".to_owned(),
        base_url: url.parse().unwrap(),
        key: Some(Secret::new("sk-marked-key")),
        options: BTreeMap::new(),
        allow_private: true,
        timeout: Duration::from_secs(20),
    }
}

fn hasty(url: &str) -> Endpoint {
    // Long enough for a loaded machine to get through a request, short enough to wait for.
    Endpoint { timeout: Duration::from_millis(1500), ..endpoint(url) }
}

fn call() -> Call {
    Call {
        task: Task::Generate,
        model: "m".to_owned(),
        prompt: "a red fox".to_owned(),
        negative: String::new(),
        size: AskedSize::Free,
        quality: String::new(),
        count: 1,
        seed: None,
        steps: None,
        guidance: None,
        sampler: None,
        strength: None,
        images: Vec::new(),
        mask: None,
        nonce: "nonce-1".to_owned(),
    }
}

/// Somebody who waits, and what he heard.
struct Waiting {
    /// Each id, with how many requests the server had had by then.
    accepted: Mutex<Vec<(String, usize)>>,
    heard: Arc<Mutex<Vec<String>>>,
    goes_on: bool,
    cancel: Notify,
}

impl Waiting {
    fn new(server: &Server) -> Self {
        let accepted = Mutex::new(Vec::new());
        Self { accepted, heard: server.requests.clone(), goes_on: true, cancel: Notify::new() }
    }

    fn accepted(&self) -> Vec<(String, usize)> {
        self.accepted.lock().unwrap().clone()
    }
}

impl Watch for Waiting {
    fn accepted<'a>(&'a self, id: &'a str) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
        Box::pin(async move {
            let heard = self.heard.lock().unwrap().len();
            self.accepted.lock().unwrap().push((id.to_owned(), heard));
            self.goes_on
        })
    }

    fn cancelled(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            self.cancel.notified().await;
            // Once cancelled, it stays so.
            self.cancel.notify_one();
        })
    }
}

/// A protocol whose replies say themselves what follows.
struct Spoken;

impl Adapter for Spoken {
    fn protocol(&self) -> Protocol {
        Protocol::Post
    }

    fn version(&self) -> u32 {
        1
    }

    fn keys(&self, endpoint: &Endpoint) -> Vec<(&'static str, Secret)> {
        endpoint.key.iter().map(|key| ("x-key", key.clone())).collect()
    }

    fn known_as(&self, nonce: &str) -> Option<String> {
        Some(nonce.to_owned())
    }

    fn begin(&self, _: &Endpoint, call: &Call) -> Result<Request, Fault> {
        Ok(Request {
            method: Method::Post,
            path: "/begin".to_owned(),
            query: Vec::new(),
            headers: Vec::new(),
            body: Body::Json(json!({"prompt": call.prompt})),
        })
    }

    fn poll(&self, _: &Endpoint, _: &Call, id: &str) -> Option<Request> {
        (id != "mute").then(|| get(&format!("/poll/{id}")))
    }

    fn cancel(&self, _: &Endpoint, id: &str) -> Option<Request> {
        Some(Request { method: Method::Post, ..get(&format!("/cancel/{id}")) })
    }

    fn next(&self, endpoint: &Endpoint, call: &Call, stage: Stage<'_>, reply: &Reply) -> Step {
        if reply.status >= 400 {
            let ms = read::retry_after_ms(reply);
            let fault = Fault::new(read::by_status(reply.status).0, read::said(reply).message);
            return Step::Failed(Fault { retry_after_ms: ms, ..fault });
        }
        let said: Value = reply.json().unwrap();
        let text = |name: &str| said[name].as_str().map(str::to_owned);
        if let Some(id) = text("poll") {
            return Step::Poll { id, after: Duration::ZERO };
        }
        if let Some(url) = text("fetch") {
            let provider_id = Some("fetch-1".to_owned());
            return Step::Fetch { urls: vec![(url, Some(7))], usage: Usage::default(), provider_id };
        }
        if said["again"].as_bool() == Some(true) {
            return Step::Again(Box::new(self.begin(endpoint, call).unwrap()));
        }
        let seed = matches!(stage, Stage::Polled { .. }).then_some(9);
        let pictures = vec![Picture { bytes: png().into(), seed }];
        Step::Done(Answer { pictures, usage: Usage::default(), provider_id: None })
    }

    fn quote(&self, _: &Endpoint, _: &Call) -> Option<Request> {
        Some(get("/quote"))
    }

    fn quoted(&self, reply: &Reply) -> Result<Quote, Fault> {
        let micros = reply.json().and_then(|said| said["micros"].as_u64());
        micros.map(|micros| Quote { micros, most: micros }).ok_or_else(|| Fault::new(Outcome::BadRequest, "no price"))
    }
}

fn get(path: &str) -> Request {
    Request { method: Method::Get, path: path.to_owned(), query: Vec::new(), headers: Vec::new(), body: Body::None }
}

fn client() -> Client {
    Client::new("thumbforge/test").unwrap()
}

/// A call in OpenAI's protocol; the server's turns decide what comes of it.
async fn perform(turns: Vec<Turn>, make: fn(&str) -> Endpoint) -> (Result<Answer, Fault>, Server) {
    let server = Server::start(turns).await;
    let endpoint = make(&server.url("/v1"));
    let adapter = adapter(Protocol::OpenAi).unwrap();
    let watch = Waiting::new(&server);
    (client().perform(adapter, &endpoint, &call(), &watch).await, server)
}

/// A call in the spoken protocol.
async fn spoken(turns: Vec<Turn>, make: fn(&str) -> Endpoint) -> (Result<Answer, Fault>, Server, Vec<(String, usize)>) {
    let server = Server::start(turns).await;
    let endpoint = make(&server.url(""));
    let watch = Waiting::new(&server);
    let result = client().perform(&Spoken, &endpoint, &call(), &watch).await;
    (result, server, watch.accepted())
}

#[tokio::test]
async fn a_picture_comes_back_and_the_key_goes_along() {
    let (answer, server) = perform(vec![say(200, &picture())], endpoint).await;
    assert_eq!(answer.unwrap().pictures, [Picture { bytes: png().into(), seed: None }]);
    let requests = server.requests();
    let (head, body) = requests[0].split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /v1/images/generations HTTP/1.1\r\n"), "{head}");
    for line in ["authorization: Bearer sk-marked-key", "user-agent: thumbforge/test", "content-type: application/json"]
    {
        assert!(head.lines().any(|found| found == line), "{line} in {head}");
    }
    assert_eq!(serde_json::from_str::<Value>(body).unwrap()["prompt"], "a red fox");
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn where_a_call_breaks_decides_what_is_known() {
    let cut = |status, body: &str| {
        let mut bytes = response(status, "", body.as_bytes());
        bytes.truncate(bytes.len() - 5);
        bytes
    };
    let refusal = r#"{"error":{"message":"later"}}"#;
    let (unknown, free) = (Billed::Unknown, Billed::No);
    let cases: Vec<(&str, Turn, Outcome, Billed)> = vec![
        ("silence", Turn::Hang(Vec::new()), Outcome::Ambiguous, unknown),
        ("half a head", Turn::Hang(b"HTTP/1.1 200 OK\r\ncontent-".to_vec()), Outcome::Ambiguous, unknown),
        (
            "a head, then silence",
            Turn::Hang(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n".to_vec()),
            Outcome::Ambiguous,
            unknown,
        ),
        ("half a body, then silence", Turn::Hang(cut(200, &picture())), Outcome::Ambiguous, unknown),
        ("half a body, then the end", Turn::Say(cut(200, &picture())), Outcome::Ambiguous, unknown),
        ("a reset", Turn::Reset, Outcome::Ambiguous, unknown),
        ("the end", Turn::Say(Vec::new()), Outcome::Ambiguous, unknown),
        ("no HTTP", Turn::Say(b"SSH-2.0-OpenSSH_9.6\r\n".to_vec()), Outcome::Ambiguous, unknown),
        ("half a refusal", Turn::Say(cut(429, refusal)), Outcome::Throttled, free),
        ("half a refusal, then silence", Turn::Hang(cut(503, refusal)), Outcome::Transient, free),
        ("half a gateway's error", Turn::Say(cut(502, "<html></html>")), Outcome::Ambiguous, unknown),
        ("no picture", say(200, &json!({"data": [{"b64_json": "aGVsbG8="}]}).to_string()), Outcome::Empty, Billed::Yes),
        ("a whole refusal", say(500, refusal), Outcome::Transient, free),
    ];
    // Side by side, since half of them wait for the end of the endpoint's time.
    let mut running = tokio::task::JoinSet::new();
    for (name, turn, outcome, billed) in cases {
        running.spawn(async move {
            let make = if matches!(turn, Turn::Hang(_)) { hasty } else { endpoint };
            let (result, server) = perform(vec![turn], make).await;
            let fault = result.unwrap_err();
            assert_eq!((fault.outcome, fault.billed), (outcome, billed), "{name}: {}", fault.message);
            assert_eq!(server.connections(), 1, "{name}: nothing is sent twice");
            assert!(fault.message.starts_with("draw with m"), "{name}: {}", fault.message);
        });
    }
    while let Some(ended) = running.join_next().await {
        ended.unwrap();
    }
}

#[tokio::test]
async fn what_never_connected_was_not_sent() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let plain = Server::start(Vec::new()).await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let no_tls = closed.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = closed.accept().await {
            drop(stream);
        }
    });
    for url in [
        format!("http://{free}/v1"),
        // The handshake fails, and nothing of the request is in it.
        format!("https://{no_tls}/v1"),
        "http://no-such-host.invalid/v1".to_owned(),
    ] {
        let watch = Waiting::new(&plain);
        let adapter = adapter(Protocol::OpenAi).unwrap();
        let fault = client().perform(adapter, &endpoint(&url), &call(), &watch).await.unwrap_err();
        assert_eq!((fault.outcome, fault.billed), (Outcome::Transient, Billed::No), "{}", fault.message);
    }
}

#[tokio::test]
async fn a_call_that_waits_for_its_connection_is_not_sent_yet() {
    // It takes connections and never answers a handshake.
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/v1", mute.local_addr().unwrap());
    let nobody = Server::start(Vec::new()).await;
    let late = client().perform(&Spoken, &hasty(&url), &call(), &Waiting::new(&nobody)).await.unwrap_err();
    assert_eq!((late.outcome, late.billed), (Outcome::Transient, Billed::No), "{}", late.message);
    let (watch, client, endpoint, call) = (Waiting::new(&nobody), client(), endpoint(&url), call());
    let cancel = async {
        let _connection = mute.accept().await.unwrap();
        watch.cancel.notify_one();
    };
    let (result, ()) = tokio::join!(client.perform(&Spoken, &endpoint, &call, &watch), cancel);
    assert_eq!(result.unwrap_err().outcome, Outcome::Cancelled);
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let announced = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", u64::MAX / 2);
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_owned();
    for head in [announced, chunked] {
        let (result, _server) = perform(vec![Turn::Flood(head.into_bytes())], endpoint).await;
        let fault = result.unwrap_err();
        assert_eq!((fault.outcome, fault.billed), (Outcome::Empty, Billed::Yes), "{}", fault.message);
        assert!(fault.message.contains("96 MiB"), "{}", fault.message);
    }
}

#[tokio::test]
async fn no_redirect_takes_the_key_elsewhere() {
    let elsewhere = Server::start(vec![say(200, &picture())]).await;
    for status in [301, 302, 307, 308] {
        let location = format!("location: {}\r\n", elsewhere.url("/v1/images/generations"));
        let (result, server) = perform(vec![Turn::Say(response(status, &location, b""))], endpoint).await;
        let fault = result.unwrap_err();
        assert_eq!((fault.outcome, fault.range), (Outcome::BadRequest, Range::Account), "{}", fault.message);
        assert_eq!((server.connections(), elsewhere.connections()), (1, 0));
    }
}

#[tokio::test]
async fn a_key_does_not_cross_the_network_in_the_clear() {
    let nowhere = Server::start(Vec::new()).await;
    for (url, allow_private, key, refused) in [
        // Addresses for documentation: nobody is there, and nobody is asked.
        ("http://192.0.2.1/v1", false, true, true),
        ("ftp://192.0.2.1/v1", true, false, true),
        ("http://localhost:1/v1", false, true, false),
        ("http://127.0.0.1:1/v1", false, true, false),
        ("http://[::1]:1/v1", false, true, false),
    ] {
        let key = key.then(|| Secret::new("sk-marked-key"));
        let endpoint = Endpoint { allow_private, key, ..hasty(url) };
        let adapter = adapter(Protocol::OpenAi).unwrap();
        let fault = client().perform(adapter, &endpoint, &call(), &Waiting::new(&nowhere)).await.unwrap_err();
        assert_eq!(fault.outcome == Outcome::BadRequest, refused, "{url}: {}", fault.message);
    }
}

#[tokio::test]
async fn no_fault_repeats_the_key() {
    let echo = json!({"error": {"message": "Incorrect API key provided: sk-marked-key"}}).to_string();
    for status in [400, 401, 403, 429, 500] {
        let (result, _server) = perform(vec![say(status, &echo)], endpoint).await;
        let fault = result.unwrap_err();
        assert!(!format!("{fault:?}").contains("sk-marked"), "{fault:?}");
    }
    let bad = Endpoint { key: Some(Secret::new("sk-\u{7}marked")), ..endpoint("http://127.0.0.1:1/v1") };
    let server = Server::start(Vec::new()).await;
    let adapter = adapter(Protocol::OpenAi).unwrap();
    let fault = client().perform(adapter, &bad, &call(), &Waiting::new(&server)).await.unwrap_err();
    assert_eq!(fault.outcome, Outcome::BadRequest);
    assert!(!format!("{fault:?}").contains("marked"), "{fault:?}");
}

#[tokio::test]
async fn pictures_travel_as_files() {
    let server = Server::start(vec![say(200, &picture())]).await;
    let edit = Call { task: Task::Edit, images: vec![png().into()], mask: Some(png().into()), ..call() };
    let adapter = adapter(Protocol::OpenAi).unwrap();
    let endpoint = endpoint(&server.url("/v1"));
    client().perform(adapter, &endpoint, &edit, &Waiting::new(&server)).await.unwrap();
    let request = &server.requests()[0];
    for part in [
        "POST /v1/images/edits HTTP/1.1",
        "content-type: multipart/form-data; boundary=thumbforge-",
        "Content-Disposition: form-data; name=\"prompt\"\r\n\r\na red fox\r\n",
        "name=\"image\"; filename=\"image-0.png\"\r\nContent-Type: image/png\r\n\r\n",
        "name=\"mask\"; filename=\"mask.png\"\r\n",
    ] {
        assert!(request.contains(part), "{part} in {request}");
    }
    // What the form is made of holds no surprises for a server either.
    let parts = [Part { name: "a".to_owned(), content: PartContent::Text("b".to_owned()) }];
    assert!(matches!(body::encode(&Body::Multipart(parts.to_vec())), (Some(_), bytes) if bytes.ends_with(b"--\r\n")));
}

#[tokio::test]
async fn a_call_cancelled_before_it_went_out_costs_nothing() {
    let server = Server::start(vec![say(200, &picture())]).await;
    let watch = Waiting::new(&server);
    watch.cancel.notify_one();
    let fault = client().perform(&Spoken, &endpoint(&server.url("")), &call(), &watch).await.unwrap_err();
    assert_eq!((fault.outcome, server.connections()), (Outcome::Cancelled, 0));
}

#[tokio::test]
async fn a_call_cancelled_on_its_way_may_cost_something() {
    for turns in [vec![Turn::Hang(Vec::new())], vec![say(200, r#"{"poll":"job-1"}"#), Turn::Hang(Vec::new())]] {
        let last = turns.len();
        let server = Server::start(turns).await;
        let (watch, client, endpoint, call) = (Waiting::new(&server), client(), endpoint(&server.url("")), call());
        let cancel = async {
            while server.requests().len() < last {
                tokio::task::yield_now().await;
            }
            watch.cancel.notify_one();
        };
        let (result, ()) = tokio::join!(client.perform(&Spoken, &endpoint, &call, &watch), cancel);
        let fault = result.unwrap_err();
        assert_eq!((fault.outcome, fault.billed), (Outcome::Ambiguous, Billed::Unknown), "{}", fault.message);
        let id = if last == 1 { "nonce-1" } else { "job-1" };
        assert_eq!(fault.provider_id.as_deref(), Some(id), "what it can be asked after by");
    }
}

#[tokio::test]
async fn an_accepted_call_is_written_down_before_it_is_asked_after() {
    let poll = || say(200, r#"{"poll":"job-1"}"#);
    let busy = Turn::Say(response(429, "retry-after-ms: 1\r\n", b""));
    let turns = vec![poll(), poll(), busy, poll(), say(200, "{}")];
    let (answer, server, accepted) = spoken(turns, endpoint).await;
    assert_eq!(answer.unwrap().pictures[0].seed, Some(9));
    assert_eq!(accepted, [("job-1".to_owned(), 1)], "once, when one request was out");
    let lines: Vec<String> = server.requests().iter().map(|text| text.lines().next().unwrap().to_owned()).collect();
    let poll = "GET /poll/job-1 HTTP/1.1";
    assert_eq!(lines, ["POST /begin HTTP/1.1", poll, poll, poll, poll]);
    assert!(server.requests().iter().all(|request| request.contains("x-key: sk-marked-key")));
}

#[tokio::test]
async fn a_poll_that_breaks_is_made_again() {
    let turns = vec![say(200, r#"{"poll":"job-1"}"#), Turn::Reset, say(503, "busy"), say(200, "{}")];
    let (answer, server, _) = spoken(turns, endpoint).await;
    assert_eq!((answer.unwrap().pictures.len(), server.connections()), (1, 4));
}

#[tokio::test]
async fn what_a_poll_says_of_the_call_counts() {
    for (status, outcome, billed) in [
        (400, Outcome::BadRequest, Billed::No),
        (401, Outcome::Auth, Billed::Unknown),
        (402, Outcome::OutOfFunds, Billed::Unknown),
        (404, Outcome::BadRequest, Billed::No),
    ] {
        let (result, _server, _) = spoken(vec![say(200, r#"{"poll":"job-1"}"#), say(status, "no")], endpoint).await;
        let fault = result.unwrap_err();
        assert_eq!((fault.outcome, fault.billed), (outcome, billed), "{status}");
        assert_eq!(fault.provider_id.as_deref(), Some("job-1"), "{status}");
    }
}

#[tokio::test]
async fn a_call_that_is_never_done_is_ambiguous() {
    let forever = || (0..99).map(|_| say(200, r#"{"poll":"job-1"}"#)).collect::<Vec<_>>();
    let unanswered = || vec![say(200, r#"{"poll":"job-1"}"#), Turn::Hang(Vec::new())];
    let mute = || vec![say(200, r#"{"poll":"mute"}"#)];
    for (turns, id) in [(forever(), "job-1"), (unanswered(), "job-1"), (mute(), "mute")] {
        let (result, server, _) = spoken(turns, hasty).await;
        let fault = result.unwrap_err();
        assert_eq!((fault.outcome, fault.billed), (Outcome::Ambiguous, Billed::Unknown), "{}", fault.message);
        assert_eq!(fault.provider_id.as_deref(), Some(id));
        assert!(server.connections() <= 16, "{} polls in a second and a half", server.connections());
    }
}

#[tokio::test]
async fn whoever_stops_at_the_id_is_obeyed() {
    let server = Server::start(vec![say(200, r#"{"poll":"job-1"}"#)]).await;
    let watch = Waiting { goes_on: false, ..Waiting::new(&server) };
    let fault = client().perform(&Spoken, &endpoint(&server.url("")), &call(), &watch).await.unwrap_err();
    assert_eq!((fault.outcome, fault.provider_id.as_deref()), (Outcome::Ambiguous, Some("job-1")));
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_call_of_an_earlier_life_is_asked_after_and_not_made_again() {
    let server = Server::start(vec![say(200, r#"{"poll":"job-1"}"#), say(200, "{}")]).await;
    let watch = Waiting::new(&server);
    let answer = client().resume(&Spoken, &endpoint(&server.url("")), &call(), "job-1", &watch).await;
    assert_eq!((answer.unwrap().pictures.len(), watch.accepted().len()), (1, 0));
    assert!(server.requests().iter().all(|request| request.starts_with("GET /poll/job-1 ")));
    let adapter = adapter(Protocol::OpenAi).unwrap();
    let fault = client().resume(adapter, &endpoint(&server.url("")), &call(), "x", &watch).await.unwrap_err();
    assert_eq!(fault.outcome, Outcome::Ambiguous, "a protocol without polls knows nothing");
}

#[tokio::test]
async fn a_changed_request_is_sent_once() {
    let again = || say(200, r#"{"again":true}"#);
    let (answer, server, _) = spoken(vec![again(), say(200, "{}")], endpoint).await;
    assert_eq!((answer.is_ok(), server.connections()), (true, 2));
    let (result, server, _) = spoken(vec![again(), again(), say(200, "{}")], endpoint).await;
    assert_eq!((result.unwrap_err().outcome, server.connections()), (Outcome::BadRequest, 2));
}

#[tokio::test]
async fn a_compatible_server_is_asked_again_without_the_field_it_refuses() {
    let refusal = json!({"error": {"message": "unknown", "param": "response_format"}}).to_string();
    let server = Server::start(vec![say(400, &refusal), say(200, &picture())]).await;
    let adapter = adapter(Protocol::OpenAiCompatible).unwrap();
    let answer = client().perform(adapter, &endpoint(&server.url("/v1")), &call(), &Waiting::new(&server)).await;
    assert!(answer.is_ok());
    let requests = server.requests();
    let has = |at: usize| requests[at].contains("response_format");
    assert_eq!((requests.len(), has(0), has(1)), (2, true, false));
}

#[tokio::test]
async fn results_elsewhere_are_fetched_without_the_key() {
    let wanted = || Turn::Say(response(200, "content-type: text/plain\r\n", &png()));
    let files = Server::start(vec![say(500, ""), Turn::Reset, wanted()]).await;
    let body = json!({"fetch": files.url("/a.png?signature=marked")}).to_string();
    let (answer, _server, _) = spoken(vec![say(200, &body)], endpoint).await;
    assert_eq!(answer.unwrap().pictures, [Picture { bytes: png().into(), seed: Some(7) }]);
    assert_eq!(files.requests().len(), 3, "a fetch changes nothing, so it is tried again");
    assert!(files.requests().iter().all(|request| !request.contains("sk-marked-key")));
}

#[tokio::test]
async fn the_endpoint_itself_is_told_the_key_for_its_results_too() {
    let elsewhere = Server::start(vec![Turn::Say(response(200, "", &png()))]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let home = format!("http://{}", listener.local_addr().unwrap());
    let turns = vec![
        say(200, &json!({"fetch": format!("{home}/a.png")}).to_string()),
        Turn::Say(response(302, &format!("location: {}\r\n", elsewhere.url("/b.png")), b"")),
    ];
    let server = Server::on(listener, turns);
    client().perform(&Spoken, &endpoint(&home), &call(), &Waiting::new(&server)).await.unwrap();
    assert!(server.requests()[1].contains("x-key: sk-marked-key"));
    assert!(!elsewhere.requests()[0].contains("sk-marked-key"), "a redirect does not carry it away");
}

#[tokio::test]
async fn a_result_that_cannot_be_fetched_is_paid_for() {
    let missing = || (0..3).map(|_| say(404, "gone")).collect::<Vec<_>>();
    let text = || vec![say(200, "<html>not a picture</html>")];
    for (turns, outcome, connections) in [(missing(), Outcome::Ambiguous, 3), (text(), Outcome::Empty, 1)] {
        let files = Server::start(turns).await;
        let body = json!({"fetch": files.url("/a.png?signature=marked")}).to_string();
        let (result, _server, _) = spoken(vec![say(200, &body)], endpoint).await;
        let fault = result.unwrap_err();
        assert_eq!((fault.outcome, fault.billed, files.connections()), (outcome, Billed::Yes, connections));
        assert_eq!(fault.provider_id.as_deref(), Some("fetch-1"));
        assert!(!fault.message.contains("marked"), "{}", fault.message);
    }
}

#[tokio::test]
async fn a_provider_cannot_point_into_the_network_it_is_called_from() {
    let inside = Server::start(vec![Turn::Say(response(200, "", &png()))]).await;
    let port = inside.address.port();
    for url in [
        format!("http://127.0.0.1:{port}/a.png"),
        format!("https://127.0.0.1:{port}/a.png"),
        format!("https://localhost:{port}/a.png"),
        format!("https://[::ffff:127.0.0.1]:{port}/a.png"),
        format!("https://2130706433:{port}/a.png"),
        "https://169.254.169.254/latest/meta-data/".to_owned(),
        "file:///etc/passwd".to_owned(),
    ] {
        let server = Server::start(vec![say(200, &json!({"fetch": url}).to_string())]).await;
        let endpoint = Endpoint { allow_private: false, ..endpoint(&server.url("")) };
        let fault = client().perform(&Spoken, &endpoint, &call(), &Waiting::new(&server)).await.unwrap_err();
        assert_eq!((fault.outcome, fault.billed), (Outcome::Empty, Billed::Yes), "{url}: {}", fault.message);
        assert_eq!(inside.connections(), 0, "{url}");
    }
}

#[tokio::test]
async fn prices_are_asked_and_calls_given_up_beside_the_call() {
    let server = Server::start(vec![say(200, r#"{"micros":60000}"#), say(200, "{}"), say(200, ""), Turn::Reset]).await;
    let (client, endpoint, call) = (client(), endpoint(&server.url("")), call());
    let quote = client.quote(&Spoken, &endpoint, &call).await.unwrap();
    assert_eq!(quote, Some(Quote { micros: 60_000, most: 60_000 }));
    assert_eq!(client.quote(&Spoken, &endpoint, &call).await.unwrap_err().outcome, Outcome::BadRequest);
    client.give_up(&Spoken, &endpoint, "job-1").await;
    let broken = client.quote(&Spoken, &endpoint, &call).await.unwrap_err();
    assert_eq!((broken.outcome, broken.billed), (Outcome::Transient, Billed::No));
    let lines: Vec<String> = server.requests().iter().map(|text| text.lines().next().unwrap().to_owned()).collect();
    let quote = "GET /quote HTTP/1.1";
    assert_eq!(lines, [quote, quote, "POST /cancel/job-1 HTTP/1.1", quote]);
    let adapter = adapter(Protocol::OpenAi).unwrap();
    assert_eq!(client.quote(adapter, &endpoint, &call).await, Ok(None));
}
