"""Which stage of a search a miss is due to: one stage for each miss, the first of the pipeline that went wrong.

===========  =========================================================================================================
stage        a supporting passage is not among the first five because
===========  =========================================================================================================
chunking     the index has neither a passage nor a document of the label's name
routing      it never came into view, and lies outside the shards that were searched; or a sub-index that was not asked
             once in the whole search shows it for the question alone
retrieval    it never came into view, and nothing that can be asked along the path brings it
policy       something along the path brings it, or it was in view: the policy did not ask, or ranked others before it
reranking    the policy had it among the first five, the re-ranker moved it out
reading      (no passage, but an answer is missing:) all the evidence is there, the answer is not the right one
===========  =========================================================================================================

A passage that nothing along the path brings, but that another supporting passage leads to which was not taken, was
missed because that one was: its stage is that one's (*policy*, where that one was in view), and its cause says so.

A path is the evidence in the order taken; its states are its beginnings, from nothing held to everything held. In each
state every page of every sub-index that is there can be asked (some in the first alone), and from each piece of
evidence every relation group can be followed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..agent._explanation import expand_words, explain, hop_words, title_of, titled
from ..agent.reader._protocol import Answer, exact_match, normalise_answer
from ..envs._batch import AT_THE_START, ONE_PAGE, SearchBatch
from ..envs._world import QuestionWorld
from ..envs.settings import SUB_INDEXES
from ..graph._knowledge_graph import GROUPS
from ..retrievers.records import Passage, Rows


@dataclass(frozen=True, slots=True, order=True)
class Operator:
    """Something that can be asked along a path.

    Attributes:
        held: how many pieces of evidence are held when it can first be asked.
        kind: ``expand`` or ``hop``.
        first: the sub-index; of a hop, which piece of evidence, from 0.
        second: the page, from 0; of a hop, the relation group.
    """

    held: int
    kind: str
    first: int
    second: int

    def bring(self, world: QuestionWorld, path: tuple[int, ...]) -> Rows:
        """Return the rows that it brings, best first, when the evidence is at the places ``path`` of the world."""
        if self.kind == "hop":
            places = world.hop(path[self.first], self.second)
        else:
            places = world.expand(self.first, path[: self.held], self.second)
        return world.rows[places]

    def words(self, world: QuestionWorld, path: tuple[int, ...]) -> str:
        """Say what it does."""
        if self.kind == "hop":
            return hop_words(self.second, title_of(world, world.rows[path[self.first]]))
        given = title_of(world, world.rows[path[self.held - 1]]) if self.held else ""
        return expand_words(self.first, given, self.second)


class SearchTrace:
    """Records a search while it runs: hand it to the search as what explains its actions.

    Attributes:
        path: places of the evidence in its world, in the order taken.
        asked: the operators that were asked.
        stopped: whether it ended by its own choice.
        room: whether more could have been asked and taken then.
    """

    def __init__(self) -> None:
        self.path: tuple[int, ...] = ()
        self.asked: frozenset[Operator] = frozenset()
        self.stopped = False
        self.room = True

    def __call__(self, batch: SearchBatch, lane: int, action: int) -> tuple[str, str]:
        """Record an action before it is done; returns it in words."""
        state = batch.lane(lane)
        kind, first, second = batch.layout.decode(action)
        self.asked = frozenset(_asked(batch, lane))
        self.path = state.held
        self.stopped = kind == "stop"
        # no operator is legal where the frontier is full
        self.room = len(self.path) < batch.settings.max_evidence and state.count < batch.settings.max_candidates
        if kind == "expand":
            page = state.pages.get((first, state.state), 0)
            self.asked |= {Operator(len(self.path), "expand", first, page)}
        elif kind == "hop":
            self.asked |= {Operator(first + 1, "hop", first, second)}
        elif kind == "take":
            self.path = (*self.path, int(state.places[first]))
        return explain(batch, lane, action)


def _asked(batch: SearchBatch, lane: int) -> list[Operator]:
    """Return what an episode has asked so far, by whoever's choice."""
    state = batch.lane(lane)
    asked = []
    for (sub_index, after), pages in state.pages.items():
        held = state.evidence.index(after) + 1 if after >= 0 else 0
        asked += [Operator(held, "expand", sub_index, page) for page in range(pages)]
    operators = batch.observation["operators"][lane]
    for evidence in range(len(state.evidence)):
        for group in range(len(GROUPS)):
            if operators[batch.layout.hop + evidence * len(GROUPS) + group - batch.layout.expand, 0]:
                asked.append(Operator(evidence + 1, "hop", evidence, group))
    return asked


