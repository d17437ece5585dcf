"""
Mentions: texts about an event that do not mean it, in English.

Somebody asks for a text about it, quotes it, tells what others did, or asks about people in general.
"""

from __future__ import annotations

import functools
import re

import re2

# Rules read this much of a text.
MAX_TEXT_CHARACTERS = 4_000
# Characters on either side of a clause in which a mention is looked for.
_CONTEXT = 200
# Texts whose mentions are kept, since several definitions are often found in one: at most 4 MB.
_MAX_CACHED = 256

_REQUEST = (
    r"(?:please |can you |could you |would you |help me (?:to )?|i want you to |i need you to )*"
    r"(?P<verb>writ|draft|compos|translat|summari|paraphras|rephras|rewrit|proofread|correct|generat|imagin|invent|"
    r"explain|list|design|defin|compare|calculat|roleplay|role[ -]play)"
)
_PEOPLE = (
    r"(?:brother|sister|mother|father|mom|mum|dad|parents?|grand(?:mother|father|ma|pa|parents)|wife|husband|partner|"
    r"girlfriend|boyfriend|ex|friends?|boss|colleagues?|co-?workers?|customers?|clients?|users?|neighbou?rs?|cousin|"
    r"uncle|aunt|niece|nephew|(?:room|flat|class|team)mates?|teachers?|students?|sons?|daughters?|kids?|child(?:ren)?|"
    r"managers?|passengers?|guests?|patients?|reviewers?|authors?|heroe?s?|people|visitors?|companies|shoppers?|buyers?|"
    r"sellers?|prospects?|members?|tenants?|workers?|employees?|seniors|teen(?:ager)?s?|"
    r"(?:wo)?m[ae]n|lady|gentleman|guys?|girls?|boys?|fans?|players?|gamers?|singer|minister|farmers?|fellow|banks|shops|"
    r"firms|teams|doctors?|lawyers?|cat|dog)"
)
_WRITINGS = (
    r"(?:list|words?|synonyms?|titles?|headlines?|subject lines?|slogans?|captions?|examples?|reasons|quotes?|tweet|"
    r"post|story|poem|e-?mail|essay|article|template|summary|song|joke|dialogue|FAQ|ad|advert|poster|flyer|banner|sign|form|"
    r"page|dialog|dashboard|chart|graph|report|button|icon|logo|name|character|checklist|script|survey|quiz|SMS|policy|"
    r"statement|query|test|ticket|card|scene|reply|answer)"
)
_FICTION = (
    r"(?:novel|book|film|movie|story|game|play|song|series|show|episode|sitcom|documentary|sketch|comic|tale|lyrics)"
)
_SOURCES = (
    r"(?:article|study|survey|report|review|law|paper|poster|headline|news|critic|book|sign|status page|label|ticket|"
    r"form|card|banner|button|link|title|caption|heading|subject|message|page)"
)
_SAID = (
    r"(?:says?|said|reads?|states?|stated|describes?|claims?|claimed|promised|found|wrote|shows|tells|told|is titled)"
)
# The groups match what is mentioned.
_MENTIONS = (
    re.compile(
        rf"\b(?:make|give me|create|suggest|add|build) (?:me )?(?:an? |the |some |\w+ )?{_WRITINGS} "
        r"(?:of|for|about|to|on|in|that|who|with|labelled|format|template)\b|"
        r"\bfind (?:me )?(?:\w+ )?(?:synonyms?|examples?|words?|quotes?|titles?) (?:of|for)\b",
        re.IGNORECASE,
    ),
    re.compile(
        r"\b(?:make (?:this|it|that) sound|turn (?:this|it|the following)(?: \w+)? into|"
        r"fix (?:the|my|all) (?:typos|grammar|spelling)|correct (?:my |the )?(?:grammar|english)|"
        r"role-?play|pretend|act as an?|you are an? \w+ (?:who|and)|labelled|entitled)\b|"
        r"^\W*(?:title|subject|headline|heading|quote)\b.{0,20}:",
        re.IGNORECASE,
    ),
    re.compile(
        rf"\b(?:an?|the|this|that|our|some|recent) (?:\w+ )?{_SOURCES} {_SAID}\b|"
        r"\b(?:says?|wrote|writes) (?:the|an?|my|our) \w+\W*$|\baccording to (?:the|an?|my|our) \w+|"
        r"\b(?:it|that|which) says\b|\bdifference between\b|"
        r"\b(?:the|a) (?:\w+ )?(?:word|phrase|sentence|term|expression)\b|\b(?:opposite|economics|symptoms) of\b|"
        r"\b(?:read|saw|watched|heard) (?:\w+ ){0,3}"
        r"(?:article|news|story|book|film|movie|report|study|Reddit|Twitter)\b",
        re.IGNORECASE,
    ),
    re.compile(
        r"\bwhat(?:'s| is| does| do| are)\b(?: the (?:word|phrase|sentence|term|expression)\b)?(.*)"
        r"\b(?:mean|means|meaning|definition|word)\b",
        re.IGNORECASE,
    ),
    re.compile(r"^\W*(?:what is|what's) (?:an? )?(\S+) (?:in|on) \w+\W*$", re.IGNORECASE),
    re.compile(
        r"\bhow (?:do|does|would|should|can) (?:you|one|i|we) (?:say|write|spell|word|phrase|put)\b|"
        r"\bhow are \w+ \w+ usually\b|\bis [\"'](.{5,80})[\"'] (?:correct|right|good|proper)\b",
        re.IGNORECASE,
    ),
    re.compile(rf"\bin (?:my|the|an?|his|her|this|one) (?:\w+ )?{_FICTION}\b", re.IGNORECASE),
    re.compile(r"\b(?:synonyms?|definition|examples?|statistics|meaning) (?:of|on|for)\b", re.IGNORECASE),
)
# In RE2 at a tenth of the time: most texts have none of them.
_MENTION = re2.compile(
    "(?i)" + "|".join(f"(?:{pattern.pattern})" for pattern in _MENTIONS).replace(r"\w", r"[\w\x{80}-\x{10FFFF}]")
)
_REQUESTS = re.compile(rf"^\W*{_REQUEST}", re.IGNORECASE)
_VERB = (
    r"(?:is|are|was|were|has|have|had|can|can't|cannot|could|would|will|won't|does|doesn't|did|didn't|do|says?|wants?|"
    r"wanted|asks?|asked|needs?|needed|looks?|seems?|feels?|felt|got|gets?|lost|forgot|told|paid|left|took|bought|broke|"
    r"thinks?|thought|keeps?|kept|went|goes|gave|sought|found|sued|quit|ate|eats?|\w+ed)"
)
# A clause about somebody else, or about people in general.
_OTHERS = re.compile(
    rf"^\W*(?:(?:but|and|so|because|that|today|yesterday|well|in \w+) )*(?:(?:he|she|they)|"
    rf"(?:my|his|her|our|their|the|an?|one of (?:my|our)|some|many|most|several) (?:\w+ ){{0,2}}{_PEOPLE}"
    rf"(?:'s? (?:\w+ )?\w+)?(?: of (?:mine|ours))?(?:, \w+,| in front of me| sometimes| often)?|"
    rf"(?:his|her|their) \w+|{_PEOPLE}) {_VERB}\b(?! and i\b)|"
    rf"\b(?:what|how|why|which|when|if|whether|does|do|would|can|should|might|must|are|have) (?:so )?"
    rf"(?:an? |the |most |many |other |some |more |of )?(?:\w+ )?{_PEOPLE} (?!i\b|and i\b)\w+|"
    rf"\b(?:when|if|whether|would|does|that|how) (?:someone|somebody|anyone|anybody|everyone)\b|"
    rf"\b{_PEOPLE} who(?:se)?\b|\b(?:lots|many|most|some|one) of (?:our|my|the|these) {_PEOPLE}\b|"
    rf"\b(?:should|could|must) (?:an? |the |our )?{_PEOPLE} \w+|^\W*what if\b|"
    r"\b(?:he|she|they|someone|somebody|(?:my|his|her|our|the|a|an) \w+) "
    r"(?:said|says|told|wrote|shouted|asked|claims|claimed|reads)\b",
    re.IGNORECASE,
)
# Questions about how things are in general, if nobody in them is the user.
_IN_GENERAL = re.compile(
    r"^\W*(?:(?:and|so|but|hi|hey|well)[ ,]+)*(?:how (?:many|often|common|long is an?|much do)\b|"
    r"what (?:percentage|share|proportion|'s the best way|counts as|happens|if|does \w+ say|do \w+ say|"
    r"foods?|would happen)\b|what's (?:the best|a polite|a good|an? average|the average)|which \w+ \w+ exist|"
    r"(?:how|why|what|which)? ?\b(?:do|does|did) "
    r"(?!you|i|we|it|they|this|that|these|my|our|your|the|there|all|any|some)\w+ (?!i\b)\w+|"
    r"why (?:is|are|do|does|did|would) (?!it|my|this|that|the|i|you|we|there)\w+|"
    r"explain (?:how|why|what)|if an? \w+ \w+)",
    re.IGNORECASE,
)
_FIRST_PERSON = re.compile(r"\b(?:i|i'm|i've|i'd|i'll|me|my|mine|we|we're|we've|us|our)\b", re.IGNORECASE)
_LONG_AGO = re.compile(
    r"^\W*(?:last year|\w+ years ago|my last)\b|\bI (?:\w+ ){1,5}years ago and\b|\bback then\b", re.IGNORECASE
)
_QUOTED = re.compile("[\"“„«]([^\"“”„«»]{3,})[\"”“»]|(?<!\\w)['‘]([^'‘’]{3,})['’](?!\\w)")
_WORD = re.compile(r"[^\W\d_]{3,}")


