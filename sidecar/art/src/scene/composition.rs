//! The compositions by name. Each paints everything behind the subject; `front` adds what floats before it.

mod backdrop;
mod beyond;
mod built;
mod front;
mod open;
mod wet;

pub(super) use front::{contact, front};

use super::canvas::Colour;
use super::land::Cloth;
use super::stage::Stage;

type Painter = fn(&mut Stage);

/// Names and painters, in the order they are offered.
pub(super) const ALL: &[(&str, Painter)] = &[
    ("mountains", open::mountains),
    ("forest", open::forest),
    ("meadow", open::meadow),
    ("desert", open::desert),
    ("aurora", open::aurora),
    ("jungle", open::jungle),
    ("islands", open::islands),
    ("sea", wet::sea),
    ("underwater", wet::underwater),
    ("city", built::city),
    ("castle", built::castle),
    ("dungeon", built::dungeon),
    ("vault", built::vault),
    ("arena", built::arena),
    ("tabletop", built::tabletop),
    ("space", beyond::space),
    ("volcano", beyond::volcano),
    ("cavern", beyond::cavern),
    ("grid", beyond::grid),
    ("haunted", beyond::haunted),
    ("burst", backdrop::burst),
    ("emblem", backdrop::emblem),
    ("spotlight", backdrop::spotlight),
];

/// Plain land: a crest that fades into a body.
fn cloth(crest: Colour, body: Colour, depth: f32, rim: f32, relief: f32) -> Cloth {
    Cloth { crest, body, depth, rim, relief, snow: 0.0 }
}
