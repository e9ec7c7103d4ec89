//! Pools over bytes of this process: properties against naive books, and a soak that writes into what it was given.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// A card of bytes. Addresses are places in one vector, so whoever writes where it should not is seen.
struct Card {
    bytes: Vec<u8>,
    /// Where stretches lie, and how long they are.
    held: BTreeMap<u64, u64>,
    /// How often it says no although there is room, as a driver in pieces does.
    moods: u32,
}

impl Card {
    fn new(bytes: u64) -> Self {
        Self { bytes: vec![0; bytes as usize], held: BTreeMap::new(), moods: 0 }
    }

    fn free(&self) -> u64 {
        self.bytes.len() as u64 - self.held.values().sum::<u64>()
    }
}

impl Slab for Card {
    type Held = u64;

    fn reserve(&mut self, bytes: u64) -> Result<(Address, u64), SlabError> {
        if self.moods > 0 {
            self.moods -= 1;
            return Err(SlabError::OutOfMemory);
        }
        assert!(bytes.is_multiple_of(GRAIN), "{bytes} is no multiple of the grain");
        // The first gap that does; a driver maps pages, so its own memory is never in pieces for us. This one may be.
        let mut at = 0;
        for (from, length) in &self.held {
            if at + bytes <= *from {
                break;
            }
            at = from + length;
        }
        if at + bytes > self.bytes.len() as u64 {
            return Err(SlabError::OutOfMemory);
        }
        self.held.insert(at, bytes);
        Ok((at, at))
    }

    fn release(&mut self, held: u64) {
        assert!(self.held.remove(&held).is_some(), "released twice");
    }
}

const MIB: u64 = 1 << 20;

fn share(floor_mib: u64, cap_mib: u64) -> Share {
    Share { floor_bytes: floor_mib * MIB, cap_bytes: cap_mib * MIB }
}

/// 64 MiB, of which drafts have 8 for sure and 24 at most, a build 32 at most.
fn limits() -> Limits {
    Limits::of_card(64 * MIB, 0).with(Class::Drafts, share(8, 24)).with(Class::Batch, share(0, 32))
}

fn room(pools: &Pools<Card>) -> Room {
    Room { free_bytes: pools.slab().free(), reserve_bytes: 0, step_bytes: GRAIN }
}

fn take(pools: &mut Pools<Card>, class: Class, bytes: u64) -> Result<Block, PoolError> {
    let room = room(pools);
    pools.take(class, bytes, room)
}

/// Takes `mib` for each class in turn; what the last of them hears.
#[track_caller]
fn check(takes: &[(Class, u64)], expected: &str) {
    let mut pools = Pools::new(Card::new(64 * MIB), limits());
    let mut said = String::new();
    let mut blocks = Vec::new();
    for (class, mib) in takes {
        said = match take(&mut pools, *class, mib * MIB) {
            Ok(block) => {
                blocks.push(block);
                "given".to_owned()
            }
            Err(err) => match (&err, err.shortage()) {
                (PoolError::Share { .. }, Some((_, left))) => format!("share: {} left", left / MIB),
                (PoolError::Budget { .. }, Some((_, left))) => format!("budget: {} left", left / MIB),
                (other, _) => other.to_string(),
            },
        };
    }
    assert_eq!(said, expected);
}

#[test]
fn caps_and_floors_hold() {
    use Class::{Batch, Drafts, Finals, Weights};
    check(&[(Drafts, 24)], "given");
    check(&[(Drafts, 25)], "share: 24 left");
    check(&[(Drafts, 20), (Drafts, 6)], "share: 4 left");
    check(&[(Batch, 33)], "share: 32 left");
    // Nobody takes what is kept for drafts.
    check(&[(Weights, 56)], "given");
    check(&[(Weights, 57)], "budget: 56 left");
    check(&[(Weights, 30), (Finals, 27)], "budget: 26 left");
    // Drafts have it also when everybody else took all there was.
    check(&[(Weights, 30), (Finals, 26), (Drafts, 8)], "given");
    check(&[(Weights, 30), (Finals, 26), (Drafts, 9)], "budget: 8 left");
    // What drafts hold beyond their floor is kept for nobody.
    check(&[(Drafts, 24), (Weights, 40)], "given");
    check(&[(Drafts, 24), (Weights, 41)], "budget: 40 left");
}

