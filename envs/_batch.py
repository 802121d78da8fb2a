"""Many searches side by side, in one set of arrays that every step changes in place.

A lane is one episode. Its candidates keep the slot in which they came into view; taking one marks its slot. All
that an action brings is looked up in the lane's :class:`QuestionWorld`, so that a step costs a few small copies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..graph._knowledge_graph import GROUPS
from ..retrievers.records import Rows
from ._lane import Lane
from ._pair_features import compare
from ._world import Call, Hop, QuestionWorld, explore
from .settings import BUDGET, DYNAMIC, OPERATOR, PAIR, STATIC, SUB_INDEXES, ActionLayout, EnvironmentSettings

Observation = dict[str, NDArray[np.generic]]

_FOUND = len(STATIC)
_CONDITIONED = _FOUND + DYNAMIC.index("conditioned_dense")
_FOUND_AT = _FOUND + DYNAMIC.index("found_at")
_TAKEN = _FOUND + DYNAMIC.index("taken")
_ORDER = _FOUND + DYNAMIC.index("taken_order")
_COVERAGE = _FOUND + DYNAMIC.index("new_coverage")
AT_THE_START = tuple(SUB_INDEXES.index(name) for name in ("entity", "docid", "feedback"))
"""Asked with the question alone: the names in the evidence are what HOP follows, docids follow from questions, and
feedback is for those who have no evidence yet."""
ONE_PAGE = SUB_INDEXES.index("entity")
_DENSE = SUB_INDEXES.index("dense")


class SearchBatch:
    """``lanes`` episodes over any questions of any indexes.

    Attributes:
        observation: arrays with a leading lane axis, changed in place by :meth:`step` (see :meth:`spaces`).
        mask: bool [lanes, actions], the legal actions; STOP always is.

    Args:
        settings: sizes, budget and prices.
        lanes: episodes side by side.
        dimension: of what is seen of a question, see :func:`question_dimension`.
        judged: ask the questions' judges what a TAKE is worth; without, rewards count labels only, for those who do not
            look at rewards.
    """

    def __init__(
        self,
        settings: EnvironmentSettings,
        lanes: int,
        dimension: int,
        judged: bool = True,
    ) -> None:
        self.settings = settings
        self._judged = judged
        self.layout = ActionLayout(settings.max_evidence, settings.max_candidates)
        k, e = settings.max_candidates, settings.max_evidence
        shapes = observation_shapes(settings, dimension)
        self.observation: Observation = {
            name: np.zeros((lanes, *shape), dtype) for name, (shape, dtype) in shapes.items()
        }
        self.mask = np.zeros((lanes, self.layout.size), np.bool_)
        self.mask[:, 0] = True
        self.lanes: list[Lane | None] = [None] * lanes
        self._candidates = self.observation["candidates"]
        self._links = self.observation["links"]
        self._adjacency = self.observation["adjacency"]
        self._operators = self.observation["operators"]
        self._k, self._e = k, e

    def lane(self, lane: int) -> Lane:
        """Return the state of a lane that has been started."""
        state = self.lanes[lane]
        if state is None:
            raise RuntimeError(f"lane {lane} has no episode: call start([{lane}], [world]) first")
        return state

    def start(self, lanes: Sequence[int], worlds: Sequence[QuestionWorld], everything: Sequence[bool] = ()) -> None:
        """Begin a new episode in each of ``lanes``, together: what the worlds begin with is asked.

        Those with ``everything`` go on as if ``expand_everything`` were set for them alone.
        """
        for lane, world, wide in zip(lanes, worlds, everything or [False] * len(lanes), strict=True):
            self._clear(lane, world, wide or self.settings.expand_everything)
        explore((world, world.expansion(sub_index, (), 0)) for world in worlds for sub_index in world.begins_with)
        for lane, world in zip(lanes, worlds, strict=True):
            for sub_index in world.begins_with:
                if self.mask[lane, self.layout.expand + sub_index]:
                    self._ask(lane, self.lane(lane), "expand", sub_index, -1)
        self._expand_everything([lane for lane in lanes if self.lane(lane).everything])
        for lane in lanes:
            self._refresh_budget(lane, self.lane(lane))

    def _clear(self, lane: int, world: QuestionWorld, everything: bool) -> None:
        """Let a lane be one that has asked nothing yet."""
        for array in self.observation.values():
            array[lane] = 0
        self.observation["question"][lane] = world.form
        self.observation["candidate_rows"][lane] = -1
        self.observation["evidence"][lane] = -1
        state = Lane(world, np.full(self._k, -1, np.int64), np.full(max(64, len(world)), -1, np.int16))
        state.everything = everything
        state.covered = np.zeros(len(world.view.terms), np.float32)
        self.lanes[lane] = state
        self.mask[lane] = False
        self.mask[lane, 0] = True
        self._refresh_expands(lane, state)

    def copy_lane(self, source: int, target: int) -> None:
        """Let ``target`` go on from where ``source`` is, as a search of its own."""
        for array in (*self.observation.values(), self.mask):
            array[target] = array[source]
        state = self.lane(source)
        self.lanes[target] = replace(
            state,
            places=state.places.copy(),
            slot_of=state.slot_of.copy(),
            evidence=list(state.evidence),
            pages=dict(state.pages),
            covered=state.covered.copy(),
        )

    def step(
        self, actions: Sequence[int], lanes: Sequence[int] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Take an action in each of ``lanes``, of all when None; returns rewards and whether episodes ended, [lanes].

        The reward is the gain in recall (or in the value that the question's judge sees) minus the price of all that
        was done since the last one: what is asked at the start is charged to the first action.
        """
        taking = list(zip(range(len(self.lanes)) if lanes is None else lanes, actions, strict=True))
        self._look_ahead([(lane, action) for lane, action in taking if self._is_legal(lane, action)])
        rewards = np.array([self._act(lane, action) for lane, action in taking])
        took = [lane for lane, action in taking if action >= self.layout.take]
        self._expand_everything([lane for lane in took if self.lane(lane).everything])
        ended = np.zeros(len(taking), np.bool_)
        for k, (lane, action) in enumerate(taking):
            state = self.lane(lane)
            self._refresh_budget(lane, state)
            rewards[k] -= state.owed
            state.owed = 0.0
            ended[k] = action == 0 or state.steps >= self.settings.max_steps
        return rewards, ended

    def act(self, lane: int, action: int) -> tuple[float, bool]:
        """Take one action in one lane; returns its reward and whether the episode ended, see :meth:`step`."""
        rewards, ended = self.step([action], [lane])
        return float(rewards[0]), bool(ended[0])

    def call(self, lane: int, operator: int, ahead: int = 0) -> Call:
        """Return what an EXPAND or a HOP calls in a lane's state; of an EXPAND that page, or one further ``ahead``."""
        state = self.lane(lane)
        kind, first, second = self.layout.decode(operator)
        if kind == "hop":
            return Hop(int(state.places[state.evidence[first]]), second)
        return state.world.expansion(first, state.held, state.pages.get((first, state.state), 0) + ahead)

    def _is_legal(self, lane: int, action: int) -> bool:
        return 0 <= action < self.layout.size and bool(self.mask[lane, action])

    def _look_ahead(self, asked: Sequence[tuple[int, int]]) -> None:
        """Find out together what legal actions of several lanes bring, and how it compares with their evidence."""
        calls: list[tuple[QuestionWorld, Call]] = []
        grown: list[tuple[QuestionWorld, int]] = []
        for lane, action in asked:
            state = self.lane(lane)
            if action >= self.layout.take:
                grown.append((state.world, int(state.places[action - self.layout.take])))
            elif action:
                calls.append((state.world, self.call(lane, action)))
                grown += [(state.world, place) for place in state.held]
        explore(calls)
        compare([pair for world, place in grown for pair in world.to_compare(place)])

    def _act(self, lane: int, action: int) -> float:
        """Take one action in one lane; returns the gain."""
        state = self.lane(lane)
        state.steps += 1
        if not self._is_legal(lane, action):
            self._pay(state, self.settings.invalid_ms)
            return 0.0
        kind, first, second = self.layout.decode(action)
        if kind == "take":
            return self._take(lane, state, first)
        if kind != "stop":
            self._ask(lane, state, kind, first, second)
        return 0.0

    def _pay(self, state: Lane, milliseconds: float) -> None:
        price = milliseconds * self.settings.price_per_ms
        state.spent += price
        state.owed += price

    def _ask(self, lane: int, state: Lane, kind: str, first: int, second: int) -> None:
        state.calls += 1
        if kind == "expand":
            self._pay(state, self.settings.expand_ms[first])
            self._expand(lane, state, first)
        else:
            self._pay(state, self.settings.hop_ms)
            self._hop(lane, state, first, second)

    def _expand(self, lane: int, state: Lane, sub_index: int) -> None:
        after = state.state
        key = (sub_index, after)
        page = state.pages.get(key, 0)
        state.pages[key] = page + 1
        places = state.world.expand(sub_index, state.held, page)
        column = sub_index if after < 0 else len(SUB_INDEXES) + len(GROUPS) + sub_index
        self._reveal(lane, state, places, column, page * self.settings.expand_size)
        if sub_index == _DENSE and after >= 0:
            self._update_conditioned(lane, state)
        self._refresh_expands(lane, state)

    def _hop(self, lane: int, state: Lane, evidence: int, group: int) -> None:
        operator = self.layout.hop + evidence * len(GROUPS) + group
        slot = state.evidence[evidence]
        places = state.world.hop(int(state.places[slot]), group)
        self._reveal(lane, state, places, len(SUB_INDEXES) + group, 0)
        self.mask[lane, operator] = False
        self._operators[lane, operator - 1, :2] = 1

    def _take(self, lane: int, state: Lane, slot: int) -> float:
        """Move a candidate to the evidence; returns the gain in recall, or in what the judge holds of the evidence."""
        self._pay(state, self.settings.take_ms)
        world = state.world
        place = int(state.places[slot])
        order = len(state.evidence)
        state.evidence.append(slot)
        self.observation["evidence"][lane, order] = slot
        self._candidates[lane, slot, _TAKEN] = 1
        self._candidates[lane, slot, _ORDER] = (order + 1) / self._e
        pairs = world.pair(place)
        self._links[lane, order, : state.count] = pairs[state.places[: state.count]]
        np.maximum(state.covered, world.hits[place], out=state.covered)
        self._refresh_coverage(lane, state, 0)
        layout = self.layout
        self.mask[lane, layout.take + slot] = False
        full = len(state.evidence) == self._e
        if full:
            self.mask[lane, layout.take :] = False
        degrees = world.hop_degrees(place)
        first = layout.hop + order * len(GROUPS)
        self.mask[lane, first : first + len(GROUPS)] = (degrees > 0) & (state.count < self._k)
        self._operators[lane, first - 1 : first - 1 + len(GROUPS), 2] = 1
        self._operators[lane, first - 1 : first - 1 + len(GROUPS), 3] = np.log1p(degrees) / 3
        self._refresh_expands(lane, state)
        met = world.met
        supporting = met[place] >= 0 and not (met[state.places[state.evidence[:-1]]] == met[place]).any()
        state.found_gold += int(supporting)
        if world.judge is None or not (self._judged and world.judge.rewards):
            return supporting / max(len(world.gold), 1)
        before, state.value = state.value, world.judge.value(state.taken_rows)
        return state.value - before

    def _reveal(self, lane: int, state: Lane, places: Rows, column: int, rank: int) -> None:
        """Bring places into free slots and note which operator found them, and at what rank."""
        if not len(places):
            return
        world = state.world
        if len(state.slot_of) < len(world):
            grown = np.full(max(len(world), 2 * len(state.slot_of)), -1, np.int16)
            grown[: len(state.slot_of)] = state.slot_of
            state.slot_of = grown
        first = state.count
        new = places[state.slot_of[places] < 0][: self._k - first]
        if len(new):
            last = state.count = first + len(new)
            state.slot_of[new] = np.arange(first, last)
            state.places[first:last] = new
            self._candidates[lane, first:last, :_FOUND] = world.static[new]
            self._candidates[lane, first:last, _FOUND_AT] = state.steps / self.settings.max_steps
            self.observation["candidate_rows"][lane, first:last] = world.rows[new]
            held = state.places[:last]
            self._adjacency[lane, :last, :last] = world.links_among(held)
            for order, slot in enumerate(state.evidence):
                self._links[lane, order, first:last] = world.pair(int(state.places[slot]))[new]
            self._refresh_coverage(lane, state, first)
            if len(state.evidence) < self._e:
                self.mask[lane, self.layout.take + first : self.layout.take + last] = world.may_take[new]
            if last == self._k:
                self.mask[lane, 1 : self.layout.take] = False
        slots = state.slot_of[places]
        ranks = 1 / (1 + rank + np.arange(len(places), dtype=np.float32))
        here = slots >= 0
        target = self._candidates[lane, :, _FOUND + column]
        target[slots[here]] = np.maximum(target[slots[here]], ranks[here])

    def _update_conditioned(self, lane: int, state: Lane) -> None:
        similarity = state.world.conditioned_similarity(state.held, state.places[: state.count])
        column = self._candidates[lane, : state.count, _CONDITIONED]
        np.maximum(column, similarity, out=column)

    def _refresh_coverage(self, lane: int, state: Lane, first: int) -> None:
        hits = state.world.hits[state.places[first : state.count]]
        self._candidates[lane, first : state.count, _COVERAGE] = (hits * (state.covered == 0)).sum(axis=1)

    def _refresh_expands(self, lane: int, state: Lane) -> None:
        after = state.state
        for sub_index in range(len(SUB_INDEXES)):
            asked = state.pages.get((sub_index, after), 0)
            pages = 1 if sub_index == ONE_PAGE else self.settings.pages
            legal = asked < pages and state.count < self._k and state.world.offers[sub_index]
            if sub_index in AT_THE_START and after >= 0:
                legal = False
            self.mask[lane, 1 + sub_index] = legal
            values = self._operators[lane, sub_index]
            values[0] = asked / self.settings.pages
            values[1] = sum(n for (s, _), n in state.pages.items() if s == sub_index) / 4
            values[2] = after >= 0

    def _refresh_budget(self, lane: int, state: Lane) -> None:
        self.observation["budget"][lane] = (
            1 - state.steps / self.settings.max_steps,
            1 - len(state.evidence) / self._e,
            1 - state.count / self._k,
            state.spent,
        )

    def _expand_everything(self, lanes: Sequence[int]) -> None:
        """Ask every sub-index and follow every edge that is legal now in some lanes, at its cost."""
        while lanes:
            legal = [(lane, np.flatnonzero(self.mask[lane, 1 : self.layout.take]) + 1) for lane in lanes]
            asked = [(lane, int(actions[0])) for lane, actions in legal if len(actions)]
            self._look_ahead(asked)
            for lane, action in asked:
                self._ask(lane, self.lane(lane), *self.layout.decode(action))
            lanes = [lane for lane, _ in asked]


def observation_shapes(
    settings: EnvironmentSettings, dimension: int
) -> dict[str, tuple[tuple[int, ...], type[np.generic]]]:
    """Return the shape (without lanes) and dtype of every part of an observation.

    k = max_candidates, e = max_evidence: ``question`` [dimension]; ``candidates`` [k, static + dynamic features];
    ``candidate_rows`` [k], -1 where empty; ``evidence`` [e] slots in the order taken, -1 where empty; ``links``
    [e, k, pair features]; ``adjacency`` [k, k] bits by Relation; ``operators`` [EXPAND and HOP actions, features];
    ``budget`` [4].
    """
    k, e = settings.max_candidates, settings.max_evidence
    operators = ActionLayout(e, k).operators
    return {
        "question": ((dimension,), np.float32),
        "candidates": ((k, len(STATIC) + len(DYNAMIC)), np.float32),
        "candidate_rows": ((k,), np.int64),
        "evidence": ((e,), np.int64),
        "links": ((e, k, len(PAIR)), np.float32),
        "adjacency": ((k, k), np.uint8),
        "operators": ((operators, len(OPERATOR)), np.float32),
        "budget": ((len(BUDGET),), np.float32),
    }
