import itertools
import math

import pytest
import torch
from torch import Tensor
from trailhound.errors import RecipeError
from trailhound.retrievers.differentiable.operators import OPERATORS, AttentionMemory, relaxed_top_k

KEYS = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]], dtype=torch.float64)
VALUES = torch.tensor([[4.0], [8.0], [1.0]], dtype=torch.float64)


def memory(**settings: object) -> AttentionMemory:
    return AttentionMemory(KEYS, VALUES, **settings).double()  # type: ignore[arg-type]


def test_a_softmax_by_hand() -> None:
    query = torch.tensor([[math.log(3.0), 0.0]], dtype=torch.float64)
    layer = AttentionMemory(KEYS[:2], VALUES[:2], most=2, temperature=1.0).double()
    weights, slots = layer.weights(query)
    assert slots.tolist() == [[0, 1]]
    assert weights.tolist() == [[pytest.approx(0.75), pytest.approx(0.25)]]
    assert layer(query).tolist() == [[pytest.approx(5.0)]]


def test_only_the_best_slots_are_looked_at() -> None:
    layer, query = memory(most=2, temperature=0.5, gate=2.0), torch.tensor([[0.0, 1.0]], dtype=torch.float64)
    odds = math.exp((1 - 0.8) / 0.5)
    assert layer.weights(query)[1].tolist() == [[1, 2]]
    assert layer(query).item() == pytest.approx(2 * (odds * 8 + 1) / (odds + 1))


@pytest.mark.parametrize("operator", OPERATORS)
def test_weights_add_up_to_one_and_search_draws_nothing(operator: str) -> None:
    layer, queries = memory(most=2, operator=operator).eval(), torch.randn(4, 2, dtype=torch.float64)
    weights, _ = layer.weights(queries)
    assert weights.sum(dim=1).tolist() == pytest.approx([1.0] * 4)
    assert torch.equal(layer(queries), layer(queries))


def test_relaxed_and_hard_choices_are_the_operators_of_their_names() -> None:
    query = torch.tensor([[0.2, 0.9]], dtype=torch.float64)
    scores = (query @ KEYS.T).sort(descending=True).values
    relaxed = memory(most=2, temperature=0.3, operator="relaxed-top-k").weights(query)[0]
    assert torch.allclose(relaxed, relaxed_top_k(scores, 2, 0.3) / 2)
    assert memory(most=2, operator="straight-through")(query).item() == pytest.approx((8 + 1) / 2)
    assert memory(most=2, operator="gumbel-top-k").eval()(query).item() == pytest.approx((8 + 1) / 2)


def test_a_gumbel_draw_takes_each_pair_as_often_as_drawing_without_replacement_does() -> None:
    layer, query = memory(most=2, temperature=0.5, operator="gumbel-top-k"), torch.tensor([[0.2, 0.9]]).double()
    scores = (query @ KEYS.T).flatten().tolist()
    odds = [math.exp(score / 0.5) for score in scores]
    expected = dict.fromkeys(itertools.combinations(range(3), 2), 0.0)
    for first, second in itertools.permutations(range(3), 2):
        share = odds[first] / sum(odds) * odds[second] / (sum(odds) - odds[first])
        expected[min(first, second), max(first, second)] += share
    torch.manual_seed(0)
    drawn = dict.fromkeys(expected, 0)
    for _ in range(3000):
        weights, slots = layer.weights(query)
        one, other = sorted(slots[0][weights[0] > 0].tolist())
        drawn[one, other] += 1
    for pair, share in expected.items():
        assert drawn[pair] / 3000 == pytest.approx(share, abs=0.04)


@pytest.mark.parametrize("operator", ["softmax", "relaxed-top-k"])
def test_gradients_hold_against_finite_differences(operator: str) -> None:
    layer = memory(most=2, temperature=0.4, operator=operator)
    names = [name for name, _ in layer.named_parameters()]
    assert set(names) == set(layer.state_dict()) == {"log_temperature", "gate"}

    def values(queries: Tensor, *parameters: Tensor) -> Tensor:
        found: Tensor = torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (queries,))
        return found

    queries = torch.tensor([[0.2, 0.9], [1.1, -0.4]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(values, (queries, *layer.parameters()))


def test_what_cannot_be_a_memory_is_refused() -> None:
    with pytest.raises(RecipeError, match="3 keys and 2 values"):
        AttentionMemory(KEYS, VALUES[:2], most=1)
    with pytest.raises(RecipeError, match="temperature 0"):
        memory(most=1, temperature=0.0)
    with pytest.raises(RecipeError, match="0 slots"):
        memory(most=0)
    with pytest.raises(RecipeError, match="'tea'"):
        memory(most=1, operator="tea")
