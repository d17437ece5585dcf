"""Lines that nest too deep, told apart from lines that only hold many brackets."""

from __future__ import annotations

import pytest

from phospho_workers.runtime.json_bytes import is_too_deep

LINE_BYTES = 2_000_000
BRACKETS = b"[" * 200


@pytest.mark.parametrize(
    ("line", "too_deep"),
    [
        (b"[" * 102 + b"]" * 102, False),
        (b"[" * 103 + b"]" * 103, True),
        (b"[]" * 500, False),
        (b'{"text":"' + BRACKETS + b'"}', False),
        (b'{"text":"\\"' + BRACKETS + b'"}', False),
        (b'{"text":"\\\\"' + BRACKETS + b"}", True),
        (b'{"text":"' + BRACKETS, False),
        (b'{"text":"' + BRACKETS + b"\\", False),
        (BRACKETS + b'"text', True),
    ],
)
def test_is_too_deep_counts_the_brackets_outside_of_strings(line: bytes, too_deep: bool) -> None:
    assert is_too_deep(line) is too_deep


@pytest.mark.timeout(60)
@pytest.mark.parametrize("part", [b'\\"', b'"', b'\\\\"', b'"\\', b"x", b'x"[', b"\\"])
@pytest.mark.parametrize("start", [b"", b'"'])
def test_is_too_deep_is_linear_in_a_hostile_line(start: bytes, part: bytes) -> None:
    """A quadratic scan would take hours, and the sink's thread with it."""
    line = BRACKETS + start + part * (LINE_BYTES // len(part))
    assert is_too_deep(line)
