//! Which language data reads which locale, and how a person gets it. All of it is data.

/// One language data of Tesseract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Language {
    /// Its name in Tesseract ("jpn"), which is that of its file.
    pub code: &'static str,
    /// BCP 47 languages that it reads; with a script or region where that decides ("zh-Hant").
    tags: &'static [&'static str],
    /// How its words are divided and its letters compared.
    pub writing: Writing,
}

impl Language {
    /// Whether letters of a word touch: a word, or much of it, is one patch of ink.
    pub(crate) fn joined(self) -> bool {
        // Arabic script, and those of India with a bar above the letters.
        const JOINED: [&str; 12] = ["ara", "ben", "fas", "hin", "mar", "nep", "pan", "pus", "san", "snd", "uig", "urd"];
        JOINED.contains(&self.code)
    }
}

/// Kinds of writing that reading tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writing {
    /// Words stand apart: a letter that is stuck to a word makes it another word.
    Spaced,
    /// Words follow one another without a space, so that what is read as one word says nothing.
    Unspaced,
}

use Writing::{Spaced, Unspaced};

const fn row(code: &'static str, tags: &'static [&'static str], writing: Writing) -> Language {
    Language { code, tags, writing }
}

/// Every language of Tesseract that games are sold in. Names are those of its files.
const LANGUAGES: [Language; 79] = [
    row("eng", &["en"], Spaced),
    row("afr", &["af"], Spaced),
    row("ara", &["ar"], Spaced),
    row("aze", &["az"], Spaced),
    row("bel", &["be"], Spaced),
    row("ben", &["bn"], Spaced),
    row("bos", &["bs"], Spaced),
    row("bul", &["bg"], Spaced),
    row("cat", &["ca"], Spaced),
    row("ces", &["cs"], Spaced),
    row("chi_sim", &["zh", "zh-Hans"], Unspaced),
    row("chi_tra", &["zh-Hant", "zh-TW", "zh-HK", "zh-MO", "yue"], Unspaced),
    row("cym", &["cy"], Spaced),
    row("dan", &["da"], Spaced),
    row("deu", &["de", "gsw"], Spaced),
    row("ell", &["el"], Spaced),
    row("est", &["et"], Spaced),
    row("eus", &["eu"], Spaced),
    row("fas", &["fa"], Spaced),
    row("fil", &["fil", "tl"], Spaced),
    row("fin", &["fi"], Spaced),
    row("fra", &["fr"], Spaced),
    row("gle", &["ga"], Spaced),
    row("glg", &["gl"], Spaced),
    row("guj", &["gu"], Spaced),
    row("heb", &["he", "iw"], Spaced),
    row("hin", &["hi"], Spaced),
    row("hrv", &["hr"], Spaced),
    row("hun", &["hu"], Spaced),
    row("hye", &["hy"], Spaced),
    row("ind", &["id"], Spaced),
    row("isl", &["is"], Spaced),
    row("ita", &["it"], Spaced),
    row("jpn", &["ja"], Unspaced),
    row("kan", &["kn"], Spaced),
    row("kat", &["ka"], Spaced),
    row("kaz", &["kk"], Spaced),
    row("khm", &["km"], Unspaced),
    row("kir", &["ky"], Spaced),
    row("kor", &["ko"], Spaced),
    row("lao", &["lo"], Unspaced),
    row("lav", &["lv"], Spaced),
    row("lit", &["lt"], Spaced),
    row("mal", &["ml"], Spaced),
    row("mar", &["mr"], Spaced),
    row("mkd", &["mk"], Spaced),
    row("mon", &["mn"], Spaced),
    row("msa", &["ms"], Spaced),
    row("mya", &["my"], Unspaced),
    row("nep", &["ne"], Spaced),
    row("nld", &["nl"], Spaced),
    row("nor", &["nb", "nn", "no"], Spaced),
    row("pan", &["pa"], Spaced),
    row("pol", &["pl"], Spaced),
    row("por", &["pt"], Spaced),
    row("pus", &["ps"], Spaced),
    row("ron", &["ro"], Spaced),
    row("rus", &["ru"], Spaced),
    row("san", &["sa"], Spaced),
    row("sin", &["si"], Spaced),
    row("slk", &["sk"], Spaced),
    row("slv", &["sl"], Spaced),
    row("snd", &["sd"], Spaced),
    row("spa", &["es"], Spaced),
    row("sqi", &["sq"], Spaced),
    row("srp", &["sr"], Spaced),
    row("srp_latn", &["sr-Latn"], Spaced),
    row("swa", &["sw"], Spaced),
    row("swe", &["sv"], Spaced),
    row("tam", &["ta"], Spaced),
    row("tel", &["te"], Spaced),
    row("tha", &["th"], Unspaced),
    row("tur", &["tr"], Spaced),
    row("uig", &["ug"], Spaced),
    row("ukr", &["uk"], Spaced),
    row("urd", &["ur"], Spaced),
    row("uzb", &["uz"], Spaced),
    row("vie", &["vi"], Spaced),
    row("yid", &["yi"], Spaced),
];

/// Some more that have no place in the alphabet above because they are found by their script alone.
const BY_SCRIPT: [(&str, &str); 10] = [
    ("arab", "ara"),
    ("cyrl", "rus"),
    ("deva", "hin"),
    ("grek", "ell"),
    ("hans", "chi_sim"),
    ("hant", "chi_tra"),
    ("hebr", "heb"),
    ("jpan", "jpn"),
    ("kore", "kor"),
    ("latn", "eng"),
];

/// Languages without data of their own that are not written in Latin letters, by a relative that is written alike.
const BY_RELATIVE: [(&str, &str); 2] = [("ckb", "fas"), ("kok", "mar")];

/// The language data for a BCP 47 tag.
///
/// A row with a script or region that the tag names wins ("zh-Hant-HK" goes by "zh-Hant", the longest), then a script that is
/// not the language's usual one ("ru-Latn"), then the language, then a relative. What is left is read by the data for English:
/// it knows every plain Latin letter, and where a language's own accents are then misread, the picture is called wrong rather
/// than right.
pub fn of(tag: &str) -> Language {
    let subtags: Vec<String> = tag.split(['-', '_']).map(str::to_ascii_lowercase).collect();
    let primary = subtags.first().map_or("", String::as_str);
    let named = |row: &str| {
        let mut wanted = row.split('-');
        wanted.next().is_some_and(|language| language.eq_ignore_ascii_case(primary))
            && wanted.all(|part| subtags.iter().skip(1).any(|subtag| subtag.eq_ignore_ascii_case(part)))
    };
    let by_code = |code: &str| LANGUAGES.iter().find(|language| language.code == code).copied();
    let rows = LANGUAGES.iter().flat_map(|language| language.tags.iter().map(move |row| (*row, language)));
    let by_tag = rows.filter(|(row, _)| named(row)).max_by_key(|(row, _)| row.len());
    let exact = by_tag.filter(|(row, _)| row.contains('-'));
    let script = subtags.iter().skip(1).find_map(|subtag| BY_SCRIPT.iter().find(|(script, _)| script == subtag));
    let by_script =
        || script.filter(|(script, _)| *script != usual_script(primary)).and_then(|(_, code)| by_code(code));
    let by_relative = || BY_RELATIVE.iter().find(|(tag, _)| *tag == primary).and_then(|(_, code)| by_code(code));
    exact
        .map(|(_, language)| *language)
        .or_else(by_script)
        .or_else(|| by_tag.map(|(_, language)| *language))
        .or_else(by_relative)
        .unwrap_or(LANGUAGES[0])
}

/// The script that a language is written in where its tag names none.
fn usual_script(primary: &str) -> &'static str {
    match primary {
        "ar" | "ckb" | "fa" | "ps" | "sd" | "ug" | "ur" => "arab",
        "be" | "bg" | "kk" | "ky" | "mk" | "mn" | "ru" | "sr" | "uk" => "cyrl",
        "hi" | "kok" | "mr" | "ne" | "sa" => "deva",
        "el" => "grek",
        "he" | "iw" | "yi" => "hebr",
        "ja" => "jpan",
        "ko" => "kore",
        _ => "latn",
    }
}