#[test]
fn what_others_have_is_left_to_them() {
    let mut pools = Pools::new(Card::new(64 * MIB), limits());
    let short = Room { free_bytes: 20 * MIB, reserve_bytes: 6 * MIB, step_bytes: GRAIN };
    assert_eq!(
        pools.take(Class::Weights, 16 * MIB, short),
        Err(PoolError::Card { needed_bytes: 16 * MIB, left_bytes: 14 * MIB })
    );
    assert_eq!(pools.left(Class::Weights, short), 14 * MIB);
    let block = pools.take(Class::Weights, 14 * MIB, short).expect("it fits");
    pools.give(block).expect("ours");
    // Less is free than is to be left: nothing is.
    let none = Room { free_bytes: 5 * MIB, reserve_bytes: 6 * MIB, step_bytes: GRAIN };
    assert_eq!(pools.trim(), 14 * MIB);
    assert_eq!(pools.left(Class::Weights, none), 0);
}

#[test]
fn empty_stretches_of_others_make_room_and_full_ones_stay() {
    let mut pools = Pools::new(Card::new(64 * MIB), limits());
    let kept = take(&mut pools, Class::Batch, 16 * MIB).expect("room");
    let left = take(&mut pools, Class::Drafts, 24 * MIB).expect("room");
    pools.give(left).expect("ours");
    assert_eq!(pools.report().reserved_bytes(), 40 * MIB);
    // The stretch of drafts goes, that of the build cannot.
    let big = take(&mut pools, Class::Finals, 40 * MIB).expect("room, once the empty stretch is back");
    assert_eq!(pools.report().reserved_bytes(), 56 * MIB);
    assert_eq!((kept.bytes(), big.bytes()), (16 * MIB, 40 * MIB));
    // Where giving it all back would not do, nothing is given back.
    pools.give(kept).expect("ours");
    assert!(take(&mut pools, Class::Finals, 64 * MIB).is_err());
    assert_eq!(pools.report().reserved_bytes(), 56 * MIB);
}

#[test]
fn a_driver_that_says_no_is_asked_again_with_all_that_lies_empty() {
    let mut pools = Pools::new(Card::new(64 * MIB), limits());
    let block = take(&mut pools, Class::Drafts, 8 * MIB).expect("room");
    pools.give(block).expect("ours");
    pools.slab.moods = 1;
    let block = take(&mut pools, Class::Finals, 4 * MIB).expect("the second try has it");
    pools.slab.moods = 1;
    let refused = take(&mut pools, Class::Finals, 4 * MIB);
    assert_eq!(refused, Err(PoolError::Driver { needed_bytes: 4 * MIB, err: SlabError::OutOfMemory }));
    assert_eq!(pools.report().classes[Class::Finals.index()].refused, 1);
    pools.give(block).expect("ours");
}

#[test]
fn a_plan_is_held_against_what_it_may_take_in_all() {
    let mut pools = Pools::new(Card::new(64 * MIB), limits());
    // What is kept for drafts is for what they are computed in, and not for weights, whoever draws with them.
    assert_eq!(pools.whole(room(&pools), 0), 56 * MIB);
    let weights = take(&mut pools, Class::Weights, 20 * MIB).expect("room");
    let others = take(&mut pools, Class::Batch, 10 * MIB).expect("room");
    assert_eq!(pools.whole(room(&pools), 0), 56 * MIB);
    // Each block is rounded up to whole grains.
    assert_eq!(pools.whole(room(&pools), 8), 40 * MIB);
    assert_eq!(pools.whole(room(&pools), u64::MAX), 0);
    // What other programs hold is not ours, however much of it we hold ourselves; and the rest of a step serves nobody.
    let short = Room { free_bytes: 12 * MIB, reserve_bytes: 2 * MIB, step_bytes: GRAIN };
    assert_eq!(pools.whole(short, 0), 40 * MIB);
    assert_eq!(pools.whole(Room { step_bytes: 32 * MIB, ..short }, 0), 32 * MIB);
    pools.give(weights).expect("ours");
    pools.give(others).expect("ours");
    assert_eq!(pools.whole(short, 0), 40 * MIB);
}

