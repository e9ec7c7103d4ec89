//! Words on an arc: outlines bent point by point, so that joined letters and head lines stay joined.
//!
//! A line of the text becomes a circle through the middle of its ink. Heights above that circle stay as they are,
//! so a point at `u` along the line and `v` above its middle goes to angle `u / r` and radius `r + v`:
//!
//! ```text
//! x = (r + v) sin(u / r)        y = 2 r sin²(u / 2r) - v cos(u / r)        (y downwards, from the line's middle)
//! ```
//! With a negative radius the same formula bends downwards. Lengths are in ems here: the bend scales with the letters.

use tiny_skia::{Path, PathBuilder, PathSegment, Point};

use super::shape::Ink;

/// Least radius in heights of the letters: with two, the outer edge of a letter is 5/3 as wide as its inner edge, which
/// is about where letters stop to look like those of one font.
const RADIUS_IN_HEIGHTS_MIN: f64 = 2.0;
/// Least radius in half heights of the plate: its inner edge keeps a third of its length.
const RADIUS_IN_PLATES_MIN: f64 = 1.5;
/// Largest angle of one piece in radians. A parabola through both ends and the middle of such a piece misses the circle
/// by r·0.1⁴/128, which is less than a hundredth of a pixel for the largest letters of the largest picture.
const PIECE_RADIANS: f64 = 0.1;
/// Most pieces of one segment: half a circle has 32, and what lies beyond is no letter.
const PIECES_MAX: usize = 256;
/// Difference in ems that nobody sees: half a pixel of letters of a thousand.
const UNSEEN_EM: f64 = 0.000_5;

/// How a line is bent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bend {
    /// Of the circle, in ems; negative where the middle of the line stands lowest.
    radius: f64,
    /// The middle of the straight ink.
    x: f64,
    y: f64,
}

impl Bend {
    /// Bends a line with this ink over `degrees`, or over as many as its length allows; `around` is the room in ems that
    /// a plate takes above and below it. `None` leaves it straight.
    pub(super) fn new(degrees: f64, ink: Ink, around: f32) -> Option<Self> {
        let (width, height) = (f64::from(ink.right - ink.left), f64::from(ink.bottom - ink.top));
        let angle = degrees.abs().to_radians();
        if !(angle > 0.0 && width > 0.0 && height > 0.0) {
            return None;
        }
        let plate = height * 0.5 + f64::from(around);
        let radius = (width / angle).max(height * RADIUS_IN_HEIGHTS_MIN).max(plate * RADIUS_IN_PLATES_MIN);
        let middle = |a: f32, b: f32| (f64::from(a) + f64::from(b)) * 0.5;
        Some(Self { radius: radius.copysign(degrees), x: middle(ink.left, ink.right), y: middle(ink.top, ink.bottom) })
    }

    fn point(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let (angle, above) = ((x - self.x) / self.radius, self.y - y);
        let half = libm::sin(angle * 0.5);
        (
            self.x + (self.radius + above) * libm::sin(angle),
            self.y + 2.0 * self.radius * half * half - above * libm::cos(angle),
        )
    }

    /// `path` bent: straight segments become curves as well.
    pub(super) fn path(&self, path: &Path) -> Option<Path> {
        let mut bent = Bent { bend: self, path: PathBuilder::new(), last: (0.0, 0.0) };
        let (mut start, mut last) = ((0.0, 0.0), (0.0, 0.0));
        for segment in path.segments() {
            match segment {
                PathSegment::MoveTo(to) => {
                    let to = wide(to);
                    bent.begin(to);
                    (start, last) = (to, to);
                }
                PathSegment::LineTo(to) => {
                    let to = wide(to);
                    bent.line(last, to);
                    last = to;
                }
                PathSegment::QuadTo(handle, to) => {
                    let (from, handle, to) = (last, wide(handle), wide(to));
                    bent.pieces(self.turns(&[from, handle, to]), |t| mix(mix(from, handle, t), mix(handle, to, t), t));
                    last = to;
                }
                PathSegment::CubicTo(first, second, to) => {
                    let (from, first, second, to) = (last, wide(first), wide(second), wide(to));
                    // A parabola misses a cubic by a twentieth of its third difference, and n of them by n³ times less.
                    let third = |a: f64, b: f64, c: f64, d: f64| a - 3.0 * b + 3.0 * c - d;
                    let (x, y) = (third(from.0, first.0, second.0, to.0), third(from.1, first.1, second.1, to.1));
                    let curved = libm::ceil(libm::cbrt(libm::sqrt(x * x + y * y) * 0.05 / UNSEEN_EM)) as usize;
                    bent.pieces(self.turns(&[from, first, second, to]).max(curved), |t| {
                        let middle = mix(first, second, t);
                        mix(mix(mix(from, first, t), middle, t), mix(middle, mix(second, to, t), t), t)
                    });
                    last = to;
                }
                PathSegment::Close => {
                    if last != start {
                        bent.line(last, start);
                    }
                    bent.path.close();
                    last = start;
                }
            }
        }
        bent.path.finish()
    }

