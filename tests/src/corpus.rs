//! Pictures with words whose truth is known, for readers to be measured on: eleven languages, seven conditions, right and wrong.
//!
//! ```text
//! strings.txt ─► string ─► fault (or none) ─► typesetter ─► turned or mirrored ─► over a background ─► sample
//! ```
//! The number of a sample decides everything about it, so that a figure can be traced to a picture and looked at.

mod fault;
mod paint;
mod strings;

use thumbforge_art::text::FontBook;
use thumbforge_core::image::{ImageBuf, PixelBox};

use crate::seed::Seed;
pub use fault::Fault;
pub use strings::{Language, languages};

/// Width and height of every picture, in pixels.
pub const SIDE: u32 = 512;

/// How words stand in a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Condition {
    /// One colour on another.
    Clean,
    /// Letters with an outline over two colours that run into each other.
    Gradient,
    /// Letters of 12 to 18 pixels.
    Small,
    /// Turned by 8 degrees to either side.
    Turned8,
    /// Turned by 20 degrees.
    Turned20,
    /// Outlined, over a scene of the built-in engine.
    Busy,
    /// Outlined, over pixels of random colours.
    Noise,
}

impl Condition {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Clean, Self::Gradient, Self::Small, Self::Turned8, Self::Turned20, Self::Busy, Self::Noise];

    /// The word in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Gradient => "gradient",
            Self::Small => "small",
            Self::Turned8 => "turned 8°",
            Self::Turned20 => "turned 20°",
            Self::Busy => "busy",
            Self::Noise => "noise",
        }
    }
}

/// A picture, and what is true of it.
#[derive(Debug, Clone)]
pub struct Sample {
    /// BCP 47 tag of the words.
    pub locale: &'static str,
    /// How they stand there.
    pub condition: Condition,
    /// What is wrong with them.
    pub fault: Option<Fault>,
    /// The words that were asked for.
    pub asked: String,
    /// The words that were drawn.
    pub drawn: String,
    /// The picture, opaque.
    pub image: ImageBuf,
    /// The box that a template would have named for them.
    pub place: PixelBox,
    /// The box of letters and outline, as for words in true type: no room around them.
    pub ink: PixelBox,
}

/// What is to be in a picture, before it is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Whose words.
    pub language: &'static Language,
    /// How they stand there.
    pub condition: Condition,
    /// What is wrong with them.
    pub fault: Option<Fault>,
    /// Tells it from others of its kind.
    pub number: u64,
}

/// Right pictures of one language and condition; seven conditions make 210.
const RIGHT: u64 = 30;
/// Wrong pictures of one language and condition by their fault; they make 238. One letter is what a reader overlooks.
const WRONG: [(Fault, u64); 5] =
    [(Fault::Changed, 16), (Fault::Swapped, 6), (Fault::Missing, 4), (Fault::Extra, 4), (Fault::Mirrored, 4)];

/// Every picture of the corpus, or a seeded share of one in `share`.
pub fn plans(share: u64) -> Vec<Plan> {
    let mut plans = Vec::new();
    for language in languages() {
        for condition in Condition::ALL {
            let kinds = std::iter::once((None, RIGHT)).chain(WRONG.map(|(fault, count)| (Some(fault), count)));
            for (fault, count) in kinds {
                plans.extend((0..count).map(|number| Plan { language, condition, fault, number }));
            }
        }
    }
    if share > 1 {
        // A walk in steps of about `share`: every language and condition keeps its part.
        let mut seed = Seed::new(share);
        let mut next = seed.below(share) as usize;
        let mut at = 0usize;
        plans.retain(|_| {
            let keep = at == next;
            at += 1;
            if keep {
                next += (share - share / 2) as usize + seed.below(share | 1) as usize;
            }
            keep
        });
    }
    plans
}

impl Plan {
    /// Draws it.
    ///
    /// # Panics
    /// When the typesetter cannot set the words: a defect of the corpus.
    pub fn draw(&self, fonts: &FontBook) -> Sample {
        let Self { language, condition, fault, number } = *self;
        let name = format!("{} {} {fault:?} {number}", language.locale, condition.name());
        let mut seed =
            Seed::new(name.bytes().fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
            }));
        let string = seed.below(language.strings.len() as u64) as usize;
        let words = fault::words(language, string, fault, &mut seed);
        let (image, [place, ink]) = paint::paint(language, condition, fault, &words, fonts, &mut seed);
        Sample { locale: language.locale, condition, fault, asked: words.asked, drawn: words.drawn, image, place, ink }
    }
}
