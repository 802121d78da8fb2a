import math

import numpy as np
import pytest
import torch
from torch import nn
from trailhound.errors import CollapseError, QuestionsError, RecipeError, TrailhoundError
from trailhound.retrievers.differentiable.collapse import (
    CollapseGuard,
    CollapseLimits,
    CollapseMeasures,
    alignment,
    effective_rank,
    measure_collapse,
    same_top_share,
    strided,
    uniformity,
)
from trailhound.retrievers.differentiable.objectives import contrastive, expected_loss

SQUARE = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]], np.float32)
HEALTHY = CollapseMeasures(alignment=0.8, uniformity=-3.0, effective_rank=50.0, same_top_share=0.1)


def test_measures_by_hand() -> None:
    assert alignment(SQUARE, SQUARE) == 0
    assert alignment(SQUARE[:2], SQUARE[1::-1]) == pytest.approx(4.0)
    # of the six pairs of a square, two are opposite (distance 2), four are neighbours (distance sqrt 2)
    assert uniformity(SQUARE) == pytest.approx(math.log((2 * math.exp(-8) + 4 * math.exp(-4)) / 6))
    assert uniformity(np.ones((5, 2), np.float32)) == pytest.approx(0.0)
    assert effective_rank(np.eye(3, dtype=np.float32)) == pytest.approx(3.0)
    assert effective_rank(np.ones((5, 3), np.float32)) == pytest.approx(1.0)
    assert effective_rank(np.zeros((2, 2), np.float32)) == 1.0
    # singular values 3 and 1: entropy of (3/4, 1/4)
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert effective_rank(np.diag([3.0, 1.0]).astype(np.float32)) == pytest.approx(math.exp(entropy))
    assert same_top_share(np.array([4, 4, 2, 4])) == 0.75


@pytest.mark.parametrize(
    ("measure", "value", "limit"),
    [("uniformity", -0.5, -1.2), ("effective_rank", 19.0, 20.0), ("same_top_share", 0.6, 0.55)],
)
def test_a_passed_limit_stops_training_and_says_what_to_change(measure: str, value: float, limit: float) -> None:
    guard = CollapseGuard(HEALTHY)
    guard.check(HEALTHY)
    with pytest.raises(CollapseError, match=measure.replace("_", " ")) as caught:
        guard.check(CollapseMeasures(**{**HEALTHY.to_json(), measure: value}))
    assert isinstance(caught.value, TrailhoundError)
    assert (caught.value.value, caught.value.limit) == (value, pytest.approx(limit))
    assert "learning rate" in caught.value.remedy
    assert caught.value.remedy in str(caught.value)
    assert f"{value:.3g}" in str(caught.value)


def test_vectors_that_are_not_numbers_are_a_collapse_too() -> None:
    with pytest.raises(CollapseError, match="nan"):
        CollapseGuard(HEALTHY).check(CollapseMeasures(**{**HEALTHY.to_json(), "uniformity": math.nan}))


def trained(negatives: bool, steps: int = 60) -> list[CollapseMeasures]:
    """Train a real linear encoder of 40 questions towards their passages, with or without anything to push away."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    questions = nn.functional.normalize(torch.randn(40, 16, generator=generator), dim=1)
    passages = nn.functional.normalize(questions + 0.5 * torch.randn(40, 16, generator=generator), dim=1)
    passages = nn.functional.normalize(passages + torch.ones(16), dim=1)  # a cone, as encoders make
    encoder = nn.Linear(16, 16)
    with torch.no_grad():
        encoder.weight.copy_(torch.eye(16))
        encoder.bias.zero_()
    optimizer = torch.optim.Adam(encoder.parameters(), lr=0.05)
    measured = []
    for step in range(steps + 1):
        vectors = nn.functional.normalize(encoder(questions), dim=1)
        scores = vectors @ passages.T / 0.1
        if step % 10 == 0:
            measured.append(measure_collapse(vectors.detach().numpy(), passages.numpy(), scores.argmax(dim=1).numpy()))
        if negatives:
            loss = contrastive(scores, torch.eye(40))
        else:  # alignment alone, over all pairs: every question is drawn to the middle of the passages
            loss = expected_loss(torch.zeros_like(scores), (1 - scores * 0.1), None)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return measured


def check_all(guard: CollapseGuard, measured: list[CollapseMeasures]) -> None:
    for now in measured:
        guard.check(now)


def test_a_real_collapse_is_caught() -> None:
    measured = trained(negatives=False)
    guard = CollapseGuard(measured[0])
    assert measured[-1].alignment < measured[0].alignment, "the loss went down all the while"
    with pytest.raises(CollapseError):
        check_all(guard, measured)


def test_healthy_training_is_not_stopped() -> None:
    measured = trained(negatives=True)
    guard = CollapseGuard(measured[0])
    for now in measured:
        guard.check(now)
    assert measured[-1].alignment < measured[0].alignment


def test_too_few_questions_and_impossible_limits_are_refused() -> None:
    with pytest.raises(QuestionsError, match="4 questions"):
        measure_collapse(SQUARE, SQUARE, np.arange(4))
    with pytest.raises(RecipeError, match="rank_share"):
        CollapseLimits(rank_share=1.0)


def test_the_questions_that_are_watched_are_spread_evenly() -> None:
    assert strided(5, 9).tolist() == [0, 1, 2, 3, 4]
    assert strided(101, 3).tolist() == [0, 50, 100]
