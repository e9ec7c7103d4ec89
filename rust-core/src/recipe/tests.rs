//! The same decision has one key; every other decision has another.

use proptest::prelude::*;

use super::*;
use crate::model::Catalogue;
use crate::text_layer::{
    Align, Fill, FontFile, Guard, Outline, Place, Plate, Shadow, TextMode, TextStyle, VerticalAlign, Weight,
};

fn size() -> Extent {
    Extent { width: 512, height: 512 }
}

fn full() -> Recipe {
    Recipe {
        template: Some(TemplateRef { name: "card".into(), version: 1 }),
        negative: "blurry".into(),
        text: vec![TextLayer {
            name: "title".into(),
            text: "SALE".into(),
            locale: "en".into(),
            mode: TextMode::default(),
            style: TextStyle::default(),
        }],
        ..Recipe::from_prompt("a sword on a table", size())
    }
}

fn key(recipe: &Recipe) -> PlannedKey {
    recipe.clone().normalised().expect("a good recipe").planned_key()
}

/// One decision by name, and how it is changed.
type Change<T> = (&'static str, fn(&mut T));

/// Every decision that can change a pixel, each changed alone.
fn changes() -> Vec<Change<Recipe>> {
    fn style(recipe: &mut Recipe) -> &mut TextStyle {
        &mut recipe.text[0].style
    }
    vec![
        ("template", |r| r.template = None),
        ("template name", |r| r.template = Some(TemplateRef { name: "other".into(), version: 1 })),
        ("template version", |r| r.template = Some(TemplateRef { name: "card".into(), version: 2 })),
        ("prompt", |r| r.prompt.push('s')),
        ("prompt case", |r| r.prompt = r.prompt.to_uppercase()),
        ("negative", |r| r.negative = "fog".into()),
        ("no negative", |r| r.negative.clear()),
        ("model", |r| r.model = Some(ModelId::builtin())),
        ("intent", |r| r.intent = Intent::Icon),
        ("tier", |r| r.tier = Tier::Preview),
        ("seed", |r| r.seed = Some(0)),
        ("width", |r| r.size.width = 513),
        ("height", |r| r.size.height = 513),
        ("steps", |r| r.settings.steps = Some(20)),
        ("guidance", |r| r.settings.guidance = Some(7.5)),
        ("sampler", |r| r.settings.sampler = Some("euler".into())),
        ("strength", |r| r.settings.strength = Some(0.5)),
        ("composition", |r| r.settings.composition = Some("forest".into())),
        ("subject", |r| r.settings.subject = Some("axe".into())),
        ("quality", |r| r.settings.quality = Some("high".into())),
        ("noise", |r| r.settings.noise = Some(Noise::TorchCpu)),
        ("other noise", |r| r.settings.noise = Some(Noise::Philox)),
        ("dtype", |r| r.settings.dtype = Some(Dtype::F32)),
        ("other dtype", |r| r.settings.dtype = Some(Dtype::Bf16)),
        ("slg", |r| r.settings.slg = "7,8:2.8:0.01:0.2".parse().ok()),
        ("slg layers", |r| r.settings.slg = "7:2.8:0.01:0.2".parse().ok()),
        ("slg scale", |r| r.settings.slg = "7,8:3:0.01:0.2".parse().ok()),
        ("slg start", |r| r.settings.slg = "7,8:2.8:0:0.2".parse().ok()),
        ("slg stop", |r| r.settings.slg = "7,8:2.8:0.01:0.3".parse().ok()),
        ("mask feather", |r| r.settings.mask_feather = Some(8)),
        ("mask mode", |r| r.settings.mask_mode = Some(MaskMode::Diffusers)),
        ("mask mode named", |r| r.settings.mask_mode = Some(MaskMode::Keep)),
        ("adapter", |r| r.adapters.push(Adapter { content: ContentHash([1; 32]), weight: 1.0 })),
        ("adapter weight", |r| r.adapters.push(Adapter { content: ContentHash([1; 32]), weight: 0.5 })),
        ("art", |r| r.art = Some(ArtFile { path: "a.png".into(), content: ContentHash([2; 32]) })),
        ("brand", |r| r.brand.push(Rgb([1, 2, 3]))),
        ("words", |r| r.text[0].text = "SALES".into()),
        ("line break", |r| r.text[0].text = "SA\nLE".into()),
        ("locale", |r| r.text[0].locale = "ja".into()),
        ("no layer", |r| r.text.clear()),
        ("two layers", |r| r.text.push(r.text[0].clone())),
        ("area", |r| style(r).area = [0.1, 0.1, 0.8, 0.2]),
        ("align", |r| style(r).align = Align::Start),
        ("valign", |r| style(r).valign = VerticalAlign::Top),
        ("size", |r| style(r).size = 0.2),
        ("size_min", |r| style(r).size_min = 0.02),
        ("lines_max", |r| style(r).lines_max = 1),
        ("line_height", |r| style(r).line_height = 1.0),
        ("weight", |r| style(r).weight = Weight::Regular),
        ("font", |r| style(r).font = Some(FontFile { path: "f".into(), content: Some(ContentHash([3; 32])) })),
        ("fill", |r| style(r).fill = Fill::Solid(Rgb([1, 1, 1]))),
        ("gradient", |r| style(r).fill = Fill::Gradient([Rgb([1, 1, 1]), Rgb([2, 2, 2])])),
        ("no outline", |r| style(r).outline = None),
        ("outline", |r| style(r).outline = Some(Outline { colour: Rgb([0, 0, 0]), width: 0.1 })),
        ("no shadow", |r| style(r).shadow = None),
        ("shadow", |r| {
            style(r).shadow = Some(Shadow { colour: Rgb([0, 0, 0]), opacity: 0.5, blur: 0.1, offset: [0.1, 0.0] });
        }),
        ("plate", |r| {
            style(r).plate = Some(Plate { colour: Rgb([0, 0, 0]), opacity: 0.5, radius: 0.1, padding: [0.1, 0.1] });
        }),
        ("tracking", |r| style(r).tracking = 0.1),
        ("uppercase", |r| style(r).uppercase = true),
        ("arc", |r| style(r).arc = 40.0),
        ("arc down", |r| style(r).arc = -40.0),
        ("place", |r| style(r).place = Place::Calm),
        ("guard", |r| style(r).guard = Guard::Outline),
        ("other guard", |r| style(r).guard = Guard::Plate),
        ("both guards", |r| style(r).guard = Guard::Auto),
        ("mirror", |r| r.post.push(PostStep::Mirror)),
        ("grayscale", |r| r.post.push(PostStep::Grayscale)),
        ("vignette", |r| r.post.push(PostStep::Vignette { percent: 10 })),
        ("vignette percent", |r| r.post.push(PostStep::Vignette { percent: 20 })),
    ]
}

#[test]
fn every_decision_changes_the_planned_key_and_no_two_alike() {
    let mut keys = vec![("nothing", key(&full()))];
    for (what, change) in changes() {
        let mut recipe = full();
        change(&mut recipe);
        let changed = key(&recipe);
        if let Some((same, _)) = keys.iter().find(|(_, earlier)| *earlier == changed) {
            panic!("changing {what} gives the key of changing {same}");
        }
        keys.push((what, changed));
    }
}

#[test]
fn what_decides_no_pixel_is_not_in_the_key() {
    let mut renamed = full();
    renamed.text[0].name = "headline".into();
    assert_eq!(key(&renamed), key(&full()), "the name of a layer");
    let art = |path: &str| {
        let mut recipe = full();
        recipe.art = Some(ArtFile { path: path.into(), content: ContentHash([9; 32]) });
        key(&recipe)
    };
    assert_eq!(art("Art/a.png"), art("Art/moved/a.png"), "the path of an art file");
}

#[test]
fn everything_that_drew_differently_changes_the_realised_key() {
    let planned = key(&full());
    let base = Realisation {
        engine: "builtin".into(),
        engine_version: "1".into(),
        wire_model: "builtin".into(),
        weights: None,
        device_class: "cpu".into(),
        seed: 1,
        settings: Default::default(),
        dropped: vec![],
    };
    let changes: [Change<Realisation>; 7] = [
        ("engine", |r| r.engine = "local".into()),
        ("version", |r| r.engine_version = "2".into()),
        ("wire model", |r| r.wire_model = "b".into()),
        ("weights", |r| r.weights = Some(ContentHash([1; 32]))),
        ("device class", |r| r.device_class = "cuda-sm90".into()),
        ("seed", |r| r.seed = 2),
        ("dropped", |r| r.dropped = vec!["steps".into()]),
    ];
    let mut keys = vec![base.key(planned), base.key(PlannedKey([0; 32]))];
    for (what, change) in changes {
        let mut other = base.clone();
        change(&mut other);
        assert!(!keys.contains(&other.key(planned)), "{what}");
        keys.push(other.key(planned));
    }
}

/// Keys are on disk in every team's lock file: a change here re-renders the world.
#[test]
fn keys_do_not_change_between_versions() {
    assert_eq!(key(&full()).to_string(), GOLDEN_FULL);
}
const GOLDEN_FULL: &str = "8dbeaf0deba479f0d60f02ccc17bada51caaae06dcfe632c40fad83c121da290";

#[test]
fn an_alias_is_the_model() {
    let catalogue = Catalogue::built_in();
    for row in catalogue.rows() {
        let keyed = |spelling: &str| {
            let mut recipe = full();
            recipe.model = Some(catalogue.resolve(spelling).expect("a known spelling").id.clone());
            key(&recipe)
        };
        for alias in &row.aliases {
            assert_eq!(keyed(alias), keyed(row.id.as_str()), "{alias}");
        }
    }
}

#[test]
fn bounds_are_told_by_name() {
    let refused = |change: fn(&mut Recipe)| {
        let mut recipe = full();
        change(&mut recipe);
        recipe.normalised().expect_err("out of bounds").to_string()
    };
    assert!(refused(|r| r.prompt = " \n".into()).contains("empty prompt"));
    assert!(refused(|r| r.prompt = "x".repeat(10 << 20)).contains("10485760 bytes"));
    assert!(refused(|r| r.seed = Some(1 << 53)).contains("9007199254740991"));
    assert!(refused(|r| r.settings.guidance = Some(f64::NAN)).contains("guidance"));
    assert!(refused(|r| r.settings.steps = Some(0)).contains("steps"));
    assert!(refused(|r| r.text[0].style.area = [0.9, 0.0, 0.2, 0.1]).contains("\"title\""));
    assert!(refused(|r| r.text[0].style.size = 0.0).contains("size"));
    assert!(refused(|r| r.text[0].style.arc = 181.0).contains("arc of the text layer"));
    assert!(refused(|r| r.text[0].text = "x".repeat(4096)).contains("2048 bytes"));
}

/// White space of every kind that a person or an editor may put between words.
fn gap() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![" ", "  ", "\t", "\n", "\r\n", "\u{a0} ", "\u{2003}"])
}

