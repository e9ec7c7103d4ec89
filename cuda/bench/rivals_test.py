#!/usr/bin/env python3
"""Tests of rivals.py where there is no card: doubles stand for torch.cuda and for both sides. It needs torch alone.

    cuda/bench/rivals_test.py
"""
import contextlib
import io
import json
import pathlib
import sys
import tempfile
import types
import unittest
from unittest import mock

import torch

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import rivals  # noqa: E402

MB = 1 << 20
TOTAL_MB = 80_000


class Driver:
    """A card's books: who holds how many MB, as the driver and torch tell them."""

    def __init__(self):
        self.held, self.fraction = {"driver": 500}, None
        self.peak = 0

    def hold(self, who, mb):
        self.held[who] = mb
        self.peak = max(self.peak, self.held.get("theirs", 0))

    def replaced(self):
        free = lambda: (TOTAL_MB - sum(self.held.values())) * MB
        return mock.patch.multiple(
            torch.cuda, mem_get_info=lambda: (free(), TOTAL_MB * MB), max_memory_allocated=lambda: self.peak * MB,
            max_memory_reserved=lambda: (self.peak + 100) * MB, empty_cache=lambda: None, synchronize=lambda: None,
            reset_peak_memory_stats=lambda: None, get_device_properties=lambda _: types.SimpleNamespace(total_memory=TOTAL_MB * MB),
            set_per_process_memory_fraction=self.cap)

    def cap(self, fraction):
        self.fraction = fraction


def args_of(folder, **more):
    given = dict(cases="turbo", tiny=False, device="cuda", seconds=60, out=folder / "bench.json", keep=True, compile="whole",
                 runs=20, warm=1, variants=";".join(rivals.VARIANTS), jobs=folder / "jobs.json", caps_mb=[8000, 4000])
    return types.SimpleNamespace(**given | more)


def picture(seconds, **more):
    return dict(seconds=seconds, bytes=512 * 512 * 4, colours=200) | more


class Benches(unittest.TestCase):
    """One case of Large Turbo with everybody."""

    def bench(self, able=True, library="cublaslt12.9.1", fails=("max-autotune", 1), **more):
        """`fails` are a rival and the seed from which on it does."""
        driver, drawn = Driver(), []

        class Ours:
            def __init__(self, args, case, *flags):
                self.who = "ours" + "".join(flags)
                self.load_s, self.able, self.library = 2.0, able or "--eights" not in flags, library
                driver.hold(self.who, 400)

            def draw(self, case, seed):
                drawn.append((self.who, seed))
                rest = {"ours": 10_000, "ours--eights": 7_000, "ours--lean": 5_000, "ours--librarynever": 9_000}[self.who]
                driver.hold(self.who, rest)
                return picture(0.1 if self.who == "ours" else 0.05, peak_mb=rest - 900)

            def close(self):
                driver.held.pop(self.who, None)

        class Theirs:
            def __init__(self, args, case):
                self.load_s, self.torch = 5.0, torch
                if fails[0] == "all":
                    raise torch.OutOfMemoryError("it does not fit")
                driver.hold("theirs", 15_000)

            def draw(self, name, case, seed, **given):
                drawn.append((name, seed))
                if name == fails[0] and seed >= fails[1]:
                    raise RuntimeError("no such mode here")
                driver.hold("theirs", 20_000 if name == "compiled" else 22_000)
                return picture(0.2 if name == "compiled" else 0.4, allocated_mb=19_000, reserved_mb=19_500)

        with tempfile.TemporaryDirectory() as folder:
            args = args_of(pathlib.Path(folder), **more)
            with driver.replaced(), mock.patch.multiple(rivals, Ours=Ours, Theirs=Theirs, smi_used_mb=lambda: 500), \
                    mock.patch.object(torch, "zeros"), contextlib.redirect_stdout(io.StringIO()), \
                    contextlib.redirect_stderr(io.StringIO()):
                rivals.bench(args)
                first = json.loads(args.out.read_text())
                # Asked again, it takes the place of what was said before.
                rivals.bench(args)
                self.assertEqual(len(json.loads(args.out.read_text())["cases"]), len(first["cases"]))
            return first, drawn

    def test_everybody_is_timed_and_measured_alike(self):
        whole, drawn = self.bench()
        rows = {(row["who"], row["rival"], row.get("layout")): row for row in whole["cases"]}
        self.assertEqual(len(rows), 6)
        row = rows["ours", "diffusers, compiled", None]
        self.assertEqual((row["ratio"], row["ours_s"]["n"], row["peak_mb_ours"], row["peak_mb_rival"]), (0.5, 20, 10_000, 20_000))
        eager = rows["ours", "diffusers, eager", None]["rival_s"]
        self.assertEqual((eager["n"], eager["p95"]), (rivals.EAGER_RUNS, None))
        row = rows["ours, fp8", "diffusers, compiled", None]
        self.assertEqual((row["dtype"], row["ratio"], row["peak_mb_ours"], row["ours_s"]["n"]), ("fp8", 0.25, 7_000, 20))
        row = rows["ours, own kernels", "diffusers, compiled", None]
        self.assertEqual((row["dtype"], row["peak_mb_ours"], row["ours_s"]["n"]), ("bf16", 9_000, 20))
        row = rows["ours, lean", "diffusers, compiled", "text encoders and modulation leave"]
        self.assertEqual((row["in_turn"], row["peak_mb_ours"]), (False, 5_000))
        self.assertEqual([(told["rival"], told["error"]) for told in whole["failed"]], [("max-autotune", "no such mode here")])
        first = {row["who"]: row["all_s"] for row in whole["first"]}
        self.assertEqual((first["ours"], first["compiled"]), (2.1, 5.2))

    def test_a_round_is_everybody_s_or_nobody_s(self):
        _, drawn = self.bench()
        rounds = {}
        for who, seed in drawn:
            rounds.setdefault(seed, set()).add(who)
        self.assertEqual(rounds[20], {"ours", "compiled", "compiled, cuDNN"})

    def test_a_device_without_eight_bits_says_so(self):
        whole, _ = self.bench(able=False)
        self.assertEqual({row["dtype"] for row in whole["cases"]}, {"bf16"})
        self.assertEqual(len(whole["not_able"]), 1)

    def test_a_rival_that_fails_in_the_rounds_is_out_and_the_others_go_on(self):
        whole, _ = self.bench(fails=("compiled", 5))
        rows = {(row["who"], row["rival"]): row for row in whole["cases"]}
        self.assertEqual(rows["ours", "diffusers, compiled"]["rival_s"]["n"], 2)
        self.assertEqual(rows["ours", "diffusers, compiled, cuDNN"]["rival_s"]["n"], 20)
        self.assertEqual([told["rival"] for told in whole["failed"]], ["compiled"])

    def test_ours_is_timed_alone_where_nobody_else_draws(self):
        whole, _ = self.bench(fails=("all", 1))
        rows = [(row["who"], row["rival"], row["ratio"], row["ours_s"]["n"]) for row in whole["cases"]]
        self.assertEqual(rows[0], ("ours", None, None, 20))
        self.assertEqual([row[1] for row in rows], [None] * 4)
        self.assertEqual([told["rival"] for told in whole["failed"]], ["diffusers"])

    def test_without_the_library_ours_is_its_own_kernels_already(self):
        whole, _ = self.bench(library=None)
        self.assertNotIn("ours, own kernels", {row["who"] for row in whole["cases"]})
        self.assertEqual(len(whole["not_able"]), 1)

    def test_no_time_is_a_failure(self):
        with self.assertRaises(SystemExit):
            self.bench(seconds=0)


