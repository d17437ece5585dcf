"""A model of the views in Python: facts in, the greatest revision of each identity wins, views out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

Row = dict[str, Any]
_IDENTITY = {
    "task_rows": ("task_id",),
    "analysis_rows": ("task_id",),
    "feedback_rows": ("task_id", "feedback_id"),
}


class Facts:
    """Rows of one project by table and identity; what comes again, or late, changes nothing."""

    def __init__(self) -> None:
        self._latest: dict[str, dict[tuple[str, ...], Row]] = {table: {} for table in _IDENTITY}

    def add(self, table: str, row: Row) -> None:
        identity = tuple(row[name] for name in _IDENTITY[table])
        known = self._latest[table].get(identity)
        if known is None or known["revision"] < row["revision"]:
            self._latest[table][identity] = row

    def rows(self, table: str) -> Iterable[Row]:
        return self._latest[table].values()

    def flag(self, task: Row) -> str:
        """Return the last feedback's flag, or what was logged."""
        feedback = [row for row in self.rows("feedback_rows") if row["task_id"] == task["task_id"]]
        if not feedback:
            return str(task["flag"])
        return str(max(feedback, key=lambda row: (row["revision"], row["feedback_id"]))["flag"])

    def tasks(self) -> list[Row]:
        kept = ("task_id", "session_id", "user_id", "tokens_in")
        return [{name: row[name] for name in kept} | {"flag": self.flag(row)} for row in self.rows("task_rows")]

    def events(self) -> list[Row]:
        rows = self.rows("analysis_rows")
        return [
            {"id": event["id"], "name": event["name"], "task_id": row["task_id"], "session_id": row["session_id"]}
            for row in rows
            for event in row["events"]
        ]

    def sessions(self) -> list[Row]:
        ids = {row["session_id"] for row in self.rows("task_rows")}
        return [self._session(session_id) for session_id in sorted(ids)]

    def _session(self, session_id: str) -> Row:
        tasks = list(self._of(session_id, "task_rows"))
        analyses = list(self._of(session_id, "analysis_rows"))
        flags = [self.flag(task) for task in tasks]
        times = [task["created_at"][:-1].replace("T", " ") for task in tasks]
        task_ids = {task["task_id"] for task in tasks}
        names = [event["name"] for row in analyses for event in row["events"]]
        felt = [round(s * 10_000) for row in analyses if (s := row["sentiment_score"]) is not None]
        return {
            "session_id": session_id,
            "first_task_at": min(times),
            "last_task_at": max(times),
            "tasks": len(tasks),
            "user_ids": sorted({task["user_id"] for task in tasks if task["user_id"]}),
            "tokens_in": sum(task["tokens_in"] or 0 for task in tasks),
            "successes": flags.count("success"),
            "failures": flags.count("failure"),
            "feedback": sum(row["task_id"] in task_ids for row in self.rows("feedback_rows")),
            "events": len(names),
            "event_names": sorted(set(names)),
            "sentiment_score": sum(felt) / len(felt) / 10_000 if felt else None,
        }

    def _of(self, session_id: str, table: str) -> Iterator[Row]:
        return (row for row in self.rows(table) if row["session_id"] == session_id)
