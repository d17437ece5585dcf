"""Lists of ids in parts that fit into the address of a query, where ClickHouse's HTTP interface takes parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

# An address may have 1 MB (http_max_uri_size), and each byte may take three characters of it.
MAX_PARAMETER_BYTES = 50_000


def chunks(ids: Iterable[str]) -> Iterator[list[str]]:
    """Yield `ids` in their order, in lists of at most MAX_PARAMETER_BYTES; an id has at most 512 characters."""
    chunk: list[str] = []
    size = 0
    for name in ids:
        size += len(name.encode())
        if chunk and size > MAX_PARAMETER_BYTES:
            yield chunk
            chunk, size = [], len(name.encode())
        chunk.append(name)
    if chunk:
        yield chunk
