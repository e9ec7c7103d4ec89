//! The lists as people and programs read them.

use std::sync::Arc;

use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::id::{FileSha256, PixelHash, PlannedKey, RealisedKey};
use thumbforge_core::lock::{DrawnBy, LockLine};
use thumbforge_core::model::{Catalogue, ModelId};
use thumbforge_core::recipe::{Realisation, Recipe};

use super::super::picture::Fault;
use super::*;
use crate::output::origin;
use crate::output::provenance::Provenance;
use crate::output::provenance::tests::{realisation, recipe};

fn credit() -> Credit {
    Credit {
        work: "broadsword".into(),
        author: "Lorc".into(),
        licence: "CC-BY-3.0".into(),
        source: "https://game-icons.net".into(),
    }
}

/// The catalogue's, or what no catalogue has.
fn model_id(id: &str) -> ModelId {
    Catalogue::built_in().resolve(id).expect("a model").id.clone()
}

fn picture(path: &str, engine: &str, model: &str, change: impl FnOnce(&mut Recipe)) -> Picture {
    let mut recipe = recipe();
    change(&mut recipe);
    let id = model_id(model);
    let credits = if engine == "builtin" { vec![credit()] } else { Vec::new() };
    let realisation = Realisation { engine: engine.into(), ..realisation() };
    let said = Provenance::new(&recipe, realisation, id.clone(), None, credits);
    let source_type = origin::source_type(&said, None);
    Picture {
        asset: path.split('.').next().unwrap_or_default().into(),
        locale: "en".into(),
        path: path.into(),
        line: Some(line(path, engine)),
        provenance: Some(said),
        source_type,
        of_model: source_type.is_some_and(|term| term.is_of_model()),
        model: Catalogue::built_in().get(&id).cloned(),
        made: Some(Made { day: "2026-11-21".parse().expect("a day"), by: "journal" }),
        approval: None,
        source: None,
        stale: false,
        fault: None,
    }
}

fn line(path: &str, engine: &str) -> LockLine {
    LockLine {
        output: path.into(),
        planned: PlannedKey([1; 32]),
        realised: RealisedKey([2; 32]),
        pixels: PixelHash([3; 32]),
        sha256: FileSha256([4; 32]),
        drawn_by: Arc::new(DrawnBy { engine: engine.into(), version: "1".into(), device_class: "any".into() }),
    }
}

/// One of each kind.
fn pictures() -> Vec<Picture> {
    let accepted = Approved {
        state: "accepted",
        person: "Kim | Lee".into(),
        role: "art-director".into(),
        date: "2026-11-20".into(),
        note: String::new(),
    };
    let bought = picture("hero.png", "openai", "gpt-image-2", |recipe| recipe.text.clear());
    let local = picture("=axe.png", "local", "sd3.5-medium", |_| {});
    let fault = |state| Some(Fault { state, failure: Failure::new(ErrorCode::InputFile, "failed to export it") });
    let lost = picture("lost.png", "local", "sd3.5-medium", |_| {});
    vec![
        picture("sword.png", "builtin", "builtin", |_| {}),
        picture("logo.png", "file", "builtin", |_| {}),
        Picture { approval: Some(accepted), ..bought },
        Picture { made: Some(Made { day: "2026-11-19".parse().expect("a day"), by: "file" }), stale: true, ..local },
        // Only the lock can be asked.
        Picture { provenance: None, source_type: None, model: None, fault: fault("unfetched"), ..lost },
        Picture {
            line: None,
            provenance: None,
            source_type: None,
            of_model: false,
            model: None,
            made: None,
            fault: fault("missing"),
            ..picture("new.png", "builtin", "builtin", |_| {})
        },
    ]
}

fn list() -> Disclosure {
    Disclosure::of("com.example.shop", &pictures())
}

