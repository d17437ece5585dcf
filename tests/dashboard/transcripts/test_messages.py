"""Texts of tasks as HTML: evidence is highlighted wherever it is written, and nothing of a text can act on the page."""

from __future__ import annotations

import re
from typing import Any

import pytest

from phospho_dashboard.transcripts.highlights import highlights
from phospho_dashboard.transcripts.markdown import MAX_CHARACTERS, markdown_html


def event(evidence: str, **changes: Any) -> dict[str, Any]:
    return {"name": "refund", "label": "", "scope": "input", "engine": "semantic", "evidence": evidence} | changes


def highlighted(text: str, *events: dict[str, Any]) -> list[str]:
    return [text[part.start : part.end] for part in highlights(text, events)]


@pytest.mark.parametrize(
    ("text", "evidence", "parts"),
    [
        ("Well.\nI  want\na refund!", "I want a refund!", ["I  want\na refund!"]),
        ("I DON\u2019T know", "don't know", ["DON\u2019T know"]),
        ("cafe\u0301 first", "Caf\u00e9", ["cafe\u0301"]),
        ("\u05d0\u05e0\u05d9 \u05e8\u05d5\u05e6\u05d4 \u05d4\u05d7\u05d6\u05e8", "\u05d4\u05d7\u05d6\u05e8",
         ["\u05d4\u05d7\u05d6\u05e8"]),
        ("a very long clause", "a very lo\u2026", ["a very lo"]),
        ("nothing of it", "refund", []),
    ],
)  # fmt: skip
def test_evidence_is_found_as_search_compares_texts(text: str, evidence: str, parts: list[str]) -> None:
    assert highlighted(text, event(evidence)) == parts


def test_keywords_are_highlighted_as_whole_words_everywhere() -> None:
    keywords = event("refund, money back", engine="keyword")

    assert highlighted("Refund? No refunds, refund. My money back", keywords) == ["Refund", "refund", "money back"]
    assert highlighted("\u6211\u8981\u9000\u6b3e\u554a", event("\u9000\u6b3e", engine="keyword")) == ["\u9000\u6b3e"]


def test_overlapping_evidence_has_the_names_of_all_its_events() -> None:
    parts = highlights("give me my money", [event("give me my"), event("my money", name="angry")])

    assert [(part.start, part.end, part.names) for part in parts] == [(0, 16, ("refund", "angry"))]


def html_of(text: str, *events: dict[str, Any]) -> str:
    return str(markdown_html(text, lambda shown: highlights(shown, events, is_formatted=True)))


def test_evidence_is_highlighted_across_the_marks_of_markdown() -> None:
    html = html_of("- I **really** want `it`", event("- I **really** want `it`"))

    assert "".join(re.findall("<mark.*?>(.*?)</mark>", html)) == "I really want it"


def test_markdown_of_a_text_can_not_act_on_the_page() -> None:
    html = html_of(
        '**x** <script>alert(1)</script> <b onclick="x">\n\n'
        "![pixel](https://evil.test/p.png) [j](javascript:x) [r](/sign-out)"
        " [d](data:text/html,x) [ok](https://ok.test/?a=1&b=2)\n\n# title",
        event('<script>alert(1)</script> <b onclick="x">'),
    )

    assert set(re.findall(r"<(\w+)", html)) == {"p", "strong", "mark", "a"}
    assert re.findall(r'href="(.*?)"', html) == ["https://evil.test/p.png", "https://ok.test/?a=1&amp;b=2"]
    assert html.count('rel="noopener nofollow"') == html.count("<a ") == 2
    assert "onclick" not in re.sub("&lt;.*?&gt;", "", html)


def test_text_without_markdown_is_shown_as_it_is() -> None:
    assert markdown_html("two  spaces\n    and 2 * 3 = 6", lambda _shown: []) is None
    assert markdown_html("*" * (MAX_CHARACTERS + 1), lambda _shown: []) is None


def test_pages_highlight_evidence_and_switch_to_raw_texts(world: Any, project: str) -> None:
    world.add_task(project, "t", session_id="s", input="A **refund** <i>", output="y " * 700 + "refund of a scope")
    found = {"definition_version": 1, "engine": "keyword", "score": 1.0, "evidence": "refund"}
    events = [found | {"id": scope, "name": f"in-{scope}", "scope": scope} for scope in ("input", "task")]
    world.add_analysis(project, "t", session_id="s", events=events)
    client = world.open_pages()
    session = client.get("/sessions/s", params={"project": project}).text
    raw = client.get("/sessions/s", params={"project": project, "text": "raw"}).text
    refused = client.get("/tasks/t", params={"project": project, "text": "pretty"})

    assert '<strong><mark title="in-input, in-task">refund</mark></strong> &lt;i&gt;' in session
    assert '<mark title="in-task">refund</mark> of a scope' in session
    assert '<details class="fold" open>' in session
    assert 'A **<mark title="in-input, in-task">refund</mark>** &lt;i&gt;' in raw
    assert "Show formatted text" in raw
    assert "Show raw text" in client.get("/tasks/t", params={"project": project}).text
    assert refused.status_code == 400
    assert "Raw, or leave" in refused.text


def test_list_of_tasks_shows_the_match_of_a_search(world: Any, project: str) -> None:
    world.add_task(project, "deep", input="x " * 600 + "<i> a Refund, please", output="y " * 200)
    world.add_task(project, "folded", input="no", output="no REFU\u0301ND? refund\u2019s")
    client = world.open_pages()

    page = client.get("/tasks", params={"project": project, "q": "refund"}).text
    plain = client.get("/tasks", params={"project": project}).text

    assert re.search(r'class="match" dir="auto">…(x )+&lt;i&gt; a <mark title="match">Refund</mark>, please<', page)
    assert '? <mark title="match">refund</mark>' in page
    assert 'class="match"' not in plain
