//! The books of slots.

use super::*;

fn waker() -> &'static Waker {
    Waker::noop()
}

fn lend(slots: &mut Slots, bytes: usize) -> Option<Lent> {
    let class = Class::of(bytes)?;
    let waiter = slots.queue();
    if !slots.try_reserve(waiter, class, waker()) {
        slots.leave(waiter);
        return None;
    }
    if let Some((lent, _)) = slots.lend(class) {
        return Some(lent);
    }
    let number = slots.number();
    slots.grow(number, class, Place::Private);
    slots.lend(class).map(|(lent, _)| lent)
}

#[test]
fn sizes_fall_into_the_smallest_class_that_holds_them() {
    let slot_bytes = |bytes| Class::of(bytes).map(Class::slot_bytes);
    assert_eq!(slot_bytes(1), Some(SMALLEST));
    assert_eq!(slot_bytes(512 * 512 * 4), Some(1 << 20));
    assert_eq!(slot_bytes((1 << 20) + 1), Some(4 << 20));
    assert_eq!(slot_bytes(4096 * 4096 * 4), Some(limits::SLOT_BYTES_MAX));
    assert_eq!(slot_bytes(limits::SLOT_BYTES_MAX + 1), None);
}

#[test]
fn no_slot_is_lent_twice_and_none_comes_back_twice() {
    let mut slots = Slots::new();
    let lent: Vec<Lent> = (0..40).map(|_| lend(&mut slots, 1 << 20).expect("room")).collect();
    let mut places: Vec<(u32, u32)> = lent.iter().map(|lent| (lent.segment, lent.slot)).collect();
    places.sort_unstable();
    places.dedup();
    assert_eq!(places.len(), 40);
    assert!(slots.give_back(lent[0]).0);
    assert!(!slots.give_back(lent[0]).0, "twice");
    assert!(!slots.give_back(Lent { generation: 9, ..lent[1] }).0, "of another life");
    assert!(!slots.give_back(Lent { segment: 99, ..lent[1] }).0, "of no segment");
    assert!(!slots.give_back(Lent { slot: 99, ..lent[1] }).0, "of no slot");
    let again = lend(&mut slots, 1 << 20).expect("room");
    assert_eq!((again.segment, again.slot, again.generation), (lent[0].segment, lent[0].slot, lent[0].generation + 1));
}

#[test]
fn memory_is_bounded_and_goes_back() {
    let mut slots = Slots::new();
    let mut lent = Vec::new();
    while let Some(one) = lend(&mut slots, 16 << 20) {
        lent.push(one);
    }
    assert_eq!(lent.len(), limits::TEXTURE_BYTES_MAX / (16 << 20));
    for one in lent {
        slots.give_back(one);
    }
    assert!(slots.bytes() <= limits::TEXTURE_KEEP_BYTES, "{} bytes are kept", slots.bytes());
    slots.shrink_to(0);
    assert_eq!(slots.bytes(), 0);
}

#[test]
fn large_pictures_get_their_turn_among_small_ones() {
    let mut slots = Slots::new();
    let held: Vec<Lent> = std::iter::from_fn(|| lend(&mut slots, 16 << 20)).collect();
    let large = slots.queue();
    let small = slots.queue();
    let (large_class, small_class) =
        (Class::of(limits::SLOT_BYTES_MAX).expect("a class"), Class::of(1).expect("a class"));
    for one in &held[..4] {
        slots.give_back(*one);
        assert!(!slots.try_reserve(small, small_class, waker()), "a small one went ahead");
    }
    assert!(!slots.try_reserve(large, large_class, waker()));
    slots.give_back(held[4]);
    assert!(slots.try_reserve(large, large_class, waker()));
    assert!(slots.try_reserve(small, small_class, waker()));
}
