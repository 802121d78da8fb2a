"""What an agent searches: an index, or the shards of one, under one interface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import PolicyError
from ..graph._knowledge_graph import Links
from ..retrievers.knowledge._facts import Facts
from ..retrievers.protocols import Encoder, SubIndex
from ..retrievers.records import Document, Passage, Query, Rows, Vectors
from ..retrievers.words._terms import TermHashes
from ..retrievers.words._titles import TitleMention
from ._sample import Sample
from .index import Index
from .where import Where


class Store(Protocol):
    """The passages and documents that a search may hand over: see :class:`EvidenceStore`."""

    @property
    def documents(self) -> int:
        """Number of documents."""
        ...

    def row_of(self, passage_id: str) -> int:
        """Return the row of a passage; KeyError when there is none."""
        ...

    def rows_of(self, document_id: str) -> list[int]:
        """Return the rows of a document's passages; KeyError when there is none."""
        ...

    def passage(self, row: int) -> Passage:
        """Return the passage of a row."""
        ...

    def passages(self, rows: Sequence[int]) -> list[Passage]:
        """Return the passages of rows, in that order."""
        ...

    def document(self, document_id: str) -> Document:
        """Return a document with its text."""
        ...


class Dense(SubIndex, Protocol):
    """The dense sub-index."""

    def reconstruct(self, rows: Rows) -> Vectors:
        """Return the vectors of passages, float32 [n, d]."""
        ...


class Entities(SubIndex, Protocol):
    """The sub-index of what a question names: see :class:`EntityIndex`."""

    def mentions(self, text: str) -> list[TitleMention]:
        """Return what a question names: titles, then identifiers."""
        ...

    def identified(self, text: str) -> list[TitleMention]:
        """Return the identifiers of a question that few passages have."""
        ...


class Terms(Protocol):
    """The analysed terms of passages: see :class:`TermIndex`."""

    def terms(self, row: int) -> TermHashes:
        """Return the terms of a passage, uint32 [k], sorted."""
        ...

    def terms_of(self, rows: NDArray[np.int64]) -> tuple[TermHashes, NDArray[np.int64]]:
        """Return the terms of passages one after the other, and the place in ``rows`` that each belongs to."""
        ...

    def document_frequency(self, hashes: TermHashes) -> NDArray[np.int64]:
        """Return the number of passages that have each term, int64 [k]."""
        ...

    def idf(self, hashes: TermHashes) -> NDArray[np.float32]:
        """Return the idf of each term, float32 [k]."""
        ...


class Degrees(Protocol):
    """A number of every row."""

    def __getitem__(self, rows: Rows, /) -> NDArray[np.int32]:
        """Return those of some rows, int32 [n]."""
        ...


class Graph(Protocol):
    """The edges of passages: see :class:`KnowledgeGraph`."""

    @property
    def in_degree(self) -> Degrees:
        """How many passages mention each row."""
        ...

    @property
    def out_degree(self) -> Degrees:
        """How many passages each row mentions."""
        ...

    def neighbours(self, row: int, group: str) -> Links:
        """Return the neighbours of a row in a relation group."""
        ...

    def links_between(self, rows: Rows) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int8]]:
        """Return every edge among rows, as places of source and target, and relations."""
        ...


class Pieces(Protocol):
    """The word pieces of passages: see :class:`PieceIndex`."""

    def score(self, pieces: Vectors, rows: Rows) -> NDArray[np.float32]:
        """Return how well passages fit a question's word pieces, float32 [n]."""
        ...

    def codes(self, rows: Rows) -> list[NDArray[np.uint8]]:
        """Return the codes of the word pieces of passages, uint8 [t, w] each."""
        ...


class Searchable(Protocol):
    """An index, or a sharded index. What it offers is of the state that :meth:`snapshot` keeps in this thread."""

    path: Path
    encoder_name: str

    @property
    def encoder(self) -> Encoder:
        """The encoder that the vectors come from."""
        ...

    @property
    def facts(self) -> Facts | None:
        """The facts of a knowledge graph; None over texts."""
        ...

    @property
    def store(self) -> Store:
        """The evidence store."""
        ...

    @property
    def lexical(self) -> SubIndex:
        """The lexical sub-index."""
        ...

    @property
    def dense(self) -> Dense:
        """The dense sub-index."""
        ...

    @property
    def entity(self) -> Entities:
        """The sub-index of names."""
        ...

    @property
    def terms(self) -> Terms:
        """The terms of passages."""
        ...

    @property
    def graph(self) -> Graph:
        """The edges of passages."""
        ...

    @property
    def sub_indexes(self) -> Mapping[str, SubIndex]:
        """The sub-indexes by name."""
        ...

    @property
    def pieces(self) -> Pieces | None:
        """The word pieces of passages, where they are kept."""
        ...

    @property
    def sample(self) -> Sample:
        """A sample of the passages."""
        ...

    @property
    def unreachable(self) -> tuple[str, ...]:
        """Parts of the index that are not seen because their machines are away; none for one index."""
        ...

    def shards_asked(self, question: str) -> tuple[str, ...]:
        """Return the shards that are asked what they find for a question; none of one index."""
        ...

    def look_ahead(self, rows: Rows) -> None:
        """Fetch what is known of passages that a search looks at next, where they are elsewhere."""
        ...

    def __len__(self) -> int:
        """Return the number of passages."""
        ...

    def query(self, text: str) -> Query:
        """Return ``text`` with its vector, and with its word pieces where the encoder gives them."""
        ...

    def queries(self, texts: Sequence[str]) -> list[Query]:
        """Return texts as :meth:`query` does, encoded together."""
        ...

    def sub_indexes_for(self, question: Query) -> Mapping[str, SubIndex]:
        """Return the sub-indexes that are searched for a question, by name."""
        ...

    def refresh(self) -> bool:
        """See what other processes have changed since; returns whether there was anything."""
        ...

    def snapshot(self, where: Where | None = None) -> AbstractContextManager[None]:
        """Let this thread see one state, and of it the documents that fit ``where`` alone."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


def one_index(found: Searchable, what: str) -> Index:
    """Return what is searched where it is one index.

    Raises:
        PolicyError: when it is in shards, which ``what`` cannot be asked of.
    """
    if not isinstance(found, Index):
        raise PolicyError(f"{what} needs one index, and {found.path} is in shards: index it without shards for that")
    return found
