//! Palettes: a dozen colours that belong together, chosen by words or grown from brand colours.

use thumbforge_core::colour::Rgb;

use super::canvas::{Colour, luma, mix};
use super::noise::Rng;
use super::tint::{Lch, at_light, hex, paint, shift};

/// The colours of a scene.
#[derive(Clone, Debug)]
pub(super) struct Palette {
    pub(super) name: &'static str,
    /// Sky at the top, in the middle and at the horizon.
    pub(super) sky: [Colour; 3],
    /// Sun, moon and what they light.
    pub(super) light: Colour,
    /// Farthest and nearest layer of land.
    pub(super) far: Colour,
    pub(super) near: Colour,
    /// Small bright things: windows, embers, magic.
    pub(super) accent: Colour,
    /// Painted surfaces of the subject.
    pub(super) paint: Colour,
    /// Flags and nebulae: the brand's first colour where there is a brand.
    pub(super) banner: Colour,
    /// Whether stars are out.
    pub(super) night: bool,
}

/// name, words, [sky top, middle, horizon, light, far, near, accent, paint], night.
type Row = (&'static str, &'static str, [u32; 8], bool);

#[rustfmt::skip]
const TABLE: &[Row] = &[
    ("whisper", "green emerald sage dawn mist misty morning calm", [0x1f8a92, 0x5fc3b0, 0xd9f2c0, 0xfff3a8, 0x7fbf9f, 0x06241c, 0xffe27a, 0xd8573f], false),
    ("noon", "blue sky noon day daylight sunny bright clear summer", [0x2277cf, 0x5fb4ee, 0xd4efff, 0xfffbe0, 0x86b7d8, 0x1c4a35, 0xffd447, 0xe4572e], false),
    ("azure", "azure cyan turquoise aqua teal ocean tropical", [0x0b75b8, 0x2fb5dc, 0xd7f3e3, 0xffe9b0, 0x5fb3c6, 0x06324f, 0xffb84a, 0xee6c3d], false),
    ("coral", "coral pink sunset evening rose salmon romantic", [0x6a4fa3, 0xe8707f, 0xffd9a0, 0xfff0b8, 0xd1776f, 0x43162c, 0xffcf6b, 0x2f8f9d], false),
    ("desert", "orange amber sand sandy western dusty terracotta copper", [0xd9694f, 0xf2a765, 0xffe6b0, 0xfff4cf, 0xd68f5c, 0x4f2117, 0xffd57a, 0x2f7f86], false),
    ("neon", "neon cyberpunk synthwave retrowave vaporwave magenta fuchsia 80s futuristic electric", [0x12063a, 0x5a0f82, 0xff3d9a, 0xffb3dd, 0x7d1c8c, 0x0b0423, 0x27e8f5, 0x27c4f5], true),
    ("dusk", "dusk twilight epic heroic medieval fantasy", [0x1c2350, 0x4f4a86, 0xf2a487, 0xffe2a6, 0x755a82, 0x140f22, 0xffbe5c, 0xc23b4b], true),
    ("winter", "winter snow snowy icy frozen cold arctic white frost glacier christmas", [0x3f7fc4, 0x8cbdea, 0xeef7ff, 0xffffff, 0x9dbfe0, 0x18345c, 0xbfe9ff, 0xd0433f], false),
    ("ember", "ember fiery lava hell forge red volcanic volcano burning crimson scarlet inferno", [0x1d0606, 0x7d1a0b, 0xff8a2b, 0xffd27a, 0x7c2a10, 0x130504, 0xffb02e, 0x3c6f8f], true),
    ("midnight", "night midnight moon moonlight navy dark starry nocturnal indigo", [0x070d2b, 0x18306b, 0x5f7fc0, 0xe6eeff, 0x33508f, 0x050a1e, 0xffd98a, 0xc94f5f], true),
    ("nebula", "purple violet space cosmic galaxy nebula magic magical mystic arcane lavender", [0x120b33, 0x3f1a75, 0xb04fc4, 0xf6c6ff, 0x5c2f94, 0x0d0624, 0x5fe3ff, 0xf29a3f], true),
    ("toxic", "toxic poison slime acid radioactive lime alien zombie virus", [0x0b1f14, 0x1f5a2c, 0xb6e04a, 0xeaff9e, 0x2f6f35, 0x06130b, 0xc8ff3d, 0x9b4fd0], true),
    ("candy", "pastel candy cute kawaii sweet casual bubblegum kids cozy soft", [0x8fb8ff, 0xd7b6ff, 0xffe3ef, 0xfffbe6, 0xbfa6ec, 0x5f4a9a, 0xffd166, 0xff6fa3], false),
    ("autumn", "autumn fall harvest rustic warm brown thanksgiving", [0x8a5a44, 0xdf9a55, 0xffe2ae, 0xffedc2, 0xb5713d, 0x35170d, 0xffc04a, 0x9b2f24], false),
    ("royal", "royal golden gold yellow luxury rich regal vip legendary", [0x2a1440, 0x6e3a6f, 0xf2c063, 0xffedb8, 0x7c4a5f, 0x180a22, 0xffd24a, 0x8f2f6b], false),
    ("blood", "horror blood bloody haunted cursed ghost undead gothic vampire scary creepy sinister halloween spooky", [0x0b0710, 0x35101f, 0xb3323a, 0xffc9a0, 0x4b1a2b, 0x08050b, 0xff7a2f, 0x6f8a3f], true),
    ("steel", "steel industrial mech robot military grey gray urban metal tactical sci-fi scifi", [0x22313f, 0x4f6b80, 0xc9dbe3, 0xf4fbff, 0x6f8799, 0x10181f, 0xff9b3d, 0xe0772f], false),
    ("jungle", "jungle rainforest lush tropical moss nature", [0x0f5145, 0x3f9a63, 0xe2f0a2, 0xfdffd0, 0x5b9c5b, 0x05201a, 0xffd75a, 0xd9622b], false),
    ("abyss", "underwater abyss undersea submarine aquatic reef", [0x27b3c9, 0x0c6f9c, 0x073a66, 0xd8fff5, 0x0f6d94, 0x031a33, 0x8ff5d8, 0xff8a4a], false),
    ("amethyst", "amethyst cave cavern underground", [0x0b0a22, 0x23205a, 0x5b4fb0, 0xcfd6ff, 0x383380, 0x070617, 0x5fe0ff, 0xe88f3f], true),
    ("studio", "studio product minimal clean neutral photo wooden", [0x2b2a33, 0x5f5660, 0xc9b09a, 0xfff1dc, 0x6f625f, 0x1a1519, 0xffcf8a, 0xc4503a], false),
    ("storm", "storm stormy fog foggy rain rainy thunder lightning grim bleak dark gloomy", [0x1a232e, 0x3a4c5c, 0x93a9b0, 0xe6f3f5, 0x52677a, 0x0b1117, 0xa8e3ff, 0xb8493f], false),
    ("spring", "spring blossom cherry sakura meadow fresh easter garden", [0x5aa9e0, 0xa9d8ef, 0xfdf0e4, 0xfffbe0, 0x9fcf9a, 0x2c5b34, 0xff9fc0, 0xe8628a], false),
    ("noir", "noir monochrome black mono silhouette detective", [0x16181c, 0x3b4048, 0xaeb3b8, 0xf2efe6, 0x555b64, 0x08090b, 0xffc94a, 0xa83a36], true),
    ("dungeon", "dungeon crypt torchlit", [0x171226, 0x3b2a4a, 0xb8743f, 0xffd9a0, 0x4c3d46, 0x0a080d, 0xff9f3a, 0x9b3440], true),
    ("mars", "mars rust rusty apocalypse apocalyptic wasteland", [0x5a2238, 0xc4553a, 0xffc48a, 0xfff0dc, 0xa35c45, 0x2a0f14, 0x6fe0e8, 0x3f7f9b], false),
    ("arcade", "arcade party festive carnival vivid colorful colourful fun rainbow", [0x3a1fb0, 0x8a3be0, 0xff8fc0, 0xfff0a8, 0x7c3fc9, 0x1c0c50, 0xffe14a, 0xff5f4a], false),
];

