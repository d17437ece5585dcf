"""Semantic engine: compare texts with descriptions by static embeddings, and by classifiers where there are labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from phospho_schemas.messages import EventDefinition
from phospho_workers.detection.engine import NO_HITS, SIDES, Hit, Hits, Side, looks_at, shortened
from phospho_workers.detection.learning.classifiers import Classifier, Classifiers
from phospho_workers.detection.semantic.confidence import DEFAULT_THRESHOLD, confidence
from phospho_workers.detection.semantic.essence import essence
from phospho_workers.detection.semantic.rivalry import Scores, rivalry
from phospho_workers.detection.text.embedding import embedder
from phospho_workers.detection.text.reading import Clause, Reading, clauses_of, reading

# Within so much of the threshold, on either side, the confidence leaves open what a person would say.
UNSURE_WITHIN = 0.25
# Clauses, and those times definitions, that are scored together: what bounds the memory, to some 50 MB. A text by
# itself has 2,049 rows at most.
_ROWS_AT_ONCE = 4_096
_SCORES_AT_ONCE = 400_000
NO_CLASSIFIERS: Mapping[str, Classifier] = MappingProxyType({})


class SemanticEngine:
    """
    Find texts that mean a description, or what a classifier learnt. The evidence is the clause that shows it.

    The score is a confidence in [0, 1]: that of the whole text or of its best clause, whichever is greater. A
    definition is found where it reaches its threshold, or DEFAULT_THRESHOLD; one that nearly does is told as well.
    """

    def __init__(
        self, definitions: Sequence[EventDefinition], classifiers: Mapping[str, Classifier] = NO_CLASSIFIERS
    ) -> None:
        self._of_side: Mapping[Side, _Descriptions] = {
            side: _Descriptions([one for one in definitions if looks_at(one, side)], classifiers) for side in SIDES
        }

    @staticmethod
    def refusal(definition: EventDefinition) -> str | None:
        if not embedder().pieces(essence(definition.description)):
            return "it has no description: say in plain words what happens"
        return None

    def find(self, texts: Sequence[str], side: Side, beside: Sequence[str] = ()) -> Sequence[Hits]:
        return self._of_side[side].find(texts, beside)


class _Descriptions:
    """The definitions that read one side: a column of the scores each."""

    def __init__(self, definitions: Sequence[EventDefinition], classifiers: Mapping[str, Classifier]) -> None:
        self._definitions = definitions
        self._rows_at_once = min(_ROWS_AT_ONCE, _SCORES_AT_ONCE // max(1, len(definitions)))
        self._classifiers = Classifiers(
            {place: classifiers[one.name] for place, one in enumerate(definitions) if one.name in classifiers}
        )
        self._thresholds = np.array([_threshold(one) for one in definitions])
        self._is_asked_about = np.array([one.judge != "none" for one in definitions], dtype=bool)
        if definitions:
            self._rivalry = rivalry([one.description for one in definitions])

    def find(self, texts: Sequence[str], beside: Sequence[str]) -> Sequence[Hits]:
        """Return the hits in each text; one without words has none. `beside` is empty or as long."""
        found: list[Hits] = [NO_HITS] * len(texts)
        for places, what in self._readings(texts) if self._definitions else ():
            hits = self._found(what, [beside[place] for place in places] if beside else [])
            for place, of_text in zip(places, hits, strict=True):
                found[place] = of_text
        return found

    def _readings(self, texts: Sequence[str]) -> Iterator[tuple[list[int], Reading]]:
        """Yield the texts that say something, by their places, as many at once as may be scored together."""
        clauses: dict[int, list[Clause]] = {}
        rows = 0
        for place, text in enumerate(texts):
            of_text = clauses_of(text)
            if clauses and rows + len(of_text) >= self._rows_at_once:
                yield list(clauses), reading(list(clauses.values()))
                clauses, rows = {}, 0
            if of_text:
                clauses[place] = of_text
                rows += len(of_text) + 1
        if clauses:
            yield list(clauses), reading(list(clauses.values()))

    def _found(self, what: Reading, beside: Sequence[str]) -> list[list[Hit]]:
        found: list[list[Hit]] = [[] for _ in what.clauses]
        by_clause, best = self._confidences(what, beside)
        for row, column, score, is_found, doubt in self._told(best):
            evidence = _evidence(what, row, by_clause[:, column]) if is_found else ""
            found[row].append(Hit(self._definitions[column], score, evidence, is_found, doubt))
        return found

    def _told(self, best: Scores) -> Iterator[tuple[int, int, float, bool, float]]:
        """Yield row, column, score, whether it is found, and the doubt, of what is found or nearly."""
        is_found = best >= self._thresholds
        doubts = np.maximum(0.0, 1.0 - np.abs(best - self._thresholds) / UNSURE_WITHIN)
        places = np.nonzero(is_found | ((doubts > 0.0) & self._is_asked_about))
        columns = (*places, best[places], is_found[places], doubts[places])
        return zip(*(column.tolist() for column in columns), strict=True)

    def _confidences(self, what: Reading, beside: Sequence[str]) -> tuple[Scores, Scores]:
        """Return those of the clauses, shape (clauses, definitions), and of the texts, shape (texts, definitions)."""
        scores = self._rivalry.scores(what.directions)
        confidences = confidence(scores)
        self._classifiers.overwrite(confidences, scores, what, beside)
        by_clause, of_wholes = confidences[: what.clause_count], confidences[what.clause_count :]
        best = np.maximum.reduceat(by_clause, what.firsts, axis=0)
        best[what.wholes] = np.maximum(best[what.wholes], of_wholes)
        return by_clause, best


def _evidence(what: Reading, row: int, confidences: NDArray[np.float64]) -> str:
    """Return the clause of a turn that shows a definition best; `confidences` are those of all clauses."""
    clauses = what.clauses[row]
    nearest = int(np.argmax(confidences[what.firsts[row] : what.firsts[row] + len(clauses)]))
    return shortened(clauses[nearest][0])


def _threshold(definition: EventDefinition) -> float:
    """Return the definition's threshold, or the default; never 0, at which nothing in common would be enough."""
    return max(DEFAULT_THRESHOLD if definition.threshold is None else definition.threshold, 1e-4)
