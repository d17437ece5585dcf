"""The API of forgetting, /api/v1/forget."""

from __future__ import annotations

from functools import partial
from typing import Any, get_args

from starlette.requests import Request
from starlette.responses import Response

from phospho_dashboard.privacy.reports import ReportSigner, forgotten_report
from phospho_dashboard.services import ApiEndpoints, Services
from phospho_store.forgetting.forget import Forgetting, SubjectKind
from phospho_web.endpoints import api_endpoint
from phospho_web.openapi import ANY_OBJECT, TEXT, object_schema
from phospho_web.problems import Problem
from phospho_web.requests import text_field
from phospho_web.responses import json_response

_KINDS: tuple[SubjectKind, ...] = get_args(SubjectKind)
_SIGNED = {"report": ANY_OBJECT, "signature": TEXT}


class ForgetApi(ApiEndpoints):
    """The endpoints that forget a user, a session or a task, and that check a report of it."""

    def __init__(self, services: Services, signer: ReportSigner) -> None:
        super().__init__(services)
        self._forgetting = Forgetting(services.store, services.clock)
        self._signer = signer

    @api_endpoint(
        "post",
        "/forget",
        "Forget a user, a session or a task",
        object_schema(list(_SIGNED), **_SIGNED),
        description="Deletes all that was logged about it up to now, in every table and dead letter, and what was "
        "learnt from it. Messages that wait in a topic or are replayed are dropped. Takes seconds.",
        body=object_schema([], user_id=TEXT, session_id=TEXT, task_id=TEXT),
    )
    async def forget(self, request: Request) -> Response:
        visitor, project_id = await self._access.api_visitor_and_project(request, "admin")
        self._signer.check()
        kind, identifier = _subject(await self._body(request))
        forgotten = await self._slow_threads.run(
            project_id, partial(self._forgetting.forget, project_id, kind, identifier)
        )
        report = forgotten_report(forgotten, project_id, {f"{kind}_id": identifier}, visitor.author)
        return json_response(self._signer.signed(report))

    @api_endpoint(
        "post",
        "/forget/verify",
        "Check the signature of a report",
        object_schema(["is_valid"], is_valid={"type": "boolean"}),
        body=object_schema(list(_SIGNED), **_SIGNED),
    )
    async def verify(self, request: Request) -> Response:
        await self._access.api_project(request, "admin")
        self._signer.check()
        content = await self._body(request)
        return json_response({"is_valid": self._signer.is_valid(content.get("report"), content.get("signature"))})


def _subject(content: dict[str, Any]) -> tuple[SubjectKind, str]:
    """Return what to forget. Raises Problem (422) unless the body names one thing."""
    named = [kind for kind in _KINDS if content.get(f"{kind}_id")]
    if len(named) != 1:
        raise Problem(422, "invalid_body", "one of user_id, session_id and task_id is needed", "send one of them")
    return named[0], text_field(content, f"{named[0]}_id")
