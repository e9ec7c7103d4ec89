//! The calls that scripts make: `/generate` answers JSON with the picture in it, `/api/generate` and `/models/{name}` the picture itself.
//!
//! ```text
//! body ─► job ─► in the store? ─yes─► answer
//!                     └─no─► journalled ─► drawn ─► answer      (a client that asks so is answered once it is journalled)
//! ```
//! These calls drop what they do not know and say so (`meta.dropped`), because scripts send what some other tool once read.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::json;
use thumbforge_core::day::Day;
use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::id::JobId;
use thumbforge_core::image::Extent;
use thumbforge_core::job::{Ending, Render};
use thumbforge_core::model::ModelId;

use super::asked::{self, Asked, Terms};
use super::attach::Identity;
use super::body::Name;
use super::refusal::Refusal;
use super::{Door, body};
use crate::engine::local::asked::LOSSY;
use crate::intake::{Cached, Ticket};
use crate::router::Warning;

/// Size where a script names none: what the editor's thumbnails have.
const SIZE: Extent = Extent { width: 512, height: 512 };
/// Longest name of a client.
const CLIENT_CHARS_MAX: usize = 64;

/// `POST /generate`.
pub(super) async fn json(State(door): State<Arc<Door>>, request: Request<Body>) -> Result<Response, Refusal> {
    let (began, later) = (Instant::now(), wants_later(&request));
    let (asked, identity) = script(&door, request, None).await?;
    if later {
        return accepted(&door, asked, &identity).await;
    }
    let picture = Coming::begin(&door, asked, &identity, 0, began).await?.picture(&door).await?;
    let mut response = Json(json!({
        "status": "done",
        "job": picture.job,
        "model": picture.render.model,
        "placeholder_for": picture.render.placeholder_for,
        "seed": picture.render.realisation.seed,
        "image": BASE64.encode(&picture.bytes),
        "width": picture.render.size.width,
        "height": picture.render.size.height,
        "key": picture.render.realised_key,
        "meta": picture.meta(),
    }))
    .into_response();
    response.headers_mut().extend(picture.headers());
    Ok(response)
}

/// `POST /api/generate`.
pub(super) async fn image(State(door): State<Arc<Door>>, request: Request<Body>) -> Result<Response, Refusal> {
    image_of(&door, request, None).await
}

/// `POST /models/{name}`; the name `render` leaves the choice to the router.
pub(super) async fn image_by(
    State(door): State<Arc<Door>>,
    Name(name): Name,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let model = match name.as_str() {
        "render" => None,
        name => Some(asked::resolve(&door.intake.market().catalogue, name)?),
    };
    image_of(&door, request, model).await
}

async fn image_of(door: &Arc<Door>, request: Request<Body>, model: Option<ModelId>) -> Result<Response, Refusal> {
    let (began, later) = (Instant::now(), wants_later(&request));
    let (asked, identity) = script(door, request, model).await?;
    if later {
        return accepted(door, asked, &identity).await;
    }
    let picture = Coming::begin(door, asked, &identity, 0, began).await?.picture(door).await?;
    let headers = picture.headers();
    let mut response = ([(header::CONTENT_TYPE, "image/png")], picture.bytes).into_response();
    response.headers_mut().extend(headers);
    Ok(response)
}

async fn script(door: &Door, request: Request<Body>, model: Option<ModelId>) -> Result<(Asked, Identity), Refusal> {
    let (parts, body) = request.into_parts();
    let fields = body::fields(body).await?;
    let client = client(&parts.headers, None);
    let identity = Identity::of(&parts.headers, &client, parts.uri.path(), &fields, &[])?;
    identity.enter(door, 0).await?;
    let market = door.intake.market();
    let terms = Terms {
        catalogue: &market.catalogue,
        client,
        now_ms: door.intake.now_ms(),
        size: SIZE,
        model,
        edit: None,
        placeholder: door.serving.placeholder,
        lossy: true,
    };
    Ok((asked::read(fields, terms)?, identity))
}

/// Who asks, for fair turns: what it calls itself, as far as a log can show it.
pub(super) fn client(headers: &HeaderMap, user: Option<&str>) -> String {
    let named = headers.get("x-thumbforge-client").and_then(|name| name.to_str().ok()).or(user).unwrap_or_default();
    let name: String = named
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@' | ':'))
        .take(CLIENT_CHARS_MAX)
        .collect();
    if name.is_empty() { "http:anonymous".to_owned() } else { format!("http:{name}") }
}

