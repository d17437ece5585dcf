"""Reports of what was forgotten, signed with the installation's secret key."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

import orjson

from phospho_schemas.times import utc_now, utc_text
from phospho_store.forgetting.forget import Forgotten
from phospho_web.problems import Problem

_PURPOSE = b"phospho forget report"


def forgotten_report(
    forgotten: Forgotten, project_id: str, subject: Mapping[str, str], requested_by: str
) -> dict[str, Any]:
    """Return the report of what was forgotten; `subject` is the id of a user, a session or a task by its name."""
    return {
        "project_id": project_id,
        **subject,
        "forgotten_at": utc_text(utc_now()),
        "requested_by": requested_by,
        "up_to_revision": forgotten.revision,
        "tasks": forgotten.tasks,
        "sessions": forgotten.sessions,
        "deleted_rows": {table: rows for table, rows in sorted(forgotten.rows.items()) if rows},
        "remaining_rows": forgotten.remaining_rows,
    }


class ReportSigner:
    """Signs reports and checks their signatures. `secret_key` may be empty: then nothing can be signed."""

    def __init__(self, secret_key: str) -> None:
        self._key = hmac.digest(secret_key.encode(), _PURPOSE, hashlib.sha256) if secret_key else b""

    def check(self) -> None:
        """Raise Problem (503) where nothing can be signed."""
        if not self._key:
            hint = "set PHOSPHO_SECRET_KEY, the same for the gateway, the dashboard and the workers"
            raise Problem(503, "no_secret_key", "the report can't be signed: there is no secret key", hint)

    def signed(self, report: dict[str, Any]) -> dict[str, Any]:
        """Return a report with its signature."""
        return {"report": report, "signature": self._signature(report)}

    def is_valid(self, report: Any, signature: Any) -> bool:
        """Tell whether this installation has signed the report, and nobody has changed it."""
        return isinstance(signature, str) and hmac.compare_digest(self._signature(report).encode(), signature.encode())

    def _signature(self, report: Any) -> str:
        line = orjson.dumps(report, option=orjson.OPT_SORT_KEYS)
        return "sha256:" + base64.b64encode(hmac.digest(self._key, line, hashlib.sha256)).decode()
