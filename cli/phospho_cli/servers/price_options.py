"""The option that names the table of prices."""

from __future__ import annotations

from pathlib import Path

import click

from phospho_dashboard.analytics.prices import Prices, read_prices


def _read(_context: click.Context, _parameter: click.Parameter, path: Path | None) -> Prices:
    if path is None:
        return Prices()
    try:
        return read_prices(path)
    except (ValueError, OSError) as error:
        raise click.BadParameter(str(error)) from error


prices_option = click.option(
    "--prices",
    envvar="PHOSPHO_PRICES",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    callback=_read,
    help="YAML file of what models cost, for the pages; without it they show tokens only.",
)
