//! Words that a single request brings: one layer, set as the default style has it, in a language.

use thumbforge_core::recipe::Recipe;
use thumbforge_core::text_layer::{TextLayer, TextMode, TextStyle};

/// Locale of words whose language nobody names.
pub(crate) const LOCALE: &str = "en";

/// The layer of words that come without a template.
pub(crate) fn layer(words: String, locale: Option<String>, mode: TextMode) -> TextLayer {
    TextLayer {
        name: "text".to_owned(),
        text: words,
        locale: locale.unwrap_or_else(|| LOCALE.to_owned()),
        mode,
        style: TextStyle::default(),
    }
}

/// Whether a picture that the checks refuse is mended, where a request says so or not. `auto` means that words which a model
/// cannot get right are set in true type, so it mends unless that is forbidden; otherwise drawing again costs time or money
/// that nobody agreed to.
pub(crate) fn may_repair(recipe: &Recipe, said: Option<bool>) -> bool {
    said.unwrap_or_else(|| recipe.text.iter().any(|layer| layer.mode == TextMode::Auto))
}

#[cfg(test)]
mod tests {
    use thumbforge_core::image::Extent;

    use super::*;

    #[test]
    fn auto_alone_mends_unasked() {
        let check = |mode: TextMode, said: Option<bool>, expected: bool| {
            let text = vec![layer("SALE".to_owned(), None, mode)];
            let recipe = Recipe { text, ..Recipe::from_prompt("a", Extent { width: 64, height: 64 }) };
            assert_eq!(may_repair(&recipe, said), expected, "{mode:?} {said:?}");
        };
        check(TextMode::Composite, None, false);
        check(TextMode::Model, None, false);
        check(TextMode::Auto, None, true);
        check(TextMode::Auto, Some(false), false);
        check(TextMode::Model, Some(true), true);
    }
}
