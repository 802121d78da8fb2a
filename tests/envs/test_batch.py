"""Episodes side by side: what actions bring and cost, whatever else happens in the batch or in the world."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fixtures.searches import FEATURE, SETTINGS, Worlds, above_the_corpus, pick, same, snapshot, started
from hypothesis import given, settings
from hypothesis import strategies as st
from trailhound import EnvironmentSettings, Index, Question
from trailhound.envs._batch import SearchBatch
from trailhound.envs._lane import Lane
from trailhound.envs._question_set import QuestionSet
from trailhound.envs._search_env import observation_space
from trailhound.envs._world import QuestionWorld
from trailhound.envs.settings import FOUND_BY, QUESTION, SUB_INDEXES
from trailhound.graph._knowledge_graph import GROUPS


def price(chosen: EnvironmentSettings, batch: SearchBatch, action: int) -> float:
    """What a legal action costs by the settings, without what comes with it."""
    kind, first, _ = batch.layout.decode(action)
    milliseconds = {"stop": 0.0, "hop": chosen.hop_ms, "take": chosen.take_ms, "expand": 0.0}[kind]
    if kind == "expand":
        milliseconds = chosen.expand_ms[first]
    return milliseconds * chosen.price_per_ms


def check_state(chosen: EnvironmentSettings, batch: SearchBatch, lane: int, state: Lane) -> None:
    """Hold one lane's arrays against what must always be true."""
    seen = {name: array[lane] for name, array in batch.observation.items()}
    layout, count, evidence = batch.layout, state.count, state.evidence
    assert batch.mask[lane, 0], "STOP is always legal"
    assert count <= chosen.max_candidates
    assert len(evidence) == len(set(evidence)) <= chosen.max_evidence
    rows = seen["candidate_rows"]
    assert len(set(rows[:count].tolist())) == count
    assert (rows[:count] >= 0).all()
    assert (rows[count:] == -1).all()
    assert seen["evidence"].tolist() == evidence + [-1] * (chosen.max_evidence - len(evidence))
    taken = seen["candidates"][:, FEATURE["taken"]]
    assert np.flatnonzero(taken).tolist() == sorted(evidence)
    frontier = np.flatnonzero(batch.mask[lane, layout.take :])
    if len(evidence) < chosen.max_evidence:
        assert frontier.tolist() == [slot for slot in range(count) if slot not in evidence]
    else:
        assert len(frontier) == 0
    hops = batch.mask[lane, layout.hop : layout.take].reshape(-1, len(GROUPS))
    assert not hops[len(evidence) :].any(), "only evidence has edges to follow"
    if count == chosen.max_candidates:
        assert not batch.mask[lane, 1 : layout.take].any(), "there is no room for what would be found"
    for name in ("candidates", "links", "operators", "budget", "question"):
        assert np.isfinite(seen[name]).all()
    assert not seen["candidates"][count:].any()
    assert not seen["links"][len(evidence) :].any()
    assert not seen["links"][:, count:].any()
    assert not seen["adjacency"][count:].any()
    assert not seen["adjacency"][:, count:].any()
    assert not seen["adjacency"].diagonal().any()


@pytest.mark.parametrize("chosen", SETTINGS)
@settings(max_examples=15, deadline=None)
@given(number=st.integers(0, 11), choices=st.lists(st.integers(0, 10**6), max_size=40), seed=st.integers(0, 3))
def test_any_sequence_of_actions_keeps_the_promises(
    fresh_worlds: Worlds, chosen: EnvironmentSettings, number: int, choices: list[int], seed: int
) -> None:
    world = fresh_worlds.fresh(number, chosen)
    batch = started(chosen, world)
    state = batch.lane(0)
    space = observation_space(chosen, len(QUESTION), len(fresh_worlds.index))
    check_state(chosen, batch, 0, state)
    total, ended = 0.0, False
    for choice in choices:
        action = pick(batch, 0, choice) if choice % 7 else choice % (batch.layout.size + 5) - 2
        legal = 0 <= action < batch.layout.size and bool(batch.mask[0, action])
        before, spent, gold = snapshot(batch, 0), state.spent, state.found_gold
        reward, ended = batch.act(0, action)
        total += reward
        check_state(chosen, batch, 0, state)
        if not legal:
            assert state.spent - spent == pytest.approx(chosen.invalid_ms * chosen.price_per_ms)
            assert state.found_gold == gold
            after = snapshot(batch, 0)
            del before["budget"], after["budget"]
            assert same(before, after), "an illegal action changes nothing but the budget"
        elif not chosen.expand_everything:
            assert state.spent - spent == pytest.approx(price(chosen, batch, action))
        assert {name: array[0] for name, array in batch.observation.items()} in space
        assert state.steps <= chosen.max_steps
        if ended:
            break
    if choices:
        assert total == pytest.approx(state.found_gold / len(world.gold) - state.spent, abs=1e-6)
    rows = [int(world.rows[state.places[slot]]) for slot in state.evidence]
    assert state.found_gold == len(world.gold & set(rows))
    assert ended == (bool(choices) and (state.steps == chosen.max_steps or action == 0))


