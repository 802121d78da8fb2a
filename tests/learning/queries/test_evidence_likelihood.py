import math
from pathlib import Path

import numpy as np
import pytest
import torch
from trailhound.envs._question_set import QuestionSet
from trailhound.envs.settings import EnvironmentSettings
from trailhound.index.index import Index
from trailhound.learning.queries._evidence_likelihood import WeighedSets, evidence_likelihood, weighed_sets
from trailhound.retrievers.differentiable.objectives import contrastive, retrieval_likelihood
from trailhound.retrievers.questions._labelled import load_questions

SCORES = [0.5, -0.2, 1.1, 0.3, -0.9]
SETS = [(2,), (0, 3), (3, 4, 1)]
WEIGHTS = [0.2, 0.7, 0.1]


def brute_force() -> float:
    total = 0.0
    for rows, weight in zip(SETS, WEIGHTS, strict=True):
        outside = sum(math.exp(s) for k, s in enumerate(SCORES) if k not in rows)
        logs = [math.log(math.exp(SCORES[k]) / (math.exp(SCORES[k]) + outside)) for k in rows]
        total += weight * math.exp(sum(logs) / len(logs))
    return -math.log(total)


def sets_of(sets: list[tuple[int, ...]], weights: list[float]) -> WeighedSets:
    return WeighedSets.of(sets, np.array(weights))


def test_the_loss_is_what_brute_force_says() -> None:
    scores = torch.tensor([SCORES, SCORES], dtype=torch.float64)
    one = sets_of(SETS, WEIGHTS)
    assert evidence_likelihood(scores, [one, one]).item() == pytest.approx(brute_force(), rel=1e-6)


def test_its_gradient_holds_against_finite_differences() -> None:
    scores = torch.tensor([SCORES], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda s: evidence_likelihood(s, [sets_of(SETS, WEIGHTS)]), scores)


def test_of_single_passages_it_is_the_marginal_likelihood_of_retrieval() -> None:
    scores = torch.tensor([SCORES], dtype=torch.float64)
    targets = torch.full_like(scores, -torch.inf)
    targets[0, 2], targets[0, 3] = math.log(0.6), math.log(0.4)
    ours = evidence_likelihood(scores, [sets_of([(2,), (3,)], [0.6, 0.4])])
    assert ours.item() == pytest.approx(retrieval_likelihood(scores, targets).item(), rel=1e-6)


def test_of_one_set_it_is_the_contrastive_loss_of_its_passages() -> None:
    scores = torch.tensor([SCORES], dtype=torch.float64)
    positive = torch.tensor([[1.0, 0.0, 0.0, 1.0, 0.0]])
    ours = evidence_likelihood(scores, [sets_of([(3, 0)], [1.0])])
    assert ours.item() == pytest.approx(contrastive(scores, positive).item(), rel=1e-6)


def test_a_set_that_is_nearly_everything_stays_finite() -> None:
    scores = torch.tensor([[200.0, 199.0, -300.0]], requires_grad=True)
    loss = evidence_likelihood(scores, [sets_of([(0, 1)], [1.0])])
    loss.backward()
    assert math.isfinite(loss.item())
    assert scores.grad is not None
    assert bool(torch.isfinite(scores.grad).all())


def test_sets_within_candidates_are_told_by_their_places() -> None:
    one = sets_of([(2,), (10, 30), (30, 41, 10)], WEIGHTS)
    assert one.best() == [10, 30]
    within = one.within(np.array([10, 20, 30]))
    assert within is not None
    assert within.rows.tolist() == [0, 2]
    assert within.members.tolist() == [[True, True]]
    assert within.log_weights.exp().tolist() == [pytest.approx(0.7)]
    assert one.within(np.array([10, 41])) is None


@pytest.fixture(scope="module")
def unlabelled(small_index: Index, corpus_folder: Path) -> QuestionSet:
    return QuestionSet.load(small_index, corpus_folder, "train", EnvironmentSettings(), labels=False)


def test_the_evidence_is_mostly_among_the_sets_of_the_answers(unlabelled: QuestionSet, corpus_folder: Path) -> None:
    index = unlabelled.index
    worlds = [unlabelled.world(k) for k in range(len(unlabelled))]
    assert not any(world.gold for world in worlds)
    _, qrels = load_questions(corpus_folder, "train")
    found = []
    for item, sets in zip(unlabelled.items, weighed_sets(worlds), strict=True):
        if sets is not None:
            gold = {index.store.row_of(passage) for passage in qrels[item.question.id]}
            assert sets.log_weights.exp().sum().item() == pytest.approx(1.0, abs=1e-4)
            found.append(len(gold.intersection(sets.best())) / len(gold))
    assert len(found) > len(worlds) / 2
    assert np.mean(found) > 0.6
