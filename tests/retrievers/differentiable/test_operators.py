import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from trailhound.errors import RecipeError
from trailhound.retrievers.differentiable.operators import (
    gumbel_top_k,
    hard_top_k,
    read,
    relaxed_top_k,
    softmax_retrieval,
    softmax_weights,
    straight_through,
    straight_through_top_k,
)

SCORES = torch.tensor([[0.3, -1.2, 0.9, 0.1], [2.0, 0.4, -0.5, 1.1]], dtype=torch.float64)
VALUES = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, -1.0], [0.5, 3.0]], dtype=torch.float64)


def leaf(values: Tensor) -> Tensor:
    return values.clone().requires_grad_()


def holds_against_finite_differences(function: object, *inputs: Tensor) -> bool:
    return bool(torch.autograd.gradcheck(function, inputs, eps=1e-6, atol=1e-6))


def test_softmax_retrieval_by_hand() -> None:
    scores = torch.tensor([[math.log(3.0), 0.0]], dtype=torch.float64)
    values = torch.tensor([[4.0, 0.0], [0.0, 8.0]], dtype=torch.float64)
    assert softmax_weights(scores, 1.0).tolist() == [[pytest.approx(0.75), pytest.approx(0.25)]]
    assert softmax_retrieval(scores, values, 1.0).tolist() == [[pytest.approx(3.0), pytest.approx(2.0)]]
    assert softmax_weights(scores, 0.5)[0, 0].item() == pytest.approx(9 / 10)  # odds 3, squared


def test_the_gradient_of_softmax_retrieval_by_hand() -> None:
    scores = leaf(torch.tensor([[math.log(3.0), 0.0]], dtype=torch.float64))
    values = torch.tensor([[4.0], [0.0]], dtype=torch.float64)
    softmax_retrieval(scores, values, 0.5).sum().backward()
    # dr/ds_i = p_i (v_i - r) / tau with p = (0.9, 0.1), r = 3.6
    assert scores.grad is not None
    assert scores.grad.tolist() == [[pytest.approx(0.9 * 0.4 / 0.5), pytest.approx(0.1 * -3.6 / 0.5)]]


def test_gradients_of_softmax_retrieval_hold_against_finite_differences() -> None:
    temperature = torch.tensor(0.7, dtype=torch.float64)
    assert holds_against_finite_differences(softmax_retrieval, leaf(SCORES), leaf(VALUES), leaf(temperature))
    own = torch.stack([VALUES, VALUES.flip(0)])
    assert holds_against_finite_differences(softmax_retrieval, leaf(SCORES), leaf(own), leaf(temperature))


def test_values_of_every_query_are_read_alone() -> None:
    weights = softmax_weights(SCORES, 1.0)
    own = torch.stack([VALUES, 2 * VALUES])
    assert torch.allclose(read(weights, own), torch.stack([read(weights, VALUES)[0], 2 * read(weights, VALUES)[1]]))


def test_the_limit_of_temperature_zero_is_hard_retrieval() -> None:
    cold = softmax_retrieval(SCORES, VALUES, 1e-4)
    assert torch.equal(cold, VALUES[SCORES.argmax(dim=1)])
    for k in (1, 2, 3):
        assert torch.allclose(relaxed_top_k(SCORES, k, 1e-3), hard_top_k(SCORES, k), atol=1e-12)


def test_relaxed_top_k_by_hand() -> None:
    # two passages, k = 1: sigma((s1 - s2) / 2 tau), because the threshold lies in the middle
    scores = torch.tensor([[1.0, 0.2]], dtype=torch.float64)
    expected = 1 / (1 + math.exp(-0.8 / 2 / 0.5))
    assert relaxed_top_k(scores, 1, 0.5).tolist() == [[pytest.approx(expected), pytest.approx(1 - expected)]]
    equal = torch.zeros(1, 4, dtype=torch.float64)
    assert relaxed_top_k(equal, 3, 0.1).tolist() == [[pytest.approx(0.75)] * 4]


def test_relaxed_top_k_is_the_optimum_it_says_it_is() -> None:
    chosen = relaxed_top_k(SCORES, 2, 0.5)
    generator = torch.Generator().manual_seed(0)

    def value(m: Tensor) -> Tensor:
        entropy = -(torch.xlogy(m, m) + torch.xlogy(1 - m, 1 - m)).sum(dim=1)
        return (SCORES * m).sum(dim=1) + 0.5 * entropy

    for _ in range(200):
        other = chosen + 0.05 * torch.randn(chosen.shape, generator=generator, dtype=torch.float64)
        other = other - (other.sum(dim=1, keepdim=True) - 2) / 4  # the sum stays k
        if bool(((other >= 0) & (other <= 1)).all()):
            assert bool((value(other) <= value(chosen) + 1e-12).all())


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-30, 30), min_size=2, max_size=9),
    st.integers(1, 8),
    st.floats(0.01, 5.0),
    st.sampled_from([torch.float64, torch.float32]),
)
def test_relaxed_top_k_sums_to_k_keeps_order_and_stays_between_0_and_1(
    values: list[float], k: int, temperature: float, dtype: torch.dtype
) -> None:
    scores = torch.tensor([values], dtype=dtype)
    chosen = relaxed_top_k(scores, k, temperature)
    assert chosen.sum().item() == pytest.approx(min(k, len(values)), abs=1e-4 if dtype == torch.float32 else 1e-9)
    assert bool(((chosen >= 0) & (chosen <= 1)).all())
    order = torch.argsort(scores[0])
    assert bool((chosen[0, order].diff() >= -1e-6).all())


