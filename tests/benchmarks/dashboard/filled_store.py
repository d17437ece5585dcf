"""
A store of any size, filled by ClickHouse itself: INSERT … SELECT FROM numbers(), a pure function of each task's number.

A year of an app: ten tasks a session, of which 64 go on at a time; ids that sort by time; five models, six versions, a
few of them at once; events in three tasks of ten, feedback on eight of a hundred, and one of a hundred logged again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from phospho_schemas.messages import EventDefinition
from phospho_store.registry.registry import Registry
from phospho_store.store import Store

DEFINITIONS = 20
DAYS = 365
_TASKS_OF_A_SESSION = 10
_SESSIONS_AT_A_TIME = 64
_TASKS_OF_AN_INSERT = 1_000_000
_ANALYSED_AFTER_MS = 700

# What a row is made of; every column of every table is one of these, so that all tables tell of the same task.
_FACTS = """
WITH
    number AS n,
    cityHash64(n) AS h,
    {first_ms:Int64} + intDiv(toInt64(n) * {length_ms:Int64}, {tasks:Int64}) + toInt64(h % {gap_ms:Int64}) AS at_ms,
    lower(hex(toUInt64(at_ms))) AS at_hex,
    concat(substring(at_hex, 1, 8), '-', substring(at_hex, 9, 4), '-7', substring(lower(hex(h)), 1, 3), '-8',
        substring(lower(hex(h)), 4, 3), '-', substring(lower(hex(cityHash64(h))), 1, 12)) AS id,
    intDiv(n, {block:UInt64}) * {at_once:UInt64} + n % {at_once:UInt64} AS session_number,
    cityHash64('session', session_number) AS s,
    concat('sess_', lower(hex(s))) AS session,
    -- A tenth of the users are in half of the sessions.
    if(s % 10 = 0, '', concat('user-', toString(if(s % 2 = 0, s % {users:UInt64}, s % intDiv({users:UInt64}, 10)))))
        AS user,
    concat('v', toString(1 + least(5, intDiv(n * 5, {tasks:UInt64}) + (s % 8 = 0)))) AS version,
    ['en', 'en', 'en', 'fr', 'de', 'es', 'ja'][1 + s % 7] AS language_of_session,
    (intDiv(h, 1000) % 20001) / 10000. - 1 AS feeling
"""
_WORDS = """
the a i you we it my your to of and for with from about please can could would like want need help
order invoice flight hotel ticket refund account password address delivery package price payment card bank loan
booking cancel change update confirm status today tomorrow yesterday morning evening week month number email
phone agent service support question answer problem error page screen button report summary document file table
train station airport seat luggage weather city country restaurant menu recipe doctor appointment insurance
policy claim contract rent house garden school lesson teacher exam language translate sentence word code python
function server database query slow fast broken missing wrong right good great thanks sorry sure done not never
always maybe because but when where why how which who it is are was were have has had will do does did be been
"""
_PHRASES = """
arrayMap(i -> arrayStringConcat(arrayMap(j -> words[1 + cityHash64('word', i, j) % length(words)], range(5)), ' '),
    range(4000))
"""
_TEXT = "arrayStringConcat(arrayMap(j -> phrases[1 + cityHash64(n, j, '{0}') % 4000], range(3 + h % 6)), ' ')"

_TASKS = f"""
INSERT INTO task_rows (project_id, task_id, revision, session_id, user_id, version_id, created_at, received_at,
    inserted_at, input, output, flag, model, tokens_in, tokens_out, latency_ms, metadata, source)
{_FACTS},
    splitByWhitespace('{_WORDS}') AS words,
    {_PHRASES} AS phrases
SELECT
    {{project:String}}, id, toUInt64(at_ms) * 65536 + {{again:UInt8}}, session, user, version,
    fromUnixTimestamp64Milli(at_ms), fromUnixTimestamp64Milli(at_ms + 150), fromUnixTimestamp64Milli(at_ms + 600),
    {_TEXT.format("input")},
    {_TEXT.format("output")},
    multiIf(h % 100 = 0, 'success', h % 100 = 1, 'failure', ''),
    ['large-2', 'large-3', 'small-2', 'small-3', 'open-70b'][1 + s % 5],
    40 + h % 900, 10 + intDiv(h, 7) % 400, 200 + exp((intDiv(h, 11) % 1000) / 120.),
    concat('{{"channel":"', ['web', 'app', 'phone'][1 + s % 3], '","attempt":', toString(h % 3), '}}'),
    'sdk'
