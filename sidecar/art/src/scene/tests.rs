//! What the built-in engine promises: the same bytes, free text areas, the subject of the prompt, brand colours.

mod golden;
mod promises;
mod vocabulary;

use super::{Scene, SceneIntent, SceneRequest, draw};
use thumbforge_core::image::Extent;

const TITLE: [f64; 4] = [0.06, 0.06, 0.88, 0.24];

fn request(prompt: &str, width: u32, height: u32) -> SceneRequest<'_> {
    SceneRequest {
        prompt,
        negative: "",
        seed: 7,
        extent: Extent { width, height },
        brand: &[],
        composition: None,
        subject: None,
        keep_free: &[],
        intent: SceneIntent::Scene,
    }
}

fn drawn(request: &SceneRequest<'_>) -> Scene {
    draw(request).expect("a scene")
}
