"""`mask`: nothing that it replaces leaves the process, over HTTP, in the spool, or in a client of tests."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import phospho


def test_mask_replaces_texts_before_they_leave_the_process(tmp_path: Path) -> None:
    recorded = phospho.RecordingTransport()
    client = phospho.Client(transport=recorded, mask=["email", re.compile("tiger")], spool_dir=str(tmp_path))
    client.log(input="I am ann@x.org", output="hi tiger", user_id="ann@x.org", metadata={"note": ["ann@x.org"]})
    client.feedback("t1", 0, comment="mail ann@x.org")
    spooled = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    client.close()

    [log] = recorded.logs
    assert (log["input"], log["output"], log["user_id"]) == ("I am <email>", "hi <masked>", "ann@x.org")
    assert "ann@x.org" not in str(log["metadata"])
    assert recorded.feedback[0]["comment"] == "mail <email>"
    assert b"I am <email>" in spooled
    assert b"I am ann" not in spooled


def test_mask_drops_the_text_where_its_function_raises() -> None:
    recorded = phospho.RecordingTransport()
    client = phospho.Client(transport=recorded, mask=lambda text: text[10_000])
    client.log(input="my card is 4111")
    client.close()
    assert recorded.logs[0]["input"] == "<masking failed>"


@pytest.mark.parametrize("rules", ["email", re.compile(r"\S+@\S+"), lambda text: text.replace("ann@x.org", "")])
def test_mask_may_be_a_single_rule(rules: Any) -> None:
    recorded = phospho.RecordingTransport()
    client = phospho.Client(transport=recorded, mask=rules)
    client.log(input="I am ann@x.org")
    client.close()
    assert "ann" not in recorded.logs[0]["input"]


def test_unknown_mask_is_a_config_error() -> None:
    with pytest.raises(phospho.ConfigError, match="mail"):
        phospho.Client(transport=phospho.RecordingTransport(), mask="mail")
