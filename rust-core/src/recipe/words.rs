//! Words that the model draws: what an engine is asked, where layers are not set in true type.
//!
//! Models letter best what is short, stands in straight quotes, and is described as type: where it stands, how large, how
//! heavy, in which colour. All of that is known from the layer, so a manifest says it once, for type and for models.

use std::borrow::Cow;

use super::Recipe;
use crate::colour::Rgb;
use crate::text_layer::{Fill, Place, TextLayer, TextMode, TextStyle, Weight};

/// Prompts above this many bytes have their words in front: CLIP reads 77 tokens, some 300 letters, and leaves out the
/// rest.
const EARLY_BYTES: usize = 200;

impl Recipe {
    /// Whether the model is to draw any of the words.
    pub fn has_drawn_words(&self) -> bool {
        self.text.iter().any(|layer| !layer.mode.is_composite())
    }

    /// The recipe that an engine is asked: layers whose words it draws are gone from `text` and stand in the prompt,
    /// unless the prompt has them as lettering already. What forbids words ("no text") is left out. The seed is that of the
    /// art without words, so that locales differ in nothing else.
    ///
    /// A recipe whose words are all set in true type is asked as it is, so its keys stay what they were.
    pub fn for_model(&self) -> Cow<'_, Self> {
        if !self.has_drawn_words() {
            return Cow::Borrowed(self);
        }
        let mut asked = self.clone();
        asked.seed = Some(self.drawing_seed());
        asked.text.retain(|layer| layer.mode.is_composite());
        asked.prompt = without(&self.prompt, &["no text", "no words", "no letters", "without text", "text-free"]);
        asked.negative = without(&self.negative, &["text", "words", "letters", "lettering", "typography", "writing"]);
        let drawn = self.text.iter().filter(|layer| !layer.mode.is_composite());
        let wanted: Vec<String> =
            drawn.filter(|layer| !is_lettered(&self.prompt, &quotable(layer))).map(described).collect();
        if wanted.is_empty() {
            return Cow::Owned(asked);
        }
        let wanted = wanted.join(", and ");
        if asked.prompt.is_empty() {
            asked.prompt = wanted;
        } else if asked.prompt.len() > EARLY_BYTES {
            asked.prompt = format!("{wanted}: {}", asked.prompt);
        } else {
            asked.prompt = format!("{}, with {wanted}", asked.prompt);
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

/// A list of terms without those that are one of `gone`.
fn without(prompt: &str, gone: &[&str]) -> String {
    let stays = |term: &&str| !gone.iter().any(|gone| term.trim().eq_ignore_ascii_case(gone));
    let kept: Vec<&str> = prompt.split(',').filter(stays).collect();
    kept.join(",").trim().to_owned()
}

/// The words of a layer as a prompt quotes them: in one line, without break points, with no quote that would end them.
fn quotable(layer: &TextLayer) -> String {
    let plain = layer.text.replace('\u{ad}', "").replace('"', "'");
    super::one_line(&plain)
}

/// What a word before others says of them: that they are to be read. A sword that is called Sword is no lettering.
const BEFORE_LETTERING: [&str; 19] = [
    "says",
    "saying",
    "said",
    "reads",
    "reading",
    "text",
    "word",
    "words",
    "title",
    "titled",
    "letters",
    "lettering",
    "caption",
    "headline",
    "slogan",
    "label",
    "labelled",
    "written",
    "spelling",
];

/// Whether `prompt` asks for `words` as lettering: in quotes, or behind a word that says so.
fn is_lettered(prompt: &str, words: &str) -> bool {
    prompt.match_indices(words).any(|(at, _)| {
        let (before, after) = (&prompt[..at], &prompt[at + words.len()..]);
        let part = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        if part(before.chars().next_back()) || part(after.chars().next()) {
            return false;
        }
        let quoted = |c: Option<char>| c.is_some_and(|c| "\"'“”‘’„«»‹›「」『』".contains(c));
        if quoted(before.chars().next_back()) && quoted(after.chars().next()) {
            return true;
        }
        let last = before.split_whitespace().next_back().unwrap_or("").trim_end_matches([':', ',']);
        BEFORE_LETTERING.iter().any(|lead| last.eq_ignore_ascii_case(lead))
    })
}

/// The words of a layer with what is known of how they are to look.
fn described(layer: &TextLayer) -> String {
    let words = quotable(layer);
    let style = &layer.style;
    let noun = if words.contains(' ') { "words" } else { "word" };
    let size = match style.size {
        size if size >= 0.09 => "large ",
        size if size < 0.045 => "small ",
        _ => "",
    };
    let weight = match style.weight {
        Weight::Regular => "",
        Weight::Bold => "bold ",
    };
    let case = if style.uppercase { "capital " } else { "" };
    let arc = if style.arc == 0.0 { "" } else { " on an arc" };
    let plate = style.plate.map_or_else(String::new, |plate| format!(" on a {} plate", name(plate.colour)));
    let outline = style.outline.map_or_else(String::new, |outline| format!(" with a {} outline", name(outline.colour)));
    format!(
        "the {noun} \"{words}\" in {size}clear {weight}{} {case}sans-serif letters{outline}{plate}{arc} {}",
        fill(style),
        place(style)
    )
}

fn fill(style: &TextStyle) -> String {
    match style.fill {
        Fill::Solid(colour) => name(colour).to_owned(),
        Fill::Gradient([top, bottom]) if name(top) == name(bottom) => name(top).to_owned(),
        Fill::Gradient([top, bottom]) => format!("{} to {}", name(top), name(bottom)),
    }
}

/// Where a layer's area lies, in words.
fn place(style: &TextStyle) -> &'static str {
    if style.place == Place::Calm {
        return "where the picture is empty";
    }
    let [x, y, w, h] = style.area;
    let third = |from: f64, length: f64| match from + length * 0.5 {
        middle if middle < 0.37 => 0,
        middle if middle > 0.63 => 2,
        _ => 1,
    };
    match (third(y, h), third(x, w)) {
        (0, 0) => "in the top left corner",
        (0, 1) => "at the top",
        (0, _) => "in the top right corner",
        (1, 0) => "on the left",
        (1, 1) => "in the middle",
        (1, _) => "on the right",
        (_, 0) => "in the bottom left corner",
        (_, 1) => "at the bottom",
        _ => "in the bottom right corner",
    }
}

/// Colours that have plain names, about evenly spread over what people see.
const COLOURS: [(&str, [u8; 3]); 17] = [
    ("white", [250, 250, 250]),
    ("light grey", [200, 200, 200]),
    ("grey", [128, 128, 128]),
    ("black", [16, 16, 20]),
    ("red", [210, 30, 35]),
    ("orange", [245, 130, 30]),
    ("golden", [250, 190, 50]),
    ("yellow", [250, 235, 60]),
    ("cream", [250, 240, 210]),
    ("green", [50, 160, 60]),
    ("turquoise", [50, 190, 190]),
    ("light blue", [130, 190, 240]),
    ("blue", [40, 80, 210]),
    ("dark blue", [20, 35, 85]),
    ("purple", [130, 60, 180]),
    ("pink", [240, 120, 170]),
    ("brown", [110, 65, 35]),
];

/// The plain name of a colour: the nearest of [`COLOURS`].
fn name(Rgb(colour): Rgb) -> &'static str {
    let away = |(_, known): &(&str, [u8; 3])| -> u32 {
        colour.iter().zip(known).map(|(own, known)| u32::from(own.abs_diff(*known)).pow(2)).sum()
    };
    COLOURS.iter().min_by_key(|known| away(known)).map_or("white", |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Extent;
    use crate::text_layer::{Outline, Plate};

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
        let asked = recipe("BIG\n\"SA\u{ad}LE\"", "en", TextMode::Model).for_model().into_owned();
        let how = "in large clear bold white sans-serif letters with a black outline at the top";
        assert_eq!(asked.prompt, format!("a sword, with the words \"BIG 'SALE'\" {how}"));
        assert!(asked.text.is_empty());
        let quoted = Recipe { prompt: "a sign that says SALE".to_owned(), ..recipe("SALE", "en", TextMode::Auto) };
        assert_eq!(quoted.for_model().prompt, quoted.prompt);
    }

