"""Forgetting deletes what is of a subject, and nothing of anyone else."""

from __future__ import annotations

import base64
import json
from typing import Any

import orjson
import pytest

from phospho_schemas.ids import HybridClock
from phospho_schemas.rows.themes import ThemeModelRow, ThemeRow
from phospho_schemas.times import utc_now
from phospho_store.forgetting.forget import Forgetting, SubjectKind
from phospho_store.registry.themes import ThemeRepository
from phospho_store.store import Store
from store.facts import dead_letter, insert, task


@pytest.fixture(autouse=True)
def _short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phospho_store.forgetting.forget._KNOWN_AFTER_S", 0.0)


def letter(store: Store, project_id: str, name: str, payload: bytes | dict[str, Any]) -> None:
    content = payload if isinstance(payload, bytes) else orjson.dumps(payload)
    fields = {"payload_base64": base64.b64encode(content).decode(), "payload_bytes": len(content)}
    insert(store, "dead_letter_rows", dead_letter(project_id, name, **fields))


def forget(store: Store, project_id: str, kind: SubjectKind, identifier: str) -> None:
    Forgetting(store, HybridClock()).forget(project_id, kind, identifier)


def letters(store: Store, prefix: str) -> list[str]:
    rows = store.rows(
        "SELECT DISTINCT dead_letter_id FROM dead_letter_rows WHERE startsWith(dead_letter_id, {prefix:String})"
        " ORDER BY dead_letter_id",
        {"prefix": prefix},
    )
    return [row["dead_letter_id"].removeprefix(prefix) for row in rows]


def test_forget_deletes_no_dead_letter_of_another_user(store: Store, project_id: str) -> None:
    """The user id 1 stands in texts, in other ids and in the letters of other projects."""
    prefix = f"{project_id}-"
    log = {"project_id": project_id, "task_id": "t1", "input": "order 1 please"}
    letter(store, project_id, prefix + "of-bob", log | {"user_id": "bob"})
    letter(store, project_id, prefix + "of-11", log | {"user_id": "11"})
    letter(store, "", prefix + "of-tenant-b", log | {"project_id": "tenant-b", "user_id": "1"})
    letter(store, "", prefix + "of-nobody", b"1 is not JSON")
    letter(store, project_id, prefix + "no-json-of-11", b'{"user_id": "11", ')
    letter(store, project_id, prefix + "of-1", log | {"user_id": "1"})
    letter(store, project_id, prefix + "of-number-1", log | {"user_id": 1})
    letter(store, "", prefix + "of-1-in-payload", log | {"user_id": "1"})
    letter(store, project_id, prefix + "no-json-of-1", b'{"user_id": "1", ')

    forget(store, project_id, "user", "1")

    assert letters(store, prefix) == ["no-json-of-11", "of-11", "of-bob", "of-nobody", "of-tenant-b"]


def test_forget_deletes_dead_letters_whose_json_escapes_the_id(store: Store, project_id: str) -> None:
    user_id = 'zoë "the cat" o\\neil|1'
    letter(store, project_id, f"{project_id}-json", b'{"user_id": "zo\\u00eb \\"the cat\\" o\\\\neil|1"}')
    letter(store, project_id, f"{project_id}-text", f"log of {user_id}.".encode())

    forget(store, project_id, "user", user_id)

    assert letters(store, f"{project_id}-") == []


@pytest.mark.parametrize(
    "payload",
    [
        b'{"input": 1, "metadata": {"user_id": "ann"}}',
        b'{"user_id": "", "metadata": {"user_id": "ann"}}',
        b'[{"user_id": "ann", "input": "hello"}]',
        b'"hello of ann"',
        b'{"user_id": "ann", ',
        b"user=ann",
        b"said ann.",
        b"user:ann\n\xff\xfe",
        b'{"user_id": "\xffx", "by": "ann"',
    ],
)
def test_forget_deletes_dead_letters_wherever_the_user_stands(store: Store, project_id: str, payload: bytes) -> None:
    letter(store, project_id, f"{project_id}-letter", payload)

    forget(store, project_id, "user", "ann")

    assert letters(store, f"{project_id}-") == []


