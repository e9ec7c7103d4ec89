//! From the fields of a request to a job: every spelling that scripts use, one recipe.
//!
//! | field | also | meaning |
//! |---|---|---|
//! | `prompt` | | required |
//! | `negative` | `negative_prompt` | |
//! | `model` | | any spelling of the catalogue; absent or `auto`: the router chooses |
//! | `size` | `width` and `height`, `w` and `h` | `"WIDTHxHEIGHT"` or `"auto"` |
//! | `seed` | | 0 to 2^53-1; absent or -1: follows from everything else |
//! | `steps` | `num_inference_steps` | |
//! | `guidance` | `guidance_scale`, `cfg_scale` | |
//! | `sampler` | `sampler_name` | |
//! | `strength`, `composition`, `subject`, `quality`, `brand` | | as in a manifest |
//! | `intent`, `tier` | | as in a manifest |
//! | `text` | | words in the picture; they are checked, and a picture without them is refused |
//! | `text_mode` | | who draws them: `composite` (the default: set in true type), `model` or `auto` |
//! | `lang` | `locale` | BCP 47 tag of the words; `en` where absent |
//! | `repair` | | whether a picture that the checks refuse is mended; the default is yes for `auto`, and no for the others |
//! | `requires_typography_precision`, `confidence`, `fast_preview` | | where no model is named, one is chosen by these |
//! | `priority` | | higher first, among the jobs of this client |
//! | `timeout` | `timeout_ms`, `deadline_ms` | seconds or milliseconds from now, or Unix time in milliseconds |
//! | `placeholder` | | whether built-in art may stand in for a model that is not here |
//! | `lossy` | | whether what cannot be honoured is dropped and listed, or refused |

use thumbforge_core::colour::Rgb;
use thumbforge_core::error::ErrorCode;
use thumbforge_core::image::Extent;
use thumbforge_core::job::{Gate, JobSpec, Lane};
use thumbforge_core::locale::is_locale;
use thumbforge_core::model::{Catalogue, ModelId};
use thumbforge_core::recipe::{Edit, Intent, Operation, Recipe, RecipeError, Settings, Tier};
use thumbforge_core::repair::Repair;
use thumbforge_core::routing::{Metadata, route_job};
use thumbforge_core::text_layer::TextLayer;

use super::body::Fields;
use super::fields;
use super::refusal::{Refusal, shown};
use crate::intake::words;

/// Most names of dropped fields that are told; each is told in at most 80 characters.
const TOLD_MAX: usize = 64;
/// Longest time that a caller may give a job: a week. Longer is a mistake in units.
const TIMEOUT_MS_MAX: f64 = 7.0 * 24.0 * 3600.0 * 1000.0;
/// Longest name of a sampler, composition or subject in bytes; the longest there is has 30.
const NAME_BYTES_MAX: usize = 200;
/// Most brand colours; a palette has a handful.
const COLOURS_MAX: usize = 16;

/// What an endpoint takes for granted.
pub(super) struct Terms<'a> {
    /// Models there are.
    pub(super) catalogue: &'a Catalogue,
    /// Who asks.
    pub(super) client: String,
    /// Unix time in milliseconds.
    pub(super) now_ms: u64,
    /// Size where none is named.
    pub(super) size: Extent,
    /// The model that the path names.
    pub(super) model: Option<ModelId>,
    /// What is changed in place of drawing from nothing.
    pub(super) edit: Option<Edit>,
    /// Whether built-in art may stand in, where the body does not say.
    pub(super) placeholder: bool,
    /// Whether fields may be dropped, where the body does not say.
    pub(super) lossy: bool,
}

/// What was asked.
#[derive(Debug)]
pub(super) struct Asked {
    /// The job.
    pub(super) spec: JobSpec,
    /// Fields that nothing here understands, sorted.
    pub(super) dropped: Vec<String>,
}

