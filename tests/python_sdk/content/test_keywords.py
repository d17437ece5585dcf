"""Keywords of `log` outside its signature: metadata, reserved names and misspelt parameters."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

import phospho

Make = Callable[..., phospho.Client]


@pytest.fixture
def client(server: Any, make_client: Make) -> phospho.Client:
    """A client with the HTTP transport, which encodes the values."""
    return make_client()


def only_log(server: Any) -> dict[str, Any]:
    assert len(server.logs) == 1
    return dict(server.logs[0])


class TestKeywords:
    def test_reserved_keywords_move_into_metadata(self, client: phospho.Client, server: Any) -> None:
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
    def test_client_created_at_sets_time_of_task(self, client: phospho.Client, at: Any) -> None:
        assert client.log("why?", client_created_at=at)["client_created_at"] == 1.7e9

    @pytest.mark.parametrize(
        "at", ["yesterday", True, float("nan"), [1], datetime.min, 10**400], ids=lambda at: repr(at)[:20]
    )
    def test_client_created_at_that_is_no_time_moves_into_metadata(self, client: phospho.Client, at: Any) -> None:
        log = client.log("why?", client_created_at=at)

        assert isinstance(log["client_created_at"], float)
        assert "client_created_at" in log["metadata"]
        assert json.dumps(log["metadata"])

    def test_keywords_replace_extracted_model_and_usage(self, client: phospho.Client) -> None:
        output = {"choices": [{"message": {"content": "x"}}], "model": "found", "usage": {"prompt_tokens": 3}}

        log = client.log("why?", output, model="said", prompt_tokens=5)

        assert (log["model"], log["prompt_tokens"]) == ("said", 5)

    @pytest.mark.parametrize(
        ("typed", "meant"),
        [("sesion_id", "session_id"), ("ouput", "output"), ("usre_id", "user_id"), ("metadataa", "metadata")],
    )
    def test_misspelt_keyword_is_metadata_with_one_warning(
        self, client: phospho.Client, caplog: pytest.LogCaptureFixture, typed: str, meant: str
    ) -> None:
        with caplog.at_level(logging.WARNING, logger="phospho"):
            logs = [client.log("why?", **{typed: "x"}) for _ in range(10)]

        assert logs[0][typed] == "x"
        assert [record.getMessage() for record in caplog.records] == [
            f"phospho: log() has no {typed!r}; did you mean {meant!r}? It is logged as metadata."
        ]

    @pytest.mark.parametrize("keyword", ["inputs", "outputs", "user_ids", "user_ip", "tags", "latency_ms", "model"])
    def test_correct_keyword_gets_no_warning(
        self, client: phospho.Client, caplog: pytest.LogCaptureFixture, keyword: str
    ) -> None:
        client.log("why?", **{keyword: "x"})

        assert caplog.records == []

    def test_misspelt_function_of_wrap_is_used(self, server: Any) -> None:
        phospho.init(base_url=server.url, tick=0.01)

        @phospho.wrap(output_to_str_fucntion=lambda value: value["text"])
        def answer(question: str) -> dict[str, str]:
            return {"text": "because"}

        answer("why?")

        assert phospho.flush(5).is_complete
        assert only_log(server)["output"] == "because"
