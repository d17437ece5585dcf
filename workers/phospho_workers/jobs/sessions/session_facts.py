"""All reads and writes of sessions, on one store."""

from __future__ import annotations

from phospho_store.store import Store
from phospho_workers.jobs.sessions.arrivals import Arrivals
from phospho_workers.jobs.sessions.session_analyses import SessionAnalyses
from phospho_workers.jobs.sessions.session_states import SessionStates
from phospho_workers.jobs.sessions.session_tasks import SessionTasks
from phospho_workers.jobs.sessions.turns import TurnReader


class SessionFacts:
    """
    What session jobs, backfills and training read of sessions, and where findings are stored.

    `arrivals` has the times of new tasks, `tasks` their texts, `states` the sessions that may be over, `turns` the
    turns to read, and `analyses` the findings.
    """

    def __init__(self, store: Store) -> None:
        self.arrivals = Arrivals(store)
        self.tasks = SessionTasks(store)
        self.states = SessionStates(store)
        self.turns = TurnReader(store)
        self.analyses = SessionAnalyses(store)
