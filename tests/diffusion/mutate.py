#!/usr/bin/env python3
"""Breaks the model's code in one place after another and reports which faults no test noticed.

    mutate.py [--only WORD]…

`mutations.txt` lists the faults: a line `FILE: what breaks`, then a line with `- ` before what stands there and one with
`+ ` before what comes in its place. It works on a copy in `target/mutate` and ends with 1 when a fault survives or its
place is no longer there.
"""
import argparse
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORK = ROOT / "target" / "mutate"
SOURCE = "sidecar/diffusion/src"
BUILD = os.environ.get("CARGO_TARGET_DIR", WORK / "build")
SECONDS_MOST = 900


def mutations():
    lines = (pathlib.Path(__file__).parent / "mutations.txt").read_text().splitlines()
    found, head = [], None
    for line in lines:
        if line.startswith("- "):
            found.append([*head, line[2:], None])
        elif line.startswith("+"):
            found[-1][3] = line[2:]
        elif line and not line.startswith("#"):
            head = line.split(": ", 1)
    return found


def copy():
    """What git knows of, where it differs from the copy, so that the build goes on where it stood."""
    tree = WORK / "tree"
    for name in subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\n"):
        source, to = ROOT / name, tree / name
        if not name or not source.is_file():
            continue
        if not to.exists() or to.read_bytes() != source.read_bytes():
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, to)
    return tree


# Tests that see a fault of a file first; where they see nothing all others run.
FIRST = {"mmdit": "mmdit::one_call", "sampler": "sampler::", "text": "text::", "vae": "vae::decoding", "noise": "noise::"}


def test(tree, file=None):
    """Whether all is well, and what was said. The crate's own tests run only where those against diffusers see nothing."""
    said, first = "", FIRST.get(file.removesuffix(".rs").split("/")[0]) if file else None
    # Optimised less, for what is built here runs once.
    cargo = ["cargo", "test", "-q", "--locked", "--config", "profile.dev.package.thumbforge-diffusion.opt-level=1", "-p",
             "thumbforge-diffusion"]
    for which in ([["--test", "parity", first]] if first else []) + [["--test", "parity"], ["--lib"]]:
        try:
            ended = subprocess.run([*cargo, *which], cwd=tree, capture_output=True, text=True, timeout=SECONDS_MOST,
                                   env=os.environ | {"CARGO_TARGET_DIR": str(BUILD)})
        except subprocess.TimeoutExpired:
            return False, "it did not end"
        said += ended.stdout + ended.stderr
        if ended.returncode:
            return False, said
    return True, said


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", default=[], help="faults whose line holds this word")
    options = parser.parse_args()
    tree = copy()
    passed, said = test(tree)
    if not passed:
        sys.exit(f"the tests fail as it is:\n{said[-3000:]}")
    bad = []
    for file, what, before, after in mutations():
        title = f"{file}: {what}"
        if options.only and not any(word in title for word in options.only):
            continue
        path = tree / SOURCE / file
        text = path.read_text()
        if text.count(before) != 1:
            bad.append(title)
            print(f"STALE    {title}: found {text.count(before)} times", flush=True)
            continue
        path.write_text(text.replace(before, after))
        passed, said = test(tree, file)
        path.write_text(text)
        builds = "could not compile" not in said
        word = "SURVIVED" if passed else "noticed" if builds else "BROKEN"
        if word != "noticed":
            bad.append(title)
        print(f"{word:8} {title}", flush=True)
    print(f"{len(bad)} of the faults went unnoticed or could not be made" if bad else "every fault was noticed")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