/// Whether the client asks for a receipt now and the picture later (RFC 7240).
fn wants_later(request: &Request<Body>) -> bool {
    let query = request.uri().query().unwrap_or_default();
    let by_query = query.split('&').any(|pair| matches!(pair, "async=1" | "async=true"));
    let preferences = request.headers().get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    by_query || preferences.flat_map(|value| value.split([',', ';'])).any(|word| word.trim() == "respond-async")
}

/// A receipt: the job is durable, its picture follows.
async fn accepted(door: &Door, asked: Asked, identity: &Identity) -> Result<Response, Refusal> {
    let spec = door.intake.admit(asked.spec)?;
    // What has no route here is refused now; nobody waits for the job to say so.
    door.intake.route(&spec)?;
    let ticket = identity.submit(door, 0, spec).await?;
    let place = format!("/jobs/{}", ticket.id);
    let receipt =
        json!({ "status": "queued", "job": ticket.id, "location": place, "meta": { "dropped": asked.dropped } });
    let headers = [
        (header::LOCATION, place),
        (HeaderName::from_static("preference-applied"), "respond-async".to_owned()),
        (HeaderName::from_static("x-thumbforge-job"), ticket.id.to_string()),
    ];
    Ok((StatusCode::ACCEPTED, headers, Json(receipt)).into_response())
}

/// A picture that was asked for and let in.
pub(super) struct Coming {
    from: Source,
    /// The quality that was named.
    quality: Option<String>,
    dropped: Vec<String>,
    began: Instant,
}

enum Source {
    /// It was there.
    Store(Box<Cached>),
    /// It will be drawn, or is being drawn.
    Job(Ticket),
}

impl Coming {
    /// Finds picture `nth` of a request in the store, or accepts its job.
    ///
    /// # Errors
    /// Why there will be none; nothing was begun then.
    pub(super) async fn begin(
        door: &Door,
        asked: Asked,
        identity: &Identity,
        nth: u32,
        began: Instant,
    ) -> Result<Self, Refusal> {
        let spec = door.intake.admit(asked.spec)?;
        let quality = spec.recipe.settings.quality.clone();
        let held = if identity.is_known(door, nth)? { None } else { door.intake.cached(&spec).await? };
        let from = match held {
            Some(cached) => Source::Store(Box::new(cached)),
            None => Source::Job(identity.submit(door, nth, spec).await?),
        };
        Ok(Self { from, quality, dropped: asked.dropped, began })
    }

    /// Waits for it.
    ///
    /// # Errors
    /// Why there is none, with the number of its job.
    pub(super) async fn picture(self, door: &Door) -> Result<Picture, Refusal> {
        let (render, bytes, job, cached) = match self.from {
            Source::Store(cached) => (cached.render, cached.bytes, None, true),
            Source::Job(ticket) => {
                let id = ticket.id;
                let (render, cached) = ended(door, ticket).await.map_err(|err| Refusal::from(err).with_job(id))?;
                // The file may be gone again only if the store is smaller than what is being drawn at once.
                let (render, bytes) = door.intake.picture(render.realised_key).await.ok_or_else(|| {
                    let message = "failed to read the picture: the store gave it up at once; give the store more room";
                    Refusal::new(ErrorCode::Storage, message).with_job(id)
                })?;
                (render, bytes, Some(id), cached)
            }
        };
        let mut dropped = self.dropped;
        dropped.extend(render.realisation.dropped.iter().cloned());
        dropped.sort_unstable();
        dropped.dedup();
        let warnings = warnings(door, &render);
        // A model's own word is told where it is another than the one that was named, and none where none counted.
        let settings = &render.realisation.settings;
        let counted = !dropped.iter().any(|field| field == "quality");
        let quality = settings.get("quality").cloned().or(self.quality.filter(|_| counted));
        let latency_ms = self.began.elapsed().as_millis() as u64;
        Ok(Picture { render, bytes, job, cached, latency_ms, dropped, warnings, quality })
    }
}

