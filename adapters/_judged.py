"""Indexes the corpus that an evaluation gives, and ranks its documents for the questions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any
from weakref import finalize

from ..agent.search_agent import SearchAgent
from ..agent.search_result import SearchResult
from ..index.index import Index
from ..index.where import Where
from ..retrievers.protocols import Encoder
from ..retrievers.records import Document, Run


class JudgedSearch:
    """Searches a corpus that an evaluation brings, one after the other.

    Args:
        folder: keeps the index of the last corpus here; by default it is gone with the search.
        encoder: of the index, instead of the built-in one.
        how: what :class:`~trailhound.SearchAgent` takes beside the index, like ``policy`` or ``system``.
    """

    def __init__(self, folder: Path | str | None = None, *, encoder: Encoder | None = None, **how: Any) -> None:
        scratch = mkdtemp(prefix="trailhound-") if folder is None else None
        if scratch is not None:
            finalize(self, rmtree, scratch, ignore_errors=True)
        self._folder = Path(scratch or folder or "") / "judged.index"
        self._encoder, self._how = encoder, how
        self._agent: SearchAgent | None = None
        self._passages = 1

    def read(self, corpus: Iterable[tuple[str, str, str]]) -> None:
        """Index a corpus of (id, title, text); its records stay whole, unless they are too long."""
        documents = [
            Document(identifier, title, text.strip() or title or identifier, atomic=True)
            for identifier, title, text in corpus
        ]
        index = Index.build(documents, self._folder, encoder=self._encoder)
        self._agent = SearchAgent(index, **self._how)
        self._passages = -(-len(index) // index.store.documents)  # some documents have several

    def run(self, questions: Mapping[str, str], limit: int, among: Mapping[str, Sequence[str]] | None = None) -> Run:
        """Return the best ``limit`` documents of every question with their scores.

        Args:
            questions: by id.
            limit: documents of a question.
            among: by id of the question, the documents that are ranked; all when None.
        """
        agent = self._agent
        if agent is None:
            raise RuntimeError("no corpus was read: index() comes before search()")
        most = limit * self._passages
        if among is None:
            results = agent.search_many(list(questions.values()), most)
        else:
            wheres = [Where(documents=among[name]) for name in questions]
            pairs = zip(questions.values(), wheres, strict=True)
            results = [agent.search(question, most, where=where) for question, where in pairs]
        return {name: by_document(result, limit) for name, result in zip(questions, results, strict=True)}


def by_document(result: SearchResult, limit: int) -> dict[str, float]:
    """Return the best documents of a result, best first, each with the score of its best passage."""
    scores: dict[str, float] = {}
    for one in result.evidence:
        scores.setdefault(one.passage.document_id, one.score)
    return dict(list(scores.items())[:limit])
