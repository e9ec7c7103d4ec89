//! Reading a prompt: what it is a picture of, and which words say where, when and in what colour.
//!
//! No model: whole words, a vocabulary, and the habit of English to put the head noun last in its phrase
//! ("a red dragon guarding a castle" is a picture of a dragon, "studio photo of sword on table" of a sword).

use super::icons::{self, Icon};

/// What a prompt says.
pub(super) struct Reading {
    /// The subject and the words that qualify it ("red", "golden").
    pub(super) subject: Option<&'static Icon>,
    pub(super) qualifiers: Vec<String>,
    /// All words that may decide scene and palette, in singular, without the qualifiers of the subject.
    pub(super) words: Vec<String>,
    /// Words that must not be drawn.
    pub(super) unwanted: Vec<String>,
}

/// Words that open a new phrase: what follows is context, not the head.
const BREAKS: &[&str] = &[
    "on", "in", "at", "with", "of", "over", "under", "near", "against", "behind", "beside", "by", "for", "from",
    "into", "and", "above", "below", "among", "through", "inside", "before", "between", "beneath", "across", "around",
    "to", "next", "atop", "amid", "that", "who", "which", "while", "is", "are", "vs", "versus", "during", "towards",
    "beyond",
];

/// Words that name an icon but mostly set a mood; a concrete noun anywhere near wins over them.
const WEAK: &[&str] = &[
    "magic",
    "energy",
    "power",
    "battle",
    "war",
    "fight",
    "combat",
    "adventure",
    "mystery",
    "love",
    "music",
    "party",
    "royal",
    "army",
    "hero",
    "speed",
    "halloween",
    "christmas",
    "explosion",
    "fire",
    "ice",
    "lightning",
    "flame",
    "gold",
    "wood",
    "stone",
    "rock",
    "crystal",
    "forge",
    "camp",
    "death",
    "life",
    "luck",
    "hell",
    "home",
    "base",
    "goal",
    "defense",
    "frozen",
    "wave",
    "farming",
    "crafting",
    "mining",
    "racing",
    "race",
    "town",
    "village",
    "house",
    "market",
    "shop",
    "tavern",
    "inn",
    "prison",
    "library",
    "lab",
    "laboratory",
    "science",
    "story",
    "tale",
    "quest",
    "treasure",
    "kingdom",
    "harvest",
    "garden",
    "flower",
    "tree",
    "leaf",
    "ruin",
    "wall",
    "gate",
    "door",
    "tower",
    "castle",
    "temple",
    "bridge",
    "person",
    "people",
    "energy drink",
    "idea",
    "military",
    "steampunk",
    "gaming",
    "fashion",
    "cooking",
    "moon",
    "sun",
    "star",
    "cloud",
    "exploration",
    "navigation",
    "medieval",
    "celebration",
    "surprise",
    "spirit",
    "electric",
    "plant",
    "haunting",
    "cave",
    "mine",
    "camping",
    "embers",
    "burning",
    "harbor",
    "harbour",
    "melee",
    "duel",
    "clash",
    "cyber",
    "undead",
    "prehistoric",
    "viking",
    "roman",
    "pirate",
    "wealth",
    "security",
    "defence",
    "protection",
];

/// Phrases whose words say nothing about the picture ("key art" holds no key).
const EMPTY: &[&str] = &[
    "key art",
    "key visual",
    "card art",
    "concept art",
    "cover art",
    "box art",
    "game art",
    "digital art",
    "pixel art",
    "book cover",
    "high quality",
    "ring light",
    "rim light",
    "light ray",
    "light beam",
    "golden hour",
    "app icon",
    "mobile game",
    "video game",
    "splash screen",
    "splash art",
    "hand drawn",
    "hand painted",
    "low poly",
    "iron man",
    "camera angle",
    "wide shot",
    "close up",
    "film grain",
    "movie poster",
    "store page",
    "depth of field",
    "star rating",
    "in the style of",
    "trading card",
    "paper cut",
    "oil paint",
    "film still",
    "phone wallpaper",
    "background music",
];

struct Token {
    word: String,
    clause: usize,
}

