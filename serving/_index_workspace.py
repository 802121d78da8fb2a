"""A workspace of an ordinary index."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..graph._edges import Relation
from ..index._drift import measure_drift
from ..index.index import Index
from ..retrievers._folder import MANIFEST
from ..retrievers.records import OF_DOCUMENTS
from ._refusal import Refusal
from ._workspace import Workspace, missing

if TYPE_CHECKING:
    from ..index.where import Where

FIXED = ("lexical", "dense", "hybrid", "hops")
"""Systems that every index has."""

_SHOWN = 300
"""Characters of a node's text."""


class IndexWorkspace(Workspace):
    """An index in one folder, and its agents.

    Args:
        name: in paths.
        index: of the workspace.
        policy: folder of the policy that searches; the one that ships with the package when None.
    """

    index: Index

    def __init__(self, name: str, index: Index, policy: Path | None) -> None:
        super().__init__(name, index, _systems(index, policy), policy)
        self._drift: tuple[int, dict[str, Any]] | None = None

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
                "changeable": self.changeable,
            }

    def health(self) -> dict[str, Any]:
        """Return the segments, what is deleted in them, and how far additions lie from the base."""
        with self.seen(None):
            parts, generation = self.index.parts, int(self.index.manifest["generation"])
            if self._drift is None or self._drift[0] != generation:
                self._drift = generation, in_words(asdict(measure_drift(self.index)))
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

    def having(self, documents: Sequence[str], where: Where | None) -> set[str]:
        """Return those of the ids that name a document, as far as somebody may see."""
        with self.seen(where):
            return set(self.index.store.having(documents))

    def having_passage(self, passage: str, where: Where | None) -> bool:
        """Return whether there is a passage, as far as somebody may see."""
        with self.seen(where):
            return self.index.store.has(passage)

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


def _systems(index: Index, policy: Path | None) -> tuple[str, ...]:
    fixed = (*FIXED, "ppr")
    if index.facts is not None:
        return (*fixed, "policy") if policy is not None else fixed
    late = ("late",) if index.pieces is not None else ()
    return (*fixed, *late, "exhaustive", "policy")


def in_words(drift: dict[str, Any]) -> dict[str, Any]:
    """Return the measures that were taken, and a sentence on them."""
    measures = {name: value for name, value in drift.items() if value is not None}
    largest = max(measures, key=lambda name: float(measures[name]))
    if not measures[largest]:
        words = "none since the base was built"
    else:
        words = ", ".join(f"{name.replace('_', ' ')} {value:.0%}" for name, value in measures.items())
    return {**measures, "words": words}
