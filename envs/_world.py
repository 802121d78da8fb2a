"""What is known so far about one question over one index: rows in view, their features, answers of operators.

Episodes over the same question share one world, so nothing is searched, encoded or compared twice in training.
What an episode sees does not depend on what other episodes made the world hold.

A sub-index that is asked once evidence is there is asked the query state ``u_t = f(q, E_t)``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..graph._knowledge_graph import GROUPS
from ..index._searchable import Searchable
from ..retrievers._fusion import reciprocal_rank_fusion
from ..retrievers.protocols import Encoder, SubIndex, query_vectors
from ..retrievers.records import Hits, Query, Rows, Vectors
from ..retrievers.words._terms import analyse, hashes_of
from ._conditioned_query import MOST_EVIDENCE, conditioned_query
from ._in_view import InView, bring
from ._judge import Judge
from ._nearness import similarity, standardised
from ._pair_features import PairFeatures
from ._question_view import QuestionView
from .settings import SEEN, SUB_INDEXES, EnvironmentSettings

FEEDBACK_PASSAGES, FEEDBACK_TERMS = 3, 10
"""Passages that feedback looks at, and terms that it adds to the question."""

_LEXICAL, _DENSE = SUB_INDEXES.index("lexical"), SUB_INDEXES.index("dense")


@dataclass(frozen=True, slots=True)
class Expand:
    """An EXPAND: a sub-index is asked for a page in the state of the evidence at the places ``held``."""

    sub_index: int
    held: tuple[int, ...]
    page: int


@dataclass(frozen=True, slots=True)
class Hop:
    """A HOP: the edges of a relation group are followed from the evidence at a place."""

    evidence: int
    group: int


Call = Expand | Hop


def explore(asked: Iterable[tuple[QuestionWorld, Call]]) -> None:
    """Find what calls of several questions bring, as far as it is not known, and bring it into view together.

    Queries are encoded in one batch, and features are one program over all questions: that costs a fraction of one
    question after the other, and comes to the same numbers.
    """
    waiting = [(world, call) for world, call in dict.fromkeys(asked) if world.is_open(call)]
    expands = [(world, call) for world, call in waiting if isinstance(call, Expand)]
    encode_together((world, call.held) for world, call in expands if call.sub_index == _DENSE)
    found = [(world.in_view, world.visible(world.found(call))) for world, call in waiting]
    for (world, call), places in zip(waiting, bring(found), strict=True):
        world.brought[call] = places


def encode_together(states: Iterable[tuple[QuestionWorld, tuple[int, ...]]]) -> None:
    """Encode the queries that the dense index is asked with in several states, (world, evidence) each, in one batch.

    Fewer passes through the encoder cost less; the vectors are those of one query at a time.
    """
    waiting: dict[int, tuple[Encoder, list[tuple[QuestionWorld, tuple[int, ...], str]]]] = {}
    for world, held in states:
        query = world.unencoded(held)
        if query is not None:
            encoder, read, text = query
            waiting.setdefault(id(encoder), (encoder, []))[1].append((world, read, text))
    for encoder, asked in waiting.values():
        vectors = query_vectors(encoder, [text for _, _, text in asked])
        for (world, read, text), vector in zip(asked, vectors, strict=True):
            world.keep_query(read, Query(text, vector))


class QuestionWorld:
    """One question over one index, explored as far as any episode has asked.

    Args:
        index: the opened index.
        view: the analysed question.
        settings: sizes of pages and hops.
        gold: a row for every label, where they are known: the supporting passage, or a passage of the document.
        hop_encoder: encodes queries instead of the index's encoder; tuned to read them with the evidence.
        answer: to the question, where it is known.
        meets: row -> the row of ``gold`` in whose place it may be taken, itself included: what a label that names a
            document is met by. Each row of ``gold`` alone when None.
    """

    def __init__(
        self,
        index: Searchable,
        view: QuestionView,
        settings: EnvironmentSettings,
        gold: frozenset[int] = frozenset(),
        hop_encoder: Encoder | None = None,
        answer: str | None = None,
        meets: Mapping[int, int] | None = None,
    ) -> None:
        self.index = index
        self._hop_encoder = hop_encoder
        self.view = view
        self.settings = settings
        self.gold = gold
        self.meets = {row: row for row in gold} if meets is None else dict(meets)
        self.answer = answer
        self.judge: Judge | None = None
        """Rewards episodes instead of the labels, where it is set."""
        self.in_view = InView(index, view)
        self.pairs = PairFeatures(self.in_view)
        self.brought: dict[Call, Rows] = {}
        """The places of what each call brought, best first."""
        self._met = np.zeros(0, np.int64)
        self._asked: dict[tuple[int, tuple[int, ...]], Hits] = {}
        self._queries: dict[tuple[int, ...], Query] = {(): Query(view.text, view.vector)}
        self._texts: dict[tuple[int, ...], str] = {(): view.text}
        self.offers = tuple(
            name == "feedback" or (name in self._sub_indexes and (name != "entity" or bool(view.named)))
            for name in SUB_INDEXES
        )
        """Whether each sub-index is there to be asked; that of entities, where the question names any."""

    @cached_property
    def _sub_indexes(self) -> Mapping[str, SubIndex]:
        """The sub-indexes that are searched for this question, by name."""
        return self.index.sub_indexes_for(Query(self.view.text, self.view.vector))

    def __getstate__(self) -> dict[str, Any]:
        """Pickle without the sub-indexes: whoever unpickles opens the index, and has them."""
        return {name: value for name, value in self.__dict__.items() if name != "_sub_indexes"}

    def __len__(self) -> int:
        """Return how many passages have come into view in any episode."""
        return len(self.in_view)

    @property
    def rows(self) -> Rows:
        """Rows in view, int64 [n], by place."""
        return self.in_view.rows

    @property
    def static(self) -> NDArray[np.float32]:
        """Static features, float32 [n, len(STATIC)]."""
        return self.in_view.static

    @property
    def hits(self) -> NDArray[np.float32]:
        """Weights of the question's terms where a passage has them, float32 [n, t]."""
        return self.in_view.hits

    @property
    def met(self) -> Rows:
        """The row of ``gold`` whose label each passage in view meets, int64 [n], -1 for none."""
        new = self.rows[len(self._met) :]
        if len(new):
            self._met = np.concatenate((self._met, [self.met_by(row) for row in new.tolist()]))
        return self._met

    @property
    def is_gold(self) -> NDArray[np.bool_]:
        """Whether each passage in view meets a label, bool [n]."""
        return self.met >= 0

    def met_by(self, row: int) -> int:
        """Return the row of ``gold`` whose label the passage of any row meets, -1 for none."""
        return self.meets.get(row, -1)

    def labels_met(self, rows: Iterable[int]) -> int:
        """Return how many labels some passages meet, each counted once."""
        return len({self.meets[row] for row in rows if row in self.meets})

    @property
    def may_take(self) -> NDArray[np.bool_]:
        """Whether each passage in view may be taken, bool [n]."""
        return np.ones(len(self), np.bool_)

    def links_among(self, places: Rows) -> NDArray[np.uint8]:
        """Return the links among places, uint8 [m, m]: bit ``r`` of [a, b] says that a links to b by Relation r."""
        return self.in_view.links_among(places)

    def set_gold(self, gold: frozenset[int]) -> None:
        """Let other rows count as supporting, in the episodes that begin from now on."""
        self.gold = gold
        self.meets = {row: row for row in gold}
        self._met = np.zeros(0, np.int64)

    def expand(self, sub_index: int, held: tuple[int, ...], page: int) -> Rows:
        """Ask a sub-index in the query state of the evidence at the places ``held``, in the order taken.

        Returns places in the world, int64 [m], best first.
        """
        return self.brings(self.expansion(sub_index, held, page))

    def expansion(self, sub_index: int, held: tuple[int, ...], page: int) -> Expand:
        """Return the call that asks a sub-index; of the evidence it holds what the query reads."""
        return Expand(sub_index, self._read(sub_index, held), page)

    def is_open(self, call: Call) -> bool:
        """Return whether it is not known yet what a call brings."""
        return call not in self.brought

    def found(self, call: Call) -> Rows:
        """Return the rows that a call finds, best first, int64 [m]."""
        if isinstance(call, Expand):
            size = self.settings.expand_size
            return self.seen(call.sub_index, call.held).rows[call.page * size : (call.page + 1) * size]
        rows = self.index.graph.neighbours(int(self.rows[call.evidence]), GROUPS[call.group]).rows
        if len(rows) > self.settings.hop_size:
            closeness = similarity(self.index, rows, self.view.vector)
            rows = rows[np.argsort(-closeness, kind="stable")]
        return rows[: self.settings.hop_size]

    def visible(self, rows: Rows) -> Rows:
        """Return those rows that may come into view: all."""
        return rows

    def bring(self, rows: Rows) -> Rows:
        """Bring rows into view and return their places."""
        return bring([(self.in_view, self.visible(rows))])[0]

    def brings(self, call: Call) -> Rows:
        """Return the places of what a call brings, best first, int64 [m]."""
        if call not in self.brought:
            explore([(self, call)])
        return self.brought[call]

    @property
    def begins_with(self) -> tuple[int, ...]:
        """The sub-indexes that every search asks first, with the question alone."""
        return tuple(number for number in (_LEXICAL, _DENSE) if self.offers[number])

    @property
    def by_words(self) -> Hits | None:
        """What the lexical index said to the question; None where it has not been asked."""
        return self._asked.get((_LEXICAL, ()))

    def asking(self, view: QuestionView) -> QuestionWorld:
        """Return the world of another question that has the same labels."""
        labels = (self.gold, self._hop_encoder, self.answer, self.meets)
        return QuestionWorld(self.index, view, self.settings, *labels)

    def late_scores(self, rows: Rows) -> NDArray[np.float32] | None:
        """Return how well the question's word pieces fit each row, float32 [n]; None where no pieces are kept."""
        if self.index.pieces is None or self.pieces is None:
            return None
        return self.index.pieces.score(self.pieces, rows)

    @cached_property
    def pieces(self) -> Vectors | None:
        """Vectors of the question's word pieces, float32 [l, d]; encoded where it was without them."""
        if self.view.pieces is not None:
            return self.view.pieces
        return self.index.query(self.view.text).pieces

    @property
    def form(self) -> NDArray[np.float32]:
        """What a policy sees of the question, float32 [q]."""
        return self.view.form

    def hop(self, evidence: int, group: int) -> Rows:
        """Follow the edges of a relation group from the evidence at a place; returns places, int64 [m]."""
        return self.brings(Hop(evidence, group))

    def hop_degrees(self, evidence: int) -> NDArray[np.int64]:
        """Return the number of neighbours by relation group of the evidence at a place, int64 [len(GROUPS)]."""
        row = int(self.rows[evidence])
        return np.array([len(self.index.graph.neighbours(row, group).rows) for group in GROUPS])

    def query(self, held: tuple[int, ...]) -> Query:
        """Return the query of the state of the evidence ``held``, with its vector."""
        if held not in self._queries:
            text = self._text(held)
            encoder = self.index.encoder if self._hop_encoder is None else self._hop_encoder
            self._queries[held] = Query(text, query_vectors(encoder, [text])[0])
        return self._queries[held]

    def unencoded(self, held: tuple[int, ...]) -> tuple[Encoder, tuple[int, ...], str] | None:
        """Return what encodes the query that the dense index is asked with in the state of the evidence ``held``.

        That is the encoder, the part of the evidence that the query holds, and its text; None where it is encoded.
        """
        read = self._read(_DENSE, held)
        if read in self._queries:
            return None
        return self.index.encoder if self._hop_encoder is None else self._hop_encoder, read, self._text(read)

    def keep_query(self, held: tuple[int, ...], query: Query) -> None:
        """Keep the encoded query of a state, as :meth:`query` would."""
        self._queries[held] = query

    def _text(self, held: tuple[int, ...]) -> str:
        """Return the text of the query of the state of the evidence ``held``."""
        if held not in self._texts:
            passages = self.index.store.passages(self.rows[list(held)].tolist())
            self._texts[held] = conditioned_query(self.view, passages)
        return self._texts[held]

    def _read(self, sub_index: int, held: tuple[int, ...]) -> tuple[int, ...]:
        """Return the part of the evidence ``held`` that the query to a sub-index holds."""
        tuned = self._hop_encoder is not None and SUB_INDEXES[sub_index] == "dense"
        return held[-MOST_EVIDENCE:] if tuned else held[-1:]

    def conditioned_similarity(self, held: tuple[int, ...], places: Rows) -> NDArray[np.float32]:
        """Return how near each passage is to the query conditioned on ``held``, standardised, float32 [m]."""
        vector = self.query(self._read(_DENSE, held)).vector
        assert vector is not None  # every query of a world carries its vector
        return standardised(self.index, self.rows[places], [vector], np.zeros(len(places), np.int64))

    def pair(self, evidence: int) -> NDArray[np.float32]:
        """Return the features of every passage in view beside one evidence, float32 [n, len(PAIR)]."""
        return self.pairs.beside(evidence)

    def to_compare(self, place: int) -> tuple[tuple[PairFeatures, int], ...]:
        """Return what :func:`.._pair_features.compare` has to compare what is in view with, for :meth:`pair`."""
        return ((self.pairs, place),)

    def seen(self, sub_index: int, held: tuple[int, ...]) -> Hits:
        """Return all that a sub-index says to the state of the evidence ``held``, best first, what is held left out.

        With the question alone that is ``SEEN`` passages, of which the first pages come into view.
        """
        key = (sub_index, self._read(sub_index, held))
        if key not in self._asked:
            held, name = key[1], SUB_INDEXES[sub_index]
            limit = self.settings.pages * self.settings.expand_size
            wanted = limit + len(held) if held else max(limit, SEEN)
            if name == "feedback":
                hits = self._fed_back(wanted)
            else:
                # encoding is what costs most, and only the dense index compares vectors
                query = self.query(held) if name == "dense" else Query(self._text(held))
                hits = self._sub_indexes[name].search(query, wanted)
            if held:
                other = ~np.isin(hits.rows, self.rows[list(held)])
                hits = Hits(hits.rows[other][:limit], hits.scores[other][:limit])
            self._asked[key] = hits
        return self._asked[key]

    def _fed_back(self, limit: int) -> Hits:
        """Ask lexical and dense again, with what the first passages that both found add to the question.

        The vector moves towards their mean (Rocchio 1971). The question gets the terms that are most of theirs, as in
        RM3 (Abdul-Jaleel et al. 2004, "UMass at TREC 2004").
        """
        found = [self.seen(number, ()) for number in self.begins_with]
        first = reciprocal_rank_fusion(found, FEEDBACK_PASSAGES).rows
        if not len(first):
            return Hits(first, np.zeros(0, np.float32))
        vector = self.view.vector + self.index.dense.reconstruct(first).mean(axis=0)
        text = f"{self.view.text} {' '.join(self._added_terms(first))}"
        query = Query(text, np.asarray(vector / np.linalg.norm(vector), np.float32))
        again = [self._sub_indexes[SUB_INDEXES[number]].search(query, limit) for number in self.begins_with]
        return reciprocal_rank_fusion(again, limit)

    def _added_terms(self, rows: Rows) -> list[str]:
        """Return the words of some passages that say most: their number times the weight of their rarity."""
        counts: Counter[str] = Counter()
        for passage in self.index.store.passages(rows.tolist()):
            counts.update(dict.fromkeys(analyse(f"{passage.title} {passage.text}"), 1))
        words = sorted(set(counts) - set(analyse(self.view.text)))
        rarity = self.index.terms.idf(hashes_of(words)).tolist()
        weight = {word: counts[word] * rare for word, rare in zip(words, rarity, strict=True)}
        return sorted(words, key=lambda word: -weight[word])[:FEEDBACK_TERMS]
