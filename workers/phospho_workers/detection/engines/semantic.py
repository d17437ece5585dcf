"""The semantic engine: it compares texts with descriptions by static embeddings, and by trained classifiers."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from phospho_schemas.definitions.engines import EngineSpec, engine_spec
from phospho_schemas.messages import EventDefinition
from phospho_workers.detection.engines.engine import NO_MATCHES, Match, Matches, shortened
from phospho_workers.detection.learning.classifiers import NO_CLASSIFIERS, Classifier, ClassifierColumns
from phospho_workers.detection.semantic.assertion import UNASSERTED_SHARE, Reader
from phospho_workers.detection.semantic.confidence import DEFAULT_THRESHOLD, confidence
from phospho_workers.detection.semantic.encoder import is_multilingual
from phospho_workers.detection.semantic.library import description_core
from phospho_workers.detection.semantic.rivalry import Scores
from phospho_workers.detection.semantic.scoring import DescriptionScores, of_texts
from phospho_workers.detection.semantic.student import Student
from phospho_workers.detection.semantic.wording import description_language, is_mostly_unread
from phospho_workers.detection.text.embedding import embedder
from phospho_workers.detection.text.reading import Clause, Reading, clauses_of, reading
from phospho_workers.detection.text.sides import SIDES, Side, reads_side

# Closer to the threshold than this, on either side, the confidence does not settle what a person would say.
DOUBT_WIDTH = 0.25
# Clauses of a text that the rules of `assertion` read for one definition.
_MAX_READ_CLAUSES = 4
# Parts of clauses whose confidences are cached for the next definition.
_MAX_CACHED_PARTS = 256
# Clauses, and clauses times definitions, that are scored together. They bound the memory to some 50 MB. A text by
# itself has at most 8,193 rows.
_ROWS_AT_ONCE = 4_096
_SCORES_AT_ONCE = 400_000


class SemanticEngine:
    """
    Find texts that mean a description, or that a classifier recognises. The evidence is the clause that shows it best.

    The score is a confidence in [0, 1]: the mean of that of the whole text and of its best clause. A
    definition is found from its threshold on, or from DEFAULT_THRESHOLD. Near misses are returned as well.
    """

    spec: ClassVar[EngineSpec] = engine_spec("semantic")

    def __init__(
        self,
        definitions: Sequence[EventDefinition],
        classifiers: Mapping[str, Classifier] = NO_CLASSIFIERS,
        student: Student | None = None,
    ) -> None:
        by_side = {side: [definition for definition in definitions if reads_side(definition, side)] for side in SIDES}
        self._scorers: Mapping[Side, _SideScorer] = {
            side: _SideScorer(readers, classifiers, side, student) for side, readers in by_side.items()
        }

    @staticmethod
    def refusal(definition: EventDefinition) -> str | None:
        if not embedder().pieces(description_core(definition.description)):
            return "it has no description: say in plain words what happens"
        language = description_language(definition.description)
        if language not in ("", "en") and not is_multilingual():
            return (
                f"its description seems to be in another language than English ({language}), which this engine does "
                "not read: describe the event in English, or set engine: llm or keyword"
            )
        return None

    @staticmethod
    def warning(definition: EventDefinition) -> str | None:
        core = description_core(definition.description)
        is_foreign = not core.isascii() or description_language(core) not in ("", "en")
        if not is_mostly_unread(core) or (is_multilingual() and is_foreign):
            return None
        return (
            "this engine doesn't know most words of its description, so it may be found in anything or in nothing: say "
            "in plain English what happens"
        )

    def match(self, texts: Sequence[str], side: Side, other_sides: Sequence[str] = ()) -> Sequence[Matches]:
        return self._scorers[side].match(texts, other_sides)


class _SideScorer:
    """The definitions that read one side, each of which is a column of the scores."""

    def __init__(
        self,
        definitions: Sequence[EventDefinition],
        classifiers: Mapping[str, Classifier],
        side: Side,
        student: Student | None,
    ) -> None:
        self._definitions = definitions
        self._is_user = side == "input"
        self._rows_at_once = min(_ROWS_AT_ONCE, _SCORES_AT_ONCE // max(1, len(definitions)))
        self._classifiers = ClassifierColumns(
            {
                column: classifiers[definition.name]
                for column, definition in enumerate(definitions)
                if definition.name in classifiers
            }
        )
        self._thresholds = np.array([_threshold(definition) for definition in definitions])
        self._is_judged = np.array([definition.judge != "none" for definition in definitions], dtype=bool)
        if definitions:
            descriptions = [definition.description for definition in definitions]
            self._readers = [Reader.of(description) for description in descriptions]
            self._descriptions = DescriptionScores(descriptions, side, student)
        self._part_confidences = functools.lru_cache(maxsize=_MAX_CACHED_PARTS)(self._confidences_of_part)

    def match(self, texts: Sequence[str], other_sides: Sequence[str]) -> Sequence[Matches]:
        """Return the matches in each text; a text without words has none. `other_sides` is empty or as long."""
        matches: list[Matches] = [NO_MATCHES] * len(texts)
        for indexes, batch in self._batches(texts) if self._definitions else ():
            batch_texts = [texts[index] for index in indexes]
            batch_others = [other_sides[index] for index in indexes] if other_sides else []
            batch_matches = self._match_batch(batch, batch_texts, batch_others)
            for index, text_matches in zip(indexes, batch_matches, strict=True):
                matches[index] = text_matches
        return matches

    def _batches(self, texts: Sequence[str]) -> Iterator[tuple[list[int], Reading]]:
        """Yield the texts that have words, with their indexes, as many at once as may be scored together."""
        clauses: dict[int, Sequence[Clause]] = {}
        rows = 0
        for index, text in enumerate(texts):
            text_clauses = clauses_of(text)
            if clauses and rows + len(text_clauses) >= self._rows_at_once:
                yield list(clauses), reading(list(clauses.values()))
                clauses, rows = {}, 0
            if text_clauses:
                clauses[index] = text_clauses
                rows += len(text_clauses) + 1
        if clauses:
            yield list(clauses), reading(list(clauses.values()))

    def _match_batch(self, batch: Reading, texts: Sequence[str], other_sides: Sequence[str]) -> list[list[Match]]:
        matches: list[list[Match]] = [[] for _ in batch.clauses]
        clause_confidences, text_confidences = self._confidences(batch, other_sides)
        for row, column, score, is_found, doubt in self._results(text_confidences):
            match = Match(
                definition=self._definitions[column], score=score, evidence="", is_found=is_found, doubt=doubt
            )
            if is_found:
                clauses = self._best_clauses(batch, row, clause_confidences[:, column], column)
                asserting = self._asserting(column, texts[row], clauses)
                match = match._replace(evidence=shortened(asserting or clauses[0]))
                match = match if asserting is not None else self._doubtful(match, column)
            if match.is_found or (match.doubt > 0.0 and self._is_judged[column]):
                matches[row].append(match)
        return matches

    def _asserting(self, column: int, text: str, clauses: Sequence[str]) -> str | None:
        """Return the clause that asserts the event; a classifier has learnt by itself what does."""
        if column in self._classifiers.columns:
            return clauses[0]
        return self._readers[column].asserting(
            text, clauses, is_user=self._is_user, shows_event=lambda part: self._is_event(part, column)
        )

    def _best_clauses(self, batch: Reading, row: int, confidences: NDArray[np.float64], column: int) -> list[str]:
        """Return the clause of a text nearest to a definition, and the next ones that reach its threshold."""
        clauses = batch.clauses[row]
        of_text = confidences[batch.firsts[row] : batch.firsts[row] + len(clauses)]
        best = np.argsort(-of_text, kind="stable")[:_MAX_READ_CLAUSES]
        return [
            clauses[index][0]
            for rank, index in enumerate(best.tolist())
            if rank == 0 or of_text[index] >= self._thresholds[column]
        ]

    def _is_event(self, part: str, column: int) -> bool:
        confidences = self._part_confidences(part)
        return confidences is not None and bool(confidences[column] >= self._thresholds[column])

    def _confidences_of_part(self, part: str) -> NDArray[np.float64] | None:
        """Return the confidence of each definition in a part of a clause by its description; None without words."""
        clauses = clauses_of(part)
        if not clauses:
            return None
        batch = reading([clauses])
        return confidence(of_texts(self._descriptions.scores(batch), batch)[0])

    def _doubtful(self, match: Match, column: int) -> Match:
        """Return the match with its confidence lowered, since the text may not mean the event."""
        threshold = float(self._thresholds[column])
        score = match.score * UNASSERTED_SHARE
        doubt = max(0.0, 1.0 - abs(score - threshold) / DOUBT_WIDTH)
        return match._replace(score=score, is_found=score >= threshold, doubt=doubt)

    def _results(self, confidences: Scores) -> Iterator[tuple[int, int, float, bool, float]]:
        """Yield row, column, score, is_found and doubt of everything that is found or nearly found."""
        is_found = confidences >= self._thresholds
        doubts = np.maximum(0.0, 1.0 - np.abs(confidences - self._thresholds) / DOUBT_WIDTH)
        cells = np.nonzero(is_found | ((doubts > 0.0) & self._is_judged))
        columns = (*cells, confidences[cells], is_found[cells], doubts[cells])
        return zip(*(column.tolist() for column in columns), strict=True)

    def _confidences(self, batch: Reading, other_sides: Sequence[str]) -> tuple[Scores, Scores]:
        """Return those of the clauses, shape (clauses, definitions), and of the texts, shape (texts, definitions)."""
        scores = self._descriptions.scores(batch)
        of_rows, text_confidences = confidence(scores), confidence(of_texts(scores, batch))
        if self._classifiers.columns:
            self._classifiers.overwrite(of_rows, scores, batch, other_sides)
            by_classifier = of_rows[:, self._classifiers.columns]
            best = np.maximum.reduceat(by_classifier[: batch.clause_count], batch.firsts, axis=0)
            best[batch.wholes] = np.maximum(best[batch.wholes], by_classifier[batch.clause_count :])
            text_confidences[:, self._classifiers.columns] = best
        return of_rows[: batch.clause_count], text_confidences


def _threshold(definition: EventDefinition) -> float:
    """Return the definition's threshold or the default; never 0, which a text with nothing in common would reach."""
    return max(DEFAULT_THRESHOLD if definition.threshold is None else definition.threshold, 1e-4)