class Soaks(unittest.TestCase):
    """Jobs under caps, with memory that runs out for the large ones."""

    def test_caps_are_set_and_what_fails_is_counted(self):
        driver, asked = Driver(), []

        class Theirs:
            def __init__(self, args, case):
                pass

            def inpainting(self):
                return "another pipeline"

            def draw(self, name, case, seed, **given):
                asked.append((case.get("pipe"), sorted(given)))
                if case["side"] == 1024:
                    raise torch.OutOfMemoryError("out of memory")
                if seed == 13:
                    raise ValueError("something else")

        jobs = [dict(turbo=False, side=512, pictures=2, inpaint=True, prompt=0, seed=1),
                dict(turbo=True, side=1024, pictures=1, inpaint=False, prompt=1, seed=2),
                dict(turbo=True, side=512, pictures=1, inpaint=False, prompt=1, seed=13)]
        with tempfile.TemporaryDirectory() as folder:
            args = args_of(pathlib.Path(folder))
            args.jobs.write_text(json.dumps(jobs))
            with driver.replaced(), mock.patch.object(rivals, "Theirs", Theirs), contextlib.redirect_stdout(io.StringIO()):
                rivals.soak(args)
            rows = json.loads(args.out.read_text())["caps"]
        self.assertEqual([row["cap_mb"] for row in rows], [8000, 4000])
        self.assertEqual([(row["drawn"], row["inpainted"], row["failed_memory"], row["failed"]) for row in rows], [(1, 1, 1, 1)] * 2)
        self.assertAlmostEqual(driver.fraction, 4000 / TOTAL_MB)
        self.assertEqual(asked[0], ("another pipeline", ["image", "mask_image", "num_images_per_prompt", "strength"]))


class Cards(unittest.TestCase):
    """What the driver is asked."""

    def test_the_lowest_of_what_is_free_is_kept(self):
        driver = Driver()
        with driver.replaced(), mock.patch.object(rivals, "smi_used_mb", lambda: None), mock.patch.object(torch, "zeros"):
            card = rivals.Card(types.SimpleNamespace(device="cuda"))
            with card.watched():
                driver.hold("theirs", 30_000)
            driver.hold("theirs", 0)
            self.assertEqual(card.least_mb, TOTAL_MB - 30_500)

    def test_a_machine_without_nvidia_smi_tells_nothing(self):
        with mock.patch.object(rivals.subprocess, "run", side_effect=FileNotFoundError):
            self.assertIsNone(rivals.smi_used_mb())

    def test_spreads(self):
        self.assertEqual(rivals.spread([float(n) for n in range(1, 21)]), dict(p50=10.5, p95=19.0, n=20))
        self.assertEqual(rivals.spread([1.0, 2.0, 9.0]), dict(p50=2.0, p95=None, n=3))


if __name__ == "__main__":
    unittest.main()
