//! Adapters: one a protocol, each pure. It makes requests, and reads replies into what comes next.

use std::time::Duration;

use bytes::Bytes;

use crate::call::{Answer, Call, Usage};
use crate::endpoint::{Endpoint, Secret};
use crate::fault::Fault;

mod a1111;
mod comfyui;
mod gemini;
mod google;
mod ideogram;
mod ideogram_v1;
mod imagen;
mod openai;
mod openai_compatible;
mod own;
mod post;
pub mod read;
mod sdcpp;
mod stability;
mod vendor;
mod vertex;

/// The adapter of a protocol; `None` where this build has none.
pub fn adapter(protocol: Protocol) -> Option<&'static dyn Adapter> {
    match protocol {
        Protocol::OpenAi => Some(&openai::OpenAi),
        Protocol::OpenAiCompatible => Some(&openai_compatible::OpenAiCompatible),
        Protocol::Post => Some(&post::Post),
        Protocol::Gemini => Some(&gemini::Gemini),
        Protocol::Vertex => Some(&vertex::Vertex),
        Protocol::Imagen => Some(&imagen::Imagen),
        Protocol::Ideogram => Some(&ideogram::Ideogram),
        Protocol::IdeogramV1 => Some(&ideogram_v1::IdeogramV1),
        Protocol::Stability => Some(&stability::Stability),
        // Servers of one's own.
        Protocol::A1111 => Some(&a1111::A1111),
        Protocol::ComfyUi => Some(&comfyui::ComfyUi),
        Protocol::SdCpp => Some(&sdcpp::SdCpp),
    }
}

/// The protocols that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// OpenAI's image calls for the GPT Image family.
    OpenAi,
    /// The same calls as dall-e-3 had them, which compatible servers speak.
    OpenAiCompatible,
    /// Google's `generateContent`, on the Gemini API.
    Gemini,
    /// The same on Vertex.
    Vertex,
    /// Google's `predict`, for Imagen.
    Imagen,
    /// Ideogram's second API.
    Ideogram,
    /// Ideogram's first.
    IdeogramV1,
    /// Stability's.
    Stability,
    /// AUTOMATIC1111's web UI, and Forge.
    A1111,
    /// ComfyUI.
    ComfyUi,
    /// stable-diffusion.cpp's own asynchronous one.
    SdCpp,
    /// A POST that is answered with the picture itself.
    Post,
}

impl Protocol {
    /// Every protocol.
    pub const ALL: [Self; 12] = [
        Self::OpenAi,
        Self::OpenAiCompatible,
        Self::Gemini,
        Self::Vertex,
        Self::Imagen,
        Self::Ideogram,
        Self::IdeogramV1,
        Self::Stability,
        Self::A1111,
        Self::ComfyUi,
        Self::SdCpp,
        Self::Post,
    ];

    /// The word in catalogues and settings.
    pub const fn word(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::OpenAiCompatible => "openai-compatible",
            Self::Gemini => "gemini",
            Self::Vertex => "vertex",
            Self::Imagen => "imagen",
            Self::Ideogram => "ideogram",
            Self::IdeogramV1 => "ideogram-v1",
            Self::Stability => "stability",
            Self::A1111 => "a1111",
            Self::ComfyUi => "comfyui",
            Self::SdCpp => "sdcpp",
            Self::Post => "post",
        }
    }

    /// The protocol of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.word() == word)
    }
}

/// A request, apart from its key.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// How.
    pub method: Method,
    /// Where, behind the endpoint's address; begins with a slash, and is empty for the address itself. Its parts are
    /// escaped already.
    pub path: String,
    /// Behind the question mark.
    pub query: Vec<(String, String)>,
    /// Besides the key and what the body says of itself.
    pub headers: Vec<(String, String)>,
    /// What.
    pub body: Body,
}

/// How a request is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Nothing changes by it, so it may be sent again.
    Get,
    /// It may make and bill a picture.
    Post,
}