def test_accounting_by_hand(fresh_worlds: Worlds) -> None:
    """Prices that add up to one number only."""
    chosen = EnvironmentSettings(
        expand_lexical_ms=1,
        expand_dense_ms=20,
        expand_entity_ms=300,
        hop_ms=4000,
        take_ms=50_000,
        invalid_ms=600_000,
        price_per_ms=1e-3,
        max_steps=99,
    )
    world = fresh_worlds.fresh(0, chosen)
    batch = started(chosen, world)
    layout = batch.layout
    rewards = [batch.act(0, action)[0] for action in (1, 1, 2, 3, -1, layout.size)]
    # The first pages, of the start, are charged to the first action. There are two: asking a third time is not legal.
    assert rewards == pytest.approx([-0.021 - 0.001, -600, -0.02, -0.3, -600, -600])
    state = batch.lane(0)
    gold = world.gold
    for slot in range(2):
        gain = 1 / len(gold) if int(batch.observation["candidate_rows"][0, slot]) in gold else 0
        assert batch.act(0, layout.take + slot)[0] == pytest.approx(gain - 50)
    hop = int(np.flatnonzero(batch.mask[0, layout.hop : layout.take])[0]) + layout.hop
    assert batch.act(0, hop)[0] == pytest.approx(-4)
    assert batch.act(0, hop)[0] == pytest.approx(-600), "every edge is followed once"
    assert state.spent == pytest.approx(4 * 600 + 2 * 50 + 4 + 0.342)
    assert (state.calls, state.steps) == (6, 10)
    assert batch.act(0, 0) == (0.0, True)


def test_an_episode_ends_when_its_steps_are_used_up(fresh_worlds: Worlds) -> None:
    chosen = EnvironmentSettings(max_steps=3)
    batch = started(chosen, fresh_worlds.fresh(1, chosen))
    assert [batch.act(0, action)[1] for action in (1, 2, 9999)] == [False, False, True]
    assert batch.observation["budget"][0, 0] == 0


