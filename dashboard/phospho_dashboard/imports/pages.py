"""The pages of imports: choose a file, then map its columns, see what would be rejected, and import it."""

from __future__ import annotations

import asyncio
import io
import logging
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.imports.columns import LABELS, columns_of, date_formats, mapping_of, suggestion
from phospho_dashboard.imports.links import tasks_of_import
from phospho_dashboard.imports.pull import Fetch, Pull
from phospho_dashboard.imports.reading import peeked
from phospho_dashboard.imports.run import EventIntake, Run, Runner
from phospho_dashboard.imports.sources import SOURCES, PullRequest, checked_request
from phospho_dashboard.imports.staged import MAX_FILE_BYTES, Staged, StagedFiles
from phospho_dashboard.layout.pages import ProjectPage
from phospho_dashboard.queries.zones import zone_of
from phospho_dashboard.services import Endpoints, Services
from phospho_dashboard.web.forms import Form
from phospho_dashboard.web.routes import form_route, page_route, twin_route
from phospho_dashboard.web.uploads import Upload
from phospho_dashboard.web.urls import item_path, with_query
from phospho_schemas.imports import import_id
from phospho_schemas.times import parsed_end, parsed_time, utc_text
from phospho_store.log_files.formats import FORMATS
from phospho_store.log_files.log_file import OWN_FORMAT
from phospho_store.log_files.reader import ReadRequest
from phospho_web.problems import Problem, no_publisher
from phospho_web.responses import json_response

logger = logging.getLogger(__name__)
_PATH = "/import"
_ITEM = f"{_PATH}/{{import_id}}"
_SHOWN_REASONS = 20
# Another system may take a minute to answer: pulls have threads of their own.
_PULLS_AT_A_TIME = 2
_PEEKS_AT_A_TIME = 2
_MAX_DATE_FORMAT_CHARACTERS = 60
_FORMAT_LABELS = {OWN_FORMAT: "A table: map its columns"} | {
    name: f"{export_format.label} (export)" for name, export_format in FORMATS.items()
}


