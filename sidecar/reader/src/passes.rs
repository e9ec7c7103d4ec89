//! Passes over a picture and over a box, in their order.

use crate::letters::Side;
use crate::plane::Channel;
use crate::tesseract::Mode;

/// How one pass looks at an area.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pass {
    /// What is read.
    pub(crate) source: Source,
    /// At which size.
    pub(crate) scale: Scale,
    /// How lines are looked for.
    pub(crate) mode: Mode,
    /// Whether lines are turned level first.
    pub(crate) upright: Upright,
}

/// At which size it is read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Scale {
    /// So many times its own.
    Times(f64),
    /// So that a line has this height in pixels; its own size where no line is known yet.
    Line(f64),
}

/// Whether a plane is turned until its lines are level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Upright {
    /// It is read as it is.
    Always,
    /// It is turned. Where its lines are level already, a pass that was made so before is left out.
    Turned,
}

/// What letters are taken from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Source {
    /// The pixels as they are.
    Plain(Channel),
    /// Patches that stand out against a line around them.
    Cut(Side),
}

/// The plain pass, by which legibility is judged.
pub(crate) const GREY: Source = Source::Plain(Channel::Grey);
const DARK: Source = Source::Plain(Channel::Dark);
const BRIGHT: Source = Source::Plain(Channel::Bright);
const CUT_BRIGHT: Source = Source::Cut(Side::Bright);
const CUT_DARK: Source = Source::Cut(Side::Dark);

const fn pass(source: Source, scale: Scale, mode: Mode, upright: Upright) -> Pass {
    Pass { source, scale, mode, upright }
}

/// Passes over the whole picture: sparse text, since nothing is known of where it stands.
pub(crate) const PAGE: [Pass; 9] = [
    pass(GREY, Scale::Times(1.0), Mode::Sparse, Upright::Always),
    pass(CUT_BRIGHT, Scale::Times(1.0), Mode::Sparse, Upright::Turned),
    pass(CUT_BRIGHT, Scale::Times(0.5), Mode::Sparse, Upright::Turned),
    pass(GREY, Scale::Times(1.0), Mode::Sparse, Upright::Turned),
    pass(CUT_DARK, Scale::Times(1.0), Mode::Sparse, Upright::Turned),
    pass(CUT_DARK, Scale::Times(0.5), Mode::Sparse, Upright::Turned),
    pass(GREY, Scale::Times(2.0), Mode::Sparse, Upright::Turned),
    pass(DARK, Scale::Times(2.0), Mode::Sparse, Upright::Turned),
    pass(BRIGHT, Scale::Times(2.0), Mode::Sparse, Upright::Turned),
];
/// Passes over a box, where lines are known or likely to be. [`Mode::Line`] is for words that were found in one line, and
/// stands for [`Mode::Block`] elsewhere: the layout of a block loses single characters at its ends, a line is read as it is.
pub(crate) const BOX: [Pass; 8] = [
    pass(GREY, Scale::Line(LINE_PX), Mode::Block, Upright::Always),
    pass(CUT_BRIGHT, Scale::Line(LINE_PX), Mode::Line, Upright::Turned),
    pass(GREY, Scale::Line(LINE_PX), Mode::Line, Upright::Turned),
    pass(CUT_DARK, Scale::Line(LINE_PX), Mode::Line, Upright::Turned),
    pass(CUT_BRIGHT, Scale::Line(LINE_PX * 1.4), Mode::Block, Upright::Turned),
    pass(GREY, Scale::Line(LINE_PX * 0.7), Mode::Block, Upright::Turned),
    pass(DARK, Scale::Line(LINE_PX), Mode::Block, Upright::Turned),
    pass(BRIGHT, Scale::Line(LINE_PX), Mode::Block, Upright::Turned),
];
/// The first pass over lines whose place, height and side the letters that were cut out tell; the second reads these letters.
pub(crate) const NEAR: Pass = pass(GREY, Scale::Line(LINE_PX), Mode::Line, Upright::Always);
/// Height of a line, in pixels, that is read best. The engine scales every line to 36; larger letters than these lose their
/// first and last characters in Chinese and Japanese, and smaller ones their marks.
pub(crate) const LINE_PX: f64 = 34.0;
