//! Whether a style can be drawn at all. Bounds are wide: they stop nonsense, not taste.

use thumbforge_core::text_layer::TextLayer;

use super::error::TextError;

/// Refuses the first value that cannot be drawn.
pub(super) fn check(layer: &TextLayer) -> Result<(), TextError> {
    let style = &layer.style;
    let bad = |field, value: String, mend| Err(TextError::Style { layer: layer.name.clone(), field, value, mend });
    let [x, y, w, h] = style.area;
    // A hair beyond 1 is what fractions such as 0.06 + 0.94 add up to.
    let inside = x >= 0.0 && y >= 0.0 && w > 0.0 && h > 0.0 && x + w <= 1.0 + 1e-6 && y + h <= 1.0 + 1e-6;
    if !inside {
        return bad("area", format!("{:?}", style.area), "give [x, y, width, height] within 0 to 1");
    }
    if !(style.size > 0.0 && style.size <= 1.0) {
        return bad("size", style.size.to_string(), "give a fraction of the image height above 0 and up to 1");
    }
    if !(style.size_min > 0.0 && style.size_min <= style.size) {
        return bad("size_min", style.size_min.to_string(), "give a fraction above 0 and up to size");
    }
    if !(0.5..=4.0).contains(&style.line_height) {
        return bad("line_height", style.line_height.to_string(), "give a multiple of the font size from 0.5 to 4");
    }
    if !(-0.2..=2.0).contains(&style.tracking) {
        return bad("tracking", style.tracking.to_string(), "give a fraction of the font size from -0.2 to 2");
    }
    if !(-180.0..=180.0).contains(&style.arc) {
        return bad("arc", style.arc.to_string(), "give degrees from -180 to 180");
    }
    if let Some(outline) = style.outline
        && !(0.0..=0.5).contains(&outline.width)
    {
        return bad("outline.width", outline.width.to_string(), "give a fraction of the font size from 0 to 0.5");
    }
    if let Some(shadow) = style.shadow {
        let offset = shadow.offset.iter().all(|offset| (-4.0..=4.0).contains(offset));
        if !(offset && (0.0..=1.0).contains(&shadow.opacity) && (0.0..=2.0).contains(&shadow.blur)) {
            return bad(
                "shadow",
                format!("{shadow:?}"),
                "give an opacity of 0 to 1, a blur of 0 to 2, offsets within ±4",
            );
        }
    }
    if let Some(plate) = style.plate {
        let padding = plate.padding.iter().all(|padding| (0.0..=4.0).contains(padding));
        if !(padding && (0.0..=1.0).contains(&plate.opacity) && (0.0..=0.5).contains(&plate.radius)) {
            return bad(
                "plate",
                format!("{plate:?}"),
                "give an opacity of 0 to 1, a radius of 0 to 0.5, padding of 0 to 4",
            );
        }
    }
    Ok(())
}
