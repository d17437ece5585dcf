"""A server on loopback that speaks the API as documented."""

from __future__ import annotations

import gzip
import json
import threading
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

API_KEY = "ph_test-key"
ADMIN_TOKEN = "local-admin-token"


@dataclass(frozen=True)
class Request:
    """One request as the server got it, its body inflated."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Scripted:
    """An answer out of turn. `status` 0 hangs up without one."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class FakeServer:
    """
    The API's shape over dictionaries: `tasks` is what was logged, by id, and `requests` is all that came. `imports` are
    the marks of the tasks of imports, without which they are kept.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._script: dict[str, deque[Scripted]] = {}
        self.tasks: dict[str, dict[str, Any]] = {}
        self.imports: set[str] = set()
        self.feedback: dict[str, dict[str, Any]] = {}
        self.definitions: dict[str, dict[str, Any]] = {}
        self.keys: list[dict[str, Any]] = []
        self.projects: dict[str, dict[str, Any]] = {}
        # The states that a backfill goes through, one an answer.
        self.backfill: deque[dict[str, Any]] = deque()
        self.webhooks: list[dict[str, Any]] = []
        self.diff: dict[str, Any] = {}
        self.sql_answer = b""
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> FakeServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def answer_next(self, path: str, status: int, body: bytes = b"") -> None:
        """Answer the next request of `path` with this, whatever it asks."""
        self._script.setdefault(path, deque()).append(Scripted(status, body))

    def refuse_next(
        self, path: str, status: int, message: str = "No.", hint: str = "Ask again.", times: int = 1
    ) -> None:
        """Answer the next requests of `path` with a problem that may be retried at once."""
        refusal = problem(status, "refused", message, hint, {"Retry-After": "0"})
        self._script.setdefault(path, deque()).extend([refusal] * times)

    def hang_up_next(self, path: str) -> None:
        """Take the next request of `path` and close the connection without an answer."""
        self._script.setdefault(path, deque()).append(Scripted(0))

    def of(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path == path]

    def answer(self, request: Request) -> Scripted:
        with self._lock:
            self.requests.append(request)
            if waiting := self._script.get(request.path):
                return waiting.popleft()
            if request.path == "/healthz":
                return Scripted(200, b"ok")
            if request.headers.get("authorization") not in {f"Bearer {API_KEY}", f"Bearer {ADMIN_TOKEN}"}:
                return problem(
                    401, "unauthorized", "The API key is not known.", "Create one with `phospho keys create`."
                )
            return self._route(request)

    def _route(self, request: Request) -> Scripted:
        parts = request.path.partition("?")[0].strip("/").split("/")[2:]
        name = f"_{request.method.lower()}_{parts[0].replace('-', '_')}"
        return getattr(self, name)(request, parts[1:])  # type: ignore[no-any-return]

    def _post_events(self, request: Request, rest: list[str]) -> Scripted:
        if rest != ["batch"]:
            self.feedback[rest[0]] = request.document
            return as_json(201, {"event_id": rest[0], "feedback_id": "f", "created_at": "2026-01-01T00:00:00.000Z"})
        results = [self._log(event) for event in request.document["events"]]
        accepted = sum(result["status"] == "accepted" for result in results)
        return as_json(200, {"results": results, "accepted": accepted, "rejected": len(results) - accepted})

    def _log(self, event: dict[str, Any]) -> dict[str, Any]:
        if event.get("flag") not in {None, "success", "failure"}:
            error = {"code": "invalid_event", "message": "The flag is unknown.", "hint": "Use success or failure."}
            return {"status": "rejected", "error": error}
        task_id = event.get("task_id") or event["event_id"]
        if mark := event.pop("phospho_import", ""):
            self.imports.add(mark)
        self.tasks[task_id] = event
        moment = event.get("created_at", event.get("client_created_at", 0))
        at = datetime.fromisoformat(moment) if isinstance(moment, str) else datetime.fromtimestamp(moment, UTC)
        created_at = at.replace(tzinfo=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {"status": "accepted", "event_id": task_id, "task_id": task_id, "created_at": created_at}

    def _post_sql(self, request: Request, _: list[str]) -> Scripted:
        return Scripted(200, self.sql_answer)

    def _get_definitions(self, request: Request, rest: list[str]) -> Scripted:
        if rest[1:] == ["history"]:
            versions = [{"version": version, "engine": "keyword", "keywords": ["a"]} for version in (2, 1)]
            return as_json(200, {"versions": versions})
        return as_json(200, {"definitions": [{"engine": "semantic", **item} for item in self.definitions.values()]})

    def _post_definitions(self, request: Request, rest: list[str]) -> Scripted:
        if rest[1:] == ["diff"]:
            return as_json(200, self.diff)
        if rest == ["delete"]:
            return self._delete_definitions(request.document["names"])
        results = [self._define(item) for item in request.document["definitions"]]
        is_applied = any(result["status"] != "rejected" for result in results)
        return as_json(200 if is_applied else 422, {"results": results})

    def _define(self, item: dict[str, Any]) -> dict[str, Any]:
        name = item["name"]
        if "(" in item.get("pattern", "") and ")" not in item["pattern"]:
            error = {"code": "invalid_pattern", "message": "missing ): (", "hint": "Close it."}
            return {"name": name, "status": "rejected", "error": error}
        known = self.definitions.get(name)
        status = "created" if known is None else "unchanged" if known == item else "changed"
        self.definitions[name] = item
        return {"name": name, "version": 1, "status": status}

    def _get_backfills(self, request: Request, _: list[str]) -> Scripted:
        return as_json(200, {"backfill": self.backfill.popleft()})

    def _post_backfills(self, request: Request, _: list[str]) -> Scripted:
        if request.document.get("dry_run"):
            estimate = {"tasks": 9000, "seconds": 4.4, "events": 90, "sampled_tasks": 500}
            estimate |= {"llm_calls": 200, "llm_tokens": 70_000, "llm_usd": 0.5, "llm_days": 2}
            return as_json(200, {"estimate": estimate})
        return as_json(201, {"backfill": self.backfill.popleft()})

    def _get_webhooks(self, request: Request, _: list[str]) -> Scripted:
        return as_json(200, {"webhooks": self.webhooks})

    def _post_webhooks(self, request: Request, rest: list[str]) -> Scripted:
        if rest:
            is_there = rest[0] == "hook_1"
            return as_json(200, {"is_delivered": is_there, "status": 200 if is_there else 0, "detail": "no answer"})
        self.webhooks.append({"webhook_id": "hook_1", "url": request.document["url"], "delivered": 3, "dead": 0})
        return as_json(201, {"webhook": self.webhooks[-1], "secret": "whsec_shown-once"})

    def _delete_webhooks(self, request: Request, rest: list[str]) -> Scripted:
        self.webhooks.clear()
        return Scripted(204)

    def _get_alerts(self, request: Request, _: list[str]) -> Scripted:
        state = {"status": "firing", "is_muted": True, "since_at": "2026-01-01T00:00:00.000Z", "value_text": "12.0%"}
        alert = {"alert_id": "alert_1", "name": "Refunds", "text": "above 10%", "channels": [{"format": "slack"}]}
        return as_json(200, {"alerts": [alert | state]})

    def _post_alerts(self, request: Request, rest: list[str]) -> Scripted:
        if rest == ["preview"]:
            return as_json(200, {"fired": 1, "days": 30, "text": "above 10%", "firings": []})
        if rest and rest[1] == "test":
            is_there = rest[0] == "alert_1"
            return as_json(200, {"channels": [{"format": "slack", "is_delivered": is_there, "detail": "HTTP 200"}]})
        alert = {"alert_id": "alert_1", "text": "above 10%", "muted_until_at": "2026-01-02T00:00:00.000Z"}
        return as_json(200, {"alert": alert, "channels": [{"format": "webhook", "secret": "whsec_shown-once"}]})

    def _delete_alerts(self, request: Request, rest: list[str]) -> Scripted:
        return Scripted(204)

    def _delete_definitions(self, names: list[str]) -> Scripted:
        for name in names:
            if self.definitions.pop(name, None) is None:
                return problem(404, "unknown_definition", f"There is no definition {name}.", "List them.")
        return Scripted(204)

    def _get_keys(self, request: Request, _: list[str]) -> Scripted:
        return as_json(200, {"keys": self.keys})

    def _post_keys(self, request: Request, _: list[str]) -> Scripted:
        key = {"key_id": f"key_{len(self.keys)}", "project_id": "shop", "name": request.document["name"]}
        self.keys.append(key | {"prefix": "ph_secr", "created_at": "2026-01-01T00:00:00.000Z", "revoked_at": None})
        return as_json(201, key | {"api_key": "ph_secret-shown-once"})

    def _delete_keys(self, request: Request, rest: list[str]) -> Scripted:
        return as_json(200, {"key_id": rest[0]})

    def _get_projects(self, request: Request, _: list[str]) -> Scripted:
        return as_json(200, {"projects": list(self.projects.values())})

    def _get_llm_usage(self, request: Request, _: list[str]) -> Scripted:
        day = {"day": "2026-01-01", "model": "m", "calls": 3, "answered": 2, "definitions": 9, "usd": 0.5}
        day |= {"no_answer": 0, "refused": 0, "failed": 1}
        last = {"outcome": "failed", "reason": "HTTP 401", "model": "m", "at": "2026-01-01T12:00:00.000000Z"}
        refund = {"name": "refund", "model": "m", "yes": 40, "no": 0, "distrust_reason": "the model says yes"}
        more = {"last_call": last | {"left_alone_until": "2026-01-01T12:05:00.000000Z"}, "judged": [refund]}
        budget = {"llm_daily_tokens": 5_000, "llm_daily_usd": 2.0}
        used = {"tokens": 1_100, "usd": 0.5}
        days = [day | {"tokens_in": 1, "tokens_out": 2}]
        return as_json(200, {"budget": budget, "used_today": used, "days": days} | more)

    def _post_projects(self, request: Request, _: list[str]) -> Scripted:
        self.projects[request.document["project_id"]] = request.document
        return as_json(201, {"project": request.document})

    def _patch_projects(self, request: Request, rest: list[str]) -> Scripted:
        self.projects[rest[0]].setdefault("settings", {}).update(request.document["settings"])
        return as_json(200, {"project": self.projects[rest[0]]})

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                headers = {name.lower(): value for name, value in self.headers.items()}
                self._send(fake.answer(Request(self.command, self.path, headers, body)))

            do_POST = do_DELETE = do_PATCH = do_GET  # noqa: N815

            def _send(self, answer: Scripted) -> None:
                if not answer.status:
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing: pytest's output is for failures."""

        return Handler


def as_json(status: int, document: Any, headers: dict[str, str] | None = None) -> Scripted:
    return Scripted(status, json.dumps(document).encode(), headers or {})


def problem(status: int, code: str, message: str, hint: str, headers: dict[str, str] | None = None) -> Scripted:
    return as_json(status, {"error": {"code": code, "message": message, "hint": hint}}, headers)
