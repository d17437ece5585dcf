"""Examples of queries, which the SQL page offers. A test runs each."""

from __future__ import annotations

from collections.abc import Mapping

EXAMPLES: Mapping[str, str] = {
    "Tasks a day": """SELECT toDate(created_at) AS day, count() AS tasks, uniqExact(user_id) AS users
FROM tasks
GROUP BY day
ORDER BY day""",
    "Most frequent events": """SELECT name, count() AS events, uniqExact(user_id) AS users
FROM events
GROUP BY name
ORDER BY events DESC
LIMIT 20""",
    "Success by version": """SELECT version_id,
  countIf(flag = 'success') AS successes,
  countIf(flag = 'failure') AS failures
FROM tasks
WHERE flag != ''
GROUP BY version_id
ORDER BY version_id""",
    "Slowest answers by model": """SELECT model, count() AS tasks,
  round(quantile(0.5)(latency_ms)) AS median_ms,
  round(quantile(0.95)(latency_ms)) AS p95_ms
FROM tasks
WHERE latency_ms IS NOT NULL
GROUP BY model
ORDER BY p95_ms DESC""",
    "Sentiment a day": """SELECT toDate(created_at) AS day,
  round(avg(sentiment_score), 3) AS mean_sentiment
FROM analyses
GROUP BY day
ORDER BY day""",
    "Tasks with two events": """SELECT a.task_id AS task_id, a.name AS first, b.name AS second
FROM events AS a
INNER JOIN events AS b ON a.task_id = b.task_id
WHERE a.name < b.name
LIMIT 50""",
    "Columns of tasks": "DESCRIBE tasks",
}