def operators_along(world: QuestionWorld, path: tuple[int, ...]) -> list[Operator]:
    """Return everything that can be asked along a path, in the order in which it can first be asked."""
    there = [sub_index for sub_index in range(len(SUB_INDEXES)) if world.offers[sub_index]]
    found = []
    for held in range(len(path) + 1):
        found += [
            Operator(held, "expand", sub_index, page)
            for sub_index in there
            for page in range(1 if sub_index == ONE_PAGE else world.settings.pages)
            if not held or sub_index not in AT_THE_START
        ]
        if held:
            found += [Operator(held, "hop", held - 1, group) for group in range(len(GROUPS))]
    return found


@dataclass(frozen=True, slots=True)
class Searched:
    """How one question was searched, as far as it matters for what was missed.

    Attributes:
        world: of the question.
        trace: of the search.
        ranking: rows in view in the end, best first, as the policy ranks them.
        final: the same rows as the result lists them; another order where they were re-ranked.
        outside: rows of labelled passages that lie outside the shards that were searched.
    """

    world: QuestionWorld
    trace: SearchTrace
    ranking: tuple[int, ...]
    final: tuple[int, ...]
    outside: frozenset[int] = field(default_factory=frozenset)

    def taken(self) -> frozenset[int]:
        """Return the rows of the evidence."""
        return frozenset(self.world.rows[list(self.trace.path)].tolist())


STAGES = ("chunking", "routing", "retrieval", "policy", "reranking", "reading")
FIRST = 5
"""Passages at the head of a result in which a supporting passage must stand, or it is missed."""

BEYOND = 100
"""Passages of a sub-index that are looked through to say how near it came."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Why something was missed.

    Attributes:
        stage: one of ``STAGES``.
        cause: within the stage, in a few words that are the same for all misses of a kind.
        happened: what happened, in words.
    """

    stage: str
    cause: str
    happened: str


def attribute(searched: Searched, gold: Sequence[int]) -> dict[int, Finding]:
    """Return why each supporting row in ``gold`` that is not among the first five is not; in their order."""
    missing = [row for row in gold if row not in searched.final[:FIRST]]
    found: dict[int, Finding] = {}
    for row in missing:
        finding = _seen(searched, row) if row in searched.ranking else _unseen(searched, row)
        if finding is not None:
            found[row] = finding
    # what follows from a miss that follows from another is found in a later round
    for _ in missing:
        for row in missing:
            follows = _following(searched, row, gold, found) if row not in found else None
            if follows is not None:
                found[row] = follows
    return {row: found.get(row) or _out_of_reach(searched, row) for row in missing}


def _seen(searched: Searched, row: int) -> Finding:
    """Say why a passage that was in view is not among the first five."""
    rank, final = searched.ranking.index(row) + 1, searched.final.index(row) + 1
    if rank <= FIRST:
        return Finding("reranking", "moved out", f"the policy had it at rank {rank}, the re-ranker at rank {final}")
    taken = searched.taken()
    before = [other for other in searched.ranking[:FIRST] if other in taken]
    if len(before) == FIRST:
        happened = f"in view, at rank {rank}: the policy took {_listed(searched, before)} in its place"
        return Finding("policy", "not taken", happened)
    others = [other for other in searched.ranking[:FIRST] if other not in taken]
    happened = f"in view, and not taken; of the rest the policy ranks it at {rank}, after {_listed(searched, others)}"
    return Finding("policy", "ranked low", happened)


