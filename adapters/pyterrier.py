"""A transformer for PyTerrier (extra ``pyterrier``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..agent.search_agent import SearchAgent
from ..agent.search_result import SearchResult
from ..errors import MissingExtraError
from ..index.where import Where
from ..retrievers._places import in_full
from ._evidence import metadata_of

try:
    import pandas as pd
    import pyterrier as pt
except ImportError as error:
    raise MissingExtraError("pyterrier", "pyterrier", "the transformer for PyTerrier") from error

_COLUMNS = ("docno", "passage_id", "text", "title", "score", "rank", "metadata")


class TrailhoundRetriever(pt.Transformer):
    """Finds the evidence for queries, for pipelines and experiments.

    A query's rows are its documents (``docno``), best first, each by its best passage (``passage_id``, ``text``).

    Args:
        agent: that searches, or the folder of an index.
        num_results: passages to find at most; documents that several of them are from have one row.
        where: only these documents are seen; all when None.
        seconds: for all queries of a frame together; then the searches stop and return what they have.
    """

    def __init__(
        self,
        agent: SearchAgent | Path | str,
        num_results: int = 1000,
        where: Where | None = None,
        seconds: float | None = None,
    ) -> None:
        self.agent = SearchAgent(agent) if isinstance(agent, Path | str) else agent
        self.num_results = num_results
        self.where, self.seconds = where, seconds

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """Return the results of a frame of ``qid`` and ``query``; its other columns stay beside them."""
        pt.validate.query_frame(inp, extra_columns=["query"])
        queries = inp.to_dict(orient="records")
        results = self.agent.search_many(
            [query["query"] for query in queries], self.num_results, where=self.where, seconds=self.seconds
        )
        rows = [{**query, **row} for query, result in zip(queries, results, strict=True) for row in _documents(result)]
        return pd.DataFrame(rows, columns=[*inp.columns, *(name for name in _COLUMNS if name not in inp.columns)])


def _documents(result: SearchResult) -> list[dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    for one in result.evidence:
        passage = one.passage
        if passage.document_id not in rows:
            values = (passage.document_id, passage.id, in_full(passage), passage.title, one.score, len(rows))
            row = dict(zip(_COLUMNS, (*values, metadata_of(one, result)), strict=True))
            rows[passage.document_id] = row
    return list(rows.values())
