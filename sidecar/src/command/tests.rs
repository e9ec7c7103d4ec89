//! Commands as a client sends them, against a sidecar of the test's own: what is refused, and what is answered.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::image::{Extent, ImageBuf};
use tokio_util::sync::CancellationToken;

use super::{Answered, Services, Watch, exit, run};
use crate::app::App;
use crate::config::{Config, UserFile};
use crate::maker::Maker;

mod batch;
mod files;

/// A sidecar and a project, each in a folder of its own.
struct Place {
    folder: tempfile::TempDir,
    app: App,
}

/// Steps as they were told.
#[derive(Default)]
struct Steps(Mutex<Vec<(u32, u32)>>);

impl Watch for Steps {
    fn step(&self, done: u32, all: u32) {
        self.0.lock().push((done, all));
    }
}

const MANIFEST: &str = r#"
project = "com.example.shop"
[locales]
list = ["en", "de"]
strings = ["Shop.csv"]
[output]
path = "Assets/{{ asset }}.{{ locale }}.png"
[templates.card]
version = 3
prompt = "{{ subject }} on a table"
size = "96x96"
[[templates.card.text]]
name = "title"
string = "{{ asset }}.title"
area = [0.05, 0.05, 0.9, 0.4]
size = 0.2
[assets.sword] # of the hero
template = "card"
vars = { subject = "a steel sword" }
[assets.shield]
template = "card"
vars = { subject = "an oak shield" }
"#;

impl Place {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = Config::new(&folder.path().join("data"), &UserFile::default());
        let app = App::start(config).await.expect("starts");
        let place = Self { folder, app };
        place.write("thumbforge.toml", MANIFEST);
        place.write("Shop.csv", "Key,en,de\nsword.title,Sword,Schwert\nshield.title,Shield,Schild\n");
        place
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join("project").join(relative)
    }

    fn write(&self, relative: &str, content: impl AsRef<[u8]>) {
        let path = self.path(relative);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        std::fs::write(path, content).expect("a file");
    }

    fn services(&self) -> Services {
        Services { maker: Maker::Here(self.app.intake().clone()), data_dir: self.folder.path().join("data") }
    }

    async fn ask(&self, command: Value) -> Result<Answered, Failure> {
        let json = command.to_string();
        run(json.as_bytes(), &self.services(), Arc::new(Steps::default()), CancellationToken::new()).await
    }

    async fn value(&self, command: Value) -> Value {
        match self.ask(command.clone()).await {
            Ok(Answered::Value(value)) => value,
            other => panic!("{command} gave {other:?}"),
        }
    }

    async fn failure(&self, command: Value) -> Failure {
        self.ask(command.clone()).await.expect_err(&command.to_string())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_command_is_refused_and_named() {
    let place = Place::new().await;
    let (file, manifest) = (place.path("x.png"), place.path(""));
    for (command, words) in [
        (json!([1]), "verb"),
        (json!({"file": file}), "verb"),
        (json!({"verb": 4}), "verb"),
        (json!({"verb": "explode"}), "explode"),
        (json!({"verb": "doctor", "loud": true}), "loud"),
        (json!({"verb": "show"}), "file"),
        (json!({"verb": "show", "file": "relative.png"}), "relative.png"),
        (json!({"verb": "preview", "file": file, "side": 64}), "side"),
        (json!({"verb": "preview", "file": file, "side_max": -1}), "-1"),
        (json!({"verb": "batch", "manifest": "."}), "manifest"),
        (json!({"verb": "batch", "manifest": manifest, "tear": "preview"}), "tear"),
        (json!({"verb": "batch", "manifest": manifest, "tier": "best"}), "best"),
        (json!({"verb": "batch", "manifest": manifest, "size": "big"}), "big"),
        (json!({"verb": "batch", "manifest": manifest, "report": "report.json"}), "report.json"),
    ] {
        let failure = place.failure(command.clone()).await;
        assert_eq!(failure.code, ErrorCode::InvalidRequest, "{command}: {failure}");
        assert!(failure.message.contains(words), "{command}: {failure}");
    }
    let steps = Arc::new(Steps::default());
    let failure =
        run(b"{\"verb\":", &place.services(), steps, CancellationToken::new()).await.expect_err("half a command");
    assert_eq!(failure.code, ErrorCode::InvalidRequest);
    place.app.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_doctor_says_what_the_command_line_says() {
    let place = Place::new().await;
    let lines = place.value(json!({"verb": "doctor"})).await;
    let names: Vec<&str> = lines.as_array().expect("lines").iter().filter_map(|line| line["what"].as_str()).collect();
    assert!(names.starts_with(&["version", "data directory", "sidecar", "fonts", "engine"]), "{names:?}");
    place.app.drain().await;
}
