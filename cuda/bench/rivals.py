#!/usr/bin/env python3
"""Times Thumbforge's CUDA device against diffusers on the same card, in one run, taking turns: one picture each, then the
next seed. Same weights (files of random numbers that `gpu_check weights` wrote), same prompts, sizes and steps, bf16, from
the prompt to RGBA8 in the host's memory.

    cuda/bench/rivals.py bench --ours PROGRAM --models FOLDER --out bench.json [--cases medium,turbo,large]
    cuda/bench/rivals.py soak  --models FOLDER --out soak-naive.json --jobs soak-jobs.json

Rivals: diffusers as it is, under torch.compile by default, with cuDNN's attention, and with max-autotune. It needs torch
and diffusers; `cuda/check.sh pack` brings the wheels that a bare machine with torch lacks. `--tiny --device cpu` tries the
script itself, on toys and the processor.
"""
import argparse
import contextlib
import json
import pathlib
import statistics
import subprocess
import sys
import time

PROMPT = "picture {} of a small village by the sea at dawn, oil on canvas"
# What is drawn: model, side, steps, guidance. Turbo is Large's sides, asked for four steps.
CASES = {
    "medium": dict(name="Medium, 1024², 28 steps, CFG", model="medium", side=1024, steps=28, guidance=4.5),
    "turbo": dict(name="Large Turbo, 512², 4 steps", model="large", side=512, steps=4, guidance=1.0),
    "large": dict(name="Large, 1024², 28 steps, CFG", model="large", side=1024, steps=28, guidance=4.5),
}
TINY = {
    "medium": dict(name="toy Medium, 64², 2 steps, CFG", model="tiny-medium", side=64, steps=2, guidance=4.5),
    "turbo": dict(name="toy Large, 64², 2 steps", model="tiny-large", side=64, steps=2, guidance=1.0),
}
VARIANTS = ["eager", "compiled", "compiled, cuDNN", "max-autotune"]


