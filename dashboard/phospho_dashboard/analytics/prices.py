"""What tokens cost: a table that the deployment gives. Nothing is assumed of a model that is not in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

TOKENS_OF_A_PRICE = 1_000_000


@dataclass(frozen=True)
class Price:
    """Of one model, for a million tokens in and a million out, in the currency of the table."""

    tokens_in: float
    tokens_out: float


@dataclass(frozen=True)
class Prices:
    """The prices of models by their exact name."""

    currency: str = "USD"
    models: Mapping[str, Price] | None = None

    def of(self, model: str) -> Price | None:
        """Return the price of a model, None where the table has none."""
        return (self.models or {}).get(model)

    def cost(self, model: str, tokens_in: int, tokens_out: int) -> float | None:
        """Return what these tokens cost, None where the table does not have the model."""
        price = self.of(model)
        if price is None:
            return None
        return (tokens_in * price.tokens_in + tokens_out * price.tokens_out) / TOKENS_OF_A_PRICE


def read_prices(path: Path) -> Prices:
    """
    Return the prices in a YAML file; ValueError says what is wrong with it.

    `currency: USD`, and `models:` with, for each, `{input: 0.15, output: 0.60}`: for a million tokens.
    """
    content = yaml.safe_load(path.read_text("utf-8"))
    if not isinstance(content, dict) or not isinstance(content.get("models"), dict):
        raise ValueError(f"{path}: a table of prices has 'models'")
    models = {str(name): _price(str(name), price) for name, price in content["models"].items()}
    return Prices(str(content.get("currency", "USD")), models)


def _price(model: str, price: Any) -> Price:
    try:
        sides = float(price["input"]), float(price["output"])
    except (TypeError, KeyError, ValueError):
        sides = (-1.0, -1.0)
    if not all(0 <= side < 1e9 for side in sides):
        raise ValueError(f"the price of {model!r} needs 'input' and 'output': numbers, for a million tokens")
    return Price(*sides)
