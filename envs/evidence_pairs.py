"""Features of candidates beside a piece of evidence: links, where they are mentioned, likeness."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..graph.knowledge_graph import Links, Relation
from ..index.index import Index
from ..retrievers.records import Rows
from ..retrievers.words.terms import among, term_hashes
from .question_view import QuestionView, similarity
from .settings import PAIR

_AT = {name: k for k, name in enumerate(PAIR)}


@dataclass(slots=True)
class _Beside:
    """The pair features of one evidence, filled for the first ``done`` places in view."""

    values: NDArray[np.float32]
    done: int
    links: dict[str, dict[int, list[tuple[int, int, int]]]]
    terms: NDArray[np.uint32] = field(default_factory=lambda: np.zeros(0, np.uint32))


class PairFeatures:
    """Pair features of one question's passages, computed once per (evidence, candidate)."""

    def __init__(self, index: Index, view: QuestionView) -> None:
        self._index = index
        self._view = view
        self._beside: dict[int, _Beside] = {}
        self._titles: dict[int, str] = {}
        self._sentences: dict[int, list[tuple[int, int, float]]] = {}
        self._lengths: dict[int, int] = {}

    def beside(self, evidence: int, rows: Rows) -> NDArray[np.float32]:
        """Return the features of ``rows`` beside the evidence at place ``evidence``, float32 [n, len(PAIR)]."""
        row = int(rows[evidence])
        known = self._beside.get(evidence)
        if known is None:
            known = _Beside(np.zeros((len(rows), len(PAIR)), np.float32), 0, self._links(row))
            known.terms = self._index.terms.terms(row)
            self._beside[evidence] = known
        if known.done < len(rows):
            if len(known.values) < len(rows):
                known.values = np.pad(known.values, ((0, len(rows) - len(known.values)), (0, 0)))
            self._fill(known, row, rows[known.done :], known.values[known.done : len(rows)])
            known.done = len(rows)
        return known.values[: len(rows)]

    def _links(self, row: int) -> dict[str, dict[int, list[tuple[int, int, int]]]]:
        """Gather the links of a row: group -> neighbour row -> (relation, start, end)."""
        gathered: dict[str, dict[int, list[tuple[int, int, int]]]] = {}
        for group in ("mentions", "mentioned_by", "shares", "adjacent"):
            links: Links = self._index.graph.neighbours(row, group)
            by_row: dict[int, list[tuple[int, int, int]]] = {}
            for neighbour, relation, start, end in zip(
                links.rows.tolist(),
                links.relations.tolist(),
                links.starts.tolist(),
                links.ends.tolist(),
                strict=True,
            ):
                by_row.setdefault(neighbour, []).append((relation, start, end))
            gathered[group] = by_row
        return gathered

    def _fill(self, known: _Beside, row: int, rows: Rows, out: NDArray[np.float32]) -> None:
        """Compute the features of new ``rows`` beside evidence ``row`` into ``out`` [m, len(PAIR)]."""
        index = self._index
        out[:, _AT["dense"]] = similarity(index, rows, index.dense.reconstruct(np.array([row]))[0])
        out[:, _AT["overlap"]] = _overlap(index, rows, known.terms)
        self._load_titles(np.append(rows, row))
        title = self._titles[row]
        for k, candidate in enumerate(rows.tolist()):
            for relation, start, _ in known.links["mentions"].get(candidate, ()):
                position, agreement = self._mention(row, start)
                kind = "mentioned" if relation == Relation.TITLE_MENTION else "mentioned_alias"
                out[k, _AT[kind]] = 1
                out[k, _AT["mention_position"]] = position
                out[k, _AT["mention_agreement"]] = agreement
            for _, start, _ in known.links["mentioned_by"].get(candidate, ()):
                position, agreement = self._mention(candidate, start)
                out[k, _AT["mentions"]] = 1
                out[k, _AT["mentions_position"]] = position
                out[k, _AT["mentions_agreement"]] = agreement
            out[k, _AT["shares"]] = candidate in known.links["shares"]
            out[k, _AT["adjacent"]] = candidate in known.links["adjacent"]
            out[k, _AT["same_title"]] = bool(title) and self._titles[candidate] == title

    def _load_titles(self, rows: Rows) -> None:
        missing = [row for row in rows.tolist() if row not in self._titles]
        for row, passage in zip(missing, self._index.store.passages(missing), strict=True):
            self._titles[row] = passage.title

    def _mention(self, row: int, start: int) -> tuple[float, float]:
        """Return where in passage ``row`` a mention stands (0 to 1), and how its sentence agrees with the question."""
        if row not in self._sentences:
            passage = self._index.store.passage(row)
            self._lengths[row] = max(len(passage.text), 1)
            self._sentences[row] = [
                (begin, end, self._view.agreement(term_hashes(passage.text[begin:end])))
                for begin, end in passage.sentences
            ]
        agreement = next((a for begin, end, a in self._sentences[row] if begin <= start < end), 0.0)
        return start / self._lengths[row], agreement


def _overlap(index: Index, rows: Rows, terms: NDArray[np.uint32]) -> NDArray[np.float32]:
    """Return the idf-weighted share of each row's terms that are among ``terms``, float32 [n]."""
    everything, owner = index.terms.terms_of(rows)
    idf = index.terms.idf(everything)
    shared = np.bincount(owner, idf * among(everything, terms), len(rows))
    return np.asarray(shared / np.maximum(np.bincount(owner, idf, len(rows)), 1e-9), np.float32)
