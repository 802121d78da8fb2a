"""What a search asked, and everything that it could have asked along its path.

A path is the evidence in the order taken; its states are its beginnings, from nothing held to everything held. In each
state every page of every sub-index that is there can be asked (some in the first alone), and from each piece of
evidence every relation group can be followed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ...agent.explanation import expand_words, explain, hop_words
from ...envs.batch import AT_THE_START, ONE_PAGE, SearchBatch
from ...envs.settings import SUB_INDEXES, ActionLayout
from ...envs.world import QuestionWorld
from ...graph.knowledge_graph import GROUPS
from ...retrievers.records import Rows


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
            return hop_words(self.second, title_of(world, path[self.first]))
        given = title_of(world, path[self.held - 1]) if self.held else ""
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

    def asked_sub_indexes(self) -> frozenset[int]:
        """Return the sub-indexes that were asked in any state."""
        return frozenset(operator.first for operator in self.asked if operator.kind == "expand")


def _asked(batch: SearchBatch, lane: int) -> list[Operator]:
    """Return what an episode has asked so far, by whoever's choice."""
    state = batch.lane(lane)
    layout: ActionLayout = batch.layout
    asked = []
    for (sub_index, after), pages in state.pages.items():
        held = state.evidence.index(after) + 1 if after >= 0 else 0
        asked += [Operator(held, "expand", sub_index, page) for page in range(pages)]
    operators = batch.observation["operators"][lane]
    for evidence in range(len(state.evidence)):
        for group in range(len(GROUPS)):
            if operators[layout.hop + evidence * len(GROUPS) + group - layout.expand, 0]:
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

    def title(self, row: int) -> str:
        """Return what to call the passage of a row."""
        return _called(self.world, row)


def title_of(world: QuestionWorld, place: int) -> str:
    """Return what to call the passage at a place."""
    return _called(world, int(world.rows[place]))


def _called(world: QuestionWorld, row: int) -> str:
    passage = world.index.store.passage(row)
    return f"“{passage.title or passage.text[:50]}”"
