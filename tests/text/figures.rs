//! Counts of what was judged rightly and wrongly, as tables, and the bounds that they have to keep.

use std::collections::BTreeMap;
use std::fmt::Write;

use thumbforge_tests::corpus::{Condition, Fault, Plan, languages};

/// How a picture was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Series {
    /// By the reader, which is not told where the words are.
    Anywhere,
    /// By the reader, which gets the box of a template.
    Boxed,
    /// By the reader, which gets the box of the letters.
    Inked,
    /// By the command line, `--psm 3`.
    CommandAuto,
    /// By the command line, `--psm 11`.
    CommandSparse,
}

impl Series {
    const ALL: [Self; 5] = [Self::Anywhere, Self::Boxed, Self::Inked, Self::CommandAuto, Self::CommandSparse];

    fn name(self) -> &'static str {
        match self {
            Self::Anywhere => "anywhere",
            Self::Boxed => "known box",
            Self::Inked => "box of the ink",
            Self::CommandAuto => "tesseract --psm 3",
            Self::CommandSparse => "tesseract --psm 11",
        }
    }
}

/// What was said of a picture.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    /// The expected words are not all there.
    pub(crate) mismatch: bool,
    /// There are words that nobody expected.
    pub(crate) strange: bool,
}

impl Outcome {
    /// Whether it was wrong to say so: of right words anything, of wrong letters that all is there, of the rest nothing.
    pub(crate) fn surprising(self, fault: Option<Fault>) -> bool {
        match fault {
            None => self.mismatch || self.strange,
            Some(Fault::Changed | Fault::Swapped | Fault::Missing) => !self.mismatch,
            Some(Fault::Extra | Fault::Mirrored) => !self.mismatch && !self.strange,
        }
    }
}

/// Of how many pictures how many were judged wrongly.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    all: u32,
    wrongly: u32,
    /// Of right pictures: those in which the words were not all found. The others had words too many.
    mismatch: u32,
}

impl Count {
    fn percent(self) -> String {
        match self.all {
            0 => "–".to_owned(),
            all => format!("{:.1}", 100.0 * f64::from(self.wrongly) / f64::from(all)),
        }
    }

    fn add(&mut self, other: Self) {
        self.all += other.all;
        self.wrongly += other.wrongly;
        self.mismatch += other.mismatch;
    }
}

