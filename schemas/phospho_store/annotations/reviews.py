"""Reviews: what each person labelled of a definition's queue, and the tasks that each has in hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from phospho_schemas.rows.annotations import Label, Review
from phospho_schemas.times import utc_now
from phospho_store.repository import Repository

# The newest ones: the progress of a queue with more counts these alone.
MAX_REVIEWS = 20_000


class ReviewRepository(Repository):
    """Reviews. A person has one of each task, and the last write wins."""

    def record(self, labels: Sequence[Label]) -> None:
        """Store what these labels say as their authors' reviews; an empty label takes its author's back."""
        reviews = [
            Review(
                project_id=label.project_id,
                event_name=label.event_name,
                task_id=label.task_id,
                created_by=label.created_by,
                label=label.label,
                held_until=label.created_at,
                created_at=label.created_at,
            )
            for label in labels
        ]
        self._store_all(reviews)

    def hold(self, project_id: str, event_name: str, task_ids: Sequence[str], *, author: str, until: datetime) -> None:
        """Put tasks into a person's hand until a time; one that is past puts them back."""
        reviews = [
            Review(
                project_id=project_id,
                event_name=event_name,
                task_id=task_id,
                created_by=author,
                label="",
                held_until=until,
                created_at=utc_now(),
            )
            for task_id in task_ids
        ]
        self._store_all(reviews)

    def of_event(self, project_id: str, event_name: str) -> list[Review]:
        """Return the reviews of a definition in the order of their writing, the newest MAX_REVIEWS."""
        rest = (
            "WHERE project_id = {project:String} AND event_name = {event:String}"
            " ORDER BY revision DESC, created_by DESC LIMIT {limit:UInt32}"
        )
        newest = self._read(Review, "review_rows", rest, project=project_id, event=event_name, limit=MAX_REVIEWS)
        return newest[::-1]

    def _store_all(self, reviews: Sequence[Review]) -> None:
        self._save("review_rows", reviews, self._greatest_revision("review_rows"))
