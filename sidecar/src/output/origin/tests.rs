//! Every kind of picture has the term that the vocabulary's definitions give it.

use thumbforge_core::id::ContentHash;
use thumbforge_core::image::Extent;
use thumbforge_core::model::ModelId;
use thumbforge_core::recipe::{ArtFile, Edit, Operation, PostStep, Realisation};
use thumbforge_core::repair::{self, Step};
use thumbforge_core::text_layer::{TextLayer, TextMode, TextStyle};

use super::super::provenance::tests::realisation;
use super::*;

fn layer(mode: TextMode) -> TextLayer {
    TextLayer { name: "title".into(), text: "SALE".into(), locale: "en".into(), mode, style: TextStyle::default() }
}

fn bare() -> Recipe {
    Recipe::from_prompt("a sword", Extent { width: 64, height: 64 })
}

fn art() -> Option<ArtFile> {
    Some(ArtFile { path: "Art/sword.png".into(), content: ContentHash::of(b"art") })
}

fn edit(operation: Operation) -> Option<Edit> {
    Some(Edit { operation, images: vec![ContentHash::of(b"picture")], mask: None })
}

#[track_caller]
fn check_own(engine: &str, recipe: Recipe, repair: &str, own: Option<&str>, expected: Option<&str>) {
    let mut realisation = Realisation { engine: engine.into(), ..realisation() };
    if !repair.is_empty() {
        realisation.settings.insert(REPAIR_SETTING.into(), repair.into());
    }
    let provenance = Provenance::new(&recipe, realisation, ModelId::builtin(), None, Vec::new());
    assert_eq!(source_type(&provenance, own).map(SourceType::word), expected);
}

#[track_caller]
fn check(engine: &str, recipe: Recipe, expected: Option<&str>) {
    check_own(engine, recipe, "", None, expected);
}

#[test]
fn each_engine_and_layer_has_its_term() {
    let trained = Some("trainedAlgorithmicMedia");
    let composite = Some("compositeWithTrainedAlgorithmicMedia");
    for engine in ["local", "openai", "google", "anything new"] {
        check(engine, bare(), trained);
        check(engine, Recipe { text: vec![layer(TextMode::Composite)], ..bare() }, composite);
        check(engine, Recipe { text: vec![layer(TextMode::Model)], ..bare() }, trained);
        check(engine, Recipe { text: vec![layer(TextMode::Auto)], ..bare() }, trained);
        check(engine, Recipe { text: vec![layer(TextMode::Model), layer(TextMode::Composite)], ..bare() }, composite);
        check(engine, Recipe { edit: edit(Operation::Edit), ..bare() }, composite);
        check(engine, Recipe { edit: edit(Operation::Upscale), ..bare() }, composite);
        check(engine, Recipe { art: art(), intent: Intent::Edit, ..bare() }, composite);
    }
    check("builtin", bare(), Some("algorithmicMedia"));
    check("builtin", Recipe { text: vec![layer(TextMode::Composite)], ..bare() }, Some("algorithmicMedia"));
    check("file", Recipe { art: art(), ..bare() }, None);
    check("file", Recipe { art: art(), text: vec![layer(TextMode::Composite)], ..bare() }, Some("humanEdits"));
    check("file", Recipe { art: art(), post: vec![PostStep::Mirror], ..bare() }, Some("humanEdits"));
}

#[test]
fn words_that_a_repair_set_count_as_set() {
    let auto = || Recipe { text: vec![layer(TextMode::Auto)], ..bare() };
    let steps = |steps: &[Step]| repair::words(steps);
    let (reseed, composite) = (Step::Reseed { seed: 4 }, Step::Composite);
    check_own("local", auto(), &steps(std::slice::from_ref(&reseed)), None, Some("trainedAlgorithmicMedia"));
    check_own("local", auto(), &steps(&[composite, reseed]), None, Some("compositeWithTrainedAlgorithmicMedia"));
    // A model's name is no step.
    check_own("local", auto(), "escalate composite-1", None, Some("trainedAlgorithmicMedia"));
    check_own("local", bare(), "composite", None, Some("trainedAlgorithmicMedia"));
}

#[test]
fn a_picture_of_a_model_is_not_washed_clean_by_words() {
    let plain = || Recipe { art: art(), ..bare() };
    let words = || Recipe { text: vec![layer(TextMode::Composite)], ..plain() };
    check_own("file", plain(), "", Some("trainedAlgorithmicMedia"), Some("trainedAlgorithmicMedia"));
    check_own("file", words(), "", Some("trainedAlgorithmicMedia"), Some("compositeWithTrainedAlgorithmicMedia"));
    check_own("file", plain(), "", Some("compositeSynthetic"), Some("compositeWithTrainedAlgorithmicMedia"));
    check_own("file", words(), "", Some("digitalCapture"), Some("humanEdits"));
    check_own("file", plain(), "", Some("digitalCapture"), None);
}

#[test]
fn terms_are_read_whatever_their_address() {
    assert_eq!(term("http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicMedia"), "algorithmicMedia");
    assert_eq!(term("https://cv.iptc.org/newscodes/digitalsourcetype/humanEdits"), "humanEdits");
    assert_eq!(term("http://c2pa.org/digitalsourcetype/empty"), "http://c2pa.org/digitalsourcetype/empty");
    for kind in [SourceType::TrainedAlgorithmicMedia, SourceType::AlgorithmicMedia, SourceType::HumanEdits] {
        assert_eq!(term(&kind.uri()), kind.word());
        assert_eq!(serde_json::to_value(kind).expect("json"), kind.word());
    }
    assert!(SourceType::CompositeWithTrainedAlgorithmicMedia.is_of_model());
    assert!(!SourceType::AlgorithmicMedia.is_of_model() && !SourceType::HumanEdits.is_of_model());
}
