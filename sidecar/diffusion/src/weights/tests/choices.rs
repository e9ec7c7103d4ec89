//! Which file is taken for which part, and what is said where that is not plain.

use super::*;

/// A folder with a transformer and an autoencoder in one file, and the encoders apart.
fn apart(folder: &Path) -> PathBuf {
    small().write_single(folder, Encoders::Apart).unwrap()
}

#[test]
fn two_for_one_place_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = apart(folder.path());
    let at = |name: &str| folder.path().join(name);

    fs::copy(at("t5xxl.safetensors"), at("t5xxl_fp8.safetensors")).unwrap();
    for model in [folder.path(), &path] {
        check_refused(
            &sources(model),
            &["t5xxl_fp8.safetensors", "t5xxl.safetensors", "the encoder t5", "by its path"],
        );
    }
    // Given by its path, there is no question.
    let given = Sources { t5: Some(at("t5xxl_fp8.safetensors")), ..sources(&path) };
    let opened = open(&given);
    assert!(opened.is_ok(), "{opened:?}");
    fs::remove_file(at("t5xxl_fp8.safetensors")).unwrap();

    fs::copy(&path, at("zweites.safetensors")).unwrap();
    check_refused(&sources(folder.path()), &["zweites.safetensors", "it has a transformer, and so has"]);
    // A file beside it that has a transformer of its own is another model.
    let opened = open(&sources(&path)).unwrap();
    assert_eq!(opened.mmdit.files, [&*path]);
    assert_eq!(opened.files.len(), 4);
    fs::remove_file(at("zweites.safetensors")).unwrap();

    put(&at("ae.safetensors"), &small().vae_values(), DType::F32);
    check_refused(&sources(folder.path()), &["it has an autoencoder, and so has"]);
    assert_eq!(open(&sources(&path)).unwrap().vae.unwrap().files[0], path);
}

#[test]
fn an_encoder_is_told_by_its_tensors_not_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = apart(folder.path());
    let at = |name: &str| folder.path().join(name);
    fs::rename(at("clip_l.safetensors"), at("z.safetensors")).unwrap();
    fs::rename(at("clip_g.safetensors"), at("a.safetensors")).unwrap();
    fs::rename(at("t5xxl.safetensors"), at("model.safetensors")).unwrap();
    let opened = open(&sources(&path)).unwrap();
    assert_eq!(opened.clip_l.unwrap().files, [at("z.safetensors")]);
    assert_eq!(opened.clip_g.unwrap().files, [at("a.safetensors")]);
    assert_eq!(opened.t5.unwrap().files, [at("model.safetensors")]);

    // One CLIP alone, of no known size and without a name, could be either.
    fs::remove_file(at("a.safetensors")).unwrap();
    let opened = open(&sources(&path)).unwrap();
    assert!(opened.clip_l.is_none() && opened.clip_g.is_none());
    assert!(
        opened.skipped.iter().any(|(path, reason)| *path == at("z.safetensors") && reason.contains("CLIP-L or CLIP-G"))
    );
    fs::rename(at("z.safetensors"), at("clip-L.safetensors")).unwrap();
    assert!(open(&sources(&path)).unwrap().clip_l.is_some());
}

#[test]
fn encoders_are_found_in_the_usual_folders_and_what_is_damaged_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = apart(folder.path());
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("text_encoders")).unwrap();
    fs::rename(at("clip_g.safetensors"), at("text_encoders/clip_g.safetensors")).unwrap();
    let t5 = fs::read(at("t5xxl.safetensors")).unwrap();
    fs::write(at("t5xxl.safetensors"), &t5[..t5.len() - 1]).unwrap();
    let opened = open(&sources(&path)).unwrap();
    assert_eq!(opened.encoders(), [Encoder::ClipL, Encoder::ClipG]);
    let [(skipped, reason)] = &opened.skipped[..] else { panic!("{:?}", opened.skipped) };
    assert_eq!(*skipped, at("t5xxl.safetensors"));
    assert!(reason.contains("truncated"), "{reason}");
    // Asked for by its path, it is an error.
    check_refused(&Sources { t5: Some(at("t5xxl.safetensors")), ..sources(&path) }, &["t5xxl", "truncated"]);
}

