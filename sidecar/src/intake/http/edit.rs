//! Pictures that a request brings to be changed: as a form with files, or as JSON with `data:` URLs.
//!
//! ```text
//! body ─► fields + pictures + mask ─► PNGs of known size ─► store ─► `Edit`
//! ```
//! | in a form | in JSON |
//! |---|---|
//! | `image`, or `image[]` several times | `images: [{"image_url": "data:…"}]`, or `image` with one or several URLs |
//! | `mask` | `mask: {"image_url": "data:…"}`, or the URL |
//!
//! A mask comes as OpenAI has it: a picture of the first one's size, transparent where that is drawn anew. It is kept
//! as recipes have it: grey, white where the picture is drawn anew.
//! Nothing is fetched: a server that follows URLs of strangers reads this machine's network to them.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use multer::{Constraints, Multipart, SizeLimit};
use serde_json::{Map, Value};
use thumbforge_core::error::{ErrorCode, chain};
use thumbforge_core::id::ContentHash;
use thumbforge_core::image::{Extent, ImageBuf};
use thumbforge_core::limits;
use thumbforge_core::recipe::{Edit, Operation};

use super::Door;
use super::body::{self, Fields};
use super::fields;
use super::refusal::{Refusal, shown};
use crate::intake::in_thread;
use crate::output::png::{self, DecodeLimits};
use crate::store::Pin;

/// How long a body with pictures may take: sixteen photographs over the worst of office networks.
const TIME_MAX: Duration = Duration::from_secs(120);
/// Most parts of a form: every field that is known here, three times over.
const PARTS_MAX: usize = 128;

/// What a request brings, as it came.
#[derive(Debug, Default)]
pub(super) struct Brought {
    /// Everything that is no picture.
    pub(super) fields: Fields,
    images: Vec<Bytes>,
    mask: Option<Bytes>,
}

/// Pictures that are in the store.
pub(super) struct Kept {
    /// What recipes say of them.
    pub(super) edit: Edit,
    /// Size of the first.
    pub(super) size: Extent,
    /// They stay while these live.
    pub(super) pins: Vec<Pin>,
}

/// Reads a request's body.
///
/// # Errors
/// `invalid_request` or `too_large`, with the field.
pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<Brought, Refusal> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let brought = if kind.trim_start().to_ascii_lowercase().starts_with("multipart/form-data") {
        let boundary = multer::parse_boundary(kind).map_err(|err| {
            Refusal::new(ErrorCode::InvalidRequest, format!("failed to read the form: {}", chain(&err)))
        })?;
        body::within(TIME_MAX, form(body, boundary)).await?
    } else {
        let bytes = body::within(TIME_MAX, body::bytes(body, limits::BODY_BYTES_MAX)).await?;
        json(body::parse(&bytes)?)?
    };
    if brought.images.is_empty() {
        return Err(Refusal::field("image", "read the picture to change: there is none; send it as `image`"));
    }
    Ok(brought)
}

