//! Which composition suits a prompt: words vote, the seed decides among the best.

use super::icons::{Icon, Stance};
use super::noise::Rng;
use super::{SceneIntent, compositions};

/// composition, words that call for it (`!` before a word counts double).
const VOTES: &[(&str, &str)] = &[
    (
        "mountains",
        "!mountain !peak !hill !valley !highland !cliff !summit fantasy epic adventure landscape dragon wyvern hero journey quest dawn sunrise sunset eagle",
    ),
    (
        "forest",
        "!forest !wood !woods !grove !woodland !tree !trees wolf fox deer stag bear elf druid owl fairy misty mushroom cabin camp ent werewolf boar squirrel hunter ranger bow witch whisper",
    ),
    (
        "city",
        "!city !skyline !street !urban !metropolis !downtown !skyscraper !town car taxi police bus hacker heist superhero drone cyberpunk motorcycle spy detective race racing skateboard skyscraper noir traffic",
    ),
    (
        "desert",
        "!desert !dune !sand !canyon !western !sahara !mesa !outback !wasteland cactus cowboy camel pyramid egypt pharaoh pharoah scorpion sheriff saloon revolver mummy sphinx mars tumbleweed vulture rover anubis scarab ankh jeep rally",
    ),
    (
        "sea",
        "!sea !ocean !coast !beach !island !harbor !harbour !bay !lake !lagoon !shore pirate ship boat sailboat lighthouse surf sail viking caravel galleon drakkar kraken crab seagull fishing anchor palm dolphin whale duck swan captain",
    ),
    (
        "castle",
        "!castle !kingdom !medieval !siege !fortress !citadel !stronghold !throne !battlement knight king queen catapult trebuchet royal dragon epic crown lord barbarian crusader banner tower war",
    ),
    (
        "space",
        "!space !galaxy !cosmic !cosmos !orbit !nebula !planet !planets !universe !starfield !interstellar rocket spaceship starship astronaut alien ufo satellite asteroid comet meteor starfighter moon star scifi lander",
    ),
    (
        "aurora",
        "!snow !snowy !winter !arctic !aurora !ice !frozen !glacier !polar !north !frost penguin igloo snowman christmas santa mammoth ski skiing snowboard yeti viking snowflake reindeer",
    ),
    (
        "volcano",
        "!volcano !lava !magma !forge !ember !inferno !hell !volcanic !eruption anvil demon devil fire phoenix dragon blacksmith imp daemon dinosaur fireball orc titan balrog",
    ),
    (
        "cavern",
        "!cave !cavern !mine !underground !grotto !mining !crystals !cavernous crystal gem diamond pickaxe dwarf miner bat ore mineral troll slime golem goblin emerald ruby",
    ),
    (
        "underwater",
        "!underwater !undersea !reef !submarine !aquarium !abyss !seabed !sunken fish shark octopus jellyfish mermaid coral whale dolphin turtle squid seahorse clownfish atlantis kraken anglerfish diving",
    ),
    (
        "islands",
        "!sky !floating !cloud !clouds !airship !heaven !heavenly !celestial !islands airplane plane balloon zeppelin bird angel pegasus jet biplane helicopter wing glider griffin air flying unicorn parachute",
    ),
    (
        "dungeon",
        "!dungeon !hall !crypt !corridor !prison !catacomb !tomb !cathedral !torchlit !chamber !temple skeleton chest key skull armor gargoyle minotaur vampire lich sword shield golem zombie trap throne cage",
    ),
    (
        "tabletop",
        "!table !desk !studio !tabletop !kitchen !shelf !product !tavern !shop !restaurant photo food coffee book card dice chess burger pizza cake potion alchemist puzzle cooking board bakery lab laboratory camera toy",
    ),
    (
        "burst",
        "!burst !reward !rarity !radial !explosion !victory !win !prize !legendary !hero !bonus !jackpot !casual sale trophy medal star gift casino match puzzle candy coin level sport champion boxing fist slot power",
    ),
    (
        "vault",
        "!vault !treasury !bank !hoard treasure loot riches wealth chest coin gold coins crown goblet jackpot idle tycoon jewel ring casino chalice",
    ),
    (
        "grid",
        "!synthwave !retrowave !vaporwave !cyber !neon !grid !arcade !cyberspace !hologram !digital !80s !outrun robot computer gamepad joystick laser hacker virtual chip cyborg racing rhythm music dj",
    ),
    (
        "meadow",
        "!meadow !field !farm !farming !prairie !garden !grassland !countryside !pasture !hills !park cow sheep pig horse tractor barn chicken windmill flower rabbit sunflower village bee butterfly dog wheat harvest scarecrow golf goat donkey house spring",
    ),
    (
        "jungle",
        "!jungle !rainforest !tropical !ruins !aztec !maya !mayan !swamp monkey parrot tiger snake gorilla dinosaur panther totem temple idol frog explorer crocodile raptor toucan mask tribal banana",
    ),
    (
        "haunted",
        "!haunted !graveyard !cemetery !halloween !spooky !horror !ghost !creepy !eerie !nightmare zombie vampire witch pumpkin bat skull skeleton tombstone werewolf coffin reaper raven spider scarecrow undead necromancer",
    ),
    (
        "arena",
        "!arena !stadium !sport !sports !match !tournament !championship !league !esports !colosseum !concert !ring !stage soccer football basketball boxing gladiator tennis hockey goal wrestling spartan baseball volleyball guitar singer fighter rugby karate",
    ),
];