#[test]
fn parts_given_by_path_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let path = apart(&folder.path().join("single"));
    let diffusers = folder.path().join("diffusers");
    small().write_diffusers(&diffusers, usize::MAX).unwrap();
    let beside = |name: &str| Some(path.with_file_name(name));
    let base = sources(&path);
    check_refused(
        &Sources { t5: beside("clip_l.safetensors"), ..base.clone() },
        &["it has the CLIP text encoder", "expected the T5"],
    );
    check_refused(
        &Sources { clip_l: beside("t5xxl.safetensors"), ..base.clone() },
        &["it has the T5 text encoder", "expected the CLIP"],
    );
    check_refused(&Sources { vae: beside("clip_l.safetensors"), ..base.clone() }, &["expected the autoencoder"]);
    check_refused(&Sources { t5: beside("gone.safetensors"), ..base.clone() }, &["gone.safetensors"]);
    // diffusers' folder of the part, or of all.
    for given in [diffusers.join("text_encoder_3"), diffusers.clone()] {
        let opened = open(&Sources { t5: Some(given), ..base.clone() }).unwrap();
        assert_eq!(opened.t5.unwrap().files, [diffusers.join("text_encoder_3/model.safetensors")]);
    }
    // A file of a whole model gives the encoder that was asked for.
    let whole = small().write_single(&folder.path().join("whole"), Encoders::Inside).unwrap();
    let opened = open(&Sources { clip_g: Some(whole.clone()), vae: Some(whole.clone()), ..base.clone() }).unwrap();
    assert_eq!(opened.clip_g.unwrap().files, [whole]);

    // Parts of other models.
    let mut other = small();
    other.t5.hidden = 32;
    put(&folder.path().join("t5.safetensors"), &other.t5_values(), DType::F32);
    let t5 = Some(folder.path().join("t5.safetensors"));
    check_refused(&Sources { t5, ..base.clone() }, &["32 features of a token", "takes 64"]);
    other.clip_g.hidden = 192;
    other.clip_g.projection = 192;
    put(&folder.path().join("clip_g.safetensors"), &other.clip_g_values(), DType::F32);
    let clip_g = Some(folder.path().join("clip_g.safetensors"));
    check_refused(&Sources { clip_g, ..base.clone() }, &["256 pooled features", "takes 192"]);
    other.vae.latent = 8;
    put(&folder.path().join("vae.safetensors"), &other.vae_values(), DType::F32);
    check_refused(&Sources { vae: Some(folder.path().join("vae.safetensors")), ..base }, &["8 channels of latents"]);
}

