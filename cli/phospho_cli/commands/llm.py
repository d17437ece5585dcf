"""`phospho llm`: calls, tokens and money of LLM judgements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import click

from phospho_cli.client.http import Client, connected
from phospho_cli.client.output import print_table

_COLUMNS = (
    *("day", "model", "calls", "answered", "no_answer", "refused", "failed"),
    *("definitions", "tokens_in", "tokens_out", "usd"),
)


@click.group("llm")
def llm() -> None:
    """
    Show what LLM judgements cost.

    \b
    Examples:
      phospho llm usage
      phospho llm usage --days 30
    """


@llm.command("usage")
@click.option("--days", type=click.IntRange(1, 366), default=7, show_default=True, help="How far back, in days (UTC).")
@connected
def usage(client: Client, days: int) -> None:
    """
    Show the calls, tokens and money of each day, and today's budget.

    Also shows why calls fail, until when the server is not asked, and which judgements train no classifier.
    """
    answer = client.get(f"/api/v1/llm-usage?days={days}")
    print_table(_COLUMNS, answer["days"])
    click.echo(_budget_line(answer["budget"], answer["used_today"]), err=True)
    for line in (*_call_problems(answer.get("last_call")), *_unused_judgements(answer.get("judged", []))):
        click.echo(line, err=True)


def _call_problems(last_call: Mapping[str, Any] | None) -> Iterator[str]:
    if not last_call or not last_call["reason"]:
        return
    yield f"The latest call ({last_call['at']}, {last_call['model']}) brought no judgement: {last_call['reason']}."
    if last_call["left_alone_until"]:
        yield f"The server is not asked until {last_call['left_alone_until']}."


def _unused_judgements(judged: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for definition in judged:
        if definition["distrust_reason"]:
            model, name, reason = definition["model"], definition["name"], definition["distrust_reason"]
            yield f"No classifier learns from the judgements of {model} on {name}: {reason}."


def _budget_line(budget: Mapping[str, Any], used: Mapping[str, Any]) -> str:
    if not budget["llm_daily_tokens"]:
        return "The project asks no LLM: its llm_daily_tokens is 0."
    tokens = f"Today: {used['tokens']:,} of {budget['llm_daily_tokens']:,} tokens"
    if not budget["llm_daily_usd"]:
        return f"{tokens}, ${used['usd']:.4f}."
    return f"{tokens}, ${used['usd']:.4f} of ${budget['llm_daily_usd']:.2f}."
