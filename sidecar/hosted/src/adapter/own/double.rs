//! What the tests of these adapters share: a call, an endpoint, replies, and steps told in one line.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use thumbforge_core::image::Extent;
use url::Url;

use crate::adapter::{Adapter, Body, Reply, Request, Stage, Step};
use crate::call::{AskedSize, Call, Task};
use crate::endpoint::{Endpoint, Secret};
use crate::fault::Fault;

/// A call with every field that these servers take.
pub(crate) fn call(task: Task) -> Call {
    Call {
        task,
        model: "sd3.5_medium".into(),
        prompt: "a fox".into(),
        negative: "blurry".into(),
        size: AskedSize::Pixels(Extent { width: 512, height: 384 }),
        quality: String::new(),
        count: 1,
        seed: Some(7),
        steps: Some(28),
        guidance: Some(4.5),
        sampler: Some("euler".into()),
        strength: None,
        images: if task == Task::Generate { Vec::new() } else { vec![png(64, 32)] },
        mask: None,
        nonce: "0b9e7f6a-0000-4000-8000-000000000001".into(),
    }
}

/// As much of a PNG as its size needs.
pub(crate) fn png(width: u32, height: u32) -> Bytes {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0DIHDR".to_vec();
    bytes.extend_from_slice(&width.to_be_bytes());
    bytes.extend_from_slice(&height.to_be_bytes());
    bytes.into()
}

/// A server on this machine, with or without a key.
pub(crate) fn endpoint(key: Option<&str>) -> Endpoint {
    Endpoint {
        account: "mine".into(),
        base_url: Url::parse("http://127.0.0.1:8188/").expect("an address"),
        key: key.map(Secret::new),
        options: BTreeMap::new(),
        allow_private: true,
        timeout: Duration::from_secs(60),
    }
}

/// A reply.
pub(crate) fn reply(status: u16, body: impl Into<Bytes>) -> Reply {
    Reply { status, headers: Vec::new(), body: body.into() }
}

/// The JSON that a call begins with.
#[track_caller]
pub(crate) fn body(begun: Result<Request, Fault>) -> serde_json::Value {
    match begun.expect("a request").body {
        Body::Json(value) => value,
        other => panic!("{other:?} is no JSON"),
    }
}

/// A step in one line: what it is, then what it carries.
pub(crate) fn tell(step: Step) -> String {
    match step {
        Step::Poll { id, after } => format!("poll {id} {}", after.as_millis()),
        Step::Fetch { urls, .. } => {
            format!("fetch {}", urls.into_iter().map(|(url, _)| url).collect::<Vec<_>>().join(" "))
        }
        Step::Done(answer) => {
            let one = |picture: &crate::call::Picture| format!("{:?}", picture.seed);
            format!("done {}", answer.pictures.iter().map(one).collect::<Vec<_>>().join(" "))
        }
        Step::Failed(fault) => format!(
            "{} {:?} {:?} {:?} id={}: {}",
            fault.outcome.word(),
            fault.range,
            fault.billed,
            fault.retry_after_ms,
            fault.provider_id.unwrap_or_default(),
            fault.message
        ),
        Step::Again(_) => "again".into(),
    }
}

/// Holds a step against what it begins with and what it says.
#[track_caller]
pub(crate) fn expect(step: Step, head: &str, says: &str) {
    let told = tell(step);
    assert!(told.starts_with(head) && told.contains(says), "{told:?} is not {head:?} … {says:?}");
}

/// Whatever a server sends, an adapter says something, and no message grows beyond its bound.
pub(crate) fn survives(adapter: &dyn Adapter, task: Task, status: u16, body: Vec<u8>, id: &str, polls: u32) {
    let (endpoint, mut call) = (endpoint(None), call(task));
    call.count = 2;
    let reply = reply(status, body);
    for stage in [Stage::Begun, Stage::Polled { id, polls }] {
        if let Step::Failed(fault) = adapter.next(&endpoint, &call, stage, &reply) {
            assert!(fault.message.len() <= crate::fault::MESSAGE_BYTES_MAX + '…'.len_utf8());
        }
    }
    if let Some(request) = adapter.poll(&endpoint, &call, id) {
        assert!(request.path.starts_with('/') && !request.path.contains("..") && !request.path.contains('?'));
    }
    if let Some(request) = adapter.cancel(&endpoint, id) {
        assert!(request.path.starts_with('/') && !request.path.contains(".."));
    }
}
