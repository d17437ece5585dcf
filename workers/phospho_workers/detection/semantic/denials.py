"""
Denials: the words by which a clause says that something is not so, in English.

A negation has a scope, which ends with its part of the sentence. It denies an event only where its scope shows the
event: "I don't want to cook, find me a restaurant" denies no restaurant.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import NamedTuple

_NEGATION = re.compile(
    r"\b(?:(?:do|does|did|is|are|was|were|has|have|had|wo|would|should|need|must|ai)n't|not|never|no longer|without|"
    r"can(?:'t|not) (?:be|feel|say that)|nobody|no one|none|neither|nothing|rather not|"
    r"rather (?:\w+ ){0,5}than|changed my mind about|far from|instead of|hardly|(?:decided|chose) against|refuse to|"
    r"(?:rul\w+|call\w+) (?:out|off)|never mind|spare me|forget(?: about)?(?= the\b)|who (?:says?|said|claims?)|"
    r"wish (?:i|he|she|it|we) (?:was|were|had)|"
    r"(?:thought(?: about| of)?|considered|was about to|used to(?: be| feel)?)"
    r"(?= .{0,200}\b(?:but|decided|until|now)\b)|"
    r"(?:got|have|booked|bought|received)(?= (?:\w+ ){1,4}(?:already|elsewhere)\b)|"
    r"stop (?:asking|telling|offering|sending|pushing)|already (?:have|got|own|found|received|made|booked|did|bought)|"
    r"no(?!,? (?:problem|matter|idea|doubt|wonder|thanks?|i|i'm|it|it's|that|that's|this|we|you|they|no|don't|not|"
    r"turn)\b)(?= \w))\b|"
    r"^\W*(?:(?:no|ok|okay|thanks|thank you|hi|hello)[ ,]+)*(?:please |can you |could you |i want to |i'd like to )?"
    r"(?:keep|undo|remove|withdraw|ignore|cancel|stop)(?= (?:the|your|my|that|this|our)\b)",
    re.IGNORECASE,
)
# Denials that somebody asks about something. Any other negation may be part of the question.
_NO_INTEREST = re.compile(
    r"(?:\bnot|n't|\bnever|\bno longer|\bno|\bnothing)"
    r"(?: (?:here|calling|writing|really|even|have|had|got|any|more|it|was|is|this|that|said anything))*? "
    r"(?:ask\w*|interested|(?:want|wish|need)(?:ed)? to (?:know|hear)|questions?|care|about|to do with|tell me|"
    r"talking)\b",
    re.IGNORECASE,
)
# Negations that deny nothing: questions, what somebody does not know or has not got, what something does not do, "not
# only", "never so", "a not very".
_NO_DENIAL = re.compile(
    r"\b(?:why (?:\w+ ){0,3}(?:not|\w+n't)|(?:ha[sd]|have)(?:n't| not)(?: \w+)? (?:received|got|gotten|seen)|"
    r"did(?:n't| not) (?:get|receive) (?:my|the|any|an?)(?! wrong)|never (?:been|seen|had|met|heard)(?: \w+)? "
    r"(?:so|such|this|more|worse)|can(?:'t|not) be (?:the only|right|true|it)|"
    r"(?:do|does|is|are|was|would|wo|could|should)n't (?:you|i|it|we|they|there)|can you not|"
    r"not (?:only|just|sure|certain|(?:quite )?understanding|(?:very |really |at all )?(?:happy|satisfied|feeling|okay "
    r"with|great|good))|(?:do|did)n't (?:know|understand|see|forget to|hesitate|get why|remember|recall|hear|like|"
    r"have my)|(?:do|did) not (?:know|understand|see|hesitate|remember|recall|hear|like)|"
    r"(?:n't|not)(?: \w+)? (?:work\w*|show\w*|let(?:ting)?|load\w*|open\w*|arriv\w+|c[oa]me|go(?:ne)? through|"
    r"complet\w+|appear\w*|respond\w*|accept\w*|allow\w*)|"
    r"if not|or not|whether or not|(?:an?|some|something|something that's) not|not (?:right )?now)\b",
    re.IGNORECASE,
)
_SCOPE_END = re.compile(
    r"\b(?:but|because|although|except|since|instead(?! of)|please|so (?:i|we|can|could|please|that|my|the|find|it)|"
    r"(?:can|could|would) (?:you|i|we)|and (?:i|we|am|was|would|need|want|now|then|can|could|my|the)|let me|"
    r"(?<=[a-z] )(?<!think )(?<!saying )(?<!say )(?<!said )(?<!that )(?<!mean )(?<!says )(?<!whether )(?<!if )"
    r"i (?:need|want|would like)|(?<=[a-z] )i'd like)\b|[,;:?]",
    re.IGNORECASE,
)
# "A refund is not needed" denies its subject, which stands before it.
_DENIAL_OF_SUBJECT = re.compile(
    r"(?:(?:is|are|was|were|has|have|wo|would)(?:n't| not)|not|never)(?: be| been)? "
    r"(?:necessary|needed|required|wanted|an option|for me|likely|planned|the (?:problem|issue|reason|point))\b(?! to)|"
    r"\b(?:is|are|was) (?:out of the question|unnecessary|the last thing)\b|\bnot in the least\b|"
    r"\b(?:fell through|was called off|were called off)\b",
    re.IGNORECASE,
)
# Descriptions of something that went wrong or ends: "it has not come" is no denial that it is late, nor "I don't want
# my plan" that it is cancelled; "it is not late" and "don't cancel it" are.
_PROBLEM = re.compile(
    r"\b(late|delay\w*|stol\w+|steal\w*|damag\w+|confus\w+|slow\w*|fail\w*|declin\w+|reject\w+|lost|lose|missing|"
    r"wrong\w*|broken|bugs?|errors?|problems?|stuck|block\w+|forg[oe]t\w*|refus\w+|unable|crash\w*|angry|upset|unhappy|"
    r"frustrat\w+|rude|cancel\w*|unsubscrib\w+|terminat\w+|skip\w*|mut(?:e|ing)|chang(?:e|es|ing))\b",
    re.IGNORECASE,
)
_COMPLAINT = re.compile(r"\bcomplain", re.IGNORECASE)
# Words of one meaning, by their stems: to deny one is to deny the others.
_SAME_PROBLEM = (
    frozenset({"angr", "ange", "mad", "furi", "anno", "upse", "frus", "unha"}),
    frozenset({"forg", "lost", "lose", "miss"}),
    frozenset({"canc", "end", "endi", "stop", "unsu", "term"}),
    frozenset({"stol", "stea", "rob", "robb", "thie"}),
)
# Statements that nothing is wrong, such as "on time" of a delivery or "I remember". Denied, they deny nothing.
_NO_PROBLEM = re.compile(
    r"\b(?:on time|ahead of (?:time|schedule)|work(?:s|ed|ing)? (?:fine|well|great|perfectly|again|now|properly)|"
    r"has worked|(?:is|are|was|were) (?:fine|fixed|solved|resolved|sorted|clear|confirmed|polite|"
    r"friendly)|(?:problem|issue|error|trouble|bug) (?:is|has) (?:gone|over|disappeared)|went (?:through|well|fine)|"
    r"(?:got|been) (?:fixed|solved|resolved|sorted|found|accepted|approved)|"
    r"(?:no|without|never had)(?: any| an?| single)* (?:problems?|trouble|issues?|difficult\w+)|"
    r"can (?:\w+ ){0,3}(?:again|now)|still (?:remember|know|have)|I remember(?:ed)? (?:my|the|it)|"
    r"found (?:my|the|it|them)|got (?:my|the) \w+ back|as (?:ordered|promised|planned|described)|"
    r"(?:exactly|just) what I (?:ordered|wanted|needed)|(?:I'm|am|are|is) (?:in|logged in) (?:now|again|already)|"
    r"(?:had|has|is|was|got|arrived|sent) (?:\w+ )?the (?:right|correct) (?:item|one|size|product|model|order)|"
    r"(?:am|is|are|was|feel) (?:\w+ )?(?:happy|satisfied|pleased|glad|calm|relaxed|content))\b",
    re.IGNORECASE,
)
_DENIED_JUST_BEFORE = re.compile(
    r"\b(?:not|never|no|cannot|hardly|nor|if|once|until|was it|\w+n't)(?: \w+){0,2} $", re.IGNORECASE
)
_WORD = re.compile(r"[^\W\d_]{3,}")
# The most characters of a negation's scope, and the most negations of a clause.
_MAX_SCOPE = 200
_MAX_NEGATIONS = 16
# Clauses whose negations are cached for the next definition.
_MAX_CACHED = 256

ShowsEvent = Callable[[str], bool]


class _Negation(NamedTuple):
    """The words of a negation, none where its subject stands before it, and its scope."""

    words: str
    scope: str


def problem_stems(description: str) -> frozenset[str]:
    """Return the stems of the words for a problem or an ending in a description; empty for one about anything else."""
    stems = frozenset().union(*(_same_problem(_stem(match[0])) for match in _PROBLEM.finditer(description)))
    return stems | {_stem("complaint")} if stems and _COMPLAINT.search(description) else stems


def is_denied(clause: str, description: str, problems: frozenset[str], shows_event: ShowsEvent) -> bool:
    """Return True if the scope of a negation names one of the problems or, without problems, shows the event."""
    scopes = [scope for words, scope in _negations(clause) if not words or words not in description]
    if problems:
        return any(_stem(word[0]) in problems for scope in scopes for word in _WORD.finditer(scope))
    return any(shows_event(scope) for scope in scopes if scope)


def denies_interest(clause: str, shows_event: ShowsEvent) -> bool:
    """Return True if a clause says that nobody asks about the event, which its rest shows."""
    match = _NO_INTEREST.search(clause)
    return match is not None and shows_event(clause[match.end() :])


def says_no_problem(clause: str, shows_event: ShowsEvent) -> bool:
    """Return True if a clause says that nothing is wrong, and no other part of it shows the event."""
    match = _NO_PROBLEM.search(clause)
    if match is None or _DENIED_JUST_BEFORE.search(clause[: match.start()]):
        return False
    return not shows_in_rest(clause, match[0], shows_event)


def shows_in_rest(clause: str, part: str, shows_event: ShowsEvent) -> bool:
    """Return True if a clause shows the event without the part of the sentence that has `part`."""
    rest = [other for other in _SCOPE_END.split(clause) if part not in other]
    return any(other.strip() and shows_event(other.strip()) for other in rest)


@functools.lru_cache(maxsize=_MAX_CACHED)
def _negations(clause: str) -> tuple[_Negation, ...]:
    """Return the first negations of a clause that may deny something."""
    exceptions = [match.span() for match in _NO_DENIAL.finditer(clause)]
    of_subject = list(_DENIAL_OF_SUBJECT.finditer(clause))
    others = [match for match in _NEGATION.finditer(clause) if not _is_within(match, [m.span() for m in of_subject])]
    negations = [_of_subject(clause, match) for match in of_subject if not _is_within(match, exceptions)]
    negations += [_of_rest(clause, match) for match in others if not _is_within(match, exceptions)]
    return tuple(negations[:_MAX_NEGATIONS])


def _is_within(match: re.Match[str], spans: list[tuple[int, int]]) -> bool:
    return any(begin <= match.start() < end for begin, end in spans)


def _of_subject(clause: str, match: re.Match[str]) -> _Negation:
    before = clause[max(0, match.start() - _MAX_SCOPE) : match.start()]
    return _Negation("", _SCOPE_END.split(before)[-1].strip())


def _of_rest(clause: str, match: re.Match[str]) -> _Negation:
    after = clause[match.end() : match.end() + _MAX_SCOPE].strip()
    return _Negation(match[0].strip().lower(), _SCOPE_END.split(after, maxsplit=1)[0].strip())


def _stem(word: str) -> str:
    """Return what forms of one word have in common, roughly."""
    return word.lower().removesuffix("s")[:4]


def _same_problem(stem: str) -> frozenset[str]:
    return next((stems for stems in _SAME_PROBLEM if stem in stems), frozenset({stem}))
