//! What a subject is made of: colours and how they answer to light.

use super::canvas::{Colour, mix};
use super::icons::Icon;
use super::noise::Rng;
use super::palette::Palette;
use super::tint::{Lch, hex, shift};
use super::words;

/// A surface.
#[derive(Clone, Copy, Debug)]
pub(super) struct Material {
    /// Colour at the top and at the bottom of the figure.
    pub(super) top: Colour,
    pub(super) low: Colour,
    /// Strength of highlights.
    pub(super) gloss: f32,
    /// How much sky and ground mirror in it.
    pub(super) mirror: f32,
    /// Light of its own: fire, magic.
    pub(super) glow: f32,
    /// Whether the gaps of the figure are filled with shining liquid or crystal instead of shade.
    pub(super) clear: bool,
    /// What shows in the gaps.
    pub(super) core: Colour,
}

/// name of an icon, colour: what everybody expects a thing to look like.
#[rustfmt::skip]
const KNOWN: &[(&str, u32)] = &[
    ("cat", 0xe89a4a), ("sitting-dog", 0xc58a52), ("hound", 0x9a6a48), ("donkey", 0x9a8f8a), ("saber-toothed-cat-head", 0xd9a860), ("kangaroo", 0xc08a5a), ("koala", 0xa3a8b3), ("hedgehog", 0x9a7050), ("beaver", 0x8f5f3d), ("raccoon-head", 0x8a8d98), ("sloth", 0xa98a66), ("sparrow", 0x9a7a58), ("hummingbird", 0x3fb08a), ("vulture", 0x6d5a55), ("ostrich", 0x7d7480), ("mammoth", 0x8a5f42), ("werewolf", 0x7d7480), ("caveman", 0xd09a72), ("witch-face", 0x9fc47a), ("miner", 0xd9a86a), ("fox", 0xe0762f), ("fox-head", 0xe0762f), ("lion", 0xd99a3e), ("tiger", 0xe88a2c), ("tiger-head", 0xe88a2c),
    ("frog", 0x5fae3f), ("frog-prince", 0x5fae3f), ("turtle", 0x5f9a4a), ("tortoise", 0x7d9148), ("gecko", 0x63b04a), ("croc-jaws", 0x5a8a3f),
    ("snake", 0x6a9f3c), ("cobra", 0x8f8a3c), ("pig", 0xf0a0a4), ("boar", 0x7d5a44), ("piggy-bank", 0xf29bb0), ("cow", 0xeee5da), ("sheep", 0xf1ece2),
    ("goat", 0xddd2c2), ("chicken", 0xf3e6d0), ("rooster", 0xd9532f), ("duck", 0xe8b93a), ("plastic-duck", 0xffd23a), ("goose", 0xf3efe8), ("swan", 0xf6f4f0),
    ("flamingo", 0xf58aa6), ("parrot-head", 0xe2402f), ("peace-dove", 0xf6f4f0), ("dove", 0xf3f1ec), ("raven", 0x4b4a63), ("penguin", 0x56627f), ("owl", 0xa8794d),
    ("eagle-head", 0xb98a58), ("bear-head", 0x8a5a3a), ("bear-face", 0xb47b4c), ("polar-bear", 0xeff3f6), ("panda", 0xf0efec), ("wolf-head", 0x8894a6), ("wolf-howl", 0x8894a6),
    ("rabbit", 0xe6d5c3), ("squirrel", 0xc0713a), ("rat", 0x9a8f8a), ("seated-mouse", 0xb5aaa5), ("elephant", 0x98a0ad), ("rhinoceros-horn", 0x8f959c), ("gorilla", 0x5f5c66),
    ("monkey", 0xa5714a), ("camel", 0xc99a5d), ("deer-head", 0xb57d4b), ("stag-head", 0xb57d4b), ("horse-head", 0x9d6a45), ("bull", 0x8f5a44), ("bison", 0x7d5840),
    ("crab", 0xe8552f), ("crab-claw", 0xe04a2f), ("octopus", 0xd85a8a), ("squid", 0xe08a9a), ("giant-squid", 0xc9566a), ("shark-jaws", 0x8ea3b5), ("shark-fin", 0x7f95a8),
    ("dolphin", 0x6fa6cf), ("sperm-whale", 0x5f84ad), ("salmon", 0xf28a6a), ("clownfish", 0xff8a2a), ("jellyfish", 0xd79af0), ("seahorse", 0xf2a83a), ("double-fish", 0xf2a24a),
    ("bee", 0xf5c22e), ("ladybug", 0xdf3528), ("butterfly", 0xf08a3a), ("ant", 0x8a3f2c), ("spider-alt", 0x5d4a66), ("scorpion", 0x9d4a34), ("snail", 0xcf9a62), ("caterpillar", 0x8fbf3a),
    ("bat", 0x6d5a80), ("evil-bat", 0x6d4a80), ("goblin-head", 0x7fae3f), ("orc-head", 0x6f9a45), ("ogre", 0x86a04f), ("troll", 0x7b9a78), ("slime", 0x67d04a), ("cyclops", 0xc98a6a),
    ("alien-stare", 0x8fd06a), ("vampire-dracula", 0xd9d3dc), ("frankenstein-creature", 0x8fb56a), ("shambling-zombie", 0x86a36a), ("raise-zombie", 0x86a36a), ("devil-mask", 0xd43a2f), ("imp-laugh", 0xcf3f35),
    ("medusa-head", 0x74a862), ("mermaid", 0x3fb0a5), ("unicorn", 0xf5eef8), ("pegasus", 0xf1eef5), ("dinosaur-rex", 0x7a9a4a), ("diplodocus", 0x6f9a8a), ("velociraptor", 0xa5893f), ("triceratops-head", 0x9a8a5a),
    ("brain", 0xeb9aa2), ("heart-organ", 0xc93a3a), ("hearts", 0xf0405f), ("heart-inside", 0xf0405f), ("glass-heart", 0xf23a55), ("broken-heart", 0xe0405a), ("heart-wings", 0xf0506a),
    ("shiny-apple", 0xe03a2f), ("banana", 0xfbd63a), ("cherry", 0xdb2440), ("grapes", 0x8a4fc4), ("strawberry", 0xee3447), ("raspberry", 0xd92f62), ("watermelon", 0x3f9f4a), ("pineapple", 0xf2b53a),
    ("orange", 0xff9426), ("lemon", 0xffe03a), ("pear", 0xb9cf3f), ("peach", 0xffab7a), ("coconuts", 0x8a5c3c), ("fruit-bowl", 0xf2923a), ("carrot", 0xf5812a), ("tomato", 0xe63b2c), ("corn", 0xf9d24a),
    ("broccoli", 0x4fa23f), ("potato", 0xc9a06a), ("garlic", 0xf3ead9), ("chili-pepper", 0xdf2b26), ("pumpkin", 0xf28a24), ("pumpkin-lantern", 0xf28a24), ("mushroom", 0xd9453a), ("mushrooms", 0xc98a5f), ("super-mushroom", 0xe33f35),
    ("ice-cream-cone", 0xf7b8c8), ("ice-pop", 0xf26a8a), ("cupcake", 0xf595b5), ("cake-slice", 0xf2b8a0), ("stairs-cake", 0xf8d5dc), ("donut", 0xf08ab0), ("cookie", 0xc98a4f), ("wrapped-sweet", 0xf0507a), ("spiral-lollipop", 0xf0607f),
    ("chocolate-bar", 0x7a4a30), ("gingerbread-man", 0xc17a40), ("hamburger", 0xe0a04a), ("pizza-slice", 0xf2a93f), ("hot-dog", 0xd9723a), ("tacos", 0xf0b54a), ("french-fries", 0xf8c33f), ("cheese-wedge", 0xfbcb45), ("bread", 0xd09a58),
    ("croissant", 0xd9984a), ("steak", 0xc0503f), ("bacon", 0xd5604a), ("ham-shank", 0xd9705a), ("roast-chicken", 0xcf8440), ("chicken-leg", 0xcf8440), ("fried-eggs", 0xf7f2e2), ("coffee-cup", 0xf0e6da), ("teapot", 0x6fa8c9),
    ("honeypot", 0xf0a62e), ("sushis", 0xf08a6f), ("noodles", 0xf0c070), ("easter-egg", 0x7fc0e8), ("candy-canes", 0xe0403f), ("rose", 0xdb2f48), ("sunflower", 0xf9c42e), ("lotus-flower", 0xf191bd), ("daisy", 0xf7f2ea), ("flowers", 0xf07aa0),
    ("clover", 0x3faa4f), ("cactus", 0x4f9f4f), ("palm-tree", 0x4f9f4a), ("pine-tree", 0x2f8050), ("oak-leaf", 0xd98a2f), ("maple-leaf", 0xdf5a2a), ("wheat", 0xf0c04a), ("emerald", 0x2fbf6a), ("cut-diamond", 0x8fdcff), ("rupee", 0x45c96a),
    ("crystal-ball", 0x8f7af0), ("puzzle", 0x4f9ff0), ("jigsaw-piece", 0x4f9ff0), ("cube", 0x55aaf2), ("balloons", 0xf0485f), ("earth-america", 0x3f9fe0), ("ringed-planet", 0xe0a05f), ("dice-twenty-faces-twenty", 0xc03f50), ("pearl-necklace", 0xf3ece6),
    ("oyster-pearl", 0xf0d9e0), ("tennis-ball", 0xcfe03a), ("basketball-ball", 0xe5762f), ("american-football-ball", 0x9a5530), ("soccer-ball", 0xf3f3f0), ("volleyball-ball", 0xf3efe0), ("boxing-glove", 0xd8322f), ("present", 0xd9344a), ("santa-hat", 0xdb2f35),
    ("pirate-flag", 0x3d3b48), ("pointy-hat", 0x5f4a9a), ("cape", 0xb02f3f), ("grim-reaper", 0x45424f), ("hooded-figure", 0x5a4a6a), ("ninja-head", 0x45485a), ("fire-silhouette", 0xff8a2f), ("farm-tractor", 0x3f9f4a), ("police-car", 0x3f6fc9), ("ambulance", 0xf3f1ec),
    ("bus", 0xf5b52e), ("traffic-cone", 0xff7a2a), ("race-car", 0xdf342f), ("f1-car", 0xdf342f), ("first-aid-kit", 0xe23f3f), ("gas-pump", 0xd94a35), ("ufo", 0x9fb4c4), ("poison-bottle", 0x8fd43a), ("dynamite", 0xe23a2f), ("tornado", 0x9fb4c4), ("igloo", 0xd9eefa), ("snowman", 0xf3f8fc),
    ("skull-crossed-bones", 0xefe8d8), ("ghost", 0xe9f0ff), ("sunglasses", 0x3a3d4d), ("umbrella", 0xd9404f), ("clown", 0xf3d2b5), ("dwarf-face", 0xd99a6f), ("woman-elf-face", 0xe9c09d), ("barbarian", 0xd09a72), ("wizard-face", 0x8fa4e0), ("king", 0xe0b48a), ("pirate-captain", 0xd0a07a), ("viking-head", 0xd5a47a), ("minotaur", 0x96624a), ("kraken-tentacle", 0xb04f7a), ("brain-tentacle", 0xb56a9a),
];

