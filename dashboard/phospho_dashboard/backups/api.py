"""The API of backups, /api/v1/backups, which `phospho backup` asks while `phospho up` runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from phospho_dashboard.services import ApiEndpoints, Services
from phospho_web.endpoints import api_endpoint
from phospho_web.openapi import ANY_OBJECT, TEXT, object_schema
from phospho_web.problems import Problem
from phospho_web.requests import text_field
from phospho_web.responses import json_response

# Writes a backup of that name, and returns its folder and its manifest. Blocking; raises FileExistsError.
BackUp = Callable[[str], tuple[str, Mapping[str, Any]]]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class BackupsApi(ApiEndpoints):
    """The endpoint that backs the store up. `back_up` is None where the store is a server's."""

    def __init__(self, services: Services, back_up: BackUp | None) -> None:
        super().__init__(services)
        self._back_up = back_up

    @api_endpoint(
        "post",
        "/backups",
        "Back up the embedded store",
        object_schema(["folder", "manifest"], folder=TEXT, manifest=ANY_OBJECT),
        description="Needs the administrator's key, and writes into the data folder of `phospho up`.",
        status=201,
        body=object_schema(["name"], name=TEXT | {"pattern": f"^{_NAME.pattern}$"}),
    )
    async def back_up(self, request: Request) -> Response:
        visitor = await self._access.api_visitor(request, "admin")
        if not visitor.is_admin:
            raise Problem(403, "admin_only", "only admins of all projects can back up", "use the administrator's token")
        if self._back_up is None:
            hint = "back up the ClickHouse server itself: docs/deployment.md"
            raise Problem(404, "no_embedded_store", "the store is not in this process", hint)
        name = text_field(await self._body(request), "name")
        if not _NAME.fullmatch(name):
            raise Problem(422, "invalid_name", "a name has letters, digits, dots, dashes and underscores")
        try:
            folder, manifest = await self._slow_threads.run("", self._back_up, name)
        except FileExistsError:
            raise Problem(409, "name_taken", f"there is a backup {name!r} already", "choose another name") from None
        return json_response({"folder": folder, "manifest": manifest}, 201)
