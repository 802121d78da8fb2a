"""The parts of a sharded index, as a search reads them: every one asks the shards of a state."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..graph._edges import GROUPS, Links
from ..retrievers.records import Document, Hits, Passage, Query, Rows, Vectors
from ..retrievers.words._terms import TermHashes, rarity
from ..retrievers.words._titles import EntityIndex, TitleMention
from ._messages import GROUPS_OF_EDGES, OUTWARD
from ._state import State


class RemoteStore:
    """The evidence store of all shards."""

    def __init__(self, state: State) -> None:
        self._state = state

    @property
    def documents(self) -> int:
        """Number of documents."""
        return self._state.documents

    def row_of(self, passage_id: str) -> int:
        """Return the row of a passage; KeyError when there is none."""
        return self._state.rows_named("passage", passage_id)[0]

    def rows_of(self, document_id: str) -> list[int]:
        """Return the rows of a document's passages; KeyError when there is none."""
        return self._state.rows_named("document", document_id)

    def passage(self, row: int) -> Passage:
        """Return the passage of a row."""
        return self.passages([row])[0]

    def passages(self, rows: Sequence[int]) -> list[Passage]:
        """Return the passages of rows, in that order."""
        return self._state.read(np.array(rows, np.int64))

    def document(self, document_id: str) -> Document:
        """Return a document with its text."""
        return self._state.document(document_id)


class RemoteSubIndex:
    """A sub-index of all shards; fulfils ``SubIndex``.

    Args:
        name: which.
        state: of the shards.
        ahead: fetch all that is known of the passages it finds for the question, since a policy looks at all of them.
    """

    def __init__(self, name: str, state: State, ahead: bool = False) -> None:
        self.name = name
        self._state = state
        self._ahead = ahead

    def search(self, query: Query, limit: int) -> Hits:
        """Return at most ``limit`` passages, best first."""
        if limit < 1:
            return Hits(np.zeros(0, np.int64), np.zeros(0, np.float32))
        return self._state.find(self.name, query, limit, self._ahead)


class RemoteDense(RemoteSubIndex):
    """The dense sub-index of all shards."""

    def __init__(self, state: State, ahead: bool = False) -> None:
        super().__init__("dense", state, ahead)

    def reconstruct(self, rows: Rows) -> Vectors:
        """Return the vectors of passages, float32 [n, d]."""
        return self._state.vectors(rows)


class RemoteEntities:
    """What a question names in all shards; fulfils ``SubIndex``."""

    name = "entity"

    def __init__(self, state: State) -> None:
        self._state = state

    def mentions(self, text: str) -> list[TitleMention]:
        """Return what a question names: titles, then identifiers."""
        return self._of(text).mentions(text)

    def identified(self, text: str) -> list[TitleMention]:
        """Return the identifiers of a question that few passages have."""
        return self._of(text).identified(text)

    def search(self, query: Query, limit: int) -> Hits:
        """Return at most ``limit`` passages that the query names, most specific first."""
        return self._of(query.text).search(query, limit)

    def _of(self, text: str) -> EntityIndex:
        return self._state.known(text).entity


class RemoteTerms:
    """The terms of the passages of all shards."""

    def __init__(self, state: State) -> None:
        self._state = state

    def terms(self, row: int) -> TermHashes:
        """Return the terms of a passage, uint32 [k], sorted."""
        return self._state.records(np.array([row]))[0].terms

    def terms_of(self, rows: NDArray[np.int64]) -> tuple[TermHashes, NDArray[np.int64]]:
        """Return the terms of passages one after the other, and the place in ``rows`` that each belongs to."""
        each = [record.terms for record in self._state.records(rows)]
        owner = np.repeat(np.arange(len(each)), [len(terms) for terms in each])
        return np.concatenate([np.zeros(0, np.uint32), *each]), owner

    def document_frequency(self, hashes: TermHashes) -> NDArray[np.int64]:
        """Return the number of passages that have each term, int64 [k]."""
        return self._state.frequencies(hashes)

    def idf(self, hashes: TermHashes) -> NDArray[np.float32]:
        """Return the idf of each term, float32 [k]."""
        return rarity(self._state.frequencies(hashes), self._state.rows)


class RemoteDegrees:
    """How many passages each row mentions, or how many mention it."""

    def __init__(self, state: State, inward: bool) -> None:
        self._state = state
        self._inward = inward

    def __getitem__(self, rows: Rows) -> NDArray[np.int32]:
        """Return those of some rows, int32 [n]."""
        found = self._state.records(rows, linked=True)
        return np.array([one.in_degree if self._inward else one.out_degree for one in found], np.int32)


class RemoteGraph:
    """The edges of the passages of all shards."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.in_degree, self.out_degree = RemoteDegrees(state, True), RemoteDegrees(state, False)

    def neighbours(self, row: int, group: str) -> Links:
        """Return the neighbours of a row in a relation group.

        Raises:
            ValueError: when there is no such group.
        """
        if group not in GROUPS:
            raise ValueError(f"no relation group {group!r}; there are {', '.join(GROUPS)}")
        place = GROUPS_OF_EDGES.index(group)
        links = self._state.records(np.array([row]), linked=True)[0].links(place, place + 1)
        there = self._state.there(links.rows)
        if there.all():
            return links
        return Links(links.rows[there], links.relations[there], links.starts[there], links.ends[there])

    def links_between(self, rows: Rows) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int8]]:
        """Return every edge among rows, as places of source and target, and relations."""
        each = [record.links(0, OUTWARD) for record in self._state.records(rows, linked=True)]
        if not each:
            return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int8)
        source = np.repeat(np.arange(len(each)), [len(links) for links in each])
        targets = np.concatenate([links.rows for links in each])
        relations = np.concatenate([links.relations for links in each])
        order = np.argsort(rows, kind="stable")
        place = order[np.minimum(np.searchsorted(rows, targets, sorter=order), len(rows) - 1)]
        inside = rows[place] == targets
        return source[inside], place[inside], relations[inside]


class RemotePieces:
    """The word pieces of the passages of all shards."""

    def __init__(self, state: State) -> None:
        self._state = state

    def score(self, pieces: Vectors, rows: Rows) -> NDArray[np.float32]:
        """Return how well passages fit a question's word pieces, float32 [n]."""
        return self._state.late(pieces, rows)

    def codes(self, rows: Rows) -> list[NDArray[np.uint8]]:
        """Return the codes of the word pieces of passages, uint8 [t, w] each."""
        return self._state.codes(rows)
