//! Provenance follows from the realised key and reads back as it was.

use thumbforge_core::id::ContentHash;
use thumbforge_core::image::Extent;
use thumbforge_core::recipe::ArtFile;
use thumbforge_core::text_layer::{FontFile, TextLayer, TextMode, TextStyle};

use super::*;

pub(crate) fn realisation() -> Realisation {
    Realisation {
        engine: "builtin".into(),
        engine_version: "1".into(),
        wire_model: "builtin".into(),
        weights: None,
        device_class: "cpu".into(),
        seed: 9_007_199_254_740_991,
        settings: Default::default(),
        dropped: vec!["guidance".into()],
    }
}

pub(crate) fn recipe() -> Recipe {
    let mut recipe = Recipe::from_prompt("a sword on a table", Extent { width: 64, height: 32 });
    recipe.template = Some(TemplateRef { name: "card".into(), version: 3 });
    recipe.negative = "blurry, fog".into();
    recipe.settings.steps = Some(20);
    recipe.settings.guidance = Some(7.5);
    recipe.settings.sampler = Some("euler_a".into());
    recipe.text.push(TextLayer {
        name: "title".into(),
        text: "大セール 50 %".into(),
        locale: "ja".into(),
        mode: TextMode::default(),
        style: TextStyle::default(),
    });
    recipe
}

pub(crate) fn provenance() -> Provenance {
    let credit = |work: &str| Credit {
        work: work.into(),
        author: "Lorc".into(),
        licence: "CC-BY-3.0".into(),
        source: "https://game-icons.net".into(),
    };
    Provenance::new(&recipe(), realisation(), ModelId::builtin(), None, vec![credit("broadsword"), credit("anvil")])
}

#[test]
fn json_has_the_words_of_the_contract_at_the_top() {
    let value = serde_json::to_value(provenance()).expect("json");
    assert_eq!(value["version"], 1);
    assert_eq!(value["engine"], "builtin");
    assert_eq!(value["model"], "builtin");
    assert_eq!(value["seed"], 9_007_199_254_740_991_u64);
    assert_eq!(value["template"]["name"], "card");
    assert_eq!(value["tier"], "production");
    assert_eq!(value["recipe"]["prompt"], "a sword on a table");
    assert_eq!(value["realised_key"].as_str().map(str::len), Some(64));
    assert_eq!(value["credits"][0]["work"], "anvil", "credits are sorted");
}

#[test]
fn json_reads_back_as_it_was() {
    let provenance = provenance();
    let text = serde_json::to_string(&provenance).expect("json");
    assert_eq!(serde_json::from_str::<Provenance>(&text).expect("reads"), provenance);
    assert!(provenance.keys_agree());
}

#[test]
fn an_edited_recipe_no_longer_agrees_with_its_keys() {
    let mut provenance = provenance();
    provenance.recipe.prompt = "an axe".into();
    assert!(!provenance.keys_agree());
}

#[test]
fn equal_keys_give_equal_provenance_wherever_the_files_lie() {
    let place = |folder: &str, layer: &str| {
        let mut recipe = recipe();
        recipe.art = Some(ArtFile { path: format!("{folder}/a.png"), content: ContentHash([2; 32]) });
        recipe.text[0].name = layer.into();
        recipe.text[0].style.font =
            Some(FontFile { path: format!("{folder}/f.ttf"), content: Some(ContentHash([3; 32])) });
        Provenance::new(&recipe, realisation(), ModelId::builtin(), None, Vec::new())
    };
    let (one, other) = (place("art", "title"), place("/home/me", "headline"));
    assert_eq!(one.realised_key, other.realised_key);
    assert_eq!(one, other);
    assert!(one.keys_agree(), "what is left out stands in no key");
}

#[test]
fn parameters_are_as_automatic1111_readers_parse_them() {
    assert_eq!(
        provenance().parameters(),
        "a sword on a table\n\
         Negative prompt: blurry, fog\n\
         Steps: 20, Sampler: euler_a, CFG scale: 7.5, Seed: 9007199254740991, Size: 64x32, Model: builtin, \
         Version: thumbforge builtin 1"
    );
}

#[test]
fn parameters_have_only_fields_that_exist() {
    let recipe = Recipe::from_prompt("a sword", Extent { width: 64, height: 64 });
    let provenance = Provenance::new(&recipe, realisation(), ModelId::builtin(), None, Vec::new());
    let expected = "a sword\nSeed: 9007199254740991, Size: 64x64, Model: builtin, Version: thumbforge builtin 1";
    assert_eq!(provenance.parameters(), expected);
}

#[test]
fn a_value_with_a_separator_is_quoted() {
    let mut provenance = provenance();
    provenance.recipe.settings.sampler = Some("a, b".into());
    assert!(provenance.parameters().contains(r#"Sampler: "a, b","#));
}
