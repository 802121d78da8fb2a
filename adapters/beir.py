"""A search that BEIR's ``EvaluateRetrieval`` runs (extra ``beir``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import MissingExtraError, TrailhoundError
from ..retrievers.records import Run
from ._judged import JudgedSearch

try:
    from beir.retrieval.search import BaseSearch
except ImportError as error:
    raise MissingExtraError("beir", "beir", "the search for BEIR") from error


class TrailhoundSearch(JudgedSearch, BaseSearch):
    """Indexes BEIR's corpus and searches it: ``EvaluateRetrieval(TrailhoundSearch()).retrieve(corpus, queries)``."""

    def search(
        self,
        corpus: Mapping[str, Mapping[str, str]],
        queries: Mapping[str, str],
        top_k: int,
        score_function: str | None = None,
        **more: Any,
    ) -> Run:
        """Return the best documents of every query.

        Args:
            corpus: title and text by id.
            queries: by id.
            top_k: documents of a query.
            score_function: BEIR's name of how vectors are compared, which the search decides itself.
            more: what BEIR gives on to searches that know it.
        """
        self.read((identifier, record.get("title", ""), record["text"]) for identifier, record in corpus.items())
        return self.run(queries, top_k)

    def encode(self, *given: Any, **more: Any) -> None:
        """Refuse: an index is no file of embeddings."""
        raise TrailhoundError("Trailhound writes no files of embeddings: call retrieve() of BEIR's EvaluateRetrieval")

    def search_from_files(self, *given: Any, **more: Any) -> Run:
        """Refuse: an index is no file of embeddings."""
        raise TrailhoundError("Trailhound reads no files of embeddings: call retrieve() of BEIR's EvaluateRetrieval")
