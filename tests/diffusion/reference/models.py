"""Toy models of the SD3.5 shape, as diffusers and transformers build them. The words are those of `config.rs`."""
import copy
import functools

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, T5Config, T5EncoderModel

import names
import tokens

# `Tiny::medium()` of the Rust side; a test there compares the two.
MEDIUM = {
    "seed": 1,
    "mmdit": {"depth": 4, "hidden": 192, "heads": 3, "dual": [0, 1], "qk_norm": True, "position_side": 24, "patch": 2,
              "in_channels": 16, "out_channels": 16, "context": 352, "pooled": 320},
    "vae": {"channels": [32, 64, 64, 96], "layers": 1, "groups": 32, "latent": 16, "scaling": 1.5305, "shift": 0.0609},
    "clip_l": {"layers": 2, "hidden": 128, "heads": 2, "inner": 256, "vocabulary": 814, "positions": 77,
               "act": "quick_gelu", "projection": 128, "end": 2},
    "clip_l_identity": True,
    "clip_g": {"layers": 3, "hidden": 192, "heads": 3, "inner": 384, "vocabulary": 814, "positions": 77, "act": "gelu",
               "projection": 192, "end": 2},
    "t5": {"layers": 3, "hidden": 352, "heads": 4, "head": 32, "inner": 448, "vocabulary": 160, "buckets": 32,
           "distance": 128, "eps": 1e-6},
    "shift": 3.0,
    "faint": 1.0,
}


def variant(base=MEDIUM, **changes):
    """`base` with some words changed: `mmdit__depth=3` changes `depth` of `mmdit`."""
    model = copy.deepcopy(base)
    for key, value in changes.items():
        *path, leaf = key.split("__")
        functools.reduce(dict.__getitem__, path, model)[leaf] = value
    model["mmdit"]["pooled"] = model["clip_l"]["projection"] + model["clip_g"]["projection"]
    model["mmdit"]["context"] = model["t5"]["hidden"]
    assert model["clip_l"]["hidden"] + model["clip_g"]["hidden"] <= model["t5"]["hidden"]
    return model


def transformer(model):
    config = model["mmdit"]
    made = SD3Transformer2DModel(
        sample_size=32, patch_size=config["patch"], in_channels=config["in_channels"], out_channels=config["out_channels"],
        num_layers=config["depth"], attention_head_dim=config["hidden"] // config["heads"],
        num_attention_heads=config["heads"], joint_attention_dim=config["context"], caption_projection_dim=config["hidden"],
        pooled_projection_dim=config["pooled"], pos_embed_max_size=config["position_side"],
        dual_attention_layers=tuple(config["dual"]), qk_norm="rms_norm" if config["qk_norm"] else None)
    return names.fill(made, "mmdit", model, config)


def vae(model):
    config = model["vae"]
    levels = len(config["channels"])
    made = AutoencoderKL(
        in_channels=3, out_channels=3, latent_channels=config["latent"], block_out_channels=tuple(config["channels"]),
        layers_per_block=config["layers"], norm_num_groups=config["groups"], scaling_factor=config["scaling"],
        shift_factor=config["shift"], down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels, use_quant_conv=False, use_post_quant_conv=False, sample_size=64)
    return names.fill(made, "vae", model, config)


def clip(model, part):
    config = model[part]
    made = CLIPTextModelWithProjection(CLIPTextConfig(
        vocab_size=config["vocabulary"], hidden_size=config["hidden"], intermediate_size=config["inner"],
        num_hidden_layers=config["layers"], num_attention_heads=config["heads"], hidden_act=config["act"],
        projection_dim=config["projection"], max_position_embeddings=config["positions"], bos_token_id=0,
        eos_token_id=config["end"], pad_token_id=1))
    names.fill(made, part, model, config)
    if part == "clip_l" and model["clip_l_identity"]:
        made.text_projection.weight.copy_(torch.eye(config["hidden"]))
    return made


def t5(model):
    config = model["t5"]
    made = T5EncoderModel(T5Config(
        vocab_size=config["vocabulary"], d_model=config["hidden"], d_kv=config["head"], num_heads=config["heads"],
        d_ff=config["inner"], num_layers=config["layers"], relative_attention_num_buckets=config["buckets"],
        relative_attention_max_distance=config["distance"], layer_norm_epsilon=config["eps"],
        feed_forward_proj="gated-gelu", is_encoder_decoder=False, use_cache=False, tie_word_embeddings=False))
    return names.fill(made, "t5", model, config)


def pipeline(model, tokenizers, with_t5=True):
    first, second, third = tokens.read(tokenizers)
    made = StableDiffusion3Pipeline(
        transformer=transformer(model), scheduler=FlowMatchEulerDiscreteScheduler(shift=model["shift"]), vae=vae(model),
        text_encoder=clip(model, "clip_l"), tokenizer=first, text_encoder_2=clip(model, "clip_g"), tokenizer_2=second,
        text_encoder_3=t5(model) if with_t5 else None, tokenizer_3=third if with_t5 else None)
    made.set_progress_bar_config(disable=True)
    return made


def write_single(model, made, folder, inside):
    """The original layout; `inside` says whether the text encoders stand in the one file or beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    put = lambda prefix, state: {prefix + name: tensor for name, tensor in state.items()}
    state = put("model.diffusion_model.", names.originals(made.transformer, "mmdit", model["mmdit"]))
    state |= put("first_stage_model.", names.originals(made.vae, "vae", model["vae"]))
    for name, part, module in (("clip_l", "clip_l", made.text_encoder), ("clip_g", "clip_g", made.text_encoder_2),
                               ("t5xxl", "t5", made.text_encoder_3)):
        if module is None:
            continue
        encoder = names.originals(module, part, model[part])
        if part == "clip_l":
            encoder.pop("text_projection.weight")
        if inside:
            state |= put(f"text_encoders.{name}.transformer.", encoder)
        else:
            save_file(encoder, folder / f"{name}.safetensors")
    save_file(state, folder / "sd3.5_tiny.safetensors")
    return folder / "sd3.5_tiny.safetensors"
