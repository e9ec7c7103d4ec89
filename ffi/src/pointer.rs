//! What callers point to: checked for null, alignment and size, copied in, written out. Nothing here keeps a pointer.
//!
//! A versioned struct begins with its size as the caller knows it. An input that is shorter than ours is filled up with
//! zeroes, which mean "not set"; one that is longer must be zero in what we do not know. An output is written only as
//! far as the caller has room.

use std::mem::{align_of, size_of};

use thumbforge_core::error::{ErrorCode, Failure};

use crate::abi::{TfCompletion, TfJob, TfOptions, TfProgress, TfRequest, TfSessionState, TfText, TfTexture};

/// Largest `struct_size` that can be true, in bytes: four times our largest struct.
const STRUCT_BYTES_MAX: usize = 1024;

/// Longest text of a request in bytes; each field has a bound of its own further on, below this one.
pub(crate) const TEXT_BYTES_MAX: usize = 192 << 10;

/// A struct that begins with `struct_size` and grows at its end.
///
/// # Safety
/// `repr(C)`, begins with a `u32`, and every bit pattern, zeroes among them, is a value.
pub(crate) unsafe trait Versioned: Copy {
    /// Its name in messages.
    const NAME: &'static str;
    /// Its size in version 1.0.
    const BYTES_MIN: usize;
}

macro_rules! versioned {
    ($($name:ident = $bytes:literal;)*) => { $(
        // SAFETY: declared `repr(C)` in `abi`, beginning with `struct_size: u32`, of integers, floats and pointers.
        unsafe impl Versioned for $name {
            const NAME: &'static str = stringify!($name);
            const BYTES_MIN: usize = $bytes;
        }
        const _: () = assert!(size_of::<$name>() >= $bytes && size_of::<$name>() * 4 <= STRUCT_BYTES_MAX);
        const _: () = assert!(std::mem::offset_of!($name, struct_size) == 0);
    )* };
}

// Sizes of version 1.0, on 64 bits; they never change.
versioned! {
    TfOptions = 72;
    TfRequest = 192;
    TfCompletion = 72;
    TfJob = 24;
    TfProgress = 16;
    TfTexture = 32;
    TfSessionState = 32;
}

fn invalid(message: String) -> Failure {
    Failure::new(ErrorCode::InvalidRequest, message)
}

/// Whether `count` values of `T` may lie at `pointer`.
fn check<T>(what: &str, pointer: *const T, count: usize) -> Result<(), Failure> {
    if pointer.is_null() {
        return Err(invalid(format!("failed to read `{what}`: it is null")));
    }
    if !pointer.is_aligned() {
        return Err(invalid(format!("failed to read `{what}`: it is not aligned to {} bytes", align_of::<T>())));
    }
    let bytes = count.checked_mul(size_of::<T>()).filter(|bytes| *bytes <= isize::MAX as usize);
    if bytes.and_then(|bytes| pointer.addr().checked_add(bytes)).is_none() {
        return Err(invalid(format!("failed to read `{what}`: it does not end within memory")));
    }
    Ok(())
}

/// The first eight bytes of a caller's struct, whatever its version: two numbers.
///
/// # Safety
/// At least eight bytes can be read at `pointer`, where it is neither null nor misaligned.
pub(crate) unsafe fn head<T: Versioned>(what: &str, pointer: *const T) -> Result<[u32; 2], Failure> {
    check(what, pointer, 1)?;
    // SAFETY: not null, aligned for `T` and so for numbers, and readable as this function requires.
    Ok(unsafe { pointer.cast::<[u32; 2]>().read() })
}

/// The size that stands first in a caller's struct.
///
/// # Safety
/// At least four bytes can be read at `pointer`, where it is neither null nor misaligned.
unsafe fn struct_size<T: Versioned>(what: &str, pointer: *const T) -> Result<usize, Failure> {
    check(what, pointer, 1)?;
    // SAFETY: not null, aligned for `T` and so for its first field, and readable as this function requires.
    let bytes = unsafe { pointer.cast::<u32>().read() } as usize;
    if bytes < T::BYTES_MIN || bytes > STRUCT_BYTES_MAX {
        return Err(invalid(format!(
            "failed to read `{what}`: its struct_size of {bytes} cannot be; set it to sizeof({}_t), which is {} here",
            T::NAME,
            size_of::<T>()
        )));
    }
    Ok(bytes)
}

