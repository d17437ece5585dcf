"""Lists that ClickHouse can't read in a bounded time, found in lines of JSON."""

from __future__ import annotations

import orjson
import pytest

from phospho_workers.runtime.sparse_lists import has_unreadable_lists, storable


@pytest.mark.parametrize(
    "metadata",
    [
        '{"x": [[[null]]]}',
        '{"x": [[[]]]}',
        '{"x": [1, [2, [3, null]]]}',
        '{"x": [[[1], null], null]}',
        '{"x": {"y": [{"z": [[1, [ [ ] ]]]}]}}',
        '{"x": [[[1, {"y": null}]]]}',
        '{"x":\n[ \t[ [ null ] ] ]}',
        '{"x": [[[null]]], "x": 1}',
        '{"x": [[[null]]], "y": NaN}',
        '{"x": [[[null]]',
    ],
)
def test_sparse_lists_are_found_in_a_line(metadata: str) -> None:
    assert has_unreadable_lists(b'{"task_id": "t", "metadata": %s}' % metadata.encode())


@pytest.mark.parametrize(
    "line",
    [
        b'{"tokens_in": null, "metadata": {"x": [[[1]]]}}',
        b'{"tokens_in": null, "metadata": {"x": [[1, null]]}}',
        b'{"metadata": {"x": [[{"y": [[null]]}]]}}',
        b'{"metadata": {}, "of_a_newer_version": [[[null]]]}',
        b'{"raw_input": "[[[null]]]", "metadata": {"x": "[[[null]]]"}}',
        b"not JSON",
    ],
)
def test_other_lines_have_no_sparse_lists(line: bytes) -> None:
    assert not has_unreadable_lists(line)


def test_storable_value_has_no_sparse_lists() -> None:
    value = {"x": [[[1], None], {"y": [[[]]]}], "z": [None, [2]]}

    stored = storable(value)

    assert not has_unreadable_lists(orjson.dumps({"metadata": stored}))
    assert stored["z"] == [[], [2]]
