//! The size that a model is asked for: its own one that is nearest to what the recipe wants.
//!
//! The picture is scaled down and cropped to the recipe's size afterwards, so the nearest ratio comes first (little is
//! cropped), then a size that need not be scaled up, then the smallest such, because pixels are paid for.

use std::cmp::Ordering;

use thumbforge_core::image::Extent;
use thumbforge_core::limits::{SIDE_MAX, SIDE_MIN};
use thumbforge_core::model::{Capabilities, FreeSize};

use crate::adapter::Protocol;
use crate::call::{AskedSize, Task};

/// Ratios that differ by less than this share count as the same: it is cropped away unseen.
const SAME_RATIO: f64 = 0.02;
/// The most that a ratio may be off: half of the picture is cropped away.
const RATIO_OFF_MAX: f64 = 2.0;

/// The size to ask for.
///
/// # Errors
/// Why none fits.
pub fn choose(wanted: Extent, can: &Capabilities, protocol: Protocol, task: Task) -> Result<AskedSize, String> {
    if task == Task::Upscale {
        return Ok(AskedSize::Free);
    }
    let open = Open::of(protocol);
    let free_size = match (&can.free_size, open) {
        (Some(free), _) => Some(free.clone()),
        (None, Open::Multiples(multiple)) if can.sizes.is_empty() && can.ratios.is_empty() => Some(any(multiple)),
        _ => None,
    };
    let sizes = can.sizes.iter().map(|size| Candidate::new(wanted, *size, Kind::Listed));
    let free =
        free_size.iter().flat_map(|free| near(wanted, free)).map(|size| Candidate::new(wanted, size, Kind::Free));
    let pixels = sizes.chain(free).min_by(Candidate::order);
    let ratio = can.ratios.iter().filter_map(|text| Some((off(parts(text)?, wanted), text)));
    let ratio = ratio.min_by(|(a, _), (b, _)| a.total_cmp(b));
    let (asked, off) = match (pixels, ratio) {
        (None, None) => return Ok(AskedSize::Free),
        (Some(pixels), None) => (AskedSize::Pixels(pixels.size), pixels.off),
        (Some(pixels), Some((off, _))) if class(pixels.off) <= class(off) => {
            (AskedSize::Pixels(pixels.size), pixels.off)
        }
        (_, Some((off, text))) => {
            let resolution = resolution(wanted, text, can);
            (AskedSize::Ratio { ratio: text.clone(), resolution }, off)
        }
    };
    if off > RATIO_OFF_MAX.ln() {
        return Err(format!("the nearest that it draws to {wanted} is {}", words(&asked)));
    }
    Ok(asked)
}

/// A size in words, for settings and messages; empty where the model chooses.
pub fn words(size: &AskedSize) -> String {
    match size {
        AskedSize::Pixels(extent) => extent.to_string(),
        AskedSize::Ratio { ratio, resolution: Some(resolution) } => format!("{ratio} {resolution}"),
        AskedSize::Ratio { ratio, resolution: None } => ratio.clone(),
        AskedSize::Free => String::new(),
    }
}

/// What a protocol's servers draw where the catalogue says nothing of sizes.
#[derive(Clone, Copy)]
enum Open {
    /// As they like.
    Unknown,
    /// What is asked, both sides multiples of this.
    Multiples(u32),
}

impl Open {
    const fn of(protocol: Protocol) -> Self {
        match protocol {
            // Latent pixels are eight wide; these servers round by themselves or refuse what is no multiple.
            Protocol::A1111 | Protocol::ComfyUi | Protocol::SdCpp => Self::Multiples(8),
            Protocol::Post | Protocol::OpenAiCompatible => Self::Multiples(1),
            _ => Self::Unknown,
        }
    }
}

