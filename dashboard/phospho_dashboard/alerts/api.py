"""The API of alerts, /api/v1/alerts."""

from __future__ import annotations

from typing import get_args

from starlette.requests import Request
from starlette.responses import Response

from phospho_dashboard.alerts.alerts import MAX_ADDRESS_CHARACTERS, MAX_MUTE_MINUTES, Alerts
from phospho_dashboard.alerts.preview import AlertPreview
from phospho_dashboard.alerts.requests import EDITABLE, edit_of_body, of_body
from phospho_dashboard.services import ROWS, ApiEndpoints, Services
from phospho_dashboard.webhooks.webhooks import WebhookSending
from phospho_schemas.rows.alerts import MAX_NAME_CHARACTERS, MAX_RESOLVE_AFTER, WINDOWS, AlertMetric, Condition
from phospho_schemas.rows.webhooks import ChannelFormat
from phospho_store.alerts.rules import ALERT_FILTERS, MAX_CHANNELS
from phospho_web.endpoints import api_endpoint
from phospho_web.openapi import ANY_OBJECT, NUMBER, TEXT, list_of, object_schema
from phospho_web.problems import Problem
from phospho_web.responses import json_response

_CHANNEL = object_schema(
    ["format", "to"],
    format={"enum": list(get_args(ChannelFormat))},
    to=TEXT | {"minLength": 1, "maxLength": MAX_ADDRESS_CHARACTERS},
)
_ALERT = object_schema(
    ["name", "metric", "condition"],
    name=TEXT | {"minLength": 1, "maxLength": MAX_NAME_CHARACTERS},
    metric={"enum": list(get_args(AlertMetric))},
    subject=TEXT | {"maxLength": 128},
    filters={"type": "object", "propertyNames": {"enum": list(ALERT_FILTERS)}, "additionalProperties": TEXT},
    condition={"enum": list(get_args(Condition))},
    threshold=NUMBER,
    window_minutes={"enum": list(WINDOWS)},
    min_cases={"type": "integer", "minimum": 0},
    resolve_after={"type": "integer", "minimum": 1, "maximum": MAX_RESOLVE_AFTER},
    channels={"type": "array", "items": _CHANNEL, "maxItems": MAX_CHANNELS},
)
_EDIT = object_schema(
    [],
    **{name: _ALERT["properties"][name] for name in (*EDITABLE, "channels")},
    removed_channels={"type": "array", "items": TEXT, "maxItems": MAX_CHANNELS},
)
_ALERT_ANSWER = object_schema(["alert"], alert=ANY_OBJECT)


class AlertsApi(ApiEndpoints):
    """The endpoints of alerts. The secret of a channel is only in the answer that adds the alert."""

    def __init__(self, services: Services, sending: WebhookSending) -> None:
        super().__init__(services)
        self._alerts = Alerts(services, sending)
        self._preview = AlertPreview(services)

    @api_endpoint("get", "/alerts", "List alerts, those that fire first", list_of("alerts", ROWS["items"]))
    async def alerts(self, request: Request) -> Response:
        visitor, project_id = await self._access.api_visitor_and_project(request)
        return json_response({"alerts": await self._threads.run(self._alerts.rows, project_id, visitor)})

    @api_endpoint("get", "/alerts/{alert_id}", "One alert: its changes and its recent evaluations", _ALERT_ANSWER)
    async def alert(self, request: Request) -> Response:
        visitor, project_id = await self._access.api_visitor_and_project(request)
        alert_id = request.path_params["alert_id"]
        return json_response({"alert": await self._threads.run(self._alerts.detail, project_id, alert_id, visitor)})

    @api_endpoint(
        "post",
        "/alerts",
        "Add an alert",
        object_schema(["alert", "channels"], alert=ANY_OBJECT, channels=ROWS),
        description="The threshold of a share is a fraction; that of `rises` and `falls` a percentage. Each channel "
        "in the answer has the secret that signs its messages, which is shown only now.",
        status=201,
        body=_ALERT,
    )
    async def add(self, request: Request) -> Response:
        visitor, project_id = await self._access.api_visitor_and_project(request, "editor")
        new = of_body(await self._body(request))
        alert_id, channels = await self._threads.run(self._alerts.add, project_id, new, visitor.author)
        alert = await self._threads.run(self._alerts.detail, project_id, alert_id, visitor)
        return json_response({"alert": alert, "channels": channels}, 201)

    @api_endpoint(
        "post",
        "/alerts/preview",
        "How often an alert would have fired in the last 30 days",
        ANY_OBJECT,
        body=_ALERT,
    )
    async def preview(self, request: Request) -> Response:
        visitor, project_id = await self._access.api_visitor_and_project(request, "editor")
        new = of_body(await self._body(request))
        alert = await self._threads.run(self._alerts.checked, project_id, new.fields, visitor.author)
        return json_response(await self._slow_threads.run(project_id, self._preview.read, alert))

    @api_endpoint(
        "patch",
        "/alerts/{alert_id}",
        "Change an alert",
        object_schema(["alert", "channels"], alert=ANY_OBJECT, channels=ROWS),
        description="Its name, its threshold, its hysteresis and its channels. Its history stays. `channels` are new "
        "ones, whose secrets are in the answer only.",
        body=_EDIT,
    )
    async def edit(self, request: Request) -> Response:
        visitor, project_id = await self._access.api_visitor_and_project(request, "editor")
        edit, alert_id = edit_of_body(await self._body(request)), request.path_params["alert_id"]
        alert = await self._threads.run(self._alerts.alert, project_id, alert_id)
        channels = await self._threads.run(self._alerts.edit, alert, edit, visitor.author)
        row = await self._threads.run(self._alerts.detail, project_id, alert_id, visitor)
        return json_response({"alert": row, "channels": channels})

    @api_endpoint("delete", "/alerts/{alert_id}", "Remove an alert and its channels", None, status=204)
    async def remove(self, request: Request) -> Response:
        project_id = await self._access.api_project(request, "editor")
        await self._threads.run(self._alerts.remove, project_id, request.path_params["alert_id"])
        return Response(status_code=204)

    @api_endpoint(
        "post",
        "/alerts/{alert_id}/mute",
        "Send no change of an alert for a time",
        _ALERT_ANSWER,
        description="0 minutes ends it. The alert is evaluated all the same.",
        body=object_schema(["minutes"], minutes={"type": "integer", "minimum": 0, "maximum": MAX_MUTE_MINUTES}),
    )
    async def mute(self, request: Request) -> Response:
        visitor, project_id = await self._access.api_visitor_and_project(request, "editor")
        minutes = (await self._body(request)).get("minutes")
        if not isinstance(minutes, int) or isinstance(minutes, bool):
            raise Problem(422, "invalid_minutes", "'minutes' must be a whole number")
        alert_id = request.path_params["alert_id"]
        await self._threads.run(self._alerts.mute, project_id, alert_id, minutes)
        return json_response({"alert": await self._threads.run(self._alerts.detail, project_id, alert_id, visitor)})

    @api_endpoint(
        "post",
        "/alerts/{alert_id}/test",
        "Send each channel of an alert a test message",
        list_of("channels", ROWS["items"]),
    )
    async def test(self, request: Request) -> Response:
        project_id = await self._access.api_project(request, "editor")
        outcomes = await self._slow_threads.run(
            project_id, self._alerts.test, project_id, request.path_params["alert_id"]
        )
        return json_response({"channels": outcomes})
