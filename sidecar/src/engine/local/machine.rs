//! What models are drawn on: cards that are fit for it, or the processor. Pure but for its memory of cards that fell or lost
//! their library: what the driver says comes in as values, asked for once a process (`gpu.rs`), so that planning asks nobody.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use thumbforge_core::recipe::Dtype;

use super::room::Bytes;
use super::shelf::Classes;
use crate::config::{Amount, DeviceChoice, LocalFile};

/// A card as the driver describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Card {
    /// Its number.
    pub(crate) index: u32,
    /// What it is called.
    pub(crate) name: String,
    /// Compute capability, major times ten plus minor.
    pub(crate) capability: u32,
    /// The class of device where our own kernels do all of it, as it stands in keys.
    pub(crate) class: String,
    /// The class in bfloat16 where NVIDIA's library multiplies there.
    pub(crate) library_class: Option<String>,
    /// Its memory.
    pub(crate) total_bytes: u64,
    /// Why nothing is drawn on it. It fits behind "since ".
    pub(crate) unfit: Option<String>,
}

/// What the driver says of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    /// There is none, or none that can be used: a sentence without its end.
    Nothing(String),
    /// Cards, fit for drawing or not.
    #[cfg_attr(not(any(feature = "cuda", test)), expect(dead_code, reason = "a build without cards asks no driver"))]
    Cards {
        /// As in "13.0".
        driver: String,
        /// At least one.
        cards: Vec<Card>,
        /// What multiplies on those that are fast at bfloat16.
        library: Library,
    },
}

/// What multiplies large matrices of bfloat16 on cards.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(not(any(feature = "cuda", test)), expect(dead_code, reason = "a build without cards looks for none"))]
pub(crate) enum Library {
    /// NVIDIA's, of this version and file.
    Theirs {
        /// As it stands in classes: "cublaslt12.9.1".
        word: String,
        /// Where it lies.
        path: PathBuf,
    },
    /// Our own kernels.
    Ours {
        /// Whether that is as it should be: false where a library was named and cannot be had.
        ok: bool,
        /// Why, and what brings the library: a sentence without its end.
        why: String,
    },
}

/// Cards with less cannot hold Medium's transformer and autoencoder in bfloat16, 5.1 GB, whatever leaves: nothing would ever
/// be drawn there but toys.
const CARD_BYTES_MIN: u64 = 5_500_000_000;
/// The first capability whose tensor cores multiply bfloat16; before it, singles are faster.
pub(crate) const BF16_CAPABILITY: u32 = 80;

/// What this machine draws with.
pub(crate) struct Machine {
    file: LocalFile,
    seen: Seen,
    processor: Classes,
    turned: Mutex<Turned>,
}

/// What turned out while this process drew.
#[derive(Debug, Default)]
struct Turned {
    /// Cards that were given up, and why.
    fallen: BTreeMap<u32, String>,
    /// Cards on which the library does not run, and why.
    without: BTreeMap<u32, String>,
}

impl Turned {
    /// The class of a card in bfloat16.
    fn class<'a>(&self, card: &'a Card) -> &'a str {
        match &card.library_class {
            Some(class) if !self.without.contains_key(&card.index) => class,
            _ => &card.class,
        }
    }
}

/// One thing to know, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    /// Whether it is as it should be.
    pub(crate) ok: bool,
    /// A sentence without its end.
    pub(crate) says: String,
}

impl Machine {
    /// Of what was seen and what the settings say.
    pub(crate) fn new(file: LocalFile, seen: Seen, processor: Classes) -> Self {
        Self { file, seen, processor, turned: Mutex::default() }
    }

    /// Cards that are drawn on, all of one class of device: that with the most memory together.
    pub(crate) fn cards(&self) -> Vec<&Card> {
        let turned = self.turned.lock();
        let fit: Vec<&Card> = self.fit().into_iter().filter(|card| !turned.fallen.contains_key(&card.index)).collect();
        let of_class =
            |class: &str| fit.iter().filter(|card| turned.class(card) == class).copied().collect::<Vec<&Card>>();
        let best = fit.iter().max_by_key(|card| {
            let class = turned.class(card);
            let memory = of_class(class).iter().map(|card| card.total_bytes).sum::<u64>();
            // Of equals the newer, then those that the library is faster on.
            (memory, card.capability, class != card.class, Reverse(card.index))
        });
        best.map(|best| of_class(turned.class(best))).unwrap_or_default()
    }

    /// Cards that could be drawn on.
    pub(crate) fn fit(&self) -> Vec<&Card> {
        match (&self.seen, self.file.device) {
            (Seen::Cards { cards, .. }, DeviceChoice::Auto | DeviceChoice::Cuda) => {
                cards.iter().filter(|card| self.unfit(card).is_none()).collect()
            }
            _ => Vec::new(),
        }
    }