@pytest.mark.parametrize(
    "other_id", ["ann-2", "ann.b", "ann@example.com", "mary-ann", "Ann", "ann\u0301", "ann\u00e9", "ann_b", "me+ann"]
)
def test_forget_keeps_unreadable_letters_of_ids_that_hold_the_id(store: Store, project_id: str, other_id: str) -> None:
    letter(store, project_id, f"{project_id}-text", f'{{"user_id": "{other_id}", '.encode())

    forget(store, project_id, "user", "ann")

    assert letters(store, f"{project_id}-") == ["text"]


@pytest.mark.parametrize("user_id", ["zo\u00eb", "\u674e\u660e", "a\U0001f600b", 'q"\\u00eb'])
def test_forget_deletes_unreadable_letters_that_escape_the_id(store: Store, project_id: str, user_id: str) -> None:
    escaped = json.dumps(user_id)
    upper = escaped.replace("\\u00eb", "\\u00EB").replace("\\ud83d", "\\uD83D").replace("\\ude00", "\\uDE00")
    letter(store, project_id, f"{project_id}-lower", f'{{"user_id": {escaped}, '.encode())
    letter(store, project_id, f"{project_id}-upper", f'{{"user_id": {upper}, '.encode())
    letter(store, project_id, f"{project_id}-bytes", b'{"user_id": ' + orjson.dumps(user_id) + b", ")

    forget(store, project_id, "user", user_id)

    assert letters(store, f"{project_id}-") == []


def test_forget_deletes_dead_letters_of_a_task_that_is_named_an_event(store: Store, project_id: str) -> None:
    letter(store, project_id, f"{project_id}-event", {"event_id": "t1", "input": None})
    letter(store, project_id, f"{project_id}-task", {"event_id": "t1", "task_id": "t2", "input": None})

    forget(store, project_id, "task", "t1")

    assert letters(store, f"{project_id}-") == ["task"]


def test_forget_deletes_dead_letters_of_tasks_and_traces(store: Store, project_id: str) -> None:
    row = task(project_id, "t1", user_id="ann", metadata={"trace_id": "trace-1"})
    insert(store, "task_rows", row)
    letter(store, project_id, f"{project_id}-feedback", {"kind": "feedback", "task_id": "t1", "flag": "?"})
    letter(store, project_id, f"{project_id}-step", {"kind": "step", "trace_id": "trace-1"})
    letter(store, project_id, f"{project_id}-other", {"kind": "step", "trace_id": "trace-2"})

    forget(store, project_id, "user", "ann")

    assert letters(store, f"{project_id}-") == ["other"]


def test_forget_takes_users_with_thousands_of_tasks(store: Store, project_id: str) -> None:
    tasks = [task(project_id, f"{'x' * 60}-{number}", user_id="ann") for number in range(3_000)]
    insert(store, "task_rows", *tasks)
    letter(store, project_id, f"{project_id}-text", f"log of {'x' * 60}-2999.".encode())

    forgotten = Forgetting(store, HybridClock()).forget(project_id, "user", "ann")

    assert (forgotten.tasks, forgotten.remaining_rows, forgotten.rows["task_rows"]) == (3_000, 0, 3_000)
    assert letters(store, f"{project_id}-") == []


def test_forget_takes_tasks_out_of_themes_and_has_them_found_anew(store: Store, project_id: str) -> None:
    themes = ThemeRepository(store)
    model = ThemeModelRow(project_id=project_id, version=1, tasks=2, texts=2, model="{}", created_at=utc_now())
    theme = ThemeRow(project_id=project_id, theme_id="a", version=1, examples=["t1", "t2"], created_at=utc_now())
    other = theme.model_copy(update={"theme_id": "b", "examples": ["t2"]})
    themes.save_discovery(model, [theme, other], [], 0)
    insert(store, "task_rows", task(project_id, "t1", user_id="ann"), task(project_id, "t2", user_id="bob"))

    forget(store, project_id, "user", "nobody")
    assert themes.refresh(project_id) is None
    forget(store, project_id, "user", "ann")

    assert {theme.theme_id: theme.examples for theme in themes.themes(project_id)} == {"a": ["t2"], "b": ["t2"]}
    refresh = themes.refresh(project_id)
    assert refresh is not None
    assert refresh.requested_at > model.created_at
