"""`phospho people`: people who may sign in to the pages."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import quote

import click

from phospho_cli.client.http import Client, connected
from phospho_cli.client.output import print_table
from phospho_schemas.rows.people import GIVEN_ROLES, Roles

_Command = TypeVar("_Command", bound=Callable[..., Any])

_PATH = "/api/v1/people"


@click.group("people")
def people() -> None:
    """
    Add, list, change and remove people who may sign in. Needs the administrator's key or token.

    A viewer reads, an editor acts on tasks, events and definitions, an admin does everything. A role holds for all
    projects, but where a role in a project replaces it.

    \b
    Examples:
      phospho people add ada@shop.example --role editor
      phospho people add bob@shop.example --role none --in shop=editor --in lab=viewer
      phospho people role bob@shop.example admin --in shop
      pass show phospho/ada | phospho people password ada@shop.example --password-stdin
      phospho people list
    """


def _password_option(command: _Command) -> _Command:
    """Give a command `--password-stdin`: an argument would stay in the shell's history."""
    option = click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
    return option(command)


@people.command("add")
@click.argument("name")
@click.option("--role", type=click.Choice(GIVEN_ROLES), default="viewer", show_default=True, help="For all projects.")
@click.option("--in", "projects", multiple=True, metavar="PROJECT=ROLE", help="Role in one project; repeatable.")
@click.option("--no-password", is_flag=True, help="For a person who signs in through a proxy.")
@_password_option
@connected
def add(
    client: Client, name: str, role: str, projects: tuple[str, ...], no_password: bool, password_stdin: bool
) -> None:
    """Add NAME, an e-mail address or a short name, and prompt for a password."""
    project_roles = dict(_project_role(text) for text in projects)
    password = "" if no_password else _password(password_stdin)
    fields = {"name": name, "role": role, "project_roles": project_roles, "password": password}
    person = client.post(_PATH, fields, is_repeatable=False)["person"]
    click.echo(f"{person['name']} may sign in, as {_roles(person)}.")


@people.command("list")
@connected
def list_people(client: Client) -> None:
    """List the people who may sign in."""
    people = [person | {"role": _roles(person)} for person in client.get(_PATH)["people"]]
    print_table(("name", "role", "has_password", "created_at"), people)


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
@click.argument("role", type=click.Choice((*GIVEN_ROLES, "default")))
@click.option(
    "--in",
    "project",
    metavar="PROJECT",
    help="Change the role in this project only; with default, it is the one for all projects.",
)
@connected
def set_role(client: Client, name: str, role: str, project: str | None) -> None:
    """Make NAME a viewer, an editor or an admin, or hide projects with none. Takes effect within seconds."""
    change = {"role": role} if project is None else {"project_roles": {project: role}}
    person = client.patch(_person_path(name), change)["person"]
    click.echo(f"{name} is now {_roles(person)}.")


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


def _project_role(text: str) -> tuple[str, str]:
    project_id, _, role = text.partition("=")
    if not role:
        raise click.UsageError(f"--in takes PROJECT=ROLE, not {text!r}.")
    return project_id, role


def _roles(person: Mapping[str, Any]) -> str:
    return str(Roles(person["role"], person.get("project_roles", {})))


def _person_path(name: str) -> str:
    return f"{_PATH}/{quote(name, safe='')}"
