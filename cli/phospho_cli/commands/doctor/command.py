"""The command `phospho doctor`: one line for each dependency of a deployment."""

from __future__ import annotations

import logging

import click
import orjson

from phospho_cli.commands.doctor.clickhouse import check_clickhouse
from phospho_cli.commands.doctor.findings import ALL_PROCESSES, RIGHTS
from phospho_cli.commands.doctor.kafka import check_kafka
from phospho_cli.commands.doctor.machine import check_machine
from phospho_cli.options import settings_options
from phospho_cli.processes.settings import DoctorSettings


@click.command()
@settings_options(DoctorSettings)
@click.option(
    "--process",
    type=click.Choice([ALL_PROCESSES, *RIGHTS]),
    default=ALL_PROCESSES,
    show_default=True,
    help="The process whose rights this user needs.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of findings.")
def doctor(settings: DoctorSettings, process: str, as_json: bool) -> None:
    """
    Check Kafka, ClickHouse and this machine: one line each, what is wrong and what to do.

    Exits with 1 if anything is wrong. It writes nothing to Kafka or ClickHouse.
    """
    # Its warnings would stand between the lines, which say the same.
    logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())
    findings = []
    for checks in (
        check_kafka(settings.kafka, process),
        check_clickhouse(settings.clickhouse, process),
        check_machine(),
    ):
        for finding in checks:
            findings.append(finding)
            if not as_json:
                click.echo(finding.line)
    if as_json:
        click.echo(orjson.dumps([finding.fields() for finding in findings], option=orjson.OPT_INDENT_2).decode())
    if any(finding.advice for finding in findings):
        raise click.exceptions.Exit(1)
