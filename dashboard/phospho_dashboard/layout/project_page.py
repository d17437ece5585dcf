"""Pages of a project that are no views: a form, or a page that only editors may read."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.layout.frames import read_frame
from phospho_dashboard.services import Services
from phospho_dashboard.web.rendering import page_response
from phospho_web.problems import Problem


class ProjectPage:
    """A template inside the frame of one of `frames.SECTIONS`."""

    def __init__(self, services: Services, section: str, template: str) -> None:
        self._services = services
        self._section = section
        self._template = template

    async def render(
        self, visitor: Visitor, project_id: str, content: dict[str, Any], problem: Problem | None = None
    ) -> Response:
        """Return the page; with `problem` it shows what is wrong, and has the problem's status."""
        frame = await read_frame(self._services, self._section, visitor, project_id)
        status = 200 if problem is None else problem.status
        return page_response(self._template, {"frame": frame, "problem": problem} | content, status)
