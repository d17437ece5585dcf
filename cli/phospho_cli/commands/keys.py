"""`phospho keys`: a project's API keys, with which clients log and read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from urllib.parse import quote

import click

from phospho_cli.client.http import Client, connected
from phospho_cli.client.output import print_table
from phospho_schemas.times import utc_now

_PATH = "/api/v1/keys"


@click.group("keys")
def keys() -> None:
    """
    Create, list and revoke a project's API keys.

    \b
    Examples:
      phospho keys create --name staging
      phospho keys create --scope ingest --expires-in-days 90
      export PHOSPHO_API_KEY=$(phospho keys create)
      phospho keys rotate key_0123456789abcdef
      phospho keys revoke key_0123456789abcdef
    """


@keys.command("create")
@click.option("--name", default="", help="Purpose of the key, for the list.")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(["ingest", "read", "admin"]),
    multiple=True,
    default=["admin"],
    show_default=True,
    help="What the key may do: log, read, or everything in the project. Repeat it for several.",
)
@click.option("--expires-in-days", type=click.IntRange(1, 3650), help="Days until the key expires; by default never.")
@connected
def create(client: Client, name: str, scopes: Sequence[str], expires_in_days: int | None) -> None:
    """Create a key and print it. It is shown only once: the server stores its hash."""
    content: dict[str, object] = {"name": name, "scopes": list(scopes)}
    if expires_in_days is not None:
        content["expires_at"] = (utc_now() + timedelta(days=expires_in_days)).isoformat()
    # A second request would make a second key, and the first would be lost.
    key = client.post(_PATH, content, is_repeatable=False)
    click.echo(f"{key['key_id']} of project {key['project_id']}. Keep the key: it is shown only once.", err=True)
    click.echo(key["api_key"])


@keys.command("list")
@connected
def list_keys(client: Client) -> None:
    """List the project's keys by their first characters, with revoked ones."""
    columns = ("key_id", "prefix", "name", "scopes", "created_at", "expires_at", "revoked_at")
    print_table(columns, client.get(_PATH)["keys"])


@keys.command("rotate")
@click.argument("key_id")
@click.option(
    "--grace-hours", type=click.IntRange(0, 2160), default=24, show_default=True, help="Hours the old key still works."
)
@connected
def rotate(client: Client, key_id: str, grace_hours: int) -> None:
    """Replace the key KEY_ID by a new one with the same name and scopes, and print that."""
    path = f"{_PATH}/{quote(key_id, safe='')}/rotate"
    key = client.post(path, {"grace_hours": grace_hours}, is_repeatable=False)
    click.echo(f"{key['key_id']} replaces {key_id}, which works for {grace_hours} h more.", err=True)
    click.echo(key["api_key"])


@keys.command("revoke")
@click.argument("key_id")
@connected
def revoke(client: Client, key_id: str) -> None:
    """Revoke the key KEY_ID. It stops working within seconds. Safe to repeat."""
    client.delete(f"{_PATH}/{quote(key_id, safe='')}")
    click.echo(f"{key_id} was revoked.")
