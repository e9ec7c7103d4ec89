//! LoRAs in the names of whoever trained them.

use super::*;

/// Numbers of a small matrix that no two places share.
fn matrix(name: &str, shape: &[usize], seed: f32) -> Values {
    let count: usize = shape.iter().product();
    values(name, shape, (0..count).map(|place| ((place as f32 + 1.0) * seed).sin()).collect())
}

/// A model, and a folder for LoRAs.
struct Bench {
    folder: tempfile::TempDir,
    sources: Sources,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let model = small().write_single(folder.path(), Encoders::Apart).unwrap();
        Self { sources: sources(&model), folder }
    }

    fn file(&self, name: &str, tensors: &[Values], metadata: &[(&str, &str)]) -> PathBuf {
        let folder = self.folder.path().join("loras");
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(name);
        let heads: Vec<Head> =
            tensors.iter().map(|tensor| Head::new(&tensor.name, DType::F32, &tensor.shape)).collect();
        let metadata = metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let mut file = fs::File::create(&path).unwrap();
        write::safetensors(&mut file, &heads, &metadata, |index, out| {
            out.write_all(&write::encode(DType::F32, &tensors[index].values).unwrap())
        })
        .unwrap();
        path
    }

    fn with(&self, loras: &[(PathBuf, f32)]) -> Sources {
        Sources { loras: loras.to_vec(), ..self.sources.clone() }
    }

    /// The LoRA of these tensors changes `param` by `scale · up · down` in these rows, and nothing else.
    fn check(&self, tensors: &[Values], metadata: &[(&str, &str)], weight: f32, expected: &[(&str, Change)]) {
        let path = self.file("one.safetensors", tensors, metadata);
        let opened = open(&self.with(&[(path.clone(), weight)])).unwrap();
        assert_eq!(opened.loras.len(), 1);
        assert_eq!((&opened.loras[0].path, opened.loras[0].weight), (&path, weight));
        let base = open(&self.sources).unwrap();
        for (part, adapted, plain) in [
            ("mmdit", &opened.mmdit.params, &base.mmdit.params),
            ("clip_l", &opened.clip_l.as_ref().unwrap().params, &base.clip_l.as_ref().unwrap().params),
            ("clip_g", &opened.clip_g.as_ref().unwrap().params, &base.clip_g.as_ref().unwrap().params),
            ("t5", &opened.t5.as_ref().unwrap().params, &base.t5.as_ref().unwrap().params),
        ] {
            for (name, param) in &adapted.0 {
                let mut numbers_expected = numbers(plain.get(name).unwrap());
                let full = format!("{part}:{name}");
                for (_, change) in expected.iter().filter(|(changed, _)| *changed == full) {
                    change.apply(&mut numbers_expected, param.row_len());
                }
                for (got, expected) in numbers(param).iter().zip(&numbers_expected) {
                    assert!((got - expected).abs() <= 1e-5, "{full}: {got} against {expected}");
                }
                let changes = expected.iter().filter(|(changed, _)| *changed == full).count();
                assert_eq!(param.adapters.len(), changes, "{full}");
            }
        }
    }
}

/// What is added to rows of a parameter.
struct Change {
    rows: std::ops::Range<usize>,
    up: Values,
    /// The first row of `up` that is used.
    from: usize,
    down: Values,
    scale: f32,
}

impl Change {
    fn apply(&self, target: &mut [f32], row_len: usize) {
        let rank = self.down.shape[0];
        for (place, row) in self.rows.clone().enumerate() {
            for column in 0..row_len {
                let product: f32 = (0..rank)
                    .map(|index| {
                        self.up.values[(self.from + place) * rank + index] * self.down.values[index * row_len + column]
                    })
                    .sum();
                target[row * row_len + column] += self.scale * product;
            }
        }
    }
}

const QKV: &str = "mmdit:joint_blocks.0.x_block.attn.qkv.weight";

