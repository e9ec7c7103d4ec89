//! Draws a contact sheet of built-in scenes and prints how long each took.
//!
//! `cargo run --release -p thumbforge-art --example scene_sheet -- SHEET.png [SIDE] [COLUMNS] [PROMPT…]`

use std::fs::File;
use std::io::BufWriter;
use std::time::Instant;

use thumbforge_art::scene::{self, SceneIntent, SceneRequest};
use thumbforge_core::image::Extent;

const PROMPTS: &[&str] = &[
    "a red dragon guarding a castle",
    "studio photo of sword on table, cinematic lighting",
    "pirate ship on the ocean at sunset",
    "neon cyberpunk city, race car",
    "deep space exploration",
    "misty forest with a wolf",
    "treasure chest in a dungeon",
    "cute cat in a meadow, spring",
    "astronaut on mars",
    "healing potion",
    "viking longship under the aurora",
    "jungle temple explorer",
    "underwater shark",
    "spooky haunted house, halloween",
    "synthwave arcade, gamepad",
    "soccer championship in a stadium",
    "crystal cavern with a dwarf miner",
    "volcano forge, anvil",
    "floating islands, airship",
    "wild west cowboy, desert canyon",
    "a pile of gold in a vault, golden crown",
    "snowy mountains",
    "farm with tractor",
    "knight",
];

fn main() {
    let mut args = std::env::args().skip(1);
    let path = args.next().unwrap_or_else(|| "sheet.png".to_owned());
    let side: u32 = args.next().and_then(|a| a.parse().ok()).unwrap_or(512);
    let columns: u32 = args.next().and_then(|a| a.parse().ok()).unwrap_or(6);
    let asked: Vec<String> = args.collect();
    let prompts: Vec<&str> =
        if asked.is_empty() { PROMPTS.to_vec() } else { asked.iter().map(String::as_str).collect() };
    let rows = (prompts.len() as u32).div_ceil(columns);
    let (w, h) = (side * columns, side * rows);
    let mut sheet = vec![0u8; (w * h * 4) as usize];
    let mut total_ms = 0.0;
    for (i, prompt) in prompts.iter().enumerate() {
        // `prompt#seed!icon` forces a seed or the icon intent.
        let intent = if prompt.ends_with("!icon") { SceneIntent::Icon } else { SceneIntent::Scene };
        let plain = prompt.trim_end_matches("!icon");
        let (plain, seed) =
            plain.rsplit_once('#').and_then(|(p, s)| Some((p, s.parse().ok()?))).unwrap_or((plain, i as u64));
        let (plain, composition) = plain.rsplit_once('@').map_or((plain, None), |(p, c)| (p, Some(c)));
        let request = SceneRequest {
            prompt: plain,
            negative: "",
            seed,
            extent: Extent { width: side, height: side },
            brand: &[],
            composition,
            subject: None,
            keep_free: if intent == SceneIntent::Icon { &[] } else { &[[0.06, 0.06, 0.88, 0.24]] },
            intent,
        };
        let start = Instant::now();
        let scene = match scene::draw(&request) {
            Ok(scene) => scene,
            Err(err) => {
                eprintln!("failed to {err}");
                continue;
            }
        };
        let ms = start.elapsed().as_secs_f64() * 1e3;
        total_ms += ms;
        println!(
            "{ms:7.1} ms  {:<10} {:<10} {:<22} {prompt}",
            scene.composition,
            scene.palette,
            scene.subject.unwrap_or("-")
        );
        let (x0, y0) = (i as u32 % columns * side, i as u32 / columns * side);
        for (y, row) in scene.image.pixels().chunks_exact(side as usize * 4).enumerate() {
            let at = (((y0 + y as u32) * w + x0) * 4) as usize;
            sheet[at..at + row.len()].copy_from_slice(row);
        }
    }
    println!("{:7.1} ms  mean", total_ms / prompts.len() as f64);
    let Ok(file) = File::create(&path) else {
        return eprintln!("failed to create {path}");
    };
    let mut encoder = png::Encoder::new(BufWriter::new(file), w, h);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Eight);
    if let Err(err) = encoder.write_header().and_then(|mut writer| writer.write_image_data(&sheet)) {
        eprintln!("failed to write {path}: {err}");
    }
}
