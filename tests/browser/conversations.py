"""Made-up conversations of the last four weeks: enough for every chart, the same at every run but for their times."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Any

SESSIONS = 90
ATTACK = "</textarea><script>window.attacked = 1</script><img src=x onerror='window.attacked = 2'>\"'&{{ 7 * 7 }}"

_DAY_S = 86_400
_TURNS = (
    ("I need a flight to {place} on Friday", "There are three flights to {place}. The cheapest leaves at 9:40."),
    ("Is there a hotel near the station?", "Hotel Aurora in {place} is two minutes from it, 120 a night."),
    ("Book it, please", "Your reservation in {place} is confirmed."),
    ("That did not work, I want my money back", "I am sorry. The refund is on its way."),
    ("¿Qué tiempo hace en {place} mañana?", "Mañana hará sol en {place}."),
    ("Thank you, that is all!", "You are welcome. Have a nice trip."),
)
_PLACES = ("Lisbon", "Oslo", "Kyoto", "Quito", "Turin")
_MODELS = ("gpt-4o-mini", "llama-3-8b", "claude-haiku")

DEFINITIONS = """
definitions:
  - {name: flight, engine: keyword, scope: input, keywords: [flight], description: The user is looking for a flight}
  - {name: refund, engine: keyword, scope: input, keywords: [money back], description: The user wants their money back}
  - {name: thanks, engine: keyword, scope: input, keywords: [thank you], description: The user thanks the assistant}
  - {name: booked, engine: regex, scope: output, pattern: "(?i)is confirmed", description: Something was booked}
  - {name: never_found, engine: keyword, scope: input, keywords: [xylophone], description: Nobody says this}
"""


def conversations() -> Iterator[dict[str, Any]]:
    """Yield the logs of SESSIONS sessions, the last of them a minute ago."""
    chance = random.Random(20261121)
    now_s = time.time()
    for session in range(SESSIONS):
        start_s = now_s - 60 - (SESSIONS - 1 - session) * 28 * _DAY_S / SESSIONS
        place, model = chance.choice(_PLACES), chance.choice(_MODELS)
        for turn, (asked, answered) in enumerate(chance.sample(_TURNS, chance.randint(2, len(_TURNS)))):
            log: dict[str, Any] = {
                "session_id": f"trip-{session:03}", "task_id": f"trip-{session:03}-{turn}",
                "user_id": f"traveller-{session % 17:02}", "version_id": "v2" if session % 2 else "v1",
                "client_created_at": start_s + turn, "input": asked.format(place=place),
                "output": answered.format(place=place), "system_prompt": "Help with travel. Be brief.",
                "metadata": {
                    "model": model, "tokens_in": chance.randint(40, 400), "tokens_out": chance.randint(10, 200),
                    "latency_ms": round(chance.lognormvariate(7, 0.5)),
                },
            }  # fmt: skip
            if chance.random() < 0.3:
                log["flag"] = "failure" if "money back" in asked or chance.random() < 0.2 else "success"
            yield log


def attacks() -> Iterator[dict[str, Any]]:
    """Yield a task in which every field that a client may fill tries to run a script."""
    yield {
        "session_id": ATTACK, "task_id": ATTACK, "user_id": ATTACK, "version_id": ATTACK, "input": ATTACK,
        "output": ATTACK, "system_prompt": ATTACK, "flag": "success",
        "metadata": {"model": ATTACK, "latency_ms": 10, "tokens_in": 1, ATTACK.replace(".", ""): ATTACK},
        "raw_input": {"messages": [ATTACK]}, "raw_output": {"text": ATTACK},
    }  # fmt: skip
