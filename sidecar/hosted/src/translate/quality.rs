//! Words for how much work goes into a picture.

use thumbforge_core::model::Capabilities;

/// How much work a word means, where it is not one of the model's own.
#[derive(Clone, Copy)]
enum Effort {
    Low,
    Medium,
    High,
    /// As the model has it when nobody says anything.
    Usual,
}

/// The words that mean the same everywhere: the three portable ones, and those by which other models call them.
const WORDS: [(&str, Effort); 12] = [
    ("low", Effort::Low),
    ("turbo", Effort::Low),
    ("fast", Effort::Low),
    ("medium", Effort::Medium),
    ("default", Effort::Medium),
    ("standard", Effort::Medium),
    ("high", Effort::High),
    ("quality", Effort::High),
    ("hd", Effort::High),
    ("xhigh", Effort::High),
    ("max", Effort::High),
    ("auto", Effort::Usual),
];

/// The model's word for what was named, or for its usual work; empty where it has no words.
///
/// # Errors
/// Why the word cannot be honoured.
pub fn choose(named: Option<&str>, can: &Capabilities) -> Result<String, String> {
    let words = &can.qualities;
    let Some(last) = words.len().checked_sub(1) else {
        return match named {
            Some(_) => Err("it has no qualities to choose from".to_owned()),
            None => Ok(String::new()),
        };
    };
    let own = |word: &str| words.iter().find(|own| fold(own) == fold(word)).cloned();
    let effort = match named {
        None => Effort::Usual,
        Some(word) => match own(word) {
            Some(word) => return Ok(word),
            None => {
                WORDS.iter().find(|(known, _)| *known == fold(word)).map(|(_, effort)| *effort).ok_or_else(|| {
                    format!(
                        "it has no quality {:?}: there are {}",
                        word.chars().take(40).collect::<String>(),
                        words.join(", ")
                    )
                })?
            }
        },
    };
    let at = match effort {
        Effort::Low => 0,
        // Of an even number of words the one that costs less.
        Effort::Medium => last / 2,
        Effort::High => return Ok(own("high").unwrap_or_else(|| words[last].clone())),
        Effort::Usual => {
            let usual = can.quality.as_deref().and_then(own).or_else(|| own("medium"));
            return Ok(usual.unwrap_or_else(|| words[last / 2].clone()));
        }
    };
    Ok(words[at].clone())
}

/// Words are compared without case, underscores and hyphens.
fn fold(word: &str) -> String {
    word.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: &[&str], usual: Option<&str>, named: Option<&str>, expected: Option<&str>) {
        let can = Capabilities {
            qualities: words.iter().map(|word| (*word).to_owned()).collect(),
            quality: usual.map(str::to_owned),
            ..Capabilities::default()
        };
        assert_eq!(choose(named, &can).ok().as_deref(), expected, "{named:?} of {words:?}");
    }

    #[test]
    fn words_mean_the_same_at_every_model() {
        let gpt = &["low", "medium", "high"][..];
        let gpt_25 = &["low", "medium", "high", "xhigh", "max"][..];
        let ideogram = &["turbo", "default", "quality"][..];
        let ideogram_45 = &["very_low", "low", "medium", "high"][..];
        let dalle = &["standard", "hd"][..];
        for (words, usual, named, expected) in [
            (gpt, None, None, Some("medium")),
            (gpt, None, Some("low"), Some("low")),
            (gpt, None, Some("High"), Some("high")),
            (gpt, None, Some("hd"), Some("high")),
            (gpt, None, Some("standard"), Some("medium")),
            (gpt, None, Some("max"), Some("high")),
            (gpt, None, Some("auto"), Some("medium")),
            (gpt, Some("low"), None, Some("low")),
            (gpt, Some("low"), Some("auto"), Some("low")),
            (gpt, Some("nonsense"), None, Some("medium")),
            (gpt, None, Some("crisp"), None),
            (gpt_25, None, Some("high"), Some("high")),
            (gpt_25, None, Some("quality"), Some("high")),
            (gpt_25, None, Some("max"), Some("max")),
            (gpt_25, None, Some("x-high"), Some("xhigh")),
            (ideogram, None, None, Some("default")),
            (ideogram, None, Some("low"), Some("turbo")),
            (ideogram, None, Some("medium"), Some("default")),
            (ideogram, None, Some("high"), Some("quality")),
            (ideogram_45, None, Some("very-low"), Some("very_low")),
            (ideogram_45, None, Some("turbo"), Some("very_low")),
            (ideogram_45, None, Some("low"), Some("low")),
            (dalle, None, None, Some("standard")),
            (dalle, None, Some("low"), Some("standard")),
            (dalle, None, Some("medium"), Some("standard")),
            (dalle, None, Some("high"), Some("hd")),
            (dalle, Some("hd"), None, Some("hd")),
            (&["only"], None, Some("high"), Some("only")),
            (&["only"], None, None, Some("only")),
            (&[], None, None, Some("")),
            (&[], None, Some("high"), None),
        ] {
            check(words, usual, named, expected);
        }
    }
}
