//! OpenAI's image calls, for clients that speak nothing else: of GPT Image and of dall-e-3, whose fields differ.
//!
//! What the original has and we cannot honour is refused with its name, unless `"lossy": true` allows dropping it.
//! Beside the original's fields everything of [`asked`] is read (`seed`, `steps`, `tier`, …).
//! Picture `i` of `n` is drawn with the seed of the first plus `i`; so the first is the picture that `n = 1` gives.
//! Where no seed was named, models without seeds draw the others too: each is a picture of its own there anyway.
//!
//! `usage` is left out: whoever reads it wants tokens, and not every engine counts some. What a picture cost stands in
//! `thumbforge.meta`.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::future::try_join_all;
use serde_json::{Map, Value, json};
use thumbforge_core::error::ErrorCode;
use thumbforge_core::image::Extent;
use thumbforge_core::job::JobSpec;
use thumbforge_core::limits;
use thumbforge_core::recipe::{Edit, Operation};

use super::asked::{self, Asked, Terms};
use super::attach::Identity;
use super::body::Fields;
use super::generate::{Coming, Picture, client};
use super::refusal::{Refusal, shown};
use super::stream;
use super::{Door, body, edit, fields};

/// Size where none is named, as the original has it.
const SIZE: Extent = Extent { width: 1024, height: 1024 };
/// A recipe's word for its seed, where it allows dropping fields.
const SEED: &str = "seed";

/// Fields of the original, with the values that ask for nothing which we do not do anyway.
const NEUTRAL: &[(&str, &[&str])] = &[
    ("quality", &["auto", "standard"]),
    ("background", &["auto", "opaque"]),
    ("moderation", &["auto"]),
    ("output_format", &["png"]),
    ("output_compression", &["100"]),
    ("partial_images", &["0"]),
    ("input_fidelity", &["low"]),
];

/// How pictures travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Base64,
    Url,
}

/// What the original's own fields ask for.
#[derive(Debug)]
struct Wanted {
    count: u32,
    form: Form,
    stream: bool,
}

/// `POST /v1/images/generations`.
pub(super) async fn generations(State(door): State<Arc<Door>>, request: Request<Body>) -> Result<Response, Refusal> {
    let began = Instant::now();
    let (parts, body) = request.into_parts();
    let fields = body::fields(body).await?;
    answer(&door, &parts, fields, None, began).await
}

/// `POST /v1/images/edits`. Besides the original's there is `operation`: `edit`, or `upscale` with the size to come.
pub(super) async fn edits(State(door): State<Arc<Door>>, request: Request<Body>) -> Result<Response, Refusal> {
    let began = Instant::now();
    let (parts, body) = request.into_parts();
    // The semaphore is never closed.
    let carrier = door.carriers.clone().acquire_owned().await;
    let mut brought = edit::read(&parts.headers, body).await?;
    let pictures = brought.hashes();
    let kept = brought.keep(&door).await?;
    drop(carrier);
    let of_any =
        |names: &[&str]| names.iter().any(|name| brought.fields.get(*name).is_some_and(|value| !value.is_null()));
    if kept.edit.operation == Operation::Upscale && !of_any(&["size", "width", "w"]) {
        return Err(Refusal::field("size", "make the picture larger: name the size that it is to have"));
    }
    let changed = Changed { edit: kept.edit, size: kept.size, pictures };
    let answered = answer(&door, &parts, brought.fields, Some(changed), began).await;
    // The job is journalled by now, and needs no pins of ours.
    drop(kept.pins);
    answered.map_err(|refusal| match refusal.code() {
        ErrorCode::UnsupportedField => refusal.or_param("image"),
        _ => refusal,
    })
}

/// Pictures that a request changes.
struct Changed {
    edit: Edit,
    /// Size of the first.
    size: Extent,
    /// As they came.
    pictures: Vec<thumbforge_core::id::ContentHash>,
}

async fn answer(
    door: &Arc<Door>,
    parts: &Parts,
    mut fields: Fields,
    changed: Option<Changed>,
    began: Instant,
) -> Result<Response, Refusal> {
    let user = fields::text(&mut fields, &["user"])?;
    let client = client(&parts.headers, user.as_deref());
    let pictures = changed.as_ref().map_or(&[][..], |changed| &changed.pictures);
    let identity = Identity::of(&parts.headers, &client, parts.uri.path(), &fields, pictures)?;
    identity.enter(door, 0).await?;
    let wanted = wanted(&mut fields)?;
    for nth in 1..wanted.count {
        identity.enter(door, nth).await?;
    }
    let (kind, size) = match &changed {
        Some(changed) => (stream::Kind::Edit, changed.size),
        None => (stream::Kind::Generation, SIZE),
    };
    let market = door.intake.market();
    let terms = Terms {
        catalogue: &market.catalogue,
        client,
        now_ms: door.intake.now_ms(),
        size,
        model: None,
        edit: changed.map(|changed| changed.edit),
        placeholder: door.serving.placeholder,
        lossy: false,
    };
    let Asked { spec, dropped } = asked::read(fields, terms)?;
    let coming = seeded(&spec, wanted.count).into_iter().enumerate().map(|(nth, spec)| {
        let asked = Asked { spec, dropped: dropped.clone() };
        Coming::begin(door, asked, &identity, nth as u32, began)
    });
    let coming = try_join_all(coming).await?;
    // The guard has seen that this is a name of ours.
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    if wanted.stream {
        return Ok(stream::answer(door, kind, coming));
    }
    let pictures = try_join_all(coming.into_iter().map(|coming| coming.picture(door))).await?;
    Ok(whole(&pictures, wanted.form, host, door.intake.now_ms() / 1000))
}

