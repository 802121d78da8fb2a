"""A retriever for DSPy (extra ``dspy``)."""

from __future__ import annotations

from pathlib import Path

from ..agent.search_result import SearchResult
from ..errors import MissingExtraError
from ..index.where import Where
from ..retrievers._places import in_full
from ._evidence import Agent, agent_of, asked, metadata_of, searched

try:
    import dspy
except ImportError as error:
    raise MissingExtraError("dspy", "dspy", "the retriever for DSPy") from error


class TrailhoundRetriever(dspy.Module):
    """Finds the evidence for a question: a module, to be called in programs.

    Args:
        agent: an agent or a group that searches, or the folder of an index.
        k: passages to return at most.
        where: only these documents are seen; all when None.
        seconds: then a search stops and returns what it has.
    """

    def __init__(
        self, agent: Agent | Path | str, k: int = 5, where: Where | None = None, seconds: float | None = None
    ) -> None:
        super().__init__()
        self.agent = agent_of(agent)
        self.usual = {"limit": k, "where": where, "seconds": seconds}

    def forward(
        self, query: str, k: int | None = None, where: Where | None = None, seconds: float | None = None
    ) -> dspy.Prediction:
        """Return ``passages``, their texts, with ``ids`` and ``metadata`` beside; what is given here goes first."""
        return _prediction(self.agent.search(query, **asked(k, where, seconds, self.usual)))

    async def aforward(
        self, query: str, k: int | None = None, where: Where | None = None, seconds: float | None = None
    ) -> dspy.Prediction:
        """Do what :meth:`forward` does in a worker thread."""
        return await searched(self.agent, query, asked(k, where, seconds, self.usual), _prediction)


def _prediction(result: SearchResult) -> dspy.Prediction:
    return dspy.Prediction(
        passages=[in_full(one.passage) for one in result.evidence],
        ids=[one.passage.id for one in result.evidence],
        metadata=[metadata_of(one, result) for one in result.evidence],
    )
