"""Requests of a few kinds, as users of a shop would write them."""

from __future__ import annotations

from itertools import product

_THINGS = ("blue shoes", "winter coat", "gift card", "phone case", "garden chair", "coffee machine", "bicycle", "lamp")
_ENDS = ("", " today", " please", " that I bought", " for my sister", " as soon as possible")
_STARTS = {
    "delivery": ("where is the delivery of the", "track the parcel with the", "when does the courier bring the"),
    "refund": ("I want my money back for the", "refund the", "please pay me back for the"),
    "invoice": ("send me the invoice of the", "I need a VAT receipt for the", "email the bill for the"),
    "broken": ("the screen is cracked on the", "it is broken and won't switch on, the", "repair the damaged"),
}
REQUESTS = {
    topic: [f"{start} {thing}{end}" for end, thing, start in product(_ENDS, _THINGS, starts)]
    for topic, starts in _STARTS.items()
}
NEW_REQUESTS = [
    f"{start} {day}{end}"
    for start, day, end in product(
        ("book an appointment with a hairdresser", "reserve a haircut", "schedule a visit at the barber"),
        ("on Monday", "on Friday morning", "next week", "tomorrow"),
        ("", " please", " for two"),
    )
]


NEAR_REQUESTS = [
    f"{start}{what}{end}"
    for start, what, end in product(
        ("the courier was rude", "the courier who brought the parcel was impolite", "a rude courier"),
        (" at the door", " to my mother", " on the phone"),
        ("", " today", " again", " this morning"),
    )
]


def mixed(*topics: str) -> list[tuple[str, str]]:
    """Return pairs of a request and its topic, the topics taking turns."""
    by_topic = [[(text, topic) for text in REQUESTS[topic]] for topic in topics or REQUESTS]
    return [pair for pairs in zip(*by_topic, strict=True) for pair in pairs]
