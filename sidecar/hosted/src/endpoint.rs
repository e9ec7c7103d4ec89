//! Where a provider is reached, and with which key.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::time::Duration;

use url::Url;

/// A key. It is shown to nobody: neither `Debug` nor any error has it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text`, without the line end that files have.
    pub fn new(text: impl Into<String>) -> Self {
        let mut text: String = text.into();
        text.truncate(text.trim_end_matches(['\r', '\n']).len());
        Self(text)
    }

    /// The key itself, for the one header that carries it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// `text` without the key and without any piece of it: a message that was cut short may end within one.
    pub fn hidden_in(&self, text: &str) -> String {
        // Shorter pieces are no help to anybody, and ordinary words would be taken for them.
        const PIECE: usize = 8;
        let key = self.0.trim();
        if key.len() < PIECE {
            return if key.len() < PIECE / 2 { text.to_owned() } else { text.replace(key, "…") };
        }
        let pieces: HashSet<&[u8]> = key.as_bytes().windows(PIECE).collect();
        let mut hidden = vec![false; text.len()];
        for (at, window) in text.as_bytes().windows(PIECE).enumerate() {
            if pieces.contains(window) {
                hidden[at..at + PIECE].fill(true);
            }
        }
        let mut kept = String::with_capacity(text.len());
        for (at, letter) in text.char_indices() {
            match (hidden[at], at > 0 && hidden[at - 1]) {
                (false, _) => kept.push(letter),
                (true, false) => kept.push('…'),
                (true, true) => {}
            }
        }
        kept
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Where calls of one account go.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    /// The account's name, for messages.
    pub account: String,
    /// Address that paths are put behind, with neither query nor fragment.
    pub base_url: Url,
    /// The key; absent for servers of one's own.
    pub key: Option<Secret>,
    /// What single providers need besides: `project` and `location` of Vertex, `organization` of OpenAI, `workflow` of ComfyUI.
    pub options: BTreeMap<String, String>,
    /// Whether results may be fetched from private addresses and without TLS; for servers of one's own.
    pub allow_private: bool,
    /// Longest time that one answer may take.
    pub timeout: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_piece_of_a_key_is_left() {
        #[track_caller]
        fn check(key: &str, text: &str, expected: &str) {
            assert_eq!(Secret::new(key).hidden_in(text), expected, "{text}");
        }
        check("sk-0123456789", "Bearer sk-0123456789 is wrong", "Bearer … is wrong");
        check("sk-0123456789", "sk-0123456789sk-0123456789", "…");
        check("sk-0123456789", "wrong: sk-01234", "wrong: …");
        check("sk-0123456789", "3456789 ends here, 23456789 too", "3456789 ends here, … too");
        check("sk-0123456789", "größe sk-0123456789 größe", "größe … größe");
        check("sk-0123456789", "sk-0", "sk-0");
        check("mia:pw", "mia:pw said mia:", "… said mia:");
        check("ab", "about", "about");
        check("", "about", "about");
        check("sk-0123456789\n", "sk-0123456789", "…");
    }

    #[test]
    fn nobody_sees_a_key() {
        assert_eq!(format!("{:?}", Secret::new("sk-0123456789")), "Secret(…)");
    }
}
