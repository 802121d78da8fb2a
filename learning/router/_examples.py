"""What a router learns from: queries with the passages that they should lead to, labelled or made from passages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ...retrievers.protocols import Encoder, Progress, query_vectors
from ...retrievers.records import Passage, Query, Question, Rows, Vectors
from ...retrievers.router._clues import Clues, Corpus, clues_of
from ...retrievers.router._docids import NONE
from ...retrievers.words._terms import TermIndex, term_hashes
from ...retrievers.words._title_forms import strip_parenthesis

PairKind = Literal["labelled", "title", "lead", "sentence", "question"]
MADE_KINDS: tuple[PairKind, ...] = ("title", "lead", "sentence", "question")

_SHORTEST = 4
"""Words of a sentence that says enough to be looked for."""

_LEAD = re.compile(r"\b(was|were|is|are)\s+((?:an?|the|one)\s+.+)", re.DOTALL)

MADE_WEIGHT = 0.3
"""What a made pair counts for beside a person's question."""


@dataclass(frozen=True, slots=True)
class TrainingPair:
    """A query, the rows it should lead to, and where it comes from."""

    query: str
    rows: tuple[int, ...]
    kind: PairKind


@dataclass(frozen=True, slots=True)
class Examples:
    """Training examples."""

    queries: list[Query]  # texts with vectors
    clues: list[Clues]  # of each of n queries
    wanted: NDArray[np.int64]  # int64 [n, g], rows, NONE for none
    weights: NDArray[np.float32]  # float32 [n], what each query counts for
    labelled: NDArray[np.bool_]  # bool [n], whether people asked it

    def __len__(self) -> int:
        """Return the number of queries."""
        return len(self.clues)

    def take(self, places: NDArray[np.int64] | Sequence[int]) -> Examples:
        """Return the examples at ``places``."""
        where = np.asarray(places, np.int64)
        queries, clues = [self.queries[place] for place in where], [self.clues[place] for place in where]
        return Examples(queries, clues, self.wanted[where], self.weights[where], self.labelled[where])

    def parted(self, share: float, rng: np.random.Generator) -> tuple[Examples, Examples]:
        """Return the examples without a held-out share, and that share: of people's questions where there are two."""
        pool = np.flatnonzero(self.labelled) if self.labelled.sum() > 1 else np.arange(len(self))
        count = min(max(1, round(share * len(pool))), len(pool) - 1)
        held_out = np.sort(rng.permutation(pool)[:count])
        return self.take(np.setdiff1d(np.arange(len(self)), held_out)), self.take(held_out)

    def within(self, rows: Rows) -> NDArray[np.int64]:
        """Return the places of the examples all of whose wanted rows are among ``rows``."""
        inside = np.isin(self.wanted, rows) | (self.wanted == NONE)
        return np.flatnonzero(inside.all(axis=1))


def examples_of(pairs: Sequence[TrainingPair], vectors: Vectors, corpus: Corpus) -> Examples:
    """Gather the clues of at least one training pair, asked of ``corpus``, with the vectors [n, d] of their queries."""
    if not pairs or len(pairs) != len(vectors):
        raise ValueError(f"{len(pairs)} training pairs with {len(vectors)} vectors: give at least one, one of each")
    width = max(len(pair.rows) for pair in pairs)
    wanted = np.full((len(pairs), width), NONE, np.int64)
    for place, pair in enumerate(pairs):
        wanted[place, : len(pair.rows)] = pair.rows
    queries = [Query(pair.query, vector) for pair, vector in zip(pairs, vectors, strict=True)]
    labelled = np.array([pair.kind == "labelled" for pair in pairs])
    weights = np.where(labelled, 1, MADE_WEIGHT).astype(np.float32)
    return Examples(queries, [clues_of(query, corpus) for query in queries], wanted, weights, labelled)


def encoded(pairs: Sequence[TrainingPair], encoder: Encoder, progress: Progress | None = None) -> Vectors:
    """Return the vectors of the pairs' queries."""

    def relabelled(stage: str, done: int, total: int) -> None:
        if progress is not None:
            progress("encoding training queries", done, total)

    return query_vectors(encoder, [pair.query for pair in pairs], relabelled)


