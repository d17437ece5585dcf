"""Whatever is defined and whatever is said: an answer, within bounds, that harms nothing else."""

from __future__ import annotations

import pytest

from phospho_workers.detection.definitions import check_definition, compile_definitions
from phospho_workers.detection.detect import analyse
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
    *SCRIPTS,
)
CATASTROPHES = (r"(a+)+$", r"(a|a)*b", r"(.*)*x", r"^(([a-z])+.)+[A-Z]([a-z])+$", r"(a?){25}a{25}", r"(x+x+)+y")
DEFINITIONS = [
    semantic("weather", "The user asks about the weather", scope="task"),
    keywords("refund", "refund", "退款", "заказ", "👍"),
    *(regex(f"slow-{number}", pattern) for number, pattern in enumerate(CATASTROPHES)),
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_any_text_is_analysed_and_its_neighbours_are_as_they_were(text: str) -> None:
    compiled = {"shop": compile_definitions(DEFINITIONS)}
    alone = analyse([task("will it rain?", task_id="a")], compiled)[0]
    rows = analyse([task("will it rain?", task_id="a"), task(text, text, task_id="b")], compiled)
    assert rows[0] == alone
    assert all(0.0 <= event["score"] <= 1.0 for event in rows[1]["events"])


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_any_description_or_keyword_is_refused_with_a_reason_or_looked_for(text: str) -> None:
    chosen = [semantic("described", text[:4000]), keywords("listed", text[:100])]
    compiled = compile_definitions([*chosen, *DEFINITIONS])
    assert all(check_definition(one) == compiled.skipped.get(one.name) for one in chosen)
    found = {hit.definition.name for hit in compiled.find(["will it rain? a refund"], "input")[0]}
    assert {"weather", "refund"} <= found


@pytest.mark.parametrize("pattern", CATASTROPHES)
def test_a_catastrophic_pattern_is_linear(pattern: str) -> None:
    """By backtracking, each of these would not end before the sun does."""
    compiled = compile_definitions([regex("slow", pattern)])
    assert list(compiled.find(["a" * 100_000 + "!", "x" * 100_000], "input")) is not None


@pytest.mark.parametrize(
    "pattern", [r"(a)\1", r"(?=a)b", r"(?<!a)b", r"a{1001}", r"(((a{100}){100}){100}){100}", "[", "*"]
)
def test_what_re2_does_not_take_is_refused_when_it_is_defined(pattern: str) -> None:
    assert "RE2 can't take the pattern" in (check_definition(regex("bad", pattern)) or "")


def test_folding_finds_a_keyword_in_disguise() -> None:
    compiled = compile_definitions([keywords("refund", "refund")])
    for disguised in ("ＲＥＦＵＮＤ", "re\u200bfund", "re\u00adfund", "ʀefund refund", "𝐫𝐞𝐟𝐮𝐧𝐝", "ⓡⓔⓕⓤⓝⓓ"):
        assert compiled.find([disguised], "input")[0], disguised


def test_many_definitions_of_every_kind_are_compiled_together() -> None:
    many = [semantic(f"s{n}", f"The user asks about topic number {n}") for n in range(300)]
    many += [keywords(f"k{n}", *(f"w{n}x{m}" for m in range(300))) for n in range(300)]
    many += [regex(f"r{n}", rf"\bw{n}y\d+\b") for n in range(300)]
    hits = compile_definitions(many).find(["w17x299 and w18y5"], "input")[0]
    assert {"k17", "r18"} <= {hit.definition.name for hit in hits}
