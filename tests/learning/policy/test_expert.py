"""The expert finds what can be found, by legal actions, on shortest paths."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest
from trailhound import EnvironmentSettings, Index, Question
from trailhound.envs._batch import SearchBatch
from trailhound.envs._question_set import QuestionSet
from trailhound.envs._world import QuestionWorld
from trailhound.envs.settings import QUESTION, SUB_INDEXES
from trailhound.learning.policy._imitation import expert_actions

ENTITY, DENSE = SUB_INDEXES.index("entity"), SUB_INDEXES.index("dense")


def follow(batch: SearchBatch, world: QuestionWorld, generator: np.random.Generator) -> list[int]:
    """Search as the expert would; return the actions."""
    batch.start([0], [world])
    actions: list[int] = []
    for _ in count():
        good = expert_actions(batch, [0])[0]
        assert good.any()
        assert not (good & ~batch.mask[0]).any()
        actions.append(int(generator.choice(np.flatnonzero(good))))
        if batch.act(0, actions[-1])[1]:
            break
    return actions


def brings_more(batch: SearchBatch) -> bool:
    """Whether any single legal operator would bring a missing supporting passage into view."""
    state = batch.lane(0)
    in_view = {int(state.world.rows[place]) for place in state.places[: state.count]}
    for action in np.flatnonzero(batch.mask[0, 1 : batch.layout.take]) + 1:
        kind, first, second = batch.layout.decode(int(action))
        if kind == "hop":
            places = state.world.hop(int(state.places[state.evidence[first]]), second)
        else:
            places = state.world.expand(first, state.held, state.pages.get((first, state.state), 0))
        if ({int(state.world.rows[place]) for place in places} - in_view) & state.world.gold:
            return True
    return False


@pytest.mark.parametrize("seed", [0, 1])
def test_it_takes_all_that_can_be_reached(
    worlds: list[QuestionWorld], settings: EnvironmentSettings, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    batch = SearchBatch(settings, 1, len(QUESTION))
    complete = 0
    for world in worlds:
        actions = follow(batch, world, generator)
        state = batch.lane(0)
        taken = {int(world.rows[state.places[slot]]) for slot in state.evidence}
        assert taken <= world.gold, "it takes nothing but supporting passages"
        complete += taken == world.gold
        if actions[-1] == 0 and taken != world.gold:
            assert not brings_more(batch), "it stopped too early"
    assert complete >= 0.9 * len(worlds)


def named_question(index: Index, rows: list[int], settings: EnvironmentSettings) -> QuestionWorld:
    titles = [index.store.passage(row).title for row in rows]
    question = Question("q", " and ".join(titles) + "?")
    labels = {index.store.passage(row).id: 1 for row in rows}
    return QuestionSet(index, [question], {"q": labels}, settings).world(0)


def test_names_in_the_question_are_asked_for_and_taken_in_any_order(
    small_index: Index, settings: EnvironmentSettings
) -> None:
    """Three supporting passages, all named: one call for all of them costs least, then three TAKEs, then STOP.

    Only the names can be asked for: else what every search begins with finds them.
    """
    world = named_question(small_index, [3, 50, 90], settings)
    world.offers = tuple(name == "entity" for name in SUB_INDEXES)
    batch = SearchBatch(settings, 1, len(QUESTION))
    batch.start([0], [world])
    layout = batch.layout
    assert np.flatnonzero(expert_actions(batch, [0])[0]).tolist() == [layout.expand + ENTITY]
    batch.act(0, layout.expand + ENTITY)
    orders = set()
    for seed in range(8):
        actions = follow(batch, world, np.random.default_rng(seed))
        assert len(actions) == 5
        assert actions[0] == layout.expand + ENTITY
        assert actions[-1] == 0
        orders.add(tuple(actions[1:-1]))
    assert len(orders) > 1


def test_what_every_search_begins_with_need_not_be_asked_for(small_index: Index, settings: EnvironmentSettings) -> None:
    world = named_question(small_index, [3, 50, 90], settings)
    actions = follow(SearchBatch(settings, 1, len(QUESTION)), world, np.random.default_rng(0))
    layout = SearchBatch(settings, 1, len(QUESTION)).layout
    assert [layout.decode(action)[0] for action in actions] == ["take", "take", "take", "stop"]


def test_what_is_found_stays_right_whatever_was_done_before(
    worlds: list[QuestionWorld], settings: EnvironmentSettings
) -> None:
    """Its actions are legal in every state that random actions lead to, also with every slot full."""
    generator = np.random.default_rng(3)
    small = EnvironmentSettings(max_candidates=9, max_evidence=2, max_steps=12)
    for setting in (settings, small):
        batch = SearchBatch(setting, 1, len(QUESTION))
        for world in worlds[:12]:
            world = QuestionWorld(world.index, world.view, setting, world.gold)
            batch.start([0], [world], [bool(generator.random() < 0.3)])
            ended = False
            while not ended:
                good = expert_actions(batch, [0])[0]
                assert good.any()
                assert not (good & ~batch.mask[0]).any()
                takes = np.flatnonzero(good[batch.layout.take :])
                held = batch.lane(0)
                assert all(held.world.is_gold[held.places[slot]] for slot in takes)
                legal = np.flatnonzero(batch.mask[0])
                ended = batch.act(0, int(generator.choice(legal[1:] if len(legal) > 1 else legal)))[1]


def test_without_labels_there_is_nothing_to_do(worlds: list[QuestionWorld], settings: EnvironmentSettings) -> None:
    world = QuestionWorld(worlds[0].index, worlds[0].view, settings)
    assert follow(SearchBatch(settings, 1, len(QUESTION)), world, np.random.default_rng(0)) == [0]


def test_the_second_page_of_names_is_not_looked_for(small_index: Index) -> None:
    """The entity index answers once: what it ranks behind the first page cannot be had from it."""
    settings = EnvironmentSettings(expand_size=1, pages=2)
    rows = [3, 50]
    for asked in (rows, rows[::-1]):
        titles = [small_index.store.passage(row).title for row in asked]
        question = Question("q", " and ".join(titles) + "?")
        for row in rows:
            labels = {"q": {small_index.store.passage(row).id: 1}}
            world = QuestionSet(small_index, [question], labels, settings).world(0)
            places = world.expand(ENTITY, (), 0)
            first = world.rows[places].tolist()
            batch = SearchBatch(settings, 1, len(QUESTION))
            batch.start([0], [world])
            wanted = bool(expert_actions(batch, [0])[0][batch.layout.expand + ENTITY])
            assert not wanted or row in first


def test_a_thorough_expert_asks_what_is_cheap_once_before_it_takes(
    worlds: list[QuestionWorld], settings: EnvironmentSettings
) -> None:
    """All but feedback, and dense with evidence, whose query must be encoded."""
    generator = np.random.default_rng(0)
    for world in worlds[:10]:
        batch = SearchBatch(settings, 1, len(QUESTION))
        batch.start([0], [world])
        layout, state = batch.layout, batch.lane(0)
        asked: list[tuple[int, int]] = []  # pieces of evidence, and the operator
        ended = False
        while not ended:
            good = np.flatnonzero(expert_actions(batch, [0], thorough=True)[0])
            action = int(generator.choice(good))
            if action >= layout.take:
                missing = state.found_gold < len(world.gold)
                sub_indexes = {operator for held, operator in asked if held == len(state.evidence)}
                legal = np.flatnonzero(batch.mask[0, 1:4]) + 1
                unasked = [a for a in legal if not state.pages.get((int(a) - 1, state.state), 0)]
                if state.evidence:
                    unasked = [a for a in unasked if a - 1 != DENSE]
                assert not (missing and unasked), f"{unasked} had not been asked, only {sub_indexes}"
                assert world.is_gold[state.places[action - layout.take]]
            elif action:
                asked.append((len(state.evidence), action))
            _, ended = batch.act(0, action)
        first = [operator for held, operator in asked if not held]
        assert not world.view.named or 1 + ENTITY in first, "names are asked for before anything is taken"
        if state.found_gold == len(world.gold):
            assert asked[-1][0] < len(state.evidence), "nothing is asked once the evidence is complete"
