"""What the suites of other people's clients share: a provider, a sidecar and a wire that fails, each as a process or thread.

Nothing leaves this machine: the provider is ours, and every account points at it.
"""

import contextlib
import json
import os
import pathlib
import queue
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
# Longer than anything here takes; what needs it has failed.
PATIENCE = 90
# What no answer, log or file may ever show.
SECRET = "sk-marked-7f3a9"


def binary(name):
    """A binary of ours: of the release profile where PROFILE says so."""
    path = TARGET / os.environ.get("PROFILE", "debug") / name
    if not path.exists():
        raise SystemExit(f"build {path} first: cargo build -p thumbforge-tests --bins")
    return str(path)


class Process:
    """A program that says where it listens. It is ended with its input, then by force."""

    def __init__(self, args, says=r"listening on (http://\S+)", env=None, cwd=None, log=None):
        self.lines = queue.Queue()
        self.log = log
        self.child = subprocess.Popen(
            [str(arg) for arg in args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            cwd=cwd,
        )
        self.said = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.url = self._wait_for(says) if says else None

    def _read(self):
        for line in self.child.stdout:
            line = line.decode(errors="replace").rstrip()
            # What is kept is bounded: a chatty program must not fill this one's memory.
            if len(self.said) < 10_000:
                self.said.append(line)
            self.lines.put(line)
        self.lines.put(None)

    def _wait_for(self, pattern):
        while True:
            line = self.lines.get(timeout=PATIENCE)
            if line is None:
                raise RuntimeError("it ended before it listened:\n" + "\n".join(self.said[-30:]))
            found = re.search(pattern, line)
            if found:
                return found.group(1)

    @property
    def pid(self):
        return self.child.pid

    def end(self, ask=None):
        """Ends it: as it likes to be asked, or by force."""
        with contextlib.suppress(OSError):
            self.child.stdin.close()
        if ask is not None:
            self.child.send_signal(ask)
        try:
            self.child.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        self.reader.join(timeout=5)


class Provider(Process):
    """The scripted provider; `rule` makes it misbehave, `book` says what it made and billed."""

    def __init__(self, *options):
        super().__init__([binary("provider"), *options])

    def rule(self, **rule):
        return post(f"{self.url}/_/rules", rule)

    def obey(self):
        """Forgets every rule."""
        request = urllib.request.Request(f"{self.url}/_/rules", method="DELETE")
        urllib.request.urlopen(request, timeout=PATIENCE).close()

    def book(self):
        return get(f"{self.url}/_/book")


class Sidecar(Process):
    """`thumbforge serve` on a data directory of its own, with `settings` as its user's file."""

    def __init__(self, settings="", models=None, options=()):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="thumbforge-clients-"))
        (self.folder / "config.toml").write_text(settings)
        if models is not None:
            (self.folder / "models.toml").write_text(models)
        key = self.folder / "key"
        key.write_text(SECRET)
        key.chmod(0o600)
        super().__init__([binary("sidecar"), "serve", "--port", "0", "--data-dir", self.folder, *options])

    def jobs(self):
        return get(f"{self.url}/jobs?limit=1000")["jobs"]

    def end(self, ask=None):
        super().end(ask or 15)
        shutil.rmtree(self.folder, ignore_errors=True)


def account(provider, **more):
    """The settings of one account at a provider of ours."""
    lines = [
        "[accounts.theirs]",
        'provider = "openai"',
        f'base_url = "{provider.url}/v1"',
        'key = "file:key"',
        *(f"{name} = {json.dumps(value)}" for name, value in more.items()),
    ]
    return "\n".join(lines) + "\n\n"


def get(url):
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        return json.load(answer)


def post(url, body, headers=None):
    """Status, headers and JSON of an answer, whatever its status."""
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json", **(headers or {})}
    )
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, answer.headers, json.loads(answer.read())
    except urllib.error.HTTPError as answer:
        return answer.code, answer.headers, json.loads(answer.read())


class Wire:
    """Stands between a client and a server, and cuts the first `cuts` answers after `after` bytes: 0 cuts the line
    before a byte of the answer. Counts the requests that passed."""

    def __init__(self, url, cuts, after=0):
        host, port = url.removeprefix("http://").split(":")
        self.server, self.cuts, self.after = (host, int(port)), cuts, after
        self.requests = 0
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client):
        server = socket.create_connection(self.server)
        with self.lock:
            self.requests += 1
            cut, self.cuts = self.cuts > 0, self.cuts - 1
        back = threading.Thread(target=self._back, args=(server, client, cut), daemon=True)
        back.start()
        pump(client, server)
        back.join()

    def _back(self, server, client, cut):
        if not cut:
            pump(server, client)
            return
        passed = 0
        while chunk := receive(server):
            chunk = chunk[: max(0, self.after - passed)]
            passed += len(chunk)
            if chunk:
                client.sendall(chunk)
            if passed >= self.after:
                break
        for end in (client, server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def end(self):
        self.listener.close()


def receive(source):
    try:
        return source.recv(65536)
    except OSError:
        return b""


def pump(source, sink):
    """Everything from one end to the other, until either closes."""
    while chunk := receive(source):
        try:
            sink.sendall(chunk)
        except OSError:
            break
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