/// Takes the original's own fields out.
fn wanted(fields: &mut Fields) -> Result<Wanted, Refusal> {
    for (name, neutral) in NEUTRAL {
        let is_neutral = fields.get(*name).is_some_and(|value| {
            let word = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            neutral.contains(&word.as_str())
        });
        // Anything else stays, and is refused or dropped with the rest of what nobody understands.
        if is_neutral {
            fields.remove(*name);
        }
    }
    let count = fields::integer(fields, &["n"])?.unwrap_or(1);
    let count = u32::try_from(count).ok().filter(|count| (1..=limits::IMAGES_PER_REQUEST_MAX).contains(count));
    let count = count.ok_or_else(|| {
        Refusal::field("n", format!("draw so many pictures: n goes from 1 to {}", limits::IMAGES_PER_REQUEST_MAX))
    })?;
    let form = match fields::text(fields, &["response_format"])?.as_deref() {
        None | Some("b64_json") => Form::Base64,
        Some("url") => Form::Url,
        Some(other) => {
            let message = format!("answer in the form {:?}: there are b64_json and url", shown(other));
            return Err(Refusal::field("response_format", message));
        }
    };
    let stream = fields::truth(fields, &["stream"])?.unwrap_or(false);
    Ok(Wanted { count, form, stream })
}

/// The jobs of one request: the first as it was asked, the others with the seeds that follow.
fn seeded(spec: &JobSpec, count: u32) -> Vec<JobSpec> {
    let first = spec.recipe.drawing_seed();
    let nth = |n: u32| {
        let mut spec = spec.clone();
        if n > 0 {
            if spec.recipe.seed.is_none() && !spec.terms.allow_lossy.iter().any(|field| field == SEED) {
                spec.terms.allow_lossy.push(SEED.to_owned());
            }
            spec.recipe.seed = Some((first + u64::from(n)) & limits::SEED_MAX);
        }
        spec
    };
    (0..count).map(nth).collect()
}

/// The answer that comes in one piece. Written by hand around the pictures: at a megabyte each, what is copied is what
/// answering costs.
fn whole(pictures: &[Picture], form: Form, host: &str, created: u64) -> Response {
    let room = |picture: &Picture| if form == Form::Base64 { picture.bytes.len() / 3 * 4 + 4 } else { 256 };
    let mut text = String::with_capacity(pictures.iter().map(|picture| room(picture) + 4096).sum());
    text.push_str("{\"data\":[");
    for (nth, picture) in pictures.iter().enumerate() {
        text.push_str(if nth == 0 { "{" } else { ",{" });
        match form {
            Form::Base64 => {
                text.push_str("\"b64_json\":\"");
                BASE64.encode_string(&picture.bytes, &mut text);
                text.push('"');
            }
            Form::Url => {
                let url = format!("http://{host}/renders/{}.png", picture.render.realised_key);
                text.push_str(&format!("\"url\":{}", json!(url)));
            }
        }
        text.push_str(&format!(",\"thumbforge\":{}}}", about(picture)));
    }
    text.push(']');
    let mut headers = HeaderMap::new();
    let mut rest = Map::from_iter([("created".to_owned(), json!(created))]);
    if let Some(first) = pictures.first() {
        headers = first.headers();
        rest.extend(words(first));
    }
    for (name, value) in &rest {
        text.push_str(&format!(",{}:{value}", json!(name)));
    }
    text.push('}');
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    (headers, text).into_response()
}

/// What the original says about its pictures.
pub(super) fn words(picture: &Picture) -> Map<String, Value> {
    let render = &picture.render;
    let quality = picture.quality.as_ref().map(|word| ("quality".to_owned(), json!(word)));
    let words = [
        ("background".to_owned(), json!("opaque")),
        ("output_format".to_owned(), json!("png")),
        ("size".to_owned(), json!(render.size.to_string())),
    ];
    words.into_iter().chain(quality).collect()
}

/// What there is to know beside the original's fields.
pub(super) fn about(picture: &Picture) -> Value {
    let render = &picture.render;
    json!({
        "key": render.realised_key,
        "job": picture.job,
        "model": render.model,
        "placeholder_for": render.placeholder_for,
        "seed": render.realisation.seed,
        "meta": picture.meta(),
    })
}

#[cfg(test)]
mod tests;
