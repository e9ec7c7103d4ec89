//! What is claimed, and what is said of a seal. Signing itself is tested end to end, with certificates.

use thumbforge_core::id::ContentHash;
use thumbforge_core::model::ModelId;
use thumbforge_core::recipe::{ArtFile, Intent, Realisation};

use super::super::origin::{self, SourceType};
use super::super::provenance::Provenance;
use super::super::provenance::tests::{provenance, realisation, recipe};
use super::*;

fn actions(provenance: &Provenance, source: Option<Source<'_>>) -> Vec<(String, Option<String>)> {
    let source_type = origin::source_type(provenance, None);
    let claim = Claim { title: "sword.en.png", provenance, source_type, provider: None, model_licence: None, source };
    let definition = claim.definition();
    let found = definition["assertions"][0]["data"]["actions"].as_array().expect("actions").iter();
    let word = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    found
        .map(|action| (word(&action["action"]).expect("a name"), word(&action["digitalSourceType"])))
        .map(|(action, uri)| (action, uri.map(|uri| origin::term(&uri).to_owned())))
        .collect()
}

fn check(provenance: &Provenance, source: Option<Source<'_>>, expected: &[(&str, Option<&str>)]) {
    let expected: Vec<(String, Option<String>)> =
        expected.iter().map(|(action, term)| ((*action).to_owned(), term.map(str::to_owned))).collect();
    assert_eq!(actions(provenance, source), expected);
}

fn drawn(engine: &str, change: impl FnOnce(&mut thumbforge_core::recipe::Recipe)) -> Provenance {
    let mut recipe = recipe();
    change(&mut recipe);
    Provenance::new(&recipe, Realisation { engine: engine.into(), ..realisation() }, ModelId::builtin(), None, vec![])
}

#[test]
fn the_first_action_says_where_a_picture_comes_from() {
    let art = || Some(ArtFile { path: "Art/a.png".into(), content: ContentHash::of(b"a") });
    let source = Some(Source { title: "a.png", file: b"" });
    let composite = Some("compositeWithTrainedAlgorithmicMedia");
    check(&drawn("local", |recipe| recipe.text.clear()), None, &[("c2pa.created", Some("trainedAlgorithmicMedia"))]);
    check(&drawn("openai", |_| {}), None, &[("c2pa.created", composite), ("c2pa.edited", None)]);
    check(&drawn("builtin", |_| {}), None, &[("c2pa.created", Some("algorithmicMedia")), ("c2pa.edited", None)]);
    let edited = drawn("local", |recipe| {
        recipe.art = art();
        recipe.intent = Intent::Edit;
    });
    check(&edited, source, &[("c2pa.opened", None), ("c2pa.edited", composite), ("c2pa.edited", None)]);
    check(
        &drawn("file", |recipe| recipe.art = art()),
        source,
        &[("c2pa.opened", None), ("c2pa.edited", Some("humanEdits"))],
    );
}

#[test]
fn a_claim_names_keys_and_model_and_no_prompt() {
    let provenance = provenance();
    let claim = Claim {
        title: "sword.png",
        provenance: &provenance,
        source_type: Some(SourceType::AlgorithmicMedia),
        provider: Some("openai"),
        model_licence: Some("terms"),
        source: None,
    };
    let text = claim.definition().to_string();
    for word in [&provenance.realised_key.to_string()[..], "9007199254740991", "openai", "terms", "Lorc", "Thumbforge"]
    {
        assert!(text.contains(word), "{word}: {text}");
    }
    for word in ["a sword on a table", "大セール", "blurry", "\"when\""] {
        assert!(!text.contains(word), "{word}: {text}");
    }
    assert_eq!(claim.definition(), claim.definition());
}

#[test]
fn a_seal_is_called_valid_only_where_it_is() {
    let seal = |state, failures: &[&str]| Seal {
        state,
        signer: Some("Example Studio".into()),
        failures: failures.iter().map(|code| (*code).to_owned()).collect(),
        ..Seal::unchecked()
    };
    let says = |state, failures: &[&str], word: &str| {
        let text = seal(state, failures).to_string();
        assert!(text.contains(word), "{text}");
        assert_eq!(text.ends_with("; valid"), state == State::Trusted, "{text}");
    };
    says(State::Trusted, &[], "signed by Example Studio");
    says(State::Untrusted, &["signingCredential.untrusted"], "not in a trust list");
    says(State::Invalid, &["assertion.dataHash.mismatch", "signingCredential.untrusted"], "changed after signing");
    says(State::Invalid, &["signingCredential.expired"], "expired");
    says(State::Invalid, &["signingCredential.invalid"], "may sign pictures");
    says(State::Invalid, &["claimSignature.mismatch"], "INVALID");
    says(State::Unchecked, &[], "cannot check it");
    assert_eq!(serde_json::to_value(State::Untrusted).expect("json"), "untrusted");
}
