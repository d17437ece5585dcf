"""`phospho themes`: what users talk about, found without definitions."""

from __future__ import annotations

from pathlib import Path

import click

from phospho_cli.client.failures import Failure
from phospho_cli.client.output import print_table

_File = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group("themes")
def themes() -> None:
    """
    See groups of similar tasks, which are found without a definition.

    \b
    Examples:
      phospho themes evaluate --logs logs.jsonl.gz --labels topics.jsonl.gz
    """


@themes.command("evaluate")
@click.option(
    "--logs", type=_File, required=True, help="JSON lines with task_id and input, in the order of their times."
)
@click.option("--labels", type=_File, required=True, help="JSON lines with task_id and topic.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of what is drawn by chance.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def evaluate(logs: Path, labels: Path, seed: int, as_json: bool) -> None:
    """
    Measure how good themes are on labelled logs, with the code that the workers run. Nothing is sent anywhere.

    The themes are found without the topics. `ami` is the adjusted mutual information of themes and topics: 1 where
    they are the same, 0 by chance; tasks without a theme count as one. `stability` is the share of tasks that keep
    their theme while ten windows slide over the logs. For `injection`, a topic is left out and comes back as 2 % of
    the tasks: it should be a new theme.

    \b
    Example:
      phospho themes evaluate --logs logs.jsonl.gz --labels topics.jsonl.gz --json
    """
    from phospho_workers.detection.evaluation.labelled import BadLabels
    from phospho_workers.detection.evaluation.themes import evaluate as evaluated
    from phospho_workers.detection.evaluation.themes import read_topics

    try:
        tasks = read_topics(logs, labels)
    except BadLabels as fault:
        raise Failure(str(fault)) from None
    figures = evaluated(tasks, seed)
    if figures is None:
        raise Failure(f"{logs} has too few tasks with words for themes", "Give at least 50.")
    if as_json:
        import orjson

        click.echo(orjson.dumps(figures, option=orjson.OPT_INDENT_2))
        return
    stability, injection = figures["stability"], figures["injection"]
    rows = [
        ("tasks", figures["tasks"]),
        ("themes", figures["themes"]),
        ("agreement with the topics (AMI)", figures["ami"]),
        ("agreement of assigned tasks (AMI)", figures["ami_of_assigned"]),
        ("share of tasks with a theme", figures["share_assigned"]),
        ("share that keeps its theme, mean and least", f"{stability['mean']}, {stability['least']}"),
        ("left-out topics found as new themes", f"{injection['found']} of {injection['of']}"),
        ("seconds to learn the space, find and assign", ", ".join(map(str, figures["seconds"].values()))),
        ("peak memory in MB", figures["peak_memory_mb"]),
    ]
    print_table(("figure", "value"), [{"figure": name, "value": value} for name, value in rows])