/// Words in composed form, with letters that also have a decomposed one.
fn word() -> impl Strategy<Value = String> {
    "[a-zA-Zéüñåģ가각ぱがバ0-9,]{1,8}"
}

proptest! {
    #[test]
    fn the_same_prompt_written_differently_has_one_key(
        words in prop::collection::vec(word(), 1..8),
        gaps in prop::collection::vec(gap(), 10),
        decomposed in any::<bool>(),
    ) {
        let mut written = String::from(gaps[0]);
        for (word, gap) in words.iter().zip(&gaps[1..]) {
            let word: String = if decomposed { word.nfd().collect() } else { word.clone() };
            written.push_str(&word);
            written.push_str(gap);
        }
        let plain = Recipe::from_prompt(&words.join(" "), size());
        let mut other = Recipe::from_prompt(&written, size());
        other.negative = gaps[1].to_owned();
        prop_assert_eq!(key(&plain), key(&other));
    }

    #[test]
    fn key_order_of_json_does_not_matter(seed in 0..=limits::SEED_MAX, reversed in any::<bool>()) {
        let recipe = Recipe { seed: Some(seed), ..full() };
        let value = serde_json::to_value(&recipe).expect("serialises");
        let mut fields: Vec<String> = value.as_object().expect("an object").iter()
            .map(|(name, value)| format!("{}:{}", serde_json::to_string(name).expect("a string"), value)).collect();
        if reversed { fields.reverse(); }
        let read: Recipe = serde_json::from_str(&format!("{{{}}}", fields.join(","))).expect("reads back");
        prop_assert_eq!(key(&read), key(&recipe));
    }

    #[test]
    fn normalising_is_idempotent(prompt in "\\PC{1,40}") {
        if let Ok(once) = Recipe::from_prompt(&prompt, size()).normalised() {
            prop_assert_eq!(once.clone().normalised().expect("still good"), once);
        }
    }

    #[test]
    fn different_prompts_have_different_keys(a in word(), b in word()) {
        let (a, b) = (Recipe::from_prompt(&a, size()), Recipe::from_prompt(&b, size()));
        prop_assert_eq!(one_line(&a.prompt) == one_line(&b.prompt), key(&a) == key(&b));
    }

    #[test]
    fn a_derived_seed_is_in_range_and_stable(prompt in word()) {
        let recipe = Recipe::from_prompt(&prompt, size());
        prop_assert!(recipe.drawing_seed() <= limits::SEED_MAX);
        let mut in_words = recipe.clone();
        in_words.text = full().text;
        prop_assert_eq!(recipe.drawing_seed(), in_words.drawing_seed(), "words over the art do not change it");
        let other = Recipe::from_prompt(&format!("{prompt} too"), size());
        prop_assert_ne!(recipe.drawing_seed(), other.drawing_seed());
    }
}

/// A recipe goes to the sidecar as JSON, and its key must be the same there.
#[test]
fn numbers_come_out_of_json_to_the_last_bit() {
    let mut bits = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..20_000 {
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        let guidance = (bits >> 11) as f64 / (1_u64 << 53) as f64 * 100.0;
        let settings = Settings { guidance: Some(guidance), ..Settings::default() };
        let recipe = Recipe { settings, ..Recipe::from_prompt("a sword", Extent { width: 64, height: 64 }) };
        let json = serde_json::to_vec(&recipe).expect("writes");
        let back: Recipe = serde_json::from_slice(&json).expect("reads");
        assert_eq!(back.planned_key(), recipe.planned_key(), "{guidance}");
    }
}
