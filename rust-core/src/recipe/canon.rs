//! The canonical form under the keys: named, length-prefixed fields in a fixed order.
//!
//! `name ‖ 0 ‖ kind ‖ length (u64 LE) ‖ bytes`. No two different recipes write the same bytes,
//! and a field at its default writes nothing.

use std::sync::LazyLock;

use crate::recipe::Settings;
use crate::text_layer::{Align, Fill, Place, TextLayer, TextStyle, VerticalAlign, Weight};

/// Writes fields into a BLAKE3 of its own domain.
pub(super) struct Canon {
    /// Gathered first and hashed once: many small updates cost more than one large one.
    form: Vec<u8>,
    domain: &'static LazyLock<blake3::Hasher>,
}

/// A hasher of each domain, its key derived once: that is a tenth of the cost of hashing a recipe.
pub(super) static PLANNED: LazyLock<blake3::Hasher> =
    LazyLock::new(|| blake3::Hasher::new_derive_key("thumbforge 2026 planned key 1"));
pub(super) static REALISED: LazyLock<blake3::Hasher> =
    LazyLock::new(|| blake3::Hasher::new_derive_key("thumbforge 2026 realised key 1"));

impl Canon {
    pub(super) fn new(domain: &'static LazyLock<blake3::Hasher>) -> Self {
        Self { form: Vec::with_capacity(512), domain }
    }

    fn field(&mut self, name: &str, kind: u8, bytes: &[u8]) {
        self.form.extend_from_slice(name.as_bytes());
        self.form.extend_from_slice(&[0, kind]);
        self.form.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        self.form.extend_from_slice(bytes);
    }

    pub(super) fn text(&mut self, name: &str, value: &str) {
        self.field(name, b't', value.as_bytes());
    }

    pub(super) fn text_if(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.text(name, value);
        }
    }

    pub(super) fn bytes(&mut self, name: &str, value: &[u8]) {
        self.field(name, b'b', value);
    }

    pub(super) fn integer(&mut self, name: &str, value: u64) {
        self.field(name, b'i', &value.to_le_bytes());
    }

    pub(super) fn number(&mut self, name: &str, value: f64) {
        // Adding 0.0 turns -0.0 into 0.0, which draws the same.
        self.field(name, b'n', &(value + 0.0).to_bits().to_le_bytes());
    }

    pub(super) fn finish(self) -> [u8; 32] {
        *LazyLock::force(self.domain).clone().update(&self.form).finalize().as_bytes()
    }
}

pub(super) fn settings(canon: &mut Canon, settings: &Settings) {
    let Settings {
        steps,
        guidance,
        sampler,
        strength,
        composition,
        subject,
        quality,
        noise,
        dtype,
        slg,
        mask_feather,
        mask_mode,
    } = settings;
    if let Some(steps) = steps {
        canon.integer("steps", u64::from(*steps));
    }
    if let Some(guidance) = guidance {
        canon.number("guidance", *guidance);
    }
    if let Some(sampler) = sampler {
        canon.text("sampler", sampler);
    }
    if let Some(strength) = strength {
        canon.number("strength", *strength);
    }
    if let Some(composition) = composition {
        canon.text("composition", composition);
    }
    if let Some(subject) = subject {
        canon.text("subject", subject);
    }
    if let Some(quality) = quality {
        canon.text("quality", quality);
    }
    if let Some(noise) = noise {
        canon.text("noise", noise.word());
    }
    if let Some(dtype) = dtype {
        canon.text("dtype", dtype.word());
    }
    if let Some(slg) = slg {
        for layer in &slg.layers {
            canon.integer("slg.layer", u64::from(*layer));
        }
        for number in [slg.scale, slg.start, slg.stop] {
            canon.number("slg.n", number);
        }
    }
    if let Some(feather) = mask_feather {
        canon.integer("mask_feather", u64::from(*feather));
    }
    if let Some(mode) = mask_mode {
        canon.text("mask_mode", mode.word());
    }
}

pub(super) fn text_layer(canon: &mut Canon, layer: &TextLayer) {
    canon.text("layer", &layer.text);
    canon.text("layer.locale", &layer.locale);
    if !layer.mode.is_composite() {
        canon.text("layer.mode", layer.mode.word());
    }
    let default = TextStyle::default();
    // Destructured, so that a new field does not compile until it is written here.
    let TextStyle {
        area,
        align,
        valign,
        size,
        size_min,
        lines_max,
        line_height,
        weight,
        font,
        fill,
        outline,
        shadow,
        plate,
        tracking,
        uppercase,
        arc,
        place,
        guard,
    } = &layer.style;
    if *area != default.area {
        for side in area {
            canon.number("area", *side);
        }
    }
    if *align != default.align {
        canon.text(
            "align",
            match align {
                Align::Start => "start",
                Align::Center => "center",
                Align::End => "end",
            },
        );
    }
    if *valign != default.valign {
        let word = match valign {
            VerticalAlign::Top => "top",
            VerticalAlign::Middle => "middle",
            VerticalAlign::Bottom => "bottom",
        };
        canon.text("valign", word);
    }
    for (name, value, default) in [
        ("size", *size, default.size),
        ("size_min", *size_min, default.size_min),
        ("line_height", *line_height, default.line_height),
        ("tracking", *tracking, default.tracking),
    ] {
        if value != default {
            canon.number(name, value);
        }
    }
    if *lines_max != default.lines_max {
        canon.integer("lines_max", u64::from(*lines_max));
    }
    if *weight != default.weight {
        canon.text(
            "weight",
            match weight {
                Weight::Regular => "regular",
                Weight::Bold => "bold",
            },
        );
    }
    if let Some(font) = font {
        match &font.content {
            Some(content) => canon.bytes("font", content.as_bytes()),
            None => canon.text("font", &font.path),
        }
    }
    if *fill != default.fill {
        match fill {
            Fill::Solid(colour) => canon.bytes("fill", &colour.0),
            Fill::Gradient([top, bottom]) => {
                canon.bytes("fill.top", &top.0);
                canon.bytes("fill.bottom", &bottom.0);
            }
        }
    }
    if *outline != default.outline {
        match outline {
            None => canon.text("outline", "none"),
            Some(outline) => {
                canon.bytes("outline", &outline.colour.0);
                canon.number("outline.width", outline.width);
            }
        }
    }
    if *shadow != default.shadow {
        match shadow {
            None => canon.text("shadow", "none"),
            Some(shadow) => {
                canon.bytes("shadow", &shadow.colour.0);
                for value in [shadow.opacity, shadow.blur, shadow.offset[0], shadow.offset[1]] {
                    canon.number("shadow.n", value);
                }
            }
        }
    }
    if let Some(plate) = plate {
        canon.bytes("plate", &plate.colour.0);
        for value in [plate.opacity, plate.radius, plate.padding[0], plate.padding[1]] {
            canon.number("plate.n", value);
        }
    }
    if *uppercase {
        canon.integer("uppercase", 1);
    }
    if *arc != default.arc {
        canon.number("arc", *arc);
    }
    match place {
        Place::Area => {}
        Place::Calm => canon.text("place", "calm"),
    }
    if *guard != default.guard {
        canon.text("guard", guard.word());
    }
}
