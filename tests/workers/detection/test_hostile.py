"""Whatever is defined and whatever is said: an answer, within bounds, that harms nothing else."""

from __future__ import annotations

import re
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import product

import pytest

from fixtures.matches import found_matches
from phospho_schemas.definitions.engines import ENGINE_SPECS, engine_spec
from phospho_workers.detection.definitions import check_definition, compile_definitions
from phospho_workers.detection.detect import analyse
from phospho_workers.detection.semantic import assertion, denials
from phospho_workers.detection.text.embedding import embedder
from phospho_workers.detection.text.reading import clauses_of
from workers.detection.tasks import keywords, regex, semantic, task

SCRIPTS = (
    "Где мой заказ?",
    "我的订单在哪里？",
    "注文はどこですか。",
    "주문은 어디에 있나요?",
    "أين طلبي؟",
    "איפה ההזמנה שלי?",
    "मेरा ऑर्डर कहाँ है?",
    "ஆர்டர் எங்கே?",
    "คำสั่งซื้อของฉันอยู่ที่ไหน",
    "Πού είναι η παραγγελία μου;",
    "ჩემი შეკვეთა სად არის?",
    "𒀀𒁀 𐎠𐎡 𓀀𓁐",
)
HOSTILE = (
    "\x00",
    "\x00" * 10_000,
    "\u200b\u200d\ufeff",
    "re\u200bfu\u200dnd",
    "\u202egnirts sdrawkcab\u202c refund",
    "😀" * 5_000,
    "👨‍👩‍👧‍👦🏳️‍🌈🇫🇷",
    "Z\u0351\u036b\u0343" * 3_000,
    "\ufdfa" * 500,
    "ß" * 10_000,
    "İ" * 10_000,
    "a" * 200_000 + "!",
    "a " * 100_000,
    ". " * 50_000,
    "\n" * 50_000,
    "\ud7ff\ue000\uffff\U0010ffff",
    "." * 7_999 + "a",
    "\n" * 7_999 + "a",
    ".\n" * 4_000 + "a",
    " ." * 4_000 + "a",
    "a" + " " * 200_000 + "a",
    "!?" * 100_000,
    *SCRIPTS,
)
CATASTROPHES = (r"(a+)+$", r"(a|a)*b", r"(.*)*x", r"^(([a-z])+.)+[A-Z]([a-z])+$", r"(a?){25}a{25}", r"(x+x+)+y")
# Many times what any of these texts takes, on a busy machine too.
MAX_CPU_S = 1.0
DEFINITIONS = [
    semantic("weather", "The user asks about the weather", scope="task"),
    keywords("refund", "refund", "退款", "заказ", "👍"),
    *(regex(f"slow-{number}", pattern) for number, pattern in enumerate(CATASTROPHES)),
]


@contextmanager
def cpu_within(bound_s: float) -> Iterator[None]:
    """Fail where what is inside takes more of this thread's time."""
    begun_s = time.thread_time()
    yield
    assert time.thread_time() - begun_s < bound_s


@pytest.fixture(autouse=True, scope="module")
def loaded() -> None:
    """Load the models first, whose cost is not that of a text."""
    analyse([task("will it rain? ça alors")], {"shop": compile_definitions(DEFINITIONS)})


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_any_text_is_analysed_and_its_neighbours_are_as_they_were(text: str) -> None:
    compiled = {"shop": compile_definitions(DEFINITIONS)}
    alone = analyse([task("will it rain?", task_id="a")], compiled)[0]
    with cpu_within(MAX_CPU_S):
        rows = analyse([task("will it rain?", task_id="a"), task(text, text, task_id="b")], compiled)
    assert rows[0] == alone
    assert all(0.0 <= event["score"] <= 1.0 for event in rows[1]["events"])


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_any_description_or_keyword_is_refused_or_detected(text: str) -> None:
    chosen = [semantic("described", text[:4000]), keywords("listed", text[:100])]
    compiled = compile_definitions([*chosen, *DEFINITIONS])
    assert all(check_definition(one) == compiled.skipped.get(one.name) for one in chosen)
    found = {match.definition.name for match in found_matches(compiled, ["will it rain? a refund"], "input")[0]}
    assert {"weather", "refund"} <= found


@pytest.mark.parametrize("pattern", CATASTROPHES)
def test_a_catastrophic_pattern_is_linear(pattern: str) -> None:
    """By backtracking, each of these would not end before the sun does."""
    compiled = compile_definitions([regex("slow", pattern)])
    with cpu_within(MAX_CPU_S):
        found_matches(compiled, ["a" * 100_000 + "!", "x" * 100_000], "input")


