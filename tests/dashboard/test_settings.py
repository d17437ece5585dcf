"""Prices: a table in a file; a model that is not in it costs nothing that could be said."""

from __future__ import annotations

from pathlib import Path

import pytest

from phospho_dashboard.settings import Prices, read_prices
from phospho_dashboard.web.formats import format_number, money


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "prices.yaml"
    path.write_text("currency: EUR\nmodels:\n  small: {input: 0.15, output: 0.6}\n  free: {input: 0, output: 0}\n")
    return path


def test_a_price_is_for_a_million_tokens(table: Path) -> None:
    prices = read_prices(table)

    assert prices.currency == "EUR"
    assert prices.cost("small", 2_000_000, 1_000_000) == pytest.approx(0.9)
    assert prices.cost("free", 10, 10) == 0.0
    assert prices.cost("unknown", 10, 10) is None
    assert Prices().cost("small", 1, 1) is None


@pytest.mark.parametrize(
    "text", ["", "models: []", "models: {a: 1}", "models: {a: {input: 1}}", "models: {a: {input: -1, output: 1}}",
             "models: {a: {input: x, output: 1}}", "models: {a: {input: .nan, output: 1}}"],
)  # fmt: skip
def test_a_table_that_can_not_be_read_says_why(tmp_path: Path, text: str) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(text)

    with pytest.raises(ValueError, match=r"prices has 'models'|price of 'a' needs"):
        read_prices(path)


@pytest.mark.parametrize(
    ("number", "form", "text"),
    [
        (1234, "count", "1,234"), (1234, "compact", "1,234"), (12_345, "compact", "12.3k"),
        (1_234_567, "compact", "1.2M"), (0.1234, "percent", "12.3 %"), (0, "percent", "0.0 %"), (840.4, "ms", "840 ms"),
        (1234, "ms", "1.2 s"), (90_000, "ms", "1.5 min"), (None, "ms", "–"),
    ],
)  # fmt: skip
def test_numbers_read_as_people_write_them(number: float | None, form: str, text: str) -> None:
    assert format_number(number, form) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [(None, "–"), (0, "0.00 USD"), (1234.5, "1,234.50 USD"), (0.25, "0.2500 USD"), (0.00012, "0.000120 USD")],
)
def test_money_shows_digits_that_count(amount: float | None, text: str) -> None:
    assert money(amount, "USD") == text
