//! Prompts through tokenizers and text encoders, as `encode_prompt` has them.

use thumbforge_diffusion::device::Device;
use thumbforge_diffusion::dtype::Precision;
use thumbforge_diffusion::text::cache::Cache;
use thumbforge_diffusion::text::encode::{Conditioning, Encoders, Loaded, Part, Parts, Prompt, Reading, Stay, Work};
use thumbforge_diffusion::text::tokenizer::{Encoder, Tokenizer};
use thumbforge_diffusion::tiny::params;

use crate::close::{assert_close, rms};
use crate::engine::on_every_device;
use crate::fixture::{Case, REFERENCES, number, numbers, single, text};

/// In parts of the largest number. 1e-5 is promised; singles added in another order differ by 1e-6 here.
const TOLERANCE: f64 = 1e-5;
/// Ours in bf16 may be this much further from diffusers in singles than diffusers' own bf16 is: a pooled text is one row of
/// some hundred numbers, and the luck of their rounding is a tenth.
const BF16_MORE: f64 = 1.1;

fn prompts(case: &Case) -> [String; 3] {
    let first = text(&case.asked["prompt"]);
    let other = |name: &str| case.asked[name].as_str().map_or_else(|| first.clone(), str::to_owned);
    [first.clone(), other("prompt_2"), other("prompt_3")]
}

fn folder(encoder: Encoder) -> std::path::PathBuf {
    let name = match encoder {
        Encoder::ClipL => "tokenizer",
        Encoder::ClipG => "tokenizer_2",
        Encoder::T5 => "tokenizer_3",
    };
    REFERENCES.folder.join("tokenizers").join(name)
}

/// Whether CLIP-L's projection is in its file where it is the identity.
#[derive(Clone, Copy, PartialEq)]
enum Identity {
    Stored,
    Absent,
}

fn encode<D: Device>(device: &D, case: &Case, precision: Precision, identity: Identity) -> Conditioning {
    let model = case.model();
    let mut clip_l = params(model.clip_l_values());
    if identity == Identity::Absent && model.clip_l_identity {
        clip_l.0.remove("text_projection.weight");
    }
    let with_t5 = case.asked["t5"] == true;
    let tokenizer = |encoder| Some(folder(encoder));
    let parts = Parts {
        clip_l: Some(Part { config: model.clip_l.clone(), params: clip_l, tokenizer: tokenizer(Encoder::ClipL) }),
        clip_g: Some(Part {
            config: model.clip_g.clone(),
            params: params(model.clip_g_values()),
            tokenizer: tokenizer(Encoder::ClipG),
        }),
        t5: with_t5.then(|| Part {
            config: model.t5.clone(),
            params: params(model.t5_values()),
            tokenizer: tokenizer(Encoder::T5),
        }),
        identity: [0; 32],
    };
    let reading = Reading {
        t5_tokens: number(&case.asked["t5_tokens"]),
        clip: precision,
        t5: precision,
        context: model.mmdit.context,
        pooled: model.mmdit.pooled,
    };
    let encoders = Encoders::new(parts, reading).expect("encoders");
    let mut memory = device.reserve(encoders.memory_bytes()).expect("memory");
    let (mut loaded, mut cache) = (Loaded::new(Stay::Go), Cache::default());
    let mut work = Work { device, memory: &mut memory, at: 0, loaded: &mut loaded, cache: &mut cache, stop: &|| false };
    let prompts = prompts(case);
    let prompt = Prompt { prompt: &prompts[0], prompt_2: Some(&prompts[1]), prompt_3: Some(&prompts[2]) };
    let mut encoded = encoders.encode(&mut work, &[prompt]).expect("encoded");
    assert_eq!(encoded.conditionings.len(), 1);
    encoded.conditionings.remove(0)
}

/// The rows of the context that the references keep.
fn rows(case: &Case, conditioning: &Conditioning) -> Vec<f32> {
    assert_eq!(conditioning.tokens, number(&case.asked["tokens"]), "{}", case.name);
    let features = conditioning.context.len() / conditioning.tokens;
    let rows = numbers(&case.asked["rows"]);
    rows.iter().flat_map(|row| conditioning.context[row * features..][..features].to_vec()).collect()
}

#[test]
fn token_numbers_are_those_of_transformers() {
    for case in REFERENCES.cases("text") {
        let limits = [77, 77, number(&case.asked["t5_tokens"])];
        for (place, encoder) in Encoder::ALL.into_iter().enumerate() {
            let name = format!("ids{place}");
            if !case.has(&name) {
                continue;
            }
            let tokenizer = Tokenizer::open(encoder, &folder(encoder)).expect("a tokenizer");
            let tokens = tokenizer.encode(&prompts(&case)[place], limits[place]).expect("tokens");
            let expected: Vec<u32> = case.integers(&name).into_iter().map(|id| id as u32).collect();
            assert_eq!(tokens.ids, expected, "{} {encoder}", case.name);
        }
    }
}

#[test]
fn contexts_are_those_of_diffusers() {
    for case in REFERENCES.cases("text") {
        for identity in [Identity::Stored, Identity::Absent] {
            on_every_device!(device, name => {
                let (got, name) = (encode(device, &case, Precision::F32, identity), format!("{} on {name}", case.name));
                assert_close(&name, &rows(&case, &got), &case.singles("embeds"), TOLERANCE);
                assert_close(&name, &got.pooled, &case.singles("pooled"), TOLERANCE);
            });
        }
    }
}

#[test]
fn bf16_stays_near() {
    for case in REFERENCES.cases("text") {
        on_every_device!(device, device_name => {
            let got = encode(device, &case, Precision::Bf16, Identity::Absent);
            for (name, got, expected, torch) in [
                ("context", rows(&case, &got), case.singles("embeds"), single(&case.asked["bf16_rms"])),
                ("pooled", got.pooled, case.singles("pooled"), single(&case.asked["bf16_rms_pooled"])),
            ] {
                let off = rms(&got, &expected);
                println!("{} {name} on {device_name}: {off:.2e}, torch {torch:.2e}", case.name);
                assert!(off <= BF16_MORE * f64::from(torch), "{} {name}: {off}, torch {torch}", case.name);
                // Nobody computes in singles where bf16 is asked for.
                assert!(off > 1e-4, "{} {name}: {off} is too good for bf16", case.name);
            }
        });
    }
}
