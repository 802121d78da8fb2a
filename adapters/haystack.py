"""A component for Haystack (extra ``haystack``)."""

from __future__ import annotations

from typing import Any

from ..agent.search_agent import SearchAgent
from ..agent.search_result import SearchResult
from ..errors import MissingExtraError
from ..index.where import Where
from ..retrievers._places import in_full
from ._evidence import asked, metadata_of, searched

try:
    from haystack import Document, component, default_from_dict, default_to_dict
except ImportError as error:
    raise MissingExtraError("haystack-ai", "haystack", "the component for Haystack") from error


@component
class TrailhoundRetriever:
    """Finds the evidence for a query, as the component of a pipeline that can be written down and read again.

    The index is opened when the pipeline warms up, or with the first query. The ``id`` of a document is that of the
    passage.

    Args:
        index: its folder.
        policy: the folder of a trained policy; the one that ships with the package when None.
        system: a fixed system instead of the policy.
        top_k: passages to return at most.
        where: only these documents are seen; all when None.
        seconds: then a search stops and returns what it has.
    """

    def __init__(
        self,
        index: str,
        policy: str | None = None,
        system: str | None = None,
        top_k: int = 10,
        where: Where | None = None,
        seconds: float | None = None,
    ) -> None:
        self.index, self.policy, self.system = index, policy, system
        self.top_k, self.where, self.seconds = top_k, where, seconds
        self._agent: SearchAgent | None = None

    def warm_up(self) -> None:
        """Open the index."""
        self._opened()

    @component.output_types(documents=list[Document])
    def run(
        self, query: str, top_k: int | None = None, where: Where | None = None, seconds: float | None = None
    ) -> dict[str, Any]:
        """Search; what is given here goes before what the component was made with."""
        return _documents(self._opened().search(query, **asked(top_k, where, seconds, self._usual)))

    @component.output_types(documents=list[Document])
    async def run_async(
        self, query: str, top_k: int | None = None, where: Where | None = None, seconds: float | None = None
    ) -> dict[str, Any]:
        """Do what :meth:`run` does in a worker thread."""
        return await searched(self._opened(), query, asked(top_k, where, seconds, self._usual), _documents)

    def to_dict(self) -> dict[str, Any]:
        """Return how to make the component again."""
        names = ("index", "policy", "system", "top_k", "seconds")
        where = None if self.where is None else _written(self.where)
        return dict(default_to_dict(self, **{name: getattr(self, name) for name in names}, where=where))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> TrailhoundRetriever:
        """Make the component that :meth:`to_dict` wrote."""
        kept = data["init_parameters"]
        where = None if kept.get("where") is None else Where(**kept["where"])
        made: TrailhoundRetriever = default_from_dict(cls, {**data, "init_parameters": {**kept, "where": where}})
        return made

    def _opened(self) -> SearchAgent:
        if self._agent is None:
            self._agent = SearchAgent(self.index, self.policy, system=self.system)
        return self._agent

    @property
    def _usual(self) -> dict[str, Any]:
        return {"limit": self.top_k, "where": self.where, "seconds": self.seconds}


def _written(where: Where) -> dict[str, Any]:
    """Return what makes the condition again, as JSON values."""
    names = {"documents": where.documents, "principals": where.principals}
    return {"metadata": where.metadata, **{name: kept and sorted(kept) for name, kept in names.items()}}


def _documents(result: SearchResult) -> dict[str, Any]:
    found = [
        Document(id=one.passage.id, content=in_full(one.passage), meta=metadata_of(one, result), score=one.score)
        for one in result.evidence
    ]
    return {"documents": found}
