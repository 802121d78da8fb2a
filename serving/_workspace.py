"""A workspace: one index that is searched, read and changed, and the agents that search it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

from ..agent.search_agent import SearchAgent
from ..agent.search_result import SearchResult, Step
from ..index.index import Index
from ..retrievers.protocols import Progress
from ..retrievers.records import Document
from ..sharding.sharded_index import ShardedIndex
from ._refusal import Refusal

if TYPE_CHECKING:
    from ..index.updates import UpdateReport
    from ..index.where import Where


class Workspace(ABC):
    """An opened index and its agents; threads may share it.

    Args:
        name: in paths.
        index: that is searched and changed.
        systems: that search it.
        policy: folder of the policy that searches; the one that ships with the package when None.
    """

    def __init__(self, name: str, index: Index | ShardedIndex, systems: Sequence[str], policy: Path | None) -> None:
        self.name = name
        self.index = index
        self.systems = tuple(systems)
        self._policy = policy
        self._agents: dict[str | None, SearchAgent] = {}
        self._lock = Lock()

    @property
    def changeable(self) -> bool:
        """Whether documents can come and go."""
        return self.index.facts is None

    def agent(self, system: str | None) -> SearchAgent:
        """Return the agent of a system; None is the configured one.

        Raises:
            Refusal: when the index has no such system.
        """
        self.check(system)
        with self._lock:
            if system not in self._agents:
                policy = self._policy if system in (None, "policy", "exhaustive") else None
                self._agents[system] = SearchAgent(self.index, policy, system=system)
            return self._agents[system]

    def check(self, system: str | None) -> None:
        """Refuse a system that the index does not have."""
        if system is not None and system not in self.systems:
            known = ", ".join(self.systems)
            raise Refusal(404, "UnknownSystem", f"{self.name} has no system {system[:100]!r}: choose one of {known}")

    def warm_up(self) -> None:
        """Load what the first search would wait for: encoder, policy and reader."""
        self.agent(None).warm_up()

    def close(self) -> None:
        """Let go of the agents and the index."""
        for agent in self._agents.values():
            agent.close()
        self.index.close()

    def search(
        self,
        question: str,
        limit: int,
        system: str | None = None,
        where: Where | None = None,
        seconds: float | None = None,
        steps: int | None = None,
        answer: bool = True,
        cancelled: Event | None = None,
        on_step: Callable[[Step], None] | None = None,
    ) -> tuple[SearchResult, dict[str, Any]]:
        """Return the result of a search, and all of it as JSON; its answer is read where one is wanted."""
        agent = self.agent(system)
        result = agent.search(
            question, limit, where=where, seconds=seconds, steps=steps, cancelled=cancelled, on_step=on_step
        )
        if not answer:
            result = SearchResult(**{**vars(result), "answer": None})
        return result, result.to_json()

    @abstractmethod
    def about(self, where: Where | None) -> dict[str, Any]:
        """Return what a workspace is, as far as somebody may see it."""

    @abstractmethod
    def health(self) -> dict[str, Any]:
        """Return the segments, what is deleted in them, and how far additions lie from the base."""

    @abstractmethod
    def documents(self, after: str, limit: int, query: str, where: Where | None) -> dict[str, Any]:
        """Return documents in the order of their ids, and the id after which more follow; None where none do."""

    @abstractmethod
    def having(self, documents: Sequence[str], where: Where | None) -> set[str]:
        """Return those of the ids that name a document, as far as somebody may see."""

    @abstractmethod
    def document(self, identifier: str, where: Where | None) -> dict[str, Any]:
        """Return a whole document, with the places of its passages.

        Raises:
            Refusal: when there is none, or it may not be seen.
        """

    @abstractmethod
    def graph(self, passage: str, depth: int, limit: int, where: Where | None) -> dict[str, Any]:
        """Return the passages around one in the knowledge graph, nearest first, and the edges among them.

        Raises:
            Refusal: when there is no such passage, it may not be seen, or the graph is one of facts.
        """

    def change(
        self,
        documents: Sequence[Document],
        deleted: Sequence[str],
        replace: bool,
        progress: Progress,
    ) -> UpdateReport:
        """Change the index: see ``Index.change``."""
        return self.index.change(documents, delete=deleted, replace=replace, progress=progress)


def missing(what: str, identifier: str) -> Refusal:
    """Return the refusal of something that is not there; what may not be seen is not there either."""
    return Refusal(404, "NotFound", f"there is no {what} {identifier[:200]!r} here: list what there is first")
