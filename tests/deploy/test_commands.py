"""Every command of the compose file and of the Dockerfile is one that `phospho` has, with these options."""

from __future__ import annotations

import json
import re
from typing import Any

import click
import pytest

from phospho_cli import main

Compose = dict[str, Any]
Stages = dict[str, dict[str, list[str]]]


def check_command(arguments: list[str]) -> None:
    """Parse as the program would, without running it. Raises click.UsageError for what it does not know."""
    command: click.Command = main
    context = click.Context(command, info_name="phospho")
    while isinstance(command, click.Group):
        name, found, arguments = command.resolve_command(context, arguments)
        assert found is not None
        command, context = found, click.Context(found, info_name=name, parent=context)
    command.make_context(context.info_name, arguments, parent=context.parent)


def phospho_commands(words: list[str]) -> list[list[str]]:
    """The arguments of each `phospho` in a command, which may be a shell's with several of them."""
    if words[:2] == ["sh", "-c"]:
        return [phospho_commands(part.split())[0] for part in re.split(r"\s*&&\s*", words[2])]
    assert words[0] == "phospho"
    return [words[1:]]


def test_every_command_of_the_compose_file_exists(compose: Compose) -> None:
    ours = [service["command"] for service in compose["services"].values() if "build" in service]
    commands = [arguments for words in ours for arguments in phospho_commands(words)]
    assert ["migrate"] in commands
    assert ["topics", "create"] in commands
    for arguments in commands:
        check_command(arguments)


@pytest.mark.parametrize("process", ["gateway", "extraction", "detection", "sink", "dashboard"])
def test_every_command_of_the_dockerfile_exists(stages: Stages, process: str) -> None:
    [arguments] = phospho_commands(json.loads(stages[process]["CMD"][0]))
    check_command(arguments)


@pytest.mark.parametrize("arguments", [["nonsense"], ["topics", "nonsense"], ["gateway", "--nonsense"]])
def test_the_check_itself_refuses_what_does_not_exist(arguments: list[str]) -> None:
    with pytest.raises(click.UsageError):
        check_command(arguments)
