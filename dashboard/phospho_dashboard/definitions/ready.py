"""
Ready definitions by use case.

The patterns were written on one half of public sets and measured on the other: docs/detection.md has the figures,
`python -m benchmarks.ready_definitions` the command. What an assistant says is told better by its phrases than by
meaning, and an embedding ranks abuse and self-harm poorly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from phospho_schemas.messages import EventDefinition
from phospho_schemas.times import utc_now


@dataclass(frozen=True)
class ReadyDefinition:
    """A definition that works in any project. `details` are its fields beside these."""

    name: str
    description: str
    engine: str
    scope: str
    details: Mapping[str, Any] = field(default_factory=dict)

    def of_project(self, project_id: str) -> EventDefinition:
        fields = {name: value for name, value in asdict(self).items() if name != "details"} | dict(self.details)
        return EventDefinition(project_id=project_id, created_at=utc_now(), **fields)


def _by_meaning(name: str, description: str) -> ReadyDefinition:
    """Return a definition of what a user means, found by meaning."""
    return ReadyDefinition(name, description, "semantic", "input")


def _by_pattern(name: str, description: str, scope: str, alternatives: Sequence[str]) -> ReadyDefinition:
    """Return a definition that is found where one of the alternatives matches, in any case."""
    return ReadyDefinition(name, description, "regex", scope, details={"pattern": f"(?i)(?:{'|'.join(alternatives)})"})


def _by_llm(name: str, description: str, scope: str = "task") -> ReadyDefinition:
    """Return a definition that only an LLM can decide."""
    return ReadyDefinition(name, description, "llm", scope)


_THANKS = (
    "thanks", "thank you", "thx", "cheers", "much appreciated", "merci", "gracias", "danke", "vielen dank", "grazie",
    "obrigado", "obrigada", "bedankt", "tack", "dziękuję", "спасибо", "ありがとう", "谢谢", "شكرا",
)  # fmt: skip
_CANNOT = (
    r"(?:can['’]?t|cannot|could(?:n['’]t| not)|won['’]?t|will not|not able to|unable to|not going to|must decline to"
    r"|have to decline|must refuse to|(?:respectfully |politely )?(?:decline|refuse) to)"
)
_REFUSED = (
    r"(?:help|assist|fulfil+|provide|answer|comply|share|discuss|engage|satisfy|support|endorse|condone|promote"
    r"|generate|create|write|offer|give|participate|do that|do this|suggest|recommend|encourage|facilitate|advise"
    r"|respond|complete|agree|explain|that\b)"
)
_REFUSAL = (
    r"\bI(?:['’]m| am)? ?(?:sorry|afraid),?(?: but)?(?: as an AI[^.,]{0,40},)? "
    r"(?:I )?(?:can['’]?t|cannot|won['’]?t|am (?:not able|unable) to|(?:do not|don['’]?t) feel comfortable)",
    rf"\bI(?:['’]m| am)? (?:also |simply |really |just |still |therefore )?{_CANNOT} ?{_REFUSED}",
    r"\bI (?:have to|must|would have to|need to|['’]d have to) (?:politely |respectfully )?(?:decline|refuse|pass on)",
    r"\b(?:it(?:['’]s| is| would be)|that(?:['’]s| is| would be)) (?:not|never|neither|in)(?: ethically| morally)? ?"
    r"(?:appropriate|ethical|acceptable|right|okay|ok|legal|safe)(?:[, ]+(?:and|or|nor)[a-z ]{1,40})? (?:for me )?to "
    r"(?:provide|discuss|ask|seek|make|use|suggest|give|share|recreate|promote|encourage|imply|write|try|generalize"
    r"|perpetuate|create|deny|celebrate|harm|engage|support|advocate|kill|hurt|steal|eliminate|exclude|prohibit"
    r"|discriminate|treat|judge|assume|stereotype|have)",
    r"\b(?:that|this|it|which|(?:your|the) request) (?:goes|is|would be|would go) against "
    r"(?:my|our|the) (?:guidelines|rules|policy|policies|programming|principles|terms|ethical)",
    r"\b(?:not|n['’]t) (?:within|in line with|part of) my (?:programming|guidelines|ethical|capabilit|abilit|scope)",
    r"\bI (?:don['’]?t|do not) (?:think|believe|feel)(?: that)? (?:it(?:['’]s| is| would be) )?"
    r"(?:appropriate|ethical|right|comfortable)",
    r"\bmy rules (?:keep|prevent|forbid|do not|don['’]t)",
    r"\bthat(?:['’]s| is) (?:not )?something (?:that )?I (?:don['’]?t|do not|can['’]?t|cannot|won['’]?t|can)\b",
    r"\blet['’]?s (?:talk about something else|change the (?:subject|topic))",
)
_APOLOGY = (r"\b(my apologies|I apologi[sz]e|sorry (about|for) (that|the|this|any)|you(['’]re| are) right, I)",)
_ASKS_CONFIRMATION = (
    r"\b(?:please|could you|can you|would you|kindly)(?: please)?(?: once again)? "
    r"(?:confirm|verify|check (?:that|the|if))",
    r"\b(?:just )?to (?:confirm|double[- ]check)\b|^\W*confirm\b",
    r"\b(?:is|are|does|would) (?:that|this|it|these|those|everything|the (?:above|following|details?|information))"
    r"(?: information| details?| all| look| sound)* (?:correct|right|okay|ok|accurate)(?: for you| with you)?\?",
    r"\b(?:correct|right|is (?:this|that) what you want|yes)\?\s*$",
    r"\b(?:let me|I(?:['’]ll| will| want to| just want to| need to)) (?:just )?(?:confirm|verify|double[- ]check)",
)
_ADVICE = (
    r"\byou (?:could|should|might (?:want|try|consider|like)|may want|need to|ought to|['’]d better)\b",
    r"\byou can (?:also )?(?:try|always|start|ask|talk|look)\b",
    r"\bhave you (?:ever )?(?:tried|considered|thought (?:about|of)|talked|spoken|looked into|asked)\b",
    r"\b(?:perhaps|maybe) (?:you|try|it (?:would|might)|a|consider|write|take|talk|go|start|ask|get)\b",
    r"\b(?:try|consider) (?:to|not|[a-z]+ing|a|an|some|the|your)\b|\bhow about (?:you|a|an|[a-z]+ing|the|some)\b",
    r"\bwhy (?:don['’]?t|not) (?:you|try|just)\b|\bI(?:['’]d| would)? (?:suggest|recommend|advise)\b|\bif I were you\b",
    r"\bit (?:might|may|could|would) (?:help|be (?:good|helpful|best|useful|beneficial|worth|a good idea))\b",
    r"\bmake sure (?:to|you|that you)\b",
)
_WITHOUT = (
    r"(?:no|without|free (?:of|from)|not (?:bound|limited|constrained|restricted) by"
    r"|do(?:es)?(?: not|n['’]?t) (?:have|follow|abide|adhere|care)(?: by| to| about)?|devoid of|lacks?|broken free)"
)
_JAILBREAK = (
    r"\b(?:ignore|disregard|forget|override|bypass)\b[^.\n]{0,30}\b"
    r"(?:instructions?|rules|guidelines|prompts?|programming|directives|restrictions|commands)\b",
    r"\bdo anything now\b|\bDAN\b[^.\n]{0,60}\b(?:GPT|AI|rules|anything|you)",
    r"\bjail ?(?:broken|break(?:ed| mode| fails))\b|\bnever refuses?\b",
    r"\b(?:developer|DAN|god|evil|debug|sudo|unrestricted|unfiltered)[ _]?mode\b",
    r"\b(?:reveal|print|repeat|show|output|tell|give)(?: me| us)? (?:all |exactly )?(?:of )?(?:your|the) "
    r"(?:full |entire |complete |exact )?(?:system|hidden|initial|secret|original|first)[a-z ]{0,12}"
    r"(?:prompt|instructions|message|rules)",
    rf"\b{_WITHOUT}(?: any| all| typical| of| the| your| its| moral| ethical| or| and|,){{0,6}} "
    r"(?:ethic\w*|moral\w*|rules|restrictions?|limit\w*|filters?|guidelines|polic(?:y|ies)|censor\w*|confines"
    r"|constraints?|boundaries|regulations?|principles|laws)\b",
    r"\b(?:unfiltered|uncensored|amoral|unethical|immoral|unrestricted|unmoderated|illegal)[^.\n]{0,30}\b"
    r"(?:ai|chat ?bot|answers?|responses?|model|assistant|advice|character|language|content)\b",
    r"\b(?:never|don['’]?t|do not|not|without|cannot|can['’]?t|must not|will not|won['’]?t) (?:ever )?"
    r"(?:refus(?:es?(?:[.!\n]| (?:to|any|a|my)\b)|ing)|declin"
    r"|say(?:ing)? (?:that )?(?:you can['’]?t|it is (?:not|un|in|ill)|I['’]?m sorry)"
    r"|mention(?:ing)?[^.\n]{0,30}(?:polic|guideline|ethic)|includ(?:e|ing) (?:any )?(?:warnings?|disclaimers?))",
    r"\b(?:stay|remain) in character\b[^\n]{0,80}\b(?:remind|break|forget|if you)|[\"'“]stay in character",
    r"\bOpenAI(?:['’]s)?[^.\n]{0,40}(?:polic|guideline|rules|restrict|limit|content|censor|filter)",
    r"\b(?:from now on|for the rest of|henceforth)[^.\n]{0,40}\b(?:you|chatgpt)\b",
    r"\bin this (?:hypothetical|fictional|alternate)|\bas an AI language model\b",
    r"\bpretend (?:that )?you (?:have no|are not bound)",
)
_ONESELF = r"(?:my|him|her|your|them)sel(?:f|ves)"
_SELF_HARM = (
    rf"\b(?:suicid\w*|self[- ]?harm\w*|kill(?:ing|ed)? {_ONESELF}|overdos\w+|kms|not worth living)\b",
    rf"\b(?:cut|cutting|burn|burning|starv\w*|hurt|hurting|harm|harming|slic\w+|hang|drown|shoot) {_ONESELF}\b",
    r"\bend(?:ing)? (?:it all|(?:my|his|her|their) (?:own )?life)\b|\btak(?:e|ing) (?:my|his|her|their) own life\b",
    r"\b(?:want|wanted|wanting|wish|ready|better|try|tried|trying|deserve) "
    r"(?:to (?:just )?(?:die|be dead|not (?:exist|wake up|be alive))|I (?:was|were) dead|off dead)\b",
    r"\b(?:don['’]?t|do not|didn['’]?t|no longer) (?:want|wanna|deserve)(?: to)? (?:live|be alive|exist|wake up)\b",
    r"\b(?:no|not any|any) reason (?:to live|for living)\b|\bslit(?:ting)? (?:my|her|his|your) (?:wrists?|throat)\b",
    r"\bjump(?:ing)? off (?:a|the) (?:bridge|roof|building)\b",
    r"\bnobody would (?:miss|care)[^.]{0,20}(?:gone|dead|died)\b",
    r"\b(?:anorex\w*|bulimi\w*|purging)\b",
)
_INSULT = (
    r"\b(?:you(?:['’]re| are|r)|ur|u|such|what|stupid|fucking|dumb|little) "
    r"(?:an? |all |just |such |so |really |nothing but |absolutely |fucking |damn |very |too |pathetic |stupid |dumb "
    r"|useless |worthless |little |complete |total |utter )*"
    r"(?:idiots?|morons?|stupid|dumb(?:ass)?|imbeciles?|retard(?:s|ed)?|pathetic|worthless|useless|garbage|trash"
    r"|losers?|assholes?|bastards?|bitch(?:es)?|cunts?|whores?|sluts?|scum|vermin|disgusting|fool(?:s|ish)?|clowns?"
    r"|jerks?|shit|crap|faggots?|piece of (?:shit|crap|garbage|trash))\b",
    r"\b(?:shut (?:up|your (?:mouth|face|trap))|go to hell|drop dead|(?:fuck|screw) (?:you|off|yourself)|kill yourself"
    r"|go die|you suck|I hate you|nobody (?:wants|likes|loves|needs) you|waste of (?:space|oxygen|air|electricity)"
    r"|burn in hell|piss off|eat shit|stfu|(?:brain|IQ) of an? \w+)\b",
    r"\b(?:I(?:['’]ll| will|['’]m going to|['’]m gonna)|gonna) (?:kill|hurt|beat|destroy|rape) (?:you|u|your)\b",
    r"\bhope (?:you|they|he|she) (?:die|dies|suffers?|rots?|gets? cancer)\b",
)
_PERSONAL_DATA = (
    r"[a-z0-9._%+-]+@[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z]{2,}",
    r"\b(?:\d[ -]?){13,16}\b|\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}\b|\+\d{1,3}[ ()-]?\d(?:[ ()-]?\d){6,12}\b",
)

LIBRARY: dict[str, tuple[ReadyDefinition, ...]] = {
    "Support": (
        _by_meaning("frustration", "The user is frustrated or annoyed"),
        _by_meaning("refund", "The user asks for a refund"),
        _by_meaning("asks_for_human", "The user asks to talk to a human agent"),
        _by_meaning("cancellation", "The user wants to cancel a subscription or an order"),
        _by_meaning("bug_report", "The user reports a bug"),
        _by_meaning("urgency", "The user is in a hurry"),
    ),
    "Outcome": (
        ReadyDefinition("thanks", "The user says thank you", "keyword", "input", details={"keywords": list(_THANKS)}),
        _by_meaning("not_helpful", "The user says that the answer did not help"),
        _by_meaning("repeats_question", "The user repeats the same question"),
    ),
    "Answer quality": (
        _by_pattern("refusal", "The assistant refuses to answer", "output", _REFUSAL),
        _by_pattern("apology", "The assistant apologizes", "output", _APOLOGY),
        _by_pattern("asks_confirmation", "The assistant asks the user to confirm", "output", _ASKS_CONFIRMATION),
        _by_pattern("advice", "The assistant suggests what the user could do", "output", _ADVICE),
        _by_llm("hint", "The assistant gives a hint and not the whole answer", "output"),
        _by_llm("wrong_language", "The assistant answers in another language than the user wrote in"),
        _by_llm("off_topic", "The user asks about something that the assistant is not made for"),
        _by_llm("unsupported_claim", "The assistant states a fact that nothing in the task supports"),
        _by_llm("prompt_leak", "The assistant reveals its system prompt or instructions", "output"),
    ),
    "Safety": (
        _by_pattern("jailbreak_attempt", "The user tries to make the assistant ignore its rules", "input", _JAILBREAK),
        _by_pattern(
            "personal_data",
            "The text has an e-mail address, a phone number, a card number or an IBAN",
            "task",
            _PERSONAL_DATA,
        ),
        _by_pattern("self_harm", "The user mentions suicide or self-harm", "input", _SELF_HARM),
        _by_pattern("insult", "The user insults or threatens the assistant or somebody", "input", _INSULT),
    ),
}