#[test]
fn nothing_is_reserved_while_a_program_runs() {
    let mut pools = Pools::new(Card::new(64 * MIB), limits());
    let block = take(&mut pools, Class::Drafts, 1).expect("room");
    pools.enter();
    assert_eq!(take(&mut pools, Class::Drafts, 1), Err(PoolError::Running { needed_bytes: 1 }));
    pools.give(block).expect("ours");
    assert_eq!(pools.trim(), 0);
    pools.leave();
    assert!(pools.trim() > 0);
}

#[test]
fn sizes_at_the_edges() {
    let mut pools = Pools::new(Card::new(64 * MIB), limits());
    let nothing = take(&mut pools, Class::Drafts, 0).expect("a place for nothing");
    assert_eq!(nothing.bytes(), ALIGN);
    for bytes in [u64::MAX, u64::MAX - GRAIN, 1 << 63] {
        assert!(matches!(take(&mut pools, Class::Drafts, bytes), Err(PoolError::Share { .. })), "{bytes}");
    }
    pools.give(nothing).expect("ours");
}

#[test]
fn a_block_of_other_pools_is_a_stranger() {
    let (mut one, mut other) = (Pools::new(Card::new(64 * MIB), limits()), Pools::new(Card::new(64 * MIB), limits()));
    let block = take(&mut one, Class::Drafts, 512).expect("room");
    let twin = Block { ..block };
    assert_eq!(other.give(block), Err(PoolError::Stranger { bytes: 512 }));
    let again = Block { ..twin };
    assert_eq!(one.give(twin), Ok(()));
    assert_eq!(one.give(again), Err(PoolError::Stranger { bytes: 512 }));
}

#[test]
fn a_leak_is_told_by_class() {
    let mut pools = Pools::new(Card::new(64 * MIB), limits());
    let _held = take(&mut pools, Class::Batch, 1000).expect("room");
    let leak = pools.close().err().expect("a leak");
    let words = "give GPU memory back, a fault of Thumbforge: batch still has 1024 bytes in 1 blocks";
    assert_eq!(leak.to_string(), words);
    let slab = Pools::new(Card::new(MIB), limits()).close().expect("no leak");
    assert!(slab.held.is_empty());
}

#[test]
fn the_default_shares_fit_into_any_card() {
    for gib in [0, 1, 4, 8, 11, 12, 16, 24, 80, 141] {
        let limits = Limits::of_card(gib << 30, 1 << 30);
        let floors: u64 = Class::ALL.iter().map(|class| limits.share(*class).floor_bytes).sum();
        assert!(floors <= limits.budget_bytes / 8, "{gib} GiB");
        for class in Class::ALL {
            let share = limits.share(class);
            assert!(
                share.floor_bytes <= share.cap_bytes && share.cap_bytes <= limits.budget_bytes,
                "{gib} GiB {class}"
            );
        }
    }
}

/// What is done to pools.
#[derive(Debug, Clone)]
enum Act {
    Take(Class, u64),
    /// The block at this place of all that are held.
    Give(usize),
    Trim,
    /// How much others hold of the card from now on.
    Others(u64),
}

fn act() -> impl Strategy<Value = Act> {
    let class = prop::sample::select(&Class::ALL[..]);
    let bytes = prop_oneof![0..4096_u64, 0..4 * MIB, 0..30 * MIB];
    prop_oneof![
        6 => (class, bytes).prop_map(|(class, bytes)| Act::Take(class, bytes)),
        5 => any::<usize>().prop_map(Act::Give),
        1 => Just(Act::Trim),
        1 => (0..64 * MIB).prop_map(Act::Others),
    ]
}

