//! The original's fields.

use std::collections::BTreeSet;

use thumbforge_core::job::Lane;
use thumbforge_core::recipe::Recipe;

use super::*;

/// What is wanted, and which fields remain for the common reader.
fn check(json: &str) -> Result<(u32, Form, bool, Vec<String>), String> {
    let mut fields = body::parse(json.as_bytes()).unwrap();
    let Wanted { count, form, stream } =
        wanted(&mut fields).map_err(|refusal| refusal.told().2.unwrap_or_default().to_owned())?;
    Ok((count, form, stream, fields.keys().cloned().collect()))
}

#[test]
fn neutral_values_ask_for_nothing() {
    let json = r#"{"quality":"auto","background":"opaque","moderation":"auto","output_format":"png",
                   "output_compression":100,"stream":false,"partial_images":0,"input_fidelity":"low"}"#;
    assert_eq!(check(json), Ok((1, Form::Base64, false, vec![])));
}

#[test]
fn the_rest_remains_to_be_refused_or_dropped() {
    let json = r#"{"quality":"hd","style":"vivid","background":"transparent","partial_images":2,"n":2}"#;
    let rest = ["background", "partial_images", "quality", "style"].map(str::to_owned).to_vec();
    assert_eq!(check(json), Ok((2, Form::Base64, false, rest)));
}

#[test]
fn numbers_and_forms() {
    assert_eq!(check(r#"{"n":10,"response_format":"url","stream":"true"}"#), Ok((10, Form::Url, true, vec![])));
    for n in ["0", "11", "-1", "1.5", "\"many\"", "[]"] {
        assert_eq!(check(&format!("{{\"n\":{n}}}")), Err("n".to_owned()), "{n}");
    }
    assert_eq!(check(r#"{"response_format":"gif"}"#), Err("response_format".to_owned()));
}

#[test]
fn pictures_of_one_request_differ_and_the_first_is_that_of_a_request_for_one() {
    for seed in [None, Some(7), Some(limits::SEED_MAX)] {
        let recipe = Recipe { seed, ..Recipe::from_prompt("p", SIZE) };
        let spec = JobSpec::new(recipe, Lane::Interactive, "");
        let specs = seeded(&spec, 10);
        assert_eq!(specs[0], spec);
        let seeds: BTreeSet<u64> = specs.iter().map(|spec| spec.recipe.drawing_seed()).collect();
        assert_eq!(seeds.len(), 10);
        assert!(seeds.iter().all(|seed| *seed <= limits::SEED_MAX));
        // A seed that somebody named is never dropped.
        let may_drop = specs[1].terms.allow_lossy.iter().any(|field| field == SEED);
        assert_eq!(may_drop, seed.is_none());
    }
}