#[test]
fn three_styles_of_names() {
    let bench = Bench::new();
    let change = |scale: f32| Change {
        rows: 0..192,
        up: matrix("", &[192, 2], 0.7),
        from: 0,
        down: matrix("", &[2, 64], 0.3),
        scale,
    };
    let pair = |down: &str, up: &str| vec![matrix(down, &[2, 64], 0.3), matrix(up, &[192, 2], 0.7)];
    for prefix in ["", "diffusion_model.", "model.diffusion_model.", "transformer.", "base_model.model."] {
        let module = format!("{prefix}joint_blocks.0.x_block.attn.qkv");
        let tensors = pair(&format!("{module}.lora_A.weight"), &format!("{module}.lora_B.weight"));
        bench.check(&tensors, &[], 0.5, &[(QKV, change(0.5))]);
        let tensors = pair(&format!("{module}.lora.down.weight"), &format!("{module}.lora.up.weight"));
        bench.check(&tensors, &[], -1.0, &[(QKV, change(-1.0))]);
    }
    // kohya divides its alpha by the rank.
    let module = "lora_unet_joint_blocks_0_x_block_attn_qkv";
    let mut tensors = pair(&format!("{module}.lora_down.weight"), &format!("{module}.lora_up.weight"));
    bench.check(&tensors, &[], 1.0, &[(QKV, change(1.0))]);
    tensors.push(values(&format!("{module}.alpha"), &[], vec![0.5]));
    bench.check(&tensors, &[], 2.0, &[(QKV, change(2.0 * 0.5 / 2.0))]);
}

/// diffusers keeps q, k and v apart, and halves of two layers in the other order.
#[test]
fn modules_of_diffusers_find_their_rows() {
    let bench = Bench::new();
    let hidden = 64;
    for (index, module) in ["to_q", "to_k", "to_v"].into_iter().enumerate() {
        let name = format!("transformer.transformer_blocks.0.attn.{module}");
        let down = matrix(&format!("{name}.lora_A.weight"), &[3, hidden], 0.2);
        let up = matrix(&format!("{name}.lora_B.weight"), &[hidden, 3], 0.9);
        let rows = index * hidden..(index + 1) * hidden;
        let change = Change { rows, up: up.clone(), from: 0, down: down.clone(), scale: 1.0 };
        bench.check(&[down, up], &[], 1.0, &[(QKV, change)]);
    }
    for (module, param) in [
        ("norm_out.linear", "mmdit:final_layer.adaLN_modulation.1.weight"),
        ("transformer_blocks.1.norm1_context.linear", "mmdit:joint_blocks.1.context_block.adaLN_modulation.1.weight"),
    ] {
        for kohya in [false, true] {
            let name = match kohya {
                true => format!("lora_transformer_{}", module.replace('.', "_")),
                false => format!("transformer.{module}"),
            };
            let (a, b) = if kohya { ("lora_down", "lora_up") } else { ("lora_A", "lora_B") };
            let down = matrix(&format!("{name}.{a}.weight"), &[2, hidden], 0.4);
            let up = matrix(&format!("{name}.{b}.weight"), &[2 * hidden, 2], 0.8);
            let half = |rows: std::ops::Range<usize>, from: usize| Change {
                rows,
                up: up.clone(),
                from,
                down: down.clone(),
                scale: 1.0,
            };
            let changes = [(param, half(0..hidden, hidden)), (param, half(hidden..2 * hidden, 0))];
            bench.check(&[down.clone(), up.clone()], &[], 1.0, &changes);
        }
    }
    // A convolution, unrolled as its rows are.
    let name = "transformer.pos_embed.proj";
    let down = matrix(&format!("{name}.lora_A.weight"), &[2, 16, 2, 2], 0.4);
    let up = matrix(&format!("{name}.lora_B.weight"), &[64, 2, 1, 1], 0.8);
    let change = Change { rows: 0..64, up: up.clone(), from: 0, down: down.clone(), scale: 1.0 };
    bench.check(&[down, up], &[], 1.0, &[("mmdit:x_embedder.proj.weight", change)]);
}