def joined(first: Examples, second: Examples) -> Examples:
    """Return both one after the other."""
    width = max(first.wanted.shape[1], second.wanted.shape[1])

    def wide(values: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.pad(values, ((0, 0), (0, width - values.shape[1])), constant_values=NONE)

    return Examples(
        first.queries + second.queries,
        first.clues + second.clues,
        np.concatenate([wide(first.wanted), wide(second.wanted)]),
        np.concatenate([first.weights, second.weights]),
        np.concatenate([first.labelled, second.labelled]),
    )


def local_examples(examples: Examples, rows: Rows, corpus: Corpus) -> Examples | None:
    """Return the examples with a wanted passage among ``rows`` (ascending) as the part sees them; None for none.

    Of a question with passages in several parts, each part learns about its own passages only.
    """
    place = np.searchsorted(rows, np.maximum(examples.wanted, 0))
    inside = (examples.wanted != NONE) & (rows[np.minimum(place, len(rows) - 1)] == examples.wanted)
    mine = np.flatnonzero(inside.any(axis=1))
    if not len(mine):
        return None
    taken = examples.take(mine)
    clues, wanted = [clues_of(query, corpus) for query in taken.queries], np.where(inside[mine], place[mine], NONE)
    return replace(taken, clues=clues, wanted=wanted)


def labelled_pairs(questions: Iterable[Question], supporting: Mapping[str, tuple[int, ...]]) -> list[TrainingPair]:
    """Return every question with the rows of its supporting passages, by its id; those without any are left out."""
    pairs = []
    for question in questions:
        rows = supporting.get(question.id, ())
        if rows:
            pairs.append(TrainingPair(question.text, rows, "labelled"))
    return pairs


def made_pairs(
    passages: Sequence[Passage],
    terms: TermIndex,
    rng: np.random.Generator,
    most: int | None = None,
    kinds: Sequence[PairKind] = MADE_KINDS,
) -> list[TrainingPair]:
    """Make one query of a passage, for every passage in turn, until there are ``most``; then a second one, and so on.

    A query is the title, the first sentence, the most distinctive other sentence, or a question put to the first
    sentence (Tay et al. 2022, arXiv:2202.06991, section 3.1, index by document text; Zhuang et al. 2022,
    arXiv:2206.10128, replaces that by questions).

    Args:
        passages: all of a corpus, in row order.
        terms: their terms.
        rng: draws the order of passages, and of each passage's queries.
        most: how many pairs; all that there are when None.
        kinds: which to make.
    """
    order = rng.permutation(len(passages)).tolist()
    waiting: dict[int, list[TrainingPair]] = {}
    pairs: list[TrainingPair] = []
    turn = 0
    while order and (most is None or len(pairs) < most):
        going_on = []
        for row in order:
            if most is not None and len(pairs) >= most:
                break
            if turn == 0:
                made = [pair for pair in _made(passages[row], row, terms) if pair.kind in kinds]
                waiting[row] = [made[place] for place in rng.permutation(len(made))]
            if waiting[row]:
                pairs.append(waiting[row].pop())
                going_on.append(row)
        order, turn = going_on, turn + 1
    return pairs


def question_forms(title: str, lead: str) -> list[str]:
    """Return questions that a first sentence answers: one that hides the title, and one that names it.

    "Teutberga was a queen of Lotharingia." gives "Who or what was a queen of Lotharingia?" and "What was Teutberga?".
    """
    name = strip_parenthesis(title)
    found = _LEAD.search(lead)
    forms = []
    if found:
        stated = found.group(2).rstrip(" .!?\n")
        forms.append(f"Who or what {found.group(1)} {stated}?")
        if name:
            forms.append(f"What {found.group(1)} {name}?")
    elif name:
        forms.append(f"What is known about {name}?")
    return forms


def distinctive_sentence(sentences: Sequence[str], terms: TermIndex) -> int | None:
    """Return the place of the sentence with the most idf per square root of its number of terms; None without terms."""
    best, place = 0.0, None
    for number, sentence in enumerate(sentences):
        hashes = term_hashes(sentence)
        if len(hashes):
            weight = float(terms.idf(hashes).sum()) / len(hashes) ** 0.5
            if weight > best:
                best, place = weight, number
    return place


def _made(passage: Passage, row: int, terms: TermIndex) -> Iterator[TrainingPair]:
    """Yield every query that can be made of a passage."""
    sentences = [passage.text[start:end].strip() for start, end in passage.sentences]
    sentences = [sentence for sentence in sentences if len(sentence.split()) >= _SHORTEST]
    if passage.title.strip():
        yield TrainingPair(passage.title.strip(), (row,), "title")
    if not sentences:
        return
    yield TrainingPair(sentences[0], (row,), "lead")
    place = distinctive_sentence(sentences[1:], terms)
    if place is not None:
        yield TrainingPair(sentences[1 + place], (row,), "sentence")
    for form in question_forms(passage.title, sentences[0]):
        yield TrainingPair(form, (row,), "question")
