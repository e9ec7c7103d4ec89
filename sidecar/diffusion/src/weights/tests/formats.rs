//! Number formats, prefixes and containers that people have.

use super::*;
use crate::weights::write::{Value, encode};

/// A transformer in GGUF, matrices in `dtype`.
fn put_gguf(path: &Path, tensors: &[Values], dtype: DType, values: &[(String, Value)]) {
    let fits = |tensor: &Values| tensor.shape.len() == 2 && tensor.shape[1].is_multiple_of(dtype.block_len());
    let heads: Vec<Head> = tensors
        .iter()
        .map(|tensor| Head::new(&tensor.name, if fits(tensor) { dtype } else { DType::F32 }, &tensor.shape))
        .collect();
    let mut file = fs::File::create(path).unwrap();
    write::gguf(&mut file, &heads, values, |index, out| {
        out.write_all(&encode(heads[index].dtype, &tensors[index].values).unwrap())
    })
    .unwrap();
}

/// Root of the mean square of the difference over that of the values.
fn distance(got: &[f32], expected: &[f32]) -> f64 {
    let square = |numbers: &mut dyn Iterator<Item = f32>| numbers.map(|number| f64::from(number).powi(2)).sum::<f64>();
    let difference = square(&mut got.iter().zip(expected).map(|(got, expected)| got - expected));
    (difference / square(&mut expected.iter().copied()).max(1e-30)).sqrt()
}

/// All parameters are there, and no farther from the numbers than the format's steps explain.
fn check_near(params: &Params, expected: &[Values], most: f64) {
    assert_eq!(params.0.len(), expected.len());
    for tensor in expected {
        let param = params.get(&tensor.name).unwrap();
        assert_eq!(param.shape, tensor.shape);
        let distance = distance(&numbers(param), &tensor.values);
        assert!(distance <= most, "{}: {distance}", tensor.name);
    }
}

#[test]
fn transformers_of_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let tensors = small().mmdit_values();
    for dtype in [DType::F32, DType::F16, DType::Bf16, DType::F8E4M3] {
        let path = folder.path().join(format!("{}.safetensors", dtype.word()));
        put(&path, &tensors, dtype);
        let opened = open(&sources(&path)).unwrap();
        // Half a step of 24, 11, 8 and 4 bits; uniform errors are smaller still.
        let most = match dtype {
            DType::F32 => 0.0,
            DType::F16 => 3e-4,
            DType::Bf16 => 2.5e-3,
            _ => 0.04,
        };
        assert_eq!(opened.mmdit.config, small().mmdit);
        check_near(&opened.mmdit.params, &tensors, most);
    }
    // ComfyUI's GGUF files have no prefix, others have one; steps of Q8_0 are 1/127 of the largest of 32.
    for prefix in ["", "model.diffusion_model."] {
        for (dtype, most) in [(DType::Q8_0, 0.01), (DType::F16, 3e-4)] {
            let mut named = tensors.clone();
            named.iter_mut().for_each(|tensor| tensor.name.insert_str(0, prefix));
            let path = folder.path().join("model.gguf");
            put_gguf(&path, &named, dtype, &[("general.architecture".into(), Value::Text("sd3".into()))]);
            let opened = open(&sources(&path)).unwrap();
            assert_eq!(opened.mmdit.config, small().mmdit);
            assert_eq!(opened.mmdit.params.get("t_embedder.mlp.2.weight").unwrap().parts[0].tensor.dtype(), dtype);
            check_near(&opened.mmdit.params, &tensors, most);
        }
    }
}

/// A tensor that was stored with rows of another length, as the converter does where blocks do not fit.
#[test]
fn sides_that_a_converter_noted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    let mut tensors = small().mmdit_values();
    let name = "x_embedder.proj.weight";
    let place = tensors.iter().position(|tensor| tensor.name == name).unwrap();
    let shape = tensors[place].shape.clone();
    assert_eq!(shape, [64, 16, 2, 2]);
    let original = tensors.clone();
    tensors[place].shape = vec![16, 256];
    let note = |sides: &[i32]| vec![(gather::original_shape(name), Value::I32s(sides.to_vec()))];
    // The configuration of a converted file comes from elsewhere here, for its first layer says no sides.
    put_gguf(&path, &tensors, DType::Q8_0, &note(&[64, 16, 2, 2]));
    let files = Files::open(&path).unwrap();
    let found = find::parts(&files).remove(0);
    let wants = names::mmdit(&small().mmdit);
    let params = gather::gather(&files, &found, std::slice::from_ref(&found), &wants).unwrap();
    let param = params.get(name).unwrap();
    assert_eq!(param.parts[0].tensor.dtype(), DType::Q8_0);
    check_near(&params, &original, 0.01);
    for lie in [&[][..], &[64, 16, 4, 1], &[16, 256]] {
        put_gguf(&path, &tensors, DType::Q8_0, &note(lie));
        let files = Files::open(&path).unwrap();
        let reason = gather::gather(&files, &found, std::slice::from_ref(&found), &wants).unwrap_err().to_string();
        assert!(reason.contains("q8_0[16, 256]: expected [64, 16, 2, 2]"), "{reason}");
    }
}

