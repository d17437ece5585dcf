"""A definition's label queue that several people share: who has which task in hand, progress and agreement."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from phospho_dashboard.services import Services
from phospho_schemas.rows.annotations import Review
from phospho_schemas.times import utc_now
from phospho_store.annotations.agreement import fleiss_kappa
from phospho_store.annotations.reviews import ReviewRepository
from phospho_web.problems import Problem

QUEUED_TASKS = 20
# The latest 1,000 tasks have candidates for so many people at once.
_MAX_CANDIDATES = 200
LEASE = timedelta(minutes=30)
MOST_PEOPLE = 3
_LISTED = 50

# Return the ids of so many tasks to label next, the best first.
Candidates = Callable[[int], Sequence[str]]
_ByTask = dict[str, list[Review]]


def people_asked(text: str) -> int:
    """Return the number of people that each task is asked of. Raises Problem 400 for what can't be one."""
    if text in ("", *map(str, range(1, MOST_PEOPLE + 1))):
        return int(text or 1)
    raise Problem(400, "invalid_people", f"'people' is a number from 1 to {MOST_PEOPLE}")


class ReviewQueue:
    """Hand out tasks to label. Blocking; raises what the store raises."""

    def __init__(self, services: Services) -> None:
        self._reviews = ReviewRepository(services.store, services.clock)

    def tasks(self, project_id: str, event: str, author: str, *, people: int, candidates: Candidates) -> list[str]:
        """Return the ids of the tasks that `author` would be handed out next; nothing is stored."""
        by_task = _by_task(self._reviews.of_event(project_id, event))
        return _queue(by_task, author, people, candidates)

    def take(self, project_id: str, event: str, author: str, *, people: int, candidates: Candidates) -> list[str]:
        """
        Put up to QUEUED_TASKS tasks into the hand of `author` for LEASE, and return their ids.

        Of two people who take the same task at once, it is given to those who wrote first, up to `people`.
        """
        by_task = _by_task(self._reviews.of_event(project_id, event))
        task_ids = _queue(by_task, author, people, candidates)
        now = utc_now()
        fresh = [task for task in task_ids if not _is_held(_review_of(by_task, task, author), now + LEASE / 2)]
        if not fresh:
            return task_ids
        self._reviews.hold(project_id, event, fresh, author=author, until=now + LEASE)
        stored = _by_task(self._reviews.of_event(project_id, event))
        lost = [task for task in fresh if _people_before(stored[task], author, now) >= people]
        self._reviews.hold(project_id, event, lost, author=author, until=now)
        return [task for task in task_ids if task not in lost]

    def progress(self, project_id: str, event: str) -> dict[str, Any]:
        """Return what each person has labelled and has in hand, their agreement, and the tasks that they differ on."""
        by_task = _by_task(self._reviews.of_event(project_id, event))
        labels = {task: [row for row in rows if row.label] for task, rows in by_task.items()}
        compared = [[row.label for row in rows] for rows in labels.values() if len(rows) > 1]
        differing = [task for task, rows in labels.items() if len({row.label for row in rows}) > 1]
        return {
            "reviewers": _reviewers(row for rows in by_task.values() for row in rows),
            "labelled_tasks": sum(bool(rows) for rows in labels.values()),
            "compared_tasks": len(compared),
            "agreement": fleiss_kappa(compared),
            "disagreements": len(differing),
            "disagreeing_tasks": [_disagreement(task, labels[task]) for task in differing[-_LISTED:][::-1]],
        }


def _queue(by_task: _ByTask, author: str, people: int, candidates: Candidates) -> list[str]:
    """Return the tasks in the author's hand, those that wait for another person, and the best of the others."""
    now = utc_now()
    in_use = sum(1 for rows in by_task.values() for row in rows if _is_held(row, now))
    count = min(QUEUED_TASKS + in_use, _MAX_CANDIDATES)
    started = sorted(by_task, key=lambda task: not _is_held(_review_of(by_task, task, author), now))
    ordered = dict.fromkeys((*(task for task in started if _has_use(by_task[task], author, now)), *candidates(count)))
    open_tasks = (task for task in ordered if _is_open(by_task.get(task, []), author, people, now))
    return list(_first_tasks(open_tasks, QUEUED_TASKS))


def _first_tasks(tasks: Iterable[str], count: int) -> Iterator[str]:
    return (task for task, _ in zip(tasks, range(count), strict=False))


def _has_use(reviews: Sequence[Review], author: str, now: datetime) -> bool:
    """Tell whether a task is in the author's hand, or labelled by another person."""
    return any(row.label or (row.created_by == author and _is_held(row, now)) for row in reviews)


def _is_open(reviews: Sequence[Review], author: str, people: int, now: datetime) -> bool:
    others = [row for row in reviews if row.created_by != author and (row.label or _is_held(row, now))]
    return len(others) < people and not any(row.label and row.created_by == author for row in reviews)


def _is_held(review: Review | None, at: datetime) -> bool:
    return review is not None and not review.label and review.held_until.replace(tzinfo=UTC) > at


def _review_of(by_task: _ByTask, task: str, author: str) -> Review | None:
    return next((row for row in by_task.get(task, []) if row.created_by == author), None)


def _people_before(reviews: Sequence[Review], author: str, now: datetime) -> int:
    """Return how many people came to a task before its author did, in the order of their writing."""
    people = [row.created_by for row in reviews if row.label or _is_held(row, now)]
    return people.index(author) if author in people else len(people)


def _by_task(reviews: Iterable[Review]) -> _ByTask:
    by_task: _ByTask = defaultdict(list)
    for review in reviews:
        by_task[review.task_id].append(review)
    return by_task


def _reviewers(reviews: Iterable[Review]) -> list[dict[str, Any]]:
    now = utc_now()
    people: dict[str, dict[str, Any]] = {}
    for row in reviews:
        person = people.setdefault(row.created_by, {"name": row.created_by, "labels": 0, "in_hand": 0})
        person["labels"] += bool(row.label)
        person["in_hand"] += _is_held(row, now)
    return sorted((row for row in people.values() if row["labels"] or row["in_hand"]), key=lambda row: -row["labels"])


def _disagreement(task_id: str, reviews: Sequence[Review]) -> dict[str, Any]:
    return {"task_id": task_id, "labels": [{"name": row.created_by, "label": row.label} for row in reviews]}
