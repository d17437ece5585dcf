"""Detection as a pure function: tasks and definitions in, analyses out, without Kafka or ClickHouse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from phospho_schemas.ids import event_id
from phospho_schemas.messages import SCHEMA_VERSION, ProjectSettings
from phospho_workers.detection.candidates import candidates
from phospho_workers.detection.definitions import NO_DEFINITIONS, CompiledDefinitions
from phospho_workers.detection.engines.engine import Match, Matches
from phospho_workers.detection.learning.classifiers import Classifier
from phospho_workers.detection.text.language import MODEL as LANGUAGE_MODEL
from phospho_workers.detection.text.language import UNKNOWN, Language, languages
from phospho_workers.detection.text.meaning import NO_MEANING, codes
from phospho_workers.detection.text.sentiment import MODEL as SENTIMENT_MODEL
from phospho_workers.detection.text.sentiment import NOT_COVERED, Sentiment, sentiments
from phospho_workers.detection.text.sides import OTHER_SIDE, SIDES, Side
from phospho_workers.detection.themes.model import ThemeModel

Task = Mapping[str, Any]
# The columns of an analysis without themes.
NO_THEMES: Mapping[str, Any] = {
    "theme": "",
    "theme_score": 0.0,
    "theme_version": 0,
    "output_theme": "",
    "output_theme_score": 0.0,
}

_SCORE_DIGITS = 4
# The fields that an analysis copies or reads.
_REQUIRED_TEXT = ("project_id", "task_id", "session_id", "created_at", "input")
_OPTIONAL_TEXT = ("user_id", "version_id", "output", "system_prompt")


class TasksRefused(Exception):
    """
    Some tasks of a batch can't be analysed, so none was.

    `reasons` has the reason of each by its index: make those dead letters and analyse the others again.
    """

    def __init__(self, reasons: Mapping[int, str]) -> None:
        super().__init__(f"{len(reasons)} of the tasks can't be analysed: {next(iter(reasons.values()))}")
        self.reasons = dict(reasons)


def analyse(tasks: Sequence[Task], definitions: Mapping[str, CompiledDefinitions]) -> list[dict[str, Any]]:
    """
    Return an AnalysisRow for each task (a decoded TaskRow), in order, ready for JSON.

    A task's analysis is a function of the task and its project's definitions, to the last digit: the batch that it
    comes in changes nothing. Raises TasksRefused before any work where a task is invalid. Engines accept any text.
    """
    reasons = {index: reason for index, task in enumerate(tasks) if (reason := check_task(task)) is not None}
    if reasons:
        raise TasksRefused(reasons)
    settings = [definitions.get(task["project_id"], NO_DEFINITIONS).settings for task in tasks]
    with_tone = [task for task, task_settings in zip(tasks, settings, strict=True) if _wants_tone(task_settings)]
    tones = _tones([text for task in with_tone for text in (task["input"], task.get("output", ""))])
    rows = [_row(task, task_settings, tones) for task, task_settings in zip(tasks, settings, strict=True)]
    _add_meanings(rows, tasks)
    for project_id, indexes in _by_project(tasks).items():
        compiled = definitions.get(project_id, NO_DEFINITIONS)
        _add_themes([rows[index] for index in indexes], [tasks[index] for index in indexes], compiled)
        if not compiled.settings.detect_events:
            continue
        matches_by_task = _matches([tasks[index] for index in indexes], compiled)
        for index, matches in zip(indexes, matches_by_task, strict=True):
            found_matches = [match for match in matches if match.is_found]
            rows[index]["events"] = _events(tasks[index], found_matches, compiled.classifiers)
            rows[index]["candidates"] = candidates(tasks[index], matches, compiled.settings.llm_sample)
    return rows


def check_task(task: Task) -> str | None:
    """Return why a task can't be analysed, or None. The reason never quotes the task: it is shown and logged."""
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
    """The language and the sentiment of a text."""

    language: Language
    sentiment: Sentiment


_NO_TONE = _Tone(UNKNOWN, NOT_COVERED)


def _wants_tone(settings: ProjectSettings) -> bool:
    return settings.detect_language or settings.detect_sentiment


def _tone(text: str, settings: ProjectSettings, tones: Mapping[str, _Tone]) -> _Tone:
    """Return the parts of a text's tone that its project detects. Sentiment needs the language either way."""
    if settings.detect_language and settings.detect_sentiment:
        return tones[text]
    tone = tones[text] if _wants_tone(settings) else _NO_TONE
    return _Tone(
        tone.language if settings.detect_language else UNKNOWN,
        tone.sentiment if settings.detect_sentiment else NOT_COVERED,
    )


def _tones(texts: Sequence[str]) -> dict[str, _Tone]:
    """Return the tone of each different text."""
    unique_texts = list(dict.fromkeys(texts))
    text_languages = languages(unique_texts)
    text_sentiments = sentiments(unique_texts, [_language_of_sentiment(language) for language in text_languages])
    return dict(zip(unique_texts, map(_Tone, text_languages, text_sentiments), strict=True))


def _language_of_sentiment(language: Language) -> str:
    """Return the code by which sentiment is covered: of an unknown language that looks foreign, the guess."""
    return language.code or (language.guess if language.guess != "en" else "")


