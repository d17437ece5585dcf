"""Staged files: what people uploaded or pulled, on the disk of this process until it is imported or an hour old."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO

from phospho_dashboard.imports.pull import Pull
from phospho_dashboard.imports.run import Run
from phospho_schemas.ids import HybridClock, derived_uuid, revision_ms
from phospho_web.problems import Problem

MAX_FILE_BYTES = 200_000_000
_MAX_FILES = 10
# The last ones that somebody forgot take no place from another project.
_MAX_FILES_OF_PROJECT = 3
_LIFETIME_S = 3600.0
# What tells a reader how to read a file is its name's ending; no other part of the name reaches the disk.
_ENDINGS = (".csv.gz", ".tsv.gz", ".csv", ".tsv", ".xlsx", ".xlsm", ".parquet")


@dataclass
class Staged:
    """
    A staged file, its columns with examples, how to read it, and the last run over it.

    `import_id` names it in URLs, `mark` in its tasks: the same file has the same mark.
    """

    import_id: str
    project_id: str
    name: str
    path: Path
    mark: str = ""
    examples: Mapping[str, Sequence[str]] = field(default_factory=dict)
    recognised: str | None = None
    format_name: str | None = None
    mapping: dict[str, str] = field(default_factory=dict)
    date_format: str = ""
    run: Run | None = None
    pull: Pull | None = None
    used_at_s: float = field(default_factory=time.monotonic)

    @property
    def size_bytes(self) -> int:
        return self.path.stat().st_size

    @property
    def is_running(self) -> bool:
        is_pulling = self.pull is not None and self.pull.is_active
        return is_pulling or (self.run is not None and self.run.state == "running")

    def stop(self) -> None:
        """Stop what runs over the file."""
        for part in (self.run, self.pull):
            if part is not None:
                part.stop()


class StagedFiles:
    """The staged files of all projects: a few at a time, each bounded in size and in time. For one event loop."""

    def __init__(self, clock: HybridClock) -> None:
        self._clock = clock
        self._files: dict[str, Staged] = {}
        self._expiry: asyncio.TimerHandle | None = None

    @cached_property
    def _folder(self) -> Path:
        """A folder that is removed with this object, at the latest when the process ends."""
        folder = tempfile.mkdtemp(prefix="phospho-import-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return Path(folder)

    def _make_room(self, project_id: str) -> None:
        """Make room for a file of a project. Raises Problem 503 where those that are being read take every place."""
        own = self.of_project(project_id)
        if len(own) >= _MAX_FILES_OF_PROJECT:
            self._replace([staged for staged in own if not staged.is_running], "this project")
        elif len(self._files) >= _MAX_FILES:
            imported = [each for each in self._files.values() if each.run is not None and each.run.is_imported]
            self._replace(imported, "this server")

    def _replace(self, candidates: Sequence[Staged], owner: str) -> None:
        """Remove the candidate that was used least recently. Raises Problem 503 if there is none."""
        if not candidates:
            message = f"{owner} has no room for another import now"
            raise Problem(503, "too_many_imports", message, "try again when one has ended", retry_after_s=60)
        self.remove(min(candidates, key=lambda staged: staged.used_at_s))

    async def add(self, project_id: str, name: str, content: IO[bytes]) -> Staged:
        """Stage a file, and return it. Raises Problem 503."""
        self._make_room(project_id)
        revision = self._clock.next()
        import_id = derived_uuid(revision_ms(revision), "import", str(revision))
        ending = next((ending for ending in _ENDINGS if name.lower().endswith(ending)), "")
        staged = Staged(import_id, project_id, name, self._folder / f"{import_id}{ending}")
        try:
            await asyncio.to_thread(_copy, content, staged.path)
            # Others may have taken the place meanwhile.
            self._make_room(project_id)
        except BaseException:
            staged.path.unlink(missing_ok=True)
            raise
        self._files[import_id] = staged
        self._expiry = self._expiry or self._in_a_minute()
        return staged

    def _in_a_minute(self) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(60.0, self._expire)

    def _expire(self) -> None:
        """Remove the files, and the keys of their pulls, that were not used for an hour; look again in a minute."""
        for staged in [*self._files.values()]:
            if not staged.is_running and time.monotonic() - staged.used_at_s > _LIFETIME_S:
                self.remove(staged)
        self._expiry = self._in_a_minute() if self._files else None

    def get(self, project_id: str, import_id: str) -> Staged:
        """Return the staged file of a project. Raises Problem 404."""
        staged = self._files.get(import_id)
        if staged is None or staged.project_id != project_id:
            message = "this server does not have the file any more"
            raise Problem(
                404, "unknown_import", message, "upload it again: a task that is logged again is the same task"
            )
        staged.used_at_s = time.monotonic()
        return staged

    def of_project(self, project_id: str) -> list[Staged]:
        """Return the staged files of a project, the newest first."""
        own = [staged for staged in self._files.values() if staged.project_id == project_id]
        return sorted(own, key=lambda staged: staged.import_id, reverse=True)

    def remove(self, staged: Staged) -> None:
        """Stop what runs over a file, and remove it."""
        staged.stop()
        self._files.pop(staged.import_id, None)
        staged.path.unlink(missing_ok=True)


def _copy(content: IO[bytes], path: Path) -> None:
    content.seek(0)
    with path.open("wb") as file:
        shutil.copyfileobj(content, file, 1 << 20)