/// Reads a job.
///
/// # Errors
/// `invalid_request`, `unknown_model` or `unsupported_field`, with the field.
pub(super) fn read(mut fields: Fields, terms: Terms<'_>) -> Result<Asked, Refusal> {
    let fields = &mut fields;
    let lossy = fields::truth(fields, &["lossy"])?.unwrap_or(terms.lossy);
    let placeholder = fields::truth(fields, &["placeholder"])?.unwrap_or(terms.placeholder);
    let deadline_ms = deadline(fields, terms.now_ms)?;
    let priority = priority(fields)?;
    let recipe = recipe(fields, &terms)?;
    let repair = fields::truth(fields, &["repair"])?;
    let dropped = left_over(fields, lossy)?;
    let repair = words::may_repair(&recipe, repair).then(Repair::default);
    let job = JobSpec::new(recipe, Lane::Interactive, terms.client);
    let own = thumbforge_core::terms::Terms { repair, ..job.terms };
    let gate = Gate::of(&job.recipe, &own);
    let spec = JobSpec { priority, deadline_ms, placeholder, lossy, gate, terms: own, ..job };
    Ok(Asked { spec, dropped })
}

fn recipe(fields: &mut Fields, terms: &Terms<'_>) -> Result<Recipe, Refusal> {
    // Making a picture larger needs no words.
    let wordless = terms.edit.as_ref().is_some_and(|edit| edit.operation == Operation::Upscale);
    let prompt = fields::text(fields, &["prompt"])?
        .or(wordless.then(String::new))
        .ok_or_else(|| Refusal::field("prompt", "read the prompt: there is none; say what the picture shows"))?;
    let recipe = Recipe {
        negative: fields::text(fields, &["negative", "negative_prompt"])?.unwrap_or_default(),
        model: model(fields, terms)?.or(by_metadata(fields, terms.catalogue)?),
        intent: fields::word(fields, "intent", "photo, typography, layout, brand-colour, hero, icon or edit")?
            .unwrap_or(if terms.edit.is_some() { Intent::Edit } else { Intent::default() }),
        tier: tier(fields)?,
        seed: seed(fields)?,
        settings: settings(fields)?,
        brand: brand(fields)?,
        edit: terms.edit.clone(),
        text: text(fields)?,
        ..Recipe::from_prompt(&prompt, size(fields, terms.size)?)
    };
    recipe.normalised().map_err(|err| {
        let refusal = Refusal::new(ErrorCode::InvalidRequest, format!("failed to {err}"));
        match err {
            RecipeError::PromptTooLong { what: "negative prompt", .. } => refusal.with_param("negative"),
            RecipeError::EmptyPrompt | RecipeError::PromptTooLong { .. } => refusal.with_param("prompt"),
            RecipeError::Seed(_) => refusal.with_param("seed"),
            RecipeError::Number { field, .. } => refusal.with_param(&field),
            RecipeError::EditImages(_) | RecipeError::DraftOfEdit => refusal.with_param("image"),
            RecipeError::DraftSize { .. } => refusal.with_param("size"),
            RecipeError::TooMuchText => refusal.with_param("text"),
            RecipeError::TooManyAdapters(_) => refusal,
        }
    })
}

/// The words that the picture carries.
fn text(fields: &mut Fields) -> Result<Vec<TextLayer>, Refusal> {
    let words = fields::text(fields, &["text"])?;
    let mode = fields::word(fields, "text_mode", "composite, model or auto")?;
    let locale = fields::text(fields, &["lang", "locale"])?;
    if let Some(locale) = locale.as_ref().filter(|locale| !is_locale(locale)) {
        let message = format!("read the locale {:?}: write it as en, pt-BR or zh-Hans", shown(locale));
        return Err(Refusal::field("lang", message));
    }
    match words.filter(|words| !words.trim().is_empty()) {
        Some(words) => Ok(vec![words::layer(words, locale, mode.unwrap_or_default())]),
        None if mode.is_some() => Err(Refusal::field("text_mode", "use text_mode: there is no text; name the words")),
        None => Ok(Vec::new()),
    }
}

