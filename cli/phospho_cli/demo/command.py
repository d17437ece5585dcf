"""`phospho demo`: the past of an imaginary app, then live traffic at a steady rate."""

from __future__ import annotations

import heapq
import itertools
import math
import re
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote

import click

from phospho_cli.client.failures import Failure
from phospho_cli.client.http import LONG_RUNNING, Client, connected
from phospho_cli.demo.conversations import DemoTask, Feedback
from phospho_cli.demo.script import DEFINITIONS
from phospho_cli.demo.traffic import DemoTraffic

_MAX_BATCH_EVENTS = 500
# Tasks due within a tick go out in one request.
_TICK_S = 0.25
# After an outage of the server, missed tasks are not sent.
_MAX_LAG_S = 5.0
_REPORT_INTERVAL_S = 5.0
_HISTORY = re.compile(r"(\d{1,3})d?")
_MAX_DAYS = 400


def _days(_: click.Context, __: click.Parameter, text: str) -> int:
    match = _HISTORY.fullmatch(text.strip())
    if match is None or int(match[1]) > _MAX_DAYS:
        raise click.BadParameter(f"{text!r} is not a number of days up to {_MAX_DAYS}, such as 30d. 0 writes no past.")
    return int(match[1])


@click.command("demo")
@click.option(
    "--history",
    "days",
    default="30d",
    show_default=True,
    callback=_days,
    metavar="DAYS",
    help="Write the past of so many days first. 0 writes none.",
)
@click.option("--rate", type=click.FloatRange(0.01, 5000), default=5.0, show_default=True, help="Tasks a second.")
@click.option("--duration", type=click.FloatRange(0), metavar="SECONDS", help="Stop after this time.")
@click.option("--tasks", type=click.IntRange(1), help="Stop after this many tasks.")
@click.option("--seed", type=click.IntRange(0), help="The same seed gives the same conversations.")
@connected
def demo(client: Client, days: int, rate: float, duration: float | None, tasks: int | None, seed: int | None) -> None:
    """
    Log generated conversations with the support assistant of a travel site: a past of 30 days, then live traffic.

    A project without event definitions gets five first. Runs until Ctrl-C. Run it in a project of its own: generated
    tasks mix with real ones.

    \b
    Examples:
      phospho demo
      phospho demo --history 90d --rate 20
      phospho demo --history 0 --rate 50 --duration 60
    """
    _apply_definitions(client)
    if days:
        _write_history(client, days)
    traffic = itertools.takewhile(
        lambda task: duration is None or task.at_s <= duration,
        DemoTraffic(secrets.randbits(32) if seed is None else seed, rate),
    )
    with client.with_retries(LONG_RUNNING) as patient_client:
        player = _Player(patient_client)
        click.echo("Now live. Ctrl-C stops it.", err=True)
        try:
            player.play(itertools.islice(traffic, tasks))
        except KeyboardInterrupt:
            click.echo("Stopped.", err=True)
        finally:
            click.echo(player.summary())


def _apply_definitions(client: Client) -> None:
    if client.get("/api/v1/definitions")["definitions"]:
        return
    body = {"definitions": list(DEFINITIONS)}
    results = client.post("/api/v1/definitions", body, results_in=frozenset({422}))["results"]
    if rejected := [result["name"] for result in results if result["status"] == "rejected"]:
        raise Failure(f"The server rejected the demo's definitions {', '.join(rejected)}.")
    click.echo(f"The project had no event definitions; applied {', '.join(result['name'] for result in results)}.")


def _write_history(client: Client, days: int) -> None:
    click.echo(f"Writing {days} days of tasks …", err=True)
    started_s = time.monotonic()
    counts = client.post("/api/v1/sample-data", {"days": days})
    click.echo(
        f"{counts['tasks']:,} tasks in {counts['sessions']:,} sessions, {counts['feedback']:,} with feedback,"
        f" over {days} days, written in {time.monotonic() - started_s:.1f} s."
    )
    click.echo(f"Pages: {client.address.base_url}/")


class _Pace:
    """The demo's clock: seconds since its start, without the time that it lost by falling behind."""

    def __init__(self) -> None:
        self._origin_s = time.monotonic()

    def now_s(self) -> float:
        """Return the seconds since the start."""
        return time.monotonic() - self._origin_s

    def wait_for(self, at_s: float) -> None:
        """Block until `at_s`. A moment that is long past becomes nearly now: the clock is set back."""
        self._origin_s = max(self._origin_s, time.monotonic() - at_s - _MAX_LAG_S)
        if at_s > self.now_s():
            time.sleep(max(at_s - self.now_s(), _TICK_S))


def _due(traffic: Iterator[DemoTask], pace: _Pace) -> Iterator[list[DemoTask]]:
    """Yield the tasks that are due, in batches. Blocks between them."""
    batch: list[DemoTask] = []
    for task in traffic:
        if batch and (task.at_s > pace.now_s() or len(batch) >= _MAX_BATCH_EVENTS):
            yield batch
            batch = []
        pace.wait_for(task.at_s)
        batch.append(task)
    if batch:
        yield batch


@dataclass
class _Player:
    """Sends tasks and feedback when they are due, and counts them."""

    client: Client
    tasks: int = 0
    sessions: int = 0
    feedback: int = 0
    started_s: float = field(default_factory=time.monotonic)
    _feedback: list[tuple[float, str, Feedback]] = field(default_factory=list)

    def play(self, traffic: Iterator[DemoTask]) -> None:
        """Send `traffic` at its own pace. Blocks until its end; the remaining feedback is then sent at once."""
        pace = _Pace()
        reported_s = 0.0
        for batch in _due(traffic, pace):
            self._log(batch)
            self._give_feedback(pace.now_s())
            if pace.now_s() - reported_s >= _REPORT_INTERVAL_S:
                reported_s = pace.now_s()
                click.echo(self.summary())
        self._give_feedback(math.inf)

    def summary(self) -> str:
        """Return a line with the counts so far."""
        rate = self.tasks / max(time.monotonic() - self.started_s, 1e-3)
        return f"{self.tasks:,} tasks in {self.sessions:,} sessions, {self.feedback:,} with feedback ({rate:.1f}/s)"

    def _give_feedback(self, until_s: float) -> None:
        while self._feedback and self._feedback[0][0] <= until_s:
            _, task_id, feedback = heapq.heappop(self._feedback)
            self.client.post(f"/api/v1/events/{quote(task_id, safe='')}/feedback", feedback.body)
            self.feedback += 1

    def _log(self, tasks: list[DemoTask]) -> None:
        now_s = time.time()
        events = [task.event | {"client_created_at": now_s - (tasks[-1].at_s - task.at_s)} for task in tasks]
        answer = self.client.post("/api/v1/events/batch", {"events": events})
        if answer["rejected"]:
            first = next(result["error"] for result in answer["results"] if result["status"] == "rejected")
            raise Failure(f"The server rejected {answer['rejected']} tasks: {first['message']}", first.get("hint", ""))
        self.tasks += len(tasks)
        self.sessions += sum(task.is_first for task in tasks)
        for task in tasks:
            if task.feedback is not None:
                heapq.heappush(self._feedback, (task.feedback.at_s, task.feedback.task_id, task.feedback))
