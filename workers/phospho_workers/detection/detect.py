"""Tasks and definitions in, analyses out: the whole of detection, without Kafka and without ClickHouse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from phospho_schemas.ids import event_id
from phospho_schemas.messages import SCHEMA_VERSION, ProjectSettings
from phospho_workers.detection.candidates import candidates
from phospho_workers.detection.definitions import NO_DEFINITIONS, CompiledDefinitions
from phospho_workers.detection.engine import BESIDE, SIDES, Hit, Hits, Side
from phospho_workers.detection.learning.classifiers import Classifier
from phospho_workers.detection.text.language import MODEL as LANGUAGE_MODEL
from phospho_workers.detection.text.language import UNKNOWN, Language, languages
from phospho_workers.detection.text.sentiment import MODEL as SENTIMENT_MODEL
from phospho_workers.detection.text.sentiment import NOT_COVERED, Sentiment, sentiments

Task = Mapping[str, Any]

_SCORE_DIGITS = 4
# What an analysis has from its task, and needs; the rest is optional.
_REQUIRED_TEXT = ("project_id", "task_id", "session_id", "created_at", "input")
_OPTIONAL_TEXT = ("user_id", "version_id", "output", "system_prompt")


class TasksRefused(Exception):
    """
    Some tasks of a batch can't be analysed; nothing was.

    `reasons` says which and why, by position: send those to the dead letters and analyse the others again.
    """

    def __init__(self, reasons: Mapping[int, str]) -> None:
        super().__init__(f"{len(reasons)} of the tasks can't be analysed: {next(iter(reasons.values()))}")
        self.reasons = dict(reasons)


def analyse(tasks: Sequence[Task], definitions: Mapping[str, CompiledDefinitions]) -> list[dict[str, Any]]:
    """
    Return an AnalysisRow for each task (a decoded TaskRow), in order, ready for JSON.

    A task's analysis is a function of the task and its project's definitions, to the last digit: the batch that it
    comes in changes nothing. Raises TasksRefused, before any work, where tasks are not what they should be; engines
    take any text.
    """
    reasons = {place: reason for place, task in enumerate(tasks) if (reason := check_task(task)) is not None}
    if reasons:
        raise TasksRefused(reasons)
    chosen = [definitions.get(task["project_id"], NO_DEFINITIONS).settings for task in tasks]
    read = [task for task, settings in zip(tasks, chosen, strict=True) if _has_tone(settings)]
    tones = _tones([text for task in read for text in (task["input"], task.get("output", ""))])
    rows = [_row(task, settings, tones) for task, settings in zip(tasks, chosen, strict=True)]
    for project_id, places in _by_project(tasks).items():
        compiled = definitions.get(project_id, NO_DEFINITIONS)
        if not compiled.settings.detect_events:
            continue
        found = _found([tasks[place] for place in places], compiled)
        for place, hits in zip(places, found, strict=True):
            rows[place]["events"] = _events(tasks[place], [hit for hit in hits if hit.is_found], compiled.classifiers)
            rows[place]["candidates"] = candidates(tasks[place], hits, compiled.settings.llm_sample)
    return rows


def check_task(task: Task) -> str | None:
    """Return why a task can't be analysed, or None. Never the text itself: reasons are shown and logged."""
    if task.get("schema_version", SCHEMA_VERSION) != SCHEMA_VERSION:
        return f"schema_version is {task.get('schema_version')!r}; this reads {SCHEMA_VERSION}"
    if type(task.get("revision")) is not int or task["revision"] < 0:
        return "revision is not a whole number"
    for name in _REQUIRED_TEXT:
        if reason := _text_refusal(task.get(name)):
            return f"{name} {reason}"
    for name in _OPTIONAL_TEXT:
        if reason := _text_refusal(task.get(name, "")):
            return f"{name} {reason}"
    return next((f"{name} is empty" for name in _REQUIRED_TEXT[:-1] if not task[name]), None)


def _text_refusal(value: object) -> str | None:
    if not isinstance(value, str):
        return "is not text"
    if value.isascii():
        return None
    try:
        value.encode()
    except UnicodeEncodeError:
        return "is not valid Unicode: it has a lone surrogate"
    return None


class _Tone(NamedTuple):
    """How a text is said: its language and its sentiment."""

    language: Language
    sentiment: Sentiment


_SILENT = _Tone(UNKNOWN, NOT_COVERED)


