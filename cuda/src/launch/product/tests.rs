//! Tiles and endings, without a card.

use super::*;

const CARD: Card = Card { capability: 90, multiprocessors: 132, shared_bytes: 227 << 10 };

fn tile(kernel: &'static str, side: u32, shared: u32, cost: u64) -> Tile {
    Tile { kernel, rows: side, cols: side, threads: 128, shared, beside: 2, cost }
}

#[test]
fn many_numbers_take_large_tiles_and_few_take_small_ones() {
    let tiles = [tile("large", 128, 48 << 10, 100), tile("small", 64, 32 << 10, 150)];
    let check = |card: &Card, rows: u32, cols: u32, expected: &str| {
        let picked = pick("a test", &tiles, card, rows, cols)
            .map_or_else(|misfit| misfit.to_string(), |tile| tile.kernel.into());
        assert_eq!(picked, expected, "{rows} x {cols}");
    };
    check(&CARD, 8192, 6144, "large");
    check(&CARD, 64, 64, "small");
    check(&CARD, 666, 1536, "small");
    // A card whose blocks may not have the shared memory of large tiles.
    check(&Card { shared_bytes: 40 << 10, ..CARD }, 8192, 6144, "small");
    check(&Card { shared_bytes: 32 << 10, ..CARD }, 8192, 6144, "small");
    let none = "launch a test: its blocks take 32768 bytes of shared memory, and the card has 32767";
    check(&Card { shared_bytes: (32 << 10) - 1, ..CARD }, 64, 64, none);
}

fn mat(at: Address, rows: u32, cols: u32, stride: u32) -> Mat {
    Mat { at, rows, cols, stride, pad: 0 }
}

#[test]
fn endings_are_held_against_the_outcome() {
    let out = mat(256, 12, 8, 8);
    let check = |then: Then, expected: bool| {
        let end = End { then, ..End::default() };
        assert_eq!(check_end("a test", &end, &out, 2).is_ok(), expected, "{then:?}");
    };
    let then = |kind, that| Then { kind, that, ..Then::default() };
    check(Then::default(), true);
    check(then(Then::ADD, out), true);
    check(then(Then::ADD, mat(512, 4, 8, 8)), true);
    check(then(Then::ADD, mat(512, 5, 8, 8)), false);
    check(then(Then::TIMES, mat(512, 4, 8, 8)), false);
    check(then(Then::TIMES, mat(512, 12, 8, 7)), false);
    check(then(Then::TIMES, mat(0, 12, 8, 8)), false);
    check(then(Then::TIMES, mat(513, 12, 8, 8)), false);
    check(then(9, out), false);
    let gated = |tokens, rows| Then { kind: Then::GATE, tokens, that: out, gate: mat(768, rows, 8, 32) };
    check(gated(4, 3), true);
    check(gated(4, 2), false);
    check(gated(u32::MAX, 3), false);
}

#[test]
fn pieces_need_all_rows_at_multiples_of_16_bytes() {
    let check = |bias: Address, that: Mat, out: Mat, expected: u32| {
        let end = End { bias, act: None, then: Then { kind: Then::ADD, that, ..Then::default() } };
        assert_eq!(flags(&end, &out, 2), expected, "{bias} {that:?} {out:?}");
    };
    let even = mat(256, 4, 16, 24);
    check(64, even, even, PIECES);
    check(0, even, even, PIECES);
    check(68, even, even, 0);
    check(64, mat(264, 4, 16, 24), even, 0);
    check(64, even, mat(256, 4, 16, 20), 0);
}
