//! Every call of the driver fails in turn: what follows is an error that says so or the right bytes, nothing stays behind, and
//! the next card draws.
//!
//! Which calls there are, the stand-in counts in a run that goes well; so a function that the host's side begins to use is
//! among them by itself.

mod support;

use support::small::Small;
use support::{Cards, settings};
use thumbforge_cuda::{Cuda, CudaError};
use thumbforge_cuda_standin::Figure;
use thumbforge_diffusion::DiffusionError;
use thumbforge_diffusion::device::{Device, Span};
use thumbforge_diffusion::dtype::Precision;

/// Codes of the driver: it does not do this; it has no memory for it; the context is gone.
const REFUSED: u32 = 801;
const NO_MEMORY: u32 = 2;
const ENDED: u32 = 719;

/// Functions whose refusal costs time at most: recordings, what is given back, how threads wait.
const SPARED: [&str; 15] = [
    "cuStreamBeginCapture_v2",
    "cuStreamEndCapture",
    "cuGraphInstantiateWithFlags",
    "cuGraphDestroy",
    "cuGraphExecDestroy",
    "cuDevicePrimaryCtxSetFlags_v2",
    "cuDevicePrimaryCtxRelease_v2",
    "cuStreamDestroy_v2",
    "cuEventDestroy_v2",
    "cuModuleUnload",
    "cuMemFree_v2",
    "cuMemFreeAsync",
    "cuMemFreeHost",
    "cuMemPoolDestroy",
    "cuMemPoolTrimTo",
];

/// All that a card is used for: opened, loaded, written, run until it is replayed, copied, read as numbers and as bytes, closed.
fn whole(small: &Small) -> Result<(Vec<f32>, Vec<u8>), DiffusionError> {
    let opened = Cuda::open(&settings(true));
    let cuda = opened.map_err(|err: CudaError| err.told("a card", 0))?;
    let model = cuda.load(&small.params, small.program.precision)?;
    let mut memory = small.given(&cuda, [0, 8, 3, 3, 1])?;
    for _ in 0..3 {
        cuda.run(&small.program, &model, &mut memory, small.bases(), &|| false)?;
    }
    let numbers = small.outcome(&cuda, &memory)?;
    let (x, y) = (small.span("x"), small.span("y"));
    cuda.copy(&mut memory, y, x)?;
    let mut bytes = vec![0; 40];
    cuda.read_rgba8(&memory, Span { len: 30, ..x }, &mut bytes)?;
    drop((model, memory));
    cuda.trim().map_err(|err| err.told("a card", 0))?;
    Ok((numbers, bytes))
}

fn is_right(code: u32, err: &DiffusionError) -> bool {
    match code {
        NO_MEMORY => matches!(err, DiffusionError::OutOfMemory { .. }),
        ENDED => matches!(err, DiffusionError::Lost { .. }),
        _ => matches!(err, DiffusionError::Device { .. }),
    }
}

#[test]
fn any_call_of_the_driver_may_fail() {
    let Some(cards) = Cards::of_test("any_call_of_the_driver_may_fail") else { return };
    let small = Small::new(Precision::Bf16);
    whole(&small).expect("what happens once in a process has happened");
    let before: std::collections::HashMap<String, u64> = cards.standin.calls().into_iter().collect();
    let expected = whole(&small).expect("nothing fails yet");
    let mut calls = cards.standin.calls();
    calls.iter_mut().for_each(|(function, count)| *count -= before.get(function).copied().unwrap_or(0));
    calls.retain(|(_, count)| *count > 0);
    assert!(calls.len() >= 42, "{calls:?}");
    assert!(SPARED.iter().all(|spared| calls.iter().any(|(function, _)| function == spared)), "{calls:?}");
    let (mut wrong, mut told, mut spared) = (Vec::new(), 0, 0);
    let began = std::time::Instant::now();
    for (function, count) in &calls {
        for code in [REFUSED, NO_MEMORY, ENDED] {
            // Making a context current precedes everything and is refused everywhere; one code at each place will do.
            let chosen = |at: &u64| match code {
                REFUSED => true,
                NO_MEMORY => *at == 1 || at == count,
                _ => function != "cuCtxSetCurrent" || *at == 1 || at == count,
            };
            for at in (1..=*count).filter(chosen) {
                let abandoned = cards.standin.get(Figure::Abandoned);
                cards.standin.fail(function, at, code);
                let outcome = whole(&small);
                let reached = cards.standin.failing() == 0;
                cards.standin.fail("", 0, 0);
                let mut say = |what: String| wrong.push(format!("{function} {at} of {count}, {code}: {what}"));
                match outcome {
                    Ok(given) if given == expected => spared += 1,
                    Ok(_) => say("other bytes".to_owned()),
                    Err(err) if !is_right(code, &err) => say(format!("{err:?}")),
                    Err(err) if code == REFUSED && SPARED.contains(&function.as_str()) => say(format!("{err:?}")),
                    Err(_) => told += 1,
                }
                if !reached {
                    say("it was not called".to_owned());
                }
                let left: Vec<_> = Figure::LIVE.into_iter().filter(|figure| cards.standin.get(*figure) > 0).collect();
                if !left.is_empty() {
                    say(format!("left behind: {left:?}"));
                }
                if cards.standin.get(Figure::Abandoned) != abandoned && function != "cuCtxSetCurrent" {
                    say("a context took along what nobody gave back".to_owned());
                }
            }
        }
        // What failed before is no matter to the next card.
        let next = whole(&small);
        assert!(next.as_ref() == Ok(&expected), "after {function}: {:?}", next.err());
    }
    println!("{told} were told, {spared} spared, of {} functions, in {:?}", calls.len(), began.elapsed());
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(told > 200 && spared > 50, "{told} were told, {spared} spared");
}
