//! The built-in engine alone, and words over its art.

use std::time::{Duration, Instant};

use thumbforge_art::scene::{SceneIntent, SceneRequest, draw};
use thumbforge_art::text::{FontBook, set};
use thumbforge_core::image::{Extent, ImageBuf};
use thumbforge_core::text_layer::{Guard, Place, TextLayer, TextMode, TextStyle};

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

/// What a style takes for one title of 512×512, warm, in time on the processor where the system tells it.
pub(crate) fn words_512(board: &mut Board) {
    let extent = Extent { width: 512, height: 512 };
    // Texture that no letter stands out from, so that a guard goes all the way.
    let mut art = ImageBuf::filled(extent, [120, 120, 120, 255]);
    for (at, pixel) in art.pixels_mut().chunks_exact_mut(4).enumerate() {
        pixel[0] = (at * 37 % 251) as u8;
        pixel[1] = (at * at % 241) as u8;
    }
    let fonts = FontBook::packaged();
    let words =
        [("en", "Dragon Harvest Saga"), ("ar", "ملحمة حصاد التنين"), ("hi", "ड्रैगन फसल"), ("ja", "限定セール開催中")];
    let mut time = |what: &str, goal: Duration, style: TextStyle| {
        let mut samples = Vec::new();
        for _ in 0..15 {
            for (locale, text) in words {
                let (text, locale) = (text.to_owned(), locale.to_owned());
                let layer =
                    TextLayer { name: "title".into(), text, locale, mode: TextMode::Composite, style: style.clone() };
                let mut image = art.clone();
                let began = clock();
                std::hint::black_box(set(&mut image, &[layer], &fonts).expect("it fits"));
                samples.push(clock() - began);
            }
        }
        let middle = median(samples);
        let goal_words = format!("goal {}, bound twice that", ms(goal));
        board.line(&format!("a title {what}, 512x512, processor time"), &ms(middle), &goal_words, middle <= goal * 2);
    };
    let plain = TextStyle::default;
    time("straight", Duration::from_millis(4), plain());
    time("on an arc", Duration::from_millis(10), TextStyle { arc: 60.0, ..plain() });
    time("in the calmest place", Duration::from_millis(9), TextStyle { place: Place::Calm, ..plain() });
    let bare = TextStyle { outline: None, shadow: None, guard: Guard::Auto, ..plain() };
    time("guarded on texture", Duration::from_millis(30), bare);
}

/// Time that this thread had a processor (Linux); elsewhere the wall clock.
fn clock() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let ns = told.and_then(|told| told.split(' ').next()?.parse().ok());
    static BEGAN: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    ns.map_or_else(|| BEGAN.elapsed(), Duration::from_nanos)
}
