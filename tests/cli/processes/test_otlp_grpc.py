"""OTLP/gRPC beside the HTTP of a process."""

from __future__ import annotations

import subprocess
import sys

from fixtures.phospho_process import clean_environment
from fixtures.server_process import free_port

PROGRAM = """
import asyncio, os, socket, sys
from phospho_cli.processes.otlp_grpc import grpc_background

async def main(address):
    task = asyncio.create_task(grpc_background(None, address, 1000)["otlp-grpc"]())
    host, port = address.split(":")
    while True:
        try:
            socket.create_connection((host, int(port))).close()
            break
        except OSError:
            assert not task.done(), task.result()
            await asyncio.sleep(0.05)
    for _ in range(3):
        child = os.fork()
        if not child:
            os._exit(0)
        os.waitpid(child, 0)
    print("forked", flush=True)
    os._exit(0)

asyncio.run(main(sys.argv[1]))
"""


def test_forks_of_a_process_with_grpc_log_nothing() -> None:
    """The process that reads an imported file is forked, as uvloop does it."""
    program = subprocess.run(
        [sys.executable, "-c", PROGRAM, f"127.0.0.1:{free_port()}"],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert (program.stdout, program.stderr) == ("forked\n", "")
