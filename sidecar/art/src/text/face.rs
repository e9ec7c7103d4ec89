//! Font files: the packaged ones and those of a manifest.
//!
//! The packaged ones lie in the program's read-only data and are only touched when a glyph is asked of them,
//! so that a process that sets no Japanese pages in no Japanese font.

use std::sync::{Arc, OnceLock};

use fontique::{Blob, Synthesis};
use parlance::{FontVariation, Tag};
use parley_engine::FontInstanceRef;
use skrifa::raw::TableProvider;
use skrifa::{FontRef, MetadataProvider};
use thumbforge_core::text_layer::Weight;

use super::error::FontError;

/// One font file.
pub(super) struct Face {
    /// What to call it.
    pub(super) name: String,
    blob: Blob<u8>,
    synthesis: Synthesis,
    /// Whether a weight can be asked of the file itself.
    variable: bool,
}

impl Face {
    fn packaged(name: &str, bytes: &'static [u8]) -> Self {
        Self {
            name: name.to_owned(),
            blob: Blob::new(Arc::new(bytes)),
            synthesis: Synthesis::default(),
            variable: false,
        }
    }

    /// A font of the manifest. Everything that shaping takes for granted is checked here.
    pub(super) fn read(bytes: Arc<[u8]>) -> Result<Self, FontError> {
        let broken = |reason: &dyn std::fmt::Display| FontError::Broken { reason: reason.to_string() };
        let font = FontRef::from_index(&bytes, 0).map_err(|err| broken(&err))?;
        let em = font.head().map_err(|err| broken(&err))?.units_per_em();
        font.maxp().map_err(|err| broken(&err))?;
        font.hmtx().map_err(|err| broken(&err))?;
        if !(16..=16_384).contains(&em) {
            return Err(broken(&"its units per em are outside 16 to 16384"));
        }
        if !font.charmap().has_map() {
            return Err(broken(&"it maps no characters to glyphs"));
        }
        if font.outline_glyphs().format().is_none() {
            return Err(broken(&"it has no outlines (bitmap and colour fonts cannot be set)"));
        }
        let name = font
            .localized_strings(skrifa::string::StringId::FULL_NAME)
            .english_or_first()
            .map_or_else(|| "unnamed font".to_owned(), |name| name.chars().collect());
        let variable = font.axes().iter().any(|axis| axis.tag() == skrifa::Tag::new(b"wght"));
        Ok(Self { name, blob: Blob::new(Arc::new(bytes)), synthesis: Synthesis::default(), variable })
    }

    /// Number that names this file within the process.
    pub(super) fn id(&self) -> u64 {
        self.blob.id()
    }

    /// The file as skrifa reads it. `None` never happens for a face that was checked.
    pub(super) fn font(&self) -> Option<FontRef<'_>> {
        FontRef::from_index(self.blob.as_ref(), 0).ok()
    }

    /// The file as the shaper takes it.
    pub(super) fn instance(&self) -> FontInstanceRef<'_> {
        FontInstanceRef { data: &self.blob, index: 0, synthesis: &self.synthesis }
    }

    /// The weight to ask of a variable font.
    pub(super) fn variation(&self, weight: Weight) -> Option<FontVariation> {
        let value = match weight {
            Weight::Regular => 400.0,
            Weight::Bold => 700.0,
        };
        self.variable.then(|| FontVariation::new(Tag::new(b"wght"), value))
    }
}

/// The packaged families.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Sans,
    Arabic,
    Hebrew,
    Devanagari,
    Thai,
    Japanese,
    Korean,
    Chinese,
}

macro_rules! packaged {
    ($($family:ident $file:literal $ending:literal),* $(,)?) => {
        /// The packaged files, regular then bold, in the order of [`Family`].
        static FILES: &[[(&str, &[u8]); 2]] = &[$([
            (concat!($file, " Regular"), include_bytes!(concat!("../../fonts/", $file, "-Regular.", $ending))),
            (concat!($file, " Bold"), include_bytes!(concat!("../../fonts/", $file, "-Bold.", $ending))),
        ]),*];
        const _: () = { $(let _ = Family::$family;)* };
    };
}

packaged! {
    Sans "NotoSans" "ttf",
    Arabic "NotoSansArabic" "ttf",
    Hebrew "NotoSansHebrew" "ttf",
    Devanagari "NotoSansDevanagari" "ttf",
    Thai "NotoSansThai" "ttf",
    Japanese "NotoSansCJKjp" "otf",
    Korean "NotoSansCJKkr" "otf",
    Chinese "NotoSansCJKsc" "otf",
}

/// The face of a packaged family.
pub(super) fn packaged(family: Family, weight: Weight) -> &'static Face {
    static FACES: OnceLock<Vec<[Face; 2]>> = OnceLock::new();
    let faces = FACES.get_or_init(|| {
        FILES.iter().map(|pair| [pair[0], pair[1]].map(|(name, bytes)| Face::packaged(name, bytes))).collect()
    });
    let of_weight = match weight {
        Weight::Regular => 0,
        Weight::Bold => 1,
    };
    &faces[family as usize][of_weight]
}

/// Every packaged file with its name, for tests and for `FontBook::packaged_bytes`.
pub(super) fn files() -> impl Iterator<Item = (&'static str, &'static [u8])> {
    FILES.iter().flatten().copied()
}
