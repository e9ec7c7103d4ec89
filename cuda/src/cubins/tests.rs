//! Which image which card gets.

use super::*;

#[test]
fn a_card_gets_the_nearest_image_of_its_own_major_version() {
    let check = |capability: (u32, u32), expected: &str| {
        let given = match card(capability) {
            Ok(card) => card,
            Err(CubinError::CardTooOld { .. }) => "too old",
            Err(CubinError::CardTooNew { .. }) => "too new",
            Err(CubinError::Damaged { .. }) => "damaged",
        };
        assert_eq!(given, expected, "{capability:?}");
    };
    // Pascal, Volta, Xavier.
    check((6, 1), "too old");
    check((7, 0), "too old");
    check((7, 2), "too old");
    // Turing.
    check((7, 5), "75");
    // A100; GeForce 30; Orin; GeForce 40.
    check((8, 0), "80");
    check((8, 6), "86");
    check((8, 7), "86");
    check((8, 9), "89");
    // Hopper's own instructions run on Hopper alone.
    check((9, 0), "90a");
    check((9, 1), "too new");
    // B200, B300; what lies between; GeForce 50 and GB10.
    check((10, 0), "100");
    check((10, 3), "100");
    check((11, 0), "too new");
    check((12, 0), "120");
    check((12, 1), "120");
    check((13, 0), "too new");
    check((u32::MAX, u32::MAX), "too new");
    check((0, 0), "too old");
}

#[test]
fn every_image_unpacks_to_an_elf_file_of_cuda() {
    for packed in IMAGES {
        let image = image(packed.capability).expect("it is ours");
        assert_eq!(image.card, packed.card);
        assert_eq!(&image.bytes[..4], b"\x7fELF", "{image:?}");
        assert_eq!(image.bytes[18..20], 190u16.to_le_bytes(), "{image:?}");
    }
}

#[test]
fn sentences_say_what_is_served() {
    assert_eq!(
        card((11, 0)).expect_err("nothing runs there").to_string(),
        "draw on a card of compute capability 11.0: this version knows 7.5+, 8.0+, 8.6+, 8.9+, 9.0, 10.0+, 12.0+; update \
         Thumbforge, or draw on the processor"
    );
    assert!(card((6, 1)).expect_err("nothing runs there").to_string().contains("7.5 is the oldest"));
}
