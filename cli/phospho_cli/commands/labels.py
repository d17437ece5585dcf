"""`phospho labels`: tasks of an event to Argilla or Label Studio, and the labels of their reviewers back."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import click

from phospho_cli.client.http import Client, connected
from phospho_store.annotations.agreement import fleiss_kappa

MAX_TASKS = 2000
_PAGE = 100
_LABELS = ("confirmed", "rejected")
_FORMATS = click.Choice(["argilla", "label-studio"])
_File = click.Path(exists=True, dir_okay=False, path_type=Path)

Document = dict[str, Any]


@click.group("labels")
def labels() -> None:
    """
    Review events in Argilla or Label Studio, and bring the labels back.

    \b
    Examples:
      phospho labels export refund --format label-studio > tasks.json
      phospho labels import reviewed.json --format label-studio
    """


@labels.command("export")
@click.argument("event")
@click.option("--format", "form", type=_FORMATS, required=True)
@click.option("--limit", type=click.IntRange(1, MAX_TASKS), default=200, show_default=True, help="Most tasks.")
@click.option("--period", default="30d", show_default=True, help="1h, 24h, 7d, 30d, 90d or all.")
@connected
def export(client: Client, event: str, form: str, limit: int, period: str) -> None:
    """
    Write the newest tasks with EVENT as JSON, with the score as a suggestion and labels as responses.

    Label Studio needs Choices named `label` of a Text named `input`, with the values confirmed and rejected; Argilla
    the fields `input` and `output` and a LabelQuestion named `label`.
    """
    document = _label_studio_task if form == "label-studio" else _argilla_record
    tasks = list(_tasks(client, event, limit, period))
    click.echo(json.dumps([document(event, task) for task in tasks], indent=2, ensure_ascii=False))
    click.echo(f"{len(tasks):,} tasks with {event}.", err=True)


@labels.command("import")
@click.argument("file", type=_File)
@click.option("--format", "form", type=_FORMATS, required=True)
@connected
def import_labels(client: Client, file: Path, form: str) -> None:
    """
    Store the labels of a FILE that Argilla or Label Studio exported, as JSON.

    Where reviewers disagree, the majority decides; a task without one is left out. Safe to repeat.
    """
    read = _label_studio_review if form == "label-studio" else _argilla_review
    reviews = [review for review in map(read, _documents(file)) if review.labels]
    decided = [(review, label) for review in reviews if (label := _majority(review.labels))]
    bodies = [{"event": review.event, "task_id": review.task_id, "label": label} for review, label in decided]
    for start in range(0, len(bodies), _PAGE):
        client.post("/api/v1/labels", {"labels": bodies[start : start + _PAGE]})
    ties = len(reviews) - len(decided)
    click.echo(f"{len(bodies):,} labels stored." + (f" {ties:,} tasks without a majority left out." if ties else ""))
    agreement = fleiss_kappa([review.labels for review in reviews])
    if agreement is not None:
        click.echo(f"Agreement between reviewers (Fleiss' kappa): {agreement:.2f}")


@dataclass(frozen=True)
class _Review:
    """The labels that reviewers gave an event of a task."""

    event: str
    task_id: str
    labels: tuple[str, ...]


def _majority(labels: Iterable[str]) -> str:
    """Return the label that most reviewers gave, empty for a tie."""
    ranks = Counter(labels).most_common(2)
    return "" if len(ranks) > 1 and ranks[0][1] == ranks[1][1] else ranks[0][0]


def _tasks(client: Client, event: str, limit: int, period: str) -> Iterator[Document]:
    """Yield the newest tasks with an event, with all of their texts."""
    cursor, left = "", limit
    while left:
        query = {"event": event, "period": period, "limit": min(_PAGE, left)} | ({"cursor": cursor} if cursor else {})
        page = client.get(f"/api/v1/tasks?{urlencode(query)}")
        for row in page["tasks"]:
            yield client.get(f"/api/v1/tasks/{quote(row['task_id'], safe='')}")["task"]
        left -= len(page["tasks"])
        cursor = page["next_cursor"]
        if not cursor:
            return


def _event_of(task: Document, event: str) -> Document:
    return next((row for row in task["events"] if row["name"] == event), {"score": None, "label": ""})


def _argilla_record(event: str, task: Document) -> Document:
    row = _event_of(task, event)
    suggestion = {"value": "confirmed", "score": row["score"], "agent": "phospho"}
    return {
        "id": f"{event}/{task['task_id']}",
        "fields": {"input": task["input"], "output": task["output"]},
        "metadata": {"event": event, "task_id": task["task_id"]},
        "suggestions": {"label": suggestion},
        "responses": {"label": [{"value": row["label"]}]} if row["label"] else {},
    }


def _argilla_review(record: Document) -> _Review:
    responses = (record.get("responses") or {}).get("label") or []
    return _review(record.get("metadata"), [response.get("value") for response in responses])


def _label_studio_task(event: str, task: Document) -> Document:
    row = _event_of(task, event)
    data = {"event": event, "task_id": task["task_id"], "input": task["input"], "output": task["output"]}
    prediction = {"model_version": "phospho", "score": row["score"], "result": [_choice("confirmed")]}
    annotations = [{"result": [_choice(row["label"])]}] if row["label"] else []
    return {"data": data, "predictions": [prediction], "annotations": annotations}


def _choice(label: str) -> Document:
    return {"from_name": "label", "to_name": "input", "type": "choices", "value": {"choices": [label]}}


def _label_studio_review(task: Document) -> _Review:
    annotations = [row for row in task.get("annotations") or [] if not row.get("was_cancelled")]
    results = [result for row in annotations for result in row["result"] if result.get("from_name") == "label"]
    return _review(task.get("data"), [choice for result in results for choice in result["value"]["choices"]])


def _review(names: Any, values: Iterable[Any]) -> _Review:
    if not isinstance(names, dict) or not {"event", "task_id"} <= names.keys():
        raise click.ClickException("A record has no event and task_id: import what 'phospho labels export' wrote.")
    return _Review(names["event"], names["task_id"], tuple(value for value in values if value in _LABELS))


def _documents(file: Path) -> list[Document]:
    try:
        documents = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise click.ClickException(f"{file} is not JSON: {error}") from error
    if not isinstance(documents, list) or not all(isinstance(document, dict) for document in documents):
        raise click.ClickException(f"{file} must be a list of records, as Argilla and Label Studio export JSON.")
    return documents
