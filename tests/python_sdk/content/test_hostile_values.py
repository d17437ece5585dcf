"""Values whose methods raise, and callers who change the returned content."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from enum import Enum
from typing import Any

import httpx
import pytest

import phospho
from phospho._content.json_values import to_jsonable

Make = Callable[..., phospho.Client]


def _fail(*arguments: Any, **keywords: Any) -> Any:
    raise RuntimeError("not me")


class HostileText(str):
    """A string whose methods all raise."""

    __slots__ = ()
    __eq__ = __ne__ = __hash__ = __str__ = __repr__ = __len__ = __iter__ = __bool__ = _fail
    __contains__ = __format__ = __getitem__ = encode = strip = lower = _fail


class HostileNumber(int):
    __eq__ = __ne__ = __lt__ = __hash__ = __str__ = __repr__ = __int__ = __index__ = __bool__ = _fail


class HostileEquality:
    __eq__ = __ne__ = __hash__ = __bool__ = _fail


class Model(str, Enum):  # noqa: UP042 as apps on Python 3.9 have it
    SMALL = "gpt-4o-mini"


class StrOfASubclass:
    def __str__(self) -> str:
        return HostileText("inner")


@pytest.fixture
def client(server: Any, make_client: Make) -> phospho.Client:
    """A client with the HTTP transport, which encodes the values."""
    return make_client()


def only_log(server: Any) -> dict[str, Any]:
    assert len(server.logs) == 1
    return dict(server.logs[0])


def test_log_takes_characters_of_text_whose_methods_raise(client: phospho.Client, server: Any) -> None:
    text = HostileText("plain")

    log = client.log(text, text, metadata={"a": [text]}, user_id=text, session_id=text, task_id=text, more=text)

    assert client.flush(5).sent == ("plain",)
    sent = only_log(server)
    assert (sent["input"], sent["output"], sent["more"], sent["metadata"]) == ("plain",) * 3 + ({"a": ["plain"]},)
    assert (sent["user_id"], sent["session_id"], sent["task_id"]) == ("plain",) * 3
    assert {type(log[name]) for name in ("input", "output", "task_id", "session_id", "more")} == {str}
    assert client.stats().errors == {}


def test_log_reads_hostile_text_in_messages_and_functions(client: phospho.Client, server: Any) -> None:
    messages = [
        {"role": "system", "content": HostileText("be kind")},
        {"role": "user", "content": HostileText("why?")},
    ]
    usage = {"prompt_tokens": HostileNumber(3), "completion_tokens": 4}
    choices = [{"message": {"role": "assistant", "content": HostileText("because")}}]

    client.log(
        {"messages": messages, "model": Model.SMALL},
        {"choices": choices, "usage": usage, "model": HostileText("gpt")},
        input_to_str_function=lambda value: HostileText("made"),
        ratio=StrOfASubclass(),
    )

    assert client.flush(5).is_complete
    sent = only_log(server)
    assert (sent["input"], sent["output"], sent["system_prompt"]) == ("made", "because", "be kind")
    assert (sent["prompt_tokens"], sent["model"], sent["ratio"]) == (3, "gpt", "inner")


@pytest.mark.parametrize(
    "value", [HostileText("yes"), HostileNumber(1), HostileEquality()], ids=lambda v: type(v).__name__
)
def test_hostile_feedback_and_labels_raise_nothing(client: phospho.Client, value: Any) -> None:
    client.feedback(value, 1, comment=value)
    client.confirm_event(value, value, comment=value)
    client.feedback("some-task", value)
    client.flag("some-task", value)
    client.flag(value, "success", source=value, notes=value)

    assert not client.flush(5).pending
    stats = client.stats()
    assert stats.logged == 5
    assert stats.logged == stats.sent + sum(stats.dropped.values())


def test_unreadable_object_is_logged_as_its_type(client: phospho.Client, server: Any) -> None:
    class Unreadable:
        @property
        def __class__(self) -> type:  # type: ignore[override]
            raise RuntimeError("not even this")

        def __str__(self) -> str:
            raise RuntimeError("nor this")

    client.log(Unreadable(), [Unreadable()], metadata=Unreadable(), more={"a": Unreadable(), "b": 1})

    assert client.flush(5).is_complete
    sent = only_log(server)
    assert (sent["input"], sent["output"]) == ("<Unreadable>", '["<Unreadable>"]')
    assert (sent["metadata"], sent["more"]) == ({"value": "<Unreadable>"}, {"a": "<Unreadable>", "b": 1})


def test_mappings_that_hide_secrets_are_not_walked(
    client: phospho.Client, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", "secret")
    headers = httpx.Headers({"Authorization": "Bearer secret", "X-Trace": "7"})

    client.log({"headers": headers}, "because", metadata={"headers": headers}, environment=os.environ)
    with phospho.tracer(metadata=headers) as trace:  # type: ignore[arg-type]
        client.log("and?", metadata=trace.metadata)

    assert client.flush(5).is_complete
    first, second = server.logs
    assert "secret" not in str((first, second))
    assert (first["metadata"], first["environment"]) == ({"headers": str(headers)}, "<_Environ>")


def test_changing_returned_content_changes_nothing_sent(make_client: Make, server: Any) -> None:
    client = make_client(tick=60)

    log = client.log([{"role": "user", "content": "why?"}], metadata={"deep": {"list": [1]}}, raw_output={"a": {}})
    log["metadata"]["deep"]["list"].append(object())
    log["raw_input"].clear()
    log["raw_output"]["a"]["b"] = log
    log["input"] = "changed"
    again = client.log("and?", task_id=log["task_id"], metadata={"deep": {"list": [2]}})
    again["metadata"]["deep"].clear()

    assert client.flush(5).is_complete
    sent = only_log(server)
    assert (sent["input"], sent["metadata"], sent["raw_output"]) == ("and?", {"deep": {"list": [2]}}, {"a": {}})


def test_queued_content_is_sent_with_its_changes(make_client: Make, server: Any) -> None:
    client = make_client(tick=60)
    log = client.log("why?", metadata={"deep": {}})

    event = client.log_queue.events[log["task_id"]]
    assert event.content == {name: value for name, value in log.items() if name != "event_id"}
    event.content["metadata"]["deep"]["by"] = "a test"

    assert client.flush(5).is_complete
    assert only_log(server)["metadata"] == {"deep": {"by": "a test"}}


@pytest.mark.parametrize(
    "arguments",
    [
        {"api_key": 7},
        {"project_id": 7},
        {"base_url": b"http://127.0.0.1"},
        {"tick": "0.5"},
        {"tick": float("nan")},
        {"tick": float("inf")},
        {"tick": -1},
        {"request_timeout_s": None},
        {"exit_timeout_s": 10**9},
    ],
    ids=repr,
)
def test_settings_of_wrong_type_raise_config_error(arguments: dict[str, Any]) -> None:
    with pytest.raises(phospho.ConfigError, match=next(iter(arguments))):
        phospho.init(**arguments)


def test_keys_with_one_text_are_told_apart_by_their_types() -> None:
    assert to_jsonable({1: "a", "1": "b"}) == {"1": "a", "1 (str)": "b"}
    assert to_jsonable({"1": "b", 1: "a"}) == {"1": "b", "1 (int)": "a"}


def test_many_keys_with_one_text_are_all_kept() -> None:
    class Key:
        def __str__(self) -> str:
            return "key"

    keys: dict[Any, int] = {"key (Key)": 0, "key (Key) 4": 1}
    keys |= {Key(): number for number in range(2, 20_000)}
    start = time.process_time()

    copied = to_jsonable(keys)

    assert list(copied.values()) == list(range(20_000))
    assert list(copied)[:5] == ["key (Key)", "key (Key) 4", "key", "key (Key) 5", "key (Key) 6"]
    assert time.process_time() - start < 2
