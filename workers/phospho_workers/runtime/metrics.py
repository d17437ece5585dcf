"""Metrics of the workers. All labels are bounded sets."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY = CollectorRegistry()

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

RECORDS_CONSUMED = Counter(
    "phospho_records_consumed_total", "Records read from Kafka", ["stage", "topic"], registry=REGISTRY
)
MESSAGES_PRODUCED = Counter(
    "phospho_messages_produced_total", "Messages whose delivery Kafka confirmed", ["stage", "topic"], registry=REGISTRY
)
ROWS_INSERTED = Counter("phospho_rows_inserted_total", "Rows stored in ClickHouse", ["table"], registry=REGISTRY)
DEAD_LETTERS = Counter(
    "phospho_dead_letters_total", "Records that a stage or ClickHouse rejected", ["stage", "reason"], registry=REGISTRY
)
COMMITS = Counter(
    "phospho_commits_total", "Commits of offsets, by outcome: ok, lost, failed", ["stage", "outcome"], registry=REGISTRY
)
REBALANCES = Counter(
    "phospho_rebalances_total", "Rebalances, by kind: assign, revoke, lost", ["stage", "kind"], registry=REGISTRY
)
CONSUMER_ERRORS = Counter(
    "phospho_consumer_errors_total",
    "Error messages of the consumer, by Kafka's name",
    ["stage", "code"],
    registry=REGISTRY,
)
STOPPED_PARTITIONS = Gauge(
    "phospho_stopped_partitions",
    "Partitions that a worker stopped after too many dead letters in a row",
    ["stage"],
    registry=REGISTRY,
)
INTENT_REPLAYS = Counter(
    "phospho_intent_replays_total", "Ranges that a predecessor started and this sink inserts again", registry=REGISTRY
)
INSERT_RETRIES = Counter(
    "phospho_insert_retries_total",
    "Inserts tried again because ClickHouse was unavailable",
    ["table"],
    registry=REGISTRY,
)
TABLE_REFUSALS = Counter(
    "phospho_table_refusals_total",
    "Inserts postponed because the table refused a good row too, so that no row was at fault",
    ["table"],
    registry=REGISTRY,
)
BATCH_SECONDS = Histogram(
    "phospho_batch_seconds",
    "Time from the start of a batch to its commit",
    ["stage"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
INSERT_SECONDS = Histogram(
    "phospho_insert_seconds", "Time of one insert into ClickHouse", ["table"], buckets=_SECONDS, registry=REGISTRY
)
CONSUMER_LAG = Gauge(
    "phospho_consumer_lag_messages", "Messages after the last commit", ["topic", "partition"], registry=REGISTRY
)
PROGRESS_AGE_SECONDS = Gauge(
    "phospho_progress_age_seconds", "Time since the last poll that returned, or commit", registry=REGISTRY
)
EVENTS_DETECTED = Counter(
    "phospho_events_detected_total", "Events found; replays count again", ["engine"], registry=REGISTRY
)
BACKGROUND_FAILURES = Counter(
    "phospho_background_failures_total",
    "Background tasks of a process (quotas, retention) that ended with an error and were restarted",
    ["name"],
    registry=REGISTRY,
)
JOB_STEPS = Counter(
    "phospho_job_steps_total",
    "Steps of a job, by outcome: done, more (the next follows at once), away (the store), failed",
    ["name", "outcome"],
    registry=REGISTRY,
)
JOB_STEP_AGE_SECONDS = Gauge(
    "phospho_job_step_age_seconds", "Time since a job's last step that succeeded", ["name"], registry=REGISTRY
)
SESSIONS_ANALYSED = Counter("phospho_sessions_analysed_total", "Ended sessions that were analysed", registry=REGISTRY)
TURNS_ANALYSED = Counter(
    "phospho_turns_analysed_total", "Turns that were analysed with those before them", registry=REGISTRY
)
TASKS_BACKFILLED = Counter("phospho_tasks_backfilled_total", "Tasks that backfills have read", registry=REGISTRY)
WEBHOOK_DELIVERIES = Counter(
    "phospho_webhook_deliveries_total",
    "Attempts to deliver an event to a webhook, by outcome: delivered, retried, dead",
    ["outcome"],
    registry=REGISTRY,
)
CLASSIFIERS_TRAINED = Counter(
    "phospho_classifiers_trained_total", "Classifiers trained on labels and judgements", registry=REGISTRY
)
CLASSIFIER_TRAINING_SECONDS = Histogram(
    "phospho_classifier_training_seconds",
    "Reading the labels of one project and training the classifiers that are due",
    buckets=_SECONDS,
    registry=REGISTRY,
)
JUDGEMENTS = Counter(
    "phospho_judgements_total",
    "Judgements, by judge (encoder, llm) and answer (yes, no, none)",
    ["judge", "answer"],
    registry=REGISTRY,
)
LLM_CALLS = Counter(
    "phospho_llm_calls_total",
    "Questions to the LLM, by outcome: answered, no_answer, refused, failed, skipped (its circuit is open)",
    ["outcome"],
    registry=REGISTRY,
)
LLM_TOKENS = Counter("phospho_llm_tokens_total", "Tokens of the LLM, in and out", ["direction"], registry=REGISTRY)
LLM_USD = Counter("phospho_llm_usd_total", "Cost of the LLM's tokens in US dollars", registry=REGISTRY)
LLM_CALL_SECONDS = Histogram(
    "phospho_llm_call_seconds", "One question to the LLM, with its attempts", buckets=_SECONDS, registry=REGISTRY
)
LLM_CIRCUIT_OPEN = Gauge(
    "phospho_llm_circuit_open", "1 while the LLM is left alone because it did not answer", registry=REGISTRY
)
LLM_BUDGET_REFUSALS = Counter(
    "phospho_llm_budget_refusals_total", "Questions that were not asked because the budget was spent", registry=REGISTRY
)