/// Copies a struct in.
///
/// # Safety
/// As many bytes as its `struct_size` says can be read at `pointer` and do not change meanwhile.
pub(crate) unsafe fn input<T: Versioned>(what: &str, pointer: *const T) -> Result<T, Failure> {
    // SAFETY: readable, as this function requires.
    let bytes = unsafe { struct_size(what, pointer) }?;
    let known = bytes.min(size_of::<T>());
    // SAFETY: all zeroes are a value of `T`, as `Versioned` requires.
    let mut value: T = unsafe { std::mem::zeroed() };
    // SAFETY: `known` is at most the size of both, and `value` is ours alone.
    unsafe { std::ptr::copy_nonoverlapping(pointer.cast::<u8>(), (&raw mut value).cast::<u8>(), known) };
    for at in known..bytes {
        // SAFETY: below the size that the caller stated.
        if unsafe { pointer.cast::<u8>().add(at).read() } != 0 {
            return Err(Failure::new(
                ErrorCode::UnsupportedField,
                format!("failed to honour byte {at} of `{what}`: this library ends at {known}; leave later fields 0"),
            ));
        }
    }
    Ok(value)
}

/// Room for versioned structs of a caller: one, or an array whose elements lie `stride` bytes apart.
pub(crate) struct Room<T> {
    first: *mut u8,
    stride: usize,
    count: usize,
    kind: std::marker::PhantomData<T>,
}

impl<T: Versioned> Room<T> {
    /// Checks the room for `count` structs; the first says how large each is.
    ///
    /// # Safety
    /// `count` structs of that size can be written at `pointer`, and nobody else touches them.
    pub(crate) unsafe fn new(what: &str, pointer: *mut T, count: u32) -> Result<Self, Failure> {
        let count = count as usize;
        // SAFETY: the first can be read, as this function requires.
        let stride = unsafe { struct_size(what, pointer.cast_const()) }?;
        if count > 1 && !stride.is_multiple_of(align_of::<T>()) {
            return Err(invalid(format!("failed to write `{what}`: elements of {stride} bytes would not be aligned")));
        }
        check(what, pointer.cast_const().cast::<u8>(), stride.saturating_mul(count))?;
        Ok(Self { first: pointer.cast(), stride, count, kind: std::marker::PhantomData })
    }

    /// How many there is room for.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Writes one, as far as the caller knows it; `struct_size` becomes the caller's own.
    ///
    /// # Panics
    /// When `at` is beyond the room.
    pub(crate) fn write(&mut self, at: usize, value: &T) {
        assert!(at < self.count, "a place within the room");
        let bytes = self.stride.min(size_of::<T>());
        // SAFETY: `new` was promised `count` elements of `stride` bytes that nobody else touches; `at` is one of them.
        let place = unsafe { self.first.add(at * self.stride) };
        // SAFETY: `bytes` is at most the size of the element and of `value`.
        unsafe { std::ptr::copy_nonoverlapping((&raw const *value).cast::<u8>(), place, bytes) };
        // SAFETY: the element begins with `struct_size`; elements are aligned as `new` checked.
        unsafe { place.cast::<u32>().write(self.stride as u32) };
    }
}

/// Writes one number.
///
/// # Safety
/// A `T` can be written at `pointer` where it is neither null nor misaligned.
pub(crate) unsafe fn answer<T: Copy>(what: &str, pointer: *mut T, value: T) -> Result<(), Failure> {
    check(what, pointer.cast_const(), 1)?;
    // SAFETY: not null, aligned, and writable as this function requires.
    unsafe { pointer.write(value) };
    Ok(())
}

/// Whether a number could be written; for calls that must not do their work before they know.
pub(crate) fn may_answer<T>(what: &str, pointer: *mut T) -> Result<(), Failure> {
    check(what, pointer.cast_const(), 1)
}

