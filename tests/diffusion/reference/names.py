"""Where each tensor of diffusers and transformers stands in the original files of SD3.5."""
import collections
import re

import numpy as np

import weights

# One tensor as a part of an original one: its name, which of how many equal parts of the rows, whether the halves of
# the rows stand in the other order.
Origin = collections.namedtuple("Origin", "name part parts swapped", defaults=(0, 1, False))

TRANSFORMER = {
    "pos_embed.proj": "x_embedder.proj",
    "time_text_embed.timestep_embedder.linear_1": "t_embedder.mlp.0",
    "time_text_embed.timestep_embedder.linear_2": "t_embedder.mlp.2",
    "time_text_embed.text_embedder.linear_1": "y_embedder.mlp.0",
    "time_text_embed.text_embedder.linear_2": "y_embedder.mlp.2",
    "context_embedder": "context_embedder",
    "norm_out.linear": "final_layer.adaLN_modulation.1",
    "proj_out": "final_layer.linear",
}
BLOCK = {
    "norm1.linear": "x_block.adaLN_modulation.1",
    "norm1_context.linear": "context_block.adaLN_modulation.1",
    "ff.net.0.proj": "x_block.mlp.fc1",
    "ff.net.2": "x_block.mlp.fc2",
    "ff_context.net.0.proj": "context_block.mlp.fc1",
    "ff_context.net.2": "context_block.mlp.fc2",
    "attn.to_out.0": "x_block.attn.proj",
    "attn.to_add_out": "context_block.attn.proj",
    "attn.norm_q": "x_block.attn.ln_q",
    "attn.norm_k": "x_block.attn.ln_k",
    "attn.norm_added_q": "context_block.attn.ln_q",
    "attn.norm_added_k": "context_block.attn.ln_k",
    "attn2.to_out.0": "x_block.attn2.proj",
    "attn2.norm_q": "x_block.attn2.ln_q",
    "attn2.norm_k": "x_block.attn2.ln_k",
}
THIRDS = {
    "attn.to_q": ("x_block.attn.qkv", 0), "attn.to_k": ("x_block.attn.qkv", 1), "attn.to_v": ("x_block.attn.qkv", 2),
    "attn2.to_q": ("x_block.attn2.qkv", 0), "attn2.to_k": ("x_block.attn2.qkv", 1), "attn2.to_v": ("x_block.attn2.qkv", 2),
    "attn.add_q_proj": ("context_block.attn.qkv", 0), "attn.add_k_proj": ("context_block.attn.qkv", 1),
    "attn.add_v_proj": ("context_block.attn.qkv", 2),
}
VAE = (
    (r"mid_block\.resnets\.0\.", "mid.block_1."), (r"mid_block\.resnets\.1\.", "mid.block_2."),
    (r"mid_block\.attentions\.0\.group_norm\.", "mid.attn_1.norm."),
    (r"mid_block\.attentions\.0\.to_([qkv])\.", r"mid.attn_1.\1."),
    (r"mid_block\.attentions\.0\.to_out\.0\.", "mid.attn_1.proj_out."),
    (r"down_blocks\.(\d+)\.resnets\.", r"down.\1.block."), (r"down_blocks\.(\d+)\.downsamplers\.0\.", r"down.\1.downsample."),
    ("conv_shortcut", "nin_shortcut"), ("conv_norm_out", "norm_out"),
)


def layer(module, depth):
    """The origin of a layer of the transformer, by its name in diffusers without `.weight` or `.bias`."""
    if module in TRANSFORMER:
        return Origin(TRANSFORMER[module], swapped=module == "norm_out.linear")
    block, rest = re.fullmatch(r"transformer_blocks\.(\d+)\.(.+)", module).groups()
    start = f"joint_blocks.{block}."
    if rest in THIRDS:
        name, part = THIRDS[rest]
        return Origin(start + name, part, 3)
    return Origin(start + BLOCK[rest], swapped=rest == "norm1_context.linear" and int(block) == depth - 1)


def origin(part, key, config):
    if part == "mmdit":
        if key == "pos_embed.pos_embed":
            return Origin("pos_embed")
        module, leaf = key.rsplit(".", 1)
        found = layer(module, config["depth"])
        return found._replace(name=f"{found.name}.{leaf}")
    if part == "vae":
        levels = len(config["channels"])
        ran = lambda match: f"up.{levels - 1 - int(match.group(1))}."
        key = re.sub(r"up_blocks\.(\d+)\.", ran, key)
        key = re.sub(r"(up\.\d+\.)resnets\.", r"\1block.", key)
        key = re.sub(r"(up\.\d+\.)upsamplers\.0\.", r"\1upsample.", key)
        for pattern, original in VAE:
            key = re.sub(pattern, original, key)
        return Origin(key)
    return Origin("shared.weight" if key == "encoder.embed_tokens.weight" else key)


def fill(module, part, model, config):
    """Gives every parameter and every stored table of `module` the numbers of its origin."""
    import torch

    for key, tensor in module.state_dict().items():
        if key.endswith("position_ids"):
            continue
        found, shape = origin(part, key, config), tuple(tensor.shape)
        values = weights.weights(
            model["seed"], part, found.name, shape, found.part * int(np.prod(shape)), model["faint"])
        if found.swapped:
            values = np.concatenate([values[len(values) // 2 :], values[: len(values) // 2]])
        tensor.copy_(torch.from_numpy(values))
    return module.eval().requires_grad_(False)


def originals(module, part, config):
    """The state of `module` under the names and in the shapes of the original files."""
    import torch

    found = collections.defaultdict(dict)
    for key, tensor in module.state_dict().items():
        if key.endswith("position_ids") or key == "encoder.embed_tokens.weight":
            continue
        place = origin(part, key, config)
        if place.swapped:
            tensor = torch.cat(tensor.chunk(2)[::-1])
        if part == "vae" and ".attn_1." in place.name and tensor.ndim == 2:
            tensor = tensor[:, :, None, None]
        found[place.name][place.part] = tensor
    return {name: torch.cat([parts[part] for part in sorted(parts)]).contiguous().clone() for name, parts in found.items()}