    #[test]
    fn words_are_described_as_their_layer_is_set() {
        let check = |change: fn(&mut TextStyle), expected: &str| {
            let mut recipe = recipe("SALE", "en", TextMode::Model);
            change(&mut recipe.text[0].style);
            assert_eq!(recipe.for_model().prompt, format!("a sword, with the word \"SALE\" in {expected}"));
        };
        check(|s| s.size = 0.03, "small clear bold white sans-serif letters with a black outline at the top");
        check(
            |s| (s.size, s.weight, s.outline) = (0.06, Weight::Regular, None),
            "clear white sans-serif letters at the top",
        );
        check(
            |s| {
                s.outline = None;
                s.fill = Fill::Gradient([Rgb([255, 250, 214]), Rgb([255, 178, 40])]);
                (s.arc, s.uppercase) = (40.0, true);
            },
            "large clear bold cream to golden capital sans-serif letters on an arc at the top",
        );
        check(
            |s| {
                s.outline = Some(Outline { colour: Rgb([16, 30, 80]), width: 0.1 });
                s.plate = Some(Plate { colour: Rgb([220, 20, 20]), opacity: 1.0, radius: 0.5, padding: [0.1; 2] });
                s.area = [0.6, 0.7, 0.3, 0.2];
            },
            "large clear bold white sans-serif letters with a dark blue outline on a red plate in the bottom right corner",
        );
        check(
            |s| (s.outline, s.place) = (None, Place::Calm),
            "large clear bold white sans-serif letters where the picture is empty",
        );
        assert_eq!((name(Rgb([0, 0, 0])), name(Rgb([120, 72, 30]))), ("black", "brown"));
    }

