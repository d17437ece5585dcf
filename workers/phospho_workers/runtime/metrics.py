"""Metrics of the workers. All labels are bounded sets."""

from __future__ import annotations

from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
REGISTRY = CollectorRegistry()
_counter, _gauge = partial(Counter, registry=REGISTRY), partial(Gauge, registry=REGISTRY)
_histogram = partial(Histogram, buckets=_SECONDS, registry=REGISTRY)

RECORDS_CONSUMED = _counter("phospho_records_consumed_total", "Records read from Kafka", ["stage", "topic"])
MESSAGES_PRODUCED = _counter(
    "phospho_messages_produced_total", "Messages whose delivery Kafka confirmed", ["stage", "topic"]
)
ROWS_INSERTED = _counter("phospho_rows_inserted_total", "Rows stored in ClickHouse", ["table"])
DEAD_LETTERS = _counter(
    "phospho_dead_letters_total", "Records that a stage or ClickHouse rejected", ["stage", "reason"]
)
COMMITS = _counter("phospho_commits_total", "Commits of offsets, by outcome: ok, lost, failed", ["stage", "outcome"])
REBALANCES = _counter("phospho_rebalances_total", "Rebalances, by kind: assign, revoke, lost", ["stage", "kind"])
CONSUMER_ERRORS = _counter(
    "phospho_consumer_errors_total", "Error messages of the consumer, by Kafka's name", ["stage", "code"]
)
STOPPED_PARTITIONS = _gauge(
    "phospho_stopped_partitions", "Partitions that a worker stopped after too many dead letters in a row", ["stage"]
)
INTENT_REPLAYS = _counter(
    "phospho_intent_replays_total", "Ranges that a predecessor started and this sink inserts again"
)
INSERT_RETRIES = _counter(
    "phospho_insert_retries_total", "Inserts tried again because ClickHouse was unavailable", ["table"]
)
TABLE_REFUSALS = _counter(
    "phospho_table_refusals_total",
    "Inserts postponed because the table refused a good row too, so that no row was at fault",
    ["table"],
)
BATCH_SECONDS = _histogram("phospho_batch_seconds", "Time from the start of a batch to its commit", ["stage"])
INSERT_SECONDS = _histogram("phospho_insert_seconds", "Time of one insert into ClickHouse", ["table"])
CONSUMER_LAG = _gauge(
    "phospho_consumer_lag_messages", "Messages after the last commit", ["stage", "topic", "partition"]
)
PROGRESS_AGE_SECONDS = _gauge(
    "phospho_progress_age_seconds", "Time since the last poll that returned, or commit", ["stage"]
)
EVENTS_DETECTED = _counter("phospho_events_detected_total", "Events found; replays count again", ["engine"])
BACKGROUND_FAILURES = _counter(
    "phospho_background_failures_total",
    "Background tasks of a process (quotas, retention) that ended with an error and were restarted",
    ["name"],
)
JOB_STEPS = _counter(
    "phospho_job_steps_total",
    "Steps of a job, by outcome: done, more (the next follows at once), away (the store), failed",
    ["name", "outcome"],
)
JOB_STEP_AGE_SECONDS = _gauge("phospho_job_step_age_seconds", "Time since a job's last step that succeeded", ["name"])
SESSIONS_ANALYSED = _counter("phospho_sessions_analysed_total", "Ended sessions that were analysed")
TURNS_ANALYSED = _counter("phospho_turns_analysed_total", "Turns that were analysed with those before them")
TASKS_BACKFILLED = _counter("phospho_tasks_backfilled_total", "Tasks that backfills have read")
WEBHOOK_DELIVERIES = _counter(
    "phospho_webhook_deliveries_total",
    "Attempts to deliver an event to a webhook, by outcome: delivered, retried, dead",
    ["outcome"],
)
CLASSIFIERS_TRAINED = _counter("phospho_classifiers_trained_total", "Classifiers trained on labels and judgements")
CLASSIFIER_TRAINING_SECONDS = _histogram(
    "phospho_classifier_training_seconds", "Reading the labels of one project and training the classifiers that are due"
)
JUDGEMENTS = _counter(
    "phospho_judgements_total", "Judgements, by judge (encoder, llm) and answer (yes, no, none)", ["judge", "answer"]
)
LLM_CALLS = _counter(
    "phospho_llm_calls_total",
    "Questions to the LLM, by outcome: answered, no_answer, refused, failed, skipped (its circuit is open)",
    ["outcome"],
)
LLM_TOKENS = _counter("phospho_llm_tokens_total", "Tokens of the LLM, in and out", ["direction"])
LLM_USD = _counter("phospho_llm_usd_total", "Cost of the LLM's tokens in US dollars")
LLM_CALL_SECONDS = _histogram("phospho_llm_call_seconds", "One question to the LLM, with its attempts")
LLM_CIRCUIT_OPEN = _gauge("phospho_llm_circuit_open", "1 while the LLM is left alone because it did not answer")
LLM_BUDGET_REFUSALS = _counter(
    "phospho_llm_budget_refusals_total", "Questions that were not asked because the budget was spent"
)
