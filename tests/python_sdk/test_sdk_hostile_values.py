"""Values that turn on whoever reads them, and callers who change what they were given."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import Any

import pytest

import phospho

Make = Callable[..., phospho.Client]


def _fail(*arguments: Any, **keywords: Any) -> Any:
    raise RuntimeError("not me")


class HostileText(str):
    """A string whose own methods all raise."""

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
    """A client of the HTTP transport, whose encoding a hostile value meets last."""
    return make_client()


def only_log(server: Any) -> dict[str, Any]:
    assert len(server.logs) == 1
    return dict(server.logs[0])


def test_text_whose_methods_raise_is_taken_for_its_characters(client: phospho.Client, server: Any) -> None:
    text = HostileText("plain")

    log = client.log(text, text, metadata={"a": [text]}, user_id=text, session_id=text, task_id=text, more=text)

    assert client.flush(5).sent == ("plain",)
    sent = only_log(server)
    assert (sent["input"], sent["output"], sent["more"], sent["metadata"]) == ("plain",) * 3 + ({"a": ["plain"]},)
    assert (sent["user_id"], sent["session_id"], sent["task_id"]) == ("plain",) * 3
    assert {type(log[name]) for name in ("input", "output", "task_id", "session_id", "more")} == {str}
    assert client.stats().errors == {}


def test_hostile_text_inside_messages_chunks_and_functions(client: phospho.Client, server: Any) -> None:
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
def test_hostile_verdicts_raise_nothing(client: phospho.Client, value: Any) -> None:
    client.feedback(value, 1, comment=value)
    client.confirm_event(value, value, comment=value)
    client.feedback("some-task", value)
    client.flag("some-task", value)
    client.flag(value, "success", source=value, notes=value)

    assert not client.flush(5).pending
    stats = client.stats()
    assert stats.logged == 5
    assert stats.logged == stats.sent + sum(stats.dropped.values())


def test_what_can_not_be_read_at_all_leaves_its_name(client: phospho.Client, server: Any) -> None:
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


def test_changing_what_log_returned_changes_nothing_that_is_sent(make_client: Make, server: Any) -> None:
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


def test_the_content_in_the_queue_is_what_will_be_sent(make_client: Make, server: Any) -> None:
    client = make_client(tick=60)
    log = client.log("why?", metadata={"deep": {}})

    event = client.log_queue.events[log["task_id"]]
    assert event.content == {name: value for name, value in log.items() if name != "event_id"}
    event.content["metadata"]["deep"]["by"] = "a test"

    assert client.flush(5).is_complete
    assert only_log(server)["metadata"] == {"deep": {"by": "a test"}}


class TestKeywords:
    def test_names_that_the_wire_keeps_for_itself_are_metadata(self, client: phospho.Client, server: Any) -> None:
        reserved = {"kind": "faq", "source": "web", "revision": "v3", "project_id": "other", "received_at": 1}
        names = {"raw_input_type_name": "mine", "raw_output_type_name": "mine", "event_id": "e", "schema_version": 9}

        log = client.log("why?", metadata={"kind": "the app's"}, **reserved, **names)

        assert client.flush(5).is_complete
        sent = only_log(server)
        assert sent["metadata"] == {**reserved, **names, "kind": "the app's"}
        assert (sent["raw_input_type_name"], sent["raw_output_type_name"]) == ("str", "NoneType")
        assert log["event_id"] == log["task_id"]
        assert not {"kind", "source", "revision", "project_id"} & sent.keys()

    @pytest.mark.parametrize(
        "at", [1.7e9, 1_700_000_000, datetime.fromtimestamp(1.7e9, tz=timezone(timedelta(hours=2)))], ids=repr
    )
    def test_a_log_may_say_when_it_was(self, client: phospho.Client, at: Any) -> None:
        assert client.log("why?", client_created_at=at)["client_created_at"] == 1.7e9

    @pytest.mark.parametrize(
        "at", ["yesterday", True, float("nan"), [1], datetime.min, 10**400], ids=lambda at: repr(at)[:20]
    )
    def test_what_is_no_time_is_metadata(self, client: phospho.Client, at: Any) -> None:
        log = client.log("why?", client_created_at=at)

        assert isinstance(log["client_created_at"], float)
        assert "client_created_at" in log["metadata"]
        assert json.dumps(log["metadata"])

    def test_what_was_extracted_gives_way_to_what_was_said(self, client: phospho.Client) -> None:
        output = {"choices": [{"message": {"content": "x"}}], "model": "found", "usage": {"prompt_tokens": 3}}

        log = client.log("why?", output, model="said", prompt_tokens=5)

        assert (log["model"], log["prompt_tokens"]) == ("said", 5)

    @pytest.mark.parametrize(
        ("typed", "meant"),
        [("sesion_id", "session_id"), ("ouput", "output"), ("usre_id", "user_id"), ("metadataa", "metadata")],
    )
    def test_a_misspelt_keyword_is_metadata_and_said_once(
        self, client: phospho.Client, caplog: pytest.LogCaptureFixture, typed: str, meant: str
    ) -> None:
        with caplog.at_level(logging.WARNING, logger="phospho"):
            logs = [client.log("why?", **{typed: "x"}) for _ in range(10)]

        assert logs[0][typed] == "x"
        assert [record.getMessage() for record in caplog.records] == [
            f"phospho: log() has no {typed!r}; did you mean {meant!r}? It is logged as metadata."
        ]

    @pytest.mark.parametrize("keyword", ["inputs", "outputs", "user_ids", "user_ip", "tags", "latency_ms", "model"])
    def test_a_keyword_that_means_itself_gets_no_hint(
        self, client: phospho.Client, caplog: pytest.LogCaptureFixture, keyword: str
    ) -> None:
        client.log("why?", **{keyword: "x"})

        assert caplog.records == []

    def test_a_misspelt_function_of_wrap_is_taken_too(self, server: Any) -> None:
        phospho.init(base_url=server.url, tick=0.01)

        @phospho.wrap(output_to_str_fucntion=lambda value: value["text"])
        def answer(question: str) -> dict[str, str]:
            return {"text": "because"}

        answer("why?")

        assert phospho.flush(5).is_complete
        assert only_log(server)["output"] == "because"


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
def test_settings_of_the_wrong_kind_are_refused_at_once(arguments: dict[str, Any]) -> None:
    with pytest.raises(phospho.ConfigError, match=next(iter(arguments))):
        phospho.init(**arguments)