/// Systems that are told apart in what to install.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// Debian, Ubuntu and what follows them.
    Debian,
    /// Fedora, Red Hat and what follows them.
    Fedora,
    /// Any other Linux or BSD.
    Unix,
    /// macOS, through Homebrew.
    Mac,
    /// Windows.
    Windows,
}

impl Platform {
    /// The one that this program runs on. Linuxes are told apart by their package tools.
    pub fn here() -> Self {
        let has = |path: &str| std::path::Path::new(path).exists();
        match () {
            () if cfg!(windows) => Self::Windows,
            () if cfg!(target_os = "macos") => Self::Mac,
            () if has("/usr/bin/apt-get") => Self::Debian,
            () if has("/usr/bin/dnf") || has("/usr/bin/yum") => Self::Fedora,
            () => Self::Unix,
        }
    }

    /// What to do for the library itself.
    pub fn install_library(self) -> &'static str {
        match self {
            Self::Debian => "run `apt install libtesseract5` (`libtesseract4` on older systems)",
            Self::Fedora => "run `dnf install tesseract`",
            Self::Unix => "install Tesseract 5 with your package manager",
            Self::Mac => "run `brew install tesseract`",
            Self::Windows => {
                "run the installer of https://github.com/UB-Mannheim/tesseract/wiki, \
                 or name libtesseract-5.dll in the settings"
            }
        }
    }

    /// What to do for the data of a language.
    pub fn install_language(self, code: &str) -> String {
        match self {
            Self::Debian => format!("install tesseract-ocr-{} (`apt install`)", code.replace('_', "-")),
            Self::Fedora => format!("install tesseract-langpack-{code} (`dnf install`)"),
            Self::Unix => format!("install Tesseract's data for {code} with your package manager"),
            Self::Mac if code == "eng" => "run `brew install tesseract`".to_owned(),
            Self::Mac => "run `brew install tesseract-lang`".to_owned(),
            Self::Windows => format!(
                "tick {code} under \"additional language data\" in Tesseract's installer, or copy {code}.traineddata of \
                 https://github.com/tesseract-ocr/tessdata_fast into the folder tessdata beside Tesseract"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(tag: &str, expected: &str) {
        assert_eq!(of(tag).code, expected, "{tag}");
    }

    #[test]
    fn tags_choose_their_data() {
        check("en", "eng");
        check("en-US", "eng");
        check("EN_us", "eng");
        check("de-AT", "deu");
        check("fr-CA", "fra");
        check("tr", "tur");
        check("ja-JP", "jpn");
        check("ko", "kor");
        check("th", "tha");
        check("hi", "hin");
        check("ar-EG", "ara");
        check("he", "heb");
        check("iw", "heb");
        check("nn-NO", "nor");
        check("pt-BR", "por");
    }

    #[test]
    fn chinese_goes_by_its_script_before_its_region() {
        check("zh", "chi_sim");
        check("zh-CN", "chi_sim");
        check("zh-Hans", "chi_sim");
        check("zh-Hans-HK", "chi_sim");
        check("zh-Hant", "chi_tra");
        check("zh-TW", "chi_tra");
        check("zh-HK", "chi_tra");
        check("zh-Hant-TW", "chi_tra");
        check("yue", "chi_tra");
        check("yue-Hans", "chi_sim");
    }

    #[test]
    fn scripts_and_relatives_stand_in() {
        check("sr", "srp");
        check("sr-Cyrl", "srp");
        check("sr-Latn", "srp_latn");
        check("uk", "ukr");
        check("ckb-IQ", "fas");
        check("uz-Cyrl", "rus");
        check("ru-Latn", "eng");
        check("en-Latn", "eng");
        check("de-Latn-CH", "deu");
        check("ja-Jpan", "jpn");
    }

    #[test]
    fn what_nobody_knows_is_read_as_plain_latin() {
        check("", "eng");
        check("xx", "eng");
        check("qaa-Qaaa", "eng");
        check("rw", "eng");
    }

    #[test]
    fn no_data_and_no_tag_stands_twice() {
        let mut codes: Vec<&str> = LANGUAGES.iter().map(|language| language.code).collect();
        let mut tags: Vec<&str> = LANGUAGES.iter().flat_map(|language| language.tags).copied().collect();
        for list in [&mut codes, &mut tags] {
            list.sort_unstable();
            let unique = list.windows(2).all(|pair| pair[0] != pair[1]);
            assert!(unique, "{list:?}");
        }
        for (_, code) in BY_SCRIPT.iter().chain(&BY_RELATIVE) {
            assert!(codes.contains(code), "{code}");
        }
    }

    #[test]
    fn every_platform_says_what_to_install() {
        assert_eq!(Platform::Debian.install_language("chi_sim"), "install tesseract-ocr-chi-sim (`apt install`)");
        assert_eq!(Platform::Debian.install_language("jpn"), "install tesseract-ocr-jpn (`apt install`)");
        assert_eq!(Platform::Fedora.install_language("jpn"), "install tesseract-langpack-jpn (`dnf install`)");
        assert_eq!(Platform::Mac.install_language("jpn"), "run `brew install tesseract-lang`");
        assert!(Platform::Windows.install_language("jpn").contains("jpn.traineddata"));
        for platform in [Platform::Debian, Platform::Fedora, Platform::Unix, Platform::Mac, Platform::Windows] {
            assert!(platform.install_library().to_lowercase().contains("tesseract"));
        }
    }
}
