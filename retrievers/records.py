"""The values that flow from files to evidence: documents, passages, queries, hits, questions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
"""Float32 vectors, shape [n, d], or [d] for one."""

Rows = NDArray[np.int64]
"""Passage rows: positions 0..N-1 in the evidence store's order, the same in every sub-index."""

Spans = tuple[tuple[int, int], ...]
"""Places ``[start, end)`` in a text, in order."""

Markup = Literal["markdown", "plain", "code"]
"""How a text is written, which says where it may be cut: Markdown, prose without marks, or the lines of a program."""


FILE_HASH = "file_hash"
"""Key of a document's metadata: tells the bytes of its file from any others, 32 hexadecimal digits."""

CORPUS_ROOT = "corpus_root"
"""Key of a document's metadata: the number of the root that it is below, for all but the files of the first."""

OF_DOCUMENTS = frozenset({"page_starts", "first_line", FILE_HASH, CORPUS_ROOT})
"""Keys of a document's metadata that are about the whole of it, and no passage's."""


@dataclass(frozen=True, slots=True)
class Document:
    """One file or record of a corpus.

    Attributes:
        id: unique in the corpus.
        title: may be empty.
        text: normalised text; every offset counts characters of this string.
        source: the file (and line) it came from, for people.
        atomic: the corpus delivers passages already (BEIR, multi-hop JSON): one passage, unless it is too long.
        metadata: whatever else the corpus says, JSON values only. Those of :data:`OF_DOCUMENTS` are about the whole
            document: ``page_starts``, the offset at which each page begins; ``first_line``, the number of the text's
            first line in its file, where its lines are those of the file; ``file_hash``, of the file's bytes;
            ``corpus_root``, the number of the root in the index's list that the file is below.
        markup: how the text is written.
    """

    id: str
    title: str
    text: str
    source: str = ""
    atomic: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)
    markup: Markup = "markdown"


@dataclass(frozen=True, slots=True)
class Passage:
    """A retrievable chunk of a document: ``text == document.text[start:end]``.

    Attributes:
        id: unique in the corpus.
        document_id: of the document it was cut from.
        title: of the document.
        text: of the passage.
        start, end: its place ``[start, end)`` in the document's text.
        sentences: the place ``[start, end)`` of every sentence in the passage's text, in order. They are found once,
            when the passage is made, and stored with it.
        source: the file (and line) it came from, for people.
        metadata: whatever else the corpus says, JSON values only. ``page`` and ``last_page`` are the pages that it
            begins and ends on, ``line`` and ``last_line`` the lines of its file, counted from 1, where they are known.
        lead: what is repeated before the text for finding and reading it, such as the header of the table whose rows
            it has; "" for most.
    """

    id: str
    document_id: str
    title: str
    text: str
    start: int
    end: int
    sentences: Spans
    source: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    lead: str = ""


@dataclass(frozen=True, slots=True)
class Query:
    """What a sub-index is asked.

    Attributes:
        text: the question.
        vector: float32 [d], for those that compare vectors.
        pieces: vectors of its word pieces, float32 [l, d], for late interaction; None where the encoder gives none.
    """

    text: str
    vector: Vectors | None = None
    pieces: Vectors | None = None


@dataclass(frozen=True, slots=True)
class Hits:
    """Passages found, best first: rows int64 [m], scores float32 [m] (higher is better)."""

    rows: Rows
    scores: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, slots=True)
class Candidates:
    """What a first stage found, in any order.

    Attributes:
        rows: int64 [n].
        passages: of these rows, [n].
        scores: the first stage's, float64 [n], higher is better.
    """

    rows: Rows
    passages: tuple[Passage, ...]
    scores: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.rows)

    def first_ranks(self) -> NDArray[np.float64]:
        """Return the rank of each in the first stage, from 1, float64 [n]; equal scores have equal ranks."""
        ranks: NDArray[np.float64] = 1.0 + (self.scores[None, :] > self.scores[:, None]).sum(axis=1)
        return ranks


@dataclass(frozen=True, slots=True)
class SupportingSentence:
    """The sentence of a passage that supports a question best.

    Attributes:
        start, end: its place ``[start, end)`` in the passage's text.
        document_start, document_end: its place in the document's text.
        score: higher is better; to be compared with those of the same question and re-ranker alone.
    """

    start: int
    end: int
    document_start: int
    document_end: int
    score: float


LONGEST_QUESTION = 10_000
"""Characters of a question. No encoder reads more than a tenth of it, and every word of it is looked up."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question; the answer and the type are there only when the data set says them."""

    id: str
    text: str
    answer: str | None = None
    type: str | None = None


Qrels = dict[str, dict[str, int]]
"""TREC labels: question id -> passage id -> relevance (above 0 = supporting)."""

Run = dict[str, dict[str, float]]
"""A ranked result: question id -> passage id -> score (higher is better)."""
