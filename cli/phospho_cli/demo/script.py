"""The demo's conversations: four kinds, with gaps that are filled with words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Turn:
    """One exchange: ways to ask, ways to answer, ways to fail. `{city}` stands for a word of the session."""

    asks: tuple[str, ...]
    answers: tuple[str, ...]
    failures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Kind:
    """A kind of conversation: it opens, goes on for some of the middle's turns, and mostly closes."""

    name: str
    weight: float
    opening: tuple[Turn, ...]
    middle: tuple[Turn, ...]
    closing: tuple[Turn, ...]


WORDS: dict[str, tuple[str, ...]] = {
    "city": ("Lisbon", "Oslo", "Kyoto", "Montreal", "Naples", "Seville", "Vienna", "Galway", "Porto", "Lyon"),
    "origin": ("Paris", "Berlin", "Madrid", "Dublin", "Zurich", "Prague"),
    "day": ("on Friday", "next Tuesday", "on the 14th", "this weekend", "tomorrow morning", "in two weeks"),
    "people": ("one person", "two people", "the two of us and a child", "four", "a group of six"),
    "price": ("89", "120", "145", "210", "264", "318"),
    "hour": ("7:40", "9:15", "11:05", "14:30", "18:20", "21:10"),
    "amount": ("12.99", "24.00", "49.90", "79.00", "129.50"),
    "order": ("ORD-482913", "ORD-190274", "ORD-775310", "ORD-361908", "ORD-904417"),
    "plan": ("Starter", "Team", "Business"),
    "month": ("March", "June", "August", "last month", "November"),
    "device": ("the tablet app", "the desktop app", "my phone", "the browser extension", "the web page"),
    "fault": (
        "crashes when I open it",
        "shows a blank screen",
        "logs me out",
        "won't sync",
        "is terribly slow",
    ),
    "code": ("E-104", "E-220", "E-317", "E-503"),
    "topic": ("coffee", "hiking", "jazz", "chess", "old films", "gardening", "the sea"),
    "dish": ("mushroom risotto", "lentil soup", "shakshuka", "a plum cake", "pasta al limone"),
}

_THANKS = Turn(
    ("Thanks, that's all!", "Perfect, thank you so much.", "Great, thanks for your help.", "ok thx bye"),
    ("You're welcome! Have a good day.", "Happy to help. Goodbye!", "Any time. Take care!"),
)
_FRUSTRATED = Turn(
    (
        "This is useless. I want to talk to a human.",
        "You're not listening to me. Can I speak to a real person?",
        "I have asked this three times already, this is really frustrating!",
    ),
    (
        "I'm sorry about this. I am passing you on to a colleague, who answers within ten minutes.",
        "I understand, and I apologise. An agent will take over this conversation.",
    ),
    ("I'm sorry, I can't reach an agent right now. Please try again later.",),
)

_TRAVEL = Kind(
    "travel",
    0.3,
    opening=(
        Turn(
            (
                "I need a flight from {origin} to {city} {day}.",
                "Hi! Can you find me a plane to {city} {day}? I'm leaving from {origin}.",
                "looking for cheap flights {origin} -> {city} {day}, for {people}",
            ),
            (
                "There is a direct flight from {origin} to {city} {day} at {hour} for {price} EUR. Shall I book it?",
                "I found three flights to {city}. The cheapest leaves at {hour} and costs {price} EUR.",
            ),
            ("I could not find any flight to {city} {day}.", "Sorry, the airline's system does not answer."),
        ),
        Turn(
            (
                "I'm looking for a hotel in {city} {day} for {people}.",
                "where can I stay in {city}? somewhere quiet",
            ),
            (
                "The Harbour House in {city} has a room {day} for {price} EUR a night, breakfast included.",
                "I'd suggest a small hotel near the old town of {city}: {price} EUR a night, with a garden.",
            ),
            ("I'm afraid every hotel in {city} is full {day}.",),
        ),
    ),
    middle=(
        Turn(
            (
                "Is there anything cheaper?",
                "Do you have something later in the day?",
                "Can I see another option?",
            ),
            (
                "Yes: one at {hour}, which costs 20 EUR less.",
                "There is another one, with a stop of 50 minutes.",
            ),
            ("No, that is the only one I can see.",),
        ),
        Turn(
            (
                "Yes, please book it for {people}.",
                "ok book that one",
                "Go ahead and reserve it, for {people}.",
            ),
            ("Your booking is confirmed. The tickets are on their way to your inbox.", "Done, it is booked."),
            (
                "I was unable to complete the booking. Your card was not charged.",
                "The booking failed. Sorry.",
            ),
        ),
        Turn(
            ("What will the weather be like in {city} {day}?", "Should I pack an umbrella for {city}?"),
            (
                "Mild, about 19 degrees, with some clouds in the afternoon.",
                "Sunny, with a light wind from the west.",
            ),
        ),
    ),
    closing=(_THANKS,),
)

