import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from trailhound.errors import RecipeError
from trailhound.retrievers.differentiable.objectives import (
    OBJECTIVES,
    contrastive,
    labels_as_targets,
    pairwise_margin,
    retrieval_likelihood,
)

SCORES = [[0.4, -0.9, 1.3, 0.2, 5.0], [-0.3, 0.8, 0.1, 1.1, -2.0]]
GRADES = [[2.0, 0.0, 1.0, 0.0, 3.0], [0.0, 1.0, 0.0, 0.0, 1.0]]
MASK = [[True, True, True, True, False], [True, True, True, False, True]]


def brute_contrastive(s: list[float], t: list[float]) -> float:
    bad = sum(math.exp(a) for a, g in zip(s, t, strict=True) if g <= 0)
    losses = [-math.log(math.exp(a) / (math.exp(a) + bad)) for a, g in zip(s, t, strict=True) if g > 0]
    return sum(losses) / len(losses)


def over_pairs(loss: Callable[[float], float]) -> Callable[[list[float], list[float]], float]:
    def brute(s: list[float], t: list[float]) -> float:
        losses = [loss(s[i] - s[j]) for i, j in itertools.product(range(len(s)), repeat=2) if t[i] > t[j]]
        return sum(losses) / len(losses)

    return brute


def softmax(values: list[float]) -> list[float]:
    return [math.exp(v) / sum(math.exp(w) for w in values) for v in values]


def brute_listwise(s: list[float], t: list[float]) -> float:
    return -sum(g / sum(t) * math.log(p) for g, p in zip(t, softmax(s), strict=True))


def brute_list_net(s: list[float], t: list[float]) -> float:
    return -sum(g * math.log(p) for g, p in zip(softmax(t), softmax(s), strict=True))


def brute_likelihood(s: list[float], t: list[float]) -> float:
    return -math.log(sum(p * math.exp(g) for p, g in zip(softmax(s), t, strict=True)))


def brute_expected(s: list[float], t: list[float]) -> float:
    return sum(p * g for p, g in zip(softmax(s), t, strict=True))


BRUTE: dict[str, Callable[[list[float], list[float]], float]] = {
    "contrastive": brute_contrastive,
    "pairwise": over_pairs(lambda d: math.log(1 + math.exp(-d))),
    "margin": over_pairs(lambda d: max(0.0, 1 - d)),
    "listwise": brute_listwise,
    "listnet": brute_list_net,
    "likelihood": brute_likelihood,
    "expected-loss": brute_expected,
}


def tensors() -> tuple[Tensor, Tensor, Tensor]:
    return torch.tensor(SCORES, dtype=torch.float64), torch.tensor(GRADES, dtype=torch.float64), torch.tensor(MASK)


def test_every_objective_has_its_oracle() -> None:
    assert set(BRUTE) == set(OBJECTIVES)


@pytest.mark.parametrize("name", BRUTE)
def test_an_objective_is_what_brute_force_says(name: str) -> None:
    scores, targets, mask = tensors()
    expected = [
        BRUTE[name]([a for a, m in zip(s, k, strict=True) if m], [a for a, m in zip(t, k, strict=True) if m])
        for s, t, k in zip(SCORES, GRADES, MASK, strict=True)
    ]
    assert OBJECTIVES[name](scores, targets, mask).item() == pytest.approx(sum(expected) / 2)
    whole = [BRUTE[name](s, t) for s, t in zip(SCORES, GRADES, strict=True)]
    assert OBJECTIVES[name](scores, targets, None).item() == pytest.approx(sum(whole) / 2)


@pytest.mark.parametrize("name", BRUTE)
def test_gradients_hold_against_finite_differences(name: str) -> None:
    scores, targets, mask = tensors()
    assert torch.autograd.gradcheck(lambda s: OBJECTIVES[name](s, targets, mask), scores.requires_grad_())