    /// Pieces that a segment is cut into for the angle that it spans.
    fn turns(&self, points: &[(f64, f64)]) -> usize {
        let (low, high) = points.iter().fold((f64::MAX, f64::MIN), |(low, high), &(x, _)| (low.min(x), high.max(x)));
        libm::ceil((high - low) / self.radius.abs() / PIECE_RADIANS) as usize
    }
}

struct Bent<'a> {
    bend: &'a Bend,
    path: PathBuilder,
    last: (f64, f64),
}

impl Bent<'_> {
    fn begin(&mut self, at: (f64, f64)) {
        self.last = self.bend.point(at);
        self.path.move_to(self.last.0 as f32, self.last.1 as f32);
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64)) {
        self.pieces(self.bend.turns(&[from, to]), |t| mix(from, to, t));
    }

    /// Draws a curve as parabolas through its bent points, from where the one before ended.
    fn pieces(&mut self, count: usize, at: impl Fn(f64) -> (f64, f64)) {
        let count = count.clamp(1, PIECES_MAX);
        for piece in 0..count {
            let t = |halves: usize| (2 * piece + halves) as f64 / (2 * count) as f64;
            let (from, middle, to) = (self.last, self.bend.point(at(t(1))), self.bend.point(at(t(2))));
            let handle = (2.0 * middle.0 - (from.0 + to.0) * 0.5, 2.0 * middle.1 - (from.1 + to.1) * 0.5);
            self.path.quad_to(handle.0 as f32, handle.1 as f32, to.0 as f32, to.1 as f32);
            self.last = to;
        }
    }
}

fn wide(point: Point) -> (f64, f64) {
    (f64::from(point.x), f64::from(point.y))
}

fn mix(a: (f64, f64), b: (f64, f64), t: f64) -> (f64, f64) {
    (a.0 + (b.0 - a.0) * t, a.1 + (b.1 - a.1) * t)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INK: Ink = Ink { left: 1.0, top: -0.8, right: 7.0, bottom: 0.2 };

    fn bent(degrees: f64, ink: Ink) -> Bend {
        Bend::new(degrees, ink, 0.0).expect("a bend")
    }

    #[test]
    fn the_middle_stays_and_the_ends_turn_by_half_of_the_angle() {
        let check = |degrees: f64, at: (f64, f64), expected: (f64, f64)| {
            let (x, y) = bent(degrees, INK).point(at);
            assert!((x - expected.0).abs() < 1e-6 && (y - expected.1).abs() < 1e-6, "{degrees} {at:?}: {x} {y}");
        };
        let r = 6.0 / std::f64::consts::PI;
        // Half a circle up: its ends lie a radius lower; with only six heights of width its radius is bounded to two.
        check(180.0, (4.0, -0.3), (4.0, -0.3));
        assert!(r < 2.0 && (bent(180.0, INK).radius - 2.0).abs() < 1e-6, "{:?}", bent(180.0, INK));
        let third = 60.0_f64.to_radians();
        let radius = 6.0 / third;
        let (sin, cos) = (libm::sin(third / 2.0), libm::cos(third / 2.0));
        check(60.0, (7.0, -0.3), (4.0 + radius * sin, -0.3 + radius * (1.0 - cos)));
        check(-60.0, (7.0, -0.3), (4.0 + radius * sin, -0.3 - radius * (1.0 - cos)));
        // Above the middle it is longer when bent up, shorter when bent down.
        assert!(bent(60.0, INK).point((7.0, -0.8)).0 > bent(-60.0, INK).point((7.0, -0.8)).0);
    }

    #[test]
    fn nothing_is_bent_by_nothing() {
        assert!(Bend::new(0.0, INK, 0.0).is_none());
        assert!(Bend::new(30.0, Ink { right: 1.0, ..INK }, 0.0).is_none());
    }

    #[test]
    fn straight_lines_follow_the_circle() {
        let mut bar = PathBuilder::new();
        bar.move_to(1.0, -0.3);
        bar.line_to(7.0, -0.3);
        let bend = bent(90.0, INK);
        let bar = bend.path(&bar.finish().expect("a path")).expect("a bent path");
        let radius = bend.radius;
        let mut last = Point::zero();
        let mut seen = 0;
        for segment in bar.segments() {
            match segment {
                PathSegment::MoveTo(to) => last = to,
                PathSegment::QuadTo(handle, to) => {
                    for t in [0.25, 0.5, 0.75_f64] {
                        let (x, y) = mix(mix(wide(last), wide(handle), t), mix(wide(handle), wide(to), t), t);
                        let away = libm::hypot(x - 4.0, y + 0.3 - radius);
                        assert!((away - radius).abs() < 1e-4, "{away} of {radius}");
                        seen += 1;
                    }
                    last = to;
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(seen >= 3 * 15, "{seen}");
    }

    #[test]
    fn a_plate_that_is_thicker_than_the_circle_widens_it() {
        let bend = Bend::new(180.0, INK, 4.0).expect("a bend");
        assert!((bend.radius - 4.5 * 1.5).abs() < 1e-6);
    }
}