#[test]
fn text_encoders() {
    let bench = Bench::new();
    let clip = "text_model.encoder.layers.0.self_attn.q_proj";
    let t5 = "encoder.block.1.layer.0.SelfAttention.q";
    for (module, suffix, target, width) in [
        (format!("text_encoder.{clip}"), ["lora_A", "lora_B"], format!("clip_l:{clip}.weight"), 64),
        (
            format!("text_encoder.{clip}"),
            ["lora_linear_layer.down", "lora_linear_layer.up"],
            format!("clip_l:{clip}.weight"),
            64,
        ),
        (format!("text_encoder_2.{clip}"), ["lora_A", "lora_B"], format!("clip_g:{clip}.weight"), 128),
        (
            format!("text_encoders.clip_g.transformer.{clip}"),
            ["lora_A", "lora_B"],
            format!("clip_g:{clip}.weight"),
            128,
        ),
        (format!("lora_te1_{}", clip.replace('.', "_")), ["lora_down", "lora_up"], format!("clip_l:{clip}.weight"), 64),
        (
            format!("lora_te2_{}", clip.replace('.', "_")),
            ["lora_down", "lora_up"],
            format!("clip_g:{clip}.weight"),
            128,
        ),
        (format!("lora_te3_{}", t5.replace('.', "_")), ["lora_down", "lora_up"], format!("t5:{t5}.weight"), 64),
    ] {
        let [down, up] = suffix;
        let down = matrix(&format!("{module}.{down}.weight"), &[2, width], 0.6);
        let up = matrix(&format!("{module}.{up}.weight"), &[width, 2], 0.5);
        let change = Change { rows: 0..width, up: up.clone(), from: 0, down: down.clone(), scale: 1.0 };
        bench.check(&[down, up], &[], 1.0, &[(&target, change)]);
    }
    // An encoder that is not there cannot be changed.
    let module = "lora_te3_encoder_block_1_layer_0_SelfAttention_q";
    let tensors = [
        matrix(&format!("{module}.lora_down.weight"), &[2, 64], 0.6),
        matrix(&format!("{module}.lora_up.weight"), &[64, 2], 0.5),
    ];
    let path = bench.file("t5.safetensors", &tensors, &[]);
    fs::remove_file(bench.folder.path().join("t5xxl.safetensors")).unwrap();
    check_refused(&bench.with(&[(path, 1.0)]), &["changes the encoder t5", "opened without"]);
}

/// What diffusers writes beside the matrices.
#[test]
fn alpha_of_the_metadata() {
    let bench = Bench::new();
    let name = "transformer.transformer_blocks.0.attn.to_q";
    let down = matrix(&format!("{name}.lora_A.weight"), &[4, 64], 0.2);
    let up = matrix(&format!("{name}.lora_B.weight"), &[64, 4], 0.9);
    for (said, scale) in [
        ("{\"transformer.lora_alpha\": 8, \"transformer.r\": 4}", 2.0),
        ("{\"transformer.lora_alpha\": 8, \"transformer.use_rslora\": true}", 4.0),
        ("{\"text_encoder.lora_alpha\": 8}", 1.0),
        ("no JSON", 1.0),
    ] {
        let change = Change { rows: 0..64, up: up.clone(), from: 0, down: down.clone(), scale };
        bench.check(&[down.clone(), up.clone()], &[("lora_adapter_metadata", said)], 1.0, &[(QKV, change)]);
    }
}

