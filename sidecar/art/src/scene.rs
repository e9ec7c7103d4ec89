//! The built-in engine: a scene with a subject, drawn from a prompt without a model.
//!
//! ```text
//! prompt ► words ► subject (icons) ─┐
//!            └───► composition, palette ─► sky ► land ► subject lit ► front ► calm ► develop
//! ```
//!
//! The same request gives the same bytes everywhere: integer hashes for chance, exact float operations for pixels, `libm` for
//! the rest, one thread, no clock, no environment. The text of a thumbnail is set by [`crate::text`], never here.

mod canvas;
mod choose;
mod composition;
mod finish;
mod flora;
mod icons;
mod land;
mod layout;
mod material;
mod noise;
mod palette;
mod raster;
mod sky;
mod stage;
mod subject;
mod tint;
mod words;

#[cfg(test)]
mod tests;

use thiserror::Error;
use thumbforge_core::colour::Rgb;
use thumbforge_core::image::{Extent, ImageBuf};

use canvas::Canvas;
use icons::Stance;
use layout::Layout;
use noise::Rng;
use stage::Stage;

/// Part of the key under which a drawing is stored: raise it whenever any pixel changes.
pub const VERSION: u32 = 1;

/// What a picture is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SceneIntent {
    /// A landscape or poster with the subject in it.
    Scene,
    /// One thing large on a backdrop, as shops and inventories show.
    Icon,
}

/// Everything that decides a drawing.
#[derive(Debug, Clone)]
pub struct SceneRequest<'a> {
    /// What to draw, in words; English nouns are understood, anything else gives a landscape.
    pub prompt: &'a str,
    /// Words that must not be drawn.
    pub negative: &'a str,
    /// Another seed, another picture of the same prompt.
    pub seed: u64,
    /// Size in pixels.
    pub extent: Extent,
    /// Brand colours, most important first; empty leaves the palette to the prompt.
    pub brand: &'a [Rgb],
    /// A composition by name, or the prompt decides.
    pub composition: Option<&'a str>,
    /// An icon by name or word, or the prompt decides.
    pub subject: Option<&'a str>,
    /// Areas that text will cover, `[x, y, width, height]` in fractions of the picture.
    pub keep_free: &'a [[f64; 4]],
    /// What the picture is for.
    pub intent: SceneIntent,
}

/// A drawing and what it holds.
#[derive(Debug, Clone)]
pub struct Scene {
    /// The pixels, opaque.
    pub image: ImageBuf,
    /// The composition drawn.
    pub composition: &'static str,
    /// The icon drawn; `None` when the prompt names none or text leaves no room for it.
    pub subject: Option<&'static str>,
    /// Left, top, right, bottom of the subject in pixels.
    pub subject_bounds: Option<[f32; 4]>,
    /// The palette used; "brand" when grown from brand colours.
    pub palette: &'static str,
    /// Works of others in the picture, which must be named where it is published.
    pub credits: Vec<Credit>,
}

/// A work by someone else that a picture contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credit {
    /// Name of the work.
    pub work: &'static str,
    /// Who made it.
    pub author: &'static str,
    /// Under which licence.
    pub licence: &'static str,
    /// Where it comes from.
    pub source: &'static str,
}

/// Why a scene cannot be drawn.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SceneError {
    /// No composition of that name.
    #[error("find the composition {name:?}; nearest are {nearest:?}")]
    Composition {
        /// As asked.
        name: String,
        /// Up to three names that look like it.
        nearest: Vec<&'static str>,
    },
    /// No icon of that name.
    #[error("find the subject {name:?}; nearest are {nearest:?}")]
    Subject {
        /// As asked.
        name: String,
        /// Up to three names that look like it.
        nearest: Vec<&'static str>,
    },
    /// The extent and the pixels drawn disagree: a defect of this crate.
    #[error("draw {0}: pixels do not fill it")]
    Extent(Extent),
}

/// Names of all compositions.
pub fn compositions() -> &'static [&'static str] {
    const NAMES: [&str; composition::ALL.len()] = {
        let mut names = [""; composition::ALL.len()];
        let mut i = 0;
        while i < names.len() {
            names[i] = composition::ALL[i].0;
            i += 1;
        }
        names
    };
    &NAMES
}

/// Names of all subjects.
pub fn subjects() -> impl Iterator<Item = &'static str> {
    icons::all().map(|icon| icon.name)
}