async fn form(body: Body, boundary: String) -> Result<Brought, Refusal> {
    let bounds = SizeLimit::new().whole_stream(limits::BODY_BYTES_MAX as u64).per_field(limits::BODY_BYTES_MAX as u64);
    let constraints = Constraints::new().size_limit(bounds);
    let mut parts = Multipart::with_constraints(body.into_data_stream(), boundary, constraints);
    let (mut brought, mut text_bytes) = (Brought::default(), 0);
    for _ in 0..PARTS_MAX {
        let Some(mut part) = parts.next_field().await.map_err(|err| broken(&err))? else { return Ok(brought) };
        let name = part.name().unwrap_or_default().to_owned();
        let plain = name.strip_suffix("[]").unwrap_or(&name);
        if plain == "image" || plain == "mask" {
            let mut bytes = Vec::new();
            while let Some(chunk) = part.chunk().await.map_err(|err| broken(&err))? {
                bytes.extend_from_slice(&chunk);
            }
            brought.add(plain, bytes.into())?;
            continue;
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = part.chunk().await.map_err(|err| broken(&err))? {
            text_bytes += chunk.len();
            if text_bytes > limits::TEXT_BODY_BYTES_MAX {
                return Err(body::too_large(limits::TEXT_BODY_BYTES_MAX));
            }
            bytes.extend_from_slice(&chunk);
        }
        let text = String::from_utf8(bytes)
            .map(Value::from)
            .map_err(|_| Refusal::field(plain, format!("read {}: it is not UTF-8", shown(plain))))?;
        let twice = || Refusal::field(plain, format!("read {}: it stands there twice", shown(plain)));
        if plain.len() < name.len() {
            let list = brought.fields.entry(plain).or_insert_with(|| Value::Array(Vec::new()));
            list.as_array_mut().ok_or_else(twice)?.push(text);
        } else if brought.fields.insert(name.clone(), text).is_some() {
            return Err(twice());
        }
    }
    let message = format!("failed to read the form: at most {PARTS_MAX} parts are read");
    Err(Refusal::new(ErrorCode::TooLarge, message))
}

fn broken(err: &multer::Error) -> Refusal {
    match err {
        multer::Error::StreamSizeExceeded { .. } | multer::Error::FieldSizeExceeded { .. } => {
            body::too_large(limits::BODY_BYTES_MAX)
        }
        err => Refusal::new(ErrorCode::InvalidRequest, format!("failed to read the form: {}", chain(err))),
    }
}

fn json(mut fields: Fields) -> Result<Brought, Refusal> {
    let mut brought = Brought::default();
    for name in ["image", "images"] {
        match fields.remove(name) {
            None | Some(Value::Null) => {}
            Some(Value::Array(images)) => {
                for image in &images {
                    brought.add("image", carried(name, image)?)?;
                }
            }
            Some(image) => brought.add("image", carried(name, &image)?)?,
        }
    }
    if let Some(mask) = fields.remove("mask").filter(|mask| !mask.is_null()) {
        brought.add("mask", carried("mask", &mask)?)?;
    }
    Ok(Brought { fields, ..brought })
}

impl Brought {
    fn add(&mut self, name: &str, bytes: Bytes) -> Result<(), Refusal> {
        if name == "mask" {
            return match self.mask.replace(bytes) {
                None => Ok(()),
                Some(_) => Err(Refusal::field("mask", "read the mask: there are two")),
            };
        }
        if self.images.len() >= limits::EDIT_IMAGES_MAX {
            let message = format!("change so many pictures at once: at most {}", limits::EDIT_IMAGES_MAX);
            return Err(Refusal::field("image", message));
        }
        self.images.push(bytes);
        Ok(())
    }

    /// The hashes of the pictures as they came.
    pub(super) fn hashes(&self) -> Vec<ContentHash> {
        // None is told from a mask that is one of the pictures.
        let count = ContentHash::of(&(self.images.len() as u64).to_le_bytes());
        let pictures = self.images.iter().chain(&self.mask).map(|bytes| ContentHash::of(bytes));
        std::iter::once(count).chain(pictures).collect()
    }

    /// Checks the pictures and puts them into the store. Fields that say what to do with them are taken out.
    ///
    /// # Errors
    /// `invalid_request` or `too_large` for what is no picture, with the field.
    pub(super) async fn keep(&mut self, door: &Arc<Door>) -> Result<Kept, Refusal> {
        let operation =
            fields::word::<Operation>(&mut self.fields, "operation", "edit or upscale")?.unwrap_or_default();
        let (images, mask) = (std::mem::take(&mut self.images), self.mask.take());
        let made = in_thread(move || Ok(make(&images, mask.as_deref()))).await?;
        let Made { images, mask, size } = made?;
        let mut pins = Vec::new();
        let mut hashes = Vec::new();
        for png in images {
            let (hash, pin) = door.intake.provide(png).await?;
            hashes.push(hash);
            pins.push(pin);
        }
        let mask = match mask {
            None => None,
            Some(png) => {
                let (hash, pin) = door.intake.provide(png).await?;
                pins.push(pin);
                Some(hash)
            }
        };
        Ok(Kept { edit: Edit { operation, images: hashes, mask }, size, pins })
    }
}

/// The picture in `{"image_url": "data:…"}` or `"data:…"`.
fn carried(name: &str, value: &Value) -> Result<Bytes, Refusal> {
    let url = match value {
        Value::String(url) => Some(url.as_str()),
        Value::Object(object) => url_of(object),
        _ => None,
    };
    let form = r#"send it as {"image_url": "data:image/png;base64,…"}"#;
    let Some(url) = url else {
        return Err(Refusal::field(name, format!("read {name}: {form}")));
    };
    let Some(data) = url.strip_prefix("data:") else {
        return Err(Refusal::field(
            name,
            format!("read {name}: nothing is fetched here, so a link is no picture; {form}"),
        ));
    };
    let Some((_, base64)) = data.split_once(";base64,") else {
        return Err(Refusal::field(name, format!("read {name}: its data: URL is not in base64; {form}")));
    };
    let bytes =
        BASE64.decode(base64.trim()).map_err(|err| Refusal::field(name, format!("read {name} as base64: {err}")))?;
    Ok(bytes.into())
}

/// The URL of an object; `image_url` may be an object itself, as in chats.
fn url_of(object: &Map<String, Value>) -> Option<&str> {
    let url = object.get("image_url").or_else(|| object.get("url"))?;
    url.as_str().or_else(|| url.get("url")?.as_str())
}

struct Made {
    images: Vec<Vec<u8>>,
    mask: Option<Vec<u8>>,
    size: Extent,
}

/// PNGs of what was brought. What is a PNG already stays byte for byte, once it proved to be one.
fn make(images: &[Bytes], mask: Option<&[u8]>) -> Result<Made, Refusal> {
    let (mut pngs, mut size) = (Vec::new(), None);
    for bytes in images {
        let picture = decode("image", bytes)?;
        size = size.or(Some(picture.extent()));
        let png = if image::guess_format(bytes).is_ok_and(|format| format == image::ImageFormat::Png) {
            bytes.to_vec()
        } else {
            png::encode_with_texts(&picture, &[]).map_err(|err| internal(&err))?
        };
        pngs.push(png);
    }
    let Some(size) = size else {
        return Err(Refusal::field("image", "read the picture to change: there is none"));
    };
    Extent::new(size.width.into(), size.height.into()).map_err(|err| Refusal::field("image", err))?;
    let mask = mask.map(|bytes| grey(bytes, size)).transpose()?;
    Ok(Made { images: pngs, mask, size })
}

fn decode(param: &str, bytes: &[u8]) -> Result<ImageBuf, Refusal> {
    png::decode(bytes, DecodeLimits::ART).map_err(|err| {
        let code = if err.code() == ErrorCode::TooLarge { ErrorCode::TooLarge } else { ErrorCode::InvalidRequest };
        Refusal::new(code, format!("failed to {}", chain(&err))).with_param(param)
    })
}

/// A mask as recipes have it, of one as OpenAI has it.
fn grey(bytes: &[u8], size: Extent) -> Result<Vec<u8>, Refusal> {
    let mask = decode("mask", bytes)?;
    if mask.extent() != size {
        let message =
            format!("use the mask: it is {}, and the first picture {size}; make both the same size", mask.extent());
        return Err(Refusal::field("mask", message));
    }
    let anew: Vec<u8> = mask.pixels().chunks_exact(4).map(|pixel| 255 - pixel[3]).collect();
    if anew.iter().all(|anew| *anew == 0) {
        let message = "use the mask: nothing in it is transparent; what is to be drawn anew must be transparent in it";
        return Err(Refusal::field("mask", message));
    }
    png::encode_grey(size, &anew).map_err(|err| internal(&err))
}

fn internal(err: &dyn std::error::Error) -> Refusal {
    Refusal::new(ErrorCode::Internal, format!("failed to keep the picture: {}", chain(err)))
}

#[cfg(test)]
mod tests;
