"""The functions that users' SQL may call: those that only compute, by the engine's own catalogue."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from difflib import get_close_matches

from phospho_store.store import Store

# Categories of system.functions all of whose members compute from their arguments, but for _DENIED and _SLOW. Not
# among them: AI (network), Dictionary, Embedded Dictionary, Machine Learning (models), Introspection, Internal, Other
# (files, settings, the server's names, joinGet, sleep; and lowCardinalityKeys, which shows values of filtered rows),
# Time Series (shared state), Bitmap (reads the inner bytes of a state), Encryption.
_CATEGORIES = frozenset(
    {
        "Arithmetic", "Arrays", "Bit", "Comparison", "Conditional", "Dates and Times", "Distance",
        "Encoding", "Financial", "Geo", "Hash", "IP Address", "JSON", "Logical", "Map", "Mathematical", "Null",
        "Random Number", "Rounding", "String", "String Replacement", "String Search", "String Splitting",
        "Time Window", "Tuple", "Type Conversion", "URL", "UUID",
    }
)  # fmt: skip
# arrayReduce calls any aggregate by name, those of _COMBINATORS' exceptions among them. formatRow and groupFormat take
# any output format, with what it reads. format is also a table function, whose structure may hold expressions.
_DENIED = frozenset(
    {
        "arrayReduce", "arrayReduceInRanges", "chdb", "flameGraph", "format", "formatRow", "formatRowNoNewline",
        "groupFormat", "serverTimezone",
    }
)  # fmt: skip
# ClickHouse looks at its clock between blocks of rows, not within a function. The time of these grows with the square
# of one value's length (or with a pattern that Hyperscan compiles), so that one call may take minutes.
_SLOW = frozenset(
    {
        "arrayAutocorrelation", "arrayLevenshteinDistance", "arrayLevenshteinDistanceWeighted", "arraySimilarity",
        "damerauLevenshteinDistance", "editDistance", "editDistanceUTF8", "geometryIntersectCartesian",
        "geometryIntersectSpherical", "h3PolygonToCells", "h3PolygonToCellsWithContainment", "jaroSimilarity",
        "jaroWinklerSimilarity", "multiFuzzyMatchAllIndices", "multiFuzzyMatchAny", "multiFuzzyMatchAnyIndex",
        "multiMatchAllIndices", "multiMatchAny", "multiMatchAnyIndex", "polygonsIntersectCartesian",
        "polygonsIntersectSpherical",
    }
)  # fmt: skip
_ALLOWED_BESIDE = frozenset(
    {
        # Made by the parser.
        "lambda", "exists", "grouping", "untuple", "caseWithExpression", "_CAST",
        # Of the category Other.
        "bar", "byteSize", "countDigits", "formatReadableDecimalSize", "formatReadableQuantity", "formatReadableSize",
        "formatReadableTimeDelta", "getSubcolumn", "identity", "materialize", "parseReadableSize", "parseTimeDelta",
        "rowNumberInAllBlocks", "runningDifference", "throwIf", "toTypeName", "transform", "variantElement",
        "variantType", "visibleWidth",
    }
)  # fmt: skip
# Not State, Merge and their kin: they read the inner bytes of a state, which a user could forge.
_COMBINATORS = ("If", "Array", "Map", "ForEach", "Distinct", "OrDefault", "OrNull", "ArgMin", "ArgMax")
_CATALOGUE = """
SELECT name, alias_to, categories, is_aggregate, case_insensitive FROM system.functions WHERE origin = 'System'
"""


@dataclass(frozen=True)
class _Allowed:
    names: frozenset[str]
    lower_names: frozenset[str]
    aggregates: frozenset[str]


class FunctionCatalogue:
    """The allowed functions, read from the engine once. Thread-safe."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._loaded: _Allowed | None = None

    def allows(self, name: str) -> bool:
        """Return whether a query may call the function `name`, which may carry an aggregate's combinators."""
        allowed = self._allowed()
        if name in allowed.names or name.lower() in allowed.lower_names:
            return True
        return any(name.endswith(suffix) and self._is_aggregate(name.removesuffix(suffix)) for suffix in _COMBINATORS)

    def similar(self, name: str) -> str:
        """Return the allowed function whose name is most like `name`, or an empty text."""
        return next(iter(get_close_matches(name, sorted(self._allowed().names), 1, 0.75)), "")

    def _is_aggregate(self, name: str) -> bool:
        aggregates = self._allowed().aggregates
        if name in aggregates or name.lower() in aggregates:
            return True
        return any(name.endswith(s) and self._is_aggregate(name.removesuffix(s)) for s in _COMBINATORS)

    def _allowed(self) -> _Allowed:
        with self._lock:
            if self._loaded is None:
                self._loaded = _read(self._store)
            return self._loaded


def _read(store: Store) -> _Allowed:
    rows = store.rows(_CATALOGUE)
    categories = {row["name"]: row["categories"] for row in rows}
    names, lower_names, aggregates = set(_ALLOWED_BESIDE), set(), set()
    for row in rows:
        origin = row["alias_to"] or row["name"]
        if {row["name"], origin} & (_DENIED | _SLOW):
            continue
        if not (row["is_aggregate"] or origin in _ALLOWED_BESIDE or categories.get(origin) in _CATEGORIES):
            continue
        names.add(row["name"])
        if row["case_insensitive"]:
            lower_names.add(row["name"].lower())
        if row["is_aggregate"]:
            aggregates |= {row["name"], row["name"].lower()} if row["case_insensitive"] else {row["name"]}
    return _Allowed(frozenset(names), frozenset(lower_names), frozenset(aggregates))
