"""A finding of `phospho doctor`, as a line and as JSON, and the rights that each process needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from phospho_schemas.topics import (
    ANALYSES,
    DEAD_LETTER,
    EVENTS,
    FEEDBACK,
    PARTS,
    RAW_LOGS,
    RECEIPTS,
    STEPS,
    TASKS,
    Topic,
)

ALL_PROCESSES = "all"


@dataclass(frozen=True)
class Finding:
    """The state of one thing; `advice` says what to do, and is empty where all is well."""

    subject: str
    state: str
    advice: str = ""

    @property
    def line(self) -> str:
        """The finding as one line of text."""
        mark = "wrong" if self.advice else "ok   "
        text = f"{self.subject}: {self.state}" + (f". {self.advice}" if self.advice else "")
        return f"{mark} {' '.join(text.split())}"

    def fields(self) -> dict[str, str | bool]:
        """Return the finding as a JSON object."""
        return {"subject": self.subject, "state": self.state, "advice": self.advice, "is_ok": not self.advice}


@dataclass(frozen=True)
class Rights:
    """The least that a process needs: topics it reads and writes, and GRANTs on the database and on `system`."""

    reads: tuple[Topic, ...] = ()
    writes: tuple[Topic, ...] = ()
    grants: tuple[str, ...] = ()
    system_tables: tuple[str, ...] = ()


_INGEST_GRANTS = ("SELECT", "INSERT")
_APP_GRANTS = ("SELECT", "INSERT", "ALTER UPDATE", "ALTER DELETE")
_APP_SYSTEM_TABLES = ("tables", "databases", "parts")
_MIGRATE_GRANTS = ("SELECT", "INSERT", "CREATE TABLE", "CREATE VIEW", "DROP TABLE", "DROP VIEW", "ALTER TABLE")
_SINK_TOPICS = (TASKS, ANALYSES, FEEDBACK, STEPS, PARTS, RECEIPTS, DEAD_LETTER)

RIGHTS: Mapping[str, Rights] = {
    "gateway": Rights((), (RAW_LOGS, RECEIPTS), _APP_GRANTS, _APP_SYSTEM_TABLES),
    "dashboard": Rights((), (RAW_LOGS, RECEIPTS), _APP_GRANTS, _APP_SYSTEM_TABLES),
    "extraction": Rights((RAW_LOGS,), (TASKS, FEEDBACK, STEPS, PARTS, DEAD_LETTER)),
    "detection": Rights((TASKS,), (ANALYSES, EVENTS, DEAD_LETTER), _INGEST_GRANTS),
    "sink": Rights(_SINK_TOPICS, (DEAD_LETTER,), _INGEST_GRANTS),
    "jobs": Rights((), (), _APP_GRANTS, _APP_SYSTEM_TABLES),
    "migrate": Rights((), (), _MIGRATE_GRANTS),
}
# Stages with a consumer group.
STAGES = ("extraction", "detection", "sink")


@dataclass(frozen=True)
class NeededRights:
    """The rights of one process, or those of all processes together, by topic."""

    process: str
    topics: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    grants: tuple[str, ...] = ()
    system_tables: tuple[str, ...] = ()


def needed_rights(process: str) -> NeededRights:
    """Return the rights of a process, or of all of them for a user that they share."""
    members = [rights for name, rights in RIGHTS.items() if process in (name, ALL_PROCESSES)]
    topics: dict[str, set[str]] = {}
    for rights in members:
        for operation, names in (("READ", rights.reads), ("WRITE", rights.writes)):
            for topic in names:
                topics.setdefault(topic.name, set()).add(operation)
    return NeededRights(
        process,
        {name: tuple(sorted(operations)) for name, operations in topics.items()},
        tuple(dict.fromkeys(grant for rights in members for grant in rights.grants)),
        tuple(dict.fromkeys(table for rights in members for table in rights.system_tables)),
    )
