//! What setting text must hold: same bytes everywhere, ink in its box, lines and fonts as each script wants them,
//! and what styles do to them.

mod fit;
mod fonts;
mod golden;
mod shape;
mod styled;
mod wrap;

use thumbforge_core::image::{Extent, ImageBuf};
use thumbforge_core::text_layer::{TextLayer, TextMode, TextStyle};

use super::{FontBook, SetLayer, TextError, set};

/// A picture of one colour that text stands out from.
fn picture(side: u32) -> ImageBuf {
    ImageBuf::filled(Extent { width: side, height: side }, [60, 40, 110, 255])
}

fn layer(locale: &str, text: &str, style: TextStyle) -> TextLayer {
    TextLayer {
        name: "title".to_owned(),
        text: text.to_owned(),
        locale: locale.to_owned(),
        mode: TextMode::default(),
        style,
    }
}

/// Sets one layer at 256 pixels with the packaged fonts.
fn set_one(locale: &str, text: &str, style: TextStyle) -> Result<SetLayer, TextError> {
    let mut set = set(&mut picture(256), &[layer(locale, text, style)], &FontBook::packaged())?;
    Ok(set.remove(0))
}
