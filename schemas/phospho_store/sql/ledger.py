"""SQL for what became of an accepted log: the one rule of the ledger and of receipts."""

from __future__ import annotations

from collections.abc import Collection
from typing import get_args

from phospho_schemas.rows.ledger import ItemKind
from phospho_store.sql import compose

KINDS: tuple[str, ...] = get_args(ItemKind)

OUTCOMES = (
    "stored",
    "already_known",
    "replayed",
    "dead_lettered",
    "dropped",
    "deleted",
    "pending",
    "missing",
)

_ITEMS = """
SELECT received_at, (arrayJoin(arrayZip(item_kinds, item_ids, item_revisions)) AS item).1 AS kind,
    item.2 AS id, item.3 AS revision
FROM receipt_rows FINAL WHERE project_id = {project:String} AND $condition
"""

# The ids of feedback and steps are two joined by a slash (`item_id` of rows/ledger.py). The first may hold slashes.
_FIRST_PARTS = """
SELECT arrayJoin(arrayMap(
    at -> substring(id, 1, at - 1), arrayFilter(at -> substring(id, at, 1) = '/', range(1, length(id)))
))
FROM ($items) WHERE kind = '$kind'
"""

_STORED = {
    "task": """
SELECT 'task' AS kind, task_id AS id, max(task_rows.revision) AS revision,
    argMax(whole_log_id, task_rows.revision) AS last_whole_log_id,
    last_whole_log_id = '' OR (id, last_whole_log_id) IN ($whole_logs) AS is_whole
FROM task_rows
WHERE project_id = {project:String} AND task_id IN (SELECT id FROM ($items) WHERE kind = 'task') GROUP BY task_id
""",
    "feedback": """
SELECT 'feedback' AS kind, concat(task_id, '/', feedback_id) AS id, max(revision) AS revision,
    '' AS last_whole_log_id, true AS is_whole
FROM feedback_rows
WHERE project_id = {project:String} AND task_id IN ($first_parts) GROUP BY id
""",
    "step": """
SELECT 'step' AS kind, concat(trace_id, '/', span_id) AS id, max(revision) AS revision,
    '' AS last_whole_log_id, true AS is_whole
FROM step_rows
WHERE project_id = {project:String} AND trace_id IN ($first_parts) GROUP BY id
""",
}

# A large log is stored when its task and all of its parts are.
_WHOLE_LOGS = """
SELECT task_id, whole_log_id FROM log_part_rows
WHERE project_id = {project:String} AND task_id IN (SELECT id FROM ($items) WHERE kind = 'task')
GROUP BY task_id, whole_log_id HAVING uniqExact(part) = max(parts)
"""

_LETTERS = """
SELECT letter.item_kind AS kind, letter.item_id AS id,
    groupArray((
        letter.item_revision, toString(action.action), toUnixTimestamp64Milli(action.created_at),
        letter.dead_letter_id, toString(letter.stage), toString(letter.reason), letter.detail
    )) AS letters
FROM
(
    SELECT * FROM dead_letter_rows FINAL
    WHERE project_id = {project:String} AND item_id IN (SELECT id FROM ($items))
) AS letter
LEFT ANY JOIN (SELECT * FROM dead_letter_action_rows FINAL WHERE project_id = {project:String}) AS action
ON letter.dead_letter_id = action.dead_letter_id
GROUP BY kind, id
"""

_NO_LETTERS = """
SELECT '' AS kind, '' AS id,
    CAST([], 'Array(Tuple(UInt64, String, Int64, String, String, String, String))') AS letters WHERE false
"""

_DELETED = """
SELECT item_key, max(revision) AS revision FROM deletion_rows
WHERE project_id = {project:String} AND item_key IN (SELECT cityHash64(kind, id) FROM ($items))
GROUP BY item_key
"""

# A letter is (revision, action, acted at, id, stage, reason, detail). A log's own letters have its revision. One that
# was mended and replayed is a later write: if that one fails too, its letter stands for the log.
_NO_DELETIONS = "SELECT toUInt64(0) AS item_key, toUInt64(0) AS revision WHERE false"

# The kinds of logs in receipts, and whether a log of the project may be in a dead letter or deleted.
_FACTS = """
SELECT
    (
        SELECT groupUniqArrayArray(item_kinds) FROM receipt_rows
        WHERE project_id = {project:String} AND $condition
    ) AS kinds,
    (SELECT count() FROM dead_letter_rows WHERE project_id = {project:String} AND item_id != '') AS letters,
    (SELECT count() FROM deletion_rows WHERE project_id = {project:String}) AS deletions
"""

_OUTCOMES = """
SELECT
    item.received_at AS received_at, item.kind AS kind, item.id AS id, item.revision AS revision,
    stored.revision AS stored_revision,
    arrayExists(each -> each.1 = item.revision AND each.2 = 'replayed', letter.letters) AS is_replayed,
    arrayFilter(each -> each.1 = item.revision OR is_replayed AND each.1 > item.revision, letter.letters) AS
        own_letters,
    arrayFirst(each -> each.2 = '', own_letters) AS waiting_letter,
    multiIf(
        stored.revision >= item.revision AND stored.is_whole AND is_replayed, 'replayed',
        stored.revision = item.revision AND stored.is_whole, 'stored',
        stored.revision > item.revision, 'already_known',
        waiting_letter.4 != '', 'dead_lettered',
        arrayExists(each -> each.2 = 'dropped', own_letters), 'dropped',
        deleted.revision >= item.revision, 'deleted',
        arrayMax(arrayMap(each -> each.3, own_letters)) > {pending_since_ms:Int64}, 'pending',
        toUnixTimestamp64Milli(item.received_at) > {pending_since_ms:Int64}, 'pending',
        'missing'
    ) AS outcome
FROM ($items) AS item
LEFT ANY JOIN ($stored) AS stored ON item.kind = stored.kind AND item.id = stored.id
LEFT ANY JOIN ($letters) AS letter ON item.kind = letter.kind AND item.id = letter.id
LEFT ANY JOIN ($deleted) AS deleted ON cityHash64(item.kind, item.id) = deleted.item_key
"""


def items(condition: str) -> str:
    """Return a query of each accepted log of the receipts that meet `condition`. Parameter: `project`."""
    return compose(_ITEMS, condition=condition)


def facts_of_items(condition: str) -> str:
    """Return a query of what `item_outcomes` may leave out. Parameter: `project`."""
    return compose(_FACTS, condition=condition)


def item_outcomes(
    condition: str, kinds: Collection[str] = KINDS, *, has_letters: bool = True, has_deletions: bool = True
) -> str:
    """
    Return a query of each accepted log of the receipts that meet `condition`, with its `outcome`.

    What the facts don't have may be left out: planning costs ClickHouse more than reading. Parameters: `project`, and
    `pending_since_ms`: a log that came before and is nowhere is missing.
    """
    logs = items(condition)
    stored = [
        compose(
            _STORED[kind],
            items=logs,
            first_parts=compose(_FIRST_PARTS, items=logs, kind=kind),
            whole_logs=compose(_WHOLE_LOGS, items=logs),
        )
        for kind in KINDS
        if kind in (kinds or KINDS)
    ]
    return compose(
        _OUTCOMES,
        items=logs,
        stored=" UNION ALL ".join(stored),
        letters=compose(_LETTERS, items=logs) if has_letters else _NO_LETTERS,
        deleted=compose(_DELETED, items=logs) if has_deletions else _NO_DELETIONS,
    )