/// Bounds that let everything through which is a picture at all.
fn any(multiple: u32) -> FreeSize {
    let side = u64::from(SIDE_MAX);
    FreeSize { multiple, edge_max: SIDE_MAX, ratio_max: f64::from(SIDE_MAX / SIDE_MIN), pixels: [1, side * side] }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// The very size that is wanted.
    Exact,
    /// One of the model's own: it was trained on them, and they have prices.
    Listed,
    /// Any other.
    Free,
}

struct Candidate {
    size: Extent,
    kind: Kind,
    /// How far its ratio is off.
    off: f64,
    /// Whether it must be scaled up.
    small: bool,
}

impl Candidate {
    fn new(wanted: Extent, size: Extent, kind: Kind) -> Self {
        let small = size.width < wanted.width || size.height < wanted.height;
        let kind = if size == wanted { Kind::Exact } else { kind };
        Self { size, kind, off: off((f64::from(size.width), f64::from(size.height)), wanted), small }
    }

    fn order(a: &Self, b: &Self) -> Ordering {
        let pixels = |candidate: &Self| candidate.size.pixels();
        (class(a.off).cmp(&class(b.off)))
            .then(a.small.cmp(&b.small))
            // Of those that must be scaled up the largest is best.
            .then(if a.small { pixels(b).cmp(&pixels(a)) } else { Ordering::Equal })
            .then(a.kind.cmp(&b.kind))
            .then(pixels(a).cmp(&pixels(b)))
            .then(a.off.total_cmp(&b.off))
            .then(a.size.cmp(&b.size))
    }
}

/// How far a ratio is from another: the logarithm of their quotient, which is the same for both directions.
fn off((width, height): (f64, f64), wanted: Extent) -> f64 {
    ((width / height) / (f64::from(wanted.width) / f64::from(wanted.height))).ln().abs()
}

/// Distances within one class count as equal.
fn class(off: f64) -> u32 {
    (off / SAME_RATIO) as u32
}

/// Sizes within the bounds that are nearest to what is wanted.
fn near(wanted: Extent, free: &FreeSize) -> Vec<Extent> {
    let (mut width, mut height) = (f64::from(wanted.width), f64::from(wanted.height));
    let ratio_max = free.ratio_max.max(1.0);
    // The shorter side grows, so that what is wanted still fits in.
    width = width.max(height / ratio_max);
    height = height.max(width / ratio_max);
    let [fewest, most] = free.pixels.map(|pixels| pixels as f64);
    let up = (fewest / (width * height)).sqrt().max(1.0);
    let down = (most / (width * height)).sqrt().min(f64::from(free.edge_max) / width.max(height)).min(1.0);
    // Bounds that contradict each other leave nothing; growing wins and is then found to be outside.
    let scale = if up > 1.0 { up } else { down };
    let multiple = free.multiple.max(1);
    let steps = |side: f64| {
        let middle = (side * scale / f64::from(multiple)).round() as i64;
        // Two steps to each side are enough to get back over a bound that rounding went past.
        (middle - 2..=middle + 2).filter_map(move |step| u32::try_from(step).ok()?.checked_mul(multiple))
    };
    let mut sizes = Vec::new();
    for width in steps(width) {
        for height in steps(height) {
            let size = Extent { width, height };
            let (long, short) = (width.max(height), width.min(height));
            let ratio = f64::from(long) <= f64::from(short) * ratio_max;
            let pixels = (free.pixels[0]..=free.pixels[1]).contains(&(size.pixels() as u64));
            if (SIDE_MIN..=free.edge_max).contains(&long) && short > 0 && ratio && pixels {
                sizes.push(size);
            }
        }
    }
    sizes
}

/// Width and height of a ratio, as in "16:9" or "16x9".
fn parts(text: &str) -> Option<(f64, f64)> {
    let (width, height) = text.split_once([':', 'x'])?;
    let (width, height): (f64, f64) = (width.trim().parse().ok()?, height.trim().parse().ok()?);
    (width > 0.0 && height > 0.0 && width.is_finite() && height.is_finite()).then_some((width, height))
}

