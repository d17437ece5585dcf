"""Checks of this machine: memory, disk and the ports of the servers."""

from __future__ import annotations

import shutil
import socket
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

from phospho_cli.commands.doctor.findings import Finding

# What the largest worker (detection) has at its peak, with room to start it.
_MIN_FREE_MEMORY_BYTES = 300_000_000
_MIN_FREE_DISK_BYTES = 500_000_000
_ANSWER_TIMEOUT_S = 3.0
_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")
_IN_USE = "Stop the other program, or start with {option}"
# By default, and the option that takes another one.
PORTS: Mapping[str, tuple[int, str]] = {
    "gateway": (8420, "--port"),
    "dashboard": (8421, "--port"),
    "OTLP/gRPC": (4317, "--grpc-port"),
}


def check_machine(ports: Mapping[str, tuple[int, str]] = PORTS) -> Iterator[Finding]:
    """Yield the findings about memory and disk, and whether each server's port is free or serves phospho."""
    yield memory_finding(_MEMINFO, _CGROUP)
    free_bytes = shutil.disk_usage(tempfile.gettempdir()).free
    advice = "Make room" if free_bytes < _MIN_FREE_DISK_BYTES else ""
    yield Finding("disk of this machine", f"{free_bytes / 1e9:,.1f} GB free for temporary files", advice)
    for name, (port, option) in ports.items():
        yield _port_finding(name, port, option)


def memory_finding(meminfo: Path, cgroup: Path) -> Finding:
    """Return the memory that is free for a process: that of the machine, or less where a container is limited."""
    subject = "memory of this machine"
    free = [_available_bytes(meminfo), _container_bytes(cgroup)]
    sizes = [size for size in free if size is not None]
    if not sizes:
        return Finding(subject, "not checked: this system has no /proc/meminfo")
    advice = "A worker needs 300 MB: raise the limit" if min(sizes) < _MIN_FREE_MEMORY_BYTES else ""
    return Finding(subject, f"{min(sizes) / 1e6:,.0f} MB free", advice)


def _available_bytes(meminfo: Path) -> int | None:
    try:
        lines = meminfo.read_text("utf-8").splitlines()
    except OSError:
        return None
    sizes = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    return sizes[0] if sizes else None


def _container_bytes(cgroup: Path) -> int | None:
    """Return what the limit of this container leaves, where page cache that the kernel may drop is free."""
    try:
        limit, used, statistics = (
            (cgroup / f"memory.{name}").read_text("utf-8").strip() for name in ("max", "current", "stat")
        )
    except OSError:
        return None
    droppable = dict(line.split() for line in statistics.splitlines()).get("inactive_file", "0")
    return None if limit == "max" else int(limit) - int(used) + int(droppable)


def _port_finding(name: str, port: int, option: str) -> Finding:
    subject = f"port {port} of {name}"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return _port_in_use(subject, port, option)
    return Finding(subject, "free")


def _port_in_use(subject: str, port: int, option: str) -> Finding:
    """Return whether it is ours: a server of phospho answers at /readyz, by 503 where it can't work."""
    if option == "--grpc-port":
        return Finding(subject, "in use")
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=_ANSWER_TIMEOUT_S):
            return Finding(subject, "answers as ready")
    except urllib.error.HTTPError as error:
        if error.code == 503:
            reason = error.read(1_000).decode("utf-8", "replace").strip()
            return Finding(subject, f"not ready: {reason[:200]}", "Follow the other lines, then read its log")
    except (OSError, ValueError):
        pass
    return Finding(subject, "in use by another program", _IN_USE.format(option=option))
