//! `[local]`: where models of this machine are drawn, how much of a graphics card is left to others, and what multiplies there.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;

/// `[local]` as it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LocalFile {
    /// Where models are drawn.
    pub device: DeviceChoice,
    /// What is left of every card to others, whatever is free; [`Amount::reserve`] where nobody says.
    pub vram_reserve: Option<Amount>,
    /// Which of NVIDIA's libraries multiplies on cards. It decides bytes, so its version stands in keys.
    pub cublaslt: LibraryChoice,
}

/// The variable that says where models are drawn.
pub const DEVICE_VARIABLE: &str = "THUMBFORGE_DEVICE";
/// The variable that says what is left of a card to others.
pub const RESERVE_VARIABLE: &str = "THUMBFORGE_VRAM_RESERVE";
/// The variable that says what multiplies on cards.
pub const LIBRARY_VARIABLE: &str = "THUMBFORGE_CUBLASLT";

impl LocalFile {
    /// With what the environment says over it.
    ///
    /// # Errors
    /// Which variable is wrong, and how. It fits behind "failed to".
    pub fn with(&self, environment: &dyn Fn(&str) -> Option<String>) -> Result<Self, String> {
        let named = |name: &str| environment(name).filter(|value| !value.trim().is_empty());
        let wrong = |name: &str, why: String| format!("read the variable {name}: {why}");
        let device = named(DEVICE_VARIABLE).map(|text| text.parse().map_err(|why| wrong(DEVICE_VARIABLE, why)));
        let reserve = named(RESERVE_VARIABLE).map(|text| text.parse().map_err(|why| wrong(RESERVE_VARIABLE, why)));
        let library = named(LIBRARY_VARIABLE).map(|text| text.parse().map_err(|why| wrong(LIBRARY_VARIABLE, why)));
        Ok(Self {
            device: device.transpose()?.unwrap_or(self.device),
            vram_reserve: reserve.transpose()?.or(self.vram_reserve),
            cublaslt: library.transpose()?.unwrap_or_else(|| self.cublaslt.clone()),
        })
    }

    /// With the user's home in the place of `~`.
    pub(super) fn at_home(self, home_or: &dyn Fn(PathBuf) -> PathBuf) -> Self {
        let cublaslt = match self.cublaslt {
            LibraryChoice::At(path) => LibraryChoice::At(home_or(path)),
            other => other,
        };
        Self { cublaslt, ..self }
    }
}

/// Which cuBLASLt multiplies on cards.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum LibraryChoice {
    /// The one that is found on this machine, or our own kernels.
    #[default]
    Auto,
    /// Our own kernels.
    Never,
    /// That of a file, or of a folder.
    At(PathBuf),
}

impl FromStr for LibraryChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "auto" => Ok(Self::Auto),
            "never" => Ok(Self::Never),
            // From nowhere in particular: a sidecar and a command line begin in other folders, and must mean the same file.
            path if Path::new(path).is_absolute() || Path::new(path).starts_with("~") => Ok(Self::At(path.into())),
            _ => Err("it is \"auto\", \"never\", or the whole path of cuBLASLt's file or folder".to_owned()),
        }
    }
}

impl TryFrom<String> for LibraryChoice {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// Where models of this machine are drawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum DeviceChoice {
    /// On an NVIDIA card where one is fit for it, else on the processor.
    #[default]
    Auto,
    /// On NVIDIA cards and nowhere else.
    Cuda,
    /// On the processor.
    Cpu,
}

impl DeviceChoice {
    /// The word in settings.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Cuda => "cuda",
            Self::Cpu => "cpu",
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = [Self::Auto, Self::Cuda, Self::Cpu].into_iter().find(|choice| choice.word() == text.trim());
        known.ok_or_else(|| "it is \"auto\", \"cuda\" or \"cpu\"".to_owned())
    }
}

impl TryFrom<String> for DeviceChoice {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// A number of bytes with its unit, as in "1.5 GiB".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub struct Amount(pub u64);

/// What editors and desktops take within minutes beside what they hold already: a scene view in 4K, a browser's video.
const RESERVE: u64 = 1 << 30;
/// On small cards less is left, or Medium would not fit into one of 8 GB.
const RESERVE_OF_CARD: u64 = 8;

impl Amount {
    /// What is left of a card to others where nobody says: a GiB, or an eighth of a card that has less than eight.
    pub fn reserve(card_bytes: u64) -> Self {
        Self(RESERVE.min(card_bytes / RESERVE_OF_CARD))
    }
}

/// Units and their bytes.
const UNITS: [(&str, u64); 7] = [
    ("b", 1),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
];

/// More than any card has: a larger number is a slip.
const AMOUNT_MAX: f64 = (1_u64 << 50) as f64;

impl FromStr for Amount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "it is a number of bytes with a unit, as in \"1.5 GiB\" or \"800 MB\", or 0".to_owned();
        let text = text.trim();
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let number: f64 = number.parse().map_err(|_| wrong())?;
        let unit = unit.trim().to_ascii_lowercase();
        let each = match unit.as_str() {
            "" if number == 0.0 => 1,
            unit => UNITS.iter().find(|(name, _)| *name == unit).map(|(_, bytes)| *bytes).ok_or_else(wrong)?,
        };
        let bytes = number * each as f64;
        if (0.0..=AMOUNT_MAX).contains(&bytes) { Ok(Self(bytes.round() as u64)) } else { Err(wrong()) }
    }
}