/// Weights of palettes by the prompt's words; the caller adds what a composition prefers.
pub(super) fn by_words(words: &[String]) -> Vec<&'static str> {
    let score = |row: &Row| {
        let list = row.1.split(' ');
        list.enumerate()
            .map(|(i, w)| if words.iter().any(|p| p == w) { if i == 0 { 3 } else { 2 } } else { 0 })
            .sum::<i32>()
    };
    let best = TABLE.iter().map(score).max().unwrap_or(0);
    if best == 0 {
        return Vec::new();
    }
    TABLE.iter().filter(|row| score(row) == best).map(|row| row.0).collect()
}

/// A palette by name with the seed's nuance: hues turn together, so the harmony stays.
pub(super) fn named(name: &str, rng: &mut Rng) -> Palette {
    let row = TABLE.iter().find(|row| row.0 == name).unwrap_or(&TABLE[0]);
    let (hue, chroma, light) = (rng.range(-11.0, 11.0), rng.range(0.93, 1.1), rng.range(-0.015, 0.02));
    let c = row.2.map(|v| shift(hex(v), light, chroma, hue));
    Palette {
        name: row.0,
        sky: [c[0], c[1], c[2]],
        light: c[3],
        far: c[4],
        near: c[5],
        accent: c[6],
        paint: c[7],
        banner: c[7],
        night: row.3,
    }
}