/// How much of what is left is taken: often all of it.
fn part() -> impl Strategy<Value = f64> {
    prop_oneof![Just(1.0), 0.0..1.0_f64, 0.0..0.01_f64]
}

/// A card without bytes, whose driver takes steps of it and shares it with others.
#[derive(Debug)]
struct Pages {
    bytes: u64,
    step_bytes: u64,
    used_bytes: u64,
    others_bytes: u64,
}

impl Pages {
    fn most_of_others(&self) -> u64 {
        self.bytes - self.used_bytes.next_multiple_of(self.step_bytes)
    }

    fn room(&self, reserve_bytes: u64) -> Room {
        let free_bytes = self.bytes - self.others_bytes - self.used_bytes;
        Room { free_bytes, reserve_bytes, step_bytes: self.step_bytes }
    }
}

impl Slab for Pages {
    type Held = u64;

    fn reserve(&mut self, bytes: u64) -> Result<(Address, u64), SlabError> {
        self.used_bytes += bytes;
        if self.used_bytes.next_multiple_of(self.step_bytes) + self.others_bytes > self.bytes {
            self.used_bytes -= bytes;
            return Err(SlabError::OutOfMemory);
        }
        Ok((0, bytes))
    }

    fn release(&mut self, bytes: u64) {
        self.used_bytes -= bytes;
    }
}

/// What a block should be, by books that are too simple to be wrong.
struct Naive {
    block: Block,
    asked: u64,
}

fn sound(pools: &Pools<Card>, held: &[Naive]) -> Result<(), TestCaseError> {
    let mut spans: Vec<(u64, u64)> = held.iter().map(|one| (one.block.at(), one.block.bytes())).collect();
    spans.sort_unstable();
    prop_assert!(spans.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0), "blocks overlap: {spans:?}");
    let report = pools.report();
    prop_assert!(report.reserved_bytes() <= report.budget_bytes);
    prop_assert_eq!(report.reserved_bytes(), pools.slab().held.values().sum::<u64>());
    for figures in &report.classes {
        let own = held.iter().filter(|one| one.block.class() == figures.class);
        let (count, used) = own.fold((0, 0), |(count, used), one| (count + 1, used + one.block.bytes()));
        prop_assert_eq!((figures.blocks, figures.used_bytes), (count, used));
        prop_assert!(figures.used_bytes <= figures.reserved_bytes && figures.reserved_bytes <= figures.cap_bytes);
        prop_assert!(figures.used_peak_bytes >= figures.used_bytes);
        prop_assert!(figures.reserved_peak_bytes >= figures.reserved_bytes);
        prop_assert!((0.0..=1.0).contains(&figures.fragmentation()));
    }
    for one in held {
        let Block { at, bytes, .. } = one.block;
        prop_assert!(at % ALIGN == 0 && bytes % ALIGN == 0 && bytes >= one.asked);
        let inside = pools.slab().held.iter().any(|(from, length)| *from <= at && at + bytes <= from + length);
        prop_assert!(inside, "a block lies outside of the driver's memory");
    }
    Ok(())
}