def _has_tone(settings: ProjectSettings) -> bool:
    return settings.detect_language or settings.detect_sentiment


def _tone(text: str, settings: ProjectSettings, tones: Mapping[str, _Tone]) -> _Tone:
    """Return the tone of a text as far as its project wants it told; sentiment needs the language either way."""
    if settings.detect_language and settings.detect_sentiment:
        return tones[text]
    known = tones[text] if _has_tone(settings) else _SILENT
    return _Tone(
        known.language if settings.detect_language else UNKNOWN,
        known.sentiment if settings.detect_sentiment else NOT_COVERED,
    )


def _tones(texts: Sequence[str]) -> dict[str, _Tone]:
    """Return the tone of each different text."""
    different = list(dict.fromkeys(texts))
    spoken = languages(different)
    felt = sentiments(different, [language.code for language in spoken])
    return dict(zip(different, map(_Tone, spoken, felt), strict=True))


def _by_project(tasks: Sequence[Task]) -> dict[str, list[int]]:
    places: dict[str, list[int]] = {}
    for place, task in enumerate(tasks):
        places.setdefault(task["project_id"], []).append(place)
    return places


def _found(tasks: Sequence[Task], compiled: CompiledDefinitions) -> list[list[Hit]]:
    """Return the hits in each task of one project: of several for one definition, the one that `_better` says."""
    by_side = [_found_in(tasks, side, compiled) for side in SIDES]
    return [_best([hit for hits in of_task for hit in hits]) for of_task in zip(*by_side, strict=True)]


def _found_in(tasks: Sequence[Task], side: Side, compiled: CompiledDefinitions) -> Sequence[Hits]:
    """Return the hits in that side of each task, having read what is equal once."""
    other = BESIDE.get(side, "") if compiled.reads_beside else ""
    read = [(task.get(side, ""), task.get(other, "")) for task in tasks]
    different = list(dict.fromkeys(read))
    texts, beside = zip(*different, strict=True)
    hits = dict(zip(different, compiled.weigh(texts, side, beside), strict=True))
    return [hits[one] for one in read]


def _best(hits: Sequence[Hit]) -> list[Hit]:
    """Return one hit a definition, by name: the highest score, and of equals the first, which is the input's."""
    best: dict[str, Hit] = {}
    for hit in hits:
        known = best.get(hit.definition.name)
        if known is None or hit.score > known.score:
            best[hit.definition.name] = hit
    return [best[name] for name in sorted(best)]


def _row(task: Task, settings: ProjectSettings, tones: Mapping[str, _Tone]) -> dict[str, Any]:
    said = _tone(task["input"], settings, tones)
    answered = _tone(task.get("output", ""), settings, tones)
    return {
        "schema_version": SCHEMA_VERSION,
        "project_id": task["project_id"],
        "task_id": task["task_id"],
        "revision": task["revision"],
        "session_id": task["session_id"],
        "user_id": task.get("user_id", ""),
        "version_id": task.get("version_id", ""),
        "created_at": task["created_at"],
        "language": said.language.code,
        "language_score": said.language.score,
        "sentiment": said.sentiment.label,
        "sentiment_score": said.sentiment.score,
        "sentiment_magnitude": said.sentiment.magnitude,
        "output_language": answered.language.code,
        "output_language_score": answered.language.score,
        "output_sentiment": answered.sentiment.label,
        "output_sentiment_score": answered.sentiment.score,
        "output_sentiment_magnitude": answered.sentiment.magnitude,
        "language_model": LANGUAGE_MODEL if settings.detect_language else "",
        "sentiment_model": SENTIMENT_MODEL if settings.detect_sentiment else "",
        "events": [],
        "candidates": [],
    }


def _events(task: Task, hits: Sequence[Hit], classifiers: Mapping[str, Classifier]) -> list[dict[str, Any]]:
    """Return hits as DetectedEvent objects. The id is that of project, task and name: found again is the same."""
    return [
        {
            "id": event_id(task["project_id"], task["task_id"], hit.definition.name),
            "name": hit.definition.name,
            "definition_version": hit.definition.version,
            "engine": hit.definition.engine,
            "scope": hit.definition.scope,
            "score": round(hit.score, _SCORE_DIGITS),
            "evidence": hit.evidence,
            "classifier_version": classifiers[hit.definition.name].version if hit.definition.name in classifiers else 0,
        }
        for hit in hits
    ]