/// A palette around brand colours: the first fills the sky's middle as it is, the second is the accent as it is.
pub(super) fn from_brand(brand: &[Rgb], rng: &mut Rng) -> Option<Palette> {
    let main = paint(*brand.first()?);
    let second = brand.get(1).map(|c| paint(*c));
    let third = brand.get(2).map(|c| paint(*c));
    let lch = Lch::of(main);
    let dark = lch.l < 0.5;
    let warm = if rng.chance(0.5) { 24.0 } else { -24.0 };
    let partner = second.unwrap_or_else(|| Lch { l: 0.8, c: 0.14, h: lch.h + 160.0 + warm }.colour());
    let glow = mix(at_light(partner, 0.93), [1.0, 1.0, 1.0, 0.0], 0.35);
    let top = shift(main, if dark { -0.12 } else { -0.2 }, 1.0, warm * 0.6);
    let low = mix(shift(main, if dark { 0.3 } else { 0.14 }, 0.8, -warm * 0.8), at_light(partner, 0.85), 0.35);
    let near = Lch { l: 0.17, c: (lch.c * 0.6).min(0.07), h: lch.h }.colour();
    let far = mix(shift(main, -0.04, 0.8, 0.0), low, 0.3);
    Some(Palette {
        name: "brand",
        sky: [top, main, low],
        light: glow,
        far,
        near,
        accent: if luma(partner) > 0.35 { partner } else { at_light(partner, 0.78) },
        paint: third.or(second).unwrap_or(partner),
        banner: main,
        night: lch.l < 0.42,
    })
}

impl Palette {
    /// Colour of a layer of land: 0 the farthest, 1 the nearest. The middle keeps some chroma, where a straight mix is grey.
    pub(super) fn land(&self, t: f32) -> Colour {
        let c = mix(self.far, self.near, t);
        let lift = t * (1.0 - t) * 0.12;
        let y = luma(c);
        core::array::from_fn(|i| (c[i] + (c[i] - y) * lift * 4.0).clamp(0.0, 1.0))
    }

    /// The sky's colour at a fraction of the way from the top to the horizon.
    pub(super) fn sky_at(&self, t: f32) -> Colour {
        let [a, b, c] = self.sky;
        let t = t.clamp(0.0, 1.0);
        // The middle colour holds a broad band, so that a brand's colour is there as it was given.
        if t < 0.34 {
            mix(a, b, super::canvas::smooth(-0.1, 0.34, t))
        } else if t < 0.52 {
            b
        } else {
            mix(b, c, super::canvas::smooth(0.52, 1.0, t))
        }
    }
}
