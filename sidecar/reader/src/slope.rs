//! By how many degrees lines of letters fall, reckoned from the letters that were cut out.

use crate::letters::Cut;
use crate::plane::Plane;

/// Steepest lines that are looked for, in degrees either way; steeper ones are rare and cost time.
const SLOPE_MAX: i32 = 30;
/// Slopes below this, in degrees, are level: OCR reads them as they are.
const LEVEL: f64 = 2.0;
/// How many times as sharp as upright an angle has to be. Lines turned by 8° have 2.1 and more, upright ones up to 1.5.
const SHARPER: f64 = 1.8;
/// Points that an angle is judged by; so many say as much as all.
const POINTS: usize = 6000;
/// Fewest of them that say anything: two letters of 20 pixels.
const POINTS_MIN: usize = 200;

/// How the lines of letters in a picture lie.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Slope {
    /// By how many degrees they fall.
    degrees: f64,
    /// How much sharper rows are at this angle than upright.
    sharper: f64,
}

/// By how many degrees the lines of the letters fall that were cut out, by either side; 0 where nothing says that they are not level.
///
/// Bright and dark letters are both looked for, and one of them is not there: what is cut out then are outlines and the holes
/// of letters, which may look sharp at any angle. So lines are only turned when neither side says that they are level.
pub(crate) fn slope(sides: [&Cut; 2]) -> f64 {
    let slopes: Vec<Slope> = sides.into_iter().filter_map(|cut| slope_of(&cut.plane)).collect();
    if slopes.iter().any(|slope| slope.degrees.abs() < LEVEL) {
        return 0.0;
    }
    let sharpest = slopes.into_iter().max_by(|a, b| a.sharper.total_cmp(&b.sharper));
    sharpest.filter(|slope| slope.sharper >= SHARPER).map_or(0.0, |slope| slope.degrees)
}

/// The angle at which the rows of `cut` are fullest and its gaps emptiest; nothing where there is too little to tell.
///
/// Each angle is judged by how much neighbouring rows differ in black pixels, squared and summed, as Postl did (1986).
fn slope_of(cut: &Plane) -> Option<Slope> {
    let width = cut.width() as usize;
    let black = |(at, _): (usize, &u8)| [(at % width) as f64, (at / width) as f64];
    let all: Vec<[f64; 2]> = cut.pixels().iter().enumerate().filter(|(_, value)| **value < 255).map(black).collect();
    let points: Vec<[f64; 2]> = all.iter().step_by((all.len() / POINTS).max(1)).copied().collect();
    if points.len() < POINTS_MIN {
        return None;
    }
    let sharpness = |degrees: f64| {
        let (sin, cos) = degrees.to_radians().sin_cos();
        let reach = (cut.width() + cut.height()) as usize;
        let mut rows = vec![0u64; reach * 2];
        for [x, y] in &points {
            let row = (y * cos - x * sin) as i64 + reach as i64;
            if let Some(row) = usize::try_from(row).ok().and_then(|row| rows.get_mut(row)) {
                *row += 1;
            }
        }
        rows.windows(2).map(|pair| pair[0].abs_diff(pair[1]).pow(2)).sum::<u64>()
    };
    let best = |angles: &mut dyn Iterator<Item = f64>| {
        angles.map(|degrees| (sharpness(degrees), degrees)).max_by(|a, b| a.0.cmp(&b.0)).unwrap_or((0, 0.0))
    };
    let (_, near) = best(&mut (-SLOPE_MAX..=SLOPE_MAX).map(f64::from));
    let (sharp, degrees) = best(&mut (-3..=3).map(|step| near + f64::from(step) / 4.0));
    let upright = best(&mut [-1.0, 0.0, 1.0].into_iter()).0;
    Some(Slope { degrees, sharper: sharp as f64 / upright.max(1) as f64 })
}
