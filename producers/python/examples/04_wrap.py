"""Log the calls of functions, coroutines and generators by a decorator."""

import asyncio
from collections.abc import Iterator

import phospho

phospho.init()


@phospho.wrap
def shout(text: str) -> str:
    return text.upper()


@phospho.wrap(metadata={"kind": "async"})
async def whisper(text: str) -> str:
    await asyncio.sleep(0)
    return text.lower()


@phospho.wrap
def spell(text: str) -> Iterator[str]:
    yield from text


print(shout("Hello"))
print(asyncio.run(whisper("Hello")))
print("-".join(spell("Hello")))

phospho.flush()
