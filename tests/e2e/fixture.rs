//! A small shop that the suites build: assets times two locales, with words on each picture.

use serde_json::Value;
use thumbforge_tests::rig::Rig;

use crate::BINARY;

/// Words of both locales for the assets of [`shop`].
pub(crate) const TABLE: &str = "Key,en,de\nsword.title,Sword,Schwert\nshield.title,Shield,Schild\n";

/// The manifest of two assets in two locales; `more` stands after it.
pub(crate) fn manifest(more: &str) -> String {
    format!(
        r#"project = "com.example.shop"
[locales]
list = ["en", "de"]
strings = ["Shop.csv"]
[output]
path = "Assets/Shop/{{{{ asset }}}}.{{{{ locale }}}}.png"
[templates.card]
prompt = "{{{{ subject }}}} on a table"
size = "192x192"
[[templates.card.text]]
name = "title"
string = "{{{{ asset }}}}.title"
area = [0.05, 0.05, 0.9, 0.3]
size = 0.2
[assets.sword]
template = "card"
vars = {{ subject = "a steel sword" }}
[assets.shield]
template = "card"
vars = {{ subject = "an oak shield" }}
{more}"#
    )
}

/// A rig with the shop in its project folder.
pub(crate) fn shop() -> Rig {
    let rig = Rig::new(BINARY);
    rig.write("thumbforge.toml", manifest(""));
    rig.write("Shop.csv", TABLE);
    rig
}

/// The shop, built.
pub(crate) fn built() -> Rig {
    let rig = shop();
    let report = rig.run(&["batch", "--json"]).expect(0).json();
    assert_eq!(counts(&report), [4, 0, 0, 4, 0], "{report:#}");
    rig
}

/// `[planned, unchanged, cached, rendered, failed]` of a report.
pub(crate) fn counts(report: &Value) -> [u64; 5] {
    ["planned", "unchanged", "cached", "rendered", "failed"].map(|name| report[name].as_u64().expect(name))
}

/// `path state` of each item, sorted.
pub(crate) fn states(report: &Value) -> Vec<String> {
    let items = report["items"].as_array().expect("items").iter();
    let mut states: Vec<String> = items
        .map(|item| format!("{} {}", item["path"].as_str().unwrap_or("?"), item["state"].as_str().unwrap_or("?")))
        .collect();
    states.sort();
    states
}
