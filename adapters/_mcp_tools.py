"""The tools and resources of the MCP server: they search indexes, and read and list their documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from mcp.server.mcpserver.exceptions import ResourceNotFoundError, ToolError

from ..agent.search_agent import SearchAgent
from ..agent.search_group import SearchGroup
from ..errors import TrailhoundError
from ..index._searchable import one_index
from ..index.index import Index
from ..index.where import Where
from ..retrievers._places import in_full
from ._evidence import searched
from ._mcp_records import (
    AskedQuestion,
    Conditions,
    DocumentIds,
    Few,
    Found,
    IndexName,
    Listing,
    Offset,
    Part,
    Seconds,
)


class ServedIndexes:
    """Indexes as one reader may see them.

    Args:
        agents: that search, by the names of their indexes.
        where: which documents there are for the reader; all when None.
    """

    def __init__(self, agents: Mapping[str, SearchAgent], where: Where | None) -> None:
        self._agents, self._where = agents, where
        self._only = next(iter(agents)) if len(agents) == 1 else None
        self._group = SearchGroup(agents)

    async def search_evidence(
        self,
        question: AskedQuestion,
        index: IndexName = None,
        limit: Few = 10,
        documents: DocumentIds = None,
        metadata: Conditions = None,
        seconds: Seconds = 30,
    ) -> Found:
        """Find the passages that answer a question together, where they stand, and how each was found."""
        name = index or self._only
        with self._told(ToolError):
            agent = self._group if name is None else self._agents[name]
            where = self._where
            if documents is not None or metadata is not None:
                where = Where(documents, metadata, None if where is None else where.principals)
            asked = {"limit": limit, "where": where, "seconds": seconds}
            return await searched(agent, question, asked, lambda result: Found.of(name or "", result))

    def read_document(self, document_id: str, index: IndexName = None, start: Offset = 0) -> Part:
        """Read a document from the character ``start`` on, 20,000 characters at a time."""
        with self._told(ToolError), self._opened(index) as (name, opened):
            return Part.of(name, opened.store.document(document_id), start)

    def list_documents(self, index: IndexName = None, after: str | None = None, limit: Few = 100) -> Listing:
        """List the documents of an index in its order; ``after`` is the id of the last one listed before."""
        with self._told(ToolError), self._opened(index) as (name, opened):
            return Listing.of(name, opened, after, limit)

    def document(self, index: str, document_id: str) -> str:
        with self._told(ResourceNotFoundError), self._opened(index) as (_, opened):
            return opened.store.document(document_id).text

    def passage(self, index: str, passage_id: str) -> str:
        with self._told(ResourceNotFoundError), self._opened(index) as (_, opened):
            return in_full(opened.store.passage(opened.store.row_of(passage_id)))

    @contextmanager
    def _opened(self, index: str | None) -> Iterator[tuple[str, Index]]:
        """Give one index, by its name, in its newest state."""
        name = index or self._only or ""
        opened = one_index(self._agents[name].index, "reading its documents")
        opened.refresh()
        with opened.snapshot(self._where):
            yield name, opened

    @contextmanager
    def _told(self, failed: type[Exception]) -> Iterator[None]:
        """Turn what goes wrong into what a client is told."""
        try:
            yield
        except KeyError as error:
            raise failed(
                f"nothing is called {error.args[0]!r} in {', '.join(self._agents)}: list_documents() first"
            ) from error
        except TrailhoundError as error:
            raise failed(str(error)) from error
