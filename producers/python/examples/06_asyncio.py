"""Log many conversations at once: `log` does not block the loop, and the last flush runs in a thread."""

import asyncio

import phospho

phospho.init()


async def converse(number: int) -> None:
    session_id = phospho.new_session()
    for turn in range(3):
        await asyncio.sleep(0)
        phospho.log(f"question {turn}", f"answer {turn}", session_id=session_id, user_id=f"user_{number}")


async def main() -> None:
    await asyncio.gather(*(converse(number) for number in range(10)))
    flushed = await asyncio.to_thread(phospho.flush, 10)
    print(f"sent {len(flushed.sent)}")


asyncio.run(main())
