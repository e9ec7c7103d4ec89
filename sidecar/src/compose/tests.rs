//! Post steps do what they say, in whole numbers.

use super::*;
use thumbforge_core::image::Extent;

fn two_pixels() -> ImageBuf {
    ImageBuf::from_rgba(Extent { width: 2, height: 1 }, vec![255, 0, 0, 255, 0, 0, 255, 128]).expect("eight bytes")
}

fn composed(step: PostStep) -> ImageBuf {
    let recipe = Recipe { post: vec![step], ..Recipe::from_prompt("x", Extent { width: 2, height: 1 }) };
    compose(two_pixels(), &recipe, &FontBook::packaged()).expect("composes").image
}

#[test]
fn steps_change_pixels_as_they_say() {
    assert_eq!(composed(PostStep::Mirror).pixels(), [0, 0, 255, 128, 255, 0, 0, 255]);
    // Rec. 709: red is 0.2126 of full, blue 0.0722; alpha stays.
    assert_eq!(composed(PostStep::Grayscale).pixels(), [54, 54, 54, 255, 18, 18, 18, 128]);
    assert_eq!(composed(PostStep::Vignette { percent: 0 }), two_pixels());
}

#[test]
fn a_vignette_darkens_the_corners_and_not_the_middle() {
    let size = Extent { width: 101, height: 101 };
    let mut white = ImageBuf::filled(size, [255, 255, 255, 255]);
    vignette(&mut white, 100);
    let at = |x, y| white.pixel(x, y).expect("inside")[0];
    assert_eq!(at(50, 50), 255);
    assert!(at(0, 0) < 8, "{}", at(0, 0));
    assert!(at(25, 50) > at(10, 50) && at(10, 50) == at(90, 50) && at(50, 10) == at(10, 50));
}
