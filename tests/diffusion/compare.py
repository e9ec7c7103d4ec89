#!/usr/bin/env python3
"""Runs `thumbforge generate` on the toy models as files and compares its pictures with those of diffusers.

    compare.py --references FOLDER --out FOLDER PROGRAM

One line per picture: the layout that the model was read from, the largest difference in steps of 1/255, the share of
numbers that differ, the ratio of signal to noise. It ends with 1 where a picture differs by more than rounding.
"""
import argparse
import json
import math
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
from PIL import Image

# Rounding to 8 bits falls apart where an engine's sum and torch's lie on two sides of a half: seldom, and by one step.
STEPS_MOST = 1
SHARE_MOST = 0.002
SECONDS_MOST = 300


def inferable(model):
    """Whether a single file says all about the model: it holds tensors alone, and what they do not show is taken as in
    SD3.5."""
    vae, t5 = model["vae"], model["t5"]
    return (
        model["clip_l_identity"] and model["shift"] == 3.0
        and all(model[part]["hidden"] == 64 * model[part]["heads"] and model[part]["end"] in (2, 813)
                for part in ("clip_l", "clip_g"))
        and (model["clip_l"]["act"], model["clip_g"]["act"]) == ("quick_gelu", "gelu")
        and vae["groups"] == 32 and (vae["scaling"], vae["shift"]) == (1.5305, 0.0609)
        and (t5["buckets"], t5["distance"], t5["eps"]) == (32, 128, 1e-6))


def layouts(references, case, model, scratch):
    """Ways to name the model of a case: a word, and arguments."""
    folder = references / "models" / case["model"]
    tokenizers = ["--tokenizers", str(references / "tokenizers")]
    without = not case.get("t5", True)

    def less(name, left_out):
        """The folder with links to all but one part of it."""
        made = scratch / f"{case['model']}-{name}"
        if not made.exists():
            made.mkdir(parents=True)
            for part in (folder / name).iterdir():
                if part.name not in left_out:
                    (made / part.name).symlink_to(part.resolve())
        return made

    for name in ("diffusers", "sharded"):
        path = less(name, ("text_encoder_3", "tokenizer_3")) if without else folder / name
        yield name, ["--weights", str(path)]
    if inferable(model):
        if not without:
            yield "single, encoders inside", ["--weights", str(folder / "inside" / "sd3.5_tiny.safetensors"), *tokenizers]
        path = less("apart", ("t5xxl.safetensors",)) if without else folder / "apart"
        yield "single, encoders apart", ["--weights", str(path), *tokenizers]


def arguments(references, case):
    height, width = case["size"]
    images = references / "images" / case["name"].split("/")[-1]
    given = ["generate", case["prompt"], "--noise", "torch-cpu", "--seed", str(case["seed"]), "--steps", str(case["steps"]),
             "--guidance", repr(case["guidance"]), "--size", f"{width}x{height}", "--dtype", "f32"]
    if case["guidance"] > 1:
        given += ["--negative", case["negative"]]
    if "image" in case:
        given += ["--image", str(images / "image.png"), "--strength", repr(case["strength"])]
    if "mask" in case:
        given += ["--mask", str(images / "mask.png"), "--mask-mode", "diffusers"]
    if "slg" in case:
        slg = case["slg"]
        given += ["--slg", ":".join([",".join(map(str, slg["layers"])), *map(repr, (slg["scale"], slg["start"], slg["stop"]))])]
    return given, images / "expected0.png"


def difference(got, expected):
    got, expected = (np.asarray(Image.open(path).convert("RGB"), dtype=np.int16) for path in (got, expected))
    if got.shape != expected.shape:
        return math.inf, 1.0, 0.0
    off = np.abs(got - expected)
    square = float((off.astype(np.float64) ** 2).mean())
    return int(off.max()), float((off > 0).mean()), 10 * math.log10(255**2 / square) if square else math.inf


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--references", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--only", default="")
    parser.add_argument("program")
    options = parser.parse_args()
    manifest = json.loads((options.references / "manifest.json").read_text())
    shutil.rmtree(options.out, ignore_errors=True)
    options.out.mkdir(parents=True)
    wrong = ran = 0
    print(f"{'case':28} {'layout':38} {'most':>5} {'share':>8} {'PSNR':>7}")
    for case in manifest["cases"]:
        # `generate` draws one picture; two at once are a test of the library.
        if case["kind"] != "image" or case.get("images", 1) > 1 or options.only not in case["name"]:
            continue
        given, expected = arguments(options.references, case)
        ways = list(layouts(options.references, case, manifest["models"][case["model"]], options.out / "models"))
        if "lora" in case:
            folder, weight = options.references / "loras" / case["name"].split("/")[-1], case["lora"]["weight"]
            ways = [(f"{way}, {spelling} adapter", [*named, "--lora", f"{folder / spelling}.safetensors={weight!r}"])
                    for way, named in ways for spelling in ("peft", "kohya", "original")]
        for place, (way, named) in enumerate(ways):
            out = options.out / f"{case['name'].split('/')[-1]}-{place}.png"
            command = [options.program, *given, *named, "--data-dir", str(options.out / "data"), "--no-sidecar",
                       "--out-file", str(out)]
            ended = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MOST, stdin=subprocess.DEVNULL,
                                   env=os.environ | {"HOME": str(options.out / "home")})
            ran += 1
            if ended.returncode or not out.exists():
                print(f"{case['name']:28} {way:38} ended with {ended.returncode}: {ended.stderr.strip()[-600:]}")
                wrong += 1
                continue
            most, share, ratio = difference(out, expected)
            fine = most <= STEPS_MOST and share <= SHARE_MOST and ratio >= 60
            wrong += not fine
            print(f"{case['name']:28} {way:38} {most:5} {share:8.5f} {ratio:7.1f}{'' if fine else '  WRONG'}", flush=True)
    print(f"{ran - wrong} of {ran} pictures are those of diffusers")
    sys.exit(1 if wrong or not ran else 0)


if __name__ == "__main__":
    main()