FROM numbers({{first:UInt64}}, {{count:UInt64}})
WHERE {{again:UInt8}} = 0 OR h % 100 = 7
"""
_ANALYSES = f"""
INSERT INTO analysis_rows (project_id, task_id, revision, definitions_revision, session_id, user_id, version_id,
    created_at, inserted_at, language, language_score, sentiment, sentiment_score, sentiment_magnitude,
    output_language, output_language_score, output_sentiment, output_sentiment_score, output_sentiment_magnitude,
    language_model, sentiment_model, events)
{_FACTS}
SELECT
    {{project:String}}, id, toUInt64(at_ms) * 65536 + {{again:UInt8}}, 1, session, user, version,
    fromUnixTimestamp64Milli(at_ms), fromUnixTimestamp64Milli(at_ms + {_ANALYSED_AFTER_MS}),
    language_of_session, 0.9, multiIf(feeling > 0.4, 'positive', feeling < -0.6, 'negative', 'neutral'), feeling,
    abs(feeling), language_of_session, 0.95, 'neutral', 0.1, 0.1, 'lingua', 'lexicon',
    arrayMap(j -> tuple(
        lower(hex(sipHash128('event', id, j))), concat('event-', toString(1 + (h % 97 + 7 * j) % {DEFINITIONS})),
        1, 'semantic', 'input', (cityHash64(n, j, 'score') % 1000) / 1000., 'a clause of the input that shows it',
        0, '', NULL, ''
    ), range(if(intDiv(h, 13) % 10 < 3, 1 + intDiv(h, 17) % 3, 0)))
FROM numbers({{first:UInt64}}, {{count:UInt64}})
WHERE {{again:UInt8}} = 0 OR h % 100 = 7
"""
_FEEDBACK = f"""
INSERT INTO feedback_rows (project_id, task_id, feedback_id, revision, flag, score, comment, source, created_at,
    received_at, inserted_at)
{_FACTS}
SELECT {{project:String}}, id, 'a', toUInt64(at_ms + 60000) * 65536, if(s % 4 = 0, 'failure', 'success'), s % 4 != 0,
    if(h % 3 = 0, 'what a person said of it', ''), 'user', fromUnixTimestamp64Milli(at_ms + 60000),
    fromUnixTimestamp64Milli(at_ms + 60000), fromUnixTimestamp64Milli(at_ms + 60600)
FROM numbers({{first:UInt64}}, {{count:UInt64}})
WHERE intDiv(h, 19) % 100 < 8
"""
_LABELS = f"""
INSERT INTO label_rows (project_id, event_name, task_id, revision, event_id, label, created_by, created_at)
{_FACTS}
SELECT {{project:String}}, concat('event-', toString(1 + h % 97 % {DEFINITIONS})), id, toUInt64(at_ms) * 65536,
    lower(hex(sipHash128('event', id, 0))), if(h % 3 = 0, 'rejected', 'confirmed'), 'somebody',
    fromUnixTimestamp64Milli(at_ms + 3600000)
FROM numbers({{first:UInt64}}, {{count:UInt64}})
WHERE intDiv(h, 23) % 2000 = 0
"""
_EACH_PART = ((_TASKS, 0), (_TASKS, 1), (_ANALYSES, 0), (_ANALYSES, 1), (_FEEDBACK, 0), (_LABELS, 0))


@dataclass(frozen=True)
class Filling:
    """`tasks` of one project over `days` that end at `end_ms`."""

    project_id: str
    tasks: int
    end_ms: int
    days: int = DAYS

    def parameters(self) -> dict[str, int | str]:
        """Return what the statements take, the same for every part."""
        length_ms = self.days * 86_400_000
        return {
            "project": self.project_id, "tasks": self.tasks, "first_ms": self.end_ms - length_ms,
            "length_ms": length_ms, "gap_ms": max(length_ms // self.tasks, 1),
            "block": _SESSIONS_AT_A_TIME * _TASKS_OF_A_SESSION, "at_once": _SESSIONS_AT_A_TIME,
            "users": max(self.tasks // 100, 20),
        }  # fmt: skip


def fill(store: Store, filling: Filling) -> Iterator[int]:
    """
    Make the project with its definitions, and insert its tasks in the order of time; yield how many there are so far.

    The store is migrated. What is logged again comes in an insert of its own, so that there is something to replace.
    A year of merges is made up for before the last hundredth: on a server, only the newest parts wait for theirs.
    """
    registry = Registry(store)
    registry.save_project(filling.project_id)
    for number in range(1, DEFINITIONS + 1):
        registry.save_definition(_definition(filling.project_id, number))
    merged = filling.tasks - filling.tasks // 100
    for first, end in _parts(0, merged, _TASKS_OF_AN_INSERT):
        _insert(store, filling, first, end)
        yield end
    for table in ("task_rows", "analysis_rows", "feedback_rows", "label_rows"):
        store.command(f"OPTIMIZE TABLE {table} FINAL")
    for first, end in _parts(merged, filling.tasks, max(filling.tasks // 400, 1)):
        _insert(store, filling, first, end)
        yield end


def _parts(first: int, end: int, most: int) -> Iterator[tuple[int, int]]:
    return ((start, min(start + most, end)) for start in range(first, end, most))


def _insert(store: Store, filling: Filling, first: int, end: int) -> None:
    for sql, again in _EACH_PART:
        store.command(sql, {**filling.parameters(), "first": first, "count": end - first, "again": again})


def _definition(project_id: str, number: int) -> EventDefinition:
    description = f"The user talks about subject {number}"
    return EventDefinition(
        project_id=project_id, name=f"event-{number}", description=description, created_at=datetime.now(UTC)
    )
