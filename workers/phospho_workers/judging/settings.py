"""Who gives judgements, as the environment says it; read once, where a process is put together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

_MILLION = 1_000_000


class BadJudgeSettings(ValueError):
    """A variable can't be used; the text says which and why."""


@dataclass(frozen=True)
class LlmSettings:
    """
    A server that speaks OpenAI's chat API.

    The prices are in US dollars a million tokens. `timeout_s` bounds one attempt as a whole, however slowly its
    bytes drip.
    """

    base_url: str
    model: str
    api_key: str = field(default="", repr=False)
    usd_per_million_in: float = 0.0
    usd_per_million_out: float = 0.0
    concurrency: int = 8
    timeout_s: float = 30.0
    attempts: int = 3

    @property
    def host(self) -> str:
        """The host that is asked, without what the URL may hold beside it."""
        return urlsplit(self.base_url).hostname or ""

    def usd(self, tokens_in: int, tokens_out: int) -> float:
        """Return what so many tokens cost."""
        return (tokens_in * self.usd_per_million_in + tokens_out * self.usd_per_million_out) / _MILLION


@dataclass(frozen=True)
class EncoderSettings:
    """A folder with `model.onnx` and `tokenizer.json`, and from which score on the encoder says yes."""

    folder: Path
    threshold: float | None = None


@dataclass(frozen=True)
class JudgeSettings:
    """Who there is to ask; with neither, nobody is asked and nothing is imported."""

    llm: LlmSettings | None = None
    encoder: EncoderSettings | None = None

    @property
    def is_configured(self) -> bool:
        return self.llm is not None or self.encoder is not None


NOBODY = JudgeSettings()


def judges_from_environment(environment: Mapping[str, str]) -> JudgeSettings:
    """Return what PHOSPHO_LLM_* and PHOSPHO_ENCODER_* say. Raises BadJudgeSettings."""
    return JudgeSettings(_llm(environment), _encoder(environment))


def _llm(environment: Mapping[str, str]) -> LlmSettings | None:
    base_url = environment.get("PHOSPHO_LLM_BASE_URL", "").strip().rstrip("/")
    if not base_url:
        return None
    if not base_url.startswith(("http://", "https://")):
        raise BadJudgeSettings(f"PHOSPHO_LLM_BASE_URL must begin with http:// or https://, not {base_url[:60]!r}")
    model = environment.get("PHOSPHO_LLM_MODEL", "").strip()
    if not model:
        raise BadJudgeSettings("PHOSPHO_LLM_MODEL is not set: say which model of PHOSPHO_LLM_BASE_URL is asked")
    api_key = environment.get("PHOSPHO_LLM_API_KEY", "").strip()
    if not (api_key.isascii() and api_key.isprintable()):
        raise BadJudgeSettings("PHOSPHO_LLM_API_KEY has characters that no header can carry")
    return LlmSettings(
        base_url,
        model,
        api_key,
        usd_per_million_in=_number(environment, "PHOSPHO_LLM_USD_PER_MILLION_TOKENS_IN", 0.0),
        usd_per_million_out=_number(environment, "PHOSPHO_LLM_USD_PER_MILLION_TOKENS_OUT", 0.0),
        concurrency=int(_number(environment, "PHOSPHO_LLM_CONCURRENCY", 8, least=1, most=256)),
        timeout_s=_number(environment, "PHOSPHO_LLM_TIMEOUT_S", 30.0, least=0.1, most=600.0),
    )


def _encoder(environment: Mapping[str, str]) -> EncoderSettings | None:
    folder = environment.get("PHOSPHO_ENCODER_DIR", "").strip()
    if not folder:
        return None
    given = environment.get("PHOSPHO_ENCODER_THRESHOLD", "").strip()
    return EncoderSettings(Path(folder), _number(environment, "PHOSPHO_ENCODER_THRESHOLD", 0.5) if given else None)


def _number(
    environment: Mapping[str, str], name: str, default: float, *, least: float = 0.0, most: float = 1e6
) -> float:
    text = environment.get(name, "").strip()
    try:
        number = float(text) if text else default
    except ValueError:
        raise BadJudgeSettings(f"{name}={text!r} is not a number") from None
    if not (math.isfinite(number) and least <= number <= most):
        raise BadJudgeSettings(f"{name}={text!r} is not between {least:g} and {most:g}")
    return number
