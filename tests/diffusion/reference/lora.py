"""One low-rank adapter in the spellings that people's files have."""
import math

import torch

import names
import weights


def targets(config):
    """Layers of diffusers' transformer that the toy adapts: every kind that a trainer may pick, with their sides."""
    hidden, last = config["hidden"], config["depth"] - 1
    found = {}
    for block in range(config["depth"]):
        start = f"transformer_blocks.{block}."
        square = ["attn.to_q", "attn.to_k", "attn.to_v", "attn.to_out.0", "attn.add_q_proj", "attn.add_k_proj",
                  "attn.add_v_proj"]
        if block != last:
            square.append("attn.to_add_out")
            found[start + "ff_context.net.0.proj"] = (4 * hidden, hidden)
        if block in config["dual"]:
            square += ["attn2.to_q", "attn2.to_k", "attn2.to_v", "attn2.to_out.0"]
        found |= {start + name: (hidden, hidden) for name in square}
        found[start + "ff.net.0.proj"] = (4 * hidden, hidden)
        found[start + "ff.net.2"] = (hidden, 4 * hidden)
    found["proj_out"] = (config["patch"] ** 2 * config["out_channels"], hidden)
    return found


def pairs(wanted, config):
    """`down` [rank, in] and `up` [out, rank] of each layer, by diffusers' names."""
    rank, seed = wanted["rank"], wanted["seed"]
    make = lambda name, rows, columns, deviation: torch.from_numpy(
        weights.gauss(seed, f"lora/{name}", rows * columns, deviation).reshape(rows, columns))
    return {name: (make(f"{name}.down", rank, columns, 1 / math.sqrt(columns)), make(f"{name}.up", rows, rank, 0.4 / math.sqrt(rank)))
            for name, (rows, columns) in targets(config).items()}


def spellings(wanted, config):
    """The same adapter as diffusers (PEFT), kohya and trainers of the original layout save it: tensors and metadata."""

    found, rank, alpha = pairs(wanted, config), wanted["rank"], wanted["alpha"]
    peft = {}
    for name, (down, up) in found.items():
        peft[f"transformer.{name}.lora_A.weight"] = down
        # PEFT's own files carry no alpha but in a header; most trainers fold it in, so that the rank stands for it.
        peft[f"transformer.{name}.lora_B.weight"] = up * (alpha / rank)
    fused = {}
    for name, pair in found.items():
        place = names.layer(name, config["depth"])
        fused.setdefault(place.name, {})[place.part] = pair
    kohya, original = {}, {}
    for name, parts in fused.items():
        down = torch.cat([parts[part][0] for part in sorted(parts)])
        up = torch.block_diag(*(parts[part][1] for part in sorted(parts)))
        # As many ranks as stand together share one alpha, which is divided by all of them.
        count = len(parts)
        stem = "lora_unet_" + name.replace(".", "_")
        kohya[f"{stem}.lora_down.weight"], kohya[f"{stem}.lora_up.weight"] = down, up
        kohya[f"{stem}.alpha"] = torch.tensor(alpha * count)
        original[f"diffusion_model.{name}.lora_A.weight"] = down
        original[f"diffusion_model.{name}.lora_B.weight"] = up * (alpha / rank)
    plain = lambda state: {key: tensor.contiguous().clone() for key, tensor in state.items()}
    return {"peft": (plain(peft), {"format": "pt"}), "kohya": (plain(kohya), {"ss_network_alpha": str(alpha)}),
            "original": (plain(original), {"format": "pt"})}
