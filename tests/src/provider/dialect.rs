//! Dialects: which a request speaks, what it asks for, and what a server of that kind answers.
//!
//! Every file of the folder is one family, written from the formats' documentation and not from our adapters, so that a
//! mistake has to be made twice to be missed.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::lettering::{self, Lettered, quoted};
use super::picture::{Picture, picture};
use super::rule::Reply;
use super::{Charge, Recorded, Shared, lock};

mod google;
mod ideogram;
mod openai;
mod own;
mod stability;

/// What a request asks to be made.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) dialect: &'static str,
    pub(super) prompt: String,
    pub(super) model: String,
    pub(super) size: (u32, u32),
    pub(super) seed: Option<u64>,
    pub(super) pictures: u32,
    /// Whether a picture is changed.
    pub(super) edit: bool,
    /// What the picture says, once it is billed.
    pub(super) lettered: Option<Lettered>,
}

impl Asked {
    fn new(dialect: &'static str, prompt: impl Into<String>) -> Self {
        let (model, size) = (String::new(), (1024, 1024));
        Self { dialect, prompt: prompt.into(), model, size, seed: None, pictures: 1, edit: false, lettered: None }
    }
}

/// Calls that take longer than one answer, by the name under which they are asked after.
#[derive(Default)]
pub(super) struct Works {
    works: HashMap<String, Work>,
    count: u64,
}

/// One of them.
#[derive(Clone)]
struct Work {
    asked: Asked,
    /// Polls before it is done.
    left: u32,
    cancelled: bool,
}

/// Calls that are remembered; beyond it all are forgotten, which benchmarks of other dialects never notice.
const WORKS_MAX: usize = 20_000;

impl Works {
    pub(super) fn clear(&mut self) {
        self.works.clear();
    }

    fn name(&mut self, prefix: &str) -> String {
        self.count += 1;
        format!("{prefix}{:08}", self.count)
    }

    fn begin(&mut self, id: &str, asked: Asked, left: u32) {
        if self.works.len() >= WORKS_MAX {
            self.works.clear();
        }
        self.works.insert(id.to_owned(), Work { asked, left, cancelled: false });
    }

    /// How a call stands; each asking brings it nearer to its end.
    fn poll(&mut self, id: &str) -> Option<(Work, bool)> {
        let work = self.works.get_mut(id)?;
        let done = work.left == 0;
        work.left = work.left.saturating_sub(1);
        Some((work.clone(), done))
    }
}

/// What a request asks for, where it asks for a picture.
pub(super) fn read(request: &Recorded) -> Option<Asked> {
    if request.method != "POST" {
        return None;
    }
    openai::read(request)
        .or_else(|| google::read(request))
        .or_else(|| ideogram::read(request))
        .or_else(|| stability::read(request))
        .or_else(|| own::read(request))
}

/// What a server of the kind answers. A picture that it makes is billed here and nowhere else.
pub(super) async fn answer(shared: &Arc<Shared>, request: &Recorded, asked: Option<Asked>) -> Reply {
    if let Some(key) = &shared.options.key
        && !has_key(request, key)
    {
        return refuse(&request.path);
    }
    match asked {
        Some(mut asked) => {
            asked.size = shared.options.size.unwrap_or(asked.size);
            asked.lettered = lettered(shared, &asked);
            match asked.dialect {
                "openai" => openai::make(shared, request, asked).await,
                "gemini" | "imagen" => google::make(shared, request, asked).await,
                "ideogram" | "ideogram-v1" => ideogram::make(shared, request, asked).await,
                "stability" => stability::make(shared, request, asked).await,
                _ => own::make(shared, request, asked).await,
            }
        }
        None => openai::other(shared, request)
            .or_else(|| file(shared, request))
            .or_else(|| ideogram::other(shared, request))
            .or_else(|| stability::other(shared, request))
            .or_else(|| own::other(shared, request))
            .unwrap_or_else(|| Reply::json(404, &json!({"detail": "Not Found"}))),
    }
}

/// Whether a request has the key, in whichever header its dialect carries one.
fn has_key(request: &Recorded, key: &str) -> bool {
    let plain = ["x-goog-api-key", "api-key"].into_iter().any(|name| request.header(name) == Some(key));
    let authorization = request.header("authorization").unwrap_or_default();
    let basic = || {
        use base64::Engine as _;
        let text = authorization.strip_prefix("Basic ")?;
        base64::engine::general_purpose::STANDARD.decode(text).ok()
    };
    // Results are fetched without a key: they are signed addresses elsewhere.
    plain
        || authorization.strip_prefix("Bearer ") == Some(key)
        || basic().is_some_and(|bytes| bytes == key.as_bytes())
        || request.path.starts_with("/files/")
}