class ImportPages(Endpoints):
    """
    The pages, their twins and their forms.

    `intake` is None where this process can't log, `fetch` where it can't pull from other systems.
    """

    def __init__(self, services: Services, intake: EventIntake | None, fetch: Fetch | None) -> None:
        super().__init__(services)
        self._fetch = fetch
        self._pulls: set[asyncio.Task[None]] = set()
        self._pull_threads = ThreadPoolExecutor(_PULLS_AT_A_TIME, thread_name_prefix="phospho-pull")
        self._peeks = asyncio.Semaphore(_PEEKS_AT_A_TIME)
        self._files = StagedFiles(services.clock)
        self._runner = None if intake is None else Runner(intake)
        self._start = ProjectPage(services, "import", "imports/start.html")
        self._page = ProjectPage(services, "import", "imports/import.html")

    def routes(self) -> list[BaseRoute]:
        """Return the routes of imports."""
        return [
            twin_route(_PATH, self.start_twin),
            page_route(_PATH, self.start),
            form_route(_PATH, self.upload),
            form_route(f"{_PATH}/pull", self.pull),
            twin_route(_ITEM, self.twin),
            page_route(_ITEM, self.page),
            form_route(_ITEM, self.act),
        ]

    async def start(self, request: Request) -> Response:
        visitor = await self._access.page_visitor(request)
        return await self._render_start(request, visitor)

    async def start_twin(self, request: Request) -> Response:
        _, project_id = await self._access.page_visitor_and_project(request)
        return json_response({"project_id": project_id, "imports": self._summaries(project_id)})

    async def upload(self, request: Request) -> Response:
        """Stage a file, and check it under the mapping that its columns suggest."""
        visitor = await self._access.page_visitor(request, "editor")
        project_id = await self._access.query_project(request, visitor)
        try:
            visitor, upload = await self._access.upload_visitor(request, MAX_FILE_BYTES)
            with upload.content:
                self._running()
                staged = await self._staged(project_id, upload)
        except Problem as problem:
            if problem.status not in (413, 422):
                raise
            return await self._render_start(request, visitor, problem)
        return _to_import(staged)

    async def pull(self, request: Request) -> Response:
        """Begin to pull from another system; what comes in is imported like a file."""
        visitor, project_id, form = await self._access.form_visitor_and_project(request, "editor")
        try:
            pull_request = _pull_request(form, await self._zone(request, visitor, project_id))
            staged = await self._files.add(project_id, f"{pull_request.source}.jsonl", io.BytesIO())
        except Problem as problem:
            return await self._render_start(request, visitor, problem)
        staged.pull = Pull(pull_request, staged.path, MAX_FILE_BYTES)
        self._begin_pull(staged)
        return _to_import(staged)

    async def _zone(self, request: Request, visitor: Visitor, project_id: str) -> ZoneInfo:
        projects = await self._access.projects(visitor)
        return zone_of(next((each for each in projects if each.project_id == project_id), None), request)

    async def page(self, request: Request) -> Response:
        visitor, staged = await self._of_request(request)
        return await self._render(request, visitor, staged)

    async def twin(self, request: Request) -> Response:
        _, staged = await self._of_request(request)
        return json_response(_content(staged))

    async def act(self, request: Request) -> Response:
        """Check or import the file under the mapping of the form, or stop or remove it."""
        visitor, project_id, form = await self._access.form_visitor_and_project(request, "editor")
        staged = self._files.get(project_id, request.path_params["import_id"])
        action = form.text("action")
        if action == "remove":
            self._files.remove(staged)
            return RedirectResponse(with_query(_PATH, {"project": project_id}), 303)
        if action == "stop":
            staged.stop()
            return _to_import(staged)
        if action == "continue":
            self._begin_pull(staged)
            return _to_import(staged)
        if action == "preview" and staged.pull is not None and not staged.is_running:
            await self._look_into(staged)
            staged.pull.state = "done"
            return _to_import(staged)
        try:
            self._map(staged, form)
        except Problem as problem:
            return await self._render(request, visitor, staged, problem)
        self._begin(staged, Run("import" if action == "import" else "check"))
        return _to_import(staged)

    async def _of_request(self, request: Request) -> tuple[Visitor, Staged]:
        visitor, project_id = await self._access.page_visitor_and_project(request)
        return visitor, self._files.get(project_id, request.path_params["import_id"])

    async def _staged(self, project_id: str, upload: Upload) -> Staged:
        staged = await self._files.add(project_id, upload.name, upload.content)
        try:
            # A task without a time gets that of its file, and its id; the same file must give the same ones.
            with suppress(ValueError, OverflowError, OSError):
                modified_s = int(upload.form.text("modified_ms")) / 1000
                await asyncio.to_thread(os.utime, staged.path, (modified_s, modified_s))
            await self._look_into(staged)
        except BaseException:
            self._files.remove(staged)
            raise
        return staged

    async def _look_into(self, staged: Staged) -> None:
        """Read the columns of a file, and check it under the mapping that they suggest."""
        async with self._peeks:
            content = await peeked(ReadRequest(str(staged.path), is_peek=True))
        staged.mark = await asyncio.to_thread(_mark, staged)
        staged.examples, staged.recognised = content["columns"], content["format_name"]
        staged.format_name = staged.recognised or OWN_FORMAT
        staged.mapping = {} if staged.recognised else suggestion(staged.examples)
        if staged.recognised or "input" in {**staged.examples, **staged.mapping}:
            self._begin(staged, Run("check"))

    def _begin_pull(self, staged: Staged) -> None:
        """Pull in the background, from where an earlier attempt ended. Raises Problem 404 or 409."""
        if self._fetch is None or staged.pull is None:
            raise Problem(404, "no_pull", "nothing can be pulled here")
        if staged.is_running:
            raise Problem(409, "import_running", "the file is being read", "wait for its end, or stop it")
        staged.pull.begin()
        task = asyncio.create_task(self._pulled(staged, staged.pull, self._fetch))
        self._pulls.add(task)
        task.add_done_callback(self._pulls.discard)

    async def _pulled(self, staged: Staged, pull: Pull, fetch: Fetch) -> None:
        try:
            await pull.run(fetch, self._pull_threads)
            if pull.state == "done":
                await self._look_into(staged)
        except Problem:
            pull.state, pull.reason = "failed", "Nothing was logged in that time."
        except Exception:
            # The edge of the task. A file that was removed meanwhile ends here too.
            logger.exception("a pull failed")
            pull.state, pull.reason = "failed", "The server's log has the details."

    def _map(self, staged: Staged, form: Form) -> None:
        """Take the mapping of a form. Raises Problem: 409 or 422."""
        if staged.is_running:
            raise Problem(409, "import_running", "the file is being read", "wait for its end, or stop it")
        format_name = form.text("format") or OWN_FORMAT
        if format_name not in _FORMAT_LABELS:
            raise Problem(422, "invalid_format", "there is no such format")
        staged.format_name, staged.date_format = format_name, form.text("date_format", _MAX_DATE_FORMAT_CHARACTERS)
        if format_name == OWN_FORMAT:
            staged.mapping = mapping_of(form, list(staged.examples))

    def _begin(self, staged: Staged, run: Run) -> None:
        request = ReadRequest(
            str(staged.path),
            mapping=staged.mapping if staged.format_name == OWN_FORMAT else {},
            format_name=staged.format_name,
            date_format=staged.date_format or None,
            import_id=staged.mark,
        )
        staged.run = run
        self._running().start(run, request, staged.project_id)

    def _running(self) -> Runner:
        if self._runner is None:
            raise no_publisher()
        return self._runner

    async def _render_start(self, request: Request, visitor: Visitor, problem: Problem | None = None) -> Response:
        project_id = await self._access.query_project(request, visitor)
        content = {
            "project_id": project_id,
            "max_file_mb": MAX_FILE_BYTES // 1_000_000,
            "imports": self._summaries(project_id),
            "sources": SOURCES if self._fetch is not None else {},
        }
        return await self._start.render(request, visitor, content, problem=problem)

    async def _render(
        self, request: Request, visitor: Visitor, staged: Staged, problem: Problem | None = None
    ) -> Response:
        columns = columns_of(staged.examples, staged.mapping)
        content = _content(staged) | {
            "columns": columns,
            "labels": LABELS,
            "formats": _FORMAT_LABELS,
            "recognised": staged.recognised,
            "date_format_labels": _date_format_labels(staged, date_formats(columns)),
        }
        return await self._page.render(request, visitor, content, problem=problem)

    def _summaries(self, project_id: str) -> list[dict[str, Any]]:
        return [_content(staged) for staged in self._files.of_project(project_id)]