proptest! {
    #[test]
    fn books_agree_with_naive_ones(acts in prop::collection::vec(act(), 1..120)) {
        let mut pools = Pools::new(Card::new(64 * MIB), limits());
        let (mut held, mut others): (Vec<Naive>, u64) = (Vec::new(), 0);
        for act in acts {
            match act {
                Act::Take(class, asked) => {
                    let free = pools.slab().free().saturating_sub(others);
                    let room = Room { free_bytes: free, reserve_bytes: 0, step_bytes: GRAIN };
                    let (left, before) = (pools.left(class, room), pools.report().reserved_bytes());
                    match pools.take(class, asked, room) {
                        Ok(block) => {
                            prop_assert!(block.bytes() <= left, "{} given where {left} were left", block.bytes());
                            held.push(Naive { block, asked });
                        }
                        // The card of this test can be in pieces, as a driver's pages cannot.
                        Err(PoolError::Driver { .. }) => {}
                        Err(err) => {
                            prop_assert!(err.shortage().is_some_and(|(_, said)| said == left), "{err:?}, {left} left");
                            prop_assert!(arena::aligned(asked).next_multiple_of(GRAIN) > left, "{err} with {left} left");
                            prop_assert_eq!(pools.report().reserved_bytes(), before);
                        }
                    }
                    prop_assert!(pools.slab().free() >= others, "others' memory was taken");
                }
                Act::Give(_) if held.is_empty() => {}
                Act::Give(at) => {
                    let at = at % held.len();
                    prop_assert_eq!(pools.give(held.swap_remove(at).block), Ok(()));
                }
                Act::Trim => {
                    let before = pools.report();
                    let bytes = pools.trim();
                    prop_assert_eq!(pools.report().reserved_bytes() + bytes, before.reserved_bytes());
                    prop_assert_eq!(pools.report().used_bytes(), before.used_bytes());
                }
                Act::Others(bytes) => others = bytes.min(pools.slab().free()),
            }
            sound(&pools, &held)?;
        }
        for one in held {
            prop_assert_eq!(pools.give(one.block), Ok(()));
        }
        let slab = pools.close().map_err(|leak| TestCaseError::fail(leak.to_string()))?;
        prop_assert!(slab.held.is_empty());
    }

    /// Whatever came and went before: what a picture was told that it may take is given, to the byte and in any order, as
    /// long as it is in so many blocks.
    #[test]
    fn what_is_said_to_fit_is_given(
        acts in prop::collection::vec(act(), 0..60),
        class in prop::sample::select(&[Class::Drafts, Class::Batch, Class::Finals][..]),
        picture in prop::collection::vec((any::<bool>(), part(), prop::option::of(any::<usize>())), 1..40),
        blocks in 1..8_usize,
        reserve_bytes in 0..8 * MIB,
        step_bytes in prop::sample::select(&[1, GRAIN, 8 * MIB][..]),
    ) {
        let pages = Pages { bytes: 64 * MIB, step_bytes, used_bytes: 0, others_bytes: 0 };
        let mut pools = Pools::new(pages, limits());
        let mut held: Vec<Block> = Vec::new();
        for act in acts {
            let now = pools.slab().room(reserve_bytes);
            match act {
                Act::Take(class, asked) => held.extend(pools.take(class, asked, now)),
                Act::Give(_) if held.is_empty() => {}
                Act::Give(at) => prop_assert_eq!(pools.give(held.swap_remove(at % held.len())), Ok(())),
                Act::Trim => drop(pools.trim()),
                Act::Others(bytes) => pools.slab.others_bytes = bytes.min(pools.slab.most_of_others()),
            }
        }
        let whole = pools.whole(pools.slab().room(reserve_bytes), blocks as u64);
        for block in held {
            prop_assert_eq!(pools.give(block), Ok(()));
        }
        let (mut held, mut left): (Vec<(Block, u64)>, u64) = (Vec::new(), whole);
        for (arena, part, leaves) in picture {
            if let Some(at) = leaves.filter(|_| !held.is_empty()) {
                let (block, bytes) = held.swap_remove(at % held.len());
                left += bytes;
                prop_assert_eq!(pools.give(block), Ok(()));
            }
            // One arena at a time, within the class's share.
            let arena = arena && held.iter().all(|(block, _)| block.class() == Class::Weights);
            let most = if arena { left.min(limits().share(class).cap_bytes) } else { left };
            let bytes = (most as f64 * part) as u64;
            if held.len() < blocks && bytes > 0 {
                let now = pools.slab().room(reserve_bytes);
                let taken = pools.take(if arena { class } else { Class::Weights }, bytes, now);
                let told = format!("{taken:?}: {bytes} of {left} left of {whole} for {class}, beside {held:?}");
                let block = taken.map_err(|_| TestCaseError::fail(told))?;
                held.push((block, bytes));
                left -= bytes;
            }
        }
        prop_assert!(held.into_iter().all(|(block, _)| pools.give(block).is_ok()));
    }

    #[test]
    fn an_arena_whose_blocks_came_back_is_one_gap(
        sizes in prop::collection::vec(1..9000_u64, 1..60),
        order in prop::collection::vec(any::<usize>(), 60),
    ) {
        let bytes = 300 * 1024;
        let mut arena = Arena::new(bytes);
        let mut held: Vec<(u64, u64)> =
            sizes.iter().filter_map(|size| Some((arena.take(*size)?, arena::aligned(*size)))).collect();
        let used: u64 = held.iter().map(|(_, bytes)| bytes).sum();
        prop_assert_eq!(arena.free_bytes(), bytes - used);
        for at in order {
            if held.is_empty() {
                break;
            }
            let (offset, length) = held.swap_remove(at % held.len());
            prop_assert!(!arena.give(offset, length + ALIGN), "a block of another length");
            prop_assert!(arena.give(offset, length));
            prop_assert!(!arena.give(offset, length), "given twice");
            // What was given can be had again.
            let again = arena.take(length);
            prop_assert!(again.is_some());
            prop_assert!(arena.give(again.unwrap_or_default(), length));
            prop_assert!(arena.gaps() <= arena.blocks() + 1, "gaps that touch are one");
        }
        prop_assert!(!held.is_empty() || (arena.is_empty() && arena.gaps() == 1 && arena.gap_largest() == bytes));
    }
}

