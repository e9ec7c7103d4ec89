#!/usr/bin/env python3
"""References of Stable Diffusion 3.5 from diffusers, on toy models.

    make.py --out FOLDER                 the small set that is kept in `tests/diffusion/fixtures`
    make.py --out FOLDER --more SEED     that and as many drawn by chance again, with the models as files

Weights and inputs are functions of seeds and names (`weights.py`), so only outputs are kept: `references.safetensors`
holds them as `CASE/NAME`, `manifest.json` says what was computed and by which versions.
"""
import argparse
import json
import pathlib
import platform

import diffusers
import numpy as np
import tokenizers
import torch
import transformers
from safetensors.numpy import save_file

import cases
import tokens


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--more", type=int, metavar="SEED", help="draw further configurations by this seed")
    parser.add_argument("--only", default="", help="cases whose names begin so")
    arguments = parser.parse_args()
    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
    torch.set_grad_enabled(False)
    torch.set_num_threads(1)
    tokens.write(arguments.out / "tokenizers")

    models, table = cases.table(arguments.more)
    maker = cases.Maker(models, arguments.out, files=arguments.more is not None)
    tensors, done = {}, []
    for case in table:
        if not case["name"].startswith(arguments.only):
            continue
        for name, value in maker.make(case).items():
            value = value.detach().float().numpy() if torch.is_tensor(value) else np.asarray(value)
            if value.dtype.kind == "f" and value.dtype != np.float64:
                assert np.isfinite(value).all(), f"{case['name']}/{name} is not finite"
            tensors[f"{case['name']}/{name}"] = np.ascontiguousarray(value)
        done.append(case)
        print(case["name"], flush=True)
    save_file(tensors, arguments.out / "references.safetensors")
    versions = {module.__name__: module.__version__ for module in (torch, diffusers, transformers, tokenizers, np)}
    (arguments.out / "manifest.json").write_text(json.dumps({
        "versions": versions | {"python": platform.python_version()}, "models": models, "cases": done}, indent=1) + "\n")


if __name__ == "__main__":
    main()
