"""The isolation and the limits of users' SQL: what ClickHouse enforces in every statement, behind the guard."""

from __future__ import annotations

from phospho_dashboard.settings import DashboardSettings
from phospho_schemas.ids import is_project_id
from phospho_store.registry.authentication import SECRET_TABLES
from phospho_web.problems import Problem

_TABLES_OF_PROJECTS = (
    "task_rows",
    "analysis_rows",
    "feedback_rows",
    "step_rows",
    "log_part_rows",
    "dead_letter_rows",
    "dead_letter_action_rows",
    "receipt_rows",
    "ledger_rows",
    "definition_rows",
    "label_rows",
    "note_rows",
    "classifier_rows",
    "student_rows",
    "session_analysis_rows",
    "session_close_rows",
    "backfill_rows",
    "judgement_rows",
    "llm_call_rows",
    "theme_model_rows",
    "theme_rows",
    "theme_fact_rows",
    "theme_edit_rows",
    "theme_refresh_rows",
    "theme_run_rows",
)
# No view reads these; the filter stands behind the guard.
_CLOSED_TABLES = (
    "project_rows",
    "alert_rows",
    "alert_evaluation_rows",
    "webhook_rows",
    "webhook_delivery_rows",
    "session_task_rows",
    "deletion_rows",
    "tombstone_rows",
    "audit_rows",
    "saved_query_rows",
    "saved_view_rows",
    "review_rows",
    "board_rows",
    "job_member_rows",
    "job_generation_rows",
    "rollup_rows",
    "rollup_hour_rows",
    "rollup_watermark_rows",
    "schema_migrations",
    *SECRET_TABLES,
)
_BLOCK_ROWS = 8_192


def project_filters(project_id: str, database: str) -> str:
    """
    Return the value of `additional_table_filters` that leaves the rows of one project in every table.

    ClickHouse puts the filter onto the table's own reading, under every view, subquery and join. Nothing is
    escaped: an id that could need it is refused with Problem 403.
    """
    if not is_project_id(project_id):
        raise Problem(403, "invalid_project", "the id of this project can't be used in SQL")
    filtered = [f"'{database}.{table}': 'project_id = ''{project_id}'''" for table in _TABLES_OF_PROJECTS]
    closed = [f"'{database}.{table}': '0'" for table in _CLOSED_TABLES]
    return "{" + ", ".join(filtered + closed) + "}"


def isolation_settings(project_id: str, database: str, settings: DashboardSettings) -> dict[str, str]:
    """
    Return the settings of one statement.

    Without `readonly`: the embedded engine sets them on its handle and restores them after the statement, and
    `readonly` forbids the restoring. The guard lets nothing but a SELECT through.
    """
    return {
        "additional_table_filters": project_filters(project_id, database),
        # It remembers which granules a condition matched, without the filter: another project's answer.
        "use_query_condition_cache": "0",
        "max_execution_time": str(settings.sql_timeout_s),
        "timeout_overflow_mode": "throw",
        # The time is looked at between blocks; smaller ones are gone through sooner.
        "max_block_size": str(_BLOCK_ROWS),
        "max_memory_usage": str(settings.sql_max_memory_bytes),
        "max_result_rows": str(settings.sql_max_result_rows),
        "max_result_bytes": str(settings.sql_max_result_bytes),
        "result_overflow_mode": "throw",
        # The number of rows read is that of all projects.
        "output_format_write_statistics": "0",
        "output_format_json_quote_64bit_integers": "0",
        "output_format_json_validate_utf8": "1",
        "output_format_pretty_color": "0",
    }
