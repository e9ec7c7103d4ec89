//! A small shop that the suites build: assets times two locales, with words on each picture.

use serde_json::Value;
use thumbforge_tests::provider::Provider;
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

/// A rig with an account at `provider`, which sells OpenAI's models.
pub(crate) fn with_account(provider: &Provider) -> Rig {
    let rig = Rig::new(BINARY).with_variable("STUDIO_KEY", "sk-test");
    std::fs::create_dir_all(rig.data()).expect("a folder");
    let config = format!(
        "[accounts.tests]\nprovider = \"openai\"\nbase_url = \"{}/v1\"\nkey = \"env:STUDIO_KEY\"\nallow_private = true\n\
         images_in_flight = 8\nimages_per_minute = 60000\nburst = 1000\n",
        provider.origin()
    );
    std::fs::write(rig.data().join("config.toml"), config).expect("a file");
    rig
}

/// A picture as people see it: its sides, and four bytes a pixel.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pixels {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) rgba: Vec<[u8; 4]>,
}

impl Pixels {
    /// Of a PNG in grey, RGB or RGBA.
    pub(crate) fn of_png(bytes: &[u8]) -> Self {
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().expect("a PNG");
        let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
        let info = reader.next_frame(&mut pixels).expect("pixels");
        pixels.truncate(info.buffer_size());
        let rgba = pixels.chunks_exact(info.color_type.samples()).map(|pixel| match *pixel {
            [grey] => [grey, grey, grey, 255],
            [r, g, b] => [r, g, b, 255],
            [r, g, b, a] => [r, g, b, a],
            _ => panic!("{} samples", pixel.len()),
        });
        Self { width: info.width as usize, height: info.height as usize, rgba: rgba.collect() }
    }

    /// As a PNG.
    pub(crate) fn png(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Rgba);
        let mut writer = encoder.write_header().expect("a head");
        writer.write_image_data(self.rgba.as_flattened()).expect("pixels");
        writer.finish().expect("an end");
        bytes
    }

    /// Of these sides, each pixel from where it is.
    pub(crate) fn drawn(width: usize, height: usize, pixel: impl Fn(usize, usize) -> [u8; 4]) -> Self {
        let rgba = (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).map(|(x, y)| pixel(x, y)).collect();
        Self { width, height, rgba }
    }

    /// Where it differs from `other` of the same size.
    pub(crate) fn differences(&self, other: &Self) -> Vec<(usize, usize)> {
        assert_eq!((self.width, self.height), (other.width, other.height), "sizes");
        let pairs = self.rgba.iter().zip(&other.rgba).enumerate();
        pairs.filter(|(_, (own, other))| own != other).map(|(at, _)| (at % self.width, at / self.width)).collect()
    }
}
