"""`phospho evaluate`: scores of definitions on labelled logs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from phospho_cli.client.failures import Failure
from phospho_cli.client.output import print_table, progress

if TYPE_CHECKING:
    from phospho_schemas.messages import EventDefinition
    from phospho_workers.detection.evaluation.few_shot import Spread
    from phospho_workers.detection.evaluation.labelled import LabelledLogs
    from phospho_workers.detection.evaluation.scoring import Report
    from phospho_workers.detection.evaluation.students import Part

_File = click.Path(exists=True, dir_okay=False, path_type=Path)
_DIGITS = 4
_MAX_NAMES = 20


@click.command("evaluate")
@click.option("--definitions", "definitions_file", type=_File, required=True, help="As `definitions apply` takes.")
@click.option("--logs", type=_File, required=True, help="JSON lines with task_id, input and, if there is one, output.")
@click.option("--labels", type=_File, required=True, help="JSON lines with task_id, positive and negative.")
@click.option("--shots", type=click.IntRange(0, 1000), default=0, help="Train each event with N tasks of either kind.")
@click.option("--seeds", type=click.IntRange(1, 100), default=5, show_default=True, help="Number of draws.")
@click.option("--no-student", is_flag=True, help="Leave out the student that the texts of the logs teach.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def evaluate(
    definitions_file: Path, logs: Path, labels: Path, shots: int, seeds: int, no_student: bool, as_json: bool
) -> None:
    """
    Score definitions on labelled logs, with the code that the workers run. Nothing is sent anywhere.

    `positive` and `negative` are lists of event names. A task with an event in neither list is left out for that event.
    Of several lines with one task_id the last counts. Definitions that read more than one task, or that only an LLM
    decides, are refused.

    The scores of an event are its average precision, which needs no threshold, and its F1 at the threshold of its
    definition or the default. The means are over the events that some task shows.

    A student is learnt from the texts of the logs, as the job of a project does, in two halves: each half is scored by
    the student of the other one. The figures without it are reported as well.

    With --shots N each definition is first trained by N tasks that show its event and N that do not, drawn at random,
    and tested on the others. Tasks per second include sentiment and language, in this one process.

    \b
    Example:
      phospho evaluate --definitions events.yaml --logs logs.jsonl.gz --labels labels.jsonl.gz --shots 10
    """
    from phospho_workers.detection.evaluation.few_shot import few_shot
    from phospho_workers.detection.evaluation.labelled import BadLabels, read_labelled
    from phospho_workers.detection.evaluation.scoring import PASSES, zero_shot
    from phospho_workers.detection.evaluation.students import cross_fitted, whole

    definitions = _definitions(definitions_file)
    try:
        labelled = read_labelled(logs, labels)
    except BadLabels as fault:
        raise Failure(str(fault)) from None
    _warn(definitions, labelled, shots)
    parts = whole(labelled.tasks) if no_student else cross_fitted(labelled.tasks)
    has_student = any(part.student is not None for part in parts)
    ways = [parts, whole(labelled.tasks)] if has_student else [parts]

    def reported(parts: Sequence[Part], done: Callable[[int], None]) -> tuple[Report, Spread | None]:
        if not shots:
            return zero_shot(definitions, labelled, done, parts), None
        spread = few_shot(definitions=definitions, logs=labelled, shots=shots, seeds=seeds, progress=done, parts=parts)
        return spread.mean, spread

    with _progress(PASSES * len(labelled.tasks) * (seeds if shots else 1) * len(ways)) as done:
        reports = [reported(way, done) for way in ways]
    _print(*reports[0], without=reports[1][0] if has_student else None, as_json=as_json)


def _warn(definitions: Sequence[EventDefinition], logs: LabelledLogs, shots: int) -> None:
    """Warn about definitions without any label, and about events with too few labels to train on."""
    from phospho_workers.detection.evaluation.few_shot import fewer_shots

    if unlabelled := [definition.name for definition in definitions if definition.name not in logs.names]:
        labelled = ", ".join(sorted(logs.names)[:_MAX_NAMES]) or "no event"
        click.echo(f"Warning: no label for {', '.join(unlabelled)}; there are labels for {labelled}.", err=True)
    for name, count in fewer_shots(definitions, logs, shots).items():
        warning = f"of the tasks that show {name}, {count} train it, not {shots}; the others are the test"
        click.echo(f"Warning: {warning}.", err=True)


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    with progress("Evaluating", total) as show:
        done = 0

        def advance(tasks: int) -> None:
            nonlocal done
            done += tasks
            show(done, f"{done:,} of {total:,} analyses")

        yield advance


def _definitions(path: Path) -> list[EventDefinition]:
    from phospho_cli.commands.definitions.definition_file import BadDefinitions, read_definitions
    from phospho_schemas.definitions.validation import refusal_of
    from phospho_workers.detection.definitions import check_definition
    from phospho_workers.detection.evaluation.labelled import event_definition
    from phospho_workers.detection.evaluation.scoring import refusal

    try:
        definitions = [event_definition(item) for item in read_definitions(path.read_bytes())]
    except BadDefinitions as faults:
        raise click.UsageError(str(faults)) from None
    reasons = (
        (definition.name, refusal_of(definition) or check_definition(definition) or refusal(definition))
        for definition in definitions
    )
    refused = [f"{name}: {reason}" for name, reason in reasons if reason is not None]
    if refused:
        raise click.UsageError("\n".join(refused))
    return definitions


def _print(report: Report, spread: Spread | None, *, without: Report | None, as_json: bool) -> None:
    """Print a report, and the means of `without`, the one that had no student."""
    document = _document(report, spread) | _without_student(without)
    if as_json:
        import orjson

        click.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2))
        return
    rows = [{"event": name} | scores for name, scores in document["events"].items()]
    means = {"average_precision": document["mean_average_precision"], "f1": document["macro_f1"]}
    print_table(("event", "average_precision", "f1", "positives"), [*rows, {"event": "mean"} | means])
    if spread:
        each = ", ".join(map(str, document["mean_average_precisions"]))
        click.echo(f"Mean average precision {means['average_precision']} ± {document['spread']}: {each}")
    click.echo(f"{document['tasks_per_s']:,} tasks/s")
    if without:
        shown = document["without_student"]
        click.echo(
            f"With a student of these texts. Without one: mean average precision {shown['mean_average_precision']}, "
            f"F1 {shown['macro_f1']}, {shown['tasks_per_s']:,} tasks/s"
        )


def _without_student(report: Report | None) -> dict[str, Any]:
    if report is None:
        return {}
    means = {
        "mean_average_precision": round(report.mean_average_precision, _DIGITS),
        "macro_f1": round(report.macro_f1, _DIGITS),
        "tasks_per_s": round(report.tasks_per_s),
    }
    return {"without_student": means}


def _document(report: Report, spread: Spread | None) -> dict[str, Any]:
    of_seeds = {}
    if spread:
        of_seeds = {
            "mean_average_precisions": [round(score, _DIGITS) for score in spread.mean_average_precisions],
            "spread": round(spread.mean_average_precision_spread, _DIGITS),
        }
    return {
        "mean_average_precision": round(report.mean_average_precision, _DIGITS),
        "macro_f1": round(report.macro_f1, _DIGITS),
        "tasks_per_s": round(report.tasks_per_s),
        **of_seeds,
        "events": {
            name: {
                "average_precision": _rounded(score.average_precision),
                "f1": _rounded(score.f1),
                "positives": score.positives,
            }
            for name, score in report.events.items()
        },
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)