def test_pages_turn_and_found_ranks_go_on(fresh_worlds: Worlds) -> None:
    chosen = EnvironmentSettings(expand_size=4, pages=3, max_candidates=60)
    world = fresh_worlds.fresh(2, chosen)
    batch = started(chosen, world)
    lexical = world.index.lexical.search(world.query(()), 12).rows.tolist()
    rows = batch.observation["candidate_rows"][0]
    for page in (1, 2, 3):  # the start has turned the first
        assert batch.observation["operators"][0, 0].tolist() == pytest.approx([page / 3, page / 4, 0, 0])
        assert set(lexical[: 4 * page]) <= set(rows.tolist())
        assert not set(lexical[4 * page :]) & set(rows.tolist()) - set(dense_page(world, 4))
        batch.act(0, 1 if page < 3 else 0)
    assert not batch.mask[0, 1]
    slots = [rows.tolist().index(row) for row in lexical]
    candidates = batch.observation["candidates"][0, slots]
    assert candidates[:, FEATURE["found_by_lexical"]] == pytest.approx([1 / (1 + rank) for rank in range(12)])
    early = set(dense_page(world, 4))
    at = [0 if row in early else rank // 4 / chosen.max_steps for rank, row in enumerate(lexical)]
    assert candidates[:, FEATURE["found_at"]] == pytest.approx(at)


def dense_page(world: QuestionWorld, size: int) -> list[int]:
    """Return what every search is shown of the dense index at its start."""
    return world.index.dense.search(world.query(()), size).rows.tolist()


def test_every_search_begins_with_lexical_and_dense(fresh_worlds: Worlds) -> None:
    chosen = EnvironmentSettings(expand_size=5, expand_lexical_ms=3, expand_dense_ms=40, price_per_ms=0.01)
    world = fresh_worlds.fresh(0, chosen)
    batch = started(chosen, world)
    state = batch.lane(0)
    lexical = world.index.lexical.search(world.query(()), 5).rows.tolist()
    rows = batch.observation["candidate_rows"][0, : state.count].tolist()
    assert rows == list(dict.fromkeys([*lexical, *dense_page(world, 5)]))
    assert state.asked == {**dict.fromkeys(SUB_INDEXES, 0), "lexical": 1, "dense": 1, "hop": 0}
    assert (state.calls, state.steps) == (2, 0), "it costs no step"
    assert batch.observation["budget"][0, 3] == pytest.approx(0.43)
    assert batch.act(0, 0) == (pytest.approx(-0.43), True), "and is paid for, whatever comes next"


def test_only_a_question_that_names_something_has_names_to_ask_for(fresh_worlds: Worlds) -> None:
    chosen = SETTINGS[0]
    named = f"Where is {fresh_worlds.index.store.passage(3).title}?"
    known = QuestionSet(fresh_worlds.index, [Question("a", named), Question("b", "where is it?")], {}, chosen)
    batch = started(chosen, known.world(0), known.world(1))
    assert [bool(known.world(number).view.named) for number in (0, 1)] == [True, False]
    assert batch.mask[:, batch.layout.expand + SUB_INDEXES.index("entity")].tolist() == [True, False]


def test_the_best_rank_of_each_operator_is_kept(fresh_worlds: Worlds) -> None:
    chosen = EnvironmentSettings(expand_size=5, max_candidates=100)
    world = fresh_worlds.fresh(3, chosen)
    batch = started(chosen, world)
    dense = world.index.dense.search(world.query(()), 5).rows.tolist()
    lexical = world.index.lexical.search(world.query(()), 5).rows.tolist()
    rows = batch.observation["candidate_rows"][0].tolist()
    assert rows[: rows.index(-1)] == list(dict.fromkeys([*lexical, *dense]))
    for slot, row in enumerate(rows[: rows.index(-1)]):
        features = batch.observation["candidates"][0, slot]
        for name, ranking in (("lexical", lexical), ("dense", dense)):
            expected = 1 / (1 + ranking.index(row)) if row in ranking else 0
            assert features[FEATURE[f"found_by_{name}"]] == pytest.approx(expected)
        assert features[FEATURE["found_by_entity"]] == 0


def test_the_query_changes_with_the_evidence(fresh_worlds: Worlds) -> None:
    chosen = EnvironmentSettings(expand_size=5, max_candidates=100)
    world = fresh_worlds.fresh(4, chosen)
    batch = started(chosen, world)
    state = batch.lane(0)
    batch.act(0, 1)
    batch.act(0, batch.layout.take)
    assert batch.mask[0, 1:4].tolist() == [True, True, False], "a new query state has pages of its own"
    assert batch.observation["operators"][0, :3, 2].tolist() == [1, 1, 1]
    before = state.count
    batch.act(0, 2)
    evidence = int(state.places[0])
    query = world.query((evidence,))
    assert query.text.startswith(world.view.text)
    assert query.text != world.view.text
    row = int(world.rows[evidence])
    expected = [found for found in world.index.dense.search(query, 6).rows.tolist() if found != row][:5]
    rows = batch.observation["candidate_rows"][0, : state.count].tolist()
    assert rows[before:] == [found for found in expected if found not in rows[:before]]
    conditioned = batch.observation["candidates"][0, : state.count, FEATURE["conditioned_dense"]]
    assert query.vector is not None
    above = above_the_corpus(world.index, np.array(rows), query.vector)
    assert conditioned == pytest.approx(np.maximum(above, 0), abs=1e-5)
    found = batch.observation["candidates"][0, : state.count, FEATURE["found_by_dense_given_evidence"]]
    assert found[[rows.index(found) for found in expected]] == pytest.approx([1 / (1 + rank) for rank in range(5)])


@pytest.mark.parametrize("hop_size", [2, 50])
def test_a_hop_brings_neighbours_of_the_graph(fresh_worlds: Worlds, hop_size: int) -> None:
    chosen = EnvironmentSettings(max_candidates=140, max_evidence=9, hop_size=hop_size, max_steps=99)
    followed = 0
    for number in range(6):
        world = fresh_worlds.fresh(number, chosen)
        batch = started(chosen, world)
        state, layout = batch.lane(0), batch.layout
        batch.act(0, 1)
        for slot in range(3):
            batch.act(0, layout.take + slot)
        for order in range(3):
            row = int(batch.observation["candidate_rows"][0, state.evidence[order]])
            for group, name in enumerate(GROUPS):
                action = layout.hop + order * len(GROUPS) + group
                links = world.index.graph.neighbours(row, name)
                assert batch.mask[0, action] == (len(links) > 0)
                degree = batch.observation["operators"][0, action - 1, 3]
                assert degree == pytest.approx(np.log1p(len(links)) / 3)
                if len(links):
                    followed += 1
                    before = set(batch.observation["candidate_rows"][0, : state.count].tolist())
                    batch.act(0, action)
                    now = batch.observation["candidate_rows"][0, : state.count].tolist()
                    brought = set(now) - before
                    cosines = {
                        other: float(world.index.dense.vectors[other] @ world.view.vector) for other in links.rows
                    }
                    nearest = sorted(links.rows.tolist(), key=lambda other: -cosines[other])[:hop_size]
                    assert brought == set(nearest) - before
                    column = FEATURE[f"found_by_{name}"]
                    assert all(batch.observation["candidates"][0, now.index(other), column] > 0 for other in nearest)
    assert followed > 10


def test_expand_everything_asks_everything(fresh_worlds: Worlds) -> None:
    chosen = EnvironmentSettings(expand_everything=True, expand_size=5, max_candidates=150, pages=2, price_per_ms=0.01)
    world = fresh_worlds.fresh(5, chosen)
    batch = started(chosen, world)
    state, layout = batch.lane(0), batch.layout
    start_ms = 2 * chosen.expand_lexical_ms + 2 * chosen.expand_dense_ms + chosen.expand_entity_ms
    start_ms += 2 * chosen.expand_feedback_ms
    assert world.view.named
    assert state.spent == pytest.approx(0.01 * start_ms)
    assert batch.observation["budget"][0, 3] == pytest.approx(state.spent)
    assert batch.observation["budget"][0, 2] == pytest.approx(1 - state.count / 150)
    wanted: set[int] = set()
    for name in world.index.sub_indexes:
        limit = 5 if name == "entity" else 10
        wanted |= set(world.index.sub_indexes[name].search(world.query(()), limit).rows.tolist())
    wanted |= set(world.seen(SUB_INDEXES.index("feedback"), ()).rows[:10].tolist())
    assert set(batch.observation["candidate_rows"][0, : state.count].tolist()) == wanted
    assert not batch.mask[0, 1 : layout.take].any()
    spent = state.spent
    reward, _ = batch.act(0, layout.take)
    row = int(batch.observation["candidate_rows"][0, 0])
    hops = sum(len(world.index.graph.neighbours(row, group)) > 0 for group in GROUPS)
    cost = 2 * chosen.expand_lexical_ms + 2 * chosen.expand_dense_ms + hops * chosen.hop_ms + chosen.take_ms
    assert state.spent - spent == pytest.approx(0.01 * cost)
    gain = (row in world.gold) / len(world.gold)
    assert reward == pytest.approx(gain - state.spent), "the first action pays for what was asked at the start"
    for group in GROUPS:
        neighbours = world.index.graph.neighbours(row, group).rows.tolist()
        if len(neighbours) <= chosen.hop_size:
            assert set(neighbours) <= set(batch.observation["candidate_rows"][0, : state.count].tolist())
    assert not batch.mask[0, 1 : layout.take].any()


def test_links_and_adjacency_are_those_of_the_graph(fresh_worlds: Worlds) -> None:
    chosen = EnvironmentSettings(expand_size=5, max_candidates=100)
    world = fresh_worlds.fresh(6, chosen)
    batch = started(chosen, world)
    for choice in (0, 1, 2, 30, 40, 0, 5):
        batch.act(0, pick(batch, 0, choice))
    count = batch.lane(0).count
    rows = batch.observation["candidate_rows"][0, :count]
    sources, targets, relations = world.index.graph.links_between(rows)
    expected = np.zeros((count, count), np.uint8)
    for source, target, relation in zip(sources, targets, relations, strict=True):
        expected[source, target] |= 1 << int(relation)
    assert expected.any()
    np.testing.assert_array_equal(batch.observation["adjacency"][0, :count, :count], expected)


@pytest.mark.parametrize(("room", "legal"), [(60, True), (5, False)])
def test_no_hop_is_legal_once_the_frontier_is_full(fresh_worlds: Worlds, room: int, legal: bool) -> None:
    chosen = EnvironmentSettings(max_candidates=room, expand_size=5)
    batch = started(chosen, fresh_worlds.fresh(7, chosen))
    batch.act(0, batch.layout.take)
    assert (batch.lane(0).count < room) is legal
    assert bool(batch.mask[0, batch.layout.hop : batch.layout.take].any()) is legal


def test_evidence_is_numbered_in_the_order_in_which_it_was_taken(fresh_worlds: Worlds) -> None:
    chosen = EnvironmentSettings(max_candidates=60, max_evidence=4)
    batch = started(chosen, fresh_worlds.fresh(7, chosen))
    for action in (1, batch.layout.take + 3, batch.layout.take):
        batch.act(0, action)
    candidates = batch.observation["candidates"][0]
    assert candidates[:5, FEATURE["taken_order"]].tolist() == [2 / 4, 0, 0, 1 / 4, 0]
    assert candidates[:5, FEATURE["taken"]].tolist() == [1, 0, 0, 1, 0]
    assert batch.observation["evidence"][0].tolist() == [3, 0, -1, -1]


def test_new_coverage_is_what_only_the_candidate_would_add(fresh_worlds: Worlds) -> None:
    chosen = EnvironmentSettings(max_candidates=60)
    world = fresh_worlds.fresh(7, chosen)
    batch = started(chosen, world)
    state = batch.lane(0)
    for action in (1, batch.layout.take, 2, batch.layout.take + 3):
        batch.act(0, action)
    view, index = world.view, world.index
    rows = batch.observation["candidate_rows"][0, : state.count]
    evidence = {term for slot in state.evidence for term in index.terms.terms(int(rows[slot])).tolist()}
    for slot, row in enumerate(rows.tolist()):
        own = set(index.terms.terms(row).tolist()) - evidence
        expected = sum(weight for term, weight in zip(view.terms.tolist(), view.weights, strict=True) if term in own)
        assert batch.observation["candidates"][0, slot, FEATURE["new_coverage"]] == pytest.approx(expected, abs=1e-6)


def test_a_question_without_labels_and_words(small_index: Index) -> None:
    chosen = replace(SETTINGS[0], max_candidates=20)
    known = QuestionSet(small_index, [Question("q", "?!")], {}, chosen)
    batch = started(chosen, known.world(0))
    total = sum(batch.act(0, pick(batch, 0, choice))[0] for choice in (0, 1, 2, 17, 0, 0))
    assert total == pytest.approx(-batch.lane(0).spent)
    check_state(chosen, batch, 0, batch.lane(0))


def test_a_lane_that_was_not_started(fresh_worlds: Worlds) -> None:
    batch = SearchBatch(SETTINGS[0], 2, len(QUESTION))
    assert batch.mask.sum(axis=1).tolist() == [1, 1]
    batch.start([1], [fresh_worlds.fresh(0, SETTINGS[0])])
    with pytest.raises(RuntimeError, match=r"call start\(\[0\], \[world\]\) first"):
        batch.act(0, 1)


def test_names_of_operators_fit_their_columns() -> None:
    assert FOUND_BY[: len(SUB_INDEXES)] == SUB_INDEXES
    assert FOUND_BY[len(SUB_INDEXES) : len(SUB_INDEXES) + len(GROUPS)] == GROUPS


def test_prices_stand_in_the_order_of_their_sub_indexes() -> None:
    chosen = EnvironmentSettings(
        expand_lexical_ms=1, expand_dense_ms=2, expand_entity_ms=3, expand_docid_ms=4, expand_feedback_ms=5
    )
    assert dict(zip(SUB_INDEXES, chosen.expand_ms, strict=True)) == {
        "lexical": 1,
        "dense": 2,
        "entity": 3,
        "docid": 4,
        "feedback": 5,
    }
