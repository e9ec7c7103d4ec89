#!/usr/bin/env python3
"""Times the processor against PyTorch: one call of SD3.5 Medium's transformer at 512 x 512 pixels (1024 patches and 333
text tokens) and one decode to 512 x 512, random weights of the real shapes, the same threads, one after the other.

    tests/diffusion/rivals.py [--rounds 3] [--threads 2] [--out docs/bench/local.md]

Run it with an interpreter that has torch and diffusers (`tests/diffusion/run` installs one into target/diffusion).
Figures are CPU-seconds, so that a machine with other work is no excuse, and the least of all rounds; wall time stands
beside. The program is built first: `cargo build --release -p thumbforge-diffusion --example speed`.
"""
import argparse
import pathlib
import platform
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
OURS = ROOT / "target/release/examples/speed"
# Read by `--torch`, in a process of its own, so that neither's memory is the other's.
SHAPE = dict(
    sample_size=128, patch_size=2, in_channels=16, out_channels=16, num_layers=24, attention_head_dim=64,
    num_attention_heads=24, joint_attention_dim=4096, caption_projection_dim=1536, pooled_projection_dim=2048,
    pos_embed_max_size=384, dual_attention_layers=tuple(range(13)), qk_norm="rms_norm")


def torch_once(dtype, what, threads):
    import resource
    import time

    import torch
    from diffusers import AutoencoderKL, SD3Transformer2DModel

    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    torch.set_default_dtype({"f32": torch.float32, "bf16": torch.bfloat16}[dtype])
    # A block of random numbers again and again: filling billions one by one takes longer than what is timed.
    block = torch.randn(1 << 20) * 0.02

    def filled(make):
        with torch.device("meta"):
            model = make()
        model = model.to_empty(device="cpu").eval()
        for tensor in [*model.parameters(), *model.buffers()]:
            flat = tensor.view(-1)
            for at in range(0, len(flat), len(block)):
                flat[at : at + len(block)] = block[: len(flat) - at]
        return model

    if what == "forward":
        model = filled(lambda: SD3Transformer2DModel(**SHAPE))
        x, context, pooled = torch.randn(1, 16, 64, 64), torch.randn(1, 333, 4096), torch.randn(1, 2048)
        call = lambda: model(
            hidden_states=x, timestep=torch.tensor([500.0]), encoder_hidden_states=context, pooled_projections=pooled)
    else:
        blocks = 4
        model = filled(lambda: AutoencoderKL(
            in_channels=3, out_channels=3, latent_channels=16, block_out_channels=(128, 256, 512, 512),
            layers_per_block=2, down_block_types=("DownEncoderBlock2D",) * blocks,
            up_block_types=("UpDecoderBlock2D",) * blocks, norm_num_groups=32, use_quant_conv=False,
            use_post_quant_conv=False))
        latents = torch.randn(1, 16, 64, 64)
        call = lambda: model.decode(latents)
    call()
    best = None
    for _ in range(2):
        before, begun = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        call()
        after = resource.getrusage(resource.RUSAGE_SELF)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        best = min(filter(None, (best, (spent, time.perf_counter() - begun))))
    print(f"{best[0]:.3f} {best[1]:.3f}")


def theirs(dtype, what, threads):
    command = [sys.executable, __file__, "--torch", dtype, what, "--threads", str(threads)]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return tuple(map(float, out.split()[-2:]))


def ours(program, dtype, what, threads):
    out = subprocess.run([program, dtype, what, str(threads), "2"], check=True, capture_output=True, text=True).stdout
    found = re.search(r"total: ([\d.]+) CPU-s, ([\d.]+) s", out)
    if not found:
        raise SystemExit(f"no figures in the output of {program}:\n{out}")
    return tuple(map(float, found.groups()))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--ours", type=pathlib.Path, default=OURS, help="the example `speed`, built")
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--torch", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.torch:
        torch_once(*args.torch, args.threads)
        return
    rows = []
    for what, name in (("forward", "Medium, one call, 512 x 512"), ("decode", "decode to 512 x 512")):
        for dtype in ("f32", "bf16"):
            pairs = [(ours(args.ours, dtype, what, args.threads), theirs(dtype, what, args.threads)) for _ in range(args.rounds)]
            (mine, my_wall), (other, other_wall) = (min(side) for side in zip(*pairs))
            rows.append((name, dtype, mine, my_wall, other, other_wall, other / mine))
            print(*rows[-1], flush=True)
    import torch
    import diffusers

    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    lines = [
        "# SD3.5 on the processor, beside PyTorch", "",
        f"torch {torch.__version__}, diffusers {diffusers.__version__}; {args.threads} threads of "
        f"{cpu.group(1) if cpu else platform.processor()}; the least of {args.rounds * 2} runs each, which took turns.",
        "Ours leaves out what it computes once for all steps (the modulation of blocks by time and prompt), which torch",
        "computes in every call; for one step that is a product of one row with a billion weights.", "",
        "| what | numbers | Thumbforge CPU-s | wall s | PyTorch CPU-s | wall s | times as fast |", "|---|---|---|---|---|---|---|",
    ]
    lines += [f"| {n} | {d} | {a:.2f} | {aw:.2f} | {b:.2f} | {bw:.2f} | {r:.2f} |" for n, d, a, aw, b, bw, r in rows]
    text = "\n".join(lines) + "\n\nMeasured by `tests/diffusion/rivals.py`.\n"
    print(text)
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(text)
    if any(row[-1] < (1.0 if row[1] == "f32" else 0.8) for row in rows):
        sys.exit("slower than promised: 1.0 in f32, 0.8 in bf16")


if __name__ == "__main__":
    main()
