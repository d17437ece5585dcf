"""The routes of the legacy API."""

from __future__ import annotations

from starlette.routing import Route

from phospho_gateway.legacy.flat_update_api import FlatUpdateApi
from phospho_gateway.legacy.log_api import LogApi
from phospho_gateway.legacy.messages_api import MessagesApi
from phospho_gateway.legacy.project_api import ProjectApi
from phospho_gateway.legacy.session_api import SessionApi
from phospho_gateway.legacy.task_api import TaskApi
from phospho_gateway.services import Services


def legacy_routes(services: Services) -> list[Route]:
    """Return the routes. Those of a task's flag come before those of the task, as a task may have any id."""
    return [
        *LogApi(services).routes(),
        *TaskApi(services).routes(),
        *SessionApi(services).routes(),
        *ProjectApi(services).routes(),
        *FlatUpdateApi(services).routes(),
        *MessagesApi(services).routes(),
    ]