def _mark(staged: Staged) -> str:
    with staged.path.open("rb") as content:
        return import_id(content, staged.name)


def _date_format_labels(staged: Staged, formats: Mapping[str, str]) -> dict[str, str]:
    """Return the formats that may be chosen for the times, each with its label."""
    labels = {each: f"{each} ({label})" for each, label in formats.items()}
    chosen_format = {staged.date_format: staged.date_format} if staged.date_format else {}
    return {"": "Standard (ISO 8601 or Unix seconds)"} | chosen_format | labels


def _content(staged: Staged) -> dict[str, Any]:
    """Return an import as its twin has it."""
    run = staged.run
    return {
        "project_id": staged.project_id,
        "import_id": staged.import_id,
        "file": staged.name,
        "size_bytes": staged.size_bytes,
        "format": staged.format_name,
        "mapping": staged.mapping,
        "date_format": staged.date_format,
        "run": None if run is None else _run_content(staged, run),
        "pull": None if staged.pull is None else _pull_content(staged.pull),
        "tasks_path": tasks_of_import(staged.project_id, staged.mark),
    }


def _pull_content(pull: Pull) -> dict[str, Any]:
    return {
        "source": SOURCES[pull.request.source].label,
        "state": pull.state,
        "records": pull.records,
        "problem": pull.reason,
    }


def _pull_request(form: Form, zone: ZoneInfo) -> PullRequest:
    """Return the pull of a form, whose days are those of `zone`, the last one included. Raises Problem 422."""
    return checked_request(
        PullRequest(
            source=form.text("source"),
            base_url=form.text("base_url"),
            keys=tuple(form.texts("key")),
            project=form.text("remote_project"),
            since=_time_text(form, "since", partial(parsed_time, zone=zone)),
            until=_time_text(form, "until", partial(parsed_end, zone=zone)),
        )
    )


def _time_text(form: Form, name: str, parsed: Callable[[str], datetime | None]) -> str:
    text = form.text(name)
    if text and (moment := parsed(text)) is None:
        raise Problem(422, "invalid_field", f"{name} {text!r} is not a time", "write it as 2026-01-31")
    return utc_text(moment) if text and moment else ""


def _run_content(staged: Staged, run: Run) -> dict[str, Any]:
    counts = run.counts
    reasons = sorted(counts.reasons.items(), key=lambda item: -item[1][1])[:_SHOWN_REASONS]
    is_over = run.state == "done"
    return {
        "kind": run.kind,
        "state": run.state,
        "percent": 100 if is_over else min(99, 100 * run.position_bytes // max(staged.size_bytes, 1)),
        "accepted": counts.accepted,
        "rejected": counts.rejected,
        "skipped": counts.skipped,
        "first_at": counts.first_at,
        "last_at": counts.last_at,
        "undated": counts.undated,
        "reasons": [{"reason": reason, "line": line, "count": count} for reason, (line, count) in reasons],
        "problem": run.reason,
    }


def _to_import(staged: Staged) -> Response:
    return RedirectResponse(with_query(item_path(_PATH, staged.import_id), {"project": staged.project_id}), 303)
