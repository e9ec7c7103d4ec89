//! Every adapter through the real client, against a provider that obeys a script: what is sent, what its answers become,
//! and that nobody is told that a call cost nothing which the provider's book has.

mod outcomes;
mod requests;
mod results;
mod transport;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use thumbforge_core::image::Extent;
use thumbforge_hosted::{
    Adapter, Answer, AskedSize, Call, Client, Endpoint, Fault, Protocol, Secret, Task, Watch, adapter,
};
use thumbforge_tests::provider::{Options, Provider, picture};
use tokio::sync::watch;
use url::Url;

/// The key of every account here; servers of one's own take it as a name and a word.
const KEY: &str = "tester:marked-key-7f3a";

/// A provider, a client, and what the client's owner heard.
struct Shop {
    provider: Provider,
    client: Client,
    runtime: tokio::runtime::Runtime,
    timeout: Duration,
    allow_private: bool,
}

/// Who waits for a call here.
struct Waiting {
    accepted: Mutex<Vec<String>>,
    goes_on: bool,
    cancelled: watch::Receiver<bool>,
}

impl Watch for Waiting {
    fn accepted<'a>(&'a self, id: &'a str) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
        self.accepted.lock().expect("nobody panicked").push(id.to_owned());
        Box::pin(async { self.goes_on })
    }

    fn cancelled(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let mut cancelled = self.cancelled.clone();
        Box::pin(async move {
            if cancelled.wait_for(|cancelled| *cancelled).await.is_err() {
                // Whoever could cancel is gone, so nobody will.
                std::future::pending::<()>().await;
            }
        })
    }
}

impl Shop {
    fn open() -> Self {
        Self::with(Options { key: Some(KEY.into()), polls: 0, ..Options::plain() })
    }

    fn with(options: Options) -> Self {
        Self {
            provider: Provider::with(options),
            client: Client::new("thumbforge-tests").expect("a client"),
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .expect("a runtime"),
            timeout: Duration::from_secs(60),
            allow_private: true,
        }
    }

    fn endpoint(&self, protocol: Protocol) -> Endpoint {
        let path = match protocol {
            Protocol::OpenAi | Protocol::OpenAiCompatible => "/v1",
            Protocol::Post => "/post",
            _ => "/",
        };
        let mut options = BTreeMap::new();
        if matches!(protocol, Protocol::Vertex) {
            options.extend([("project".to_owned(), "p".to_owned()), ("location".to_owned(), "global".to_owned())]);
        }
        Endpoint {
            account: "tests".into(),
            base_url: Url::parse(&format!("{}{path}", self.provider.origin())).expect("an address"),
            key: Some(Secret::new(KEY)),
            options,
            allow_private: self.allow_private,
            timeout: self.timeout,
        }
    }

    /// Carries a call out.
    fn ask(&self, protocol: Protocol, call: &Call) -> Result<Answer, Fault> {
        self.heard(protocol, call).0
    }

    /// The same, with the names that it was accepted under.
    fn heard(&self, protocol: Protocol, call: &Call) -> (Result<Answer, Fault>, Vec<String>) {
        let waiting = waiting();
        let endpoint = self.endpoint(protocol);
        let result = self.runtime.block_on(self.client.perform(by(protocol), &endpoint, call, &waiting));
        (result, waiting.accepted.into_inner().expect("nobody panicked"))
    }

    /// Goes on with a call.
    fn resume(&self, protocol: Protocol, call: &Call, id: &str) -> Result<Answer, Fault> {
        self.runtime.block_on(self.client.resume(by(protocol), &self.endpoint(protocol), call, id, &waiting()))
    }

    /// Calls that the provider billed.
    fn billed(&self) -> usize {
        self.provider.book().charges.len()
    }
}

fn waiting() -> Waiting {
    let (_, cancelled) = watch::channel(false);
    Waiting { accepted: Mutex::default(), goes_on: true, cancelled }
}

fn by(protocol: Protocol) -> &'static dyn Adapter {
    adapter(protocol).expect("every protocol has an adapter")
}

/// A model of each protocol that draws.
fn model(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::OpenAi => "gpt-image-2.5-flare",
        Protocol::OpenAiCompatible => "dall-e-3",
        Protocol::Gemini | Protocol::Vertex => "gemini-3-pro-image",
        Protocol::Imagen => "imagen-4.0-generate-001",
        Protocol::Ideogram => "ideogram-3",
        Protocol::IdeogramV1 => "V_2",
        Protocol::Stability => "sd3.5-large",
        Protocol::A1111 | Protocol::ComfyUi | Protocol::SdCpp | Protocol::Post => "sd3.5_medium",
    }
}

/// A small drawing in the terms of a protocol.
fn drawing(protocol: Protocol) -> Call {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let pixels = AskedSize::Pixels(Extent { width: 1024, height: 1024 });
    let size = match protocol {
        Protocol::Gemini | Protocol::Vertex => AskedSize::Ratio { ratio: "1:1".into(), resolution: Some("1K".into()) },
        Protocol::Imagen | Protocol::Ideogram | Protocol::IdeogramV1 | Protocol::Stability => {
            AskedSize::Ratio { ratio: "1:1".into(), resolution: None }
        }
        _ => pixels,
    };
    let seeded = !matches!(protocol, Protocol::OpenAi | Protocol::OpenAiCompatible);
    Call {
        task: Task::Generate,
        model: model(protocol).into(),
        prompt: format!("a fox, number {}", NUMBER.fetch_add(1, Ordering::Relaxed)),
        negative: String::new(),
        size,
        quality: if protocol == Protocol::OpenAi { "medium".into() } else { String::new() },
        count: 1,
        seed: seeded.then_some(7),
        steps: None,
        guidance: None,
        sampler: None,
        strength: None,
        images: Vec::new(),
        mask: None,
        nonce: format!("0b9e7f6a-0000-4000-8000-{:012x}", NUMBER.fetch_add(1, Ordering::Relaxed)),
    }
}

/// A real picture of 1024 pixels a side.
fn photo() -> Bytes {
    picture::picture((1024, 1024), "photo", 1, 0).png
}

/// The fault of a call that gave none of what it was asked for.
#[track_caller]
fn fault(result: Result<Answer, Fault>) -> Fault {
    let fault = result.expect_err("a fault");
    assert!(!format!("{fault:?}").contains("marked-key"), "the key is told: {fault:?}");
    fault
}