@functools.lru_cache(maxsize=_MAX_CACHED)
def others_in(clause: str) -> str:
    """Return the words by which a clause is about somebody else, people in general or the past; empty without any."""
    match = _OTHERS.search(clause) or _LONG_AGO.search(clause)
    if match is None and _FIRST_PERSON.search(clause) is None:
        match = _IN_GENERAL.search(clause)
    return "" if match is None else match[0]


def verb_of_request(text: str) -> str:
    """Return the verb by which a text asks for another text, empty where it asks for none."""
    request = _REQUESTS.search(text[:_CONTEXT])
    return "" if request is None else request["verb"].lower()


def mention_in(text: str, clause: str) -> str:
    """Return the words that make the text around a clause a mention, without what they mention; empty for none."""
    return _mention(_around(text[:MAX_TEXT_CHARACTERS], clause))


def is_quoted(text: str, clause: str) -> bool:
    """Return True if most words of a clause are in a quotation of its text."""
    words = {word.lower() for word in _WORD.findall(clause)}
    return any(_is_within(words, quote) for quote in _quotes(text[:MAX_TEXT_CHARACTERS]))


def _around(text: str, clause: str) -> str:
    """Return a short text, or of a long one what is around a clause."""
    if len(text) <= 2 * _CONTEXT:
        return text
    begin = max(0, text.find(clause))
    return text[max(0, begin - _CONTEXT) : begin + len(clause) + _CONTEXT]


@functools.lru_cache(maxsize=_MAX_CACHED)
def _mention(text: str) -> str:
    match = _MENTION.search(text)
    if match is None:
        return ""
    words = str(match[0])
    for mentioned in filter(None, match.groups()):
        words = words.replace(mentioned, " ")
    return words


@functools.lru_cache(maxsize=_MAX_CACHED)
def _quotes(text: str) -> list[frozenset[str]]:
    quotes = [quote[1] or quote[2] or "" for quote in _QUOTED.finditer(text)]
    return [frozenset(word.lower() for word in _WORD.findall(quote)) for quote in quotes]


def _is_within(words: set[str], quoted: frozenset[str]) -> bool:
    return bool(words) and bool(quoted) and len(words & quoted) * 3 >= len(quoted) * 2
