//! The compositions by name. Each paints everything behind the subject; `front` adds what floats before it.

mod backdrop;
mod beyond;
mod front;
mod hall;
mod islands;
mod open;
mod show;
mod space;
mod town;
mod wet;
mod woods;

pub(super) use front::{contact, front};

use super::canvas::Colour;
use super::land::Cloth;
use super::stage::Stage;

type Painter = fn(&mut Stage);

/// Names and painters, in the order they are offered.
pub(super) const ALL: &[(&str, Painter)] = &[
    ("mountains", open::mountains),
    ("forest", woods::forest),
    ("meadow", open::meadow),
    ("desert", open::desert),
    ("aurora", open::aurora),
    ("jungle", woods::jungle),
    ("islands", islands::islands),
    ("sea", wet::sea),
    ("underwater", wet::underwater),
    ("city", town::city),
    ("castle", town::castle),
    ("dungeon", hall::dungeon),
    ("vault", hall::vault),
    ("arena", show::arena),
    ("tabletop", show::tabletop),
    ("space", space::space),
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
