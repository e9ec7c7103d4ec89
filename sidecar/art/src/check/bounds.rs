//! Every bound of the checks, each with its reason.

/// Least standard deviation of brightness (0 to 255) over a picture. A flat fill with 8-bit dithering has about 0.5;
/// a plain soft gradient from corner to corner has 15 and more; below 3 an eye sees one colour.
pub const SIGMA_MIN: f64 = 3.0;

/// Largest share of pixels of nearly one colour. A small mark in the middle of an empty field covers half a percent:
/// what decoders that give up half way and prompts that were refused leave behind.
pub const UNIFORM_SHARE_MAX: f64 = 0.995;

/// Share of pixels of nearly one colour from which a person should look: 3 % of a thumbnail is one small icon.
pub const UNIFORM_SHARE_WARN: f64 = 0.97;

/// Share of each side that text keeps clear of: shops and players round corners and lay badges over this rim.
pub const SAFE_INSET: f64 = 0.03;

/// Coverage (of 255) from which a pixel counts as part of a letter when letters may touch: a quarter.
pub const SOLID: u8 = 64;

/// Most pixels in which two layers may touch: a fringe of one letter's corner, which nobody sees.
pub const OVERLAP_PIXELS_MAX: usize = 8;

/// Least height of a small letter in pixels; with fewer than 5 rows, e, a and s look alike.
pub const SMALL_LETTER_PX_MIN: f64 = 5.0;
/// Height of a small letter below which a person should look.
pub const SMALL_LETTER_PX_WARN: f64 = 6.0;

/// Least height of a whole Chinese, Japanese or Korean character: bitmap fonts for them begin at 10 to 12 rows.
pub const WHOLE_CHARACTER_PX_MIN: f64 = 10.0;
/// Height of a whole character below which a person should look.
pub const WHOLE_CHARACTER_PX_WARN: f64 = 12.0;

/// Least contrast of large text, WCAG 2.x success criterion 1.4.3.
pub const CONTRAST_LARGE_MIN: f64 = 3.0;
/// Least contrast of other text, from the same criterion.
pub const CONTRAST_SMALL_MIN: f64 = 4.5;
/// Font size in CSS pixels from which text is large: 18 points.
pub const LARGE_PX: f32 = 24.0;
/// The same for bold text: 14 points.
pub const LARGE_BOLD_PX: f32 = 18.66;

/// Share of the background around letters that may fall short: WCAG knows flat backgrounds only, and one bright
/// leaf behind a title does not make it unreadable, while a tenth of its length does.
pub const WORST_SHARE: f64 = 0.1;
/// How far around letters the background counts, as a share of the font size: the width of a stem.
pub const AROUND_SHARE: f32 = 0.12;
/// Least such distance in pixels.
pub const AROUND_PX_MIN: u32 = 2;
/// Reach in pixels from which an outline separates letters from what is behind; thinner ones are mixed away.
pub const OUTLINE_PX_MIN: f32 = 0.75;

/// Most pixels of a picture that are asked for a brand colour, in an even grid; a share of a thousandth is still a
/// thousand of them. Pixels that lie between near and far take 0.3 µs each.
pub const BRAND_PIXELS_MAX: usize = 1 << 20;
/// More than any pixel's colour is from the middle of its cell of 8 × 8 × 8 values, by CIEDE2000; a test measures it.
pub const CELL_REACH: f64 = 9.0;

const _: () = assert!(UNIFORM_SHARE_WARN < UNIFORM_SHARE_MAX);
const _: () = assert!(SMALL_LETTER_PX_MIN < SMALL_LETTER_PX_WARN);
const _: () = assert!(WHOLE_CHARACTER_PX_MIN < WHOLE_CHARACTER_PX_WARN);
const _: () = assert!(CONTRAST_LARGE_MIN < CONTRAST_SMALL_MIN && LARGE_BOLD_PX < LARGE_PX);
