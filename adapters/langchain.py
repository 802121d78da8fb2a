"""A retriever for LangChain (extra ``langchain``)."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from ..agent.search_result import SearchResult
from ..errors import MissingExtraError
from ..index.where import Where
from ..retrievers._places import in_full
from ._evidence import Agent, agent_of, asked, metadata_of, searched

try:
    from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
    from langchain_core.documents import Document
    from langchain_core.retrievers import BaseRetriever
except ImportError as error:
    raise MissingExtraError("langchain-core", "langchain", "the retriever for LangChain") from error


class TrailhoundRetriever(BaseRetriever):
    """Finds the evidence for a question; ``invoke(question, k=3, where=..., seconds=...)`` asks otherwise once.

    The ``id`` of a document is that of the passage.

    Args:
        agent: an agent or a group that searches, or the folder of an index.
        k: passages to return at most.
        where: only these documents are seen; all when None.
        seconds: then a search stops and returns what it has.
    """

    agent: Agent
    k: int = Field(10, ge=1)
    where: Where | None = None
    seconds: float | None = None

    @field_validator("agent", mode="before")
    @classmethod
    def _opened(cls, agent: Any) -> Agent:
        return agent_of(agent)

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,
        k: int | None = None,
        where: Where | None = None,
        seconds: float | None = None,
    ) -> list[Document]:
        return _documents(self.agent.search(query, **asked(k, where, seconds, self._usual)))

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,
        k: int | None = None,
        where: Where | None = None,
        seconds: float | None = None,
    ) -> list[Document]:
        return await searched(self.agent, query, asked(k, where, seconds, self._usual), _documents)

    @property
    def _usual(self) -> dict[str, Any]:
        return {"limit": self.k, "where": self.where, "seconds": self.seconds}


def _documents(result: SearchResult) -> list[Document]:
    return [
        Document(id=one.passage.id, page_content=in_full(one.passage), metadata=metadata_of(one, result))
        for one in result.evidence
    ]