fn model(fields: &mut Fields, terms: &Terms<'_>) -> Result<Option<ModelId>, Refusal> {
    let named = fields::text(fields, &["model"])?.filter(|name| !matches!(name.trim(), "" | "auto"));
    let named = named.map(|name| resolve(terms.catalogue, &name)).transpose()?;
    match (&terms.model, named) {
        (Some(path), Some(body)) if *path != body => {
            Err(Refusal::field("model", format!("choose a model: the path names {path} and the body {body}")))
        }
        (path, body) => Ok(path.clone().or(body)),
    }
}

/// The model that the case study's metadata names; none where a request has none of it. A model that is named counts
/// for more.
fn by_metadata(fields: &mut Fields, catalogue: &Catalogue) -> Result<Option<ModelId>, Refusal> {
    let precision = fields::truth(fields, &["requires_typography_precision"])?;
    let confidence = fields::number(fields, &["confidence"])?;
    let fast_preview = fields::truth(fields, &["fast_preview"])?;
    if precision.is_none() && confidence.is_none() && fast_preview.is_none() {
        return Ok(None);
    }
    if let Some(confidence) = confidence.filter(|confidence| !(0.0..=1.0).contains(confidence)) {
        return Err(Refusal::field("confidence", format!("use the confidence {confidence}: it goes from 0 to 1")));
    }
    let metadata = Metadata {
        requires_typography_precision: precision.unwrap_or_default(),
        confidence: confidence.unwrap_or_default(),
        fast_preview: fast_preview.unwrap_or_default(),
    };
    resolve(catalogue, route_job(&metadata)).map(Some)
}

/// The model of a spelling.
///
/// # Errors
/// `unknown_model`, with the nearest.
pub(super) fn resolve(catalogue: &Catalogue, name: &str) -> Result<ModelId, Refusal> {
    let row = catalogue
        .resolve(name.trim())
        .map_err(|err| Refusal::new(ErrorCode::UnknownModel, format!("failed to {err}")).with_param("model"))?;
    Ok(row.id.clone())
}

fn tier(fields: &mut Fields) -> Result<Tier, Refusal> {
    let Some(word) = fields::text(fields, &["tier"])? else { return Ok(Tier::default()) };
    word.parse().map_err(|err| Refusal::field("tier", err))
}

/// Most tools write -1 for "any seed".
fn seed(fields: &mut Fields) -> Result<Option<u64>, Refusal> {
    match fields::integer(fields, &["seed"])? {
        None | Some(-1) => Ok(None),
        Some(seed) => u64::try_from(seed)
            .map(Some)
            .map_err(|_| Refusal::field("seed", format!("use the seed {seed}: seeds start at 0; -1 means any"))),
    }
}

fn size(fields: &mut Fields, default: Extent) -> Result<Extent, Refusal> {
    let size = fields::text(fields, &["size"])?;
    let width = fields::integer(fields, &["width", "w"])?;
    let height = fields::integer(fields, &["height", "h"])?;
    let size = match size.as_deref().map(str::trim) {
        None | Some("auto") => None,
        Some(text) => Some(text.parse::<Extent>().map_err(|err| Refusal::field("size", err))?),
    };
    let sides = match (width, height) {
        (None, None) => None,
        (Some(width), Some(height)) => {
            // A negative side is as wrong as one of 0, and is refused with the same words.
            let side = |side: i64| u64::try_from(side).unwrap_or(0);
            let param = if Extent::new(side(width), 512).is_err() { "width" } else { "height" };
            Some(Extent::new(side(width), side(height)).map_err(|err| Refusal::field(param, err))?)
        }
        (Some(_), None) => return Err(Refusal::field("height", "read the size: there is a width and no height")),
        (None, Some(_)) => return Err(Refusal::field("width", "read the size: there is a height and no width")),
    };
    match (size, sides) {
        (Some(size), Some(sides)) if size != sides => Err(Refusal::field(
            "size",
            format!("read the size: it is {size} by its name and {sides} by width and height; name one of them"),
        )),
        (size, sides) => Ok(size.or(sides).unwrap_or(default)),
    }
}

