"""What passes between a search and its shards. All rows are rows of all shards (see :func:`row_in_all`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..index.where import Where
from ..retrievers.records import Passage, Rows, Vectors
from ..retrievers.words._terms import TermHashes
from ..retrievers.words._title_forms import Kind
from ..retrievers.words._word_statistics import CorpusSize, FieldWord, WordStatistics

GROUPS_OF_EDGES = ("mentions", "shares", "adjacent", "mentioned_by")
"""Relation groups in the order in which edges are sent: those that lead out of a passage stand together."""

OUTWARD = 3
"""How many of the groups those are."""

_ROW_BITS, _SHARD_BITS = 23, 10
MOST_PASSAGES, MOST_SHARDS = 1 << _ROW_BITS, 1 << _SHARD_BITS
"""How many passages a shard may have, and how many shards there may be."""

ADDED = (1 << 30) - 1
"""What stands for the place in the corpus of a document that was added since."""


def row_in_all(order: NDArray[np.integer] | int, shard: int, rows: Rows) -> Rows:
    """Return rows of a shard as rows of all shards, int64 [n]: the place of the document in the corpus stands first.

    So rows of all shards are in the order in which one index has them.

    Args:
        order: place of each passage's document in the corpus.
        shard: number of the shard.
        rows: of the passages in it.
    """
    return ((np.asarray(order, np.int64) << _SHARD_BITS | shard) << _ROW_BITS) | np.asarray(rows, np.int64)


def shards_of(rows: Rows) -> NDArray[np.int64]:
    """Return the number of the shard of rows of all shards, int64 [n]."""
    return np.asarray(rows, np.int64) >> _ROW_BITS & (MOST_SHARDS - 1)


def row_in_shard(rows: Rows) -> Rows:
    """Return rows of all shards as rows of their own, int64 [n]."""
    return np.asarray(rows, np.int64) & (MOST_PASSAGES - 1)


def place_of(row: int) -> tuple[int, int]:
    """Return the number of the shard of a row of all shards, and the row in it."""
    return row >> _ROW_BITS & (MOST_SHARDS - 1), row & (MOST_PASSAGES - 1)


@dataclass(frozen=True, slots=True)
class View:
    """What of a shard is seen: a state of it, and the documents that fit.

    Attributes:
        generation: number of the state; None for the newest.
        where: what documents must fit; None for all.
    """

    generation: int | None = None
    where: Where | None = None


@dataclass(frozen=True, slots=True)
class QuestionWords:
    """What a question is known by to its words, all that a search looks up of it in every shard.

    Attributes:
        hashes: of its terms, uint32 [t], sorted.
        words: terms by field, of its words and identifiers.
        identifiers: those of them that are identifiers.
        folded: its words, folded as titles are for questions.
    """

    hashes: TermHashes
    words: tuple[FieldWord, ...]
    identifiers: tuple[FieldWord, ...]
    folded: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TitleForm:
    """A form of titles that a shard has among a question's words.

    Attributes:
        phrase: its words, folded.
        text: how it is written.
        kind, exact: see :class:`NamedForm`.
        rows: that it names, as many as tell whether they are too many.
    """

    phrase: str
    text: str
    kind: Kind
    exact: bool
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class KnownWords:
    """What a shard knows of a question's words.

    Attributes:
        hashes: in how many of its passages each term is, int64 [t].
        words: likewise the terms by field, deleted passages among them, int64 [w].
        identified: the rows that have an identifier; None where they are too many.
        forms: of titles among the words.
    """

    hashes: NDArray[np.int64]
    words: NDArray[np.int64]
    identified: tuple[Rows | None, ...]
    forms: tuple[TitleForm, ...]


@dataclass(frozen=True, slots=True)
class Begun:
    """What a shard says when a search begins.

    Attributes:
        generation: number of the state that the search keeps to.
        size: of the shard, deleted passages among them.
        documents, passages: that are seen.
        rows: that count in document frequencies of terms.
        pieces: whether word pieces are kept.
        complete: whether all passages that were linked are seen, so that every edge that leads here ends.
        known: of every question.
    """

    generation: int
    size: CorpusSize
    documents: int
    passages: int
    rows: int
    pieces: bool
    complete: bool
    known: tuple[KnownWords, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a shard is asked to find.

    Attributes:
        text: of the query.
        vector: of the query, float32 [d]; None where vectors are not to be compared.
        limit: passages of each list at most.
        by_words: the size of all shards together, and how frequent words are in them and here; None where words are
            not looked up.
    """

    text: str
    vector: Vectors | None
    limit: int
    by_words: tuple[CorpusSize, WordStatistics] | None


@dataclass(frozen=True, slots=True)
class EdgeBlock:
    """The edges of passages, one after the other in the order of the relation groups.

    Attributes:
        offsets: int64 [n * groups + 1].
        rows: at the other end, int64 [m].
        relations, starts, ends: of each edge: see :class:`Links`.
        in_degree, out_degree: of each passage, int32 [n].
    """

    offsets: NDArray[np.int64]
    rows: Rows
    relations: NDArray[np.int8]
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]
    in_degree: NDArray[np.int32]
    out_degree: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class RecordBlock:
    """All that a search reads of some passages.

    Attributes:
        there: which of the rows that were asked for are seen, bool [asked]; what follows is of these alone.
        passages: with their texts.
        vectors: float32 [n, d].
        offsets: int64 [n + 1], of the terms of each.
        terms: uint32 [m], sorted in each.
        edges: of each; None where they were not asked for.
    """

    there: NDArray[np.bool_]
    passages: Sequence[Passage]
    vectors: Vectors
    offsets: NDArray[np.int64]
    terms: TermHashes
    edges: EdgeBlock | None