/// What a request carries.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// Nothing.
    None,
    /// JSON.
    Json(serde_json::Value),
    /// A form with files.
    Multipart(Vec<Part>),
}

/// A field of a form.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub content: PartContent,
}

/// What a field of a form holds.
#[derive(Debug, Clone, PartialEq)]
pub enum PartContent {
    /// Words.
    Text(String),
    /// A file.
    File {
        /// Its name.
        file_name: String,
        /// Its type ("image/png").
        mime: String,
        /// It.
        bytes: Bytes,
    },
}

/// A whole answer of a server.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers, their names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// A header by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON, if it is.
    pub fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// Which request a reply is to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage<'a> {
    /// The one that asks for the picture.
    Begun,
    /// One that asks how a call stands, by the provider's name for it; how many were made before this.
    Polled {
        /// The provider's name for the call.
        id: &'a str,
        /// Polls before this one.
        polls: u32,
    },
}

/// What follows from a reply.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// The provider has the call and works on it: `id` is written down, then it is asked again after a while.
    Poll {
        /// The provider's name for the call.
        id: String,
        /// How long to wait.
        after: Duration,
    },
    /// The pictures lie at these addresses and are fetched before anything is done.
    Fetch {
        /// Each with the seed that the provider says.
        urls: Vec<(String, Option<u64>)>,
        /// What the provider says that it used.
        usage: Usage,
        /// The provider's name for the call.
        provider_id: Option<String>,
    },
    /// The same request, changed: the first was refused for a field of it before anything was made. Once at most.
    Again(Box<Request>),
    /// The pictures are here.
    Done(Answer),
    /// There are none.
    Failed(Fault),
}

/// What a provider says that a call would cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quote {
    /// What it is expected to cost, in millionths of a US dollar.
    pub micros: u64,
    /// The most that it can cost.
    pub most: u64,
}

/// One protocol.
pub trait Adapter: Send + Sync {
    /// Which.
    fn protocol(&self) -> Protocol;

    /// Raised when the same call gives other pictures, because it is asked differently.
    fn version(&self) -> u32;

    /// The headers that carry the key; sent to the endpoint's own origin alone.
    fn keys(&self, endpoint: &Endpoint) -> Vec<(&'static str, Secret)>;

    /// The request that asks for the pictures.
    ///
    /// # Errors
    /// What the protocol cannot say, before anything is sent.
    fn begin(&self, endpoint: &Endpoint, call: &Call) -> Result<Request, Fault>;

    /// The request that asks how a call stands; `None` where the protocol has none.
    fn poll(&self, _endpoint: &Endpoint, _call: &Call, _id: &str) -> Option<Request> {
        None
    }

    /// The name by which the provider will know a call before it has answered: calls that were sent and not answered
    /// are asked after by it. `nonce` is the call's own. `None` where the provider chooses names itself.
    fn known_as(&self, _nonce: &str) -> Option<String> {
        None
    }

    /// The request that gives a call up, so far as the provider lets one.
    fn cancel(&self, _endpoint: &Endpoint, _id: &str) -> Option<Request> {
        None
    }

    /// What follows from a reply. Never panics, whatever a server sends.
    fn next(&self, endpoint: &Endpoint, call: &Call, stage: Stage<'_>, reply: &Reply) -> Step;

    /// The request that asks what a call would cost, and is never billed; `None` where the protocol has none.
    fn quote(&self, _endpoint: &Endpoint, _call: &Call) -> Option<Request> {
        None
    }

    /// What a quote says.
    ///
    /// # Errors
    /// Why it says nothing.
    fn quoted(&self, reply: &Reply) -> Result<Quote, Fault> {
        let message =
            format!("read a price: the provider answered {} to a question that it does not know", reply.status);
        Err(Fault::new(thumbforge_core::job::Outcome::BadRequest, message))
    }
}