#[test]
fn every_picture_is_counted_once() {
    let list = list();
    let expected = Totals { pictures: 6, of_models: 3, of_models_accepted: 1, of_algorithms: 1, own: 1, unread: 2 };
    assert_eq!(list.totals, expected);
    let kinds: Vec<(&str, Kind)> = list.pictures.iter().map(|row| (row.path.as_str(), row.kind)).collect();
    assert_eq!(
        kinds,
        [
            ("=axe.png", Kind::Model),
            ("hero.png", Kind::Model),
            ("lost.png", Kind::Model),
            ("sword.png", Kind::Algorithm),
            ("logo.png", Kind::Own),
            ("new.png", Kind::Unknown),
        ]
    );
    assert_eq!(list.models.iter().map(|model| model.pictures).sum::<usize>(), list.totals.of_models);
    assert_eq!(list.works, [WorkUse { work: credit(), pictures: 1 }]);
}

#[test]
fn a_spreadsheet_has_a_line_for_each_picture() {
    let text = list().to_text(Format::Csv);
    let expected = "\u{feff}asset,locale,file,state,made by AI,kind,digital source type,model,model name,model licence,provider,engine,engine version,seed,made,made according to,decision,decided by,decided on,works of others\r
'=axe,en,'=axe.png,stale,yes,AI model,compositeWithTrainedAlgorithmicMedia,sd3.5-medium,Stable Diffusion 3.5 Medium,stabilityai-community-2024,,local,1,9007199254740991,2026-11-19,file,,,,\r
hero,en,hero.png,built,yes,AI model,trainedAlgorithmicMedia,gpt-image-2,GPT Image 2,openai-terms,openai,openai,1,9007199254740991,2026-11-21,journal,accepted,Kim | Lee (art-director),2026-11-20,\r
lost,en,lost.png,unfetched,yes,AI model,,,,unknown,,local,1,,2026-11-21,journal,,,,\r
sword,en,sword.png,built,no,\"algorithm, no AI\",algorithmicMedia,,,,,builtin,1,9007199254740991,2026-11-21,journal,,,,\"broadsword by Lorc, CC-BY-3.0, https://game-icons.net\"\r
logo,en,logo.png,built,no,the team's own,humanEdits,,,,,file,1,,2026-11-21,journal,,,,\r
new,en,new.png,missing,unknown,unknown,,,,,,,,,,,,,,\r
";
    assert_eq!(text, expected);
}

#[test]
fn a_document_says_in_sentences_what_forms_ask() {
    let text = list().to_text(Format::Markdown);
    for words in [
        "**A generative model made or changed 3 of 6 pictures.** A person has accepted 1 of them.",
        "An algorithm without a trained model drew 1; 1 is the team's own, with words over it.",
        "**2 pictures could not be looked at**",
        "| GPT Image 2 | gpt-image-2 | openai | openai-terms | 1 |",
        "| =axe.png (stale) | Stable Diffusion 3.5 Medium | compositeWithTrainedAlgorithmicMedia | 2026-11-19\\* |",
        "accepted by Kim \\| Lee (art-director), 2026-11-20",
        "| broadsword by Lorc, CC-BY-3.0, https://game-icons.net | 1 |",
        "| not known (engine local) |",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
    // Each line of a table has as many cells as its head.
    let mut width = 0;
    for line in text.lines() {
        let cells = line.replace("\\|", "").matches('|').count();
        match (cells, width) {
            (0, _) => width = 0,
            (cells, 0) => width = cells,
            (cells, width) => assert_eq!(cells, width, "{line}"),
        }
    }
}

#[test]
fn programs_read_what_people_read() {
    let value: serde_json::Value = serde_json::from_str(&list().to_text(Format::Json)).expect("json");
    assert_eq!(value["totals"]["of_models"], 3);
    assert_eq!(value["pictures"][1]["model_licence"], "openai-terms");
    assert_eq!(value["pictures"][1]["approval"]["role"], "art-director");
    assert_eq!(value["pictures"][2]["state"], "unfetched");
    assert_eq!(value["pictures"][3]["kind"], "algorithm");
    assert_eq!(value["works"][0]["author"], "Lorc");
}

#[test]
fn a_project_without_models_says_so() {
    let list = Disclosure::of("", &[picture("sword.png", "builtin", "builtin", |_| {})]);
    let text = list.to_text(Format::Markdown);
    assert!(text.contains("made or changed 0 of 1 picture.**"), "{text}");
    assert!(!text.contains("## Models") && text.contains("## Other pictures"), "{text}");
}
