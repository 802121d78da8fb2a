"""Several indexes that are searched as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from threading import Event

from ..errors import QuestionsError
from ..index.where import Where
from ._later import Later, changed
from ._streaming import aside
from .search_agent import SearchAgent
from .search_result import Evidence, SearchResult, Step


class SearchGroup:
    """Searches several indexes as one: each by its agent, and what they found is ranked by how probably it supports.

    Links are followed within each index. A passage says which index it is from.

    Args:
        agents: by the name of the index.

    Raises:
        QuestionsError: when there is no agent.
    """

    def __init__(self, agents: Mapping[str, SearchAgent]) -> None:
        if not agents:
            raise QuestionsError("a group of no agents finds nothing: give at least one")
        self.agents = dict(agents)

    def __enter__(self) -> SearchGroup:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close all agents: see ``SearchAgent.close``."""
        for agent in self.agents.values():
            agent.close()

    def search(
        self,
        question: str,
        limit: int = 10,
        *,
        where: Where | None = None,
        seconds: float | None = None,
        steps: int | None = None,
        cancelled: Event | None = None,
        at_least: float = 0.0,
    ) -> SearchResult:
        """Find the evidence for a question in all indexes; arguments and errors are those of ``SearchAgent.search``.

        The answer is that of the index whose search is surest; ``seconds`` and ``steps`` are each search's.
        """
        found = {
            name: agent.search(question, limit, where=where, seconds=seconds, steps=steps, cancelled=cancelled)
            for name, agent in self.agents.items()
        }
        return merged(found, limit).likely(at_least)

    def search_many(
        self,
        questions: Sequence[str],
        limit: int = 10,
        *,
        where: Where | None = None,
        cancelled: Event | None = None,
    ) -> list[SearchResult]:
        """Search many questions, which costs less than one by one."""
        found = {
            name: agent.search_many(questions, limit, where=where, cancelled=cancelled)
            for name, agent in self.agents.items()
        }
        return [merged(dict(zip(found, each, strict=True)), limit) for each in zip(*found.values(), strict=True)]

    async def asearch(
        self,
        question: str,
        limit: int = 10,
        *,
        where: Where | None = None,
        seconds: float | None = None,
        steps: int | None = None,
        at_least: float = 0.0,
    ) -> SearchResult:
        """Do what :meth:`search` does in a worker thread; cancelling the task ends the search."""
        return await aside(
            partial(self.search, question, limit, where=where, seconds=seconds, steps=steps, at_least=at_least)
        )


def merged(results: Mapping[str, SearchResult], limit: int) -> SearchResult:
    """Return one result of several for the same question, by the name of their index; the surest one answers.

    Passages stand in the order of their probability; where one has none, in the order of their ranks.
    """
    surest = max(results, key=lambda name: results[name].confidence or 0.0)
    everything = [changed(one, index=name) for name, result in results.items() for one in result.evidence]
    known = all(one.probability is not None for one in everything)
    order = sorted(everything, key=lambda one: (-(one.probability or 0.0) if known else 0.0, one.rank))[:limit]
    sure = [result.confidence for result in results.values() if result.confidence is not None]
    return changed(
        results[surest],
        evidence=tuple(_at_rank(one, rank) for rank, one in enumerate(order, start=1)),
        path=tuple(_of_index(step, name) for name, result in results.items() for step in result.path),
        answered_by="; ".join(f"{name}: {result.answered_by}" for name, result in results.items()),
        milliseconds=sum(result.milliseconds for result in results.values()),
        calls=sum(result.calls for result in results.values()),
        confidence=max(sure) if sure else None,
        answer=Later(lambda: results[surest].answer),
        unanswered=all(result.unanswered for result in results.values()),
        ended_by=next((one.ended_by for one in results.values() if one.ended_by != "policy"), "policy"),
        unreachable=tuple(f"{name}/{shard}" for name, one in results.items() for shard in one.unreachable),
        shards=tuple(f"{name}/{shard}" for name, one in results.items() for shard in one.shards),
    )


def _at_rank(evidence: Evidence, rank: int) -> Evidence:
    return changed(evidence, rank=rank, score=1 / rank)


def _of_index(step: Step, name: str) -> Step:
    return replace(step, detail=f"in {name}: {step.detail}")
