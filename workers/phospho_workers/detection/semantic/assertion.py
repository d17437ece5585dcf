"""
Rules that tell whether a text asserts what it is about, or denies, quotes or only mentions it.

An embedding hardly knows "I want a refund" from "I don't want a refund". So the words around the clause that shows an
event are read by rules for English: a negation whose scope holds the event, reported speech, a quotation, and requests
about words or texts ("translate …", "write a story in which …"). A text that may not mean the event is not refused: its
confidence falls into doubt.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass

import re2

from phospho_schemas.text.normalisation import plain
from phospho_workers.detection.semantic.library import description_core

# The confidence that is left where a text may not mean an event: below the default threshold, and near enough to it for
# a judge to be asked.
UNASSERTED_SHARE = 0.45

_MAX_CHARACTERS = 4_000
# Texts whose mentions are kept, since several definitions are often found in one: at most 4 MB.
_MAX_CACHED = 256
_NEGATION = re.compile(
    r"\b(?:(?:do|does|did|is|are|was|were|has|have|had|wo|would|should|need|must|ai)n't|not|never|no longer|without|"
    r"nobody|no one|none|neither|nothing|rather not|rather (?:\w+ ){0,5}than|changed my mind about|"
    r"instead of|hardly|decided against|refuse to|"
    r"stop (?:asking|telling|offering|sending|pushing)|already (?:have|got|own|found|received|made|booked|did)|"
    r"no(?! (?:problem|matter|idea|doubt|wonder))(?= \w))\b",
    re.IGNORECASE,
)
# Negations that deny nothing: questions, what somebody does not know or has not got, "not only", "never so".
_NO_DENIAL = re.compile(
    r"\b(?:why (?:\w+ ){0,3}(?:not|\w+n't)|(?:ha[sd]|have)(?:n't| not)(?: \w+)? (?:received|got|gotten|seen)|"
    r"did(?:n't| not) (?:get|receive) (?:my|the|any|an?)(?! wrong)|never been (?:so|this|more)|"
    r"(?:do|does|is|are|was|would|wo|could|should)n't (?:you|i|it|we|they|there)|"
    r"not (?:only|just|sure|certain)|(?:do|did)n't (?:know|understand|see|forget to|hesitate|get why)|"
    r"(?:do|did) not (?:know|understand|see|hesitate)|if not|or not|whether or not|(?:an?|some) not)\b",
    re.IGNORECASE,
)
_SCOPE_END = re.compile(r"\b(?:but|instead|because|although|except)\b|[,;:]", re.IGNORECASE)
# "A refund is not needed" denies what stands before it.
_NEEDLESS = re.compile(r"\s*(?:necessary|needed|required|wanted)\b(?! to)", re.IGNORECASE)
# Descriptions of something that went wrong or ends: "it has not come" is no denial that it is late, nor "I don't want
# my plan" that it is cancelled; "it is not late" and "don't cancel it" are.
_FAULT = re.compile(
    r"\b(late|delay\w*|stol\w+|steal\w*|damag\w+|confus\w+|slow\w*|fail\w*|declin\w+|reject\w+|lost|lose|missing|"
    r"wrong\w*|broken|bugs?|errors?|problems?|stuck|block\w+|forg[oe]t\w*|refus\w+|complain\w*|unable|crash\w*|angry|upset|unhappy|frustrat\w+|"
    r"cancel\w*|unsubscrib\w+|terminat\w+)\b",
    re.IGNORECASE,
)
# Words of one meaning, by their stems: to deny one is to deny the others.
_SAME_FAULT = (
    frozenset({"angr", "ange", "mad", "furi", "anno", "upse", "frus", "unha"}),
    frozenset({"forg", "lost", "lose", "miss"}),
    frozenset({"canc", "end", "endi", "stop", "unsu", "term"}),
)
# What says that nothing is wrong, unless it is denied or asked for itself: "on time" of a delivery, "I remember".
_RESOLVED = re.compile(
    r"\b(?:on time|ahead of (?:time|schedule)|work(?:s|ed|ing)? (?:fine|well|great|perfectly|again|now|properly)|"
    r"has worked|(?:is|are|was|were) (?:fine|fixed|solved|resolved|sorted|clear)|went (?:through|well|fine)|"
    r"(?:got|been) (?:fixed|solved|resolved|sorted|found|accepted|approved)|"
    r"(?:no|without|never had)(?: any| an?| single)* (?:problems?|trouble|issues?|difficult\w+)|"
    r"can (?:\w+ ){0,3}(?:again|now)|still (?:remember|know|have)|I remember(?:ed)? (?:my|the|it)|"
    r"found (?:my|the|it|them)|(?:am|is|are|was|feel) (?:\w+ )?"
    r"(?:happy|satisfied|pleased|glad|calm|relaxed|content))\b",
    re.IGNORECASE,
)
_DENIED_JUST_BEFORE = re.compile(
    r"\b(?:not|never|no|cannot|hardly|nor|if|once|until|was it|\w+n't)(?: \w+){0,2} $", re.IGNORECASE
)
_NEGATED_DESCRIPTION = re.compile(r"\b(?:not|never|no|without|can't|cannot|unable)\b|n't\b", re.IGNORECASE)
_ABOUT = re.compile(
    r"\b(?:mentions?|quotes?|asks? (?:about|what|how|why|for (?:an? )?(?:explanation|definition|translation|"
    r"summary))|wants? to know)\b",
    re.IGNORECASE,
)

_REQUEST = (
    r"(?:please |can you |could you |would you |help me (?:to )?|i want you to |i need you to )*"
    r"(?P<verb>writ|draft|compos|translat|summari|paraphras|rephras|rewrit|proofread|correct|generat|imagin|explain|list|"
    r"design|defin)"
)
_PEOPLE = (
    r"(?:brother|sister|mother|father|mom|mum|dad|parents?|wife|husband|partner|girlfriend|boyfriend|friends?|boss|"
    r"colleagues?|co-?workers?|customers?|clients?|users?|neighbou?rs?|cousin|uncle|aunt|roommate|teacher|students?|"
    r"sons?|daughters?|kids?|child(?:ren)?|manager|passengers?|guests?|patients?|reviewer|author|hero|people|visitors?|companies)"
)
_WRITINGS = (
    r"(?:list|words?|synonyms?|titles?|headlines?|slogans?|examples?|reasons|tweet|post|story|poem|e-?mail|essay|article|"
    r"template|summary|song|joke|dialogue|FAQ)"
)
_MENTIONS = (
    re.compile(rf"^\W*{_REQUEST}", re.IGNORECASE),
    re.compile(
        rf"\b(?:make|give me|create|suggest|find) (?:me )?(?:an? |the |some |\w+ )?{_WRITINGS} "
        r"(?:of|for|about|to|on|in|that)\b",
        re.IGNORECASE,
    ),
    re.compile(
        r"\b(?:make (?:this|it|that) sound|turn (?:this|it|the following) into|"
        r"fix (?:the|my|all) (?:typos|grammar|spelling)|"
        r"role-?play|pretend|act as an?|you are an? \w+ who)\b|^\W*(?:title|subject|headline|heading|quote)\b.{0,20}:",
        re.IGNORECASE,
    ),
    re.compile(
        r"\b(?:subject|title|headline|heading|button|sign|label|banner|caption|link) (?:is|was|reads?|says?|said)\b|"
        r"\bdifference between\b|"
        r"\b(?:it|that|which) says\b|"
        r"\b(?:the|a) (?:word|phrase|sentence|term|expression)\b|"
        r"\b(?:read|saw|watched|heard) (?:\w+ ){0,3}(?:article|news|story|book|film|movie|report|study)\b",
        re.IGNORECASE,
    ),
    re.compile(
        r"\b(?:he|she|they|someone|somebody|(?:my|his|her|our|the|a|an) \w+) "
        r"(?:said|says|told|wrote|shouted|asked|claims|claimed|reads)\b",
        re.IGNORECASE,
    ),
    re.compile(r"\bwhat(?:'s| is| does| do| are)\b.*\b(?:mean|means|meaning|definition|word)\b", re.IGNORECASE),
    re.compile(r"^\W*(?:what is|what's) (?:an? )?\S+ (?:in|on) \w+\W*$", re.IGNORECASE),
    re.compile(r"\bhow many (?:\w+ ){1,2}(?:\w+ed|\w+ing|were|are|have|think|said|ask|forget|cancel)\b", re.IGNORECASE),
    re.compile(r"\bhow (?:do|does) (?:you|one|i) (?:say|write|spell)\b|\bhow are \w+ \w+ usually\b", re.IGNORECASE),
    re.compile(r"\bin (?:my|the|a|his|her) (?:novel|book|film|movie|story|game|play|song)\b", re.IGNORECASE),
    re.compile(r"\b(?:synonyms?|definition|examples?|statistics|meaning) (?:of|on|for)\b", re.IGNORECASE),
)
# A clause about somebody else, or about people in general.
_OTHERS = re.compile(
    rf"^\W*(?:(?:but|and|so|because|that|today|yesterday|well) )*(?:(?:he|she|they)|"
    rf"(?:my|his|her|our|their|the|an?|one of my|some) (?:\w+ )?{_PEOPLE}(?: of mine)?(?:, \w+,)?|"
    rf"(?:his|her|their) \w+) "
    r"(?:is|are|was|were|has|have|had|says?|wants?|wanted|asks?|asked|needs?|needed|would|looks?|seems?|got|gets|lost|"
    r"forgot|told|paid|left|\w+ed)\b|"
    rf"\b(?:what|how|why) (?:do|does|would|can|should|might) (?:an? |the |most |other |some )?"
    rf"(?:{_PEOPLE}|someone|somebody)\b|"
    rf"(?:^\W*|\b(?:that|because|if|when|why|do|are|have) )(?:many|most|some|several) (?:\w+ )?{_PEOPLE}\b|"
    rf"\b{_PEOPLE} who\b|\b(?:when|if|where) an? {_PEOPLE}\b",
    re.IGNORECASE,
)
# Descriptions of what is said about, or done to, others.
_ABOUT_OTHERS = re.compile(
    r"\b(?:somebody|someone|anybody|people|others?|person|family|friends?|customers?|\w*insult\w*|abus\w*|harass\w*|threat\w*|"
    r"violen\w*|hat\w*)\b"
)
# The same patterns at a tenth of the time: most texts have none of them.
_MAY_MENTION = re2.compile(
    "(?i)" + "|".join(f"(?:{pattern.pattern})" for pattern in _MENTIONS).replace(r"\w", r"[\w\x{80}-\x{10FFFF}]")
)
_QUOTED = re.compile("[\"“„«]([^\"“”„«»]{3,})[\"”“»]|(?<!\\w)['‘]([^'‘’]{3,})['’](?!\\w)")
# Descriptions of requests for such things: "write an email" is one.
_TEXTS = re.compile(r"\b(?:code|text|poem|story|essay|e-?mail|letter|list|to be \w+ed|write|writing)\b")
_WORD = re.compile(r"[^\W\d_]{3,}")


@dataclass(frozen=True)
class Reader:
    """The rules for one description, compiled once."""

    faults: frozenset[str]
    is_negated: bool
    reads_mentions: bool
    is_of_user: bool
    core: str

    @classmethod
    def of(cls, description: str) -> Reader:
        core = description_core(plain(description)).lower()
        return cls(
            faults=frozenset().union(*(_same_faults(_stem(match[0])) for match in _FAULT.finditer(core))),
            is_negated=_NEGATED_DESCRIPTION.search(core) is not None,
            reads_mentions=_ABOUT.search(core) is None,
            is_of_user=_ABOUT.search(core) is None and _ABOUT_OTHERS.search(core) is None,
            core=core,
        )

    def is_asserted(self, text: str, clause: str, *, is_user: bool, shows_event: Callable[[str], bool]) -> bool:
        """
        Return False where a text, whose `clause` shows the event best, may deny or only mention it.

        `shows_event` tells whether a part of the clause shows the event by itself.
        """
        if not self.is_negated and self._is_denied(plain(clause), shows_event):
            return False
        if (self.faults or self.is_negated) and _is_resolved(plain(clause), shows_event):
            return False
        return not (
            is_user
            and (
                (self.is_of_user and _OTHERS.search(plain(clause)))
                or (self.reads_mentions and self._is_mentioned(plain(text[:_MAX_CHARACTERS]), plain(clause)))
            )
        )

    def _is_denied(self, clause: str, shows_event: Callable[[str], bool]) -> bool:
        for negation in _NEGATION.finditer(clause):
            if any(other.start() <= negation.start() < other.end() for other in _NO_DENIAL.finditer(clause)):
                continue
            if negation[0].lower() in self.core:
                continue
            rest = clause[negation.end() :]
            is_needless = _NEEDLESS.match(rest) is not None
            scope = (clause[: negation.start()] if is_needless else _SCOPE_END.split(rest, maxsplit=1)[0]).strip()
            if self.faults:
                if any(_stem(word[0]) in self.faults for word in _WORD.finditer(scope)):
                    return True
            elif scope and shows_event(scope):
                return True
        return False

    def _is_mentioned(self, text: str, clause: str) -> bool:
        mentions, quotes = _mentions(text)
        return any(not self._asks_for(verb) for verb in mentions) or any(_is_within(clause, quote) for quote in quotes)

    def _asks_for(self, verb: str) -> bool:
        """Return True if the description itself is about requests with a verb, which is empty for other mentions."""
        return bool(verb) and (verb in self.core or _TEXTS.search(self.core) is not None)


@functools.lru_cache(maxsize=_MAX_CACHED)
def _mentions(text: str) -> tuple[list[str], list[str]]:
    """Return the verb of each kind of mention in a text, empty where it has none, and what is quoted."""
    verbs = []
    if _MAY_MENTION.search(text):
        matches = (pattern.search(text) for pattern in _MENTIONS)
        verbs = [(match.groupdict().get("verb") or "").lower() for match in matches if match is not None]
    return verbs, [quote[1] or quote[2] or "" for quote in _QUOTED.finditer(text)]


def _is_resolved(clause: str, shows_event: Callable[[str], bool]) -> bool:
    """Return True for a clause that says that nothing is wrong, if what is left of it does not show the event."""
    match = _RESOLVED.search(clause)
    if match is None or _DENIED_JUST_BEFORE.search(clause[: match.start()]):
        return False
    rest = [part for part in _SCOPE_END.split(clause) if match[0] not in part]
    return not any(part.strip() and shows_event(part) for part in rest)


def _stem(word: str) -> str:
    """Return what forms of one word have in common, roughly."""
    return word.lower().removesuffix("s")[:4]


def _same_faults(stem: str) -> frozenset[str]:
    return next((stems for stems in _SAME_FAULT if stem in stems), frozenset({stem}))


def _is_within(clause: str, quote: str) -> bool:
    """Return True if most words of a clause are in a quotation."""
    words = {word.lower() for word in _WORD.findall(clause)}
    quoted = {word.lower() for word in _WORD.findall(quote)}
    return bool(words) and len(words & quoted) * 3 >= len(quoted) * 2 > 0 and bool(quoted)