/// The smallest resolution of a ratio that need not be scaled up, or the largest; `None` where the model has no words.
fn resolution(wanted: Extent, ratio: &str, can: &Capabilities) -> Option<String> {
    let (width, height) = parts(ratio)?;
    let root = (width / height).sqrt();
    let covers = |side: u32| {
        let side = f64::from(side) * (1.0 + SAME_RATIO);
        side * root >= f64::from(wanted.width) && side / root >= f64::from(wanted.height)
    };
    let by_side = |resolution: &&thumbforge_core::model::Resolution| resolution.side;
    let enough = can.resolutions.iter().filter(|resolution| covers(resolution.side)).min_by_key(by_side);
    enough.or_else(|| can.resolutions.iter().max_by_key(by_side)).map(|resolution| resolution.word.clone())
}

#[cfg(test)]
mod tests {
    use thumbforge_core::model::Resolution;

    use super::*;

    fn extent(text: &str) -> Extent {
        let (width, height) = text.split_once('x').unwrap();
        Extent { width: width.parse().unwrap(), height: height.parse().unwrap() }
    }

    fn can(sizes: &[&str], free: Option<FreeSize>, ratios: &[&str], resolutions: &[(&str, u32)]) -> Capabilities {
        Capabilities {
            sizes: sizes.iter().map(|size| extent(size)).collect(),
            free_size: free,
            ratios: ratios.iter().map(|ratio| (*ratio).to_owned()).collect(),
            resolutions: resolutions
                .iter()
                .map(|(word, side)| Resolution { word: (*word).to_owned(), side: *side })
                .collect(),
            ..Capabilities::default()
        }
    }

    fn check(can: &Capabilities, wanted: &str, expected: &str) {
        let size = choose(extent(wanted), can, Protocol::OpenAi, Task::Generate);
        let text = match &size {
            Ok(size) => words(size),
            Err(_) => "unmet".to_owned(),
        };
        assert_eq!(text, expected, "for {wanted}");
    }

    #[test]
    fn listed_sizes() {
        let three = can(&["1024x1024", "1536x1024", "1024x1536"], None, &[], &[]);
        for (wanted, expected) in [
            ("1024x1024", "1024x1024"),
            ("512x512", "1024x1024"),
            ("2048x2048", "1024x1024"),
            ("768x512", "1536x1024"),
            ("512x768", "1024x1536"),
            ("1280x720", "1536x1024"),
            ("720x1280", "1024x1536"),
            ("1200x1000", "1024x1024"),
            ("3000x1000", "1536x1024"),
            ("4000x1000", "unmet"),
            ("1000x4000", "unmet"),
        ] {
            check(&three, wanted, expected);
        }
        let several = can(&["512x512", "1024x1024", "2048x2048"], None, &[], &[]);
        for (wanted, expected) in
            [("256x256", "512x512"), ("600x600", "1024x1024"), ("1030x1024", "2048x2048"), ("4096x4096", "2048x2048")]
        {
            check(&several, wanted, expected);
        }
    }

    /// Bounds of the GPT Image family from version 2 on.
    fn gpt() -> FreeSize {
        FreeSize { multiple: 16, edge_max: 3840, ratio_max: 3.0, pixels: [655_360, 8_294_400] }
    }

    #[test]
    fn free_sizes() {
        let free = can(&["1024x1024", "1536x1024", "1024x1536"], Some(gpt()), &[], &[]);
        for (wanted, expected) in [
            ("1280x720", "1280x720"),
            ("1024x1024", "1024x1024"),
            ("512x512", "1024x1024"),
            ("1920x1080", "1920x1088"),
            ("1080x1920", "1088x1920"),
            ("512x288", "1088x608"),
            ("768x512", "1536x1024"),
            ("3840x2160", "3840x2160"),
            ("2000x2000", "2000x2000"),
            ("4096x4096", "2880x2880"),
            ("3000x1000", "3008x1008"),
            ("4000x1000", "3840x1280"),
            ("16x16", "1024x1024"),
        ] {
            check(&free, wanted, expected);
        }
    }