#[test]
fn several_are_added_in_their_order_and_hashed() {
    let bench = Bench::new();
    let name = "joint_blocks.0.x_block.attn.qkv";
    let of = |file: &str, seed: f32| {
        let tensors = [
            matrix(&format!("{name}.lora_A.weight"), &[2, 64], seed),
            matrix(&format!("{name}.lora_B.weight"), &[192, 2], seed),
        ];
        bench.file(file, &tensors, &[])
    };
    let (one, two) = (of("one.safetensors", 0.1), of("two.safetensors", 0.2));
    let opened = open(&bench.with(&[(one.clone(), 1.0), (two.clone(), -0.5)])).unwrap();
    let adapters = &opened.mmdit.params.get(&QKV["mmdit:".len()..]).unwrap().adapters;
    assert_eq!(adapters.iter().map(|adapter| adapter.scale).collect::<Vec<_>>(), [1.0, -0.5]);
    assert_eq!(opened.loras.iter().map(|lora| lora.targets).collect::<Vec<_>>(), [1, 1]);
    let hashes = opened.lora_hashes(&NoCache).unwrap();
    let expected = [&one, &two].map(|path| *blake3::hash(&fs::read(path).unwrap()).as_bytes());
    assert_eq!(hashes, expected);
    // The model is the same with and without them.
    assert_eq!(opened.hash(&NoCache).unwrap(), open(&bench.sources).unwrap().hash(&NoCache).unwrap());
}

#[test]
fn what_does_not_fit_is_refused() {
    let bench = Bench::new();
    let case = |tensors: &[Values], weight: f32, pieces: &[&str]| {
        let path = bench.file("bad.safetensors", tensors, &[]);
        check_refused(&bench.with(&[(path, weight)]), pieces);
    };
    let name = "joint_blocks.0.x_block.attn.qkv";
    let down = matrix(&format!("{name}.lora_A.weight"), &[2, 64], 0.1);
    let up = matrix(&format!("{name}.lora_B.weight"), &[192, 2], 0.1);
    let with = |more: Values| [down.clone(), up.clone(), more];
    case(&[matrix("a.weight", &[2, 2], 0.1)], 1.0, &["no LoRA", "\"a.weight\""]);
    case(std::slice::from_ref(&down), 1.0, &["no LoRA"]);
    case(&[down.clone(), up.clone()], f32::NAN, &["its weight is NaN"]);
    case(
        &with(matrix("joint_blocks.0.x_block.attn.proj.lora_A.weight", &[2, 64], 0.1)),
        1.0,
        &["one of its two matrices is missing"],
    );
    case(&with(matrix(&format!("{name}.dora_scale"), &[1, 64], 0.1)), 1.0, &["DoRA", "dora_scale"]);
    case(&with(matrix(&format!("{name}.diff_b"), &[64], 0.1)), 1.0, &["not supported"]);
    case(&with(matrix("what", &[64], 0.1)), 1.0, &["tensors that no LoRA has", "\"what\""]);
    case(&with(matrix(&format!("{name}.lora_down.weight"), &[2, 64], 0.1)), 1.0, &["same matrix in two names"]);
    let wide = matrix(&format!("{name}.lora_A.weight"), &[2, 65], 0.1);
    case(
        &[wide, up.clone()],
        1.0,
        &["do not fit joint_blocks.0.x_block.attn.qkv.weight of 192 rows of 64", "another model"],
    );
    let short = matrix(&format!("{name}.lora_B.weight"), &[191, 2], 0.1);
    case(&[down.clone(), short], 1.0, &["do not fit"]);
    let rank = matrix(&format!("{name}.lora_B.weight"), &[192, 3], 0.1);
    case(&[down.clone(), rank], 1.0, &["no common rank"]);
    case(&with(values(&format!("{name}.alpha"), &[], vec![f32::INFINITY])), 1.0, &["its alpha is inf"]);
    case(&with(values(&format!("{name}.alpha"), &[2], vec![1.0, 1.0])), 1.0, &["its alpha is not one number"]);
    let elsewhere: Vec<Values> = (5..10)
        .flat_map(|block| {
            ["lora_A", "lora_B"]
                .map(|leaf| matrix(&format!("joint_blocks.{block}.x_block.attn.qkv.{leaf}.weight"), &[2, 2], 0.1))
        })
        .collect();
    case(&elsewhere, 1.0, &["5 of its 5 modules are not in this model", "joint_blocks.5.", "and 2 more"]);
    check_refused(&bench.with(&[(bench.folder.path().join("gone"), 1.0)]), &["gone"]);
}
