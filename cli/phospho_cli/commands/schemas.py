"""`phospho schemas`: the generated files, written from models and settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from phospho_cli.client.failures import Failure
from phospho_cli.settings_page import SETTINGS_PAGE, settings_page
from phospho_schemas.generate import SCHEMA_FOLDER, generated_files


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; fail if a file is out of date.")
@click.option(
    "--root",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=Path(),
    help="Root of the repository; by default the current folder.",
)
def schemas(check: bool, root: Path) -> None:
    """
    Write the JSON Schema of every topic and registry row, docs/asyncapi.json and docs/settings.md.

    For contributors: a change of a model or a setting changes these files in the same commit.
    """
    files = generated_files() | {SETTINGS_PAGE: settings_page()}
    if not (root / SCHEMA_FOLDER).parent.is_dir():
        raise click.UsageError(f"{root} is not the root of the repository: it has no {SCHEMA_FOLDER}.")
    outdated = [name for name, text in files.items() if _content(root / name) != text]
    differing = [*outdated, *_left_over(root, files)]
    if check and differing:
        raise Failure(f"Out of date: {', '.join(differing)}.", "Run `phospho schemas` and commit the files.")
    for name in differing:
        _write(root / name, files.get(name))
        click.echo(f"{'wrote' if name in files else 'removed'} {name}")
    click.echo(f"{len(files)} files are up to date")


def _left_over(root: Path, files: Mapping[str, str]) -> list[str]:
    """Return the schemas of topics and rows that no longer exist."""
    paths = [f"{SCHEMA_FOLDER}/{path.name}" for path in sorted((root / SCHEMA_FOLDER).glob("*.json"))]
    return [name for name in paths if name not in files]


def _content(path: Path) -> str | None:
    return path.read_text("utf-8") if path.is_file() else None


def _write(path: Path, text: str | None) -> None:
    if text is None:
        path.unlink()
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