def _by_project(tasks: Sequence[Task]) -> dict[str, list[int]]:
    indexes: dict[str, list[int]] = {}
    for index, task in enumerate(tasks):
        indexes.setdefault(task["project_id"], []).append(index)
    return indexes


def _matches(tasks: Sequence[Task], compiled: CompiledDefinitions) -> list[list[Match]]:
    """Return the matches in each task of one project, the best one of each definition (see `_best`)."""
    by_side = [_side_matches(tasks, side, compiled) for side in SIDES]
    return [_best([match for matches in sides for match in matches]) for sides in zip(*by_side, strict=True)]


def _add_themes(rows: Sequence[dict[str, Any]], tasks: Sequence[Task], compiled: CompiledDefinitions) -> None:
    """Set the themes of each row, from the texts of its task. Equal texts are read once."""
    if not compiled.settings.detect_themes:
        return
    for side, model in compiled.themes.items():
        if side == "input" or compiled.settings.output_themes:
            assigned = themes_of(model, side, [task.get(side, "") for task in tasks])
            for row, columns in zip(rows, assigned, strict=True):
                row.update(columns)


def themes_of(model: ThemeModel, side: Side, texts: Sequence[str]) -> list[dict[str, Any]]:
    """Return the columns of an analysis that say which theme each text, of one side of a task, has."""
    different = list(dict.fromkeys(texts))
    assignments = dict(zip(different, model.assign(different), strict=True))
    column = "theme" if side == "input" else "output_theme"
    return [
        {column: assignments[text].theme, f"{column}_score": assignments[text].score, "theme_version": model.version}
        for text in texts
    ]


def _add_meanings(rows: Sequence[dict[str, Any]], tasks: Sequence[Task]) -> None:
    """Set the meaning of each row, from the input of its task. Equal texts are read once."""
    texts = list(dict.fromkeys(task["input"] for task in tasks))
    meanings = dict(zip(texts, codes(texts), strict=True))
    for row, task in zip(rows, tasks, strict=True):
        row["meaning"] = meanings[task["input"]]


def _side_matches(tasks: Sequence[Task], side: Side, compiled: CompiledDefinitions) -> Sequence[Matches]:
    """Return the matches in that side of each task. Equal texts are read once."""
    other_side = OTHER_SIDE.get(side, "") if compiled.reads_other_side else ""
    pairs = [(task.get(side, ""), task.get(other_side, "")) for task in tasks]
    unique_pairs = list(dict.fromkeys(pairs))
    texts, other_sides = zip(*unique_pairs, strict=True)
    matches = dict(zip(unique_pairs, compiled.match(texts, side, other_sides), strict=True))
    return [matches[pair] for pair in pairs]


def _best(matches: Sequence[Match]) -> list[Match]:
    """Return the match with the highest score of each definition, by name; of equal scores the first, the input's."""
    best: dict[str, Match] = {}
    for match in matches:
        previous = best.get(match.definition.name)
        if previous is None or match.score > previous.score:
            best[match.definition.name] = match
    return [best[name] for name in sorted(best)]


def _row(task: Task, settings: ProjectSettings, tones: Mapping[str, _Tone]) -> dict[str, Any]:
    input_tone = _tone(task["input"], settings, tones)
    output_tone = _tone(task.get("output", ""), settings, tones)
    return {
        "schema_version": SCHEMA_VERSION,
        "project_id": task["project_id"],
        "task_id": task["task_id"],
        "revision": task["revision"],
        "session_id": task["session_id"],
        "user_id": task.get("user_id", ""),
        "version_id": task.get("version_id", ""),
        "created_at": task["created_at"],
        "language": input_tone.language.code,
        "language_score": input_tone.language.score,
        "sentiment": input_tone.sentiment.label,
        "sentiment_score": input_tone.sentiment.score,
        "sentiment_magnitude": input_tone.sentiment.magnitude,
        "output_language": output_tone.language.code,
        "output_language_score": output_tone.language.score,
        "output_sentiment": output_tone.sentiment.label,
        "output_sentiment_score": output_tone.sentiment.score,
        "output_sentiment_magnitude": output_tone.sentiment.magnitude,
        "language_model": LANGUAGE_MODEL if settings.detect_language else "",
        "sentiment_model": SENTIMENT_MODEL if settings.detect_sentiment else "",
        **NO_THEMES,
        "meaning": NO_MEANING,
        "events": [],
        "candidates": [],
    }


def _events(task: Task, matches: Sequence[Match], classifiers: Mapping[str, Classifier]) -> list[dict[str, Any]]:
    """Return matches as DetectedEvent objects. The id derives from project, task and name, so it never changes."""
    return [
        {
            "id": event_id(task["project_id"], task["task_id"], match.definition.name),
            "name": match.definition.name,
            "definition_version": match.definition.version,
            "engine": match.definition.engine,
            "scope": match.definition.scope,
            "score": round(match.score, _SCORE_DIGITS),
            "evidence": match.evidence,
            "classifier_version": _version(classifiers.get(match.definition.name)),
        }
        for match in matches
    ]


def _version(classifier: Classifier | None) -> int:
    return 0 if classifier is None else classifier.version
