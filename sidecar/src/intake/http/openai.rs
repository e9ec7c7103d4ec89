//! OpenAI's image calls, for clients that speak nothing else.
//!
//! What the original has and we cannot honour is refused with its name, unless `"lossy": true` allows dropping it.
//! Beside the original's fields everything of [`asked`] is read (`seed`, `steps`, `tier`, …).
//! Picture `i` of `n` is drawn with the seed of the first plus `i`; so the first is the picture that `n = 1` gives.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::future::try_join_all;
use serde_json::{Value, json};
use thumbforge_core::error::ErrorCode;
use thumbforge_core::image::Extent;
use thumbforge_core::job::JobSpec;
use thumbforge_core::limits;

use super::asked::{self, Asked, Terms};
use super::body::Fields;
use super::generate::{Picture, client};
use super::refusal::{Refusal, shown};
use super::{Door, body, fields};

/// Size where none is named, as the original has it.
const SIZE: Extent = Extent { width: 1024, height: 1024 };

/// Fields of the original, with the values that ask for nothing which we do not do anyway.
const NEUTRAL: &[(&str, &[&str])] = &[
    ("quality", &["auto", "standard"]),
    ("background", &["auto", "opaque"]),
    ("moderation", &["auto"]),
    ("output_format", &["png"]),
    ("output_compression", &["100"]),
    ("stream", &["false"]),
    ("partial_images", &["0"]),
];

/// How pictures travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Base64,
    Url,
}

/// What the original's own fields ask for.
#[derive(Debug)]
struct Wanted {
    count: u32,
    form: Form,
    user: Option<String>,
}

/// `POST /v1/images/generations`.
pub(super) async fn generations(State(door): State<Arc<Door>>, request: Request<Body>) -> Result<Json<Value>, Refusal> {
    let began = Instant::now();
    let (parts, body) = request.into_parts();
    let mut fields = body::fields(body).await?;
    let wanted = wanted(&mut fields)?;
    let terms = Terms {
        catalogue: door.intake.catalogue(),
        client: client(&parts.headers, wanted.user.as_deref()),
        now_ms: door.intake.now_ms(),
        size: SIZE,
        model: None,
        placeholder: door.serving.placeholder,
        lossy: false,
    };
    let Asked { spec, dropped } = asked::read(fields, terms)?;
    let pictures = seeded(&spec, wanted.count).into_iter().map(|spec| {
        let asked = Asked { spec, dropped: dropped.clone() };
        Picture::of(&door, asked, began)
    });
    let pictures = try_join_all(pictures).await?;
    // The guard has seen that this is a name of ours.
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let data: Vec<Value> = pictures.iter().map(|picture| entry(picture, wanted.form, host)).collect();
    Ok(Json(json!({ "created": door.intake.now_ms() / 1000, "data": data })))
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
    Ok(Wanted { count, form, user: fields::text(fields, &["user"])? })
}

/// The jobs of one request: the first as it was asked, the others with the seeds that follow.
fn seeded(spec: &JobSpec, count: u32) -> Vec<JobSpec> {
    let first = spec.recipe.drawing_seed();
    let nth = |n: u32| {
        let mut spec = spec.clone();
        if n > 0 {
            spec.recipe.seed = Some((first + u64::from(n)) & limits::SEED_MAX);
        }
        spec
    };
    (0..count).map(nth).collect()
}

fn entry(picture: &Picture, form: Form, host: &str) -> Value {
    let render = &picture.render;
    let mut entry = json!({ "thumbforge": {
        "key": render.realised_key,
        "job": picture.job,
        "model": render.model,
        "placeholder_for": render.placeholder_for,
        "seed": render.realisation.seed,
        "meta": picture.meta(),
    }});
    match form {
        Form::Base64 => entry["b64_json"] = json!(BASE64.encode(&picture.bytes)),
        Form::Url => entry["url"] = json!(format!("http://{host}/renders/{}.png", render.realised_key)),
    }
    entry
}

/// `POST /v1/images/edits`: no engine of this build changes pictures.
pub(super) async fn edits(request: Request<Body>) -> Refusal {
    body::forget(request.into_body()).await;
    let message =
        "failed to edit a picture: no engine of this machine edits; draw a new one with /v1/images/generations";
    Refusal::new(ErrorCode::UnsupportedField, message).with_param("image")
}

#[cfg(test)]
mod tests;