/// A key that is wrong, in the words of the dialect of a path.
fn refuse(path: &str) -> Reply {
    if path.contains("/images/") || path.ends_with("/models") {
        let message = "Incorrect API key provided.";
        let error =
            json!({"message": message, "type": "invalid_request_error", "param": null, "code": "invalid_api_key"});
        return Reply::json(401, &json!({ "error": error }));
    }
    if path.contains(":generateContent") || path.contains(":predict") {
        let details = [json!({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"})];
        let error =
            json!({"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT", "details": details});
        return Reply::json(400, &json!({ "error": error }));
    }
    if path.starts_with("/v2beta") {
        let body = json!({"id": "1", "name": "unauthorized", "errors": ["missing or invalid api key"]});
        return Reply::json(401, &body);
    }
    if path.starts_with("/sdapi") {
        return Reply::json(401, &json!({"detail": "Incorrect username or password"}))
            .header("www-authenticate", "Basic");
    }
    Reply::json(401, &json!({"error": "invalid key"}))
}

/// Takes its time, then bills.
async fn work(shared: &Shared, request: &Recorded, asked: &Asked) {
    {
        let mut book = lock(&shared.book);
        book.in_flight += asked.pictures;
        book.in_flight_max = book.in_flight_max.max(book.in_flight);
    }
    if !shared.options.latency.is_zero() {
        tokio::time::sleep(shared.options.latency).await;
    }
    lock(&shared.book).in_flight -= asked.pictures;
    bill(shared, request, asked);
}

/// What the next picture for a request says, where the provider letters.
fn lettered(shared: &Shared, asked: &Asked) -> Option<Lettered> {
    let lettering = shared.options.lettering.as_ref()?;
    let words = quoted(&asked.prompt)?;
    // Each picture of a prompt is another try.
    let number = lock(&shared.book).turn(&asked.prompt);
    let drawn = lettering.write(words, &asked.model, asked.edit, number);
    Some(Lettered { asked: words.to_owned(), drawn, edit: asked.edit, model: asked.model.clone() })
}

/// Bills, without waiting.
fn bill(shared: &Shared, request: &Recorded, asked: &Asked) {
    lock(&shared.book).charge(Charge {
        prompt: asked.prompt.clone(),
        model: asked.model.clone(),
        dialect: asked.dialect,
        pictures: asked.pictures,
        request: request.number,
        lettered: asked.lettered.clone(),
    });
}

/// The picture with a number, counted from 0.
fn nth(shared: &Shared, asked: &Asked, number: u32) -> Picture {
    if shared.options.lettering.is_some() {
        return lettering::picture(asked.size, &asked.prompt, asked.lettered.as_ref().map(|said| said.drawn.as_str()));
    }
    let seed = asked.seed.unwrap_or_default() + u64::from(number);
    picture(asked.size, &asked.prompt, seed, shared.options.picture_bytes)
}

/// An address of the picture: this server under another name, since results lie on another origin than calls.
fn address(shared: &Shared, asked: &Asked, number: u32) -> String {
    let id = {
        let mut works = lock(&shared.works);
        let id = works.name("file");
        let mut one = asked.clone();
        one.seed = Some(asked.seed.unwrap_or_default() + u64::from(number));
        works.begin(&id, one, 0);
        id
    };
    let origin = shared.origin().replace("127.0.0.1", "localhost");
    format!("{origin}/files/{id}.png?exp=1795000000&sig=abc")
}

/// A result that was given as an address.
fn file(shared: &Shared, request: &Recorded) -> Option<Reply> {
    let id = request.path.strip_prefix("/files/")?.strip_suffix(".png")?;
    Some(match lock(&shared.works).poll(id) {
        Some((work, _)) => Reply::of(200, "image/png", nth(shared, &work.asked, 0).png),
        None => Reply::of(404, "text/plain", "expired"),
    })
}

/// A size like "1536x1024", between two bounds that memory can bear.
fn pixels(text: &str) -> Option<(u32, u32)> {
    let (width, height) = text.split_once(['x', 'X', '_'])?;
    let side = |side: &str| side.trim().parse::<u32>().ok().filter(|side| (1..=4096).contains(side));
    Some((side(width)?, side(height)?))
}

/// About a megapixel in a ratio like "16:9", "16x9" or "16_9", in steps of 16 pixels.
fn ratio(text: &str, area: f64) -> Option<(u32, u32)> {
    let (width, height) = text.split_once([':', 'x', '_'])?;
    let (width, height): (f64, f64) = (width.parse().ok()?, height.parse().ok()?);
    if !(width > 0.0 && height > 0.0) {
        return None;
    }
    let side = |side: f64| ((side / 16.0).round() * 16.0).clamp(16.0, 4096.0) as u32;
    Some((side((area * width / height).sqrt()), side((area * height / width).sqrt())))
}

/// A JSON string of a value, empty where there is none.
fn string(value: Option<&Value>) -> String {
    value.and_then(Value::as_str).unwrap_or_default().to_owned()
}
