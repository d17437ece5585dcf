"""`phospho import`: log the tasks of a file."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click

from phospho_cli.client.failures import Failure, Unreachable
from phospho_cli.client.http import Client, connected
from phospho_cli.client.output import progress
from phospho_cli.importing.checks import EventCheck, OwnProject
from phospho_cli.importing.summary import Preview, import_url, print_summary, project_url
from phospho_cli.importing.upload import Upload
from phospho_schemas.imports import import_id
from phospho_store.log_files.counts import LineCounts
from phospho_store.log_files.formats import FORMATS
from phospho_store.log_files.log_file import OWN_FORMAT, LogFile, LogLine, SkippedLine
from phospho_store.log_files.mappings import meant_field
from phospho_store.log_files.records import BadHeader, BadLine, BrokenFile

# To read the clock for each line would cost more than the line.
_LINES_BETWEEN_UPDATES = 256


def _mapping(_: click.Context, __: click.Parameter, pairs: tuple[str, ...]) -> dict[str, str]:
    split = [pair.partition("=") for pair in pairs]
    if bad := [name for name, _, theirs in split if not name or not theirs]:
        raise click.BadParameter(f"{bad[0]!r} is not of the form input=question.")
    if typos := [(name, field_name) for name, _, _ in split if (field_name := meant_field(name))]:
        raise click.BadParameter(f"There is no field {typos[0][0]!r}. Did you mean {typos[0][1]!r}?")
    return {name: theirs for name, _, theirs in split}


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--mapping",
    "-m",
    multiple=True,
    callback=_mapping,
    metavar="NAME=THEIRS",
    help="Take the file's key or column THEIRS for NAME. Repeatable.",
)
@click.option(
    "--format",
    "format_name",
    type=click.Choice([OWN_FORMAT, *FORMATS]),
    help="Whose export the file is [default: judged by its first record].",
)
@click.option(
    "--date-format",
    metavar="FORMAT",
    help="Format of created_at in strptime's codes, such as '%d/%m/%Y %H:%M'. Without a zone the time is in UTC.",
)
@click.option("--batch-size", type=click.IntRange(1, 10_000), default=500, show_default=True, help="Events a request.")
@click.option("--concurrency", type=click.IntRange(1, 64), default=4, show_default=True, help="Requests at a time.")
@click.option(
    "--max-errors", type=click.IntRange(1), default=1000, show_default=True, help="Rejected lines to stop at."
)
@click.option("--dry-run", is_flag=True, help="Show what would be logged; send nothing.")
@connected
def import_file(
    client: Client,
    file: Path,
    mapping: dict[str, str],
    format_name: str | None,
    date_format: str | None,
    batch_size: int,
    concurrency: int,
    max_errors: int,
    dry_run: bool,
) -> None:
    """
    Log the tasks of FILE: JSON lines, JSON or CSV (plain or gzip), Parquet or Excel.

    A record has input, and may have output, session_id, task_id, user_id, version_id, created_at (ISO 8601, or Unix
    seconds or milliseconds), flag (success or failure), system_prompt and metadata. Any other key or column becomes
    metadata. --mapping takes keys of other names.

    Exports of Langfuse (traces or observations: each generation is a task), of LangSmith (runs: each root run is a
    task) and flattened tasks of upstream phospho are recognised by their keys. So are chats: of a record with
    messages that have a role and content, each question with its answer is a task.

    It is safe to run twice, and to run again after an interruption: a line without a task_id gets one that is
    derived from the line, and a task logged again is the same task. Lines that can't be logged are reported, the
    others are logged, and the exit code is 1. --dry-run checks each line as the server does.

    \b
    Examples:
      phospho import logs.jsonl.gz
      phospho import chats.csv --mapping input=question --mapping output=answer
      phospho import chats.csv --date-format '%d/%m/%Y %H:%M'
      phospho import langfuse-export.json --dry-run
    """
    counts = LineCounts()
    with file.open("rb") as content:
        mark = import_id(content, file.name)
    log_file = LogFile(file, mapping, format_name, date_format, import_id=mark)
    if not dry_run:
        # A wrong address fails at once; a server that goes away later is waited for.
        client.check_reachable()
    started_s = time.monotonic()
    try:
        if dry_run:
            broken = _preview(client, log_file, counts, max_errors)
        else:
            upload = Upload(client, counts, threads=concurrency, max_batch_events=batch_size)
            broken = _upload(upload, log_file, counts, max_errors)
    finally:
        print_summary(counts, time.monotonic() - started_s, is_dry_run=dry_run)
        if counts.accepted and not dry_run:
            click.echo(f"Tasks of this import: {import_url(client.address, mark)}")
    if broken is not None:
        before = "Every line before that was read" if counts.lines else "Nothing was read"
        raise Failure(str(broken), f"{before}. {broken.hint}")
    if not counts.lines:
        raise Failure(f"{file} holds no records, so nothing was logged.", "Check the path and the export's filters.")
    if counts.accepted and not dry_run:
        _suggest_definitions(client)
    if counts.rejected or not counts.accepted:
        raise click.exceptions.Exit(1)


def _suggest_definitions(client: Client) -> None:
    """Say where to choose the events to detect, in a project that has no definitions."""
    try:
        definitions = client.get("/api/v1/definitions")["definitions"]
    except Failure:
        # A key may log and not read.
        return
    if not definitions:
        click.echo(f"Next, choose events to detect: {project_url(client.address, '/definitions/library')}")


def _preview(client: Client, log_file: LogFile, counts: LineCounts, max_errors: int) -> BrokenFile | None:
    preview, check = Preview(), EventCheck(partial(_own_project, client))

    def look(log: LogLine) -> None:
        created_at = check.created_at(log)
        if isinstance(created_at, BadLine):
            counts.reject(created_at)
        else:
            preview.add(log)
            counts.accept([created_at], undated=log.is_undated)

    try:
        return _read(log_file, counts, look, max_errors)
    finally:
        source = FORMATS.get(log_file.format_name or OWN_FORMAT)
        preview.show(source.label if source else "phospho", counts.skipped)


def _own_project(client: Client) -> OwnProject | None:
    """Return the project that a key logs to; None where no server says so."""
    named = client.address.project_id
    try:
        projects = client.get("/api/v1/projects")["projects"]
    except Failure:
        return OwnProject(named) if named else None
    own = [project for project in projects if named in ("", None, project["project_id"])]
    if len(own) != 1:
        return OwnProject(named) if named else None
    return OwnProject(str(own[0]["project_id"]), int(own[0].get("retention_days", 0)))


def _upload(upload: Upload, log_file: LogFile, counts: LineCounts, max_errors: int) -> BrokenFile | None:
    try:
        with upload:
            return _read(log_file, counts, upload.add, max_errors)
    except Unreachable as error:
        raise Unreachable(error.message, f"{error.hint} Then run the same command again.") from error
    except KeyboardInterrupt:
        click.echo("Stopped. Run the same command again to continue. Tasks already logged stay as they are.", err=True)
        raise click.Abort from None


def _read(log_file: LogFile, counts: LineCounts, take: Callable[[LogLine], None], max_errors: int) -> BrokenFile | None:
    """Give every event of the file to `take`. Returns what cut the file short, so that the rest can be sent."""
    lines = 0
    with progress("import", log_file.records.size_bytes) as show:
        try:
            for lines, log in enumerate(log_file, 1):
                if isinstance(log, BadLine):
                    counts.reject(BadLine(log.line, log.reason + log.options))
                elif isinstance(log, SkippedLine):
                    counts.skipped += 1
                else:
                    take(log)
                _stop_at(max_errors, counts)
                if lines % _LINES_BETWEEN_UPDATES == 0:
                    show(log_file.records.position_bytes(), f"{lines:,} lines")
        except BrokenFile as broken:
            return broken
        except BadHeader as error:
            raise Failure(str(error), error.hint) from error
    return None


def _stop_at(max_errors: int, counts: LineCounts) -> None:
    if counts.rejected >= max_errors:
        raise Failure(
            f"{counts.rejected:,} lines were rejected; the import stopped there.",
            "Fix the file or give --mapping. To go on regardless, raise --max-errors.",
        )
