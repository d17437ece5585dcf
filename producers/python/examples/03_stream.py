"""Log an answer in chunks: the task is sent when the stream ends."""

from collections.abc import Iterator

import phospho

phospho.init()


def answer() -> Iterator[str]:
    yield from ("Six ", "times ", "seven.")


stream = phospho.MutableGenerator(answer())
phospho.log(input="What is 42?", output=stream, stream=True)
for chunk in stream:
    print(chunk, end="")
print()

phospho.flush()
