"""The APIs that an import is pulled from, page by page: Langfuse's traces and LangSmith's root runs."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlencode, urlsplit

import orjson

from phospho_web.problems import Problem

_MAX_KEY_CHARACTERS = 500
_MAX_ADDRESS_CHARACTERS = 500
# LangSmith's default begins a day ago.
_EARLIEST = "2015-01-01T00:00:00Z"
_LANGSMITH_FIELDS = (
    "ID", "NAME", "RUN_TYPE", "START_TIME", "END_TIME", "INPUTS", "OUTPUTS", "ERROR", "EXTRA", "METADATA", "THREAD_ID",
    "PROMPT_TOKENS", "COMPLETION_TOKENS", "TAGS",
)  # fmt: skip


class Call(NamedTuple):
    """A request to an API; a body is JSON."""

    method: str
    path: str
    body: bytes = b""


class Answered(NamedTuple):
    """The records of a page, and the cursor of the next one, empty after the last."""

    records: list[dict[str, Any]]
    cursor: str


@dataclass(frozen=True)
class PullRequest:
    """The records to pull: an address and its keys, a project of LangSmith's, and times in ISO 8601 or nothing."""

    source: str
    base_url: str
    keys: tuple[str, ...] = field(repr=False)
    project: str = ""
    since: str = ""
    until: str = ""


class Source(Protocol):
    """One API. `label` is for people, and `key_labels` are those of its keys."""

    label: str
    base_url: str
    key_labels: tuple[str, ...]

    def headers(self, request: PullRequest) -> dict[str, str]:
        """Return the headers that authenticate a request."""

    def call(self, request: PullRequest, cursor: str) -> Call:
        """Return the request of a page, of the first for an empty cursor."""

    def read(self, document: Any, cursor: str) -> Answered:
        """Return the content of a page. Raises KeyError, TypeError or ValueError for another document."""


class _Langfuse:
    label = "Langfuse"
    base_url = "https://cloud.langfuse.com"
    key_labels: tuple[str, ...] = ("Public key", "Secret key")

    def headers(self, request: PullRequest) -> dict[str, str]:
        return {"Authorization": "Basic " + base64.b64encode(":".join(request.keys).encode()).decode()}

    def call(self, request: PullRequest, cursor: str) -> Call:
        # In the order of time, so that traces that come meanwhile are on later pages.
        query = {"page": cursor or "1", "limit": "50", "orderBy": "timestamp.asc"}
        query |= {"fromTimestamp": request.since} if request.since else {}
        query |= {"toTimestamp": request.until} if request.until else {}
        return Call("GET", f"/api/public/traces?{urlencode(query)}")

    def read(self, document: Any, cursor: str) -> Answered:
        page = int(cursor or "1")
        is_last = page >= int(document["meta"]["totalPages"])
        return Answered(list(document["data"]), "" if is_last else str(page + 1))


class _LangSmith:
    label = "LangSmith"
    base_url = "https://api.smith.langchain.com"
    key_labels: tuple[str, ...] = ("API key",)

    def headers(self, request: PullRequest) -> dict[str, str]:
        return {"X-API-Key": request.keys[0]}

    def call(self, request: PullRequest, cursor: str) -> Call:
        body: dict[str, Any] = {"project_ids": [request.project], "is_root": True, "page_size": 100}
        body |= {"min_start_time": request.since or _EARLIEST, "selects": _LANGSMITH_FIELDS}
        body |= {"max_start_time": request.until} if request.until else {}
        body |= {"cursor": cursor} if cursor else {}
        return Call("POST", "/api/v2/runs/query", orjson.dumps(body))

    def read(self, document: Any, cursor: str) -> Answered:
        return Answered([_run(run) for run in document["items"]], str(document.get("next_cursor") or ""))


def _run(run: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run with its metadata where exports have it."""
    extra = run.get("extra") or {}
    thread = {"thread_id": run["thread_id"]} if run.get("thread_id") else {}
    metadata = {**thread, **(run.get("metadata") or {}), **(extra.get("metadata") or {})}
    rest = {name: value for name, value in run.items() if name not in ("metadata", "thread_id")}
    return {"run_type": "chain", "inputs": None} | rest | {"extra": {**extra, "metadata": metadata}}


SOURCES: Mapping[str, Source] = MappingProxyType({"langfuse": _Langfuse(), "langsmith": _LangSmith()})


def checked_request(request: PullRequest) -> PullRequest:
    """Return the request without blanks and slashes around its address. Raises Problem 422."""
    source = SOURCES.get(request.source)
    if source is None:
        raise Problem(422, "invalid_source", "choose where to pull from", f"one of: {', '.join(SOURCES)}")
    keys = tuple(key.strip() for key in request.keys if key.strip())
    if len(keys) != len(source.key_labels) or not all(_is_header_text(key) for key in keys):
        names = " and ".join(source.key_labels).lower()
        raise Problem(422, "invalid_key", f"{source.label} needs its {names}", "copy them from its settings")
    if request.source == "langsmith" and not request.project.strip():
        raise Problem(422, "missing_project", "LangSmith needs the id of a project", "it is in the project's settings")
    base_url = request.base_url.strip().rstrip("/") or source.base_url
    if not _is_base_url(base_url):
        raise Problem(422, "invalid_address", "the address can't be used", f"such as {source.base_url}")
    return PullRequest(
        request.source, base_url, keys, request.project.strip(), since=request.since, until=request.until
    )


def _is_base_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return len(text) <= _MAX_ADDRESS_CHARACTERS and not parts.query and not parts.fragment


def _is_header_text(key: str) -> bool:
    return len(key) <= _MAX_KEY_CHARACTERS and key.isascii() and key.isprintable()
