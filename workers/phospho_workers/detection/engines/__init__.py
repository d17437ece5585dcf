"""
The registry of engines, by the name that a definition calls them.

To add an engine: write its class in a module here, add the class to the tuple below, add its declaration to
`phospho_schemas.definitions.engines.ENGINE_SPECS` and its name to `phospho_schemas.messages.Engine`.
"""

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
