"""Write events to a text stream: a transport is one method."""

import io
from collections.abc import Sequence

import phospho
from phospho.models import Event


class LinesTransport(phospho.Transport):
    """Writes each event as a line of JSON."""

    def __init__(self) -> None:
        self.lines = io.BytesIO()

    def send(self, events: Sequence[Event]) -> list[phospho.Outcome]:
        for event in events:
            self.lines.write(event.encoded() + b"\n")
        return [phospho.Outcome.accepted() for _ in events]


transport = LinesTransport()
phospho.init(transport=transport)
phospho.log(input="Hello", output="Hi!")
phospho.flush()
print(transport.lines.getvalue().count(b"\n"))
