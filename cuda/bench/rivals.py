#!/usr/bin/env python3
"""Times Thumbforge's CUDA device against diffusers on the same card, in one run, taking turns: one picture each, then the
next seed. Same weights (files of random numbers that `gpu_check weights` wrote), same prompts, sizes and steps, bf16, from
the prompt to RGBA8 in the host's memory.

    cuda/bench/rivals.py bench --ours PROGRAM --models FOLDER --out bench.json [--cases medium,turbo,large]
    cuda/bench/rivals.py soak  --models FOLDER --out soak-naive.json --jobs soak-jobs.json

Rivals: diffusers as it is, under torch.compile by default, with cuDNN's attention, and with max-autotune. Ours multiplies
with cuBLASLt where it is found, as the sidecar does. Behind them ours with fp8 linears takes turns with the best of those, then
ours with our own kernels alone, and ours with little memory draws alone. Both prompts change with every picture, so nobody
keeps a text that was read before. It needs torch and diffusers;
`cuda/check.sh pack` brings the wheels that a bare machine with torch lacks. `--tiny --device cpu` tries the script itself,
on toys and the processor, and rivals_test.py what such a machine has no part of.
"""
import argparse
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import threading
import time

PROMPT = "picture {} of a small village by the sea at dawn, oil on canvas"
# Read where there is guidance alone, by both.
NEGATIVE = "blurry photograph {}"
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
# It is nobody's goal, so it is drawn only so often, and the time is left to those that are.
EAGER_RUNS = 5
# Of fewer runs than these no percentile is told: the 95th would be the slowest of them.
P95_RUNS = 20


class Card:
    """All that is taken of the card, as its driver tells it: contexts, libraries, weights, caches. Both sides are read so."""

    def __init__(self, args):
        self.torch, self.others_mb, self.least_mb = None, None, None
        if args.device != "cuda":
            return
        import torch

        # Of a card on which nobody else is: what the driver itself keeps.
        self.others_mb = smi_used_mb()
        torch.zeros(1, device="cuda")
        self.torch = torch

    def total_mb(self):
        return self.torch.cuda.mem_get_info()[1] >> 20

    def free_mb(self):
        return self.torch.cuda.mem_get_info()[0] >> 20 if self.torch else None

    @contextlib.contextmanager
    def watched(self):
        """Reads what is free again and again meanwhile; afterwards `least_mb` is the lowest of it."""
        self.least_mb = self.free_mb()
        if self.torch is None:
            yield
            return
        over = threading.Event()

        def watch():
            while not over.wait(0.004):
                self.least_mb = min(self.least_mb, self.free_mb())

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            self.least_mb = min(self.least_mb, self.free_mb())


