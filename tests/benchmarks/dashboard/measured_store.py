"""A store that measures each of its queries: how long it took, what ClickHouse read for it, and how much memory."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
from clickhouse_connect.driver.binding import bind_query

from fixtures.clickhouse_server import ClickHouseServer
from phospho_store.clickhouse import remote
from phospho_store.store import DATABASE, Store

_TIMEOUT_S = 120.0


@dataclass(frozen=True)
class Measured:
    """
    One query: its text (values travel beside it), seconds with its way over loopback, and what it read.

    `cpu_s` is what all threads of the server worked for it: on a machine that others load too, the figure to compare.
    `memory_bytes` is by how much the memory of the server's process rose above what it held before, at its highest.
    """

    sql: str
    seconds: float
    cpu_s: float
    rows_read: int
    bytes_read: int
    memory_bytes: int


class MeasuredStore(Store):
    """Reads from a server as Store does, one query at a time, and appends each to `measured`."""

    def __init__(self, server: ClickHouseServer) -> None:
        super().__init__(remote(server.url)._connect)
        self.measured: list[Measured] = []
        self._process = _Process(server)
        self._http = httpx.Client(base_url=server.url, timeout=_TIMEOUT_S)

    def raw(
        self,
        sql: str,
        fmt: str | None,
        parameters: Mapping[str, Any] | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> bytes:
        text, bound = bind_query(sql, dict(parameters or {}))
        query = {"database": DATABASE, "default_format": fmt or "Null", **bound, **(settings or {})}
        self._process.reset()
        started_s = time.perf_counter()
        answer = self._http.post("/", params=query, content=text)
        seconds = time.perf_counter() - started_s
        answer.raise_for_status()
        read = orjson.loads(answer.headers["X-ClickHouse-Summary"])
        rows, read_bytes = int(read["read_rows"]), int(read["read_bytes"])
        cpu_s, memory_bytes = self._process.used()
        self.measured.append(Measured(sql, seconds, cpu_s, rows, read_bytes, memory_bytes))
        return answer.content

    def close(self) -> None:
        self._http.close()
        super().close()


class _Process:
    """The resources that a process used since the last reset, by Linux's accounts."""

    def __init__(self, server: ClickHouseServer) -> None:
        self._folder = Path(f"/proc/{server.pid}")
        self._ticks_a_second = os.sysconf("SC_CLK_TCK")
        self._memory = 0
        self._cpu_s = 0.0

    def reset(self) -> None:
        (self._folder / "clear_refs").write_text("5")  # takes the peak down to what is resident now
        self._memory, self._cpu_s = self._bytes("VmRSS"), self._seconds()

    def used(self) -> tuple[float, int]:
        """Return seconds of CPU, to a hundredth, and bytes of memory at the peak."""
        return self._seconds() - self._cpu_s, max(self._bytes("VmHWM") - self._memory, 0)

    def _seconds(self) -> float:
        fields = (self._folder / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / self._ticks_a_second

    def _bytes(self, name: str) -> int:
        lines = (self._folder / "status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))