def _unseen(searched: Searched, row: int) -> Finding | None:
    """Say why a passage never came into view; None where nothing along the path brings it."""
    world, trace = searched.world, searched.trace
    if row in searched.outside:
        return Finding("routing", "outside the shards", "it lies outside the shards that were searched")
    bringing = {}
    for operator in operators_along(world, trace.path):
        rows = operator.bring(world, trace.path)
        if (rows == row).any():
            bringing[operator] = f"to {operator.words(world, trace.path)} brings it, at place {_place(rows, row)}"
    asked = [operator for operator in bringing if operator in trace.asked]
    if asked:
        return Finding("policy", "no room", f"{bringing[asked[0]]}, and it was asked: the frontier was full")
    asked_first = {operator.first for operator in trace.asked if operator.kind == "expand"}
    for operator, words in bringing.items():
        if operator.kind == "expand" and not operator.held and operator.first not in asked_first:
            return Finding("routing", "sub-index never asked", f"{words}, and that index was never asked")
    for operator, words in bringing.items():
        open_in_the_end = operator.kind == "hop" or operator.held == len(trace.path)
        if trace.stopped and trace.room and open_in_the_end:
            return Finding("policy", "stopped early", f"{words}, and the policy stopped instead")
    for words in bringing.values():
        return Finding("policy", "not asked", f"{words}, and it was not asked")
    return None


def _following(searched: Searched, row: int, gold: Sequence[int], found: Mapping[int, Finding]) -> Finding | None:
    """Say which other supporting passage, that was not taken, leads to this one; None where none does."""
    world, path = searched.world, searched.trace.path
    taken = searched.taken()
    for other in gold:
        if other == row or other in taken or (other not in searched.ranking and other not in found):
            continue
        longer = (*path, int(world.bring(np.array([other], np.int64))[0]))
        for operator in operators_along(world, longer):
            if operator.held == len(longer) and (operator.bring(world, longer) == row).any():
                words = f"only {title_of(world, other)} leads to it ({operator.words(world, longer)})"
                if other in searched.ranking:
                    return Finding("policy", "behind a passage not taken", f"{words}, which was in view and not taken")
                return Finding(found[other].stage, "behind another miss", f"{words}, which was missed too")
    return None


def _out_of_reach(searched: Searched, row: int) -> Finding:
    """Say how near the search came to a passage that nothing along the path brings."""
    world = searched.world
    for place in searched.trace.path:
        for group in GROUPS:
            if row in world.index.graph.neighbours(int(world.rows[place]), group).rows:
                happened = f"linked to {title_of(world, world.rows[place])}, beyond the links that a hop follows"
                return Finding("retrieval", "beyond the hop", happened)
    query = world.query(())
    ranks = {}
    for name in (name for name in SUB_INDEXES if name in world.index.sub_indexes):  # wherever a router looks
        rows = world.index.sub_indexes[name].search(query, BEYOND).rows
        if (rows == row).any():
            ranks[name] = _place(rows, row)
    if not ranks:
        happened = f"in no page along the path, behind no link, and not among the first {BEYOND} of any sub-index"
        return Finding("retrieval", "out of reach", happened)
    name = min(ranks, key=ranks.__getitem__)
    pages = world.settings.pages * world.settings.expand_size
    happened = f"the {name} index has it at place {ranks[name]} for the question; its pages hold {pages}"
    return Finding("retrieval", "beyond the pages", happened)


def _place(rows: Rows, row: int) -> int:
    return int(np.flatnonzero(rows == row)[0]) + 1


def _listed(searched: Searched, rows: Sequence[int]) -> str:
    return ", ".join(title_of(searched.world, row) for row in rows)


def reading_finding(
    right: str, answer: Answer | None, read: Sequence[Passage], supporting: Sequence[Passage]
) -> Finding | None:
    """Return why an answer is not the right one; None where it is (exact match).

    All ``supporting`` passages are among the first five; ``read`` is what the reader read of them.
    """
    if answer is not None and exact_match(answer.text, right):
        return None
    given = "the reader gave no answer" if answer is None else f"the reader answered {answer.text!r}"
    unread = [passage for passage in supporting if passage.id not in {one.id for one in read}]
    if unread:
        happened = f"{given}, and did not read {titled(unread[0])}, which was not taken"
        return Finding("reading", "evidence not read", happened)
    if answer is None:
        return Finding("reading", "no answer", given)
    texts = [f" {normalise_answer(f'{passage.title} {passage.text}')} " for passage in read]
    if any(f" {normalise_answer(right)} " in text for text in texts):
        return Finding("reading", "another answer", f"{given}; what it read has the right one too")
    return Finding("reading", "not written out", f"{given}; the right one stands nowhere in what it read")