/// Draws a scene.
///
/// # Errors
/// When a forced composition or subject does not exist.
pub fn draw(request: &SceneRequest<'_>) -> Result<Scene, SceneError> {
    let forced = request.subject.map(find_subject).transpose()?;
    let chosen = request.composition.map(find_composition).transpose()?;
    let reading = words::read(request.prompt, request.negative, forced);
    let seed = request.seed ^ Rng::new(0, request.prompt).next();
    let mut rng = Rng::new(seed, "choices");
    let composition = chosen.unwrap_or_else(|| {
        choose::composition(&reading.words, &reading.unwanted, reading.subject, request.intent, &mut rng)
    });
    let palette = palette(request, &reading.words, composition, &mut rng);
    let layout = Layout::new(request.extent, request.keep_free);
    let spot = reading.subject.and_then(|icon| place(&layout, icon.stance, composition, request.intent, &mut rng));
    let mut unwanted = reading.unwanted;
    if let Some(icon) = reading.subject {
        // What the subject is, the scenery does not show a second time ("castle-ruins" before a castle).
        unwanted.extend(icon.name.split('-').map(str::to_owned));
        if icon.material == "stone" && icon.stance == Stance::Ground {
            unwanted.extend(["castle", "temple"].map(str::to_owned));
        }
    }
    let mut stage = Stage {
        canvas: Canvas::new(request.extent.width as usize, request.extent.height as usize),
        palette,
        light: [layout.w * 0.3, layout.h * 0.2],
        layout,
        seed,
        subject: spot,
        stance: reading.subject.filter(|_| spot.is_some()).map(|icon| icon.stance),
        words: reading.words,
        unwanted,
    };
    if let Some((_, paint)) = composition::ALL.iter().find(|(name, _)| *name == composition) {
        paint(&mut stage);
    }
    finish::calm(&mut stage);
    let mut drawn = None;
    if let (Some(icon), Some(spot)) = (reading.subject, spot) {
        let material = material::of(icon, &reading.qualifiers, &stage.palette, !request.brand.is_empty(), &mut rng);
        composition::contact(&mut stage, composition);
        drawn = subject::draw(&mut stage, icon, spot, &material).map(|bounds| (icon, bounds));
    }
    composition::front(&mut stage, composition);
    let image = finish::develop(&stage, request.extent).ok_or(SceneError::Extent(request.extent))?;
    Ok(Scene {
        image,
        composition,
        subject: drawn.map(|(icon, _)| icon.name),
        subject_bounds: drawn.map(|(_, bounds)| bounds),
        palette: stage.palette.name,
        credits: drawn.iter().map(|(icon, _)| icon.credit()).collect(),
    })
}

/// The palette: brand colours, else the prompt's words, else what suits the composition.
fn palette(request: &SceneRequest<'_>, words: &[String], composition: &str, rng: &mut Rng) -> palette::Palette {
    if let Some(brand) = palette::from_brand(request.brand, rng) {
        return brand;
    }
    let asked = palette::by_words(words);
    let suits = choose::palettes(composition);
    // What words ask for and the composition likes comes first, then what words ask for.
    let both: Vec<&'static str> = asked.iter().copied().filter(|name| suits.contains(name)).collect();
    let pool: &[&str] = if !both.is_empty() {
        &both
    } else if !asked.is_empty() {
        &asked
    } else {
        suits
    };
    palette::named(pool.get(rng.below(pool.len())).copied().unwrap_or("dusk"), rng)
}

/// Where the subject stands.
fn place(
    layout: &Layout,
    stance: Stance,
    composition: &str,
    intent: SceneIntent,
    rng: &mut Rng,
) -> Option<layout::Spot> {
    let backdrop = matches!(composition, "burst" | "emblem" | "spotlight");
    let drift = match composition {
        _ if backdrop => 0.0,
        // The castle stands on the other side.
        "castle" => 0.16 * if rng.chance(0.5) { 1.0 } else { -1.0 },
        _ => rng.range(-0.1, 0.1),
    };
    let (want, most) = match (intent, stance) {
        (SceneIntent::Icon, _) => (
            [0.5, if composition == "spotlight" { 0.46 } else { 0.5 }],
            if composition == "burst" { 0.76 } else { 0.68 },
        ),
        _ if backdrop => ([0.5, 0.54], 0.6),
        (_, Stance::Ground) => ([0.5 + drift, 0.66], 0.52),
        (_, Stance::Fly) => ([0.5 + drift, 0.46], 0.5),
        (_, Stance::Water) => ([0.5 + drift, if composition == "underwater" { 0.54 } else { 0.64 }], 0.5),
        (_, Stance::Item) => ([0.5 + drift * 0.5, 0.58], 0.46),
        (_, Stance::Bust) => ([0.5 + drift * 0.5, 0.58], 0.52),
    };
    layout.square(want, most)
}

fn find_composition(name: &str) -> Result<&'static str, SceneError> {
    compositions().iter().copied().find(|n| *n == name).ok_or_else(|| SceneError::Composition {
        name: name.chars().take(60).collect(),
        nearest: nearest(name, compositions().iter().copied()),
    })
}

fn find_subject(name: &str) -> Result<&'static icons::Icon, SceneError> {
    let plain = name.trim().to_lowercase();
    icons::by_name(&plain).or_else(|| icons::by_words(&plain.replace('-', " "))).ok_or_else(|| SceneError::Subject {
        name: name.chars().take(60).collect(),
        nearest: nearest(&plain, subjects()),
    })
}

/// Up to three names with the fewest edits from `name`.
fn nearest(name: &str, all: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
    let name: Vec<char> = name.chars().take(60).collect();
    let mut scored: Vec<(usize, &'static str)> = all.map(|other| (edits(&name, other), other)).collect();
    scored.sort();
    scored.into_iter().take(3).map(|(_, n)| n).collect()
}

/// Edit distance between two words.
fn edits(a: &[char], b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let next = (diagonal + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = row[j + 1];
            row[j + 1] = next;
        }
    }
    row.last().copied().unwrap_or(0)
}