@pytest.mark.parametrize("k", [1, 2, 3])
def test_gradients_of_relaxed_top_k_hold_against_finite_differences(k: int) -> None:
    temperature = torch.tensor(0.6, dtype=torch.float64)
    assert holds_against_finite_differences(lambda s, t: relaxed_top_k(s, k, t), leaf(SCORES), leaf(temperature))


def test_absent_passages_weigh_nothing_and_receive_no_gradient() -> None:
    scores = leaf(torch.tensor([[0.5, -torch.inf, 0.1, -0.2], [1.0, -torch.inf, -torch.inf, 0.0]]))
    temperature = leaf(torch.tensor(0.5))
    weighed = torch.arange(4.0)
    for weights in (relaxed_top_k(scores, 2, temperature), softmax_weights(scores, temperature)):
        assert weights[:, 1].tolist() == [0.0, 0.0]
        scores.grad = temperature.grad = None
        (weights * weighed).sum().backward()
        assert scores.grad is not None
        assert temperature.grad is not None
        assert bool(torch.isfinite(scores.grad).all())
        assert math.isfinite(temperature.grad.item())
        assert scores.grad[0, 1] == 0
    assert relaxed_top_k(scores, 2, 0.5)[1].tolist() == [1.0, 0.0, 0.0, 1.0], "two are there: both are taken"
    assert hard_top_k(scores, 3)[1].tolist() == [1.0, 0.0, 0.0, 1.0]


def test_ties_of_hard_retrieval_go_to_the_first() -> None:
    assert hard_top_k(torch.tensor([[1.0, 2.0, 2.0, 2.0]]), 2).tolist() == [[0.0, 1.0, 1.0, 0.0]]


def test_straight_through_is_hard_forwards_and_soft_backwards() -> None:
    scores = leaf(SCORES)
    chosen = straight_through_top_k(scores, 2, 0.7)
    assert torch.equal(chosen, hard_top_k(SCORES, 2))
    (chosen @ VALUES).sum().backward()
    soft = leaf(SCORES)
    (relaxed_top_k(soft, 2, 0.7) @ VALUES).sum().backward()
    assert scores.grad is not None
    assert soft.grad is not None
    assert torch.allclose(scores.grad, soft.grad)
    assert scores.grad.abs().max() > 0.01


def test_straight_through_sends_nothing_into_the_hard_choice() -> None:
    hard, soft = leaf(torch.tensor([1.0, 0.0])), leaf(torch.tensor([0.6, 0.4]))
    straight_through(hard, soft).sum().backward()
    assert hard.grad is None
    assert soft.grad is not None
    assert soft.grad.tolist() == [1.0, 1.0]


def test_gumbel_draws_follow_the_softmax_and_k_of_them_are_without_replacement() -> None:
    generator = torch.Generator().manual_seed(3)
    p = torch.tensor([0.5, 0.3, 0.2])
    many = p.log().expand(20_000, 3)
    first = gumbel_top_k(many, 1, 1.0, generator).mean(dim=0)
    assert torch.allclose(first, p, atol=0.015)
    pairs = gumbel_top_k(many, 2, 1.0, generator)
    assert pairs.sum(dim=1).unique().tolist() == [2.0]
    # left out is c when {a, b} is drawn: p_a p_b / (1 - p_a) + p_a p_b / (1 - p_b)
    left_out = 0.5 * 0.3 / 0.5 + 0.3 * 0.5 / 0.7
    assert (1 - pairs[:, 2]).mean().item() == pytest.approx(left_out, abs=0.015)


def test_a_gumbel_draw_depends_on_its_generator_alone_and_has_a_gradient() -> None:
    draws = [gumbel_top_k(SCORES, 2, 0.5, torch.Generator().manual_seed(seed)) for seed in (1, 1)]
    assert torch.equal(*draws)
    scores = leaf(SCORES)
    (gumbel_top_k(scores, 1, 0.5, torch.Generator().manual_seed(0)) @ VALUES).sum().backward()
    assert scores.grad is not None
    assert scores.grad.abs().sum() > 0


def test_what_cannot_be_computed_is_refused() -> None:
    with pytest.raises(RecipeError, match="above 0, not 0"):
        softmax_weights(SCORES, 0.0)
    with pytest.raises(RecipeError, match="1 or more, not 0"):
        relaxed_top_k(SCORES, 0, 1.0)
    with pytest.raises(RecipeError, match="query 1"):
        softmax_weights(torch.tensor([[1.0, 2.0], [-torch.inf, -torch.inf]]), 1.0)