    #[test]
    fn every_free_size_is_within_its_bounds() {
        let (free, can) = (gpt(), can(&[], Some(gpt()), &[], &[]));
        for width in (16..=4096).step_by(136) {
            for height in (16..=4096).step_by(136) {
                let wanted = Extent { width, height };
                let Ok(AskedSize::Pixels(size)) = choose(wanted, &can, Protocol::OpenAi, Task::Generate) else {
                    let (long, short) = (width.max(height), width.min(height));
                    assert!(long > short * 5, "{wanted} is asked for in no size");
                    continue;
                };
                let long = size.width.max(size.height);
                assert!(size.width % 16 == 0 && size.height % 16 == 0 && long <= free.edge_max, "{wanted}: {size}");
                assert!((655_360..=8_294_400).contains(&size.pixels()), "{wanted}: {size}");
                assert!(long <= size.width.min(size.height) * 3, "{wanted}: {size}");
            }
        }
    }

    #[test]
    fn bounds_that_leave_nothing_are_no_panic() {
        for free in [
            FreeSize { multiple: 0, edge_max: 0, ratio_max: 0.0, pixels: [0, 0] },
            FreeSize { multiple: u32::MAX, edge_max: u32::MAX, ratio_max: f64::NAN, pixels: [u64::MAX, 0] },
            FreeSize { multiple: 64, edge_max: 512, ratio_max: 1.0, pixels: [1 << 40, 1 << 41] },
        ] {
            let can = can(&[], Some(free), &[], &[]);
            assert_eq!(choose(extent("512x512"), &can, Protocol::OpenAi, Task::Generate), Ok(AskedSize::Free));
        }
    }

    #[test]
    fn ratios() {
        let ten = ["1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9"];
        let gemini = can(&[], None, &ten, &[("1K", 1024), ("2K", 2048), ("4K", 4096)]);
        for (wanted, expected) in [
            ("1024x1024", "1:1 1K"),
            ("512x512", "1:1 1K"),
            ("1280x720", "16:9 1K"),
            ("1376x768", "16:9 1K"),
            ("1920x1080", "16:9 2K"),
            ("3840x2160", "16:9 4K"),
            ("1080x1920", "9:16 2K"),
            ("4096x4096", "1:1 4K"),
            ("1000x800", "5:4 1K"),
            ("2100x900", "21:9 2K"),
            ("4000x1000", "21:9 4K"),
            ("1000x4000", "unmet"),
        ] {
            check(&gemini, wanted, expected);
        }
        let ideogram = can(&[], None, &["1x1", "16x9", "nonsense", "0x1"], &[]);
        for (wanted, expected) in [("512x512", "1x1"), ("1280x720", "16x9"), ("900x1900", "unmet")] {
            check(&ideogram, wanted, expected);
        }
    }

    #[test]
    fn pixels_come_before_ratios_that_are_no_nearer() {
        let both = can(&["1024x1024"], None, &["1:1", "16:9"], &[]);
        check(&both, "512x512", "1024x1024");
        check(&both, "1280x720", "16:9");
    }

    #[test]
    fn servers_of_ones_own_draw_what_is_asked() {
        let nothing = Capabilities::default();
        for (protocol, wanted, expected) in [
            (Protocol::Post, "777x333", "777x333"),
            (Protocol::OpenAiCompatible, "512x512", "512x512"),
            (Protocol::A1111, "512x512", "512x512"),
            (Protocol::A1111, "777x333", "784x336"),
            (Protocol::ComfyUi, "1023x1023", "1024x1024"),
            (Protocol::SdCpp, "16x16", "16x16"),
            (Protocol::OpenAi, "512x512", ""),
            (Protocol::Gemini, "512x512", ""),
        ] {
            let size = choose(extent(wanted), &nothing, protocol, Task::Generate).unwrap();
            assert_eq!(words(&size), expected, "{wanted} by {}", protocol.word());
        }
    }
}
