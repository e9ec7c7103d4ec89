//! The built-in engine alone.

use std::time::{Duration, Instant};

use thumbforge_art::scene::{SceneIntent, SceneRequest, draw};
use thumbforge_core::image::Extent;

use crate::{Board, median, ms};

const GOAL: Duration = Duration::from_millis(30);

/// 512×512 scenes of many kinds, in time on the processor where the system tells it.
pub(crate) fn builtin_512(board: &mut Board) {
    let subjects = [
        "a golden sword on a table",
        "dragon over a castle at night",
        "red potion",
        "forest in autumn",
        "city in rain",
    ];
    let mut samples = Vec::new();
    for seed in 0..12 {
        for prompt in subjects {
            let request = SceneRequest {
                prompt,
                negative: "",
                seed,
                extent: Extent { width: 512, height: 512 },
                brand: &[],
                composition: None,
                subject: None,
                keep_free: &[],
                intent: if seed % 4 == 3 { SceneIntent::Icon } else { SceneIntent::Scene },
            };
            let began = clock();
            std::hint::black_box(draw(&request).expect("a scene"));
            samples.push(clock() - began);
        }
    }
    let slowest = samples.iter().max().copied().unwrap_or_default();
    let middle = median(samples);
    let measured = format!("{} median, {} slowest", ms(middle), ms(slowest));
    board.line("built-in art 512x512, processor time", &measured, "goal 30 ms, bound twice that", middle <= GOAL * 2);
}

/// Time that this thread had a processor (Linux); elsewhere the wall clock.
fn clock() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let ns = told.and_then(|told| told.split(' ').next()?.parse().ok());
    static BEGAN: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    ns.map_or_else(|| BEGAN.elapsed(), Duration::from_nanos)
}
