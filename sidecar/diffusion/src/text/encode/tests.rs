//! Encoders on the device of plain loops: what they keep, refuse, count and clean up. What they compute is compared with
//! diffusers in `tests/parity`.

use std::cell::Cell;

use super::*;
use crate::plain::{Plain, bucket};
use crate::tiny::{Tiny, params};

fn folder(name: &str) -> Option<PathBuf> {
    Some(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/diffusion/fixtures/tokenizers").join(name))
}

fn parts() -> Parts {
    let tiny = Tiny::medium();
    let part = |config: &ClipConfig, values, name| Part {
        config: config.clone(),
        params: params(values),
        tokenizer: folder(name),
    };
    Parts {
        clip_l: Some(part(&tiny.clip_l, tiny.clip_l_values(), "tokenizer")),
        clip_g: Some(part(&tiny.clip_g, tiny.clip_g_values(), "tokenizer_2")),
        t5: Some(Part { config: tiny.t5.clone(), params: params(tiny.t5_values()), tokenizer: folder("tokenizer_3") }),
        identity: [1; 32],
    }
}

fn reading() -> Reading {
    let mmdit = Tiny::medium().mmdit;
    let precision = Precision::F32;
    Reading { t5_tokens: 12, clip: precision, t5: precision, context: mmdit.context, pooled: mmdit.pooled }
}

/// Encoders with what they work in. The memory is dirty at first and larger than needed, and they begin behind its start.
struct Bench {
    encoders: Encoders,
    memory: Vec<u8>,
    loaded: Loaded<Plain>,
    cache: Cache,
}

const AT: u64 = 640;
const DIRT: u8 = 0xA5;

impl Bench {
    fn new(parts: Parts, stay: Stay) -> Self {
        let encoders = Encoders::new(parts, reading()).expect("encoders");
        let memory = vec![DIRT; (AT + encoders.memory_bytes() + AT) as usize];
        Self { encoders, memory, loaded: Loaded::new(stay), cache: Cache::default() }
    }

    fn encode(&mut self, prompts: &[Prompt<'_>]) -> Result<Encoded, DiffusionError> {
        self.encode_until(prompts, &|| false)
    }

    fn encode_until(&mut self, prompts: &[Prompt<'_>], stop: &dyn Fn() -> bool) -> Result<Encoded, DiffusionError> {
        let Self { encoders, memory, loaded, cache } = self;
        encoders.encode(&mut Work { device: &Plain, memory, at: AT, loaded, cache, stop }, prompts)
    }
}

#[test]
fn they_stay_within_their_memory() {
    let mut bench = Bench::new(parts(), Stay::Go);
    bench.encode(&[Prompt::new("a lighthouse at dawn")]).expect("encoded");
    let (before, after) = (&bench.memory[..AT as usize], &bench.memory[bench.memory.len() - AT as usize..]);
    assert!(before.iter().chain(after).all(|byte| *byte == DIRT));
    let needs = bench.encoders.needs(&Plain);
    assert_eq!(needs.iter().map(|need| need.memory_bytes).max(), Some(bench.encoders.memory_bytes()));
    assert!(needs.iter().all(|need| need.model_bytes > 0));
}

#[test]
fn prompts_are_cached_one_by_one() {
    let mut bench = Bench::new(parts(), Stay::Go);
    let (cat, negative) = (Prompt::new("a red cat"), Prompt::new(""));
    let first = bench.encode(&[cat, negative]).expect("encoded");
    assert_eq!(bench.cache.hits_and_misses(), (0, 6));
    let again = bench.encode(&[negative, cat, cat]).expect("encoded");
    assert_eq!(bench.cache.hits_and_misses(), (9, 6));
    assert_eq!(again.conditionings[0], first.conditionings[1]);
    assert_eq!(again.conditionings[1], first.conditionings[0]);
    assert_eq!(again.conditionings[1], again.conditionings[2]);
    // Alone and without the cache it is the same, to the last bit.
    let alone = Bench::new(parts(), Stay::Stay).encode(&[cat]).expect("encoded");
    assert_eq!(alone.conditionings[0], first.conditionings[0]);
    assert_ne!(first.conditionings[0].context, first.conditionings[1].context);
}

#[test]
fn each_encoder_reads_its_own_prompt() {
    let mut bench = Bench::new(parts(), Stay::Go);
    let plain = bench.encode(&[Prompt::new("a red cat")]).expect("encoded").conditionings.remove(0);
    let (tiny, features) = (Tiny::medium(), reading().context);
    let (l, both) = (tiny.clip_l.hidden, tiny.clip_l.hidden + tiny.clip_g.hidden);
    // Which of CLIP-L's, CLIP-G's and T5's features are others than those of the plain prompt.
    let mut others = |prompt: Prompt<'_>| {
        let other = bench.encode(&[prompt]).expect("encoded").conditionings.remove(0);
        let differs = |rows: std::ops::Range<usize>, cols: std::ops::Range<usize>| {
            rows.into_iter().any(|row| {
                let range = row * features + cols.start..row * features + cols.end;
                plain.context[range.clone()] != other.context[range]
            })
        };
        assert_eq!(plain.pooled[..l] != other.pooled[..l], differs(0..77, 0..l));
        assert_eq!(plain.pooled[l..] != other.pooled[l..], differs(0..77, l..both));
        assert!(other.context[..77 * features].chunks(features).all(|row| row[both..].iter().all(|x| *x == 0.0)));
        [differs(0..77, 0..l), differs(0..77, l..both), differs(77..77 + 12, 0..features)]
    };
    let cat = Prompt::new("a red cat");
    assert_eq!(others(Prompt { prompt: "a blue dog", ..cat }), [true, true, true]);
    assert_eq!(others(Prompt { prompt_2: Some("a blue dog"), ..cat }), [false, true, false]);
    assert_eq!(others(Prompt { prompt_3: Some("a blue dog"), ..cat }), [false, false, true]);
    assert_eq!(others(Prompt { prompt_2: Some(""), prompt_3: Some(""), ..cat }), [false, false, false]);
}

#[test]
fn without_t5_its_rows_are_zeros() {
    let with = Bench::new(parts(), Stay::Go).encode(&[Prompt::new("a cat")]).expect("encoded").conditionings.remove(0);
    let mut bench = Bench::new(Parts { t5: None, ..parts() }, Stay::Go);
    let without = bench.encode(&[Prompt::new("a cat")]).expect("encoded").conditionings.remove(0);
    let clips = 77 * reading().context;
    assert_eq!((without.tokens, without.context.len()), (77 + 12, with.context.len()));
    assert_eq!(without.context[..clips], with.context[..clips]);
    assert!(without.context[clips..].iter().all(|number| *number == 0.0));
    assert_eq!(without.pooled, with.pooled);
}

#[test]
fn losses_are_told_once() {
    let mut bench = Bench::new(parts(), Stay::Go);
    let long = "a lighthouse above the harbour at dawn";
    let encoded = bench.encode(&[Prompt::new(long), Prompt::new("a cat"), Prompt::new(long)]).expect("encoded");
    let [lost] = encoded.truncated.as_slice() else { panic!("{:?}", encoded.truncated) };
    assert_eq!((lost.encoder, lost.limit), (Encoder::T5, 12));
    assert!(long.ends_with(&lost.lost) && lost.lost.ends_with("dawn"), "{lost}");
    assert_eq!(bench.encoders.truncated(&[Prompt::new(long)]).expect("read"), encoded.truncated);
    assert!(lost.to_string().contains("12 tokens"), "{lost}");
}

#[test]
fn weights_stay_or_go() {
    for (stay, expected) in [(Stay::Stay, Encoder::ALL.to_vec()), (Stay::Go, vec![])] {
        let mut bench = Bench::new(parts(), stay);
        bench.encode(&[Prompt::new("a cat")]).expect("encoded");
        assert_eq!(bench.loaded.encoders(), expected);
        bench.loaded.clear();
        // All of it is in the cache, so that nothing is loaded again.
        bench.encode(&[Prompt::new("a cat")]).expect("encoded");
        assert_eq!(bench.loaded.encoders(), []);
    }
}

#[test]
fn it_can_be_stopped() {
    let asked = Cell::new(0);
    let stop = || {
        asked.set(asked.get() + 1);
        asked.get() == 5
    };
    let mut bench = Bench::new(parts(), Stay::Go);
    assert_eq!(bench.encode_until(&[Prompt::new("a cat")], &stop), Err(DiffusionError::Cancelled));
    assert_eq!(asked.get(), 5);
    assert_eq!(bench.cache.bytes(), 0, "half an embedding is none");
}

/// Opening fails, and says all of `words`.
fn refused(parts: Parts, reading: Reading, words: &[&str]) {
    let err = Encoders::new(parts, reading).map(|_| ()).expect_err("no encoders").to_string();
    for word in words {
        assert!(err.contains(word), "{err:?} says nothing of {word:?}");
    }
}

#[test]
fn what_is_missing_is_named() {
    let without = |change: &dyn Fn(&mut Parts)| {
        let mut parts = parts();
        change(&mut parts);
        parts
    };
    refused(without(&|parts| parts.clip_l = None), reading(), &["CLIP-L text encoder", "weights pull"]);
    refused(without(&|parts| parts.clip_g = None), reading(), &["CLIP-G text encoder"]);
    let tokenizer = |parts: &mut Parts| parts.clip_g.iter_mut().for_each(|part| part.tokenizer = None);
    refused(without(&tokenizer), reading(), &["CLIP-G tokenizer", "--tokenizers", "weights pull"]);
    let tokenizer = |parts: &mut Parts| parts.t5.iter_mut().for_each(|part| part.tokenizer = None);
    refused(without(&tokenizer), reading(), &["T5 tokenizer"]);
    let other = |parts: &mut Parts| parts.t5.iter_mut().for_each(|part| part.config.vocabulary = 100);
    refused(without(&other), reading(), &["T5 tokenizer", "another model"]);
    let other = |parts: &mut Parts| parts.clip_l.iter_mut().for_each(|part| part.config.layers = 0);
    refused(without(&other), reading(), &["CLIP-L", "no layers"]);
    let other = |parts: &mut Parts| parts.clip_l.iter_mut().for_each(|part| part.config.positions = 76);
    refused(without(&other), reading(), &["76", "77"]);
    refused(parts(), Reading { context: 351, ..reading() }, &["351", "another model"]);
    refused(parts(), Reading { pooled: 319, ..reading() }, &["319"]);
    refused(parts(), Reading { t5_tokens: 0, ..reading() }, &["0 tokens"]);
    refused(parts(), Reading { t5_tokens: 513, ..reading() }, &["513 tokens"]);
}

#[test]
fn damaged_weights_are_told_by_name() {
    let mut parts = parts();
    if let Some(part) = &mut parts.clip_g {
        let values = vec![f32::NAN; part.config.hidden];
        let tensor = crate::param::Tensor::of_f32(vec![part.config.hidden], &values);
        part.params.0.insert("text_model.final_layer_norm.bias".to_owned(), crate::param::Param::whole(tensor));
    }
    let err = Bench::new(parts, Stay::Go).encode(&[Prompt::new("a cat")]).expect_err("not finite").to_string();
    assert!(err.contains("CLIP-G"), "{err}");
}

#[test]
fn the_end_token_is_found() {
    let check = |end: u32, ids: &[u32], expected: usize| {
        assert_eq!(clip::end_place(&ClipConfig { end, ..Tiny::medium().clip_l }, ids), expected, "{end} in {ids:?}");
    };
    // Configurations that say 2: the highest number, at its first place.
    check(2, &[8, 4, 9, 9, 9], 2);
    check(2, &[8, 2, 9, 0, 0], 2);
    check(2, &[9, 4, 9, 0, 0], 0);
    // Others say what they mean.
    check(9, &[8, 4, 9, 9, 9], 2);
    check(7, &[8, 7, 9, 7, 0], 1);
    check(7, &[8, 4, 9, 0, 0], 0);
}

#[test]
fn texts_of_a_batch_do_not_see_each_other() {
    let tiny = Tiny::medium();
    let run = |graph, params: &Params, output: &str, ids: &[u32]| {
        let program = Program::new(graph, Precision::F32);
        // Kept buffers stand behind the scratch.
        let at =
            |index: usize| program.scratch_bytes + program.kept[..index].iter().map(|kept| kept.bytes).sum::<u64>();
        let kept: Vec<u64> = (0..program.kept.len()).map(at).collect();
        let mut memory = vec![DIRT; at(kept.len()) as usize];
        let span = |name: &str| {
            let (index, kept) = program.kept(name).expect("a buffer");
            let len = kept.rows * kept.cols;
            Span { offset: at(index), len, element: kept.element, precision: Precision::F32 }
        };
        let (from, to) = (span("ids"), span(output));
        Plain.write_ids(&mut memory, from, ids).expect("written");
        Plain.run(&program, params, &mut memory, Bases { scratch: 0, kept: &kept }, &|| false).expect("a run");
        let mut numbers = vec![0.0; to.len];
        Plain.read(&memory, to, &mut numbers).expect("read");
        numbers
    };
    let texts: [Vec<u32>; 2] = [(0..77).map(|id| id * 7 % 150).collect(), (0..77).map(|id| id * 5 % 140).collect()];
    let both = texts.concat();
    let clip = params(tiny.clip_g_values());
    for output in ["penultimate", "last"] {
        let alone = texts.each_ref().map(|ids| run(clip::graph(&tiny.clip_g, 1), &clip, output, ids));
        assert_eq!(run(clip::graph(&tiny.clip_g, 2), &clip, output, &both), alone.concat(), "{output}");
    }
    let params = params(tiny.t5_values());
    let alone = texts.each_ref().map(|ids| run(t5::graph(&tiny.t5, 77, 1), &params, "hidden", ids));
    assert_eq!(run(t5::graph(&tiny.t5, 77, 2), &params, "hidden", &both), alone.concat());
}

/// Where buckets begin, as transformers' `_relative_position_bucket` has them for every distance that T5 can see.
#[test]
fn buckets_are_those_of_transformers() {
    let check = |buckets: usize, distance: usize, relative: i32, expected: usize| {
        let (key, query) = (600usize.saturating_add_signed(relative as isize), 600);
        assert_eq!(bucket(key, query, buckets, distance), expected, "{relative} of {buckets} to {distance}");
    };
    let starts = [-90, -63, -45, -31, -22, -15, -11, -7, -6, -5, -4, -3, -2, -1, 0];
    for relative in -511..=0 {
        let below = starts.iter().filter(|start| **start <= relative).count();
        check(32, 128, relative, 15 - below);
    }
    let starts = [1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91];
    for relative in 1..=511 {
        let below = starts.iter().filter(|start| **start <= relative).count();
        check(32, 128, relative, 16 + below);
    }
    let places = [-70, -19, -10, -4, -3, 0, 2, 5, 11, 63];
    for (buckets, distance, expected) in [
        (16, 64, [7, 6, 5, 4, 3, 0, 10, 12, 13, 15]),
        (32, 20, [15, 15, 9, 4, 3, 0, 18, 21, 26, 31]),
        (8, 128, [3, 3, 2, 2, 2, 0, 6, 6, 6, 7]),
    ] {
        places.into_iter().zip(expected).for_each(|(place, expected)| check(buckets, distance, place, expected));
    }
}