/// llama.cpp's names of T5.
#[test]
fn t5_as_gguf() {
    let folder = tempfile::tempdir().unwrap();
    let tiny = small();
    let model = folder.path().join("model.safetensors");
    put(&model, &tiny.mmdit_values(), DType::F32);
    let named = |name: &str| {
        let (from, to) = [
            ("shared.weight", "token_embd.weight"),
            ("encoder.final_layer_norm", "enc.output_norm"),
            ("layer.0.SelfAttention.relative_attention_bias", "attn_rel_b"),
            ("layer.0.SelfAttention.q", "attn_q"),
            ("layer.0.SelfAttention.k", "attn_k"),
            ("layer.0.SelfAttention.v", "attn_v"),
            ("layer.0.SelfAttention.o", "attn_o"),
            ("layer.0.layer_norm", "attn_norm"),
            ("layer.1.DenseReluDense.wi_0", "ffn_gate"),
            ("layer.1.DenseReluDense.wi_1", "ffn_up"),
            ("layer.1.DenseReluDense.wo", "ffn_down"),
            ("layer.1.layer_norm", "ffn_norm"),
        ]
        .into_iter()
        .find(|(from, _)| name.contains(from))
        .unwrap();
        name.replace(from, to).replace("encoder.block.", "enc.blk.")
    };
    let tensors: Vec<Values> =
        tiny.t5_values().into_iter().map(|tensor| Values { name: named(&tensor.name), ..tensor }).collect();
    let path = folder.path().join("t5-encoder-Q8_0.gguf");
    put_gguf(&path, &tensors, DType::Q8_0, &[("tokenizer.ggml.tokens".into(), Value::Texts(vec!["a".into(); 9]))]);
    let t5 = open(&sources(&model)).unwrap().t5.unwrap();
    assert_eq!(t5.config, tiny.t5);
    assert_eq!(t5.files, [path]);
    check_near(&t5.params, &tiny.t5_values(), 0.01);
}

/// ComfyUI's scaled fp8, in its older and newer names.
#[test]
fn scaled_fp8() {
    let folder = tempfile::tempdir().unwrap();
    let (tiny, model) = (small(), folder.path().join("model.safetensors"));
    put(&model, &tiny.mmdit_values(), DType::F32);
    let path = folder.path().join("t5xxl_fp8_e4m3fn_scaled.safetensors");
    let write = |scale_leaf: &str, scale_shape: &[usize], scale_of: f32| {
        let (mut heads, mut bytes) = (Vec::new(), Vec::new());
        for tensor in tiny.t5_values() {
            let matrix = tensor.shape.len() == 2 && !tensor.name.contains("bias") && tensor.name != "shared.weight";
            let most = tensor.values.iter().fold(0f32, |most, number| most.max(number.abs()));
            let scale = if matrix { most / 448.0 } else { 1.0 };
            let numbers: Vec<f32> = tensor.values.iter().map(|number| number / scale).collect();
            let dtype = if matrix { DType::F8E4M3 } else { DType::F32 };
            heads.push(Head::new(&tensor.name, dtype, &tensor.shape));
            bytes.push(encode(dtype, &numbers).unwrap());
            if matrix {
                let stem = tensor.name.strip_suffix("weight").unwrap();
                heads.push(Head::new(format!("{stem}{scale_leaf}"), DType::F32, scale_shape));
                let count = scale_shape.iter().product();
                bytes.push(encode(DType::F32, &vec![scale * scale_of; count]).unwrap());
                heads.push(Head::new(format!("{stem}scale_input"), DType::F32, &[]));
                bytes.push(encode(DType::F32, &[7.0]).unwrap());
            }
        }
        heads.push(Head::new("scaled_fp8", DType::F8E4M3, &[0]));
        bytes.push(Vec::new());
        let mut file = fs::File::create(&path).unwrap();
        write::safetensors(&mut file, &heads, &BTreeMap::new(), |index, out| out.write_all(&bytes[index])).unwrap();
    };
    for leaf in ["scale_weight", "weight_scale"] {
        for shape in [&[][..], &[1]] {
            write(leaf, shape, 1.0);
            let t5 = open(&sources(&model)).unwrap().t5.unwrap();
            check_near(&t5.params, &tiny.t5_values(), 0.04);
        }
    }
    let given = Sources { t5: Some(path.clone()), ..sources(&model) };
    write("scale_weight", &[2], 1.0);
    check_refused(&given, &["scale_weight\" is f32[2]: expected one number"]);
    write("scale_weight", &[], f32::NAN);
    check_refused(&given, &["scale_weight\" is NaN"]);
}