#[test]
fn diffusers_folders_with_variants_and_without() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    small().write_diffusers(root, usize::MAX).unwrap();
    let (plain, half) = (
        root.join("vae/diffusion_pytorch_model.safetensors"),
        root.join("vae/diffusion_pytorch_model.fp16.safetensors"),
    );
    fs::copy(&plain, &half).unwrap();
    assert_eq!(open(&sources(root)).unwrap().vae.unwrap().files, [&*plain]);
    fs::remove_file(&plain).unwrap();
    assert_eq!(open(&sources(root)).unwrap().vae.unwrap().files, [&*half]);
    fs::copy(&half, root.join("vae/diffusion_pytorch_model.bf16.safetensors")).unwrap();
    check_refused(&sources(root), &["bf16.safetensors and diffusion_pytorch_model.fp16.safetensors", "leave one"]);
    fs::remove_file(root.join("vae/diffusion_pytorch_model.bf16.safetensors")).unwrap();
    fs::rename(&half, root.join("vae/diffusion_pytorch_model.bin")).unwrap();
    check_refused(&sources(root), &["diffusion_pytorch_model.bin alone", "can run code"]);
    fs::remove_file(root.join("vae/diffusion_pytorch_model.bin")).unwrap();
    check_refused(&sources(root), &["vae", "no .safetensors file"]);
    fs::remove_dir_all(root.join("vae")).unwrap();
    assert!(open(&sources(root)).unwrap().vae.is_none());
    fs::remove_dir_all(root.join("text_encoder_3")).unwrap();
    assert_eq!(open(&sources(root)).unwrap().encoders(), [Encoder::ClipL, Encoder::ClipG]);
    check_refused(&sources(&root.join("transformer")), &["one part of a model", "the folder above it"]);
    fs::remove_file(root.join("text_encoder/config.json")).unwrap();
    check_refused(&sources(root), &["text_encoder/config.json"]);
    fs::remove_dir_all(root.join("text_encoder")).unwrap();
    fs::rename(root.join("transformer"), root.join("unet")).unwrap();
    check_refused(&sources(root), &["no folder \"transformer\""]);
    let empty = tempfile::tempdir().unwrap();
    check_refused(&sources(empty.path()), &["none of its 0 files"]);
}

#[test]
fn shards_of_a_variant() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    small().write_diffusers(root, 100_000).unwrap();
    let part = root.join("transformer");
    let index = part.join("diffusion_pytorch_model.safetensors.index.json");
    let text = fs::read_to_string(&index).unwrap();
    for entry in fs::read_dir(&part).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if let Some(rest) = name.strip_prefix("diffusion_pytorch_model-") {
            fs::rename(&path, part.join(format!("diffusion_pytorch_model.fp16-{rest}"))).unwrap();
        }
    }
    fs::remove_file(&index).unwrap();
    let text = text.replace("diffusion_pytorch_model-", "diffusion_pytorch_model.fp16-");
    fs::write(part.join("diffusion_pytorch_model.safetensors.index.fp16.json"), text).unwrap();
    check_params(&open(&sources(root)).unwrap().mmdit.params, &small().mmdit_values());
}

