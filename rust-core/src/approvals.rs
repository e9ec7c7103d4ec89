//! The approvals, `thumbforge.approvals`: who has accepted or rejected which picture. Committed beside the manifest.
//!
//! ```text
//! thumbforge.approvals 1
//! sword⇥en⇥art-director⇥accepted⇥pixels⇥Kim⇥2026-11-21⇥the blade reads well
//! ```
//!
//! One line for each image and role, sorted, fields apart by tabs, so that decisions of two branches merge without a
//! conflict. A decision is on pixels: of other pixels it says nothing, so whatever is drawn anew is to be judged anew.
//! Where a merge leaves two decisions of one role, the one of the later day counts; of one day, a person must choose.

use crate::error::ErrorCode;
use crate::id::PixelHash;
use crate::limits;
use crate::line_file::LineFile;
use crate::locale::is_locale;
use crate::manifest::{Gathered, ManifestError, ManifestErrors, excerpt, text_of};

/// Version of the format that is written. History: 1 since the first release.
pub const APPROVALS_VERSION: u32 = 1;

const FILE: LineFile = LineFile {
    name: "thumbforge.approvals",
    has: "the approvals have",
    version: APPROVALS_VERSION,
    after_merge: "keep the lines of both sides and delete the markers; of one role's two, the later day counts",
};

/// What stands for a picture without locale, so that no line has two tabs in a row there.
const NO_LOCALE: &str = "-";

/// One decision of one role on one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// Name of the asset in the manifest.
    pub asset: String,
    /// BCP 47 tag; empty where the picture has no words.
    pub locale: String,
    /// As what the person decided, as in "art-director". Each role has one say.
    pub role: String,
    /// What was decided.
    pub decision: Decision,
    /// The pixels that were looked at.
    pub pixels: PixelHash,
    /// Who decided.
    pub person: String,
    /// The day, as in 2026-11-21.
    pub date: String,
    /// Why; may be empty.
    pub note: String,
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The picture may be shipped.
    Accepted,
    /// It may not.
    Rejected,
}

impl Decision {
    /// The word in files and reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
        }
    }
}

/// What the decisions on an image are worth for the pixels that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// At least one role accepts these very pixels, and none rejects them.
    Accepted,
    /// A role rejects these very pixels.
    Rejected,
    /// Every decision was on other pixels.
    Void,
}

impl Standing {
    /// The word in reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Void => "void",
        }
    }
}

/// A field that cannot stand in the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("write the {field} {:?} into the approvals: {why}", excerpt(.value))]
pub struct FieldError {
    /// Which.
    pub field: &'static str,
    /// What it holds.
    pub value: String,
    /// What is wrong with it, and what to do.
    pub why: &'static str,
}

impl Approval {
    /// Whether it can stand in the file and be read back as it is.
    ///
    /// # Errors
    /// The first field that cannot.
    pub fn check(&self) -> Result<(), FieldError> {
        for (field, value) in
            [("asset", &self.asset), ("role", &self.role), ("person", &self.person), ("note", &self.note)]
        {
            let wrong = |why| FieldError { field, value: value.clone(), why };
            if value.chars().any(char::is_control) {
                return Err(wrong("it must be one line without tabs"));
            }
            if value.len() > limits::APPROVAL_FIELD_BYTES_MAX {
                return Err(wrong("it is too long; at most a kilobyte is kept"));
            }
            if value.trim() != value {
                return Err(wrong("it must not begin or end with a space"));
            }
            if value.is_empty() && field != "note" {
                return Err(wrong("it must not be empty"));
            }
        }
        if !self.locale.is_empty() && !is_locale(&self.locale) {
            let why = "it is no locale code; write it as en or zh-Hans";
            return Err(FieldError { field: "locale", value: self.locale.clone(), why });
        }
        if !is_date(&self.date) {
            return Err(FieldError { field: "date", value: self.date.clone(), why: "write it as 2026-11-21" });
        }
        Ok(())
    }

    fn key(&self) -> (&str, &str, &str) {
        (&self.asset, &self.locale, &self.role)
    }
}

/// All decisions, sorted by asset, locale and role, one for each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Approvals {
    lines: Vec<Approval>,
}

impl Approvals {
    /// Reads an approvals file; an empty one has no decisions. `label` is how errors call it.
    ///
    /// # Errors
    /// [`ErrorCode::Corrupt`] for a merge conflict, a damaged line or two decisions of one role on one day,
    /// [`ErrorCode::VersionMismatch`] for a newer format.
    pub fn parse(label: &str, bytes: &[u8]) -> Result<Self, ManifestErrors> {
        let text = text_of(label, bytes, limits::APPROVALS_BYTES_MAX)?;
        let fault = |code, line: usize, message: String, fix: &str| ManifestError {
            code,
            file: label.to_owned(),
            line: Some(line),
            column: None,
            key: String::new(),
            message,
            fix: fix.to_owned(),
        };
        let mut rest = text.lines().enumerate().filter(|(_, line)| !line.trim_ascii().is_empty());
        let Some((at, header)) = rest.next() else { return Ok(Self::default()) };
        FILE.check_header(header).map_err(|(code, message, fix)| fault(code, at + 1, message, &fix))?;
        let mut gathered = Gathered::default();
        let mut lines: Vec<(Approval, usize)> = Vec::new();
        for (at, line) in rest {
            match read_line(line) {
                Ok(line) => lines.push((line, at + 1)),
                Err((message, fix)) => gathered.push(fault(ErrorCode::Corrupt, at + 1, message, fix)),
            }
        }
        // The later day comes first, and of one day the lines stand as they stand in the file.
        lines.sort_by(|a, b| a.0.key().cmp(&b.0.key()).then_with(|| b.0.date.cmp(&a.0.date)));
        // A union merge leaves the same line twice; that says nothing new.
        lines.dedup_by(|later, earlier| later.0 == earlier.0);
        for pair in lines.windows(2) {
            let ((one, at), (other, other_at)) = (&pair[0], &pair[1]);
            if one.key() == other.key() && one.date == other.date {
                let message = format!(
                    "{} decided twice on {:?} on {}, here and on line {}",
                    excerpt(&one.role),
                    excerpt(&one.asset),
                    one.date,
                    at.min(other_at)
                );
                gathered.push(fault(ErrorCode::Corrupt, *at.max(other_at), message, "keep the line that counts"));
            }
        }
        lines.dedup_by(|later, earlier| later.0.key() == earlier.0.key());
        gathered.or(Self { lines: lines.into_iter().map(|(line, _)| line).collect() })
    }

