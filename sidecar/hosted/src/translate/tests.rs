//! Tables of recipes and rows, and what is asked.

use thumbforge_core::colour::Rgb;
use thumbforge_core::id::ContentHash;
use thumbforge_core::image::Extent;
use thumbforge_core::model::Catalogue;
use thumbforge_core::recipe::{Dtype, Edit, Noise};

use super::*;

fn row(can: &str) -> ModelRow {
    let text = format!(
        "[[model]]\nid = \"m\"\nname = \"M\"\nfamily = \"hosted\"\nprovider = \"openai\"\nwire = \"wire-m\"\n[model.can]\n{can}\n"
    );
    Catalogue::parse(&text).unwrap().rows()[0].clone()
}

fn recipe(change: impl FnOnce(&mut Recipe)) -> Recipe {
    let mut recipe = Recipe::from_prompt("a red fox", Extent { width: 512, height: 512 });
    change(&mut recipe);
    recipe
}

fn edit(operation: Operation, images: usize, mask: bool) -> Option<Edit> {
    let hash = ContentHash([7; 32]);
    Some(Edit { operation, images: vec![hash; images], mask: mask.then_some(hash) })
}

/// Everything that a model could take.
const ALL: &str = "seed = \"honoured\"\nnegative = true\nguidance = true\nsampling = true\nstrength = true\n\
    adapters = true\nedit = 4\nmask = \"white\"\nupscale = true\nqualities = [\"low\", \"high\"]\nsizes = []";

fn unmet(can: &str, change: impl FnOnce(&mut Recipe)) -> Vec<&'static str> {
    let translated = translate(&recipe(change), &row(can), Protocol::OpenAi, 7);
    translated.unmet.iter().map(|unmet| unmet.field).collect()
}

#[test]
fn every_field_that_a_model_does_not_take_is_unmet() {
    type Change = fn(&mut Recipe);
    let fields: [(&str, Change, bool); 15] = [
        ("negative", |r| r.negative = "blur".to_owned(), true),
        ("seed", |r| r.seed = Some(7), true),
        ("steps", |r| r.settings.steps = Some(20), true),
        ("guidance", |r| r.settings.guidance = Some(7.5), true),
        // Samplers have names on servers of one's own alone, see below.
        ("sampler", |r| r.settings.sampler = Some("euler".to_owned()), false),
        ("quality", |r| r.settings.quality = Some("high".to_owned()), true),
        ("edit", |r| r.edit = edit(Operation::Edit, 1, false), true),
        ("edit", |r| r.edit = edit(Operation::Upscale, 1, false), true),
        ("strength", |r| r.settings.strength = Some(0.5), false),
        ("composition", |r| r.settings.composition = Some("centre".to_owned()), false),
        ("subject", |r| r.settings.subject = Some("sword".to_owned()), false),
        ("quality", |r| r.settings.quality = Some("crisp".to_owned()), false),
        ("noise", |r| r.settings.noise = Some(Noise::TorchCpu), false),
        ("dtype", |r| r.settings.dtype = Some(Dtype::F32), false),
        ("slg", |r| r.settings.slg = "7:2.8:0.01:0.2".parse().ok(), false),
    ];
    for (field, change, taken) in fields {
        assert_eq!(unmet("", change), [field], "a model that takes nothing");
        let expected = if taken { Vec::new() } else { vec![field] };
        assert_eq!(unmet(ALL, change), expected, "a model that takes all");
    }
    assert!(unmet("", |_| ()).is_empty());
}

