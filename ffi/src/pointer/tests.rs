//! Pointers that callers get wrong, and structs of other versions.

use std::ptr;

use super::*;

/// A struct as it was in version 1.0, ...
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
struct Old {
    struct_size: u32,
    kept: u32,
}

/// ... as this library has it, ...
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
struct Ours {
    struct_size: u32,
    kept: u32,
    appended: u64,
}

/// ... and as a later caller has it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
struct New {
    struct_size: u32,
    kept: u32,
    appended: u64,
    unknown: u64,
}

// SAFETY: `repr(C)`, beginning with a `u32`, of integers.
unsafe impl Versioned for Ours {
    const NAME: &'static str = "Ours";
    const BYTES_MIN: usize = 8;
}

fn read<T>(value: &T) -> Result<Ours, Failure> {
    // SAFETY: `value` is as large as it says, or says what is refused before it is read.
    unsafe { input("it", (&raw const *value).cast::<Ours>()) }
}

#[test]
fn an_older_callers_struct_is_filled_up_with_zeroes() {
    // Aligned as a caller of that version would have it, with other data right behind.
    #[repr(C, align(8))]
    struct Packed(Old, u64);
    let value = Packed(Old { struct_size: 8, kept: 7 }, u64::MAX);
    assert_eq!(read(&value).unwrap(), Ours { struct_size: 8, kept: 7, appended: 0 });
}

#[test]
fn a_later_callers_struct_is_read_if_it_asks_for_nothing_unknown() {
    let mut value = New { struct_size: 24, kept: 7, appended: 8, unknown: 0 };
    assert_eq!(read(&value).unwrap(), Ours { struct_size: 24, kept: 7, appended: 8 });
    value.unknown = 1;
    assert_eq!(read(&value).unwrap_err().code, ErrorCode::UnsupportedField);
}

#[test]
fn sizes_that_cannot_be_are_refused() {
    for struct_size in [0, 1, 7, 1025, u32::MAX] {
        let failure = read(&New { struct_size, kept: 0, appended: 0, unknown: 0 }).unwrap_err();
        assert_eq!(failure.code, ErrorCode::InvalidRequest, "{struct_size}");
        assert!(failure.message.contains("sizeof(Ours_t)"), "{}", failure.message);
    }
}

#[test]
fn null_and_misaligned_and_endless_pointers_are_refused() {
    let value = New { struct_size: 24, kept: 0, appended: 0, unknown: 0 };
    let at = (&raw const value).cast::<u8>();
    let misaligned = at.wrapping_add(1).cast::<Ours>();
    for pointer in [ptr::null(), misaligned, ptr::without_provenance(usize::MAX - 7)] {
        // SAFETY: refused before it is read.
        assert_eq!(unsafe { input("it", pointer) }.unwrap_err().code, ErrorCode::InvalidRequest);
    }
    // SAFETY: refused before they are read or written, as are those below.
    unsafe {
        assert!(answer::<u64>("number", ptr::null_mut(), 1).is_err());
        assert!(bytes("text", ptr::null(), 1).is_err());
        assert!(bytes("text", ptr::without_provenance(usize::MAX), 2).is_err());
        assert_eq!(bytes("text", at, TEXT_BYTES_MAX as u32 + 1).unwrap_err().code, ErrorCode::TooLarge);
        assert!(buffer("room", ptr::null_mut(), 8, 8).is_err());
        assert_eq!(buffer("room", ptr::null_mut(), 7, 8).unwrap_err().code, ErrorCode::TooLarge);
        assert!(texts("texts", ptr::null(), 1, 8).is_err());
        assert_eq!(texts("texts", ptr::null(), 9, 8).unwrap_err().code, ErrorCode::TooLarge);
    }
}

#[test]
fn nothing_may_be_null() {
    // SAFETY: nothing is read.
    unsafe {
        assert_eq!(utf8("text", ptr::null(), 0).unwrap(), "");
        assert!(texts("texts", ptr::null(), 0, 8).unwrap().is_empty());
    }
}

#[test]
fn text_is_checked() {
    let broken = b"a\xff";
    let text = |bytes: &[u8], reserved| TfText { data: bytes.as_ptr(), bytes: bytes.len() as u32, reserved };
    // SAFETY: the bytes are there.
    unsafe {
        assert_eq!(super::text("text", text("日本".as_bytes(), 0)).unwrap(), "日本");
        assert!(super::text("text", text(broken, 0)).unwrap_err().message.contains("UTF-8"));
        assert!(super::text("text", text(b"a", 1)).is_err());
    }
}

#[test]
fn an_array_is_written_in_the_callers_own_distance() {
    let mut old = [Old { struct_size: 8, kept: 0 }; 3];
    #[repr(C, align(8))]
    struct Aligned<T>(T);
    let mut aligned = Aligned(old);
    // SAFETY: three elements of eight bytes.
    let mut room = unsafe { Room::<Ours>::new("array", aligned.0.as_mut_ptr().cast(), 3) }.unwrap();
    for at in 0..3 {
        room.write(at, &Ours { struct_size: 0, kept: at as u32 + 1, appended: u64::MAX });
    }
    old = aligned.0;
    assert_eq!(old.map(|one| (one.struct_size, one.kept)), [(8, 1), (8, 2), (8, 3)]);

    let mut new = [New { struct_size: 24, kept: 0, appended: 0, unknown: 5 }; 2];
    // SAFETY: two elements of 24 bytes.
    let mut room = unsafe { Room::<Ours>::new("array", new.as_mut_ptr().cast(), 2) }.unwrap();
    room.write(1, &Ours { struct_size: 0, kept: 1, appended: 2 });
    assert_eq!(new[1], New { struct_size: 24, kept: 1, appended: 2, unknown: 5 });
}

#[test]
fn elements_that_would_not_be_aligned_are_refused() {
    let mut values = [New { struct_size: 12, kept: 0, appended: 0, unknown: 0 }; 2];
    // SAFETY: refused before it is written.
    assert!(unsafe { Room::<Ours>::new("array", values.as_mut_ptr().cast(), 2) }.is_err());
    // SAFETY: one of twelve bytes fits.
    assert!(unsafe { Room::<Ours>::new("array", values.as_mut_ptr().cast(), 1) }.is_ok());
}

#[test]
fn bytes_are_handed_out_in_two_calls() {
    let (mut needed, mut room) = (0_u32, [0_u8; 4]);
    // SAFETY: the room has as many bytes as is said; so below.
    let mut give = |capacity: u32| unsafe { give(b"word", room.as_mut_ptr(), capacity, &raw mut needed) };
    give(0).unwrap();
    assert_eq!(give(3).unwrap_err().code, ErrorCode::TooLarge);
    give(4).unwrap();
    assert_eq!((needed, &room), (4, b"word"));
    // SAFETY: refused before they are written.
    unsafe {
        assert!(super::give(b"word", ptr::null_mut(), 4, &raw mut needed).is_err());
        assert!(super::give(b"word", room.as_mut_ptr(), 4, ptr::null_mut()).is_err());
    }
}
