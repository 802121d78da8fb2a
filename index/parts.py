"""The parts of an index that are searched together: those of its base, or as they are after changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from ..errors import DamagedIndexError
from ..graph.knowledge_graph import KnowledgeGraph
from ..retrievers.changing.live_dense import LiveDense
from ..retrievers.changing.live_late import LiveLate
from ..retrievers.changing.live_lexical import LiveLexical
from ..retrievers.changing.live_pruning import Entry
from ..retrievers.changing.live_store import LiveStore
from ..retrievers.changing.live_terms import LiveTerms
from ..retrievers.compiling.pruning import DUPLICATES, Sieve
from ..retrievers.knowledge.facts import Facts
from ..retrievers.protocols import SubIndex
from ..retrievers.store import FILE_NAME, EvidenceStore
from ..retrievers.vectors.dense import DenseIndex, DenseKind
from ..retrievers.vectors.late_interaction import LATE, LateInteractionIndex
from ..retrievers.vectors.vector_cache import DENSE
from ..retrievers.words.entity import EntityIndex
from ..retrievers.words.lexical import LexicalIndex
from ..retrievers.words.terms import TermIndex
from ..retrievers.words.titles import TitleMatcher
from .live_graph import LiveGraph

LEXICAL = "lexical"
TERMS = "terms.safetensors"
GRAPH = "graph"
FACTS = "facts"

WordPieces = Callable[[str], NDArray[np.float16]]
"""Returns the vectors of a text's word pieces, float16 [l, d]."""


@dataclass(frozen=True)
class BaseParts:
    """The parts of a base, as they were built; titles and documents of all rows beside them."""

    store: EvidenceStore
    lexical: LexicalIndex
    dense: DenseIndex
    entity: EntityIndex
    terms: TermIndex
    titles: TitleMatcher
    graph: KnowledgeGraph
    facts: Facts | None
    late: LateInteractionIndex | None
    title_of: Sequence[str]
    document_of: Sequence[str]
    dropped: Sequence[Entry] = ()

    @cached_property
    def sub_indexes(self) -> dict[str, SubIndex]:
        """The sub-indexes by name."""
        late = () if self.late is None else (self.late,)
        return {index.name: index for index in (self.lexical, self.dense, self.entity, *late)}


@dataclass(frozen=True)
class LiveParts:
    """The parts of an index as of a snapshot; titles and documents of all rows beside them.

    Attributes:
        base_rows: rows of the base; those from there on were added.
        dropped: the passages that were left out because they repeat another.
        in_context: whether the lexical index knows more of passages than their own words.
    """

    store: LiveStore
    lexical: LiveLexical
    dense: LiveDense
    entity: EntityIndex
    terms: LiveTerms
    titles: TitleMatcher
    graph: LiveGraph
    title_of: Sequence[str]
    document_of: Sequence[str]
    base_rows: int
    late: LiveLate | None
    dropped: Sequence[Entry]
    in_context: bool
    facts: None = None

    @cached_property
    def sub_indexes(self) -> dict[str, SubIndex]:
        """The sub-indexes by name."""
        late = () if self.late is None else (self.late,)
        return {index.name: index for index in (self.lexical, self.dense, self.entity, *late)}


class Column(Sequence[str]):
    """What is said of every row: a list for the base, then one to which additions are appended."""

    def __init__(self, base: Sequence[str], added: Sequence[str], count: int) -> None:
        self._base = base
        self._added = added
        self._count = count

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._count

    @overload
    def __getitem__(self, row: int) -> str: ...

    @overload
    def __getitem__(self, row: slice) -> Sequence[str]: ...

    def __getitem__(self, row: int | slice) -> str | Sequence[str]:
        """Return what is said of a row."""
        if isinstance(row, slice):
            return [self[place] for place in range(*row.indices(self._count))]
        return self._base[row] if row < len(self._base) else self._added[row - len(self._base)]


def open_base(folder: Path, dense: DenseKind, pieces: WordPieces | None = None) -> BaseParts:
    """Open every part of a base; ``pieces`` encodes what a late-interaction sub-index is asked.

    Raises:
        DamagedIndexError: when one cannot be read, or they differ in length.
    """
    store = EvidenceStore(folder / FILE_NAME)
    titles, documents = store.columns()
    matcher = TitleMatcher(titles, documents)
    facts = Facts.load(folder / FACTS) if (folder / FACTS).is_dir() else None
    parts = BaseParts(
        store,
        LexicalIndex(folder / LEXICAL),
        DenseIndex(folder / DENSE, dense),
        EntityIndex(titles, documents, matcher),
        TermIndex.load(folder / TERMS),
        matcher,
        KnowledgeGraph.load(folder / GRAPH),
        facts,
        None if pieces is None else LateInteractionIndex(folder / LATE, pieces),
        titles,
        documents,
        Sieve.load(folder) if (folder / DUPLICATES).exists() else (),
    )
    sizes = {len(part) for part in (parts.store, parts.lexical, parts.dense, parts.terms, parts.graph)}
    sizes |= {len(parts.late)} if parts.late is not None else set()
    if len(sizes) != 1 or (facts is not None and len(facts.entities) not in sizes):
        raise DamagedIndexError(f"the parts of {folder} differ in length: build the index again")
    return parts
