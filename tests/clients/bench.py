"""What one request costs on its way through a router: thumbforge, LiteLLM's proxy and Portkey's gateway before the same
provider, on the same machine, in the same run.

    tests/clients/run --bench                    prints the table and writes docs/bench/router.md
    tests/clients/run --bench --only thumbforge  one of them
    tests/clients/run --bench --check            fails where a share is far beyond what it was; writes nothing
    tests/clients/run --bench --streams 64       memory over a long run of 1 MiB answers; --minutes, default 10

CPU is that of the router's whole process tree, from /proc, over the requests alone; added latency is the median over that
of the provider asked directly. Every prompt is a new one, so no router answers from a store. Thumbforge runs as it does
in production: jobs journalled, pictures checked, stamped and kept. The pictures are noise: packing them again gains
nothing, so the same bytes travel everywhere.
"""

import argparse
import concurrent.futures
import http.client
import itertools
import json
import os
import pathlib
import platform
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import rig

CLIENTS = rig.ROOT / "target" / "clients"
REPORT = rig.ROOT / "docs" / "bench" / "router.md"
MODEL = "bench"
# Sides of a square of noise that is nearly as long as the answer, and the answer's bytes; the provider fills up the rest.
ANSWERS = {"1 KB": (16, 1024), "1 MiB": (590, 1 << 20)}
# Requests at once, and how many are measured.
LOADS = {1: 100, 16: 320}
WARM_UP = 32
# The most of a rival's CPU that one of our requests may take.
TARGETS = {("1 KB", "LiteLLM"): 0.1, ("1 MiB", "LiteLLM"): 0.1, ("1 MiB", "Portkey"): 0.2}
# Beyond this share something broke: the bounds of --check, with room for a machine that does other things meanwhile.
BOUNDS = {("1 KB", "LiteLLM"): 0.5, ("1 MiB", "LiteLLM"): 1.5, ("1 MiB", "Portkey"): 1.5}
TICKS = os.sysconf("SC_CLK_TCK")
PROMPTS = itertools.count()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def tree(pid):
    """A process and all that came of it."""
    children, found = {}, [pid]
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    for parent in found:
        found.extend(children.get(parent, []))
    return found


def cpu_ms(pid):
    """CPU of a process tree so far, with what of it has ended."""
    ticks = 0
    for member in tree(pid):
        try:
            fields = pathlib.Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += sum(int(field) for field in fields[11:15])
    return ticks * 1000 / TICKS


def rss_mib(pid):
    total = 0
    for member in tree(pid):
        try:
            found = re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{member}/status").read_text())
        except OSError:
            continue
        total += int(found.group(1)) if found else 0
    return total / 1024


def await_port(process, port):
    """Until somebody listens: not every router says so."""
    until = time.monotonic() + rig.PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > until or process.child.poll() is not None:
                process.end(15)
                raise SystemExit("a router does not listen:\n" + "\n".join(process.said[-20:])) from None
            time.sleep(0.05)


class Line:
    """One connection that is kept, as clients with a pool keep theirs."""

    def __init__(self, url, headers):
        host, _, port = url.removeprefix("http://").partition(":")
        self.place = (host, int(port))
        self.headers = {"Content-Type": "application/json", "Authorization": "Bearer sk-bench", **headers}
        self.connection = http.client.HTTPConnection(*self.place, timeout=rig.PATIENCE)

    def ask(self, side, length):
        """Milliseconds of one request, whose answer must hold a picture of `length` bytes at least nearly."""
        prompt = f"a red fox on a hill, number {next(PROMPTS)}"
        body = json.dumps({"prompt": prompt, "model": MODEL, "size": f"{side}x{side}", "n": 1}).encode()
        began = time.perf_counter()
        self.connection.request("POST", "/v1/images/generations", body, self.headers)
        answer = self.connection.getresponse()
        text = answer.read()
        took = (time.perf_counter() - began) * 1000
        if answer.status != 200:
            raise SystemExit(f"{self.place}: {answer.status} {text[:600]}")
        # Base64 is a third longer; what is stamped onto a picture makes a small one longer, never shorter.
        if not (b'"b64_json"' in text[:4096] or b'"b64_json"' in text) or len(text) < length * 5 // 4:
            raise SystemExit(f"{self.place}: {len(text)} bytes are no answer with a picture of {length}")
        return took


def load(url, headers, side, length, at_once, count):
    """Latencies in milliseconds of `count` requests, `at_once` at a time."""
    lines = threading.local()

    def one(_):
        if not hasattr(lines, "line"):
            lines.line = Line(url, headers)
        return lines.line.ask(side, length)

    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(one, range(count)))


