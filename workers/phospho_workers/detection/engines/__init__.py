"""
The engines by the name that a definition calls them. A new one is a file here and its line below, and more elsewhere.

Its name is in the contract, `phospho_schemas.messages.Engine`. The field that an engine reads is named in
`phospho_schemas.definitions` and in the check of a file of definitions; one that is in doubt, or that labels teach, is
named where that is asked about (`detection/candidates.py`, `judging/choice.py`, `detection/teaching.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from phospho_workers.detection.engine import Engine
from phospho_workers.detection.engines.keyword import KeywordEngine
from phospho_workers.detection.engines.llm import LlmEngine
from phospho_workers.detection.engines.regex import RegexEngine
from phospho_workers.detection.engines.semantic import SemanticEngine

ENGINES: Mapping[str, type[Engine]] = MappingProxyType(
    {"keyword": KeywordEngine, "regex": RegexEngine, "semantic": SemanticEngine, "llm": LlmEngine}
)
