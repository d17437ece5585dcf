"""The OpenAPI operations of judgements."""

from __future__ import annotations

from phospho_web.openapi import ANY_OBJECT, NUMBER, Operation, query_parameter


def judgement_operations() -> list[Operation]:
    """Return the operation of the usage of judgements."""
    days = query_parameter("days", NUMBER, "how many days, today included; 7 unless given")
    return [Operation("get", "/llm-usage", "Cost of judgements by day", ANY_OBJECT, parameters=(days,))]
