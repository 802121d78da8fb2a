"""What searches earn in the shards: worked by hand, and held against the searches of a trained policy."""

from __future__ import annotations

from pathlib import Path

import pytest
from trailhound import EnvironmentSettings, Index, TrainingSource
from trailhound.agent.network import PolicyNetwork
from trailhound.agent.policy_file import LoadedPolicy, load_policy
from trailhound.agent.systems import PolicySystem
from trailhound.envs.settings import SUB_INDEXES
from trailhound.errors import RouterError
from trailhound.learning.router.docid_pairs import TrainingPair
from trailhound.learning.router.router_rewards import Move, earned, of_labels, policy_earnings
from trailhound.retrievers.questions.labelled import load_questions

LEXICAL, DENSE, ENTITY, DOCID, LATE = (
    SUB_INDEXES.index(name) for name in ("lexical", "dense", "entity", "docid", "late")
)
FREE = EnvironmentSettings(price_per_ms=0)
PRICED = EnvironmentSettings(take_ms=2, hop_ms=3, price_per_ms=0.01)
STOP = Move("stop", -1)


@pytest.mark.parametrize("sub_index", [LEXICAL, DENSE, LATE])
def test_what_is_found_in_the_shards_earns_its_recall(sub_index: int) -> None:
    moves = [Move("expand", sub_index, (4, 5, 6)), Move("take", 5), Move("take", 4), STOP]
    assert earned(moves, frozenset({5, 9}), FREE) == {5: 0.5}
    assert earned(moves, frozenset({5, 4}), PRICED) == pytest.approx({5: 0.48, 4: 0.48})


@pytest.mark.parametrize("sub_index", [ENTITY, DOCID])
def test_what_is_looked_up_earns_nothing_there(sub_index: int) -> None:
    moves = [Move("expand", sub_index, (4,)), Move("take", 4), Move("hop", 4, (7,)), Move("take", 7), STOP]
    assert earned(moves, frozenset({4, 7}), FREE) == {}


def test_what_links_lead_to_counts_for_what_they_set_out_from() -> None:
    """Two hops from 4, found in a shard: all three pieces of evidence are lost with it; 8 was named by the question."""
    moves = [
        Move("expand", ENTITY, (8,)),
        Move("expand", DENSE, (4, 3)),
        Move("take", 4),
        Move("hop", 4, (5,)),
        Move("take", 5),
        Move("hop", 5, (6, 2)),
        Move("take", 6),
        Move("take", 8),
        STOP,
    ]
    gold = frozenset({4, 5, 6, 8})
    assert earned(moves, gold, FREE) == {4: 0.75}
    assert earned(moves, gold, PRICED) == pytest.approx({4: 0.75 - 3 * 0.02 - 2 * 0.03})


def test_a_passage_that_supports_nothing_earns_what_it_leads_to() -> None:
    moves = [Move("expand", LEXICAL, (1, 2)), Move("take", 1), Move("hop", 1, (9,)), Move("take", 9), Move("take", 2)]
    assert earned(moves, frozenset({9}), PRICED) == pytest.approx({1: 1 - 0.02 - 0.03 - 0.02})


def test_the_first_operator_that_brings_a_passage_is_the_one_that_found_it() -> None:
    """``brought`` holds what was new: 7 came by its title, and was found again by the words of the question."""
    moves = [Move("expand", ENTITY, (7,)), Move("expand", LEXICAL, (3,)), Move("take", 7), STOP]
    assert earned(moves, frozenset({7}), FREE) == {}


@pytest.fixture(scope="module")
def policy(tiny_run: Path) -> LoadedPolicy:
    """A policy that asks the lexical index whenever it may: by itself this one finds everything by titles and links."""
    loaded = load_policy(tiny_run)
    direction = loaded.network.operator_score.weight[0].detach()
    loaded.network.operator.weight.data[LEXICAL] = 100 * direction / direction.norm()
    return loaded


def test_a_policys_searches_teach_what_they_took(policy: LoadedPolicy, small_index: Index, corpus_folder: Path) -> None:
    earnings = policy_earnings(TrainingSource(small_index, corpus_folder, "train"), policy)
    questions, qrels = load_questions(corpus_folder, "train")
    assert [earning.pair.query for earning in earnings] == [question.text for question in questions]
    system = PolicySystem(small_index, policy, "that asks the lexical index")
    told = 0
    for question, earning in list(zip(questions, earnings, strict=True))[:15]:
        gold = {small_index.store.row_of(passage) for passage, label in qrels[question.id].items() if label > 0}
        found = system.rank(question.text, 5)
        assert set(earning.pair.rows) >= gold
        assert [row in gold for row in earning.pair.rows] == [reward == 1.0 for reward in earning.rewards]
        recall = len(gold & found.taken) / len(gold)
        assert 0 <= sum(earning.in_shards) <= recall
        brought = {
            row for step in found.decisions if "lexical" in step.detail or "dense" in step.detail for row in step.rows
        }
        earning_rows = {row for row, worth in zip(earning.pair.rows, earning.in_shards, strict=True) if worth}
        assert earning_rows <= brought & found.taken
        told += bool(earning_rows)
    assert told > 0, "some evidence is found in no other way"


def test_labels_alone_are_worth_one_each() -> None:
    pair = TrainingPair("who?", (3, 8), "labelled")
    (earning,) = of_labels([pair])
    assert (earning.pair, earning.rewards, earning.in_shards) == (pair, (1.0, 1.0), (1.0, 1.0))


def test_a_policy_for_another_encoder_or_one_that_finds_nothing_is_refused(
    policy: LoadedPolicy, small_index: Index, corpus_folder: Path
) -> None:
    source = TrainingSource(small_index, corpus_folder, "train")
    foreign = LoadedPolicy(policy.network, policy.settings, "another", {})
    with pytest.raises(RouterError, match="made with the encoder 'hashing-64': it needs passages, and 'another'"):
        policy_earnings(source, foreign)
    idle = PolicyNetwork(policy.network.settings).eval()
    idle.stop_score.bias.data.fill_(1e6)
    with pytest.raises(
        RouterError, match=r"in \d+ searches of .* took nothing that it found in shards: .* by the labels alone"
    ):
        policy_earnings(source, LoadedPolicy(idle, policy.settings, policy.encoder, {}))
