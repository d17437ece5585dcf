"""Child processes that are measured: started, waited for, their CPU seconds read, and ended."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import orjson

from benchmarks.conversations import REPOSITORY

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_POLL_S = 0.05


class BenchmarkFailed(RuntimeError):
    """The benchmark did not run as planned; nothing is written."""


def cpu_s(pid: int) -> float:
    """Return the CPU seconds, user and system, that a living process has used. Linux."""
    stat = Path(f"/proc/{pid}/stat").read_text()
    # The name, in brackets, may hold spaces; the times are the 14th and 15th field of all.
    fields = stat[stat.rindex(")") + 2 :].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


class Process:
    """One child process. Leaving the context ends it, by SIGTERM and then by SIGKILL."""

    def __init__(self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self._log = log
        self._command = list(command)
        self._environment = {**os.environ, **environment}
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=self._environment
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        child = self._running()
        child.terminate()
        try:
            child.wait(20.0)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()

    @property
    def pid(self) -> int:
        return self._running().pid

    def cpu_s(self) -> float:
        """Return the CPU seconds that it has used so far."""
        return cpu_s(self.pid)

    def wait_for_http(self, url: str, timeout_s: float = 60.0) -> None:
        """Wait until `url` answers 200. Raises BenchmarkFailed with the end of the log."""

        def answers() -> bool:
            if self._running().poll() is not None:
                raise BenchmarkFailed(f"{self.name} ended with {self._running().returncode}: {self._last_lines()}")
            return _answers(url)

        wait_until(answers, timeout_s, f"{self.name} did not get ready")

    def tell_to_go(self) -> None:
        """Wait for the line `ready` of a child that measures, and let it begin."""
        line = self._pipe(self._running().stdout).readline()
        if line != b"ready\n":
            raise BenchmarkFailed(f"{self.name} did not get ready: {self._last_lines()}")
        stdin = self._pipe(self._running().stdin)
        stdin.write(b"go\n")
        stdin.flush()

    def result(self) -> dict[str, Any]:
        """Wait for the one JSON line that a child prints at its end."""
        line = self._pipe(self._running().stdout).readline()
        if not line.startswith(b"{"):
            raise BenchmarkFailed(f"{self.name} gave no result: {self._last_lines()}")
        result: dict[str, Any] = orjson.loads(line)
        return result

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._child is not None, "not started"
        return self._child

    def _pipe(self, pipe: IO[bytes] | None) -> IO[bytes]:
        assert pipe is not None
        return pipe

    def _last_lines(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])


def phospho(*arguments: str) -> list[str]:
    """Return the command line of `phospho …` in this environment."""
    return [sys.executable, "-m", "phospho_cli", *arguments]


def part(name: str, log: Path, *arguments: str) -> Process:
    """Return a child process that runs a module of this package, which measures by itself."""
    environment = {"PYTHONPATH": os.pathsep.join([str(REPOSITORY / "tests"), os.environ.get("PYTHONPATH", "")])}
    return Process(name, [sys.executable, "-m", f"benchmarks.pipeline.{name}", *arguments], log, environment)


def run_phospho(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run a command of phospho to its end. Raises BenchmarkFailed where it does not succeed."""
    done = subprocess.run(
        phospho(*arguments), env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode:
        raise BenchmarkFailed(f"phospho {' '.join(arguments)}: {done.stdout}{done.stderr}")


def wait_until(is_so: Callable[[], bool], timeout_s: float, otherwise: str, every_s: float = _POLL_S) -> None:
    """Return once `is_so` says True. Raises BenchmarkFailed after `timeout_s`."""
    deadline_s = time.monotonic() + timeout_s
    while not is_so():
        if time.monotonic() > deadline_s:
            raise BenchmarkFailed(f"{otherwise} within {timeout_s:g} s")
        time.sleep(every_s)


def free_port() -> int:
    """Return a loopback port on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2.0) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
