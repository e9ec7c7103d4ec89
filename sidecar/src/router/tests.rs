//! Where recipes go: the table, row by row.

use super::*;
use thumbforge_core::image::Extent;
use thumbforge_core::recipe::ArtFile;

fn here(engines: &[&str]) -> EnginesHere {
    let card = |honours: &'static [Field]| EngineCard { version: "1".into(), device_class: "any".into(), honours };
    engines
        .iter()
        .map(|name| {
            let honours: &[Field] = if *name == "builtin" { &[Field::Seed] } else { &Field::ALL };
            ((*name).to_owned(), card(honours))
        })
        .collect()
}

fn recipe(change: impl FnOnce(&mut Recipe)) -> Recipe {
    let mut recipe = Recipe::from_prompt("a sword", Extent { width: 64, height: 64 });
    change(&mut recipe);
    recipe
}

fn named(name: &str) -> Recipe {
    let id = Catalogue::built_in().resolve(name).expect("a known model").id.clone();
    recipe(|recipe| recipe.model = Some(id))
}

const STRICT: Allowed = Allowed { placeholder: false, lossy: false };
const STAND_IN: Allowed = Allowed { placeholder: true, lossy: false };

/// Engine, model and whom it stands in for; or the code of the refusal.
fn check(recipe: &Recipe, allowed: Allowed, engines: &[&str], expected: Result<(&str, &str, Option<&str>), ErrorCode>) {
    let routed = route(recipe, allowed, &Catalogue::built_in(), &here(engines));
    let said = routed.map_err(|failure| failure.code);
    let said = said.as_ref().map(|route| {
        (route.engine.as_str(), route.model.as_str(), route.placeholder_for.as_ref().map(ModelId::as_str))
    });
    assert_eq!(said, expected.as_ref().copied(), "{recipe:?}");
}

#[test]
fn the_table() {
    let plain = recipe(|_| ());
    check(&plain, STRICT, &["builtin"], Ok(("builtin", "builtin", None)));
    check(&plain, STRICT, &["builtin", "local"], Ok(("local", "sd3.5-large", None)));
    let draft = recipe(|recipe| recipe.tier = Tier::Preview);
    check(&draft, STRICT, &["builtin", "local"], Ok(("local", "sd3.5-large-turbo", None)));
    let words = recipe(|recipe| recipe.intent = Intent::Typography);
    check(&words, STRICT, &["builtin", "local", "hosted"], Ok(("hosted", "ideogram-v2", None)));
    check(&named("builtin"), STRICT, &["builtin", "local"], Ok(("builtin", "builtin", None)));
    check(&named("local-sd3.5"), STRICT, &["builtin", "local"], Ok(("local", "sd3.5-medium", None)));
}

#[test]
fn a_named_model_that_is_not_here_is_refused_or_stood_in_for_openly() {
    check(&named("dalle3-hd"), STRICT, &["builtin"], Err(ErrorCode::ModelUnavailable));
    check(&named("dalle3-hd"), STAND_IN, &["builtin"], Ok(("builtin", "builtin", Some("dall-e-3-hd"))));
    check(&named("dalle3-hd"), STAND_IN, &["builtin", "hosted"], Ok(("hosted", "dall-e-3-hd", None)));
}

#[test]
fn own_art_is_drawn_by_no_model() {
    let art = ArtFile { path: "a.png".into(), content: thumbforge_core::id::ContentHash([1; 32]) };
    let own = recipe(|recipe| recipe.art = Some(art));
    check(&own, STRICT, &["builtin", "file", "local"], Ok(("file", "builtin", None)));
}

#[test]
fn a_field_that_cannot_be_honoured_is_refused_or_listed() {
    let steps = recipe(|recipe| {
        recipe.settings.steps = Some(20);
        recipe.settings.guidance = Some(7.5);
    });
    check(&steps, STRICT, &["builtin"], Err(ErrorCode::UnsupportedField));
    let refused = route(&steps, STRICT, &Catalogue::built_in(), &here(&["builtin"])).expect_err("refused");
    assert!(refused.message.contains("steps, guidance"), "{}", refused.message);
    let lossy = Allowed { placeholder: false, lossy: true };
    let dropped = route(&steps, lossy, &Catalogue::built_in(), &here(&["builtin"])).expect("drops");
    assert_eq!(dropped.realisation.dropped, ["guidance", "steps"]);
    let kept = route(&steps, STRICT, &Catalogue::built_in(), &here(&["builtin", "local"])).expect("honours");
    assert!(kept.realisation.dropped.is_empty());
    let mut stand_in = named("sd3.5-medium");
    stand_in.settings.steps = Some(20);
    let stood_in = route(&stand_in, STAND_IN, &Catalogue::built_in(), &here(&["builtin"])).expect("stands in");
    assert_eq!(stood_in.realisation.dropped, ["steps"], "a stand-in drops what only the model honours, and says so");
}