class Direct:
    name, version, headers = "direct", "", {}

    def __init__(self, provider, side):
        self.url, self.pid = provider.url, None

    def end(self):
        pass


class Thumbforge:
    name, headers = "thumbforge", {}
    version = "this commit"

    def __init__(self, provider, side):
        # A model that is sold by the picture and drawn in the size of the bench, so that nothing is scaled.
        models = f"""
[[model]]
id = "{MODEL}"
name = "Bench"
family = "hosted"
provider = "openai"
wire = "{MODEL}"
price = [{{ usd = "0.01", as_of = "2026-10" }}]
[model.can]
sizes = ["{side}x{side}"]
qualities = ["medium"]
"""
        limits = {"images_in_flight": 64, "images_per_minute": 1_000_000, "burst": 100_000}
        settings = rig.account(provider, **limits)
        self.sidecar = rig.Sidecar(settings, models)
        self.url, self.pid = self.sidecar.url, self.sidecar.pid

    def end(self):
        self.sidecar.end()


class LiteLLM:
    name, headers = "LiteLLM", {}
    version = (rig.ROOT / "tests/clients/requirements-full.txt").read_text().rpartition("==")[2].strip()

    def __init__(self, provider, side):
        self.folder = tempfile.TemporaryDirectory()
        settings = pathlib.Path(self.folder.name, "config.yaml")
        row = {
            "model_name": MODEL,
            "litellm_params": {"model": f"openai/{MODEL}", "api_base": f"{provider.url}/v1", "api_key": "sk-bench"},
        }
        settings.write_text(json.dumps({"model_list": [row], "litellm_settings": {"telemetry": False}}))
        port = free_port()
        args = [CLIENTS / "litellm/bin/litellm", "--config", settings, "--port", port, "--host", "127.0.0.1"]
        # Neither its price list nor anything else comes from elsewhere.
        env = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "LITELLM_MODE": "PRODUCTION"}
        # Nobody is asked for a key, as nobody is here by us.
        env["LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY"] = "true"
        self.process = rig.Process(args, None, env, cwd=self.folder.name)
        await_port(self.process, port)
        self.url, self.pid = f"http://127.0.0.1:{port}", self.process.pid

    def end(self):
        self.process.end(15)
        self.folder.cleanup()


class Portkey:
    name = "Portkey"
    version = (rig.ROOT / "tests/clients/gateway-version.txt").read_text().strip()

    def __init__(self, provider, side):
        self.headers = {"x-portkey-provider": "openai", "x-portkey-custom-host": f"{provider.url}/v1"}
        port = free_port()
        script = CLIENTS / "portkey/node_modules/@portkey-ai/gateway/build/start-server.js"
        # It would not ask a server of this machine otherwise.
        env = {"NODE_ENV": "production", "TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost"}
        self.process = rig.Process(["node", script, f"--port={port}", "--headless"], None, env)
        self.url, self.pid = f"http://127.0.0.1:{port}", self.process.pid
        await_port(self.process, port)

    def end(self):
        self.process.end(15)


ROUTERS = [Direct, Thumbforge, LiteLLM, Portkey]


def measure(routers, loads):
    """Rows of (router, answer, at once, CPU ms a request, median ms, 95th percentile ms)."""
    rows = []
    for answer, (side, length) in ANSWERS.items():
        provider = rig.Provider("--no-record", "--size", f"{side}x{side}", "--picture-bytes", str(length))
        try:
            for kind in routers:
                router = kind(provider, side)
                try:
                    load(router.url, router.headers, side, length, 4, WARM_UP)
                    for at_once, count in loads.items():
                        before = cpu_ms(router.pid) if router.pid else 0
                        latencies = load(router.url, router.headers, side, length, at_once, count)
                        cpu = (cpu_ms(router.pid) - before) / count if router.pid else 0
                        median, late = statistics.median(latencies), statistics.quantiles(latencies, n=20)[-1]
                        rows.append((router.name, answer, at_once, cpu, median, late))
                        print(f"{router.name:11} {answer:6} {at_once:3} at once: "
                              f"{cpu:8.2f} ms CPU, {median:8.2f} ms median, {late:8.2f} ms p95", flush=True)
                finally:
                    router.end()
        finally:
            provider.end()
    return rows


def judge(rows):
    """Our CPU as a share of each rival's, against the targets; and whether one is beyond its bound."""
    cpu = {(name, answer, at_once): spent for name, answer, at_once, spent, _, _ in rows}
    lines, missed = [], False
    for (answer, rival), most in TARGETS.items():
        for at_once in LOADS:
            ours, theirs = cpu.get(("thumbforge", answer, at_once)), cpu.get((rival, answer, at_once))
            if ours is None or not theirs:
                continue
            share = ours / theirs
            missed |= share > BOUNDS[answer, rival]
            word = "met" if share <= most else "missed"
            lines.append(f"| {answer} | {at_once} | {rival} | {share:.3f} | {most} | {word} |")
    return lines, missed


