"""What frameworks are told of a piece of evidence, and how they ask for it."""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from ..agent.search_agent import SearchAgent
from ..agent.search_group import SearchGroup
from ..agent.search_result import Evidence, SearchResult
from ..index.where import Where

T = TypeVar("T")
Agent = SearchAgent | SearchGroup


def agent_of(agent: Agent | Path | str) -> Agent:
    """Return the agent or group that is given, or an agent that searches the index in a folder."""
    return SearchAgent(agent) if isinstance(agent, Path | str) else agent


def asked(limit: int | None, where: Where | None, seconds: float | None, otherwise: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of one search: what a call says, and where it says nothing what its retriever says."""
    given = {"limit": limit, "where": where, "seconds": seconds}
    return otherwise | {name: value for name, value in given.items() if value is not None}


async def searched(agent: Agent, question: str, asked: dict[str, Any], made: Callable[[SearchResult], T]) -> T:
    """Search in a worker thread, and make there of the result what is wanted: looking at some of it computes."""
    result = await agent.asearch(question, **asked)
    return await to_thread(made, result)


def metadata_of(evidence: Evidence, result: SearchResult) -> dict[str, Any]:
    """Return what is known of a passage and how it was found, after what its document says of itself.

    Returns:
        JSON values. ``start`` and ``end`` are the passage's place in its document, ``path`` the steps of the search in
        words, the same for every passage of a result. A field of the document by one of these names is covered.
    """
    passage = evidence.passage
    return {
        **passage.metadata,
        "rank": evidence.rank,
        "score": evidence.score,
        "probability": evidence.probability,
        "index": evidence.index,
        "document_id": passage.document_id,
        "title": passage.title,
        "source": passage.source,
        "page": evidence.page,
        "start": passage.start,
        "end": passage.end,
        "taken": evidence.taken,
        "how": evidence.how,
        "path": path_of(result),
    }


def path_of(result: SearchResult) -> list[str]:
    """Return the steps of a search in words."""
    return [step.detail for step in result.path]
