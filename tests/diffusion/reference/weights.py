"""Numbers from names: the same bits as `sidecar/diffusion/src/tiny` makes, so that no weights need to be kept.

Run as a program it prints the bits that the test beside the Rust code compares with.
"""
import numpy as np

MASK = (1 << 64) - 1
# 65536/√3: the deviation of a sum of four evenly spread 16-bit numbers.
DEVIATION = 37837.2272104

# Pieces of the names of what is made faint.
FAINT = ("pos_embed", "x_embedder", "context_embedder", ".qkv.", "shared", "_embedding.", "conv_in")


def gauss(seed, name, count, deviation, offset=0):
    """`count` numbers around 0, from the `offset`th on, that `seed` and `name` decide."""
    start = 0xCBF29CE484222325  # FNV-1a
    for byte in name.encode():
        start = ((start ^ byte) * 0x100000001B3) & MASK
    start ^= (seed * 0xD1342543DE82EF95) & MASK
    with np.errstate(over="ignore"):
        place = np.arange(offset + 1, offset + count + 1, dtype=np.uint64)
        state = np.uint64(start) + place * np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state = state ^ (state >> np.uint64(31))
    total = sum(((state >> np.uint64(16 * quarter)) & np.uint64(0xFFFF)).astype(np.int32) for quarter in range(4))
    return (total - np.int32(131070)).astype(np.float32) * np.float32(deviation / DEVIATION)


def spread(name, shape):
    """Mean and deviation of a tensor's numbers, by its original name and shape."""
    if len(shape) == 1:
        return (0.0, 0.1) if name.endswith(".bias") else (1.0, 0.2)
    if name in ("pos_embed", "shared.weight") or "_embedding." in name:
        return 0.0, 0.5
    if "relative_attention_bias" in name:
        return 0.0, 1.0
    gain = {"decoder.conv_out.weight": 0.5}.get(name, 0.25 if name.endswith("SelfAttention.q.weight") else 1.0)
    return 0.0, gain / np.sqrt(np.float64(np.prod(shape[1:])))


def weights(seed, part, name, shape, offset=0, faint=1.0):
    """The weights of a tensor, or of a part of its rows that begins at the `offset`th number."""
    mean, deviation = spread(name, shape)
    if any(piece in name for piece in FAINT):
        deviation *= faint
    values = gauss(seed, f"{part}/{name}", int(np.prod(shape)), deviation, offset)
    return (values + np.float32(mean) if mean else values).reshape(shape)


def main():
    for part, name, shape, place in (
        ("mmdit", "joint_blocks.3.x_block.attn.qkv.weight", (576, 192), 70_000),
        ("mmdit", "joint_blocks.0.context_block.attn.ln_k.weight", (64,), 63),
        ("mmdit", "final_layer.adaLN_modulation.1.bias", (384,), 5),
        ("vae", "decoder.up.0.block.1.conv1.weight", (32, 32, 3, 3), 1_234),
        ("clip_g", "text_model.embeddings.token_embedding.weight", (814, 192), 99_999),
        ("t5", "encoder.block.1.layer.0.SelfAttention.q.weight", (128, 352), 3_000),
    ):
        value = weights(1, part, name, shape).reshape(-1)[place]
        print(f"{part} {name} {place}: 0x{value.view(np.uint32):08X} {value}")


if __name__ == "__main__":
    main()