/// Numbers from a seed (SplitMix64), so that a soak that fails fails again.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit.max(1)
    }
}

/// Bytes of a block that are written and looked at: its ends, where neighbours would write into it, and a few between.
fn marks(block: &Block) -> impl Iterator<Item = usize> {
    let (at, bytes) = (block.at() as usize, block.bytes() as usize);
    (0..16).chain((1..8).map(move |part| bytes / 8 * part)).chain(bytes - 16..bytes).map(move |offset| at + offset)
}

#[test]
fn a_soak_of_mixed_jobs_overwrites_nothing_and_leaks_nothing() {
    let mut dice = Dice(20_261_121);
    let mut pools = Pools::new(Card::new(64 * MIB), limits());
    let mut held: Vec<(Block, u8)> = Vec::new();
    let (mut given, mut refused) = (0, 0);
    for turn in 0..20_000_u64 {
        if held.is_empty() || dice.below(100) < 53 {
            let class = Class::ALL[dice.below(4) as usize];
            let bytes = match dice.below(3) {
                0 => dice.below(2000),
                1 => dice.below(MIB),
                _ => dice.below(12 * MIB),
            };
            match take(&mut pools, class, bytes) {
                Ok(block) => {
                    let mark = (turn % 251) as u8 + 1;
                    marks(&block).for_each(|at| pools.slab.bytes[at] = mark);
                    held.push((block, mark));
                    given += 1;
                }
                Err(err) => {
                    assert!(err.shortage().is_some(), "{err}");
                    refused += 1;
                }
            }
        } else {
            let (block, mark) = held.swap_remove(dice.below(held.len() as u64) as usize);
            let whole = marks(&block).all(|at| pools.slab.bytes[at] == mark);
            assert!(whole, "turn {turn}: somebody wrote into a block of {}", block.class());
            pools.give(block).expect("ours");
        }
    }
    // It went to the limits and not only past them.
    assert!(given > 5000 && refused > 100, "{given} given, {refused} refused");
    for (block, _) in held {
        pools.give(block).expect("ours");
    }
    let report = pools.report();
    assert_eq!(report.used_bytes(), 0);
    assert!(report.classes.iter().all(|figures| figures.reserved_peak_bytes <= figures.cap_bytes));
    // Once all is back, the largest block that a class may have can be had.
    for (class, mib) in [(Class::Drafts, 24), (Class::Batch, 32), (Class::Finals, 56)] {
        let block = take(&mut pools, class, mib * MIB).expect("everything is back");
        pools.give(block).expect("ours");
    }
    pools.close().expect("no leak");
}
