"""
`python -m benchmarks.first_minutes`: a stopwatch for the first minutes of a new user. Prints a table.

A fresh clone of the last commit, `make up`, the README's example in a Python environment of its own (with --javascript
also in a Node project), an own CSV file, a first definition that is run on it, and a second start. Packages come from
the registry or from pip's cache, so the time of `make up` is also that of the network. Everything is in a folder that
is removed at the end.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from benchmarks.conversations import REPOSITORY
from fixtures.server_process import free_port

_TIMEOUT_S = 600.0
_ROWS = 2_000
_QUESTIONS = ("Where is my order?", "I want my money back", "How do I reset my password?", "thanks, that helped")
_DEFINITION = (
    "definitions: [{name: refund, engine: keyword, scope: input, keywords: [money back], description: A refund}]"
)
_MAPPING = ["--mapping=input=question", "--mapping=output=answer", "--mapping=created_at=when"]


@dataclass
class Stopwatch:
    """The steps of a new user, with their seconds, their bytes and what was on the screen."""

    folder: Path
    port: int
    environment: dict[str, str]
    rows: list[tuple[str, float, str, str]] = field(default_factory=list)

    def note(self, step: str, begun: float, size: str, screen: str) -> None:
        """Keep a row of the table; `begun` is the monotonic time at which the step began."""
        self.rows.append((step, time.monotonic() - begun, size, " ".join(screen.split())[:110]))
        print("{:<44} {:>6.1f} s  {:>16}  {}".format(*self.rows[-1]), flush=True)

    def run(self, step: str, *command: str | Path, within: str = "", holding: str = "") -> None:
        """Run a command in the folder `within`, and note its time, the bytes of `holding` and its last line."""
        begun = time.monotonic()
        done = subprocess.run(
            [str(part) for part in command],
            cwd=self.folder / within,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
        )
        if done.returncode:
            sys.exit(f"{step} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        lines = [line for line in done.stdout.splitlines() if line.strip()]
        self.note(step, begun, _size(self.folder / holding) if holding else "", lines[-1] if lines else "(nothing)")

    @contextmanager
    def server(self, step: str) -> Iterator[str]:
        """Run `make up` until it says what to do next, and yield the address of its pages."""
        begun, log = time.monotonic(), self.folder / "up.log"
        options = f"ARGS=--port {self.port} --clickhouse-port 0 --grpc-port 0"
        with log.open("wb") as output:
            server = subprocess.Popen(
                ["make", "up", options],
                cwd=self.folder / "clone",
                env=self.environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            while not (pages := re.search(r"^  Pages +(\S+)", log.read_text(), re.MULTILINE)):
                if server.poll() is not None or time.monotonic() - begun > _TIMEOUT_S:
                    sys.exit(f"make up failed:\n{log.read_text()[-2000:]}")
                time.sleep(0.05)
            self.note(step, begun, _size(self.folder / "clone" / ".venv"), "phospho is up … Next: 1. Open http://…")
            yield pages[1]
        finally:
            os.killpg(server.pid, signal.SIGINT)
            server.wait(30)

    def page(self, step: str, browser: httpx.Client, path: str, wanted: str) -> None:
        """Read a page until it shows `wanted`."""
        begun = time.monotonic()
        while wanted not in (answer := browser.get(path)).text:
            if time.monotonic() - begun > 30:
                sys.exit(f"{path} does not show {wanted!r}")
            time.sleep(0.05)
        self.note(step, begun, f"{answer.num_bytes_downloaded:,} B", f"{path}: {wanted}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.first_minutes", description=main.__doc__)
    parser.add_argument("--javascript", action="store_true", help="log from a Node project too; needs npm")
    options = parser.parse_args()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PHOSPHO_", "PYTHON"))}
    with tempfile.TemporaryDirectory(prefix="phospho-first-") as folder:
        watch = Stopwatch(Path(folder), free_port(), environment)
        load_before = os.getloadavg()[0]
        watch.run("git clone", "git", "clone", "-q", REPOSITORY, "clone", holding="clone")
        with watch.server("make up: install and start") as pages, httpx.Client(follow_redirects=True) as browser:
            watch.page("open the page", browser, pages, "Waiting for the first task")
            browser.base_url = pages.split("/open")[0]
            environment |= _exported(Path(folder, "clone", "phospho-data", "phospho.env"))
            _log_from_apps(watch, browser, has_node=options.javascript)
            _import_and_define(watch, browser)
        with watch.server("make up again"):
            pass
    total = sum(seconds for _, seconds, _, _ in watch.rows[:-1])
    print(f"{total:.0f} s until the event of an own import is on the dashboard.")
    print(f"Load of the machine: {load_before:.1f} before, {os.getloadavg()[0]:.1f} after, {os.cpu_count()} cores.")


def _log_from_apps(watch: Stopwatch, browser: httpx.Client, *, has_node: bool) -> None:
    readme = (watch.folder / "clone" / "README.md").read_text()
    watch.run("Python: a new environment", sys.executable, "-m", "venv", "app")
    watch.run("Python: install the SDK", "app/bin/pip", "install", "-q", "clone/producers/python", holding="app")
    (watch.folder / "app.py").write_text(_example(readme, "python"))
    watch.run("Python: log a task with feedback", "app/bin/python", "app.py")
    watch.page("Python: see the task", browser, "/tasks", "Shall I book one?")
    if has_node:
        watch.run("JavaScript: pack the SDK", "make", "javascript-package", within="clone", holding="clone/dist")
        [package] = (watch.folder / "clone" / "dist").glob("*.tgz")
        (watch.folder / "node").mkdir()
        watch.run("JavaScript: npm install", "npm", "install", "--silent", package, within="node", holding="node")
        (watch.folder / "node" / "app.mjs").write_text(_example(readme, "javascript"))
        watch.run("JavaScript: log a task with feedback", "node", "app.mjs", within="node")
        watch.page("JavaScript: see the task", browser, "/tasks", "There are two.")


def _import_and_define(watch: Stopwatch, browser: httpx.Client) -> None:
    phospho = watch.folder / "clone" / ".venv" / "bin" / "phospho"
    with (watch.folder / "chats.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("question", "answer", "when"))
        for number in range(_ROWS):
            when = f"2026-01-{1 + number % 28:02} 12:00:{number % 60:02}"
            writer.writerow((_QUESTIONS[number % len(_QUESTIONS)], f"Answer {number}", when))
    (watch.folder / "events.yaml").write_text(_DEFINITION)
    watch.run("import an own CSV file", phospho, "import", "chats.csv", *_MAPPING, holding="chats.csv")
    watch.page("see the import", browser, "/tasks?period=all", "Answer ")
    watch.run("define an event, run it on the past", phospho, "definitions", "apply", "--backfill", "events.yaml")
    watch.page("see the event on the dashboard", browser, "/?period=all", f"{_ROWS // len(_QUESTIONS)}</span>")


def _exported(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^export (\w+)=(\S+)", path.read_text(), re.MULTILINE))


def _example(readme: str, language: str) -> str:
    [example] = re.findall(rf"```{language}\n(.*?)```", readme, re.DOTALL)
    return str(example)


def _size(path: Path) -> str:
    """Return the bytes of a file or of all files in a folder."""
    files: Sequence[Path] = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return f"{sum(file.lstat().st_size for file in files):,} B"


if __name__ == "__main__":
    main()