class Ours:
    """`gpu_check serve`, a line for a picture. It is a process of its own, as the sidecar is."""

    def __init__(self, args, case):
        command = [str(args.ours), "serve", case["model"], "--models", str(args.models), "--device", args.ours_device]
        if args.tiny:
            command.append("--tiny")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.load_s = self.line()["ready_s"]

    def line(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.process.args[0]} ended with {self.process.wait()}; its message stands above")
        return json.loads(line)

    def draw(self, case, seed):
        ask = dict(prompt=PROMPT.format(seed), seed=seed, side=case["side"], steps=case["steps"], guidance=case["guidance"])
        self.process.stdin.write(json.dumps(ask) + "\n")
        self.process.stdin.flush()
        return self.line()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Theirs:
    """One pipeline of diffusers; each variant has a transformer and a decoder of its own around the same weights."""

    def __init__(self, args, case):
        import torch
        from diffusers import StableDiffusion3Pipeline
        from diffusers.utils import logging

        logging.set_verbosity_error()
        torch.set_grad_enabled(False)
        # Each variant and size is compiled for itself.
        torch._dynamo.config.recompile_limit = 64
        self.torch, self.device, self.tokens = torch, args.device, 16 if args.tiny else 256
        began = time.perf_counter()
        self.pipe = StableDiffusion3Pipeline.from_pretrained(args.models / case["model"], torch_dtype=torch.bfloat16)
        self.pipe.to(args.device)
        self.pipe.set_progress_bar_config(disable=True)
        self.load_s = time.perf_counter() - began
        self.plain = self.pipe.transformer, self.pipe.vae.decode
        self.made = {"eager": self.plain}
        self.whole = args.compile == "whole"

    def compile(self, name):
        torch = self.torch
        transformer, decode = self.plain
        if name == "compiled":
            options = dict(dynamic=False)
        elif name == "max-autotune":
            options = dict(dynamic=False, mode="max-autotune")
        else:
            # A compiler of its own, or what was compiled with the other attention would be found again.
            from torch._inductor.compile_fx import compile_fx

            options = dict(dynamic=False, backend=lambda graph, inputs: compile_fx(graph, inputs))
        return torch.compile(transformer, fullgraph=self.whole, **options), torch.compile(decode, **options)

    @contextlib.contextmanager
    def variant(self, name):
        if name not in self.made:
            self.made[name] = self.compile(name)
        self.pipe.transformer, self.pipe.vae.decode = self.made[name]
        attention = contextlib.nullcontext()
        if name.endswith("cuDNN"):
            from torch.nn.attention import SDPBackend, sdpa_kernel

            wanted = [SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
            attention = sdpa_kernel(wanted, set_priority=True)
        try:
            with attention:
                yield
        finally:
            self.pipe.transformer, self.pipe.vae.decode = self.plain

    def wait(self):
        if self.device == "cuda":
            self.torch.cuda.synchronize()

    def peak_mb(self):
        return self.torch.cuda.max_memory_allocated() >> 20 if self.device == "cuda" else None

    def draw(self, name, case, seed, **more):
        torch = self.torch
        if self.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        with self.variant(name):
            self.wait()
            began = time.perf_counter()
            given = dict(prompt=PROMPT.format(seed), negative_prompt="", height=case["side"], width=case["side"],
                         generator=torch.Generator(self.device).manual_seed(seed)) | more
            drawn = self.pipe(num_inference_steps=case["steps"], guidance_scale=case["guidance"],
                              max_sequence_length=self.tokens, **given)
            pixels = [image.convert("RGBA").tobytes() for image in drawn.images]
            self.wait()
            seconds = time.perf_counter() - began
        return dict(seconds=seconds, peak_mb=self.peak_mb(), bytes=len(pixels[0]), colours=len(set(pixels[0])))


def spread(seconds):
    seconds = sorted(seconds)
    # Nearest rank: of 20, the 19th.
    rank = max(0, -(-95 * len(seconds) // 100) - 1)
    return dict(p50=round(statistics.median(seconds), 5), p95=round(seconds[rank], 5), n=len(seconds))


def write(path, whole):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(whole, indent=2, ensure_ascii=False) + "\n")


def bench(args):
    table, ends = (TINY if args.tiny else CASES), time.monotonic() + args.seconds
    whole = dict(cases=[], first=[], compile=args.compile, runs_wanted=args.runs)
    for key in args.cases.split(","):
        if key not in table:
            print(f"{key}: there is no such case here ({', '.join(table)})", flush=True)
            continue
        case, left = table[key], ends - time.monotonic()
        if left < args.seconds / 10:
            whole.setdefault("not_begun", []).append(case["name"])
            continue
        print(f"{case['name']}: {left:.0f} s are left", flush=True)
        ours, first = Ours(args, case), []
        seed = 1
        drawn = ours.draw(case, seed)
        check(case, "ours", drawn)
        first.append(dict(name=case["name"], who="ours", load_s=ours.load_s, compile_s=0.0, first_s=drawn["seconds"]))
        theirs, variants = Theirs(args, case), []
        for name in args.variants.split(";"):
            if time.monotonic() > ends:
                break
            try:
                drawn = theirs.draw(name, case, seed)
                again = theirs.draw(name, case, seed)
            except Exception as err:  # What one rival cannot do must not end the others.
                print(f"{name}: {type(err).__name__}: {str(err)[:500]}", file=sys.stderr, flush=True)
                whole.setdefault("failed", []).append(dict(name=case["name"], rival=name, error=str(err)[:500]))
                continue
            check(case, name, drawn)
            variants.append(name)
            # What the first picture takes longer than the second: compiling, and whatever else is done once.
            compile_s = max(0.0, drawn["seconds"] - again["seconds"])
            first.append(dict(name=case["name"], who=name, load_s=theirs.load_s, compile_s=compile_s, first_s=drawn["seconds"]))
            print(f"  {name}: ready after {drawn['seconds']:.1f} s", flush=True)
        whole["first"] += first
        times, peaks = {name: [] for name in ["ours", *variants]}, {}
        for run in range(args.runs + args.warm):
            # Everybody once, or nobody: half a round would not be a fair one.
            if time.monotonic() > ends and run > args.warm:
                break
            seed += 1
            for name in times:
                drawn = ours.draw(case, seed) if name == "ours" else theirs.draw(name, case, seed)
                peaks[name] = max(peaks.get(name) or 0, drawn["peak_mb"] or 0) or None
                if run >= args.warm:
                    times[name].append(drawn["seconds"])
        ours.close()
        for name in variants:
            if not times[name]:
                continue
            mine, other = spread(times["ours"]), spread(times[name])
            row = dict(name=case["name"], dtype="bf16", ours_s=mine, rival=f"diffusers, {name}", rival_s=other,
                       ratio=round(mine["p50"] / other["p50"], 4), peak_mb_ours=peaks["ours"], peak_mb_rival=peaks[name])
            whole["cases"].append(row)
            print(f"  {name}: {other['p50']:.3f} s, ours {mine['p50']:.3f} s, {row['ratio']}", flush=True)
        write(args.out, whole)
        del theirs
        if args.device == "cuda":
            import gc

            import torch

            torch._dynamo.reset()
            gc.collect()
            torch.cuda.empty_cache()
    write(args.out, whole)
    if not whole["cases"]:
        sys.exit("nothing was timed; see what was said above")


def check(case, who, drawn):
    """A picture of the right size that is not of one colour: else something else was timed."""
    if drawn["bytes"] != case["side"] ** 2 * 4 or drawn["colours"] < 16:
        sys.exit(f"{who} drew {drawn['bytes']} bytes of {drawn['colours']} values for {case['name']}: that is no picture")


def soak(args):
    """The same jobs in a loop as people write it: everything on the card, out of memory where it does not fit."""
    import torch

    jobs, rows = json.loads(args.jobs.read_text()), []
    ends = time.monotonic() + args.seconds
    for cap_mb in args.caps_mb:
        if args.device == "cuda":
            total = torch.cuda.get_device_properties(0).total_memory
            torch.cuda.set_per_process_memory_fraction(min(1.0, (cap_mb << 20) / total))
        done = drawn = failed = 0
        theirs, was = None, None
        for job in jobs:
            if time.monotonic() > ends - args.seconds * (len(args.caps_mb) - 1 - len(rows)) / len(args.caps_mb):
                break
            model = ("tiny-" if args.tiny else "") + ("large" if job["turbo"] else "medium")
            case = dict(name="soak", model=model, side=job["side"], steps=2, guidance=1.0 if job["turbo"] else 4.0)
            done += 1
            try:
                if was != model:
                    theirs, was = None, None
                    if args.device == "cuda":
                        torch.cuda.empty_cache()
                    theirs, was = Theirs(args, case), model
                theirs.draw("eager", case, job["seed"] % 2**31, num_images_per_prompt=job["pictures"])
                drawn += 1
            except torch.OutOfMemoryError:
                failed += 1
        rows.append(dict(cap_mb=cap_mb, jobs=done, of=len(jobs), drawn=drawn, failed_memory=failed,
                         note="text to picture alone: inpainting needs another pipeline, which would load the weights again"))
        print(rows[-1], flush=True)
        write(args.out, dict(caps=rows))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["bench", "soak"])
    parser.add_argument("--ours", type=pathlib.Path, default="target/gpu-check/gpu_check", help="the program gpu_check")
    parser.add_argument("--ours-device", default="cuda", help="cuda, standin or cpu")
    parser.add_argument("--device", default="cuda", help="torch's")
    parser.add_argument("--models", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--cases", default="medium,turbo,large")
    parser.add_argument("--variants", default=";".join(VARIANTS), help="with ; between them")
    parser.add_argument("--compile", choices=["whole", "graphs"], default="whole", help="whole: no breaks in the graph")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--warm", type=int, default=1, help="runs that are not counted")
    parser.add_argument("--seconds", type=float, default=540, help="nothing is begun after so long")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--jobs", type=pathlib.Path, help="of soak: the list that gpu_check wrote")
    parser.add_argument("--caps-mb", type=int, nargs="+", default=[10490, 7629], help="of soak: 11 GB and 8 GB")
    args = parser.parse_args()
    try:
        import diffusers
        import torch
    except ImportError as err:
        sys.exit(f"{err}: rivals need torch and diffusers; cuda/check.sh pack brings diffusers' wheel")
    if args.device == "cuda" and not torch.cuda.is_available():
        sys.exit("torch sees no GPU here; `--device cpu --tiny` tries the script itself")
    print(f"torch {torch.__version__}, diffusers {diffusers.__version__}", flush=True)
    (bench if args.what == "bench" else soak)(args)


if __name__ == "__main__":
    main()