#[test]
fn configurations_that_this_engine_does_not_compute() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    small().write_diffusers(root, usize::MAX).unwrap();
    let case = |file: &str, from: &str, to: &str, pieces: &[&str]| {
        let path = root.join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has no {from}");
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
        check_refused(&sources(root), &[&[file][..], pieces].concat());
        fs::write(&path, text).unwrap();
    };
    let transformer = "transformer/config.json";
    case(transformer, "SD3Transformer2DModel", "FluxTransformer2DModel", &["FluxTransformer2DModel", "expected SD3"]);
    case(transformer, "rms_norm", "layer_norm", &["qk_norm"]);
    case(transformer, "\"num_layers\": 2", "\"num_layers\": 0", &["num_layers is 0"]);
    case(
        transformer,
        "\"num_layers\": 2",
        "\"num_layers\": 18446744073709551615",
        &["num_layers is 18446744073709551615"],
    );
    case(transformer, "\"dual_attention_layers\": [0]", "\"dual_attention_layers\": [9]", &["dual_attention_layers"]);
    case(transformer, "\"caption_projection_dim\": 64", "\"caption_projection_dim\": 65", &["caption_projection_dim"]);
    case(transformer, "{", "{\"quantization_config\": {}, ", &["GGUF"]);
    case(transformer, "{", "", &["invalid type"]);
    // One that does not say what the tensors are, and so names them.
    let text = fs::read_to_string(root.join(transformer)).unwrap();
    fs::write(root.join(transformer), text.replace("\"num_layers\": 2", "\"num_layers\": 1")).unwrap();
    check_refused(
        &sources(root),
        &["transformer_blocks.0.norm1_context.linear.weight\" is f32[384, 64]: expected [128, 64]"],
    );
    fs::write(root.join(transformer), text).unwrap();
    let vae = "vae/config.json";
    case(vae, "AutoencoderKL", "AutoencoderTiny", &["AutoencoderTiny"]);
    case(vae, "\"use_quant_conv\": false", "\"use_quant_conv\": true", &["quant convolutions"]);
    case(vae, "\"norm_num_groups\": 32", "\"norm_num_groups\": 33", &["multiple of norm_num_groups"]);
    case(vae, "\"act_fn\": \"silu\"", "\"act_fn\": \"gelu\"", &["act_fn"]);
    case(vae, "\"scaling_factor\": 1.5305", "\"scaling_factor\": 0.0", &["scaling_factor"]);
    case(vae, "\"block_out_channels\": [32, 64]", "\"block_out_channels\": []", &["levels"]);
    case("text_encoder/config.json", "quick_gelu", "relu", &["hidden_act", "relu"]);
    case("text_encoder/config.json", "WithProjection", "", &["CLIPTextModel:"]);
    case("text_encoder_2/config.json", "1e-05", "1e-06", &["layer_norm_eps"]);
    case("text_encoder_2/config.json", "\"num_attention_heads\": 2", "\"num_attention_heads\": 3", &["multiple"]);
    case("text_encoder_3/config.json", "\"gated-gelu\"", "\"relu\"", &["gated-gelu"]);
    case(
        "text_encoder_3/config.json",
        "\"relative_attention_num_buckets\": 8",
        "\"relative_attention_num_buckets\": 9",
        &["multiple of 4"],
    );
    case("scheduler/scheduler_config.json", "3.0", "-1", &["shift"]);
    let scheduler = root.join("scheduler/scheduler_config.json");
    fs::write(&scheduler, "{\"shift\": 2.5, \"num_train_timesteps\": 500}").unwrap();
    assert_eq!(open(&sources(root)).unwrap().scheduler, Scheduler { shift: 2.5, train_steps: 500 });
}

/// What tensors do not show comes from the folder of tokenizers, if its configurations are of the same sides.
#[test]
fn tokenizers_and_what_lies_beside_them() {
    let folder = tempfile::tempdir().unwrap();
    let (single, beside) = (folder.path().join("single"), folder.path().join("beside"));
    let mut tiny = small();
    tiny.clip_l.heads = 4;
    tiny.clip_l.end = 31;
    tiny.clip_l.act = ClipAct::Gelu;
    tiny.vae.groups = 16;
    tiny.vae.scaling = 2.0;
    tiny.t5.distance = 64;
    tiny.t5.eps = 1e-5;
    tiny.shift = 2.0;
    let path = tiny.write_single(&single, Encoders::Apart).unwrap();
    tiny.write_diffusers(&beside, usize::MAX).unwrap();

    let alone = open(&sources(&path)).unwrap();
    assert_eq!(alone.tokenizers, TokenizerPaths::default());
    assert_eq!(alone.clip_l.as_ref().unwrap().config.heads, 1);
    assert_eq!(alone.vae.as_ref().unwrap().config.groups, 32);
    assert_eq!(alone.scheduler.shift, 3.0);
    let with = Sources { tokenizers: Some(beside.clone()), ..sources(&path) };
    check_refused(&with, &["beside", "no folder \"tokenizer\""]);
    for name in ["tokenizer", "tokenizer_3"] {
        fs::create_dir(beside.join(name)).unwrap();
    }
    let opened = open(&with).unwrap();
    assert_eq!(opened.tokenizers.clip_l, Some(beside.join("tokenizer")));
    assert_eq!(opened.tokenizers.clip_g, None);
    assert_eq!(opened.tokenizers.t5, Some(beside.join("tokenizer_3")));
    assert_eq!(opened.clip_l.as_ref().unwrap().config, tiny.clip_l);
    assert_eq!(opened.vae.as_ref().unwrap().config, tiny.vae);
    assert_eq!(opened.t5.as_ref().unwrap().config, tiny.t5);
    assert_eq!(opened.scheduler.shift, 2.0);
    // Tokenizers alone say nothing else; and those of another model's folder are no reason to misread this one.
    let mut other = tiny.clone();
    other.vae.channels = vec![32, 32];
    other.clip_l.hidden = 128;
    other.t5.heads = 4;
    other.write_diffusers(&beside, usize::MAX).unwrap();
    let opened = open(&with).unwrap();
    assert_eq!(opened.clip_l.unwrap().config.heads, 1);
    assert_eq!(opened.vae.unwrap().config.groups, 32);
    assert_eq!(opened.t5.unwrap().config.distance, 128);
    // A model's own folder has its tokenizers too.
    assert_eq!(open(&sources(&path)).unwrap().tokenizers.clip_l, None);
    fs::create_dir(single.join("tokenizer_2")).unwrap();
    for model in [&path, &single] {
        assert_eq!(open(&sources(model)).unwrap().tokenizers.clip_g, Some(single.join("tokenizer_2")));
    }
}