/// The surface of an icon under the words that qualify it.
pub(super) fn of(icon: &Icon, qualifiers: &[String], palette: &Palette, brand: bool, rng: &mut Rng) -> Material {
    let word = |list: &[&str]| qualifiers.iter().any(|q| list.contains(&q.as_str()));
    let kind = if word(&["golden", "gold"]) {
        "gold"
    } else if word(&["crystal", "gem", "diamond", "jade"]) {
        "gem"
    } else if word(&["wooden", "wood", "oak"]) && icon.material != "plant" {
        "wood"
    } else if word(&["ice", "icy", "frozen", "frost"]) {
        "ice"
    } else if word(&["fire", "flaming", "burning", "fiery", "lava"]) {
        "fire"
    } else if word(&["stone", "rock"]) {
        "stone"
    } else if word(&["steel", "iron", "silver", "metal"]) {
        "metal"
    } else if word(&["bone", "skeletal"]) {
        "bone"
    } else {
        icon.material
    };
    let asked = qualifiers.iter().rev().find_map(|q| words::colour(q)).map(hex);
    let known = (kind == icon.material).then(|| KNOWN.iter().find(|k| k.0 == icon.name)).flatten().map(|k| hex(k.1));
    let paint = if brand || kind == icon.material { palette.paint } else { palette.accent };
    let vivid = |c: Colour| Lch { l: Lch::of(c).l.clamp(0.55, 0.78), ..Lch::of(c) }.colour();
    let drift = rng.range(-14.0, 14.0);
    let base = |default: Colour| asked.or(known).unwrap_or(default);
    let mut m = match kind {
        "metal" => solid(base(hex(0xc3ccd8)), 0.8, 0.75),
        "gold" => solid(asked.unwrap_or(hex(0xf7c23c)), 0.8, 0.6),
        "wood" => solid(base(hex(0xb67a45)), 0.18, 0.0),
        "stone" => solid(base(mix(hex(0xa9a5a2), palette.far, 0.3)), 0.1, 0.0),
        "leather" => solid(base(hex(0x9d6238)), 0.25, 0.0),
        "plant" => solid(base(shift(hex(0x5fb048), 0.0, 1.0, drift)), 0.15, 0.0),
        "bone" => solid(base(hex(0xefe5cf)), 0.25, 0.0),
        "paper" => solid(base(hex(0xf0dfb8)), 0.1, 0.0),
        "food" => solid(base(hex(0xeda250)), 0.4, 0.0),
        "cloth" => solid(base(vivid(paint)), 0.12, 0.0),
        "creature" => solid(base(shift(vivid(palette.paint), 0.0, 0.85, drift)), 0.3, 0.0),
        "machine" => {
            // A fleet in one colour looks like one toy: steel and the accent take turns with the palette's paint.
            let coat = match rng.below(4) {
                0 if !brand => hex(0xb9c6d3),
                1 if !brand => vivid(palette.accent),
                _ => vivid(paint),
            };
            solid(base(coat), 0.6, 0.3)
        }
        "water" => solid(base(hex(0x4fb4ea)), 0.7, 0.3),
        "ice" => Material { clear: true, core: hex(0x6fc0f2), ..solid(base(hex(0xd3f1ff)), 0.8, 0.4) },
        "gem" => {
            let c = base(shift(vivid(palette.accent), -0.02, 1.2, drift));
            Material {
                clear: true,
                core: shift(c, -0.12, 1.2, -6.0),
                glow: 0.3,
                top: shift(c, 0.1, 1.05, 6.0),
                low: shift(c, -0.08, 1.2, -6.0),
                ..solid(c, 0.9, 0.12)
            }
        }
        "glass" => {
            // Players read a flask by its colour: red heals, blue is mana, green is poison.
            let usual = if word(&["healing", "health", "heal", "life", "blood"]) {
                hex(0xe2343f)
            } else if word(&["mana", "magic"]) {
                hex(0x3f78f0)
            } else if word(&["poison", "toxic", "venom", "acid"]) {
                hex(0x7fd13a)
            } else {
                Lch { l: 0.66, c: 0.2, h: rng.range(0.0, 360.0) }.colour()
            };
            let liquid = base(usual);
            Material { clear: true, core: liquid, glow: 0.2, ..solid(mix(hex(0xe6f2f7), liquid, 0.18), 0.9, 0.4) }
        }
        "fire" => Material {
            top: asked.map_or(hex(0xffd95a), |c| shift(c, 0.16, 0.9, 10.0)),
            low: asked.unwrap_or(hex(0xf2541b)),
            glow: 0.85,
            core: hex(0x8a1f0a),
            ..solid(hex(0xff9a2f), 0.2, 0.0)
        },
        "energy" => {
            let c = base(vivid(palette.accent));
            Material { top: mix(c, [1.0; 4], 0.55), low: c, glow: 0.9, ..solid(c, 0.3, 0.0) }
        }
        _ => solid(base(palette.paint), 0.3, 0.0),
    };
    if asked.is_some() && kind == "metal" {
        m.mirror = 0.5;
    }
    m
}

fn solid(c: Colour, gloss: f32, mirror: f32) -> Material {
    Material {
        top: shift(c, 0.05, 0.97, 4.0),
        low: shift(c, -0.13, 1.05, -8.0),
        gloss,
        mirror,
        glow: 0.0,
        clear: false,
        core: shift(c, -0.36, 0.9, -14.0),
    }
}