def test_marks_that_nothing_ends_cost_no_more_than_words() -> None:
    """By the plain pattern, which begins each run of marks at each of its marks, these took ten seconds."""
    compiled = compile_definitions(DEFINITIONS[:1])
    with cpu_within(MAX_CPU_S):
        found_matches(compiled, ["." * 7_900 + f"a{number}" for number in range(8)], "input")


@pytest.mark.parametrize("phrase", ["i thought about a refund ", "no refund ", "a refund is not needed "])
def test_rules_read_the_start_of_a_clause_once(phrase: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten definitions each looked from every phrase to the end of 32,000 characters, which took five seconds."""
    clauses: list[str] = []

    def is_denied(clause: str, *rest: object) -> bool:
        clauses.append(clause)
        return denials.is_denied(clause, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(assertion, "is_denied", is_denied)
    denials._negations.cache_clear()
    compiled = compile_definitions([semantic(f"s{n}", f"The user wants a refund, reason {n}") for n in range(10)])
    with cpu_within(MAX_CPU_S):
        found_matches(compiled, [(phrase * 3_000)[:32_000]], "input")
    assert len(clauses) > 1
    assert max(len(clause) for clause in clauses) <= assertion.MAX_CLAUSE_CHARACTERS
    assert denials._negations.cache_info().misses == len(set(clauses)) < len(clauses)
    assert len(denials._negations(clauses[0])) <= 16


def test_a_project_has_room_for_so_many_semantic_definitions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINE_SPECS, "semantic", replace(engine_spec("semantic"), max_per_project=2))
    compiled = compile_definitions(
        [*DEFINITIONS, *(semantic(name, "The user wants a zorp") for name in ("z", "y", "a"))]
    )
    assert compiled.skipped.keys() == {"y", "z"}
    assert "has room for 2 definitions" in compiled.skipped["z"]
    assert {one.name for one in compiled.definitions} >= {"a", "weather", "refund"}


def test_keyword_shared_by_many_definitions_is_walked_once() -> None:
    """By matches times owners, this took 26 s."""
    compiled = compile_definitions([keywords(f"k{n}", "a", f"b{n}") for n in range(1_000)])
    with cpu_within(MAX_CPU_S):
        [matches] = found_matches(compiled, ["b7 " + "a " * 100_000], "input")
    assert len(matches) == 1_000
    assert {match.evidence for match in matches} == {"a", "b7, a"}


def test_many_definitions_and_clauses_are_scored_in_bounded_memory() -> None:
    """30,000 clauses of one batch and 250 definitions are 7.5 million scores, which were held five times over."""
    compiled = compile_definitions([semantic(f"s{n}", f"The user speaks of topic {n}") for n in range(250)])
    texts = [f"{number}. " + "a b. " * 1_500 for number in range(20)]
    tracemalloc.start()
    found_matches(compiled, texts, "input")
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 60e6


def test_clauses_end_where_the_plain_pattern_says() -> None:
    plain = re.compile(r"[.!?;:\n]+(?:\s+|$)|\n")
    for length in range(1, 7):
        for text in map("".join, product(".\n a", repeat=length)):
            said = [clause.split() for clause in plain.split(text) if embedder().pieces(clause)]
            assert [clause.split() for clause, _ in clauses_of(text)] == said, text


@pytest.mark.parametrize(
    "pattern", [r"(a)\1", r"(?=a)b", r"(?<!a)b", r"a{1001}", r"(((a{100}){100}){100}){100}", "[", "*"]
)
def test_what_re2_does_not_take_is_refused_when_it_is_defined(pattern: str) -> None:
    assert "RE2 can't take the pattern" in (check_definition(regex("bad", pattern)) or "")


def test_folding_finds_a_keyword_in_disguise() -> None:
    compiled = compile_definitions([keywords("refund", "refund")])
    for disguised in ("ＲＥＦＵＮＤ", "re\u200bfund", "re\u00adfund", "ʀefund refund", "𝐫𝐞𝐟𝐮𝐧𝐝", "ⓡⓔⓕⓤⓝⓓ"):
        assert found_matches(compiled, [disguised], "input")[0], disguised


def test_many_definitions_of_every_kind_are_compiled_together() -> None:
    many = [semantic(f"s{n}", f"The user asks about topic number {n}") for n in range(300)]
    many += [keywords(f"k{n}", *(f"w{n}x{m}" for m in range(300))) for n in range(300)]
    many += [regex(f"r{n}", rf"\bw{n}y\d+\b") for n in range(300)]
    matches = found_matches(compile_definitions(many), ["w17x299 and w18y5"], "input")[0]
    assert {"k17", "r18"} <= {match.definition.name for match in matches}
