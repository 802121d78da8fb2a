"""Questions without an answer: what would answer them is out of reach, or there is no question."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from trailhound.agent._network import PolicyNetwork
from trailhound.agent._network_settings import NetworkSettings
from trailhound.agent._rollout import search_worlds
from trailhound.envs._world import QuestionWorld
from trailhound.envs.settings import QUESTION, EnvironmentSettings
from trailhound.learning.policy._unanswerable import WithoutEvidence, nonsense, unanswerable


def test_what_meets_a_label_is_never_found(worlds: list[QuestionWorld], settings: EnvironmentSettings) -> None:
    torch.manual_seed(3)
    network = PolicyNetwork(NetworkSettings(len(QUESTION), question_width=8, width=16))
    known = [world for world in worlds if world.gold][:8]
    without = [WithoutEvidence(world, None) for world in known]
    found = search_worlds(network.eval(), settings, known)
    assert any(world.labels_met(outcome.ranking.tolist()) for world, outcome in zip(known, found, strict=True))
    for world, other, outcome in zip(known, without, search_worlds(network, settings, without), strict=True):
        seen = {*outcome.ranking.tolist(), *other.seen(0, ()).rows.tolist(), *other.seen(1, ()).rows.tolist()}
        assert seen, "the rest of the corpus is there"
        assert not seen.intersection(world.meets)
        assert not world.meets.keys() & other.view.named.keys()
        assert not other.gold


def test_there_are_as_many_as_there_are_questions(worlds: list[QuestionWorld]) -> None:
    made = unanswerable(worlds[:20], np.random.default_rng(0), None)
    assert len(made) == 20
    assert not any(world.gold for world in made)
    kinds = {type(world) for world in made}
    assert kinds == {WithoutEvidence, QuestionWorld}
    texts = [world.view.text for world in made]
    assert texts == [world.view.text for world in unanswerable(worlds[:20], np.random.default_rng(0), None)]


@pytest.mark.parametrize("seed", range(12))
def test_nonsense_is_words_of_the_corpus(worlds: list[QuestionWorld], seed: int) -> None:
    index = worlds[0].index
    text = nonsense(worlds[0], np.random.default_rng(seed))
    letters = {letter for row in range(len(index)) for letter in index.store.passage(row).text}
    assert text.strip()
    assert set(text) - letters <= set("SELECT FROM WHERE = 1 def():return .;/?<>_[0]")
