"""A workspace: one index that is searched, read and changed, and the agents that search it."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

from ..agent.search_agent import SearchAgent
from ..agent.search_result import SearchResult, Step
from ..graph._edges import Relation
from ..index._drift import measure_drift
from ..index.index import Index
from ..retrievers._folder import MANIFEST
from ..retrievers.protocols import Progress
from ..retrievers.records import OF_DOCUMENTS, Document
from ._refusal import Refusal

if TYPE_CHECKING:
    from ..index.updates import UpdateReport
    from ..index.where import Where

_FIXED = ("lexical", "dense", "hybrid", "hops", "ppr")
_SHOWN = 300
"""Characters of a node's text."""


class Workspace:
    """An opened index and its agents; threads may share it.

    Args:
        name: in paths.
        place: folder of the index.
        policy: folder of the policy that searches; the one that ships with the package when None.
    """

    def __init__(self, name: str, place: Path, policy: Path | None) -> None:
        self.name = name
        self.index = Index.open(place, threads=1)
        self._policy = policy
        self._agents: dict[str | None, SearchAgent] = {}
        self._lock = Lock()
        self._drift: tuple[int, dict[str, Any]] | None = None
        self.systems = self._known_systems()

    def _known_systems(self) -> tuple[str, ...]:
        if self.index.facts is not None:
            return (*_FIXED, "policy") if self._policy is not None else _FIXED
        late = ("late",) if self.index.pieces is not None else ()
        return (*_FIXED, *late, "exhaustive", "policy")

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

    @contextmanager
    def seen(self, where: Where | None) -> Iterator[None]:
        """Let this thread see the newest state, and in it only what ``where`` lets it see."""
        self.index.refresh()
        with self.index.snapshot(None if where is None or self.index.facts is not None else where):
            yield

    def about(self, where: Where | None) -> dict[str, Any]:
        """Return what a workspace is, as far as somebody may see it."""
        with self.seen(where):
            folder = self.index.path
            return {
                "name": self.name,
                "documents": self.index.store.documents,
                "passages": len(self.index),
                "systems": list(self.systems),
                "encoder": self.index.encoder_name,
                "changed": (folder / MANIFEST).stat().st_mtime,
                "size_bytes": sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
                "changeable": self.index.facts is None,
            }

    def health(self) -> dict[str, Any]:
        """Return the segments, what is deleted in them, and how far additions lie from the base."""
        with self.seen(None):
            parts, generation = self.index.parts, int(self.index.manifest["generation"])
            if self._drift is None or self._drift[0] != generation:
                self._drift = generation, _in_words(asdict(measure_drift(self.index)))
            segments = [
                {
                    "name": segment.entry.name,
                    "documents": len(segment.document_ids),
                    "passages": segment.entry.passages,
                    "deleted": segment.entry.deleted,
                }
                for segment in parts.segments
            ]
            return {
                "segments": segments,
                "deleted": sum(segment.entry.deleted for segment in parts.segments),
                "drift": self._drift[1],
                "generation": generation,
                "changed": (self.index.path / MANIFEST).stat().st_mtime,
                "left_out": len(parts.dropped),
            }

    def documents(self, after: str, limit: int, query: str, where: Where | None) -> dict[str, Any]:
        """Return documents in the order of their ids, and the id after which more follow; None where none do."""
        with self.seen(where):
            parts, wanted = self.index.parts, query.casefold()
            titles: dict[str, str] = {}
            counts: dict[str, int] = {}
            for row in parts.alive.nonzero()[0].tolist():
                identifier = parts.document_of[row]
                counts[identifier] = counts.get(identifier, 0) + 1
                titles.setdefault(identifier, parts.title_of[row])
            fitting = (one for one, title in titles.items() if one > after and wanted in f"{title}\n{one}".casefold())
            found = heapq.nsmallest(limit + 1, fitting)
            listed = [
                {
                    "id": one,
                    "title": titles[one],
                    "source": self.index.store.document(one).source,
                    "passages": counts[one],
                }
                for one in found[:limit]
            ]
            return {"documents": listed, "next": found[limit - 1] if len(found) > limit else None}

    def has(self, document: str, where: Where | None) -> bool:
        """Return whether there is a document, as far as somebody may see."""
        with self.seen(where):
            return bool(self.index.store.having([document]))

    def document(self, identifier: str, where: Where | None) -> dict[str, Any]:
        """Return a whole document, with the places of its passages.

        Raises:
            Refusal: when there is none, or it may not be seen.
        """
        with self.seen(where):
            if not self.index.store.having([identifier]):
                raise missing("document", identifier)
            document = self.index.store.document(identifier)
            passages = self.index.store.passages(self.index.store.rows_of(identifier))
            metadata = {name: value for name, value in document.metadata.items() if name not in OF_DOCUMENTS}
            return {
                "id": document.id,
                "title": document.title,
                "text": document.text,
                "source": document.source,
                "metadata": metadata,
                "passages": [{"id": p.id, "start": p.start, "end": p.end, "text": p.text} for p in passages],
            }

    def graph(self, passage: str, depth: int, limit: int, where: Where | None) -> dict[str, Any]:
        """Return the passages around one in the knowledge graph, nearest first, and the edges among them.

        Raises:
            Refusal: when there is no such passage, it may not be seen, or the graph is one of facts.
        """
        from ..graph._overview import neighbourhood

        if self.index.facts is not None:
            raise Refusal(409, "FactsError", f"{self.name} is a knowledge graph of facts: it has no passages")
        with self.seen(where):
            if not self.index.store.has(passage):
                raise missing("passage", passage)
            rows = neighbourhood(self.index.graph, self.index.store.row_of(passage), depth, limit)
            return {"nodes": self._nodes(rows), "edges": self._edges(rows)}

    def change(
        self,
        documents: Sequence[Document],
        deleted: Sequence[str],
        replace: bool,
        progress: Progress,
    ) -> UpdateReport:
        """Change the index: see ``Index.change``."""
        return self.index.change(documents, delete=deleted, replace=replace, progress=progress)

    def _nodes(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        return [
            {
                "id": passage.id,
                "document": passage.document_id,
                "title": passage.title,
                "text": passage.text if len(passage.text) <= _SHOWN else passage.text[: _SHOWN - 1].rstrip() + "…",
            }
            for passage in self.index.store.passages(rows)
        ]

    def _edges(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        import numpy as np

        names = [passage.id for passage in self.index.store.passages(rows)]
        columns = self.index.graph.links_between(np.array(rows, np.int64))
        edges = zip(*(column.tolist() for column in columns), strict=True)
        return [
            {"source": names[source], "target": names[target], "relation": Relation(relation).name.lower()}
            for source, target, relation in edges
        ]


def missing(what: str, identifier: str) -> Refusal:
    """Return the refusal of something that is not there; what may not be seen is not there either."""
    return Refusal(404, "NotFound", f"there is no {what} {identifier[:200]!r} here: list what there is first")


def _in_words(drift: dict[str, Any]) -> dict[str, Any]:
    """Return the measures that were taken, and a sentence on them."""
    measures = {name: value for name, value in drift.items() if value is not None}
    largest = max(measures, key=lambda name: float(measures[name]))
    if not measures[largest]:
        words = "none since the base was built"
    else:
        words = ", ".join(f"{name.replace('_', ' ')} {value:.0%}" for name, value in measures.items())
    return {**measures, "words": words}
