"""Settings of the judges: an LLM, a local encoder, both or neither."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from phospho_schemas.settings import setting

_MILLION = 1_000_000

_Price = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]


def _checked_url(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise ValueError("it must begin with http:// or https://")
    return text.rstrip("/")


def _checked_key(text: str) -> str:
    if not (text.isascii() and text.isprintable()):
        raise ValueError("it has characters that no header can carry; copy it again")
    return text


@dataclass(frozen=True)
class LlmSettings:
    """
    Settings of an LLM that judges events, behind OpenAI's chat API.

    `timeout_s` limits one attempt as a whole, however slowly its bytes arrive.
    """

    base_url: Annotated[str, AfterValidator(_checked_url)] = setting(
        help="URL of a server with OpenAI's chat API, which judges uncertain events; without it no LLM is asked.",
        variable="PHOSPHO_LLM_BASE_URL",
    )
    model: str = setting(help="Name of a model of PHOSPHO_LLM_BASE_URL.", variable="PHOSPHO_LLM_MODEL")
    api_key: Annotated[str, AfterValidator(_checked_key)] = setting(
        "", "Key for PHOSPHO_LLM_BASE_URL.", variable="PHOSPHO_LLM_API_KEY", is_secret=True
    )
    usd_per_million_in: _Price = setting(
        0.0, "US dollars for a million input tokens.", variable="PHOSPHO_LLM_USD_PER_MILLION_TOKENS_IN"
    )
    usd_per_million_out: _Price = setting(
        0.0, "US dollars for a million output tokens.", variable="PHOSPHO_LLM_USD_PER_MILLION_TOKENS_OUT"
    )
    concurrency: Annotated[int, Field(ge=1, le=256)] = setting(
        8, "Requests to the LLM at the same time.", variable="PHOSPHO_LLM_CONCURRENCY"
    )
    timeout_s: Annotated[float, Field(ge=0.1, le=600, allow_inf_nan=False)] = setting(
        30.0, "Time for one attempt.", variable="PHOSPHO_LLM_TIMEOUT_S"
    )
    attempts: int = 3

    @property
    def host(self) -> str:
        """The host of `base_url`, without credentials or a path."""
        return urlsplit(self.base_url).hostname or ""

    def usd(self, tokens_in: int, tokens_out: int) -> float:
        """Return the price of so many tokens."""
        return (tokens_in * self.usd_per_million_in + tokens_out * self.usd_per_million_out) / _MILLION


@dataclass(frozen=True)
class EncoderSettings:
    """Settings of a local encoder that judges events."""

    folder: Path = setting(
        help="Folder with model.onnx and tokenizer.json of an encoder that judges uncertain events.",
        variable="PHOSPHO_ENCODER_DIR",
    )
    threshold: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)] | None = setting(
        None, "Score from which the encoder confirms an event.", variable="PHOSPHO_ENCODER_THRESHOLD"
    )


@dataclass(frozen=True)
class JudgeSettings:
    """The judges of a process. Without any, nothing is imported for them."""

    llm: LlmSettings | None = None
    encoder: EncoderSettings | None = None

    @property
    def is_configured(self) -> bool:
        return self.llm is not None or self.encoder is not None


NO_JUDGES = JudgeSettings()
