//! x
use super::glyph::Outlines;
#[test]
fn dbg() {
    let face = super::face::packaged(super::face::Family::Sans, thumbforge_core::text_layer::Weight::Bold);
    let font = face.font().unwrap();
    for c in "Giảmgálớnưỡ".chars() {
        let g = skrifa::MetadataProvider::charmap(&font).map(c).unwrap().to_u32();
        let mut o = Outlines::default();
        let (p, b) = o.get(face, g, &[]).drawn.clone().unwrap();
        println!("{c} {b:?} {:?}", p.bounds());
    }
    let fonts = super::FontBook::packaged();
    fonts.with_bench(|bench| {
        let locale = super::locale::Locale::parse("vi");
        let s = super::shape::Setting { choice: super::locale::Choice::new(locale, thumbforge_core::text_layer::Weight::Bold, None), locale, direction: Default::default(), tracking: 0.0, variations: vec![] };
        for w in ["Giảm", "giá", "lớn", "ưỡng", "ỡ", "Giảm giá lớn ưỡng"] {
        let l = bench.line(w.into(), &s).unwrap();
        println!("{w} {:?} {:?}", l.ink, l.glyphs.iter().map(|g| (g.id, g.x, g.y)).collect::<Vec<_>>());
        }
    });
}
