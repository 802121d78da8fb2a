import math

import pytest
import torch
from trailhound.errors import RecipeError
from trailhound.retrievers.differentiable.attention_memory import AttentionMemory

KEYS = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]], dtype=torch.float64)
VALUES = torch.tensor([[4.0], [8.0], [1.0]], dtype=torch.float64)


def memory(**settings: object) -> AttentionMemory:
    return AttentionMemory(KEYS, VALUES, **settings).double()  # type: ignore[arg-type]


def test_a_reading_by_hand() -> None:
    query = torch.tensor([[math.log(3.0), 0.0]], dtype=torch.float64)
    found = AttentionMemory(KEYS[:2], VALUES[:2], temperature=1.0).double()(query)
    assert found.slots.tolist() == [[0, 1]]
    assert found.weights.tolist() == [[pytest.approx(0.75), pytest.approx(0.25)]]
    assert found.values.tolist() == [[pytest.approx(5.0)]]


def test_only_the_best_slots_are_looked_at() -> None:
    found = memory(most=2, temperature=0.5, gate=2.0)(torch.tensor([[0.0, 1.0]], dtype=torch.float64))
    odds = math.exp((1 - 0.8) / 0.5)
    assert found.slots.tolist() == [[1, 2]]
    assert found.values.item() == pytest.approx(2 * (odds * 8 + 1) / (odds + 1))


def test_the_adapter_of_the_values_changes_nothing_before_it_has_learned() -> None:
    query = torch.tensor([[0.3, 0.5]], dtype=torch.float64)
    adapted = memory(rank=1, generator=torch.Generator().manual_seed(0))
    assert torch.equal(adapted(query).values, memory()(query).values)
    with torch.no_grad():
        assert adapted.up is not None
        assert adapted.down is not None
        adapted.up.fill_(1.0)
        adapted.down.fill_(0.5)
    assert torch.allclose(adapted(query).values, 1.5 * memory()(query).values)


@pytest.mark.parametrize("learn_slots", [False, True])
def test_gradients_hold_against_finite_differences(learn_slots: bool) -> None:
    layer = memory(most=2, rank=1, temperature=0.4, learn_slots=learn_slots, generator=torch.Generator().manual_seed(1))
    names = [name for name, _ in layer.named_parameters()]
    assert ("keys" in names) == ("values" in names) == learn_slots

    def values(queries: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
        given = dict(zip(names, parameters, strict=True))
        found: torch.Tensor = torch.func.functional_call(layer, given, (queries,)).values
        return found

    with torch.no_grad():
        assert layer.up is not None
        layer.up.fill_(0.3)
    queries = torch.tensor([[0.2, 0.9], [1.1, -0.4]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(values, (queries, *layer.parameters()))


def test_slots_that_are_not_learned_are_not_saved() -> None:
    assert set(memory().state_dict()) == {"log_temperature", "gate"}
    assert set(memory(learn_slots=True).state_dict()) == {"log_temperature", "gate", "keys", "values"}


def test_learned_slots_come_to_hold_what_a_loss_asks_for() -> None:
    layer = AttentionMemory(torch.eye(2), torch.zeros(2, 1), temperature=0.2, learn_slots=True)
    wanted = torch.tensor([[1.0], [-1.0]])
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.05)
    for _ in range(150):
        loss = (layer(torch.eye(2)).values - wanted).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 1e-3


def test_what_cannot_be_a_memory_is_refused() -> None:
    with pytest.raises(RecipeError, match="3 keys and 2 values"):
        AttentionMemory(KEYS, VALUES[:2])
    with pytest.raises(RecipeError, match="temperature 0"):
        AttentionMemory(KEYS, VALUES, temperature=0.0)
    with pytest.raises(RecipeError, match="generator"):
        AttentionMemory(KEYS, VALUES, rank=2)
