"""The world of a question ``HEAD relation`` over a knowledge graph: the same operators, and the asked fact hidden."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import QuestionsError
from ..graph._knowledge_graph import GROUPS, Relation
from ..index.index import Index
from ..retrievers.knowledge._facts import FactQuery, Facts
from ..retrievers.records import Hits, Query, Rows
from ._nearness import similarity
from ._pair_features import PairFeatures
from ._question_view import QuestionView
from ._world import Call, Expand, QuestionWorld
from .settings import PAIR, STATIC, SUB_INDEXES, EnvironmentSettings

KNOWN_ANSWER = 1 << 5
"""Bit of the adjacency above those of the relations: a fact that is in the graph gives the target as an answer."""

_MENTIONED, _MENTIONS = PAIR.index("mentioned"), PAIR.index("mentions")
_NAMED = (STATIC.index("named_exactly"), STATIC.index("named"))


class FactWorld(QuestionWorld):
    """What can be seen while ``(head, relation, ?)`` is answered: every place is the row of an entity.

    The fact that the question was made from is hidden, with its inverse, from hops, features and vectors, in
    training and in evaluation, as in MINERVA (Das et al. 2018, arXiv:1711.05851, section 2). Answers that other
    facts give are in view, but cannot be taken: they are known already. The supporting passages are the head, from
    which the walk sets out, and the answer.

    Args:
        index, view, settings: see :class:`QuestionWorld`.
        facts: of the index.
        query: what is asked.
        answer: row of the answer, None when it is not known.
        hidden: number of the fact that the question was made from, None when it is not in the graph.
    """

    def __init__(
        self,
        index: Index,
        view: QuestionView,
        settings: EnvironmentSettings,
        facts: Facts,
        query: FactQuery,
        answer: int | None = None,
        hidden: int | None = None,
    ) -> None:
        gold = frozenset() if answer is None else frozenset((query.head, answer))
        super().__init__(index, view, settings, gold)
        self.offers = tuple(name in self._sub_indexes for name in SUB_INDEXES)
        self.asked = query
        self.answer_row = answer
        self.facts = facts
        self.hidden = hidden
        self.known = np.array([row for row in facts.answers(query).tolist() if row != answer], np.int64)
        self._rows = np.arange(len(facts.entities))
        self._hops: dict[tuple[int, int], Rows] = {}

    def __len__(self) -> int:
        """Return the number of entities: all are in view of each other."""
        return len(self._rows)

    @property
    def rows(self) -> Rows:
        """The rows of all entities, int64 [N]: a place is a row."""
        return self._rows

    def is_open(self, call: Call) -> bool:
        """Return False: nothing has to be brought into view."""
        return False

    @property
    def static(self) -> NDArray[np.float32]:
        """Static features, float32 [N, len(STATIC)]: the vectors' agreement, degrees, and which is the head."""
        features = np.zeros((len(self), len(STATIC)), np.float32)
        features[:, STATIC.index("dense")] = similarity(self.index, self.rows, self.view.vector)
        features[:, STATIC.index("in_degree")] = np.log1p(self.index.graph.in_degree[self.rows]) / 4
        features[:, STATIC.index("out_degree")] = np.log1p(self.index.graph.out_degree[self.rows]) / 4
        features[:, STATIC.index("titled")] = 1
        features[self.asked.head, _NAMED] = 1
        return features

    @property
    def begins_with(self) -> tuple[int, ...]:
        """Nothing: a walk sets out from the head."""
        return ()

    @property
    def form(self) -> NDArray[np.float32]:
        """The vector of the query, float32 [d]."""
        return np.asarray(self.view.vector, np.float32)

    @property
    def hits(self) -> NDArray[np.float32]:
        """Nothing: no terms are compared, float32 [N, 0]."""
        return np.zeros((len(self), 0), np.float32)

    @property
    def met(self) -> Rows:
        """The entity itself where it is the head or the answer, -1 elsewhere, int64 [N]."""
        met = np.full(len(self), -1, np.int64)
        met[list(self.gold)] = list(self.gold)
        return met

    @property
    def may_take(self) -> NDArray[np.bool_]:
        """Whether each entity may be taken, bool [N]: known answers may not."""
        allowed = np.ones(len(self), np.bool_)
        allowed[self.known] = False
        return allowed

    def links_among(self, places: Rows) -> NDArray[np.uint8]:
        """Return the links among some entities, uint8 [m, m]; see ``KNOWN_ANSWER`` for the bit that is added."""
        links = np.zeros((len(places), len(places)), np.uint8)
        slots = np.full(len(self), -1, np.int64)
        slots[places] = np.arange(len(places))
        source, kind, target = self._edges(places)
        here = (slots[target] >= 0) & (kind < len(self.facts.relations))
        links[slots[source[here]], slots[target[here]]] = 1 << Relation.TITLE_MENTION
        if slots[self.asked.head] >= 0:
            known = slots[self.known]
            links[slots[self.asked.head], known[known >= 0]] |= KNOWN_ANSWER
        return links

    def brings(self, call: Call) -> Rows:
        """Return the entities that a call brings, best first, int64 [m]."""
        return self._expanded(call) if isinstance(call, Expand) else self._reached(call.evidence, call.group)

    def _expanded(self, call: Expand) -> Rows:
        """Ask a sub-index: ``entity`` names the head, ``dense`` compares vectors, ``lexical`` finds nothing.

        The texts of entities state all facts, the hidden one too: they are for people, and never searched here.
        """
        sub_index, name = call.sub_index, SUB_INDEXES[call.sub_index]
        if name == "entity":
            return np.array([self.asked.head] if not call.held and call.page == 0 else [], np.int64)
        if name == "lexical":
            return np.zeros(0, np.int64)
        if (sub_index, ()) not in self._asked:
            closeness = similarity(self.index, self.rows, self.view.vector)
            best = np.argsort(-closeness, kind="stable")[: self.settings.pages * self.settings.expand_size]
            self._asked[sub_index, ()] = Hits(best.astype(np.int64), closeness[best])
        size = self.settings.expand_size
        return self._asked[sub_index, ()].rows[call.page * size : (call.page + 1) * size]

    def _reached(self, evidence: int, group: int) -> Rows:
        """Follow up to ``hop_depth`` facts from an entity, the first one as ``group`` says; nearest first.

        Among equally near ones those come first that agree more with the question.
        """
        key = (evidence, group)
        if key not in self._hops:
            distance = self._distances(evidence, group)
            reached = np.flatnonzero(distance > 0)
            closeness = similarity(self.index, reached, self.view.vector)
            order = np.lexsort((-closeness, distance[reached]))[: self.settings.hop_size]
            self._hops[key] = reached[order]
        return self._hops[key]

    def hop_degrees(self, evidence: int) -> NDArray[np.int64]:
        """Return the number of neighbours by relation group, int64 [len(GROUPS)]."""
        _, kind, target = self._edges(np.array([evidence]))
        stated = kind < len(self.facts.relations)
        by_group = {
            "mentions": len(self._distinct(target[stated])),
            "mentioned_by": len(self._distinct(target[~stated])),
        }
        return np.array([by_group.get(group, 0) for group in GROUPS])

    def unencoded(self, held: tuple[int, ...]) -> None:
        """Return nothing: a fact's query is looked up, not encoded."""

    def query(self, held: tuple[int, ...]) -> Query:
        """Return the query: it stays the same whatever the evidence is."""
        return Query(self.view.text, self.view.vector)

    def pair(self, evidence: int) -> NDArray[np.float32]:
        """Return the features of every entity beside one, float32 [N, len(PAIR)]: which states a fact about which."""
        features = np.zeros((len(self), len(PAIR)), np.float32)
        _, kind, target = self._edges(np.array([evidence]))
        stated = kind < len(self.facts.relations)
        features[target[stated], _MENTIONED] = 1
        features[target[~stated], _MENTIONS] = 1
        return features

    def to_compare(self, place: int) -> tuple[tuple[PairFeatures, int], ...]:
        """Return nothing: facts are looked up."""
        return ()

    def visible_edges(self) -> tuple[Rows, NDArray[np.int64], Rows]:
        """Return source, kind and target of every edge that can be seen."""
        return self._edges(self.rows)

    def _edges(self, rows: Rows) -> tuple[Rows, NDArray[np.int64], Rows]:
        """Return source, kind and target of every edge of ``rows`` that can be seen."""
        at = self.facts.edges_of(rows)
        source, kind, target = (array[at] for array in self.facts.edges)
        if self.hidden is None or self.answer_row is None:
            return source, kind, target
        head, asked, answer = self.asked.head, self.asked.kind, self.answer_row
        seen = ~((source == head) & (kind == asked) & (target == answer))
        seen &= ~((source == answer) & (kind == self.facts.inverse(asked)) & (target == head))
        return source[seen], kind[seen], target[seen]

    def _distances(self, start: int, group: int) -> NDArray[np.int64]:
        """Return how many facts lead from ``start`` to each entity, int64 [N]; -1 where more than ``hop_depth``."""
        distance = np.full(len(self), -1, np.int64)
        distance[start] = 0
        if GROUPS[group] not in ("mentions", "mentioned_by"):
            return distance
        _, kind, target = self._edges(np.array([start]))
        front = self._distinct(target[(kind < len(self.facts.relations)) == (GROUPS[group] == "mentions")])
        for depth in range(1, self.settings.hop_depth + 1):
            front = front[distance[front] < 0]
            distance[front] = depth
            if depth < self.settings.hop_depth and len(front):
                front = self._distinct(self._edges(front)[2])
        return distance

    def _distinct(self, rows: Rows) -> Rows:
        """Return each of some rows once, ascending; faster than numpy's, which sorts."""
        found = np.zeros(len(self), np.bool_)
        found[rows] = True
        return np.flatnonzero(found)


def fact_world(index: Index, text: str, answer: str | None, settings: EnvironmentSettings) -> FactWorld:
    """Return the world of a question; where its answer is named and the graph holds the fact, the fact is hidden.

    Raises:
        QuestionsError: when the question or the answer does not fit the knowledge graph of the index.
    """
    facts, encoder = index.facts, index.fact_encoder
    assert facts is not None  # who asks for a world of facts has an index of them
    query = facts.parse(text)
    row = hidden = None
    if answer is not None:
        try:
            row = facts.entity_rows[answer]
        except KeyError as error:
            raise QuestionsError(
                f"the answer {answer!r} of {text!r} is not an entity of {index.path}: index the graph it speaks of"
            ) from error
        hidden = facts.number(query, row)
    nothing = np.zeros(0, np.float32)
    vector = encoder.query_vector(query, hidden)
    view = QuestionView(text, vector, nothing.astype(np.uint32), nothing, {}, nothing)
    return FactWorld(index, view, settings, facts, query, row, hidden)
