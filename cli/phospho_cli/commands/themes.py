"""`phospho themes`: what users talk about, found without definitions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from phospho_cli.client.failures import Failure
from phospho_cli.client.http import Client, connected
from phospho_cli.client.output import print_table

_PATH = "/api/v1/themes"
_File = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group("themes")
def themes() -> None:
    """
    See groups of similar tasks, which are found without a definition.

    \b
    Examples:
      phospho themes list
      phospho themes rename theme-1a2b3c4d5e "Order status"
      phospho themes evaluate --logs logs.jsonl.gz --labels topics.jsonl.gz
    """


@themes.command("list")
@click.option("--period", default="30d", show_default=True, help="1h, 24h, 7d, 30d, 90d or all.")
@click.option(
    "--side", type=click.Choice(["input", "output"]), default="input", show_default=True, help="Of the tasks."
)
@connected
def list_themes(client: Client, period: str, side: str) -> None:
    """List the themes of a period, the largest first."""
    content = client.get(f"{_PATH}?period={quote(period)}&side={side}")
    rows = [theme | {"share": f"{theme['share']:.1%}"} for theme in content["themes"]]
    print_table(("theme_id", "title", "tasks", "share", "users", "change", "group_title"), rows)
    if not rows:
        click.echo("No themes yet: they are found within a minute of the 50th task.", err=True)


@themes.command("show")
@click.argument("theme")
@click.option("--period", default="30d", show_default=True, help="1h, 24h, 7d, 30d, 90d or all.")
@connected
def show(client: Client, theme: str, period: str) -> None:
    """Show THEME with its phrases and typical tasks."""
    content = client.get(f"{_theme_path(theme)}?period={quote(period)}")
    row = content["theme"]
    click.echo(f"{row['title']}: {row['tasks']:,} tasks, {row['share']:.1%}, {row['users']:,} users")
    click.echo(f"Phrases: {', '.join(content['phrases'])}")
    print_table(("task_id", "input"), content["examples"])


@themes.command("rename")
@click.argument("theme")
@click.argument("title")
@connected
def rename(client: Client, theme: str, title: str) -> None:
    """Give THEME a title, which stays when themes are found again. An empty one is the automatic title again."""
    client.patch(_theme_path(theme), {"title": title})
    click.echo(f"{theme} is now {title!r}." if title else f"{theme} has its automatic title again.")


@themes.command("merge")
@click.argument("theme")
@click.argument("into", default="")
@connected
def merge(client: Client, theme: str, into: str) -> None:
    """Let the tasks of THEME count for INTO. Without INTO, take the merge back."""
    client.post(f"{_theme_path(theme)}/merge", {"into": into})
    click.echo(f"The tasks of {theme} count for {into or theme}.")


@themes.command("split")
@click.argument("theme")
@connected
def split(client: Client, theme: str) -> None:
    """Cut THEME in two. The larger part keeps the id."""
    client.post(f"{_theme_path(theme)}/split", {})
    click.echo(f"{theme} is split within a minute.")


@themes.command("hide")
@click.argument("theme")
@click.option("--undo", is_flag=True, help="Show it again.")
@connected
def hide(client: Client, theme: str, undo: bool) -> None:
    """Leave THEME out of lists."""
    client.patch(_theme_path(theme), {"is_hidden": not undo})
    click.echo(f"{theme} is {'shown' if undo else 'hidden'}.")


@themes.command("refresh")
@connected
def refresh(client: Client) -> None:
    """Find the themes again. They keep their ids, their titles and your edits."""
    client.post(f"{_PATH}/refresh", {})
    click.echo("Themes are found again within a minute.")


def _theme_path(theme: str) -> str:
    return f"{_PATH}/{quote(theme, safe='')}"


@themes.command("evaluate")
@click.option(
    "--logs", type=_File, required=True, help="JSON lines with task_id and input, in the order of their times."
)
@click.option("--labels", type=_File, required=True, help="JSON lines with task_id and topic.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of what is drawn by chance.")
@click.option("--seeds", type=click.IntRange(1, 10), default=3, show_default=True, help="How many samples to average.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def evaluate(logs: Path, labels: Path, seed: int, seeds: int, as_json: bool) -> None:
    """
    Measure how good themes are on labelled logs, with the code that the workers run. Nothing is sent anywhere.

    The themes are found without the topics. `ami` is the adjusted mutual information of themes and topics: 1 where
    they are the same, 0 by chance; tasks without a theme count as one. `baselines` has that of k-means with the true
    number of topics, and of MiniLM with UMAP and HDBSCAN if umap-learn and hdbscan are installed. `stability` is the
    share of tasks that keep their theme while ten windows slide over the logs. For `injection`, a topic is left out and
    comes back as 2 % of the tasks: it should be a new theme, with a title that has its words.

    \b
    Example:
      phospho themes evaluate --logs logs.jsonl.gz --labels topics.jsonl.gz --json
    """
    from phospho_workers.detection.evaluation.labelled import BadLabels
    from phospho_workers.detection.evaluation.themes import evaluate as evaluated
    from phospho_workers.detection.evaluation.themes import read_topics

    try:
        labelled = read_topics(logs, labels)
    except BadLabels as fault:
        raise Failure(str(fault)) from None
    figures = evaluated(labelled, seed, seeds, progress=partial(click.echo, err=True))
    if figures is None:
        raise Failure(f"{logs} has too few tasks with words for themes", "Give at least 50.")
    if as_json:
        import orjson

        click.echo(orjson.dumps(figures, option=orjson.OPT_INDENT_2))
        return
    rows = [{"figure": name, "value": value} for name, value in _readable(figures)]
    print_table(("figure", "value"), rows)


def _readable(figures: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    stability, injection = figures["stability"], figures["injection"]
    yield "tasks", figures["tasks"]
    yield "themes", figures["themes"]
    yield "agreement with the topics (AMI)", figures["ami"]
    yield "agreement of assigned tasks (AMI)", figures["ami_of_assigned"]
    for name, baseline in figures["baselines"].items():
        yield f"AMI of {name.replace('_', ' ')}", "not measured" if baseline is None else baseline["ami"]
    yield "share of tasks with a theme", figures["share_assigned"]
    yield "share that keeps its theme, mean and least", f"{stability['mean']}, {stability['least']}"
    for name in ("found", "named", "reported", "kept_ids"):
        yield f"new topics: {name.replace('_', ' ')}", f"{injection[name]} of {injection['of']}"
    yield "seconds of a core to learn the space, find, assign", ", ".join(map(str, figures["seconds"].values()))
    yield "microseconds a task in the stream", figures["stream_microseconds_per_task"]
    yield "peak memory in MB", figures["peak_memory_mb"]