/// The composition for a scene.
pub(super) fn composition(
    words: &[String],
    unwanted: &[String],
    icon: Option<&Icon>,
    intent: SceneIntent,
    rng: &mut Rng,
) -> &'static str {
    if intent == SceneIntent::Icon {
        const BACKDROPS: &[&str] = &["burst", "emblem", "spotlight"];
        return BACKDROPS[rng.below(BACKDROPS.len())];
    }
    let own: Vec<&str> = icon.map_or_else(Vec::new, |icon| icon.name.split('-').collect());
    // A place that the prompt names outweighs things that are at home there, and these what the icon is called.
    let score = |list: &str| -> i32 {
        list.split(' ')
            .map(|vote| {
                let (word, weight) = vote.strip_prefix('!').map_or((vote, 2), |word| (word, 4));
                let said = words.iter().any(|p| p == word);
                if said { weight } else { i32::from(own.contains(&word)) }
            })
            .sum()
    };
    let allowed =
        |list: &str| !list.split(' ').filter_map(|v| v.strip_prefix('!')).any(|w| unwanted.iter().any(|u| u == w));
    // What swims is never set on dry land, whatever else the words say.
    let afloat = icon.is_some_and(|icon| icon.stance == Stance::Water);
    let wet = |name: &str| !afloat || matches!(name, "sea" | "underwater" | "burst");
    let mut scores: Vec<(&'static str, i32)> =
        VOTES.iter().filter(|row| allowed(row.1) && wet(row.0)).map(|row| (row.0, score(row.1))).collect();
    for name in by_stance(icon) {
        if let Some(entry) = scores.iter_mut().find(|s| s.0 == *name) {
            entry.1 += 1;
        }
    }
    let best = scores.iter().map(|s| s.1).max().unwrap_or(0);
    // What suits nearly as well is chosen too, or a set of one prompt looks alike: anything within three quarters of the
    // best where the prompt names a place, within half where only the subject hints at one.
    let floor = if best >= 4 { best * 3 } else { best * 2 };
    let mut pool: Vec<&'static str> = scores.iter().filter(|s| s.1 * 4 >= floor).map(|s| s.0).collect();
    if best == 0 {
        const OPEN: &[&str] = &["mountains", "forest", "meadow", "islands", "sea", "desert", "aurora", "castle"];
        pool.retain(|name| OPEN.contains(name));
    }
    pool.get(rng.below(pool.len())).copied().unwrap_or(compositions()[0])
}

/// Compositions that a kind of thing looks right in when words do not say.
fn by_stance(icon: Option<&Icon>) -> &'static [&'static str] {
    let Some(icon) = icon else { return &[] };
    match (icon.stance, icon.material) {
        (Stance::Water, _) => &["sea"],
        (Stance::Fly, _) => &["islands", "mountains"],
        (Stance::Item, "food") => &["tabletop", "burst"],
        (Stance::Item, "machine" | "energy") => &["grid", "burst", "spotlight"],
        (Stance::Item, "gold" | "gem") => &["burst", "vault", "cavern"],
        (Stance::Item, _) => &["burst", "dungeon", "tabletop"],
        (Stance::Ground, "machine") => &["city", "desert", "grid"],
        (Stance::Ground, _) => &["meadow", "mountains", "forest"],
        (Stance::Bust, "machine") => &["grid", "city"],
        (Stance::Bust, _) => &["mountains", "burst", "forest"],
    }
}

/// Palettes that a composition looks right in.
pub(super) fn palettes(composition: &str) -> &'static [&'static str] {
    match composition {
        "mountains" => &["dusk", "coral", "whisper", "nebula", "noon", "autumn"],
        "forest" => &["whisper", "jungle", "winter", "midnight", "autumn"],
        "city" => &["neon", "midnight", "coral", "nebula", "steel"],
        "desert" => &["desert", "coral", "mars", "dusk"],
        "sea" => &["azure", "noon", "coral", "dusk", "midnight"],
        "castle" => &["dusk", "coral", "midnight", "royal", "autumn"],
        "space" => &["nebula", "midnight", "neon", "amethyst"],
        "aurora" => &["midnight", "winter", "nebula"],
        "volcano" => &["ember", "blood", "mars"],
        "cavern" => &["amethyst", "nebula", "toxic", "abyss"],
        "underwater" => &["abyss", "azure"],
        "islands" => &["noon", "coral", "candy", "spring", "whisper"],
        "dungeon" => &["dungeon", "amethyst", "blood", "royal"],
        "tabletop" => &["studio", "autumn", "whisper", "royal", "candy"],
        "vault" => &["royal", "dungeon", "amethyst"],
        "grid" => &["neon", "nebula", "midnight"],
        "meadow" => &["noon", "spring", "coral", "autumn", "whisper"],
        "jungle" => &["jungle", "whisper", "toxic"],
        "haunted" => &["blood", "midnight", "toxic", "storm"],
        "arena" => &["midnight", "arcade", "ember", "steel", "nebula"],
        _ => &["arcade", "royal", "nebula", "azure", "ember", "midnight", "candy", "jungle"],
    }
}