/// Bytes of a caller.
///
/// # Safety
/// `bytes` bytes can be read at `data` and do not change as long as the slice is used.
pub(crate) unsafe fn bytes<'a>(what: &str, data: *const u8, bytes: u32) -> Result<&'a [u8], Failure> {
    let bytes = bytes as usize;
    if bytes == 0 {
        return Ok(&[]);
    }
    if bytes > TEXT_BYTES_MAX {
        return Err(Failure::new(
            ErrorCode::TooLarge,
            format!("failed to read `{what}`: {bytes} bytes, at most {TEXT_BYTES_MAX} are read"),
        ));
    }
    check(what, data, bytes)?;
    // SAFETY: not null, within memory, and readable as this function requires.
    Ok(unsafe { std::slice::from_raw_parts(data, bytes) })
}

/// Bytes of a caller that are text.
///
/// # Safety
/// As [`bytes`].
pub(crate) unsafe fn utf8<'a>(what: &str, data: *const u8, bytes: u32) -> Result<&'a str, Failure> {
    // SAFETY: as this function requires.
    let bytes = unsafe { self::bytes(what, data, bytes) }?;
    std::str::from_utf8(bytes).map_err(|_| invalid(format!("failed to read `{what}`: it is not UTF-8")))
}

/// A text of a caller's struct.
///
/// # Safety
/// As [`bytes`].
pub(crate) unsafe fn text<'a>(what: &str, text: TfText) -> Result<&'a str, Failure> {
    if text.reserved != 0 {
        return Err(invalid(format!("failed to read `{what}`: its reserved field must be 0")));
    }
    // SAFETY: as this function requires.
    unsafe { utf8(what, text.data, text.bytes) }
}

/// Texts of a caller's array.
///
/// # Safety
/// `count` texts can be read at `first`, each as [`bytes`] has it.
pub(crate) unsafe fn texts<'a>(
    what: &str,
    first: *const TfText,
    count: u32,
    count_max: u32,
) -> Result<Vec<&'a str>, Failure> {
    if count == 0 {
        return Ok(Vec::new());
    }
    if count > count_max {
        return Err(Failure::new(
            ErrorCode::TooLarge,
            format!("failed to read `{what}`: {count} of them, at most {count_max} are read"),
        ));
    }
    check(what, first, count as usize)?;
    // SAFETY: not null, aligned, within memory, and readable as this function requires.
    let texts = unsafe { std::slice::from_raw_parts(first, count as usize) };
    // SAFETY: each is as this function requires.
    texts.iter().map(|one| unsafe { text(what, *one) }).collect()
}

/// Room of a caller for exactly `wanted` bytes, in a buffer that may be larger.
///
/// # Safety
/// `bytes` bytes can be written at `buffer`, and nobody else touches them as long as the slice is used.
pub(crate) unsafe fn buffer<'a>(
    what: &str,
    buffer: *mut u8,
    bytes: u64,
    wanted: usize,
) -> Result<&'a mut [u8], Failure> {
    if bytes < wanted as u64 {
        return Err(Failure::new(
            ErrorCode::TooLarge,
            format!("failed to write {wanted} bytes: `{what}` has room for {bytes}"),
        ));
    }
    check(what, buffer.cast_const(), wanted)?;
    // SAFETY: not null, within memory, and ours alone as this function requires. What it holds so far is some value or
    // other to the caller's language, and is only written to here.
    Ok(unsafe { std::slice::from_raw_parts_mut(buffer, wanted) })
}

/// Hands bytes out: their number always, themselves where there is room.
///
/// # Safety
/// `capacity` bytes can be written at `buffer`, a number at `needed`, and nobody else touches them.
pub(crate) unsafe fn give(bytes: &[u8], buffer: *mut u8, capacity: u32, needed: *mut u32) -> Result<(), Failure> {
    let Ok(length) = u32::try_from(bytes.len()) else {
        return Err(Failure::new(ErrorCode::TooLarge, format!("failed to write a text of {} bytes", bytes.len())));
    };
    // SAFETY: as this function requires.
    unsafe { answer("needed", needed, length) }?;
    if capacity == 0 || bytes.is_empty() {
        return Ok(());
    }
    check("buffer", buffer.cast_const(), capacity as usize)?;
    if capacity < length {
        return Err(Failure::new(
            ErrorCode::TooLarge,
            format!("failed to write {length} bytes: the buffer has room for {capacity}; ask for the size first"),
        ));
    }
    // SAFETY: the buffer has room for `capacity` bytes, which are at least these, and is the caller's own.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), buffer, bytes.len()) };
    Ok(())
}

#[cfg(test)]
mod tests;