    /// The file's text.
    pub fn to_text(&self) -> String {
        let mut text = format!("{} {APPROVALS_VERSION}\n", FILE.name);
        for line in &self.lines {
            let locale = if line.locale.is_empty() { NO_LOCALE } else { &line.locale };
            let pixels = line.pixels.to_string();
            let word = line.decision.word();
            let fields = [&line.asset, locale, &line.role, word, pixels.as_str(), &line.person, &line.date, &line.note];
            text.push_str(&fields.join("\t"));
            text.push('\n');
        }
        text
    }

    /// Decisions in order.
    pub fn lines(&self) -> &[Approval] {
        &self.lines
    }

    /// The decisions of all roles on one image.
    pub fn of(&self, asset: &str, locale: &str) -> &[Approval] {
        let image = (asset, locale);
        let from = self.lines.partition_point(|line| (line.asset.as_str(), line.locale.as_str()) < image);
        let count = self.lines[from..].partition_point(|line| (line.asset.as_str(), line.locale.as_str()) == image);
        &self.lines[from..from + count]
    }

    /// What the decisions on an image are worth for `pixels`, and the one that says so; `None` when nobody decided.
    /// Of several that say the same it is that of the latest day.
    pub fn standing(&self, asset: &str, locale: &str, pixels: Option<PixelHash>) -> Option<(Standing, &Approval)> {
        let lines = self.of(asset, locale);
        let latest = |decision: Option<Decision>| {
            let says = |line: &&Approval| match decision {
                Some(decision) => Some(line.pixels) == pixels && line.decision == decision,
                None => true,
            };
            lines.iter().filter(says).max_by(|a, b| a.date.cmp(&b.date))
        };
        let rejected = latest(Some(Decision::Rejected)).map(|line| (Standing::Rejected, line));
        let accepted = || latest(Some(Decision::Accepted)).map(|line| (Standing::Accepted, line));
        rejected.or_else(accepted).or_else(|| latest(None).map(|line| (Standing::Void, line)))
    }

    /// Takes a decision in, in place of the one that its role had made.
    ///
    /// # Errors
    /// A field that cannot stand in the file.
    pub fn decide(&mut self, approval: Approval) -> Result<(), FieldError> {
        approval.check()?;
        match self.lines.binary_search_by(|line| line.key().cmp(&approval.key())) {
            Ok(at) => self.lines[at] = approval,
            Err(at) => self.lines.insert(at, approval),
        }
        Ok(())
    }
}

const DAMAGED: &str = "take the line from version control again, or delete it and decide once more";

fn read_line(line: &str) -> Result<Approval, (String, &'static str)> {
    let fields: Vec<&str> = line.split('\t').collect();
    // Editors that cut white space at the end of a line take the tab before an empty note.
    let (head, note) = match fields.as_slice() {
        [head @ .., note] if fields.len() == 8 => (head, *note),
        head if head.len() == 7 => (head, ""),
        _ => {
            let damage = (format!("the line has {} fields of 8", fields.len()), DAMAGED);
            return Err(FILE.conflict(line).unwrap_or(damage));
        }
    };
    let [asset, locale, role, decision, pixels, person, date] = head else {
        return Err((format!("the line has {} fields of 8", fields.len()), DAMAGED));
    };
    let decision = match *decision {
        "accepted" => Decision::Accepted,
        "rejected" => Decision::Rejected,
        other => {
            return Err((format!("{:?} is no decision: it must be accepted or rejected", excerpt(other)), DAMAGED));
        }
    };
    let pixels = pixels.parse().map_err(|_| (format!("the pixel hash {:?} is no hash", excerpt(pixels)), DAMAGED))?;
    let approval = Approval {
        asset: (*asset).to_owned(),
        locale: if *locale == NO_LOCALE { String::new() } else { (*locale).to_owned() },
        role: (*role).to_owned(),
        decision,
        pixels,
        person: (*person).to_owned(),
        date: (*date).to_owned(),
        note: note.to_owned(),
    };
    // An empty field there is damage too: a picture without locale has a dash.
    if locale.is_empty() {
        return Err(("the locale is empty".to_owned(), DAMAGED));
    }
    match approval.check() {
        Ok(()) => Ok(approval),
        Err(err) => {
            Err((format!("the {} {:?} cannot stand here: {}", err.field, excerpt(&err.value), err.why), DAMAGED))
        }
    }
}

/// A day of some month; the calendar's own exceptions are nobody's business here.
fn is_date(text: &str) -> bool {
    let number = |range: std::ops::Range<usize>| -> Option<u32> {
        let digits = text.get(range)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let dashes = text.len() == 10 && text.as_bytes()[4] == b'-' && text.as_bytes()[7] == b'-';
    dashes
        && number(0..4).is_some()
        && number(5..7).is_some_and(|month| (1..=12).contains(&month))
        && number(8..10).is_some_and(|day| (1..=31).contains(&day))
}

#[cfg(test)]
mod tests;