#[test]
fn edits_need_a_model_that_takes_as_many_pictures_and_the_mask() {
    type Case = (&'static str, Operation, usize, bool, &'static [&'static str]);
    let cases: [Case; 10] = [
        ("edit = 4\nmask = \"white\"", Operation::Edit, 4, true, &[]),
        ("edit = 4\nmask = \"white\"", Operation::Edit, 5, true, &["edit"]),
        ("edit = 4", Operation::Edit, 1, true, &["mask"]),
        ("edit = 0", Operation::Edit, 1, false, &["edit"]),
        ("upscale = true", Operation::Edit, 1, false, &["edit"]),
        ("upscale = true", Operation::Upscale, 1, false, &[]),
        ("upscale = true", Operation::Upscale, 2, false, &["edit"]),
        ("upscale = true\nmask = \"white\"", Operation::Upscale, 1, true, &["mask"]),
        ("edit = 1\nmask = \"black\"", Operation::Upscale, 1, false, &["edit"]),
        ("", Operation::Edit, 1, true, &["edit", "mask"]),
    ];
    for (can, operation, images, mask, expected) in cases {
        assert_eq!(unmet(can, |r| r.edit = edit(operation, images, mask)), expected, "{can}");
    }
    assert_eq!(unmet("generate = false\nupscale = true", |_| ()), ["edit"]);
    assert_eq!(
        unmet("edit = 1\nstrength = true", |r| {
            r.edit = edit(Operation::Edit, 1, false);
            r.settings.strength = Some(0.5);
        }),
        [""; 0]
    );
}

#[test]
fn seeds_are_folded_into_what_every_provider_takes() {
    for (seed, expected) in [
        (1, 1),
        (42, 42),
        (SEED_MAX, SEED_MAX),
        (0, 1),
        (SEED_MAX + 1, 2),
        (2 * SEED_MAX, 1),
        (thumbforge_core::limits::SEED_MAX, thumbforge_core::limits::SEED_MAX % SEED_MAX + 1),
        (u64::MAX, u64::MAX % SEED_MAX + 1),
    ] {
        assert_eq!(fold_seed(seed), expected, "{seed}");
        assert!((1..=SEED_MAX).contains(&fold_seed(seed)));
    }
}

#[test]
fn what_is_asked_in_other_terms_is_recorded() {
    let mut row = row("seed = \"best-effort\"\nqualities = [\"turbo\", \"default\", \"quality\"]");
    row.can.sizes = vec![Extent { width: 1024, height: 1024 }];
    type Case = (fn(&mut Recipe), u64, &'static [(&'static str, &'static str)]);
    let cases: [Case; 5] = [
        (|_| (), 7, &[("quality", "default"), ("size", "1024x1024")]),
        (|r| r.settings.quality = Some("low".to_owned()), 7, &[("quality", "turbo"), ("size", "1024x1024")]),
        (|r| r.settings.quality = Some("turbo".to_owned()), 7, &[("size", "1024x1024")]),
        (|r| r.size = Extent { width: 1024, height: 1024 }, 0, &[("quality", "default"), ("seed", "1")]),
        (
            |r| r.brand = vec![Rgb([255, 0, 0])],
            7,
            &[("brand", "prompt"), ("quality", "default"), ("size", "1024x1024")],
        ),
    ];
    for (change, seed, expected) in cases {
        let translated = translate(&recipe(change), &row, Protocol::OpenAi, seed);
        let settings: Vec<(&str, &str)> =
            translated.settings.iter().map(|(field, word)| (field.as_str(), word.as_str())).collect();
        assert_eq!(settings, expected);
        assert_eq!(translated.unmet, []);
    }
}

#[test]
fn sampling_is_asked_in_the_words_of_the_backend() {
    let named = recipe(|r| {
        r.settings.sampler = Some("euler_a".to_owned());
        r.settings.steps = Some(500);
        r.settings.guidance = Some(7.5);
    });
    let mut row = row("sampling = true\nguidance = true");
    row.provider = Some("a1111".to_owned());
    let translated = translate(&named, &row, Protocol::A1111, 7);
    assert_eq!(translated.unmet, []);
    assert_eq!(
        (translated.sampler.as_deref(), translated.steps, translated.guidance),
        (Some("Euler a"), Some(150), Some(7.5))
    );
    let recorded = |field: &str| translated.settings.get(field).map(String::as_str);
    assert_eq!((recorded("sampler"), recorded("steps"), recorded("guidance")), (Some("Euler a"), Some("150"), None));
}

#[test]
fn a_seed_that_nobody_named_is_kept_from_a_model_that_takes_none() {
    let translated = translate(&recipe(|_| ()), &row(""), Protocol::OpenAi, 99);
    assert_eq!((translated.seed, translated.unmet.len(), translated.settings.len()), (None, 0, 0));
}

#[test]
fn fields_that_may_be_dropped_are_not_sent() {
    let recipe = recipe(|r| {
        r.negative = "blur".to_owned();
        r.seed = Some(5);
        r.settings.steps = Some(20);
        r.settings.quality = Some("high".to_owned());
    });
    let row = row("");
    let call = translate(&recipe, &row, Protocol::OpenAi, 5).call(&recipe, &row, Vec::new(), None, "n".to_owned());
    let call = call.unwrap();
    assert_eq!((call.negative.as_str(), call.seed, call.steps, call.quality.as_str()), ("", None, None, ""));
    assert_eq!((call.model.as_str(), call.count, call.size), ("wire-m", 1, AskedSize::Free));
}

#[test]
fn brand_colours_are_named_in_the_prompt() {
    let recipe = recipe(|r| r.brand = vec![Rgb([255, 0, 0]), Rgb([0, 16, 255])]);
    let row = row("");
    let call =
        translate(&recipe, &row, Protocol::Post, 1).call(&recipe, &row, Vec::new(), None, String::new()).unwrap();
    assert_eq!(call.prompt, "a red fox Keep to these brand colours: #ff0000, #0010ff.");
}

#[test]
fn an_edit_needs_its_pictures_and_a_mask_that_fits() {
    let recipe = recipe(|r| r.edit = edit(Operation::Edit, 1, true));
    let row = row("edit = 1\nmask = \"black\"");
    let translated = translate(&recipe, &row, Protocol::Stability, 1);
    assert_eq!(translated.mask, Some(MaskForm::Black));
    let bad = Some(Bytes::from_static(b"no png"));
    for (images, mask) in [(Vec::new(), None), (vec![Bytes::from_static(b"no png")], bad)] {
        let fault = translated.clone().call(&recipe, &row, images, mask, String::new()).unwrap_err();
        assert_eq!(fault.outcome, Outcome::BadRequest);
    }
}