/// Names under which parts of a whole model stand, and what is beside them.
#[test]
fn prefixes() {
    let folder = tempfile::tempdir().unwrap();
    let tiny = small();
    let path = folder.path().join("all.safetensors");
    let square = |mut tensor: Values| {
        if tensor.name.contains(".mid.attn_1.") && tensor.shape.len() == 2 {
            tensor.shape.extend([1, 1]);
        }
        tensor
    };
    for [mmdit, vae, text] in [
        ["model.diffusion_model.", "first_stage_model.", "text_encoders."],
        ["", "vae.", "text_encoders."],
        ["diffusion_model.", "", "cond."],
    ] {
        let mut tensors = Vec::new();
        let mut extend = |prefix: &str, part: Vec<Values>| {
            tensors
                .extend(part.into_iter().map(|tensor| Values { name: format!("{prefix}{}", tensor.name), ..tensor }));
        };
        extend(mmdit, tiny.mmdit_values());
        extend(vae, tiny.vae_values().into_iter().map(square).collect());
        extend(&format!("{text}clip_l.transformer."), tiny.clip_l_values());
        extend(&format!("{text}clip_g.transformer."), tiny.clip_g_values());
        let mut t5 = tiny.t5_values();
        // Some writers keep the table of tokens under its other name alone.
        t5.iter_mut().filter(|tensor| tensor.name == "shared.weight").for_each(|tensor| {
            tensor.name = "encoder.embed_tokens.weight".into();
        });
        extend(&format!("{text}t5xxl.transformer."), t5);
        tensors.push(values(&format!("{text}clip_l.logit_scale"), &[1], vec![4.6]));
        tensors.push(values(
            &format!("{text}clip_g.transformer.text_model.embeddings.position_ids"),
            &[1, 1],
            vec![0.0],
        ));
        put(&path, &tensors, DType::F32);
        // CLIP-L's projection is not used where the file is not diffusers'.
        check_all(&open(&sources(&path)).unwrap(), &tiny, false);
    }
}

/// OpenCLIP keeps the projection the other way round.
#[test]
fn a_projection_that_stands_the_other_way_round() {
    let folder = tempfile::tempdir().unwrap();
    let (tiny, model) = (small(), folder.path().join("model.safetensors"));
    put(&model, &tiny.mmdit_values(), DType::F32);
    let path = folder.path().join("clip_g.safetensors");
    let given = Sources { clip_g: Some(path.clone()), ..sources(&model) };
    let mut tensors = tiny.clip_g_values();
    let side = tiny.clip_g.hidden;
    let tensor = tensors.iter_mut().find(|tensor| tensor.name == "text_projection.weight").unwrap();
    tensor.name = "text_projection".into();
    let straight = tensor.values.clone();
    tensor.values = (0..side * side).map(|place| straight[place % side * side + place / side]).collect();
    put(&path, &tensors, DType::F32);
    check_params(&open(&given).unwrap().clip_g.unwrap().params, &tiny.clip_g_values());
    tensors.retain(|tensor| !tensor.name.contains("text_projection"));
    put(&path, &tensors, DType::F32);
    check_refused(&given, &["clip_g lacks \"text_projection.weight\""]);
}

/// A dtype that no weights may have, where a weight should be and where nobody looks.
#[test]
fn other_dtypes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    put(&path, &small().mmdit_values(), DType::F32);
    let bytes = fs::read(&path).unwrap();
    let header = bytes.iter().position(|byte| *byte == b'}').unwrap();
    let text = String::from_utf8_lossy(&bytes[8..header]).into_owned();
    let changed = text.replacen("F32", "I32", 1);
    fs::write(&path, [&bytes[..8], changed.as_bytes(), &bytes[header..]].concat()).unwrap();
    check_refused(&sources(&path), &["is stored as I32", "take a file in f32"]);
}

/// Tables that would not be what they say.
#[test]
fn what_the_writer_refuses() {
    let mut out = Vec::new();
    let head = |dtype, shape: &[usize]| [Head::new("a", dtype, shape)];
    let nothing = |_: usize, _: &mut dyn std::io::Write| Ok(());
    let none = BTreeMap::new();
    assert!(write::safetensors(&mut out, &head(DType::F32, &[2]), &none, nothing).is_err(), "too few bytes");
    assert!(write::safetensors(&mut out, &head(DType::Q8_0, &[32]), &none, nothing).is_err(), "no such dtype");
    assert!(write::gguf(&mut out, &head(DType::F8E4M3, &[2]), &[], nothing).is_err(), "no such dtype");
    assert!(write::gguf(&mut out, &head(DType::Q8_0, &[31]), &[], nothing).is_err(), "no whole block");
    assert_eq!(encode(DType::Q4K, &[0.0; 256]), None);
    assert_eq!(encode(DType::Q8_0, &[0.0; 31]), None);
}