/// Reads a prompt and the words to avoid. `forced` names the subject in place of the prompt's own.
pub(super) fn read(prompt: &str, negative: &str, forced: Option<&'static Icon>) -> Reading {
    let tokens = tokens(prompt);
    let mut unwanted: Vec<String> = self::tokens(negative).into_iter().map(|t| singular(&t.word)).collect();
    let mut kept: Vec<&Token> = Vec::new();
    let mut denied_clause = None;
    for token in &tokens {
        if matches!(token.word.as_str(), "no" | "without" | "not") {
            denied_clause = Some(token.clause);
        } else if denied_clause == Some(token.clause) && !matches!(token.word.as_str(), "but" | "with" | "only") {
            unwanted.push(singular(&token.word));
        } else {
            denied_clause = None;
            kept.push(token);
        }
    }
    let banned: Vec<&'static str> = unwanted.iter().filter_map(|w| icons::by_words(w)).map(|icon| icon.name).collect();
    let found = candidates(&kept);
    let best = found
        .iter()
        .filter(|f| !banned.contains(&f.icon.name) && !f.phrase.split(' ').any(|w| unwanted.iter().any(|u| u == w)))
        .max_by_key(|f| f.score);
    let (first, end) = best.map_or((0, 0), |f| (f.segment_start, f.start));
    let mut qualifiers: Vec<String> = kept.get(first..end).unwrap_or(&[]).iter().map(|t| singular(&t.word)).collect();
    let mut words: Vec<String> = Vec::new();
    for (i, token) in kept.iter().enumerate() {
        let word = singular(&token.word);
        let own = (first..end).contains(&i) && is_colour(&word);
        if !own && !unwanted.contains(&word) {
            words.push(word.clone());
            if token.word != word {
                words.push(token.word.clone());
            }
        }
    }
    let subject = forced.or(best.map(|f| f.icon));
    // "Ruby" names a gem and its colour at once.
    qualifiers.extend(best.iter().flat_map(|f| f.phrase.split(' ').map(singular)));
    if forced.is_some() && best.map(|f| f.icon.name) != forced.map(|icon| icon.name) {
        qualifiers.clear();
    }
    Reading { subject, qualifiers, words, unwanted }
}

struct Found {
    icon: &'static Icon,
    phrase: String,
    start: usize,
    segment_start: usize,
    score: i32,
}

/// Every icon that the words name, with how likely it is the head of the picture.
fn candidates(tokens: &[&Token]) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    let (mut segment, mut segment_start, mut clause, mut in_segment) = (0i32, 0usize, 0usize, 0i32);
    let mut i = 0;
    while i < tokens.len() {
        let token = tokens[i];
        if token.clause != clause {
            (clause, segment, segment_start, in_segment) = (token.clause, 0, i, 0);
        }
        let run = |n: usize| tokens.get(i..i + n).filter(|run| run.iter().all(|t| t.clause == clause));
        let phrase = |n: usize, single: bool| {
            run(n).map(|run| {
                let mut words: Vec<String> = run.iter().map(|t| t.word.clone()).collect();
                if let (true, Some(last)) = (single, words.last_mut()) {
                    *last = singular(last);
                }
                words.join(" ")
            })
        };
        let empty = (2..=4).rev().find(|n| phrase(*n, true).is_some_and(|p| EMPTY.contains(&p.as_str())));
        if let Some(n) = empty {
            i += n;
            continue;
        }
        let hit = (1..=4).rev().find_map(|n| {
            [false, true].into_iter().find_map(|single| {
                let phrase = phrase(n, single)?;
                icons::by_words(&phrase).map(|icon| (n, phrase, icon))
            })
        });
        if let Some((n, phrase, icon)) = hit {
            let weak = WEAK.contains(&phrase.as_str()) || WEAK.contains(&singular(&phrase).as_str());
            let score =
                100 - 30 * clause.min(2) as i32 - 14 * segment.min(3) + 4 * (n as i32 - 1) + 3 * in_segment.min(4)
                    - if weak { 38 } else { 0 };
            found.push(Found { icon, phrase, start: i, segment_start, score });
            in_segment += 1;
            i += n;
            continue;
        }
        let verb = token.word.len() > 5 && token.word.ends_with("ing") && in_segment > 0;
        if verb || BREAKS.contains(&token.word.as_str()) {
            (segment, segment_start, in_segment) = (segment + 1, i + 1, 0);
        }
        i += 1;
    }
    found
}

