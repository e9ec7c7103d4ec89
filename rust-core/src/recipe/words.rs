//! Words that the model draws: what an engine is asked, where layers are not set in true type.

use std::borrow::Cow;

use super::Recipe;
use crate::text_layer::{TextLayer, TextMode};

impl Recipe {
    /// Whether the model is to draw any of the words.
    pub fn has_drawn_words(&self) -> bool {
        self.text.iter().any(|layer| !layer.mode.is_composite())
    }

    /// The recipe that an engine is asked: layers whose words it draws are gone from `text` and stand in the prompt,
    /// unless the prompt quotes them already. The seed is that of the art without words, so that locales differ in nothing
    /// else.
    ///
    /// A recipe whose words are all set in true type is asked as it is, so its keys stay what they were.
    pub fn for_model(&self) -> Cow<'_, Self> {
        if !self.has_drawn_words() {
            return Cow::Borrowed(self);
        }
        let mut asked = self.clone();
        asked.seed = Some(self.drawing_seed());
        asked.text.retain(|layer| layer.mode.is_composite());
        for layer in self.text.iter().filter(|layer| !layer.mode.is_composite()) {
            let words = quotable(layer);
            if !self.prompt.contains(&words) {
                asked.prompt.push_str(&format!(", with the words \"{words}\" written in large clear letters"));
            }
        }
        Cow::Owned(asked)
    }

    /// The same picture with all of its words set in true type, over art without words: what `auto` falls back to.
    /// Its art is the same for every locale.
    pub fn in_true_type(&self) -> Self {
        let mut set = self.clone();
        set.text.iter_mut().for_each(|layer| layer.mode = TextMode::Composite);
        set
    }
}

/// The words of a layer as a prompt quotes them: in one line, without break points, with no quote that would end them.
fn quotable(layer: &TextLayer) -> String {
    let plain = layer.text.replace('\u{ad}', "").replace('"', "'");
    super::one_line(&plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Extent;
    use crate::text_layer::TextStyle;

    fn recipe(words: &str, locale: &str, mode: TextMode) -> Recipe {
        let layer = TextLayer {
            name: "title".to_owned(),
            text: words.to_owned(),
            locale: locale.to_owned(),
            mode,
            style: TextStyle::default(),
        };
        Recipe { text: vec![layer], ..Recipe::from_prompt("a sword", Extent { width: 64, height: 64 }) }
    }

    #[test]
    fn words_of_the_model_stand_in_its_prompt_once() {
        let asked = recipe("BIG\n\"SALE\"", "en", TextMode::Model).for_model().into_owned();
        assert_eq!(asked.prompt, "a sword, with the words \"BIG 'SALE'\" written in large clear letters");
        assert!(asked.text.is_empty());
        let quoted = Recipe { prompt: "a sign that says SALE".to_owned(), ..recipe("SALE", "en", TextMode::Auto) };
        assert_eq!(quoted.for_model().prompt, quoted.prompt);
    }

    #[test]
    fn words_in_true_type_change_nothing_of_what_is_asked() {
        let set = recipe("SALE", "en", TextMode::Composite);
        assert!(matches!(set.for_model(), Cow::Borrowed(_)));
        let auto = recipe("SALE", "en", TextMode::Auto);
        assert_eq!(auto.in_true_type(), set);
        assert_ne!(auto.planned_key(), set.planned_key());
    }

    #[test]
    fn locales_share_the_seed_and_never_the_art_that_holds_their_words() {
        let [en, de] = ["SALE", "AKTION"].map(|words| recipe(words, "en", TextMode::Model).for_model().into_owned());
        assert_eq!(en.drawing_seed(), de.drawing_seed());
        assert_ne!(en.art_key(), de.art_key());
        let [en, de] = ["SALE", "AKTION"].map(|words| recipe(words, "en", TextMode::Auto).in_true_type());
        assert_eq!(en.art_key(), de.art_key());
    }
}
