"""The cluster that faults are done to: two of each worker and two gateways, restarted where they end by themselves."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from fixtures.phospho_process import PhosphoProcess
from fixtures.server_process import ServerProcess
from fixtures.shapes import OnKafka

# A worker that sleeps for longer has lost its partitions.
SESSION_TIMEOUT_S = 6
_SAMPLE_INTERVAL_S = 1.0


class ChaosCluster(OnKafka):
    """`exits` counts the processes that ended by themselves, which a supervisor restarts."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, {"PHOSPHO_KAFKA_SESSION_TIMEOUT_MS": str(SESSION_TIMEOUT_S * 1000)})
        self.exits: Counter[str] = Counter()

    def __enter__(self) -> Self:
        super().__enter__()
        self.gateways["gateway-2"] = self._stack.enter_context(self.gateway("gateway-2"))
        self.workers["sink-2"] = self._stack.enter_context(self.worker("sink-2"))
        self.wait_until_all_are_ready()
        return self

    @property
    def processes(self) -> Mapping[str, PhosphoProcess]:
        """The processes of ours, by name."""
        return {**self.workers, **self.gateways}

    def supervise(self) -> None:
        """Restart the processes that ended by themselves, as a supervisor does."""
        for name, process in self.processes.items():
            if not process.is_running():
                self.exits[name] += 1
                process.start()

    def restart_all(self) -> None:
        """Give every process of ours a new start, so that what comes next shares nothing with faults in memory."""
        for process in self.processes.values():
            process.kill()
        self.wait_until_all_are_ready()

    def wait_until_all_are_ready(self) -> None:
        for process in self.processes.values():
            process.start()
            process.wait_until_ready()


class PeakMemory:
    """The largest resident memory of each kind of process, in MB, sampled once a second."""

    def __init__(self, cluster: ChaosCluster) -> None:
        self._cluster = cluster
        self._stopping = threading.Event()
        self.megabytes: dict[str, int] = {}

    @contextmanager
    def sampled(self) -> Iterator[None]:
        thread = threading.Thread(target=self._sample)
        thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            thread.join()

    def _sample(self) -> None:
        while not self._stopping.wait(_SAMPLE_INTERVAL_S):
            servers: dict[str, ServerProcess] = {"kafka": self._cluster.kafka, "clickhouse": self._cluster.clickhouse}
            for name, process in (servers | dict(self._cluster.processes)).items():
                kind = name.partition("-")[0]
                self.megabytes[kind] = max(self.megabytes.get(kind, 0), resident_megabytes(process.pid))


def resident_megabytes(pid: int | None) -> int:
    """Return the resident memory of a process; 0 for one that is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    lines = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(lines[0].split()[1]) // 1024 if lines else 0
