"""Makes of what a system ranked the evidence and the steps that an application gets."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from ..envs._nearness import similarity
from ..index._searchable import Searchable
from ..retrievers._thread_limits import computing_on
from ..retrievers.records import Hits, Passage, SupportingSentence
from ._decision import Decision
from ._fixed_systems import Ranked
from ._later import Later
from ._sentences import SupportingSentences
from ._systems import RerankedSystem, System
from .search_result import Evidence, Step

T = TypeVar("T")


class EvidenceMaker:
    """Reads the passages of what was ranked, and says how each was found.

    Args:
        index: the opened index.
        system: that ranked.
        threads: of the CPU to seek sentences on.
    """

    def __init__(self, index: Searchable, system: System, threads: int) -> None:
        self._index, self._system, self._threads = index, system, threads

    def passages(self, rows: Iterable[int]) -> dict[int, Passage]:
        """Read the passages of rows, each once."""
        once = list(dict.fromkeys(rows))
        return dict(zip(once, self._index.store.passages(once), strict=True))

    def evidence(self, question: str, ranked: Ranked, known: Mapping[int, Passage]) -> tuple[Evidence, ...]:
        """Return the evidence, best first; its sentences and pages are sought when they are looked at.

        Args:
            question: as it is read.
            ranked: what was found.
            known: its passages, by row.
        """
        brought: dict[int, str] = {}
        for decision in ranked.decisions:
            if decision.kind != "take":
                for row in decision.rows:
                    brought.setdefault(row, decision.detail)
        listed = brought and self._index.facts is None
        elsewhere = "listed below what came into view" if listed else "everything was asked"
        rows = ranked.rows.tolist()
        passages = [known[row] for row in rows]
        sentences = self._sentences(question, ranked, passages)
        by_words = {} if ranked.by_words is None else _scores_by_row(ranked.by_words)
        unknown: list[float | None] = [None] * len(rows)
        probable = unknown if ranked.probabilities is None else ranked.probabilities.tolist()
        cosines = unknown
        vector = None if ranked.query is None else ranked.query.vector
        if vector is not None and self._index.facts is None:
            cosines = similarity(self._index, ranked.rows, vector).tolist()
        return tuple(
            Evidence(
                rank,
                passage,
                float(score),
                row in ranked.taken,
                brought.get(row, elsewhere),
                sentence,
                self._page(passage, sentence),
                likely,
                by_words.get(row),
                cosine,
            )
            for rank, (row, passage, score, sentence, likely, cosine) in enumerate(
                zip(rows, passages, ranked.scores, sentences, probable, cosines, strict=True), start=1
            )
        )

    def _sentences(
        self, question: str, ranked: Ranked, passages: Sequence[Passage]
    ) -> list[Later[SupportingSentence | None]]:
        """Return the sentence of every passage that supports the question best, all sought with the first."""
        system = self._system
        found: Later[Sequence[SupportingSentence | None]]
        if isinstance(system, RerankedSystem):
            found = Later(lambda: self._limited(lambda: system.sentences(question, passages)))
        elif self._index.facts is not None:
            found = Later(lambda: [None] * len(passages))
        else:
            sentences = SupportingSentences(self._index, question, ranked.query, ranked.rows)
            found = Later(lambda: self._limited(lambda: sentences.best(passages)))
        return [Later(partial(_one_of, found, place)) for place in range(len(passages))]

    def _limited(self, compute: Callable[[], T]) -> T:
        with computing_on(self._threads):
            return compute()

    def _page(self, passage: Passage, sentence: Later[SupportingSentence | None]) -> int | Later[int | None] | None:
        """Return the page that a sentence stands on; None where the document has none."""
        page, last = passage.metadata.get("page"), passage.metadata.get("last_page")
        if not isinstance(page, int) or page == last:
            return page if isinstance(page, int) else None
        starts = self._index.store.document(passage.document_id).metadata.get("page_starts", [])
        return Later(lambda: _page_of(sentence.value(), page, starts))

    def step(self, decision: Decision, known: Mapping[int, Passage]) -> Step:
        """Return a step of the path, with what it brought or took; its passages are ``known`` by row."""
        passages = [known[row] for row in decision.rows]
        return Step(
            decision.kind,
            decision.detail,
            decision.reason,
            tuple(passage.id for passage in passages),
            tuple(passage.title or passage.text[:60] for passage in passages),
            decision.probability,
        )


def _scores_by_row(hits: Hits) -> dict[int, float]:
    return dict(zip(hits.rows.tolist(), hits.scores.tolist(), strict=True))


def _one_of(found: Later[Sequence[T]], place: int) -> T:
    return found.value()[place]


def _page_of(sentence: SupportingSentence | None, first: int, starts: Sequence[int]) -> int:
    """Return the page that a sentence stands on, the passage's first without one."""
    return first if sentence is None else max(1, bisect_right(starts, sentence.document_start))