/// Sampling settings; `/sample` reads them too.
pub(super) fn settings(fields: &mut Fields) -> Result<Settings, Refusal> {
    let steps = fields::count(fields, &["steps", "num_inference_steps"])?;
    Ok(Settings {
        // What is beyond 2^32 is as much too large as 2^32 itself, which the recipe refuses with its bound.
        steps: steps.map(|steps| u32::try_from(steps).unwrap_or(u32::MAX)),
        guidance: fields::number(fields, &["guidance", "guidance_scale", "cfg_scale"])?,
        sampler: name(fields, &["sampler", "sampler_name"])?,
        strength: fields::number(fields, &["strength"])?,
        composition: name(fields, &["composition"])?,
        subject: name(fields, &["subject"])?,
        quality: name(fields, &["quality"])?,
        noise: fields::word(fields, "noise", "philox or torch-cpu")?,
        dtype: fields::word(fields, "dtype", "f32 or bf16")?,
        slg: fields::word(fields, "slg", "LAYERS:SCALE:START:STOP, as in 7,8,9:2.8:0.01:0.2")?,
        mask_feather: fields::count(fields, &["mask_feather"])?.map(|pixels| u32::try_from(pixels).unwrap_or(u32::MAX)),
        mask_mode: fields::word(fields, "mask_mode", "keep or diffusers")?,
    })
}

fn name(fields: &mut Fields, names: &[&'static str]) -> Result<Option<String>, Refusal> {
    match fields::text(fields, names)? {
        Some(name) if name.len() > NAME_BYTES_MAX => Err(Refusal::field(
            names[0],
            format!("read the {}: it has {} bytes, at most {NAME_BYTES_MAX} are read", names[0], name.len()),
        )),
        name => Ok(name),
    }
}

fn brand(fields: &mut Fields) -> Result<Vec<Rgb>, Refusal> {
    let form = "a list of colours, as in [\"#ffcc00\"]";
    let colours: Vec<Rgb> = fields::word(fields, "brand", form)?.unwrap_or_default();
    if colours.len() > COLOURS_MAX {
        let message = format!("keep to {} brand colours: at most {COLOURS_MAX} are read", colours.len());
        return Err(Refusal::field("brand", message));
    }
    Ok(colours)
}

fn priority(fields: &mut Fields) -> Result<i32, Refusal> {
    let Some(priority) = fields::integer(fields, &["priority"])? else { return Ok(0) };
    i32::try_from(priority).map_err(|_| Refusal::field("priority", format!("use the priority {priority}: too large")))
}

fn deadline(fields: &mut Fields, now_ms: u64) -> Result<Option<u64>, Refusal> {
    let seconds = fields::number(fields, &["timeout"])?.map(|seconds| ("timeout", seconds * 1000.0));
    let span = fields::number(fields, &["timeout_ms"])?.map(|span| ("timeout_ms", span)).or(seconds);
    let at = fields::count(fields, &["deadline_ms"])?;
    if let Some((name, span_ms)) = span {
        if !(span_ms > 0.0 && span_ms <= TIMEOUT_MS_MAX) {
            return Err(Refusal::field(name, format!("use {name}: it goes from above 0 to a week")));
        }
        let until = now_ms.saturating_add(span_ms as u64);
        return Ok(Some(at.map_or(until, |at| at.min(until))));
    }
    match at {
        Some(at) if at <= now_ms => Err(Refusal::field(
            "deadline_ms",
            "use deadline_ms: that moment has passed; it is Unix time in milliseconds, for a span use timeout_ms",
        )),
        at => Ok(at),
    }
}

/// The names of what nobody took.
fn left_over(fields: &Fields, lossy: bool) -> Result<Vec<String>, Refusal> {
    let mut names = fields.iter().filter(|(_, value)| !value.is_null()).map(|(name, _)| shown(name));
    if lossy {
        let mut names: Vec<String> = names.take(TOLD_MAX).collect();
        names.sort_unstable();
        return Ok(names);
    }
    match names.next() {
        None => Ok(Vec::new()),
        Some(name) => {
            let message = format!(
                "failed to honour {name:?}: no such field is known here; leave it out, or allow dropping with \"lossy\": true"
            );
            Err(Refusal::new(ErrorCode::UnsupportedField, message).with_param(&name))
        }
    }
}

#[cfg(test)]
mod tests;