#[test]
fn heads_that_nothing_says_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut tiny = small();
    tiny.clip_l = ClipConfig { hidden: 96, heads: 3, projection: 96, ..tiny.clip_l };
    tiny.mmdit.pooled = 96 + 128;
    let path = tiny.write_single(folder.path(), Encoders::Apart).unwrap();
    check_refused(&sources(&path), &["how many heads", "96 features", "text_encoder/config.json", "--tokenizers"]);
    let mut tiny = small();
    tiny.vae.channels = vec![16, 32];
    tiny.vae.groups = 16;
    let path = tiny.write_single(&folder.path().join("other"), Encoders::Apart).unwrap();
    check_refused(&sources(&path), &["16 channels", "32 groups", "vae/config.json"]);
}

#[test]
fn kinds_of_models() {
    let folder = tempfile::tempdir().unwrap();
    let check = |depth: usize, dual: &[usize], name: &str, expected: ModelKind| {
        let mut config = small().mmdit;
        config.depth = depth;
        config.dual = dual.to_vec();
        let files = Files::one(Arc::new(stored_of(&[])));
        let pick = Pick { files, found: found_of(""), others: Vec::new(), settings: None };
        assert_eq!(kind(&config, &pick, &folder.path().join(name)), expected, "{depth} {name}");
    };
    check(24, &[0, 1], "sd3.5_medium.safetensors", ModelKind::Medium);
    check(24, &[], "sd3_medium.safetensors", ModelKind::Other);
    check(38, &[], "sd3.5_large.safetensors", ModelKind::Large);
    check(38, &[], "sd3.5_large_Turbo.safetensors", ModelKind::Turbo);
    check(4, &[0], "turbo.safetensors", ModelKind::Other);
}

fn found_of(prefix: &str) -> Found {
    Found { kind: Kind::Mmdit, layout: names::Layout::Original, prefix: prefix.into() }
}

/// An opened file of nothing but metadata.
fn stored_of(metadata: &[(&str, &str)]) -> Stored {
    let metadata = metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let table = file::Table { entries: BTreeMap::new(), metadata };
    Stored { path: "model.safetensors".into(), table, map: Arc::new(Vec::new()) }
}

#[test]
fn turbo_is_told_by_what_the_file_says_of_itself() {
    let mut config = small().mmdit;
    config.depth = 38;
    for (metadata, expected) in [
        (("modelspec.architecture", "stable-diffusion-v3.5-large-turbo"), ModelKind::Turbo),
        (("modelspec.title", "Stable Diffusion 3.5 Large"), ModelKind::Large),
        (("comment", "faster than turbo"), ModelKind::Large),
    ] {
        let files = Files::one(Arc::new(stored_of(&[metadata])));
        let pick = Pick { files, found: found_of(""), others: Vec::new(), settings: None };
        assert_eq!(kind(&config, &pick, Path::new("model.safetensors")), expected);
    }
}