/// A finished picture and how it came about.
pub(super) struct Picture {
    pub(super) render: Render,
    pub(super) bytes: Vec<u8>,
    /// Absent when the store had it, and no job was needed.
    pub(super) job: Option<JobId>,
    cached: bool,
    latency_ms: u64,
    /// Fields of the request and of the recipe that had no part in it, sorted.
    dropped: Vec<String>,
    /// What a person should know about its model, as the router says it.
    warnings: Vec<Warning>,
    /// How much work the model put into it, in its own word.
    pub(super) quality: Option<String>,
}

impl Picture {
    /// What this request spent: a picture that was there already costs nothing again.
    fn cost_usd(&self) -> f64 {
        if self.cached { 0.0 } else { self.render.cost_micros_usd as f64 / 1e6 }
    }

    /// What there is to know beside the picture. `latency_ms` is this answer's, `render_ms` the drawing's, whenever that was.
    pub(super) fn meta(&self) -> serde_json::Value {
        json!({
            "latency_ms": self.latency_ms,
            "render_ms": self.render.latency_ms,
            "cost_usd": self.cost_usd(),
            "cached": self.cached,
            "engine": self.render.realisation.engine,
            "dropped": self.dropped,
            // What it gave up of its pixels to fit into memory.
            "lossy": self.render.realisation.settings.get(LOSSY),
            "replaces": self.render.replaces,
            "warnings": self.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "verdict": self.render.verdict,
        })
    }

    /// The same in headers, for answers that are the picture itself.
    pub(super) fn headers(&self) -> HeaderMap {
        let render = &self.render;
        let words = [
            ("x-thumbforge-key", Some(render.realised_key.to_string())),
            ("x-thumbforge-job", self.job.map(|job| job.to_string())),
            ("x-thumbforge-model", Some(render.model.to_string())),
            ("x-thumbforge-placeholder-for", render.placeholder_for.as_ref().map(ToString::to_string)),
            ("x-thumbforge-replaces", render.replaces.as_ref().map(ToString::to_string)),
            ("x-thumbforge-engine", Some(render.realisation.engine.clone())),
            ("x-thumbforge-seed", Some(render.realisation.seed.to_string())),
            ("x-thumbforge-cost-usd", Some(format!("{:.6}", self.cost_usd()))),
            ("x-thumbforge-latency-ms", Some(self.latency_ms.to_string())),
            ("x-thumbforge-cached", Some(self.cached.to_string())),
            ("x-thumbforge-dropped", (!self.dropped.is_empty()).then(|| self.dropped.join(", "))),
        ];
        words.into_iter().filter_map(|(name, word)| Some((HeaderName::from_static(name), value(&word?)))).collect()
    }
}

/// A model that took a retired one's place, and one that will be gone soon.
fn warnings(door: &Door, render: &Render) -> Vec<Warning> {
    let (market, today) = (door.intake.market(), Day::of_ms(door.intake.now_ms()));
    let replaced = render.replaces.as_ref().and_then(|named| {
        let on = market.catalogue.get(named)?.retired_on?;
        Some(Warning::Replaced { named: named.clone(), on, by: render.model.clone() })
    });
    let ending = market.catalogue.get(&render.model).and_then(|row| Warning::of_the_end(row, today));
    replaced.into_iter().chain(ending).collect()
}

/// A header's value; what no header can hold becomes a question mark.
fn value(text: &str) -> HeaderValue {
    let plain: String = text.chars().map(|c| if matches!(c, ' '..='~') { c } else { '?' }).collect();
    HeaderValue::try_from(plain).unwrap_or(HeaderValue::from_static("?"))
}

/// Waits for the ending, or until the server's time for answers is over.
async fn ended(door: &Door, mut ticket: Ticket) -> Result<(Box<Render>, bool), Failure> {
    let id = ticket.id;
    let ending = tokio::select! {
        ending = ticket.ending() => ending,
        () = door.cut.cancelled() => Ending::Failed(Failure::new(
            ErrorCode::ShuttingDown,
            format!("failed to wait for job {id}: the sidecar is stopping; the job is kept and goes on at the next start"),
        )),
    };
    match ending {
        Ending::Done { render, cached, .. } => Ok((render, cached)),
        Ending::Failed(failure) => Err(failure),
        Ending::Cancelled => Err(Failure::new(ErrorCode::Cancelled, format!("failed to draw: job {id} was cancelled"))),
    }
}

#[cfg(test)]
mod tests;
