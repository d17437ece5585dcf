"""The routes of the legacy API."""

from __future__ import annotations

from starlette.routing import Route

from phospho_gateway.legacy.flat_update_api import FlatUpdateApi
from phospho_gateway.legacy.messages_api import MessagesApi
from phospho_gateway.legacy.project_api import ProjectApi
from phospho_gateway.legacy.services import LegacyServices
from phospho_gateway.legacy.session_api import SessionApi
from phospho_gateway.legacy.task_api import TaskApi


def legacy_routes(services: LegacyServices) -> list[Route]:
    """Return the routes. Those that take logs and flags (ingest_v2) come before them."""
    return [
        *TaskApi(services).routes(),
        *SessionApi(services).routes(),
        *ProjectApi(services).routes(),
        *FlatUpdateApi(services).routes(),
        *MessagesApi(services).routes(),
    ]