/// One cell of the tables.
type Key = (Series, &'static str, Condition, Option<Fault>);

/// Everything that was counted.
#[derive(Debug, Default)]
pub(crate) struct Figures(BTreeMap<Key, Count>);

/// Columns of a table: right pictures, and wrong ones by their fault.
const COLUMNS: [(&str, &[Option<Fault>]); 6] = [
    ("right, called wrong", &[None]),
    ("one letter changed, missed", &[Some(Fault::Changed)]),
    ("two swapped, missed", &[Some(Fault::Swapped)]),
    ("word missing, missed", &[Some(Fault::Missing)]),
    ("word too many, missed", &[Some(Fault::Extra)]),
    ("mirrored, missed", &[Some(Fault::Mirrored)]),
];
/// Conditions that have the strict bounds.
const STRICT: [Condition; 5] =
    [Condition::Clean, Condition::Gradient, Condition::Small, Condition::Turned8, Condition::Turned20];
const ONE_LETTER: [Option<Fault>; 1] = [Some(Fault::Changed)];

impl Figures {
    /// Counts one reading.
    pub(crate) fn count(&mut self, series: Series, plan: &Plan, outcome: Outcome) {
        let count = self.0.entry((series, plan.language.locale, plan.condition, plan.fault)).or_default();
        count.all += 1;
        count.wrongly += u32::from(outcome.surprising(plan.fault));
        count.mismatch += u32::from(outcome.mismatch);
    }

    fn sum(&self, wanted: impl Fn(&Key) -> bool) -> Count {
        let mut sum = Count::default();
        self.0.iter().filter(|(key, _)| wanted(key)).for_each(|(_, count)| sum.add(*count));
        sum
    }

    /// All tables, in Markdown; numbers are percent.
    pub(crate) fn tables(&self) -> String {
        let mut text = String::new();
        let mut line = |cells: Vec<String>| writeln!(text, "| {} |", cells.join(" | ")).unwrap_or_default();
        for series in Series::ALL {
            let all = self.sum(|key| key.0 == series);
            if all.all == 0 {
                continue;
            }
            line(vec![format!("{}, {} pictures", series.name(), all.all)]);
            let head = COLUMNS.iter().map(|(name, _)| (*name).to_owned());
            line(std::iter::once("condition".to_owned()).chain(head.clone()).collect());
            line(vec!["---".to_owned(); COLUMNS.len() + 1]);
            for condition in Condition::ALL {
                let cell = |faults: &[Option<Fault>]| {
                    self.sum(|key| key.0 == series && key.2 == condition && faults.contains(&key.3)).percent()
                };
                let cells = COLUMNS.iter().map(|(_, faults)| cell(faults));
                line(std::iter::once(condition.name().to_owned()).chain(cells).collect());
            }
            line(vec![
                "language".to_owned(),
                "strict: right, called wrong".to_owned(),
                "of them words not found".to_owned(),
                "strict: one letter, missed".to_owned(),
                "busy: right, called wrong".to_owned(),
                "busy: wrong, missed".to_owned(),
            ]);
            line(vec!["---".to_owned(); 6]);
            for language in languages() {
                let of = |conditions: &[Condition], faults: &[Option<Fault>]| {
                    self.sum(|key| {
                        key.0 == series
                            && key.1 == language.locale
                            && conditions.contains(&key.2)
                            && (faults.contains(&key.3) || faults.is_empty() && key.3.is_some())
                    })
                };
                let right = of(&STRICT, &[None]);
                line(vec![
                    language.locale.to_owned(),
                    right.percent(),
                    Count { wrongly: right.mismatch, ..right }.percent(),
                    of(&STRICT, &ONE_LETTER).percent(),
                    of(&[Condition::Busy], &[None]).percent(),
                    of(&[Condition::Busy], &[]).percent(),
                ]);
            }
        }
        text
    }

    /// Which bounds are broken, in words.
    ///
    /// In a full run each language has 150 right pictures and 80 with a changed letter under the strict conditions. An ordinary
    /// run has a tenth, so that it is held to all languages together, and a bound of p on n pictures is widened by three
    /// standard deviations, `3 * sqrt(p (1 - p) / n)`: a reader that keeps the bound breaks it in one run of 700.
    pub(crate) fn beyond(&self, full: bool) -> Vec<String> {
        let mut beyond = Vec::new();
        let mut hold = |name: String, count: Count, bound: f64| {
            let (all, wrongly) = (f64::from(count.all.max(1)), f64::from(count.wrongly));
            let room = if full { 0.0 } else { 3.0 * (bound * (1.0 - bound) / all).sqrt() };
            if count.all == 0 || wrongly / all > bound + room {
                beyond.push(format!("{name}: {wrongly} of {all}, and {:.1} % may be", 100.0 * bound));
            }
        };
        for series in [Series::Anywhere, Series::Boxed, Series::Inked] {
            for condition in STRICT {
                let of = |fault: Option<Fault>| self.sum(|key| key.0 == series && key.2 == condition && key.3 == fault);
                let name = |what: &str| format!("{}, {}: {what}", series.name(), condition.name());
                hold(name("right pictures called wrong"), of(None), FALSE_ALARMS);
                hold(name("changed letters missed"), of(Some(Fault::Changed)), MISSED);
            }
            let busy =
                |right: bool| self.sum(|key| key.0 == series && key.2 == Condition::Busy && key.3.is_none() == right);
            hold(format!("{}, busy: right pictures called wrong", series.name()), busy(true), FALSE_ALARMS_BUSY);
            hold(format!("{}, busy: wrong pictures missed", series.name()), busy(false), MISSED_BUSY);
        }
        beyond
    }
}

/// Right pictures that may be called wrong under the strict conditions, and changed letters that may be missed.
const FALSE_ALARMS: f64 = 0.02;
const MISSED: f64 = 0.05;
/// The same over busy scenes.
const FALSE_ALARMS_BUSY: f64 = 0.10;
const MISSED_BUSY: f64 = 0.10;