    fn unfit(&self, card: &Card) -> Option<String> {
        if let Some(why) = &card.unfit {
            return Some(why.clone());
        }
        let left = card.total_bytes.saturating_sub(self.reserve(card));
        // Whoever says "cuda" may have a small model.
        (left < CARD_BYTES_MIN && self.file.device == DeviceChoice::Auto).then(|| {
            format!(
                "{} of its {} may be used (`vram_reserve`), and the smallest model takes {}; `device = \"cuda\"` draws on it \
                 all the same",
                Bytes(left),
                Bytes(card.total_bytes),
                Bytes(CARD_BYTES_MIN)
            )
        })
    }

    /// What of a card is left to others.
    pub(crate) fn reserve(&self, card: &Card) -> u64 {
        self.file.vram_reserve.unwrap_or(Amount::reserve(card.total_bytes)).0
    }

    /// Whether the processor draws, now or when the last card falls.
    pub(crate) fn has_processor(&self) -> bool {
        self.file.device != DeviceChoice::Cuda
    }

    /// A card was given up: from now on it is planned for what is left.
    #[cfg_attr(not(any(feature = "cuda", test)), expect(dead_code, reason = "a build without cards loses none"))]
    pub(crate) fn fell(&self, index: u32, why: &str) {
        self.turned.lock().fallen.insert(index, why.to_owned());
    }

    /// The library does not run on a card: from now on it is planned for as one of our own kernels.
    #[cfg_attr(not(any(feature = "cuda", test)), expect(dead_code, reason = "a build without cards has no library"))]
    pub(crate) fn without_library(&self, index: u32, why: &str) {
        self.turned.lock().without.insert(index, why.to_owned());
    }

    /// The library that multiplies on a card.
    #[cfg_attr(not(any(feature = "cuda", test)), expect(dead_code, reason = "a build without cards has no library"))]
    pub(crate) fn library(&self, card: &Card) -> Option<&Path> {
        match &self.seen {
            Seen::Cards { library: Library::Theirs { path, .. }, .. } if self.classes_of(card).bf16 != card.class => {
                Some(path)
            }
            _ => None,
        }
    }

    /// The class of device that plans name.
    ///
    /// # Errors
    /// Why nothing is drawn here. It fits behind "failed to".
    pub(crate) fn classes(&self) -> Result<Classes, String> {
        match self.cards().first() {
            Some(card) => Ok(self.classes_of(card)),
            None if self.has_processor() => Ok(self.processor.clone()),
            None => Err(format!(
                "draw on a GPU: {}; `device = \"auto\"` under [local] draws on the processor instead",
                self.why().unwrap_or_else(|| "no card is fit for it".to_owned())
            )),
        }
    }

    /// The class of device that a card is now.
    pub(crate) fn classes_of(&self, card: &Card) -> Classes {
        let dtype = if card.capability < BF16_CAPABILITY { Dtype::F32 } else { Dtype::Bf16 };
        let bf16 = self.turned.lock().class(card).to_owned();
        Classes { dtype, f32: card.class.clone(), bf16 }
    }

    /// Why no card is drawn on, where none is.
    fn why(&self) -> Option<String> {
        if !self.cards().is_empty() {
            return None;
        }
        let cards = match &self.seen {
            Seen::Nothing(why) => return Some(why.clone()),
            Seen::Cards { cards, .. } => cards,
        };
        let turned = self.turned.lock();
        let of_card = |card: &Card| {
            let why = turned.fallen.get(&card.index).cloned().or_else(|| self.unfit(card))?;
            Some(format!("{} is not used since {why}", card.name))
        };
        let whys: Vec<String> = cards.iter().filter_map(of_card).collect();
        (!whys.is_empty()).then(|| whys.join("; "))
    }

    /// How far this machine's cards are supported, a sentence each.
    pub(crate) fn told(&self) -> Vec<Told> {
        let note = |ok: bool, says: String| Told { ok, says };
        if self.file.device == DeviceChoice::Cpu {
            return vec![note(true, "the settings say the processor (`device = \"cpu\"`)".to_owned())];
        }
        let instead =
            if self.has_processor() { "local models are drawn on the processor" } else { "nothing is drawn here" };
        let (driver, cards) = match &self.seen {
            // A machine without such a card lacks nothing that it was promised, unless somebody asked for it.
            Seen::Nothing(why) => return vec![note(self.has_processor(), format!("{why}: {instead}"))],
            Seen::Cards { driver, cards, .. } => (driver, cards),
        };
        let (used, turned) = (self.cards(), self.turned.lock());
        let line = |card: &Card| {
            let Card { name, total_bytes, .. } = card;
            let class = turned.class(card);
            let known = format!("{name} ({class}, {}, driver for CUDA {driver})", Bytes(*total_bytes));
            if let Some(why) = turned.fallen.get(&card.index) {
                return note(false, format!("{known} is not used since it was given up: failed to {why}"));
            }
            if let Some(why) = self.unfit(card) {
                let rest = if used.is_empty() { format!(": {instead}") } else { String::new() };
                return note(false, format!("{known} is not used since {why}{rest}"));
            }
            if !used.iter().any(|used| used.index == card.index) {
                let others = used.first().map_or("", |used| turned.class(used));
                let why = format!("pictures of {others} are other pictures, and those cards have more memory");
                return note(true, format!("{known} is not used since {why}"));
            }
            let left = Amount(self.reserve(card));
            note(true, format!("{known} draws local models; {left} of it is left to others"))
        };
        cards.iter().map(line).collect()
    }