_BILLING = Kind(
    "billing",
    0.25,
    opening=(
        Turn(
            (
                "I was charged {amount} twice in {month}. I want a refund.",
                "Why is there a charge of {amount} EUR on my card? I cancelled in {month}!",
                "Hello, I'd like my money back for {order} please",
            ),
            (
                "I see the charge of {amount} EUR. I have started a refund; it takes three to five days.",
                "You're right, {amount} EUR were taken twice. The second payment is being refunded.",
            ),
            ("I can't find a payment of {amount} EUR on your account.",),
        ),
        Turn(
            ("How much is the {plan} plan?", "What's the difference between {plan} and the free plan?"),
            ("{plan} costs {amount} EUR a month and comes with priority support.",),
        ),
    ),
    middle=(
        Turn(
            ("The order is {order}.", "It's {order}, from {month}.", "my order number: {order}"),
            (
                "Thank you. {order} is paid, and was sent in {month}.",
                "I found {order}: {amount} EUR, paid by card.",
            ),
            ("{order} is not an order that I can see.",),
        ),
        Turn(
            ("Can you send me the invoice for {month}?", "I need a receipt with our VAT number on it."),
            ("The invoice is on its way to your inbox.", "You can download it under Settings, Billing."),
            ("I can't create that invoice at the moment.",),
        ),
        Turn(
            ("Please cancel my {plan} subscription.", "I want to downgrade from {plan}."),
            ("Your {plan} plan ends with this billing period. Nothing more will be charged.",),
        ),
    ),
    closing=(_THANKS,),
)

_SUPPORT = Kind(
    "support",
    0.3,
    opening=(
        Turn(
            (
                "{device} {fault}.",
                "Since the update {device} {fault}. Error {code}. Please help!",
                "hey, {device} {fault} again, can you fix that?",
            ),
            (
                "Sorry to hear that. Please sign out, restart, and sign in again. Does {code} still show?",
                "That is a known issue with {device}. Installing version 4.2 mends it.",
            ),
            ("I don't have any information about {code}.", "I'm not sure what causes this."),
        ),
        Turn(
            ("How do I reset my password?", "I can't log in to my account, the reset mail never comes."),
            ("Use the link that I have just sent to you. It is valid for one hour.",),
            ("I could not send the mail. Please try again in a few minutes.",),
        ),
    ),
    middle=(
        Turn(
            (
                "I did that and it still {fault}.",
                "No, same problem.",
                "That didn't work, error {code} again.",
            ),
            ("Then let us clear the cache: Settings, Storage, Clear. Nothing of yours is lost.",),
            ("I have no other idea, I'm afraid.",),
        ),
        Turn(
            ("Oh great, now it works!", "It works now, you're a star."),
            ("Wonderful! I'm glad that it works again.",),
        ),
        Turn(
            ("Is my data safe?", "Will I lose my files if I reinstall?"),
            ("Yes. Your files are stored on the server and come back when you sign in.",),
        ),
    ),
    closing=(_THANKS,),
)

_SMALLTALK = Kind(
    "smalltalk",
    0.15,
    opening=(
        Turn(
            ("Hi, how are you today?", "Hello! Do you like {topic}?", "Bonjour, tu parles français ?"),
            ("Hello! I'm well, thank you. What can I do for you?", "I like to talk about {topic}. And you?"),
        ),
        Turn(
            ("I'm bored, tell me something about {topic}.", "Tell me a joke about {topic}"),
            ("People have argued about {topic} for centuries, and enjoyed every minute of it.",),
        ),
    ),
    middle=(
        Turn(
            ("Can you recommend a recipe? I fancy {dish}.", "What should I cook tonight?"),
            ("How about {dish}? It takes half an hour and one pan.",),
        ),
        Turn(("haha nice", "I love that!", "Tell me more."), ("Gladly. What else would you like to know?",)),
    ),
    closing=(_THANKS,),
)

KINDS = (_TRAVEL, _BILLING, _SUPPORT, _SMALLTALK)
FRUSTRATED = _FRUSTRATED

COMMENTS = {
    1: ("Quick and clear.", "That was easy!", "Exactly what I needed."),
    0: ("It didn't answer my question.", "Wrong information.", "I had to ask again and again."),
}

DEFINITIONS: tuple[dict[str, Any], ...] = (
    {
        "name": "flight_search",
        "description": "The user is looking for a flight",
        "engine": "semantic",
        "scope": "input",
    },
    {
        "name": "refund_request",
        "description": "The user asks for their money back",
        "engine": "keyword",
        "scope": "input",
        "keywords": ["refund", "money back", "charged twice"],
    },
    {
        "name": "wants_a_human",
        "description": "The user asks for a person",
        "engine": "keyword",
        "scope": "input",
        "keywords": ["a human", "real person", "an agent"],
    },
    {
        "name": "order_number",
        "description": "An order is named",
        "engine": "regex",
        "scope": "task",
        "pattern": r"ORD-\d{6}",
    },
    {
        "name": "assistant_gave_up",
        "description": "The assistant could not do what was asked",
        "engine": "regex",
        "scope": "output",
        "pattern": r"(?i)\b(could not|can't|unable to|no other idea|failed)\b",
    },
)
