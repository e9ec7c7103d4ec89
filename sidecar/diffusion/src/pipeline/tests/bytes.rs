//! Pictures as bytes are what their numbers round to, whoever makes the bytes, and numbers that are none are told.

use super::*;
use crate::param::{Param, Tensor};

const TILES: Tiles = Tiles { side: 8, overlap: 4 };

/// Bytes, and those that the numbers round to.
fn both_ways<D: Device>(engine: &mut Engine<D>, request: &Request, layout: &Layout) -> [Vec<Drawn<Rgba8>>; 2] {
    let texts = [text("negative"), text("positive")];
    let texts = [&texts[0], &texts[1]];
    let numbers = engine.draw_texts(request, layout, &texts, &Unwatched).expect("drawn");
    let bytes = engine.draw_texts_rgba8(request, layout, &texts, &Unwatched).expect("drawn");
    assert_eq!((numbers.truncated, numbers.lossy, numbers.class), (bytes.truncated, bytes.lossy, bytes.class));
    let of = |Drawn { seed, picture }: Drawn| {
        let rgba8 = picture.to_rgba8();
        let colours = rgba8.pixels.chunks_exact(4).flat_map(|pixel| pixel[..3].to_vec());
        assert!(colours.eq(picture.to_rgb8()) && rgba8.pixels.chunks_exact(4).all(|pixel| pixel[3] == 255));
        Drawn { seed, picture: rgba8 }
    };
    [bytes.pictures, numbers.pictures.into_iter().map(of).collect()]
}

#[test]
fn bytes_are_what_the_numbers_round_to() {
    // Whether the device makes the bytes: where nothing is laid over the numbers on the host.
    let check = |change: &dyn Fn(&mut Request), tiles: Option<Tiles>, by_device: bool| {
        for precision in [Precision::F32, Precision::Bf16] {
            let mut request = Request { steps: 2, vae_precision: precision, ..request(&[3, 4]) };
            change(&mut request);
            let layout = Layout { tiles, ..Layout::widest(2) };
            let mut engine = Engine::new(Counting::default(), model());
            let [bytes, expected] = both_ways(&mut engine, &request, &layout);
            assert!(bytes == expected, "{request:?} {tiles:?}");
            assert_eq!(bytes.iter().map(|drawn| drawn.seed).collect::<Vec<_>>(), [3, 4]);
            let made = engine.device.take().into_iter().filter(|seen| *seen == Seen::Bytes).count();
            assert_eq!(made, if by_device { 2 } else { 0 }, "{request:?} {tiles:?}");
            let [bytes, expected] =
                both_ways(&mut Engine::new(Cpu::new().expect("threads"), model()), &request, &layout);
            assert!(bytes == expected, "{request:?} {tiles:?}");
        }
    };
    let feather_px = 2;
    check(&|_| {}, None, true);
    check(&|request| request.source = Some(source(0.6, None)), None, true);
    check(&|request| request.source = Some(source(0.6, Some(mask(MaskMode::Diffusers)))), None, true);
    check(&|request| request.source = Some(source(0.6, Some(mask(MaskMode::Keep { feather_px })))), None, false);
    check(&|_| {}, Some(TILES), false);
}

#[test]
fn a_picture_of_numbers_that_are_none_is_an_error_whichever_way_it_leaves() {
    let mut poisoned = model();
    let name = "decoder.conv_out.bias";
    let known =
        poisoned.vae.params.0.insert(name.to_owned(), Param::whole(Tensor::of_f32(vec![3], &[0.0, f32::NAN, 0.0])));
    assert!(known.is_some(), "the toy has {name}");
    let texts = [text("negative"), text("positive")];
    let texts = [&texts[0], &texts[1]];
    for precision in [Precision::F32, Precision::Bf16] {
        for tiles in [None, Some(TILES)] {
            let request = Request { steps: 1, vae_precision: precision, ..request(&[1]) };
            let layout = Layout { tiles, ..Layout::widest(1) };
            let mut engine = Engine::new(Plain, poisoned.clone());
            let numbers = engine.draw_texts(&request, &layout, &texts, &Unwatched).expect_err("poisoned");
            let bytes = engine.draw_texts_rgba8(&request, &layout, &texts, &Unwatched).expect_err("poisoned");
            assert_eq!(numbers, bytes);
            assert_eq!(
                bytes.to_string(),
                "compute on cpu-plain: the picture came out as numbers that are none: the weights are damaged, or overflow \
                 this number format"
            );
        }
    }
}

#[test]
fn what_making_bytes_takes_is_in_the_estimate() {
    let (model, layout) = (model(), Layout::widest(1));
    let workspace = |device: &Counting, tiles: Option<Tiles>| {
        let layout = Layout { tiles, ..layout };
        let plan = Plan::new(&model, &request(&[1]), &layout).expect("a plan");
        let estimate = plan.estimate(device, &model, (&[], 0), &layout);
        estimate.phase(PhaseKind::Decode).expect("a phase").workspace_bytes
    };
    let large = Counting { rgba8_bytes: 1000, ..Counting::default() };
    assert_eq!(workspace(&large, None), 1000 * 24 * 16);
    let small = workspace(&Counting::default(), None);
    assert!(small < 1000, "{small}: the most of any program");
    assert!(workspace(&large, Some(TILES)) < 1000, "tiles leave as numbers");
}
