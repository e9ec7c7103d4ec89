//! A project with a picture of every kind: bought without and with words, the team's own with and
//! without, and built-in art.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use thumbforge_tests::provider::{Options, Provider};
use thumbforge_tests::rig::Rig;

use crate::BINARY;

const KEY: &str = "sk-export";

const MANIFEST: &str = r#"project = "com.example.mixed"
[output]
path = "{{ asset }}.png"
[locales]
list = []
[templates.bare]
prompt = "{{ subject }}"
size = "192x192"
[templates.words]
prompt = "{{ subject }}"
size = "192x192"
[[templates.words.text]]
name = "title"
text = "SALE"
area = [0.05, 0.05, 0.9, 0.4]
size = 0.25
[assets.plain]
template = "bare"
model = "gpt-image-2"
vars = { subject = "a steel sword" }
[assets.worded]
template = "words"
model = "gpt-image-2"
vars = { subject = "an oak shield" }
[assets.kept]
template = "bare"
art = "Art/own.png"
vars = { subject = "" }
[assets.own]
template = "words"
art = "Art/own.png"
vars = { subject = "" }
[assets.builtin]
template = "bare"
model = "builtin"
vars = { subject = "a red dragon" }
"#;

/// The project, built; what was bought came from a scripted provider that is gone again.
pub(super) fn mixed() -> Rig {
    let options = Options { key: Some(KEY.into()), size: Some((192, 192)), ..Options::plain() };
    let provider = Provider::with(options);
    let rig = Rig::new(BINARY);
    rig.write("thumbforge.toml", MANIFEST);
    let rows: Vec<u8> = (0..192u32 * 192).flat_map(|at| [(at % 192) as u8, (at / 192) as u8, 128]).collect();
    let mut art = Vec::new();
    let mut encoder = png::Encoder::new(&mut art, 192, 192);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().expect("a header");
    writer.write_image_data(&rows).expect("pixels");
    writer.finish().expect("a picture");
    rig.write("Art/own.png", art);
    fs::create_dir_all(rig.data()).expect("a folder");
    let key = rig.data().join("key");
    fs::write(&key, KEY).expect("a file");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("a mode");
    let config = format!(
        "[accounts.tests]\nprovider = \"openai\"\nbase_url = \"{}/v1\"\nkey = \"file:key\"\nallow_private = true\n",
        provider.origin()
    );
    fs::write(rig.data().join("config.toml"), config).expect("a file");
    rig.run(&["batch", "--json"]).expect(0);
    rig
}
