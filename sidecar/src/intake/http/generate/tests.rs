//! Clients' names, how an answer is asked for, and what ends the wait for it.

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::super::{Serving, activity::Activity};
use super::*;
use crate::app::App;
use crate::config::{Config, UserFile};

fn named(header: Option<&str>, user: Option<&str>) -> String {
    let mut headers = HeaderMap::new();
    if let Some(name) = header {
        headers.insert("x-thumbforge-client", HeaderValue::from_bytes(name.as_bytes()).unwrap());
    }
    client(&headers, user)
}

#[test]
fn clients_are_named_as_far_as_a_log_can_show_them() {
    assert_eq!(named(None, None), "http:anonymous");
    assert_eq!(named(Some("ci-7"), Some("ada")), "http:ci-7");
    assert_eq!(named(None, Some("ada@studio")), "http:ada@studio");
    assert_eq!(named(Some("a b;\"c\"\t/../"), None), "http:abc..");
    assert_eq!(named(Some("\u{65e5}\u{672c}"), None), "http:anonymous");
    assert_eq!(named(Some(&"x".repeat(500)), None).len(), "http:".len() + CLIENT_CHARS_MAX);
}

fn later(uri: &str, prefer: Option<&str>) -> bool {
    let mut request = Request::builder().uri(uri);
    if let Some(prefer) = prefer {
        request = request.header("prefer", prefer);
    }
    wants_later(&request.body(Body::empty()).unwrap())
}

#[test]
fn a_receipt_is_given_to_who_asks_for_one() {
    assert!(later("/generate?async=1", None));
    assert!(later("/generate?x=2&async=true", None));
    assert!(later("/generate", Some("respond-async")));
    assert!(later("/generate", Some("wait=5, respond-async")));
    assert!(!later("/generate", None));
    assert!(!later("/generate?async=0", Some("return=minimal")));
}

#[test]
fn a_header_holds_what_headers_can() {
    assert_eq!(value("mask, \u{1f600}\r\nSet-Cookie: x"), "mask, ???Set-Cookie: x");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_ends_with_the_job_or_with_the_time_for_answers() {
    let folder = tempfile::tempdir().unwrap();
    let app = App::start(Config::new(folder.path(), &UserFile::default())).await.unwrap();
    let listen = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let serving = Serving { listen, token: None, allowed_hosts: Vec::new(), placeholder: false };
    let (closing, cut) = (CancellationToken::new(), CancellationToken::new());
    let door = Door::new(app.intake().clone(), serving, Activity::default(), closing, cut.clone());
    let wait = async |ending: Option<Ending>| {
        let (sender, ending_comes) = oneshot::channel();
        let held = match ending {
            Some(ending) => sender.send(ending).err().map(|_| unreachable!()),
            None => Some(sender),
        };
        let failure = ended(&door, Ticket { id: JobId(7), ending: ending_comes, interest: None }).await.unwrap_err();
        drop(held);
        failure
    };
    let full = Failure::new(ErrorCode::DiskFull, "failed to write");
    assert_eq!(wait(Some(Ending::Failed(full.clone()))).await, full);
    assert_eq!(wait(Some(Ending::Cancelled)).await.code, ErrorCode::Cancelled);
    cut.cancel();
    let stopped = wait(None).await;
    assert_eq!(stopped.code, ErrorCode::ShuttingDown);
    assert!(stopped.message.contains("job 7"), "{}", stopped.message);
    app.drain().await;
}
