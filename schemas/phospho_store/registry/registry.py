"""Projects, API keys and event definitions: what people set, and every process reads."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from phospho_schemas.definitions.engines import engines_with
from phospho_schemas.definitions.validation import crowded_out, no_room
from phospho_schemas.ids import HybridClock, derived_id
from phospho_schemas.messages import ApiKey, EventDefinition, KeyScope, Project, ProjectSettings
from phospho_schemas.times import utc_now
from phospho_store.errors import Conflict, LimitReached, StoreUnavailable
from phospho_store.repository import Repository
from phospho_store.sql.definitions import current_definitions, latest_definitions
from phospho_store.store import Store, json_lines, parsed_rows

KEY_PREFIX = "ph_"
_SHOWN_CHARACTERS = 8

DEFAULT_PROJECT_ID = "default"


@dataclass(frozen=True)
class NewKey:
    """A key at the only moment at which its secret is known."""

    secret: str
    key: ApiKey


def key_hash(secret: str) -> str:
    """Return what is stored of a key. Keys are 256 random bits, so a plain SHA-256 can't be searched back."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


class Registry(Repository):
    """The registry's tables. Who reads a row, and writes it changed, holds `lock` from the one to the other."""

    def __init__(self, store: Store, clock: HybridClock | None = None) -> None:
        super().__init__(store, clock)
        self.lock = threading.RLock()
        self._retention_days: dict[str, int] = {}
        self._masks: dict[str, tuple[str, ...]] | None = None

    def projects(self) -> list[Project]:
        """Return every project, the oldest first."""
        projects = self._read(Project, "project_rows", "ORDER BY created_at, project_id")
        self._retention_days = {project.project_id: project.retention_days for project in projects}
        self._masks = {project.project_id: tuple(project.settings.mask) for project in projects}
        return projects

    def retention_days(self, project_id: str) -> int:
        """Return the retention of a project as it was last read or saved here, without a query; 0 if unknown."""
        return self._retention_days.get(project_id, 0)

    def mask(self, project_id: str) -> tuple[str, ...]:
        """
        Return the rules of masking of a project as they were last read or saved here, without a query.

        Raises StoreUnavailable before the first read: a text must not pass unmasked.
        """
        if self._masks is None:
            raise StoreUnavailable("the rules of masking could not be read yet: check that ClickHouse runs")
        return self._masks.get(project_id, ())

    def project(self, project_id: str) -> Project | None:
        """Return one project, or None."""
        return next((project for project in self.projects() if project.project_id == project_id), None)

    def save_project(
        self, project_id: str, name: str = "", retention_days: int = 0, settings: ProjectSettings | None = None
    ) -> Project:
        """Create a project, or change the one of that id; `settings` that are not given stay as they are."""
        stored = self.project(project_id)
        project = Project(
            project_id=project_id,
            name=name or (stored.name if stored else project_id),
            retention_days=retention_days,
            settings=settings or (stored.settings if stored else ProjectSettings()),
            created_at=stored.created_at if stored else utc_now(),
        )
        saved = self._save_one("project_rows", project, stored.revision if stored else 0)
        self._retention_days[project_id] = retention_days
        if self._masks is not None:
            self._masks[project_id] = tuple(saved.settings.mask)
        return saved

    def create_key(
        self,
        project_id: str,
        name: str = "",
        secret: str | None = None,
        *,
        scopes: Sequence[KeyScope] = ("admin",),
        expires_at: datetime | None = None,
    ) -> NewKey:
        """Create a key for a project; `secret` is made up of 256 random bits unless it is given."""
        secret = secret or KEY_PREFIX + secrets.token_urlsafe(32)
        hashed, stored = key_hash(secret), self.key_of_secret(secret)
        key = ApiKey(
            key_id="key_" + derived_id(hashed)[:16],
            project_id=project_id,
            key_hash=hashed,
            prefix=secret[: min(_SHOWN_CHARACTERS, len(secret) // 4)],
            name=name,
            scopes=list(scopes),
            created_at=utc_now(),
            expires_at=expires_at,
        )
        return NewKey(secret, self._save_one("api_key_rows", key, stored.revision if stored else 0))

    def keys(self, project_id: str) -> list[ApiKey]:
        """Return the keys of a project, revoked ones included, the oldest first."""
        rest = "WHERE project_id = {project:String} ORDER BY created_at, key_id"
        return self._read(ApiKey, "api_key_rows", rest, project=project_id)

    def key_of_secret(self, secret: str) -> ApiKey | None:
        """Return the key with that secret, revoked or not, or None."""
        return self._first(ApiKey, "api_key_rows", "WHERE key_hash = {hash:String}", hash=key_hash(secret))

    def revoke_key(self, project_id: str, key_id: str) -> ApiKey | None:
        """Revoke a key of a project and return it; None where there is none. Twice is once."""
        key = next((key for key in self.keys(project_id) if key.key_id == key_id), None)
        if key is None or key.revoked_at is not None:
            return key
        return self._save_one("api_key_rows", key.model_copy(update={"revoked_at": utc_now()}), key.revision)

    def rotate_key(self, project_id: str, key_id: str, grace: timedelta) -> NewKey | None:
        """
        Create a key like another, which expires after `grace`; None where there is none that works.

        A key that expires sooner by itself does so still.
        """
        key = next((key for key in self.keys(project_id) if key.key_id == key_id), None)
        if key is None or key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= utc_now()):
            return None
        new = self.create_key(project_id, key.name, scopes=key.scopes)
        ends_at = utc_now() + grace
        if key.expires_at is None or key.expires_at > ends_at:
            self._save_one("api_key_rows", key.model_copy(update={"expires_at": ends_at}), key.revision)
        return new

    def definitions(self, project_id: str | None = None) -> list[EventDefinition]:
        """Return the current version of every definition, of one project or of all, by project and name."""
        condition = "project_id = {project:String}" if project_id is not None else "1"
        rows = self._store.rows(current_definitions(condition), {"project": project_id or ""})
        return parsed_rows(EventDefinition, rows)

    def definition_versions(self, project_id: str, name: str) -> list[EventDefinition]:
        """Return every version of a definition, the newest first, at most 100; the newest may be its deletion."""
        rest = "WHERE project_id = {project:String} AND name = {name:String} ORDER BY version DESC LIMIT 100"
        return self._read(EventDefinition, "definition_rows", rest, project=project_id, name=name)

    def definitions_revision(self) -> int:
        """Return a number that rises whenever a definition changes: a cheap question to ask often."""
        return self._greatest_revision("definition_rows")

    def save_definition(self, definition: EventDefinition, base_version: int | None = None) -> EventDefinition:
        """
        Store a definition and return it with its version.

        The version is the next after the stored one where anything that detection reads has changed; a definition
        that says what is stored already is left as it is. With `base_version`, the version that was changed, or 0 for
        a new definition, it raises Conflict where another is stored by now; LimitReached as `save_definitions`.
        """
        with self.lock:
            latest = self._latest_of(definition.project_id, [definition.name]).get(definition.name)
            if latest is None or _content(latest) != _content(definition):
                _check_base(latest, base_version)
            [saved] = self.save_definitions(definition.project_id, [definition])
        return saved

    def delete_definition(self, project_id: str, name: str) -> bool:
        """
        Delete a definition; False where there is none.

        Events that it found stay until their task is analysed again, as when it is logged or imported again.
        """
        return not self.delete_definitions(project_id, [name])

    def save_definitions(self, project_id: str, definitions: Sequence[EventDefinition]) -> list[EventDefinition]:
        """
        Store definitions of one project, each of another name, in one insert; return them as `save_definition`.

        Raises LimitReached, and stores none, where they would be more semantic ones than a project has room for.
        """
        if not definitions:
            return []
        with self.lock:
            latest = self._latest_of(project_id, [definition.name for definition in definitions])
            self._clock.observe(self.definitions_revision())
            saved = [self._next_version(latest.get(definition.name), definition) for definition in definitions]
            changed = [definition for definition in saved if definition is not latest.get(definition.name)]
            if changed:
                self._check_room(project_id, changed)
                self._store.insert("definition_rows", json_lines(changed))
        return saved

    def delete_definitions(self, project_id: str, names: Sequence[str]) -> list[str]:
        """Delete definitions, all or none; return the names of which there is none, and then nothing is deleted."""
        with self.lock:
            latest = self._latest_of(project_id, names)
            unknown = [name for name in names if name not in latest or latest[name].is_deleted]
            if not unknown:
                now = utc_now()
                deletion = {"is_deleted": True, "created_at": now}
                self.save_definitions(project_id, [stored.model_copy(update=deletion) for stored in latest.values()])
        return unknown

    def _check_room(self, project_id: str, changed: Sequence[EventDefinition]) -> None:
        limited = engines_with(lambda spec: spec.max_per_project is not None)
        if not any(definition.engine in limited and not definition.is_deleted for definition in changed):
            return
        rows = self._store.rows(
            f"SELECT name, engine FROM {current_definitions('project_id = {project:String}')}"
            " WHERE engine IN {engines:Array(String)}",
            {"project": project_id, "engines": limited},
        )
        crowded = crowded_out({row["name"]: row["engine"] for row in rows}, changed)
        if crowded:
            raise too_many_definitions(
                next(definition.engine for definition in changed if definition.name == crowded[0])
            )

    def _next_version(self, latest: EventDefinition | None, definition: EventDefinition) -> EventDefinition:
        """Return `latest` where the definition says the same, else the definition as the version after it."""
        if latest and _content(latest) == _content(definition):
            return latest
        version = latest.version + 1 if latest else 1
        return definition.model_copy(update={"version": version, "revision": self._clock.next()})

    def _latest_of(self, project_id: str, names: Sequence[str]) -> dict[str, EventDefinition]:
        """Return by name the last version of each, which may be its deletion."""
        rows = self._store.rows(
            latest_definitions("project_id = {project:String} AND name IN {names:Array(String)}"),
            {"project": project_id, "names": list(names)},
        )
        return {definition.name: definition for definition in parsed_rows(EventDefinition, rows)}


def too_many_definitions(engine: str) -> LimitReached:
    """Return the refusal of a definition that a project has no room for."""
    return LimitReached("too_many_definitions", no_room(engine), "delete one that is not needed, or set another engine")


def _check_base(latest: EventDefinition | None, base_version: int | None) -> None:
    current = latest.version if latest is not None and not latest.is_deleted else 0
    if base_version is None or base_version == current:
        return
    if base_version == 0:
        raise Conflict("definition_exists", "there is a definition of this name already", "choose another name")
    message = f"it has version {current} by now" if current else "it was deleted in the meantime"
    raise Conflict("changed_meanwhile", message, "look at what has changed, and save yours again if it is right")


def _content(definition: EventDefinition) -> dict[str, object]:
    return definition.model_dump(exclude={"version", "revision", "created_at", "schema_version"})


def first_project(registry: Registry, project_id: str = "", secret: str = "") -> tuple[Project, NewKey | None]:
    """
    Return the first project, and its first key if it was made just now.

    Where there is no project yet, one is made, of the id and with the key that are given, or with made-up ones.
    Where there is one, nothing changes. Safe when many processes do it at once with the same id: they make one
    project, and each key that one of them made up is good.
    """
    projects = registry.projects()
    if projects:
        return projects[0], None
    # The key first: a project without one, as a crash in between would leave it, is a door without a handle.
    key = registry.create_key(project_id or DEFAULT_PROJECT_ID, "first key", secret or None)
    return registry.save_project(key.key.project_id), key