@pytest.mark.parametrize("name", BRUTE)
@pytest.mark.parametrize("absent", [torch.nan, torch.inf, -torch.inf, 1e30])
def test_what_is_not_there_has_no_effect_and_no_gradient(name: str, absent: float) -> None:
    scores, targets, mask = tensors()
    before = OBJECTIVES[name](scores, targets, mask)
    replaced = torch.where(mask, scores, absent).requires_grad_()
    loss = OBJECTIVES[name](replaced, targets, mask)
    loss.backward()
    assert loss.item() == pytest.approx(before.item())
    assert replaced.grad is not None
    assert replaced.grad[~mask].tolist() == [0.0, 0.0]
    assert bool(torch.isfinite(replaced.grad).all())


@pytest.mark.parametrize("name", BRUTE)
def test_huge_logits_stay_finite(name: str) -> None:
    scores, targets, mask = tensors()
    huge = (scores * 1e4).requires_grad_()
    loss = OBJECTIVES[name](huge, targets, mask)
    loss.backward()
    assert math.isfinite(loss.item())
    assert huge.grad is not None
    assert bool(torch.isfinite(huge.grad).all())


def test_the_likelihood_of_an_output_that_one_passage_alone_can_give() -> None:
    scores = torch.tensor([[0.0, math.log(3.0)]], requires_grad=True)
    loss = retrieval_likelihood(scores, torch.tensor([[-math.inf, math.log(0.5)]]), None)
    assert loss.item() == pytest.approx(-math.log(0.75 * 0.5))
    loss.backward()
    assert scores.grad is not None
    # p_i minus the posterior, which is all on the second
    assert scores.grad.tolist() == [[pytest.approx(0.25), pytest.approx(-0.25)]]


def test_a_positive_is_no_negative_of_another() -> None:
    alone = contrastive(torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.0]]))
    beside = contrastive(torch.tensor([[1.0, 0.0, 1.0]]), torch.tensor([[1.0, 0.0, 1.0]]))
    assert beside.item() == pytest.approx(alone.item()) == pytest.approx(math.log(1 + math.exp(-1)))


def test_only_positives_leave_nothing_to_tell_apart() -> None:
    scores = torch.tensor([[1.0, 2.0]], requires_grad=True)
    loss = contrastive(scores, torch.ones(1, 2))
    loss.backward()
    assert loss.item() == 0
    assert scores.grad is not None
    assert scores.grad.tolist() == [[0.0, 0.0]]


def test_the_margin_is_a_setting() -> None:
    scores, targets = torch.tensor([[2.0, 1.5]]), torch.tensor([[1.0, 0.0]])
    assert pairwise_margin(scores, targets, margin=0.5).item() == 0
    assert pairwise_margin(scores, targets, margin=2.0).item() == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("name", "targets"),
    [
        ("contrastive", [[1.0, 0.0], [0.0, 0.0]]),
        ("listwise", [[1.0, 0.0], [0.0, 0.0]]),
        ("listwise", [[1.0, 0.0], [1.0, -1.0]]),
        ("pairwise", [[1.0, 0.0], [1.0, 1.0]]),
        ("likelihood", [[0.0, -1.0], [-math.inf, -math.inf]]),
    ],
)
def test_a_query_that_nothing_can_be_learned_from_is_named(name: str, targets: list[list[float]]) -> None:
    with pytest.raises(RecipeError, match=r"query 1|0 or more, not -1"):
        OBJECTIVES[name](torch.zeros(2, 2), torch.tensor(targets), None)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_labels_as_targets_pull_what_supports_up(name: str) -> None:
    scores = torch.zeros(2, 5, requires_grad=True)
    supporting = torch.tensor([[True, False, True, False, False], [False, False, False, False, True]])
    OBJECTIVES[name](scores, labels_as_targets(name, supporting, 0.05), None).backward()
    assert scores.grad is not None
    assert (scores.grad[supporting] < 0).all()
    assert (scores.grad[~supporting] > 0).all()
