"""Alerts as bodies of the API and as forms have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from phospho_dashboard.alerts.alerts import MAX_ADDRESS_CHARACTERS, AlertEdit, NewAlert, NewChannel
from phospho_dashboard.web.forms import Form
from phospho_schemas.rows.alerts import COMPARISONS, MAX_NAME_CHARACTERS, THEME_FACTS, Alert
from phospho_schemas.rows.webhooks import ChannelFormat
from phospho_store.alerts.rules import ALERT_METRICS
from phospho_web.problems import Problem

_FIELDS = (
    "name", "metric", "subject", "filters", "condition", "threshold", "window_minutes", "min_cases", "resolve_after",
)  # fmt: skip
# What a change leaves comparable with the history before it.
EDITABLE = ("name", "threshold", "min_cases", "resolve_after")
_FORMATS = get_args(ChannelFormat)
_SUBJECTS = {"event": "event", "theme": "theme"}
# The filters that the form has; the API takes all.
FORM_FILTERS = ("version", "model", "language")

Json = dict[str, Any]


def of_body(body: Mapping[str, Any]) -> NewAlert:
    """Return the alert that a body describes. Raises Problem 422."""
    if unknown := sorted(body.keys() - {*_FIELDS, "channels"}):
        raise Problem(
            422, "invalid_field", f"an alert has no {unknown[0]!r}", f"one of: {', '.join(_FIELDS)}, channels"
        )
    fields = {name: body[name] for name in _FIELDS if name in body}
    return NewAlert(fields, _channels(body))


def edit_of_body(body: Mapping[str, Any]) -> AlertEdit:
    """Return the changes that a body describes. Raises Problem 422."""
    names = (*EDITABLE, "channels", "removed_channels")
    if unknown := sorted(body.keys() - set(names)):
        hint = f"one of: {', '.join(names)}; for another condition, add an alert"
        raise Problem(422, "invalid_field", f"{unknown[0]!r} of an alert can't be changed", hint)
    removed = body.get("removed_channels", [])
    if not isinstance(removed, list) or not all(isinstance(channel_id, str) for channel_id in removed):
        raise Problem(422, "invalid_field", "'removed_channels' must be a list of ids")
    return AlertEdit({name: body[name] for name in EDITABLE if name in body}, _channels(body), tuple(removed))


def _channels(body: Mapping[str, Any]) -> tuple[NewChannel, ...]:
    channels = body.get("channels", [])
    if not isinstance(channels, list):
        raise Problem(422, "invalid_field", "'channels' must be a list")
    return tuple(_channel(channel) for channel in channels)


def _channel(channel: Any) -> NewChannel:
    hint = f'such as {{"format": "slack", "to": "https://…"}}; formats: {", ".join(_FORMATS)}'
    if not isinstance(channel, dict) or channel.get("format") not in _FORMATS:
        raise Problem(422, "invalid_channel", "a channel needs a 'format' that there is", hint)
    to = channel.get("to")
    if not isinstance(to, str) or not 0 < len(to) <= MAX_ADDRESS_CHARACTERS:
        raise Problem(422, "invalid_channel", "a channel needs 'to': a URL or an e-mail address", hint)
    return NewChannel(channel["format"], to)


def of_form(form: Form) -> NewAlert:
    """Return the alert that a form describes; the threshold of a share is typed in percent. Raises Problem 422."""
    metric = form.text("metric")
    if metric not in ALERT_METRICS:
        raise Problem(422, "invalid_metric", "choose what the alert watches")
    is_fact = metric in THEME_FACTS
    condition = "occurs" if is_fact else form.text("condition")
    option = ALERT_METRICS[metric].option  # type: ignore[index]
    fields: Json = {
        "name": form.text("name", MAX_NAME_CHARACTERS),
        "metric": metric,
        "subject": form.text(_SUBJECTS[option], 128) if option in _SUBJECTS else "",
        "filters": {} if is_fact else {name: form.text(name) for name in FORM_FILTERS if form.text(name)},
        "condition": condition,
        "threshold": 0.0 if condition in ("absent", "occurs") else _threshold(form, metric, condition),
        "window_minutes": form.text("window_minutes") or 60,
        "min_cases": form.text("min_cases") or 20,
        "resolve_after": form.text("resolve_after") or 3,
    }
    fields["name"] = fields["name"] or _default_name(fields)
    return NewAlert(fields, _channel_of_form(form))


def edit_of_form(form: Form, alert: Alert) -> AlertEdit:
    """Return the changes that the form of an alert describes. Raises Problem 422."""
    fields: Json = {name: form.text(name, MAX_NAME_CHARACTERS) or getattr(alert, name) for name in EDITABLE}
    has_threshold = alert.condition not in ("absent", "occurs")
    fields["threshold"] = _threshold(form, alert.metric, alert.condition) if has_threshold else alert.threshold
    return AlertEdit(fields, _channel_of_form(form), tuple(form.texts("removed_channel")))


def shown_threshold(alert: Alert) -> str:
    """Return a threshold as it is typed: that of a share in percent."""
    return f"{alert.threshold * (100 if _is_percent(alert.metric, alert.condition) else 1):g}"


def _channel_of_form(form: Form) -> tuple[NewChannel, ...]:
    to = form.text("to", MAX_ADDRESS_CHARACTERS)
    return (_channel({"format": form.text("format"), "to": to}),) if to else ()


def _threshold(form: Form, metric: str, condition: str) -> float:
    try:
        number = float(form.text("threshold").removesuffix("%").strip().replace(",", "."))
    except ValueError:
        raise Problem(422, "invalid_threshold", "the threshold must be a number", "such as 10 or 0.5") from None
    return number / 100 if _is_percent(metric, condition) else number


def _is_percent(metric: str, condition: str) -> bool:
    return ALERT_METRICS[metric].unit == "percent" and condition not in COMPARISONS  # type: ignore[index]


def _default_name(fields: Json) -> str:
    label = ALERT_METRICS[fields["metric"]].label
    return f"{label}: {fields['subject']}"[:MAX_NAME_CHARACTERS] if fields["subject"] else label
