"""`phospho people`: people who may sign in to the pages."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote

import click

from phospho_cli.client.http import Client, connected
from phospho_cli.client.output import print_table
from phospho_schemas.people import ROLES

_Command = TypeVar("_Command", bound=Callable[..., Any])

_PATH = "/api/v1/people"


@click.group("people")
def people() -> None:
    """
    Add, list, change and remove people who may sign in. Needs the administrator's key or token.

    A viewer reads, an editor acts on tasks, events and definitions, an admin does everything.

    \b
    Examples:
      phospho people add ada@shop.example --role editor
      pass show phospho/ada | phospho people password ada@shop.example --password-stdin
      phospho people list
    """


def _password_option(command: _Command) -> _Command:
    """Give a command `--password-stdin`: an argument would stay in the shell's history."""
    option = click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
    return option(command)


@people.command("add")
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), default="viewer", show_default=True)
@click.option("--no-password", is_flag=True, help="For a person who signs in through a proxy.")
@_password_option
@connected
def add(client: Client, name: str, role: str, no_password: bool, password_stdin: bool) -> None:
    """Add NAME, an e-mail address or a short name, and prompt for a password."""
    password = "" if no_password else _password(password_stdin)
    person = client.post(_PATH, {"name": name, "role": role, "password": password}, is_repeatable=False)["person"]
    click.echo(f"{person['name']} may sign in, as {person['role']}.")


@people.command("list")
@connected
def list_people(client: Client) -> None:
    """List the people who may sign in."""
    print_table(("name", "role", "has_password", "created_at"), client.get(_PATH)["people"])


@people.command("password")
@click.argument("name")
@_password_option
@connected
def set_password(client: Client, name: str, password_stdin: bool) -> None:
    """Set the password of NAME and sign them out everywhere."""
    client.patch(_person_path(name), {"password": _password(password_stdin)})
    click.echo(f"{name} has a new password and was signed out everywhere.")


@people.command("role")
@click.argument("name")
@click.argument("role", type=click.Choice(ROLES))
@connected
def set_role(client: Client, name: str, role: str) -> None:
    """Make NAME a viewer, an editor or an admin. Takes effect within seconds."""
    client.patch(_person_path(name), {"role": role})
    click.echo(f"{name} is now {role}.")


@people.command("remove")
@click.argument("name")
@connected
def remove(client: Client, name: str) -> None:
    """Remove NAME and sign them out everywhere within seconds."""
    client.delete(_person_path(name))
    click.echo(f"{name} may no longer sign in.")


def _password(is_from_stdin: bool) -> str:
    if is_from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))


def _person_path(name: str) -> str:
    return f"{_PATH}/{quote(name, safe='')}"
