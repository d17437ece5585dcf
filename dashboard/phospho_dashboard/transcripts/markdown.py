"""
Markdown of logged texts as safe HTML.

HTML in a text stays text. Links lead to http, https and mail addresses only, and an image becomes a link to it: nothing
is loaded from outside.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from phospho_dashboard.transcripts.highlights import Highlight, marked

# Longer texts are shown as they are: parsing them would hold up the page.
MAX_CHARACTERS = 20_000
# A text without any of these is shown as it is, and need not be parsed.
_SYNTAX = re.compile(r"[*_`~|]|\]\(|<(?:https?|mailto):|^ {0,3}(?:#{1,6} |[-+] |\d+[.)] |> |[-=]{3,}$)", re.MULTILINE)
_LINK = re.compile(r"(?:https?://|mailto:)", re.IGNORECASE)
_PLAIN = frozenset({"paragraph_open", "paragraph_close", "inline", "text", "softbreak"})
_BREAKS = frozenset({"softbreak", "hardbreak"})
_CODE = frozenset({"fence", "code_block"})


class _Parser(MarkdownIt):
    def validateLink(self, url: str) -> bool:  # noqa: N802 - the name of the library
        return _LINK.match(url) is not None


def _parser() -> MarkdownIt:
    parser = _Parser("js-default", {"html": False, "breaks": True, "maxNesting": 20})
    # Four spaces at the start of a line are no code in a chat.
    parser.disable("code")
    parser.add_render_rule("text", _render_text)
    parser.add_render_rule("code_inline", _render_inline_code)
    for name in _CODE:
        parser.add_render_rule(name, _render_code)
    return parser


def markdown_html(text: str, find: Callable[[str], Sequence[Highlight]]) -> Markup | None:
    """
    Return a text as HTML, None where it has no Markdown or is longer than 20,000 characters.

    `find` returns the highlights of the shown text, in which each block begins on a new line.
    """
    if len(text) > MAX_CHARACTERS or not _SYNTAX.search(text):
        return None
    tokens = _PARSER.parse(text)
    if all(token.type in _PLAIN for token in _with_children(tokens)):
        return None
    for token in tokens:
        _make_harmless(token)
    parts = find(_visible_text(tokens))
    return Markup(_PARSER.renderer.render(tokens, _PARSER.options, {"highlights": parts}))  # noqa: S704 - escaped


def _with_children(tokens: Sequence[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from token.children or ()


def _make_harmless(token: Token) -> None:
    """Make images links, and headings paragraphs: the headings of a page are its own."""
    if token.type in ("heading_open", "heading_close"):
        token.tag = "p"
        if token.nesting == 1:
            token.attrSet("class", "heading")
    if token.children:
        token.children = [linked for child in token.children for linked in _linked_image(child)]
        for child in token.children:
            if child.type == "link_open":
                child.attrSet("rel", "noopener nofollow")


def _linked_image(token: Token) -> list[Token]:
    if token.type != "image":
        return [token]
    opening = Token("link_open", "a", 1, attrs={"href": str(token.attrGet("src") or "")})
    return [opening, Token("text", "", 0, content=token.content or "image"), Token("link_close", "a", -1)]


def _visible_text(tokens: Sequence[Token]) -> str:
    """Return the text that is shown, and note in each token where its content begins."""
    pieces: list[str] = []
    length = 0
    for token in _with_children(tokens):
        is_shown = token.type in ("text", "code_inline") or token.type in _CODE
        piece = token.content if is_shown else "\n" if token.type == "inline" or token.type in _BREAKS else ""
        token.meta["start"] = length
        pieces.append(piece)
        length += len(piece)
    return "".join(pieces)


def _marked(token: Token, env: Any) -> Markup:
    return marked(token.content, token.meta["start"], env["highlights"])


def _render_text(_renderer: Any, tokens: Sequence[Token], index: int, _options: Any, env: Any) -> str:
    return _marked(tokens[index], env)


def _render_inline_code(_renderer: Any, tokens: Sequence[Token], index: int, _options: Any, env: Any) -> str:
    return f"<code>{_marked(tokens[index], env)}</code>"


def _render_code(_renderer: Any, tokens: Sequence[Token], index: int, _options: Any, env: Any) -> str:
    return f'<pre tabindex="0"><code>{_marked(tokens[index], env)}</code></pre>\n'


_PARSER = _parser()
