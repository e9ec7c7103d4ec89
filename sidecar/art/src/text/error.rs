//! Why a layer cannot be set. Every message names the mend.

use thiserror::Error;

/// A font file of the manifest that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FontError {
    /// The bytes are no font that can be read.
    #[error("read the font: {reason}; the file is damaged or no TrueType or OpenType font, replace it")]
    Broken {
        /// What is wrong with it.
        reason: String,
    },
}

/// A layer that cannot be set.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum TextError {
    /// No font that this locale may use has these characters.
    #[error(
        "set layer {layer:?} for locale {locale}: no font has a glyph for {characters} ({script}); \
         {mend}"
    )]
    MissingGlyph {
        /// Name of the layer.
        layer: String,
        /// Locale of its words.
        locale: String,
        /// Script of the first missing character, in English.
        script: String,
        /// The characters, quoted, with their code points.
        characters: String,
        /// What to do.
        mend: String,
    },
    /// Even at the smallest size the words leave their box.
    #[error(
        "fit {text:?} into the area of layer {layer:?}: at the smallest size, {size_min_px:.1} px, it is {over}; \
         shorten the text, add a soft hyphen (U+00AD) where a long word may break, widen the area, \
         allow more lines or lower size_min"
    )]
    DoesNotFit {
        /// Name of the layer.
        layer: String,
        /// The words.
        text: String,
        /// Smallest font size in pixels.
        size_min_px: f32,
        /// How much too wide, too high or in how many lines too many.
        over: String,
    },
    /// The layer has no words.
    #[error("set layer {layer:?} for locale {locale}: it has no words; write some or leave the layer out")]
    NoWords {
        /// Name of the layer.
        layer: String,
        /// Locale of its words.
        locale: String,
    },
    /// A value of the style that cannot be drawn.
    #[error("set layer {layer:?}: {field} is {value}; {mend}")]
    Style {
        /// Name of the layer.
        layer: String,
        /// Field of the style.
        field: &'static str,
        /// Its value.
        value: String,
        /// What it should be.
        mend: &'static str,
    },
    /// The style names a font file whose bytes were not handed over.
    #[error("set layer {layer:?}: the font {path} was not loaded; check that the file is there and plan again")]
    FontAbsent {
        /// Name of the layer.
        layer: String,
        /// Path as the manifest has it.
        path: String,
    },
}
