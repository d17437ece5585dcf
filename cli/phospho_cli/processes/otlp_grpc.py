"""OTLP/gRPC beside the gateway's HTTP, as a background task of its process."""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
from collections.abc import Mapping

from starlette.types import ASGIApp

from phospho_cli.processes.serving import BackgroundTask, listen_near, port_of, reachable_host

logger = logging.getLogger(__name__)


def grpc_address(host: str, port: int) -> str:
    """Return the address to serve at: that port, or a free one if it is unavailable; empty for port 0."""
    if not port:
        return ""
    with listen_near(host, port) as listener:
        free_port = port_of(listener)
    if free_port != port:
        logger.warning("OTLP/gRPC is at port %d: port %d is in use. Set another with --grpc-port", free_port, port)
    return f"[{host}]:{free_port}" if ":" in host else f"{host}:{free_port}"


def grpc_background(app: ASGIApp, address: str, max_body_bytes: int) -> Mapping[str, BackgroundTask]:
    """Return the task that serves OTLP/gRPC in front of an app; none without an address."""
    return {"otlp-grpc": lambda: _serve(app, address, max_body_bytes)} if address else {}


async def _serve(app: ASGIApp, address: str, max_body_bytes: int) -> None:
    # Read when gRPC is imported. It would log a line on the terminal at each fork, and ours are followed by exec.
    os.putenv("GRPC_ENABLE_FORK_SUPPORT", "false")
    # Imported here: the pages are ready before it.
    server = await asyncio.to_thread(importlib.import_module, "phospho_gateway.otlp.grpc_server")
    await server.serve_grpc(app, address, max_body_bytes)


def grpc_endpoint(address: str) -> str:
    """Return the URL for an exporter of this machine."""
    host, _, port = address.rpartition(":")
    return f"http://{reachable_host(host.strip('[]'))}:{port}"