def smi_used_mb():
    """What is taken before this process has a context, which would count itself; None where nvidia-smi does not tell."""
    try:
        asked = ["nvidia-smi", "--id=0", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
        return int(subprocess.run(asked, capture_output=True, text=True, timeout=60, check=True).stdout.split()[0])
    except (OSError, ValueError, IndexError, subprocess.SubprocessError):
        return None


class Ours:
    """`gpu_check serve`, a line for a picture. It is a process of its own, as the sidecar is."""

    def __init__(self, args, case, *more):
        command = [str(args.ours), "serve", case["model"], "--models", str(args.models), "--device", args.ours_device, *more]
        if args.tiny:
            command.append("--tiny")
        began = time.perf_counter()
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        ready = self.line()
        self.load_s, self.able, self.library = time.perf_counter() - began, ready["able"], ready["library"]

    def line(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.process.args[0]} ended with {self.process.wait()}; its message stands above")
        return json.loads(line)

    def draw(self, case, seed):
        ask = dict(prompt=PROMPT.format(seed), negative=NEGATIVE.format(seed), seed=seed, side=case["side"],
                   steps=case["steps"], guidance=case["guidance"])
        self.process.stdin.write(json.dumps(ask) + "\n")
        self.process.stdin.flush()
        return self.line()

    def close(self):
        # What was said to a process that ended cannot be said any more.
        with contextlib.suppress(OSError):
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

    def inpainting(self):
        """The same weights in the pipeline that inpaints."""
        from diffusers import StableDiffusion3InpaintPipeline

        pipe = StableDiffusion3InpaintPipeline.from_pipe(self.pipe)
        pipe.set_progress_bar_config(disable=True)
        return pipe

    def draw(self, name, case, seed, **more):
        torch = self.torch
        if self.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        with self.variant(name):
            self.wait()
            began = time.perf_counter()
            given = dict(prompt=PROMPT.format(seed), negative_prompt=NEGATIVE.format(seed), height=case["side"],
                         width=case["side"],
                         generator=torch.Generator(self.device).manual_seed(seed)) | more
            drawn = (case.get("pipe") or self.pipe)(num_inference_steps=case["steps"], guidance_scale=case["guidance"],
                              max_sequence_length=self.tokens, **given)
            pixels = [image.convert("RGBA").tobytes() for image in drawn.images]
            self.wait()
            seconds = time.perf_counter() - began
        stats = self.torch.cuda if self.device == "cuda" else None
        allocated = stats.max_memory_allocated() >> 20 if stats else None
        reserved = stats.max_memory_reserved() >> 20 if stats else None
        return dict(seconds=seconds, allocated_mb=allocated, reserved_mb=reserved, bytes=len(pixels[0]), colours=len(set(pixels[0])))


def spread(seconds):
    seconds = sorted(seconds)
    # Nearest rank: of 20, the 19th.
    rank = max(0, -(-95 * len(seconds) // 100) - 1)
    p95 = round(seconds[rank], 5) if len(seconds) >= P95_RUNS else None
    return dict(p50=round(statistics.median(seconds), 5), p95=p95, n=len(seconds))


def write(path, whole):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(whole, indent=2, ensure_ascii=False) + "\n")


def bench(args):
    table, ends = (TINY if args.tiny else CASES), time.monotonic() + args.seconds
    whole = dict(cases=[], first=[], memory=[], compile=args.compile, runs_wanted=args.runs)
    if args.out.is_file() and args.keep:
        whole = json.loads(args.out.read_text())
    card, keys = Card(args), args.cases.split(",")
    for at, key in enumerate(keys):
        if key not in table:
            print(f"{key}: there is no such case here ({', '.join(table)})", flush=True)
            continue
        case, left = table[key], ends - time.monotonic()
        if left < args.seconds / 10:
            whole.setdefault("not_begun", []).append(case["name"])
            continue
        # Cases share what is left alike.
        until = time.monotonic() + left / (len(keys) - at)
        print(f"{case['name']}: {until - time.monotonic():.0f} s of {left:.0f} are its share", flush=True)
        # What an earlier call said of it is out of date.
        for part, rows in whole.items():
            if isinstance(rows, list):
                whole[part] = [row for row in rows if not isinstance(row, dict) or row.get("name") != case["name"]]
        guarded(whole, case, "ours", Bench(args, case, card, whole).run, until)
        write(args.out, whole)
        if args.device == "cuda":
            import gc

            import torch

            torch._dynamo.reset()
            gc.collect()
            torch.cuda.empty_cache()
    write(args.out, whole)
    if not whole["cases"]:
        sys.exit("nothing was timed; see what was said above")


def guarded(whole, case, who, what, *given):
    """What one of them cannot do must not end the others; it is told."""
    try:
        what(*given)
    except (Exception, SystemExit) as err:
        print(f"{who}: {type(err).__name__}: {str(err)[:500]}", file=sys.stderr, flush=True)
        whole.setdefault("failed", []).append(dict(name=case["name"], rival=who, error=str(err)[:500]))


class Bench:
    """One case: everybody's first picture and memory, then in turn, then what is told apart."""

    def __init__(self, args, case, card, whole):
        self.args, self.case, self.card, self.whole = args, case, card, whole
        self.seed, self.peaks, self.out = 1, {}, set()

    def run(self, until):
        before_mb = self.card.free_mb()
        with closing(self.begin("ours", before_mb)) as ours:
            rest_mb = None if before_mb is None else before_mb - self.card.free_mb()
            theirs, variants = None, []
            try:
                theirs = Theirs(self.args, self.case)
                variants = self.first_pictures(theirs, rest_mb, until)
            except Exception as err:  # Ours is timed all the same.
                self.lost("diffusers", err)
            if not variants:
                theirs = None
                empty(self.args)
            # Should the time end in the rounds, this much is known.
            write(self.args.out, self.whole)
            drawers = {"ours": ours, **{name: theirs for name in variants}}
            # Half of what is left, and what follows takes the other half, or more where the rounds end before it.
            times = self.rounds("bf16", drawers, sooner(until, 2))
            library = ours.library
        lasted = [name for name in variants if times[name] and name not in self.out]
        compiled = [name for name in lasted if name != "eager"] or lasted
        best = min(compiled, key=lambda name: statistics.median(times[name]), default=None)
        guarded(self.whole, self.case, "ours, fp8", self.eights, theirs, best, sooner(until, 2))
        if library is None:
            self.whole.setdefault("not_able", []).append(f"{self.case['name']}: with cuBLASLt, which was not found")
        else:
            guarded(self.whole, self.case, "ours, own kernels", self.own, theirs, best, until)
        guarded(self.whole, self.case, "ours, lean", self.lean, best, times.get(best, []))

    def lost(self, who, err):
        print(f"{who}: {type(err).__name__}: {str(err)[:500]}", file=sys.stderr, flush=True)
        self.whole.setdefault("failed", []).append(dict(name=self.case["name"], rival=who, error=str(err)[:500]))

    def begin(self, who, before_mb, *more):
        """Ours, and its first two pictures: the time of the first, and what the card has less of at the worst."""
        ours = Ours(self.args, self.case, *more)
        if not ours.able:
            ours.close()
            return None
        try:
            with self.card.watched():
                drawn = ours.draw(self.case, self.seed)
                books_mb = max(drawn["peak_mb"], ours.draw(self.case, self.seed)["peak_mb"])
            check(self.case, who, drawn)
        except BaseException:
            ours.close()
            raise
        # Without a driver that tells, the program's own books of what it asked for.
        self.peaks[who] = books_mb if before_mb is None else before_mb - self.card.least_mb
        self.whole["memory"].append(dict(name=self.case["name"], who=who, driver_mb=self.peaks[who] if before_mb else None,
                                         asked_mb=books_mb))
        self.whole["first"].append(dict(name=self.case["name"], who=who, load_s=ours.load_s, compile_s=0.0,
                                        first_s=drawn["seconds"], all_s=ours.load_s + drawn["seconds"]))
        return ours

    def first_pictures(self, theirs, rest_mb, until):
        """Variants that draw, each after its first picture. Its memory is that of the second, when no kernel is tried any
        more, and those behind it have taken nothing yet: what max-autotune records stays with it."""
        variants = []
        for name in self.args.variants.split(";"):
            if time.monotonic() > until:
                self.whole.setdefault("failed", []).append(dict(name=self.case["name"], rival=name, error="no time was left"))
                continue
            try:
                drawn = theirs.draw(name, self.case, self.seed)
                if self.args.device == "cuda":
                    theirs.torch.cuda.empty_cache()
                with self.card.watched():
                    again = theirs.draw(name, self.case, self.seed)
            except Exception as err:  # What one rival cannot do must not end the others.
                self.lost(name, err)
                continue
            check(self.case, name, drawn)
            variants.append(name)
            told = None
            if rest_mb is not None and self.card.others_mb is not None:
                # All that is taken, without what others had at the beginning and without ours, which rests meanwhile.
                told = self.card.total_mb() - self.card.least_mb - rest_mb - self.card.others_mb
            self.peaks[name] = told if told is not None else again["reserved_mb"]
            self.whole["memory"].append(dict(name=self.case["name"], who=name, driver_mb=told, asked_mb=again["allocated_mb"],
                                             reserved_mb=again["reserved_mb"]))
            # What the first picture takes longer than the second: compiling, and whatever else is done once.
            compile_s = max(0.0, drawn["seconds"] - again["seconds"])
            self.whole["first"].append(dict(name=self.case["name"], who=name, load_s=theirs.load_s, compile_s=compile_s,
                                            first_s=drawn["seconds"], all_s=theirs.load_s + drawn["seconds"]))
            print(f"  {name}: ready after {drawn['seconds']:.1f} s", flush=True)
        return variants

    def rounds(self, dtype, drawers, until, **more):
        """Seconds of everybody, a picture each in turn, told after each round. A rival that fails is out, and ours goes on."""
        args, times = self.args, {name: [] for name in drawers}
        mine, drawers = next(iter(drawers)), dict(drawers)
        for run in range(args.runs + args.warm):
            # Everybody once, or nobody: half a round would not be a fair one. Three are drawn whatever the time.
            if time.monotonic() > until and run > args.warm + 2:
                break
            self.seed += 1
            for name, drawer in list(drawers.items()):
                if name == "eager" and run >= args.warm + EAGER_RUNS:
                    continue
                own = isinstance(drawer, Ours)
                try:
                    drawn = drawer.draw(self.case, self.seed) if own else drawer.draw(name, self.case, self.seed)
                except Exception as err:
                    if own:
                        raise
                    del drawers[name]
                    self.out.add(name)
                    self.lost(name, err)
                    empty(args)
                    continue
                if run >= args.warm:
                    times[name].append(drawn["seconds"])
            self.rows(dtype, mine, times, **more)
        for row in self.rows(dtype, mine, times, **more):
            rival = f"beside {row['rival']} {row['rival_s']['p50']:.3f} s, {row['ratio']}" if row["rival"] else "alone"
            print(f"  {dtype}: {mine} {row['ours_s']['p50']:.3f} s, {rival}", flush=True)
        return times

    def rows(self, dtype, who, times, **more):
        """What is known so far of one of ours beside each rival; alone where there is none."""
        if not times[who]:
            return []
        mine, rows = spread(times[who]), []
        for rival in [name for name in times if name != who and times[name]] or [None]:
            other = spread(times[rival]) if rival else None
            rows.append(dict(name=self.case["name"], who=who, dtype=dtype, ours_s=mine,
                             rival=f"diffusers, {rival}" if rival else None, rival_s=other,
                             ratio=round(mine["p50"] / other["p50"], 4) if rival else None, peak_mb_ours=self.peaks[who],
                             peak_mb_rival=self.peaks.get(rival), **more))
        kept = [row for row in self.whole["cases"] if (row["name"], row["who"]) != (self.case["name"], who)]
        self.whole["cases"] = kept + rows
        write(self.args.out, self.whole)
        return rows

    def eights(self, theirs, best, until):
        """Ours with fp8 linears in turn with the best in bf16."""
        with closing(self.begin("ours, fp8", self.card.free_mb(), "--eights")) as ours:
            if ours is None:
                self.whole.setdefault("not_able", []).append(f"{self.case['name']}: this device keeps no matrices in eight bits")
                return
            self.rounds("fp8", {"ours, fp8": ours} | ({best: theirs} if best else {}), until)

    def own(self, theirs, best, until):
        """Ours without NVIDIA's library, in turn with the best."""
        with closing(self.begin("ours, own kernels", self.card.free_mb(), "--library", "never")) as ours:
            self.rounds("bf16", {"ours, own kernels": ours} | ({best: theirs} if best else {}), until)

    def lean(self, best, rival_s):
        """Ours with text encoders and modulation off the card but while they are read: alone, after the others."""
        with closing(self.begin("ours, lean", self.card.free_mb(), "--lean")) as ours:
            more = dict(layout="text encoders and modulation leave", in_turn=False)
            times = self.rounds("bf16", {"ours, lean": ours}, 0, **more)
        self.rows("bf16", "ours, lean", times | ({best: rival_s} if best else {}), **more)


@contextlib.contextmanager
def closing(ours):
    """Ends the program, whatever became of what it was asked."""
    try:
        yield ours
    finally:
        if ours is not None:
            ours.close()


def sooner(until, parts):
    """When the first of so many parts of what is left until then is over."""
    now = time.monotonic()
    return now + max(0.0, until - now) / parts


def check(case, who, drawn):
    """A picture of the right size that is not of one colour: else something else was timed."""
    if drawn["bytes"] != case["side"] ** 2 * 4 or drawn["colours"] < 16:
        sys.exit(f"{who} drew {drawn['bytes']} bytes of {drawn['colours']} values for {case['name']}: that is no picture")


def soak(args):
    """The same jobs in a loop as people write it: everything on the card, out of memory where it does not fit."""
    import torch

    jobs, rows = json.loads(args.jobs.read_text()), []
    began = time.monotonic()
    for at, cap_mb in enumerate(args.caps_mb):
        cap(args, cap_mb)
        until = began + args.seconds * (at + 1) / len(args.caps_mb)
        done = drawn = failed = inpainted = 0
        theirs, was, faults = None, None, []
        for job in jobs:
            if time.monotonic() > until:
                break
            model = ("tiny-" if args.tiny else "") + ("large" if job["turbo"] else "medium")
            case = dict(name="soak", model=model, side=job["side"], steps=2, guidance=1.0 if job["turbo"] else 4.0)
            done += 1
            try:
                if was != model:
                    theirs, was = None, None
                    empty(args)
                    theirs, was = Theirs(args, case), model
                asked = dict(num_images_per_prompt=job["pictures"])
                if job["inpaint"]:
                    inpainted += 1
                    case["pipe"] = theirs.inpainting()
                    asked |= masked(job["side"])
                theirs.draw("eager", case, job["seed"] % 2**31, **asked)
                drawn += 1
            except torch.OutOfMemoryError:
                failed += 1
                empty(args)
            except Exception as err:  # One job's failure is that job's.
                faults.append(f"{job}: {type(err).__name__}: {str(err)[:300]}")
        rows.append(dict(cap_mb=cap_mb, jobs=done, of=len(jobs), drawn=drawn, inpainted=inpainted, failed_memory=failed,
                         failed=len(faults), faults=faults[:8]))
        print(rows[-1], flush=True)
        write(args.out, dict(ended=len(rows) == len(args.caps_mb), caps=rows))


def masked(side):
    """A grey picture of which the right half is drawn anew, and so much of the way as ours goes."""
    from PIL import Image

    mask = Image.new("L", (side, side), 0)
    mask.paste(255, (side // 2, 0, side, side))
    return dict(image=Image.new("RGB", (side, side), (128, 128, 128)), mask_image=mask, strength=0.8)


def cap(args, cap_mb):
    """This process is told to take no more than so much."""
    if args.device == "cuda":
        import torch

        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, (cap_mb << 20) / total))


def empty(args):
    """Gives back what no tensor holds any more."""
    if args.device == "cuda":
        import gc

        import torch

        gc.collect()
        torch.cuda.empty_cache()


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
    parser.add_argument("--keep", action="store_true", help="what stands in --out stays: cases may come in several calls")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--jobs", type=pathlib.Path, help="of soak: the list that gpu_check wrote")
    parser.add_argument("--caps-mb", type=int, nargs="+", default=[10490, 7629], help="of soak: 11 GB and 8 GB")
    args = parser.parse_args()
    # What one variant compiled would be found again for another: the cache's key leaves out which attention was chosen
    # (pytorch issue 185449). And a first picture is a cold one.
    os.environ["TORCHINDUCTOR_FORCE_DISABLE_CACHES"] = "1"
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