/// As TOML has it: text, or a whole number of bytes.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Text(String),
    Bytes(u64),
}

impl TryFrom<Written> for Amount {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Text(text) => text.parse(),
            Written::Bytes(bytes) => Ok(Self(bytes)),
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} GiB", self.0 as f64 / f64::from(1 << 30))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_units() {
        #[track_caller]
        fn check(text: &str, expected: Option<u64>) {
            assert_eq!(text.parse::<Amount>().ok().map(|amount| amount.0), expected, "{text}");
        }
        check("1 GiB", Some(1 << 30));
        check("1.5gib", Some(3 << 29));
        check(" 800 MB ", Some(800_000_000));
        check("0", Some(0));
        check("12 b", Some(12));
        check("1", None);
        check("", None);
        check("GiB", None);
        check("-1 GB", None);
        check("1e3 MB", None);
        check("1.2.3 MB", None);
        check("99999999999 GiB", None);
        check("1 TB", None);
    }

    #[test]
    fn the_file_says_what_is_meant() {
        #[track_caller]
        fn check(text: &str, expected: Result<(DeviceChoice, Option<u64>), &str>) {
            let read = toml::from_str::<LocalFile>(text);
            match (read, expected) {
                (Ok(file), Ok(expected)) => {
                    assert_eq!((file.device, file.vram_reserve.map(|amount| amount.0)), expected);
                }
                (Err(err), Err(says)) => assert!(err.to_string().contains(says), "{err}"),
                (read, _) => panic!("{text} reads as {read:?}"),
            }
        }
        check("", Ok((DeviceChoice::Auto, None)));
        check("device = \"cpu\"", Ok((DeviceChoice::Cpu, None)));
        check("device = \"cuda\"\nvram_reserve = \"2 GiB\"", Ok((DeviceChoice::Cuda, Some(2 << 30))));
        check("vram_reserve = 4096", Ok((DeviceChoice::Auto, Some(4096))));
        check("device = \"gpu\"", Err("auto"));
        check("vram = 1", Err("unknown field"));
        check("cublaslt = \"nevr\"", Err("\"never\", or the whole path"));
    }

    #[test]
    fn the_library_is_found_or_named_or_none() {
        #[track_caller]
        fn check(text: &str, expected: Option<LibraryChoice>) {
            assert_eq!(text.parse::<LibraryChoice>().ok(), expected, "{text}");
        }
        check("auto", Some(LibraryChoice::Auto));
        check(" never ", Some(LibraryChoice::Never));
        check("~/cublas", Some(LibraryChoice::At("~/cublas".into())));
        check("cublas", None);
        check("./libcublasLt.so.12", None);
        check("", None);
        if cfg!(unix) {
            check("/opt/cublas", Some(LibraryChoice::At("/opt/cublas".into())));
        }
    }

    #[test]
    fn the_environment_goes_before_the_file() {
        let file =
            LocalFile { device: DeviceChoice::Cpu, vram_reserve: Some(Amount(1)), cublaslt: LibraryChoice::Never };
        let check = |device: &str, reserve: &str, expected: Result<(DeviceChoice, u64), &str>| {
            let variable = |name: &str| match name {
                DEVICE_VARIABLE => Some(device.to_owned()),
                RESERVE_VARIABLE => Some(reserve.to_owned()),
                _ => None,
            };
            let read = file.with(&variable).map(|file| (file.device, file.vram_reserve.map_or(0, |amount| amount.0)));
            match expected {
                Ok(expected) => assert_eq!(read, Ok(expected)),
                Err(says) => assert!(read.is_err_and(|why| why.contains(says)), "{says}"),
            }
        };
        check("", "", Ok((DeviceChoice::Cpu, 1)));
        check("cuda", " ", Ok((DeviceChoice::Cuda, 1)));
        check("auto", "1 MiB", Ok((DeviceChoice::Auto, 1 << 20)));
        check("gpu", "", Err(DEVICE_VARIABLE));
        check("", "much", Err(RESERVE_VARIABLE));
        let library = |text: &str| {
            let text = text.to_owned();
            file.with(&|name| (name == LIBRARY_VARIABLE).then(|| text.clone())).map(|file| file.cublaslt)
        };
        assert_eq!(library(""), Ok(LibraryChoice::Never));
        assert_eq!(library("auto"), Ok(LibraryChoice::Auto));
        assert!(library("lib").is_err_and(|why| why.contains(LIBRARY_VARIABLE)));
    }

    #[test]
    fn small_cards_leave_less() {
        assert_eq!(Amount::reserve(24 << 30), Amount(1 << 30));
        assert_eq!(Amount::reserve(4 << 30), Amount(1 << 29));
    }
}
