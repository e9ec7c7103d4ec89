//! Prompts and what they are pictures of.

use super::*;
use crate::scene::words;

fn subject(prompt: &str, negative: &str) -> Option<&'static str> {
    words::read(prompt, negative, None).subject.map(|icon| icon.name)
}

#[test]
fn the_head_noun_is_the_subject() {
    for (prompt, expected) in [
        ("sword", Some("broadsword")),
        ("studio photo of sword on table, cinematic lighting", Some("broadsword")),
        ("a red dragon guarding a castle", Some("dragon-head")),
        ("dragon", Some("dragon-head")),
        ("Dragons!", Some("dragon-head")),
        ("treasure chest", Some("open-treasure-chest")),
        ("old wooden chest in a cave", Some("chest")),
        ("elixir of life", Some("potion-ball")),
        ("red potion", Some("potion-ball")),
        ("a knight's blade", Some("broadsword")),
        ("starship above a blue planet", Some("spaceship")),
        ("spell book with glowing runes", Some("spell-book")),
        ("wolves howling at the moon", Some("wolf-howl")),
        ("pirate ship on stormy seas", Some("caravel")),
        ("the pirate captain", Some("pirate-captain")),
        ("epic battle with a dragon, key art", Some("dragon-head")),
        ("key art of a samurai at dawn", Some("samurai-helmet")),
        ("golden crown on a velvet pillow", Some("crown")),
        ("race car drifting through neon streets", Some("race-car")),
        ("cozy farm with cows", Some("cow")),
        ("a wizard casting a fireball", Some("wizard-face")),
        ("bag of coins", Some("swap-bag")),
        ("a goblin with a hammer", Some("goblin-head")),
        ("space station", Some("death-star")),
        ("halloween pumpkin", Some("pumpkin")),
        ("high quality render of a robot, 4k", Some("robot-golem")),
        ("soccer ball", Some("soccer-ball")),
        ("knives", Some("plain-dagger")),
        ("mushrooms in the forest", Some("mushrooms")),
        ("astronaut on mars", Some("astronaut-helmet")),
        ("chess", Some("chess-knight")),
        ("slot machine jackpot", Some("slot-machine")),
        ("ice cream", Some("ice-cream-cone")),
        ("viking longship", Some("drakkar")),
        ("misty mountains at sunrise", None),
        ("a calm lake between hills", None),
        ("swordfish", None),
        ("keyboardist", None),
        ("", None),
        ("ein Ritter vor der Burg", None),
        ("宝島クエスト", None),
    ] {
        assert_eq!(subject(prompt, ""), expected, "{prompt:?}");
    }
}

#[test]
fn unwanted_words_are_not_drawn() {
    for (prompt, negative, expected) in [
        ("dragon over a castle", "dragon", Some("castle")),
        ("dragon over a castle", "dragons, castles", None),
        ("a wyrm and a knight", "dragon", Some("visored-helm")),
        ("a castle without dragons", "", Some("castle")),
        ("forest, no wolves", "", None),
    ] {
        assert_eq!(subject(prompt, negative), expected, "{prompt:?} without {negative:?}");
    }
}

#[test]
fn words_choose_the_composition() {
    for (prompt, expected) in [
        ("misty forest with a wolf", "forest"),
        ("a night city skyline", "city"),
        ("desert canyon", "desert"),
        ("underwater reef", "underwater"),
        ("deep space nebula", "space"),
        ("castle siege", "castle"),
        ("dungeon with skeletons", "dungeon"),
        ("studio photo of a cup on a table", "tabletop"),
        ("volcano", "volcano"),
        ("haunted graveyard", "haunted"),
        ("synthwave grid", "grid"),
        ("crystal cavern", "cavern"),
        ("snowy winter, aurora", "aurora"),
        ("floating sky islands", "islands"),
        ("farm in a meadow", "meadow"),
        ("jungle rainforest", "jungle"),
        ("treasure vault with gold", "vault"),
        ("soccer stadium", "arena"),
        ("ocean beach", "sea"),
        ("mountain peaks", "mountains"),
    ] {
        for seed in 0..3 {
            let scene = drawn(&SceneRequest { seed, ..request(prompt, 16, 16) });
            assert_eq!(scene.composition, expected, "{prompt:?}, seed {seed}");
        }
    }
}

#[test]
fn an_unwanted_place_is_not_chosen() {
    for seed in 0..8 {
        let scene = drawn(&SceneRequest { negative: "forest, trees", seed, ..request("wolf in the forest", 16, 16) });
        assert_ne!(scene.composition, "forest");
    }
}

#[test]
fn the_icon_is_credited() {
    let scene = drawn(&request("sword", 64, 64));
    let [credit] = scene.credits[..] else { panic!("one credit, not {:?}", scene.credits) };
    assert_eq!((credit.work, credit.author, credit.licence), ("broadsword", "Lorc", "CC BY 3.0"));
}