    #[test]
    fn a_prompt_has_its_words_as_lettering_or_not_at_all() {
        let check = |prompt: &str, words: &str, expected: bool| {
            assert_eq!(is_lettered(prompt, words), expected, "{words:?} in {prompt:?}");
        };
        check("a sign that says SALE", "SALE", true);
        check("a banner with the text: SALE", "SALE", true);
        check("a sword, the title \"Sword\" above", "Sword", true);
        check("„Sonderangebot“ auf einem Schild", "Sonderangebot", true);
        check("看板に「限定」", "限定", true);
        check("Sword of fire on a table", "Sword", false);
        check("a WHOLESALE market that says nothing", "SALE", false);
        check("a market", "SALE", false);
        check("the word SALEM", "SALE", false);
    }

    #[test]
    fn a_long_prompt_begins_with_its_words() {
        let long = "a castle on a hill, ".repeat(20);
        let asked = Recipe { prompt: long, ..recipe("SALE", "en", TextMode::Model) }.for_model().into_owned();
        assert!(
            asked.prompt.starts_with("the word \"SALE\" in large") && asked.prompt.contains("at the top: a castle")
        );
    }

    #[test]
    fn what_forbids_words_is_left_out_for_the_model_alone() {
        let mut recipe = recipe("SALE", "en", TextMode::Auto);
        recipe.prompt = "a sword, soft light, No text, no textiles".to_owned();
        recipe.negative = "text, letters, context, blurry".to_owned();
        let asked = recipe.for_model().into_owned();
        assert!(asked.prompt.starts_with("a sword, soft light, no textiles, with the word"), "{}", asked.prompt);
        assert_eq!(asked.negative, "context, blurry");
        assert_eq!(recipe.in_true_type().negative, recipe.negative);
    }

    #[test]
    fn words_that_make_a_prompt_too_long_are_refused() {
        let long = |mode| Recipe { prompt: "x".repeat(16_300), ..recipe(&"SALE ".repeat(60), "en", mode) };
        assert!(long(TextMode::Composite).normalised().is_ok());
        let message = long(TextMode::Model).normalised().expect_err("too long").to_string();
        assert!(message.contains("prompt with the words that the model draws"), "{message}");
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
