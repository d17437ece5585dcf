"""Each table is covered by retention and by forgetting, or it is written here why not."""

from __future__ import annotations

import json
from pathlib import Path

from phospho_store import retention
from phospho_store.forgetting import forget
from phospho_store.forgetting.deletion import TABLES_OF_DEAD_LETTERS, TABLES_OF_TRACES

TABLES = {name for name in json.loads(Path(__file__).with_name("columns.json").read_text()) if name.endswith("_rows")}

# No row says anything of a user of the app.
NO_USER_DATA = {
    "project_rows": "settings of the project",
    "api_key_rows": "hashes of keys",
    "definition_rows": "the team's descriptions of events",
    "person_rows": "members of the team; `phospho people remove` deletes them",
    "sign_in_rows": "hashes of the team's sign-ins",
    "audit_rows": "the team's changes, by method and path, without a body; 400 days",
    "alert_rows": "the team's alerts; docs/privacy.md names filters with a user id",
    "alert_evaluation_rows": "counts",
    "board_rows": "the team's charts; docs/privacy.md names filters with a user id",
    "saved_query_rows": "the team's SQL; docs/privacy.md names queries with a user id",
    "saved_view_rows": "the team's filters; docs/privacy.md names filters with a user id",
    "webhook_rows": "the team's receivers",
    "backfill_rows": "progress; docs/privacy.md names the id of the task that it has reached",
    "job_member_rows": "processes",
    "job_generation_rows": "processes",
    "rollup_watermark_rows": "times",
    "theme_fact_rows": "ids of themes",
    "theme_edit_rows": "the team's titles of themes",
    "theme_refresh_rows": "the team's requests",
    "theme_run_rows": "progress; docs/privacy.md names the id of the task that it has reached",
    "llm_call_rows": "the account of the LLM budget; docs/privacy.md names the ids of tasks",
    "tombstone_rows": "digests of ids; what makes forgetting last",
    "deletion_rows": "hashes of ids; 31 days",
    "receipt_rows": "ids without texts; 30 days, as docs/privacy.md says",
    "ledger_rows": "counts and ids of missing logs, recomputed after each deletion; 400 days",
}
# What is derived from tasks and holds no row of its own for each.
DERIVED = {
    "classifier_rows": "learnt anew from the labels that are left",
    "student_rows": "learnt anew from the texts that are left",
    "theme_model_rows": "found anew from the texts that are left",
    "theme_rows": "found anew from the texts that are left",
    "rollup_rows": "recomputed for the hours of a deletion",
    "rollup_hour_rows": "recomputed for the hours of a deletion",
}
NOT_FORGOTTEN = {"dead_letter_action_rows": "what the team did with a letter, by an id of ours"}


def test_each_table_expires_with_its_project_or_has_a_reason() -> None:
    """For a new table: add it to `phospho_store.retention`, or to a list above with the reason."""
    expiring = {entry.table for entry in (*retention._EXPIRIES, *retention._ANNOTATIONS)}
    assert not expiring & (NO_USER_DATA.keys() | DERIVED.keys())
    assert TABLES - expiring == NO_USER_DATA.keys() | DERIVED.keys()


def test_each_table_is_forgotten_or_has_a_reason() -> None:
    """For a new table: add it to `phospho_store.forgetting.forget`, or to a list above with the reason."""
    deleted = {*forget._OF_TASKS, *forget._OF_SESSIONS, *TABLES_OF_TRACES, *TABLES_OF_DEAD_LETTERS}
    not_deleted = NO_USER_DATA.keys() | DERIVED.keys() | NOT_FORGOTTEN.keys()
    assert not deleted & not_deleted
    assert TABLES - deleted == not_deleted
