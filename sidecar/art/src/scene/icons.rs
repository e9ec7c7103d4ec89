//! The icon set: which icons there are, their words, and one icon's outline.
//!
//! `icons/icons.txt` holds a line per icon: name, author, material, stance, words, outline.
//! Its README says where it comes from and under which licence.

use std::sync::LazyLock;

use super::Credit;
use super::raster::{Path, cubic};

static DATA: &str = include_str!("../../icons/icons.txt");
static ICONS: LazyLock<Vec<Icon>> = LazyLock::new(|| {
    let mut icons: Vec<Icon> = DATA.lines().filter_map(Icon::read).collect();
    icons.sort_by_key(|icon| icon.name);
    icons
});
static WORDS: LazyLock<Vec<(String, &'static Icon)>> = LazyLock::new(index);

/// How a subject stands in a scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stance {
    /// A thing that is carried: it hovers over a plinth.
    Item,
    /// Stands on the ground.
    Ground,
    /// In the air.
    Fly,
    /// On or in water.
    Water,
    /// A head or helmet, shown large.
    Bust,
}

/// One icon of the set.
#[derive(Debug)]
pub(super) struct Icon {
    pub(super) name: &'static str,
    author: &'static str,
    pub(super) material: &'static str,
    pub(super) stance: Stance,
    turned: bool,
    words: &'static str,
    data: &'static str,
}

impl Icon {
    fn read(line: &'static str) -> Option<Self> {
        let mut part = line.split('|');
        let mut next = || part.next();
        let (name, author, material) = (next()?, next()?, next()?);
        let stance = next()?;
        let turned = stance == "turned";
        let stance = match stance {
            "ground" => Stance::Ground,
            "fly" | "turned" => Stance::Fly,
            "water" => Stance::Water,
            "bust" => Stance::Bust,
            _ => Stance::Item,
        };
        Some(Self { name, author, material, stance, turned, words: next()?, data: next()? })
    }

    /// The outline in a box of 512 by 512. Curves are cut finely enough for pictures of 4096 pixels.
    pub(super) fn outline(&self) -> Path {
        let mut path = Path::default();
        let mut contour: Vec<[f32; 2]> = Vec::new();
        let (mut at, mut start) = ([0i32; 2], [0i32; 2]);
        // Twice the box while curves are cut, which makes more lines of each; see `cubic`.
        let real = |p: [i32; 2]| [p[0] as f32 * 0.2, p[1] as f32 * 0.2];
        let mut close = |contour: &mut Vec<[f32; 2]>| {
            if contour.len() > 2 {
                path.contour(core::mem::take(contour));
            }
            contour.clear();
        };
        for (command, n) in commands(self.data) {
            let to = |k: usize| [at[0] + n.get(k).copied().unwrap_or(0), at[1] + n.get(k + 1).copied().unwrap_or(0)];
            let end = match command {
                b'm' => {
                    close(&mut contour);
                    start = to(0);
                    contour.push(real(start));
                    start
                }
                b'l' => {
                    contour.push(real(to(0)));
                    to(0)
                }
                b'q' => {
                    let (a, c, e) = (real(at), real(to(0)), real(to(2)));
                    let third = |p: [f32; 2]| [p[0] + (c[0] - p[0]) * (2.0 / 3.0), p[1] + (c[1] - p[1]) * (2.0 / 3.0)];
                    cubic(&mut contour, third(a), third(e), e);
                    to(2)
                }
                b'c' => {
                    cubic(&mut contour, real(to(0)), real(to(2)), real(to(4)));
                    to(4)
                }
                _ => {
                    close(&mut contour);
                    contour.push(real(start));
                    start
                }
            };
            at = end;
        }
        close(&mut contour);
        if self.turned { path.placed([-0.5, -0.5], 512.0, 512.0) } else { path.placed([0.5, 0.5], 0.0, 0.0) }
    }

    /// Who drew it.
    pub(super) fn credit(&self) -> Credit {
        Credit { work: self.name, author: self.author, licence: "CC BY 3.0", source: "https://game-icons.net" }
    }
}

/// Splits path data into commands with their numbers; repeated letters are left out in the data.
fn commands(data: &'static str) -> impl Iterator<Item = (u8, Vec<i32>)> {
    let bytes = data.as_bytes();
    let (mut i, mut command) = (0, b'z');
    core::iter::from_fn(move || {
        if i >= bytes.len() {
            return None;
        }
        if bytes[i].is_ascii_alphabetic() {
            command = bytes[i];
            i += 1;
        }
        let want = match command {
            b'm' | b'l' => 2,
            b'q' => 4,
            b'c' => 6,
            _ => 0,
        };
        let mut numbers = Vec::with_capacity(want);
        while numbers.len() < want && i < bytes.len() {
            while bytes.get(i) == Some(&b' ') {
                i += 1;
            }
            let from = i;
            i += usize::from(bytes.get(i) == Some(&b'-'));
            while bytes.get(i).is_some_and(u8::is_ascii_digit) {
                i += 1;
            }
            if from == i {
                i += 1;
            }
            numbers.push(data.get(from..i).and_then(|t| t.parse().ok()).unwrap_or(0));
        }
        Some((command, numbers))
    })
}

/// Words and phrases to icons, sorted. Written words come before names, so a synonym wins over a chance namesake.
fn index() -> Vec<(String, &'static Icon)> {
    let mut words: Vec<(String, u8, &'static Icon)> = Vec::new();
    for icon in ICONS.iter() {
        for word in icon.words.split(',').filter(|w| !w.is_empty()) {
            words.push((word.replace('-', " "), 0, icon));
        }
        words.push((icon.name.replace('-', " "), 1, icon));
    }
    words.sort_by(|a, b| (&a.0, a.1, a.2.name).cmp(&(&b.0, b.1, b.2.name)));
    words.dedup_by(|b, a| a.0 == b.0);
    words.into_iter().map(|(word, _, icon)| (word, icon)).collect()
}

/// The icon that a word or phrase means.
pub(super) fn by_words(phrase: &str) -> Option<&'static Icon> {
    let at = WORDS.binary_search_by(|(word, _)| word.as_str().cmp(phrase)).ok()?;
    WORDS.get(at).map(|(_, icon)| *icon)
}

/// The icon of that name.
pub(super) fn by_name(name: &str) -> Option<&'static Icon> {
    let at = ICONS.binary_search_by(|icon| icon.name.cmp(name)).ok()?;
    ICONS.get(at)
}

/// All icons, by name.
pub(super) fn all() -> impl Iterator<Item = &'static Icon> {
    ICONS.iter()
}
