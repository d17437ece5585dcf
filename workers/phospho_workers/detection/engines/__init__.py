"""The registry of engines, by the name that a definition calls them. ARCHITECTURE.md has the recipe for a new one."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from phospho_workers.detection.engines.engine import Engine
from phospho_workers.detection.engines.keyword import KeywordEngine
from phospho_workers.detection.engines.llm import LlmEngine
from phospho_workers.detection.engines.regex import RegexEngine
from phospho_workers.detection.engines.semantic import SemanticEngine

_ENGINES: tuple[type[Engine], ...] = (KeywordEngine, RegexEngine, SemanticEngine, LlmEngine)
ENGINES: Mapping[str, type[Engine]] = MappingProxyType({engine.spec.name: engine for engine in _ENGINES})
