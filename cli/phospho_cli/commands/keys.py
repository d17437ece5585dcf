"""`phospho keys`: who may log to a project and read it."""

from __future__ import annotations

from urllib.parse import quote

import click

from phospho_cli.client.http import Client
from phospho_cli.client.options import connected
from phospho_cli.client.tables import print_table

_PATH = "/api/v1/keys"


@click.group("keys")
def keys() -> None:
    """
    Create, list and revoke a project's API keys.

    \b
    Examples:
      phospho keys create --name staging
      export PHOSPHO_API_KEY=$(phospho keys create)
      phospho keys revoke key_0123456789abcdef
    """


@keys.command("create")
@click.option("--name", default="", help="What the key is for.")
@connected
def create(client: Client, name: str) -> None:
    """Create a key and print it. It is shown this once: only its hash is stored."""
    # Twice would be two keys, and the first of them lost.
    key = client.post(_PATH, {"name": name}, is_repeatable=False)
    click.echo(f"{key['key_id']} of project {key['project_id']}. Keep the key: it is not shown again.", err=True)
    click.echo(key["api_key"])


@keys.command("list")
@connected
def list_keys(client: Client) -> None:
    """List the project's keys by their first characters, revoked ones included."""
    columns = ("key_id", "prefix", "name", "created_at", "revoked_at")
    print_table(columns, client.get(_PATH)["keys"])


@keys.command("revoke")
@click.argument("key_id")
@connected
def revoke(client: Client, key_id: str) -> None:
    """Revoke the key KEY_ID. It stops working within seconds; to revoke it twice changes nothing."""
    client.delete(f"{_PATH}/{quote(key_id, safe='')}")
    click.echo(f"{key_id} is revoked.")