/// Lower-case words; commas and full stops end a clause.
fn tokens(text: &str) -> Vec<Token> {
    let (mut out, mut word, mut clause) = (Vec::new(), String::new(), 0);
    let mut end = |word: &mut String, clause: usize| {
        if !word.is_empty() {
            out.push(Token { word: core::mem::take(word), clause });
        }
    };
    for c in text.chars() {
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        } else if !matches!(c, '\'' | '’') {
            end(&mut word, clause);
            clause +=
                usize::from(matches!(c, ',' | '.' | ';' | ':' | '!' | '?' | '|' | '(' | ')' | '，' | '。' | '、'));
        }
    }
    end(&mut word, clause);
    out
}

/// The singular of an English plural; other words unchanged.
pub(super) fn singular(word: &str) -> String {
    const ODD: &[(&str, &str)] = &[
        ("wolves", "wolf"),
        ("elves", "elf"),
        ("dwarves", "dwarf"),
        ("knives", "knife"),
        ("leaves", "leaf"),
        ("thieves", "thief"),
        ("mice", "mouse"),
        ("geese", "goose"),
        ("dice", "dice"),
        ("shelves", "shelf"),
        ("scarves", "scarf"),
        ("loaves", "loaf"),
        ("calves", "calf"),
        ("axes", "axe"),
        ("heroes", "hero"),
        ("potatoes", "potato"),
        ("tomatoes", "tomato"),
        ("volcanoes", "volcano"),
        ("men", "man"),
        ("women", "woman"),
        ("oxen", "ox"),
        ("staves", "staff"),
        ("torches", "torch"),
        ("boots", "boots"),
        ("gears", "gears"),
        ("skis", "ski"),
        ("gas", "gas"),
        ("compass", "compass"),
        ("glass", "glass"),
        ("headphones", "headphones"),
    ];
    if let Some((_, one)) = ODD.iter().find(|(many, _)| *many == word) {
        return (*one).to_owned();
    }
    let stem = |n: usize| word.get(..word.len() - n).unwrap_or(word).to_owned();
    if word.len() > 4
        && word.ends_with("ies")
        && !word.ends_with("zombies")
        && !word.ends_with("cookies")
        && !word.ends_with("movies")
    {
        return stem(3) + "y";
    }
    if word.len() > 4 && ["ches", "shes", "sses", "xes", "zzes"].iter().any(|e| word.ends_with(e)) {
        return stem(2);
    }
    if word.len() > 3 && word.ends_with('s') && !["ss", "us", "is"].iter().any(|e| word.ends_with(e)) {
        return stem(1);
    }
    word.to_owned()
}

/// Words that colour a subject when they stand before it.
pub(super) fn colour(word: &str) -> Option<u32> {
    Some(match word {
        "red" | "crimson" | "scarlet" | "ruby" => 0xd6352f,
        "orange" => 0xf08a24,
        "yellow" => 0xf7cf2e,
        "green" | "emerald" => 0x3fa648,
        "lime" => 0x9ad42e,
        "teal" | "turquoise" => 0x22a6a0,
        "cyan" | "aqua" => 0x2fcbe6,
        "blue" | "sapphire" | "azure" => 0x2f6fde,
        "navy" => 0x24407f,
        "purple" | "violet" | "amethyst" => 0x8a43cf,
        "magenta" | "fuchsia" => 0xd936b4,
        "pink" | "rose" => 0xf27fae,
        "brown" => 0x8a5a36,
        "black" | "obsidian" | "dark" | "shadow" => 0x3a3846,
        "white" | "ivory" | "pale" => 0xf0ece4,
        "grey" | "gray" => 0x8d949c,
        _ => return None,
    })
}

fn is_colour(word: &str) -> bool {
    colour(word).is_some() || matches!(word, "golden" | "gold" | "silver" | "bronze" | "copper" | "wooden" | "crystal")
}