def filesystem():
    """What kind of file system the data directories lie on: its journal is part of what a job costs."""
    asked = ["stat", "--file-system", "--format=%T", tempfile.gettempdir()]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip() or "an unknown file system"


def report(rows, judged):
    direct = {(answer, at_once): median for name, answer, at_once, _, median, _ in rows if name == "direct"}
    versions = ", ".join(f"{kind.name} {kind.version}" for kind in ROUTERS if kind.version and kind is not Thumbforge)
    cpu = re.search(r"model name\s*:\s*(.+)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text())
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout.strip()
    text = [
        "# What a request costs on its way through a router",
        "",
        "Written by `tests/clients/run --bench`; run it again to measure another machine.",
        "",
        f"{versions}; Python {platform.python_version()}, Node {node}. {os.cpu_count()} cores of "
        f"{cpu.group(1) if cpu else platform.machine()}, {int(memory.group(1)) >> 20 if memory else '?'} GiB, "
        f"{platform.system()} {platform.release()}, data directory on {filesystem()}. {time.strftime('%Y-%m-%d')}; load "
        f"when it ended: {os.getloadavg()[0]:.1f}.",
        "",
        "One provider (`tests/src/bin/provider.rs`) answers at once; every prompt is a new one. CPU is that of the",
        "router's whole process tree over the requests alone. Added latency is the median over that of the provider asked",
        "directly. Thumbforge journals each job twice over before it answers (so that nothing is lost or paid for twice),",
        "decodes, checks and stamps the picture and keeps it; the others pass the answer on.",
        "",
        "| router | answer | at once | CPU ms a request | added ms, median | p95 ms |",
        "|---|---|---|---|---|---|",
    ]
    for name, answer, at_once, spent, median, late in rows:
        added = "" if name == "direct" else f"{median - direct.get((answer, at_once), 0):.1f}"
        text.append(f"| {name} | {answer} | {at_once} | {spent:.2f} | {added} | {late:.1f} |")
    text += ["", "| answer | at once | CPU beside | share | target | |", "|---|---|---|---|---|---|", *judged, ""]
    return "\n".join(text)


def streams(count, minutes):
    """Memory of the sidecar while `count` clients fetch 1 MiB answers without a pause."""
    side, length = ANSWERS["1 MiB"]
    provider = rig.Provider("--no-record", "--size", f"{side}x{side}", "--picture-bytes", str(length))
    router = Thumbforge(provider, side)
    stop, done, samples = threading.Event(), itertools.count(), []

    def client():
        line = Line(router.url, {})
        while not stop.is_set():
            line.ask(side, length)
            next(done)

    threads = [threading.Thread(target=client, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + minutes * 60
    while time.monotonic() < until and all(thread.is_alive() for thread in threads):
        time.sleep(max(0.2, minutes * 60 / 60))
        samples.append(rss_mib(router.pid))
        print(f"{samples[-1]:8.1f} MiB", flush=True)
    failed = not all(thread.is_alive() for thread in threads)
    stop.set()
    for thread in threads:
        thread.join(timeout=rig.PATIENCE)
    answers = next(done)
    router.end()
    provider.end()
    # Caches fill and the allocator settles in the first third; what then grows would grow for ever.
    third = len(samples) // 3
    early, late = statistics.median(samples[third : 2 * third]), statistics.median(samples[2 * third :])
    print(f"{answers} answers with {count} at once: {early:.0f} MiB, then {late:.0f} MiB")
    if failed:
        raise SystemExit("a client failed")
    if late > early * 1.1 + 16:
        raise SystemExit("memory grows")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=[kind.name for kind in ROUTERS])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--quick", action="store_true", help="a tenth of the requests, and no report")
    parser.add_argument("--streams", type=int)
    parser.add_argument("--minutes", type=float, default=10)
    args = parser.parse_args()
    if args.streams:
        streams(args.streams, args.minutes)
        return
    wanted = [kind for kind in ROUTERS if not args.only or kind.name in args.only]
    loads = {at_once: max(at_once, count // 10) for at_once, count in LOADS.items()} if args.quick else LOADS
    rows = measure(wanted, loads)
    judged, missed = judge(rows)
    text = report(rows, judged)
    print(text)
    if not (args.only or args.check or args.quick):
        REPORT.parent.mkdir(parents=True, exist_ok=True)
        REPORT.write_text(text)
    if args.check and missed:
        sys.exit("one of our requests takes far more CPU beside the others than it did")


if __name__ == "__main__":
    main()