    /// What multiplies on the cards that are drawn on, a sentence each; nothing where none is fast at bfloat16.
    pub(crate) fn told_of_library(&self) -> Vec<Told> {
        let used = self.cards();
        let Seen::Cards { library, .. } = &self.seen else { return Vec::new() };
        if !used.iter().any(|card| card.capability >= BF16_CAPABILITY) {
            return Vec::new();
        }
        let (word, path) = match library {
            Library::Ours { ok, why } => {
                return vec![Told { ok: *ok, says: format!("our own kernels multiply: {why}") }];
            }
            Library::Theirs { word, path } => (word, path),
        };
        let turned = self.turned.lock();
        let of_card = |card: &&Card| {
            let why = turned.without.get(&card.index)?;
            let says = format!("our own kernels multiply on {}: failed to {why}", card.name);
            Some(Told { ok: false, says })
        };
        let mut told: Vec<Told> = used.iter().filter_map(of_card).collect();
        if told.len() < used.len() {
            let says = format!("{word} at {} multiplies in bf16, and its version stands in keys", path.display());
            told.push(Told { ok: true, says });
        }
        told
    }
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine").field("file", &self.file).field("seen", &self.seen).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn processor() -> Classes {
        Classes { dtype: Dtype::F32, f32: "cpu-avx2".to_owned(), bf16: "cpu-avx2".to_owned() }
    }

    fn card(index: u32, capability: u32, gb: u64) -> Card {
        let total_bytes = gb * 1_000_000_000;
        let (name, class) = (format!("card {index}"), format!("cuda-sm{capability}"));
        Card { index, name, capability, class, library_class: None, total_bytes, unfit: None }
    }

    /// The same where the library multiplies.
    fn with_library(card: Card) -> Card {
        Card { library_class: Some(format!("{}-cublaslt12.9.1", card.class)), ..card }
    }

    fn machine(device: DeviceChoice, cards: &[Card]) -> Machine {
        let seen = match cards {
            [] => Seen::Nothing("no NVIDIA driver".to_owned()),
            cards => {
                let library = match cards.iter().any(|card| card.library_class.is_some()) {
                    true => Library::Theirs { word: "cublaslt12.9.1".to_owned(), path: "/lib/lt.so".into() },
                    false => Library::Ours { ok: true, why: "there is none".to_owned() },
                };
                Seen::Cards { driver: "13.0".to_owned(), cards: cards.to_vec(), library }
            }
        };
        Machine::new(LocalFile { device, ..LocalFile::default() }, seen, processor())
    }

    /// The class of 16-bit pictures, or why there is none, and the cards that are used.
    #[track_caller]
    fn check(machine: &Machine, class: &str, cards: &[u32]) {
        let said = machine.classes().map_or_else(|why| why, |classes| classes.bf16);
        assert!(said.starts_with(class), "{said}");
        assert_eq!(machine.cards().iter().map(|card| card.index).collect::<Vec<_>>(), cards);
    }

    use DeviceChoice::{Auto, Cpu, Cuda};

    #[test]
    fn the_class_follows_from_cards_and_settings() {
        check(&machine(Auto, &[]), "cpu-avx2", &[]);
        check(&machine(Cuda, &[]), "draw on a GPU: no NVIDIA driver; `device = \"auto\"`", &[]);
        check(&machine(Cpu, &[card(0, 90, 80)]), "cpu-avx2", &[]);
        check(&machine(Auto, &[card(0, 90, 80)]), "cuda-sm90", &[0]);
        check(&machine(Auto, &[card(0, 89, 24), card(1, 89, 24)]), "cuda-sm89", &[0, 1]);
        // Two of 24 have more than one of 32; of equals the newer wins.
        check(&machine(Auto, &[card(0, 120, 32), card(1, 89, 24), card(2, 89, 24)]), "cuda-sm89", &[1, 2]);
        check(&machine(Auto, &[card(0, 80, 24), card(1, 89, 24)]), "cuda-sm89", &[1]);
        // Too small for any real model.
        check(&machine(Auto, &[card(0, 75, 4)]), "cpu-avx2", &[]);
        check(&machine(Cuda, &[card(0, 75, 4)]), "cuda-sm75", &[0]);
        let old = Card { unfit: Some("its kernels are not in this build".to_owned()), ..card(0, 61, 8) };
        check(&machine(Cuda, &[old]), "draw on a GPU: card 0 is not used since its kernels", &[]);
    }

    #[test]
    fn singles_are_the_rule_before_bfloat16_is_fast() {
        let dtype = |capability: u32| machine(Auto, &[card(0, capability, 24)]).classes().map(|classes| classes.dtype);
        assert_eq!(dtype(75), Ok(Dtype::F32));
        assert_eq!(dtype(80), Ok(Dtype::Bf16));
    }

    #[test]
    fn what_falls_gives_way_to_what_is_left() {
        let machine = machine(Auto, &[card(0, 90, 80), card(1, 89, 24)]);
        check(&machine, "cuda-sm90", &[0]);
        machine.fell(0, "draw: the device was lost 4 times");
        check(&machine, "cuda-sm89", &[1]);
        machine.fell(1, "draw: the device was lost 4 times");
        check(&machine, "cpu-avx2", &[]);
        assert!(machine.told().iter().all(|told| !told.ok && told.says.contains("given up: failed to draw")));
    }

    #[test]
    fn the_library_stands_in_the_class_of_16_bit_pictures_as_long_as_it_runs() {
        let machine = machine(Auto, &[with_library(card(0, 90, 80)), with_library(card(1, 90, 80)), card(2, 75, 16)]);
        let told = |machine: &Machine| {
            let told = machine.told_of_library();
            told.into_iter().map(|told| (told.ok, told.says)).collect::<Vec<_>>()
        };
        check(&machine, "cuda-sm90-cublaslt12.9.1", &[0, 1]);
        assert_eq!(machine.classes().map(|classes| classes.f32), Ok("cuda-sm90".to_owned()));
        let of = |index: usize| machine.library(machine.fit()[index]);
        assert_eq!((of(0), of(2)), (Some(Path::new("/lib/lt.so")), None));
        let runs = "cublaslt12.9.1 at /lib/lt.so multiplies in bf16, and its version stands in keys".to_owned();
        assert_eq!(told(&machine), [(true, runs)]);
        // Of two cards with as much memory the one that keeps it is drawn on.
        machine.without_library(0, "open the library: it refuses");
        check(&machine, "cuda-sm90-cublaslt12.9.1", &[1]);
        assert!(machine.told().iter().any(|told| told.says.contains("pictures of cuda-sm90-cublaslt12.9.1 are other")));
        machine.without_library(1, "open the library: it refuses");
        check(&machine, "cuda-sm90", &[0, 1]);
        assert_eq!((of(0), of(1)), (None, None));
        let refused =
            |index: u32| format!("our own kernels multiply on card {index}: failed to open the library: it refuses");
        assert_eq!(told(&machine), [(false, refused(0)), (false, refused(1))]);
    }

    #[test]
    fn what_multiplies_is_told_where_it_matters() {
        let says = |cards: &[Card], expected: &[&str]| {
            let told: Vec<String> = machine(Auto, cards).told_of_library().into_iter().map(|told| told.says).collect();
            assert_eq!(told, expected);
        };
        says(&[card(0, 90, 80)], &["our own kernels multiply: there is none"]);
        says(&[card(0, 75, 16)], &[]);
        says(&[], &[]);
    }

    #[test]
    fn degrees_of_support_are_told_in_sentences() {
        #[track_caller]
        fn says(machine: &Machine, ok: bool, expected: &[&str]) {
            let told = machine.told();
            assert_eq!(told.iter().map(|told| told.ok).collect::<Vec<_>>(), vec![ok; told.len()], "{told:?}");
            let words = told.iter().map(|told| told.says.as_str()).collect::<Vec<_>>().join("\n");
            expected.iter().for_each(|expected| assert!(words.contains(expected), "{words}"));
        }
        says(&machine(Auto, &[]), true, &["no NVIDIA driver: local models are drawn on the processor"]);
        says(&machine(Cuda, &[]), false, &["no NVIDIA driver: nothing is drawn here"]);
        says(&machine(Cpu, &[]), true, &["the settings say the processor"]);
        says(&machine(Auto, &[card(0, 75, 4)]), false, &["the smallest model takes 5.5 GB", "drawn on the processor"]);
        says(
            &machine(Auto, &[card(0, 90, 80)]),
            true,
            &["card 0 (cuda-sm90, 80.0 GB, driver for CUDA 13.0) draws local models; 1.0 GiB of it is left to others"],
        );
        says(&machine(Auto, &[card(0, 90, 80), card(1, 80, 24)]), true, &["card 1", "pictures of cuda-sm90 are other"]);
    }
}
