"""Validation says what a policy is worth on questions it does not learn from."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from trailhound import EnvironmentSettings
from trailhound.agent._network import PolicyNetwork
from trailhound.agent._network_settings import NetworkSettings
from trailhound.agent._rollout import search_worlds
from trailhound.agent._search_signals import TOP
from trailhound.envs._world import QuestionWorld
from trailhound.envs.settings import QUESTION
from trailhound.learning.policy._validation import calibrate, judged_searches, validate


@pytest.fixture(scope="module")
def network() -> PolicyNetwork:
    torch.manual_seed(3)
    return PolicyNetwork(NetworkSettings(len(QUESTION), question_width=8, width=16))


def stopping(network: PolicyNetwork) -> PolicyNetwork:
    """Return a policy that always stops at once."""
    lazy = PolicyNetwork(network.settings)
    lazy.load_state_dict(network.state_dict())
    torch.nn.init.constant_(lazy.stop_score.bias, 1e6)
    return lazy


def test_the_figures_are_those_of_the_searches(
    network: PolicyNetwork, worlds: list[QuestionWorld], settings: EnvironmentSettings
) -> None:
    """Counted again from every search by itself: shares of the supporting passages among the first five."""
    figures = validate(network, settings, worlds)
    recalls, complete, returns, calls, prices, evidence = [], [], [], [], [], []
    for world in worlds:
        [outcome] = search_worlds(network.eval(), settings, [world], lanes=1)
        top = set(outcome.ranking[:TOP].tolist())
        recalls.append(len(top & world.gold) / len(world.gold))
        complete.append(top >= world.gold)
        returns.append(outcome.total_reward)
        calls.append(outcome.calls)
        kinds = [decision.kind for decision in outcome.decisions]
        taken = sum(row in world.gold for d in outcome.decisions if d.kind == "take" for row in d.rows)
        prices.append(taken / len(world.gold) - outcome.total_reward)
        evidence.append(taken / len(world.gold))
        assert outcome.calls == sum(kind in {"expand", "hop"} for kind in kinds)
    assert figures["recall@5"] == pytest.approx(np.mean(recalls))
    assert figures["all_recall@5"] == pytest.approx(np.mean(complete))
    assert figures["return"] == pytest.approx(np.mean(returns))
    assert figures["calls"] == pytest.approx(np.mean(calls))
    assert figures["score"] == pytest.approx((np.mean(recalls) + np.mean(evidence)) / 2 - np.mean(prices))
    assert 0 < figures["recall@5"] < 1
    assert np.mean(prices) > 0


def test_a_policy_that_stops_at_once_has_what_every_search_begins_with_at_its_price(
    network: PolicyNetwork, worlds: list[QuestionWorld], settings: EnvironmentSettings
) -> None:
    figures = validate(stopping(network), settings, worlds[:5])
    price = settings.price_per_ms * (settings.expand_lexical_ms + settings.expand_dense_ms)
    assert figures["return"] == pytest.approx(-price), "it takes nothing"
    assert figures["calls"] == 2
    assert 0 < figures["recall@5"] < 1


def test_what_is_in_view_counts_though_it_was_not_taken(network: PolicyNetwork, worlds: list[QuestionWorld]) -> None:
    """The ranking goes on after the evidence: recall may be had without a TAKE; the price is paid all the same."""
    settings = EnvironmentSettings(expand_everything=True, price_per_ms=0.001)
    wide = [QuestionWorld(world.index, world.view, settings, world.gold) for world in worlds]
    figures = validate(stopping(network), settings, wide)
    assert figures["recall@5"] > 0
    assert figures["return"] == pytest.approx(figures["score"] - figures["recall@5"] / 2)
    assert figures["return"] < 0


def test_questions_without_labels_do_not_count(
    network: PolicyNetwork, worlds: list[QuestionWorld], settings: EnvironmentSettings
) -> None:
    unlabelled = [QuestionWorld(world.index, world.view, settings) for world in worlds[:4]]
    mixed = [*unlabelled[:2], *worlds[:6], *unlabelled[2:]]
    expected = validate(network, settings, worlds[:6])
    assert validate(network, settings, mixed) == {name: pytest.approx(value) for name, value in expected.items()}


def test_dropout_does_not_disturb_it(
    network: PolicyNetwork, worlds: list[QuestionWorld], settings: EnvironmentSettings
) -> None:
    """A network that is being trained is measured as it would search, the same each time."""
    network.train()
    first = validate(network, settings, worlds[:8])
    network.train()
    assert validate(network, settings, worlds[:8]) == first
    assert not network.training


def test_calibration_is_fitted_on_questions_with_and_without_an_answer(
    network: PolicyNetwork, worlds: list[QuestionWorld], settings: EnvironmentSettings
) -> None:
    network.eval()
    few = [*worlds[:6], QuestionWorld(worlds[0].index, worlds[0].view, settings)]
    fitted = calibrate(network, settings, few, np.random.default_rng(0))
    assert fitted is not None
    assert calibrate(network, settings, few[6:], np.random.default_rng(0)) is None
    assert fitted.searches == 4 * (6 + 6), "a question without labels teaches nothing"
    assert set(fitted.answered) == {"words", "vectors"}
    assert set(fitted.complete) == {"words", "vectors", "policy"}
    assert calibrate(network, settings, few, np.random.default_rng(0)) == fitted
    assert calibrate(network, settings, few, np.random.default_rng(1)) != fitted


def test_a_search_is_judged_by_its_first_five(
    network: PolicyNetwork, worlds: list[QuestionWorld], settings: EnvironmentSettings
) -> None:
    for world, outcome in zip(worlds[:6], search_worlds(network.eval(), settings, worlds[:6]), strict=True):
        judged = {one.system: one for one in judged_searches(world, outcome)}
        assert set(judged) == {"policy", "lexical", "dense", "hybrid"}
        assert judged["policy"].complete == (world.labels_met(outcome.ranking[:5].tolist()) == len(world.gold))
        assert judged["dense"].complete == world.gold.issubset(world.seen(1, ()).rows[:5].tolist())
        assert all(one.answerable for one in judged.values())
