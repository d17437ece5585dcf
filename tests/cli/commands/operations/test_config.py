"""`phospho config`: what is set and where from, without secrets, and what can't be used."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from phospho_cli import main


def shown(monkeypatch: pytest.MonkeyPatch, *arguments: str, **environment: str) -> Result:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return CliRunner().invoke(main, ["config", *arguments])


def test_config_shows_values_with_their_sources_and_no_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("ph_hush")

    result = shown(
        monkeypatch,
        PHOSPHO_KAFKA="kafka:9092",
        PHOSPHO_KAFKA_SASL_USERNAME="gateway",
        PHOSPHO_KAFKA_SASL_PASSWORD="hush",
        PHOSPHO_ADMIN_KEY_FILE=str(tmp_path / "key"),
        PHOSPHO_CLICKHOUSE="http://me:hush@clickhouse:8123",
    )

    assert result.exit_code == 0
    assert "hush" not in result.output
    for line in (
        "PHOSPHO_KAFKA = kafka:9092  (environment)",
        "PHOSPHO_KAFKA_SASL_USERNAME = gateway  (environment)",
        "PHOSPHO_KAFKA_SASL_PASSWORD = ***  (environment)",
        "PHOSPHO_CLICKHOUSE = ***  (environment)",
        "PHOSPHO_ADMIN_KEY = ***  (file named by PHOSPHO_ADMIN_KEY_FILE)",
    ):
        assert line in result.output.splitlines()


def test_config_of_a_command_shows_its_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(monkeypatch, "worker", "--all").output.splitlines()
    assert "PHOSPHO_LOG_FORMAT = text  (default)" in lines
    assert not any(line.startswith("PHOSPHO_GATEWAY_") for line in lines)


def test_config_names_variables_that_can_not_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    result = shown(monkeypatch, PHOSPHO_LOG_LEVEL="loud", PHOSPHO_CLIKHOUSE="http://a")
    assert result.exit_code == 2
    assert "PHOSPHO_LOG_LEVEL='loud' can't be used: it must be" in result.output
    assert "PHOSPHO_CLIKHOUSE is not a setting and is ignored. Did you mean PHOSPHO_CLICKHOUSE?" in result.output
