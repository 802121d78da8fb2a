import numpy as np
import pytest
import torch
from trailhound.learning.queries._tunable_encoder import LowRankLinear, TunableEncoder
from trailhound.retrievers.vectors._encoder import MiniLMEncoder

TEXTS = ["Who founded the harbour?", "Which river flows through the town where Ada Marl was born?", "a"]


@pytest.fixture(scope="module")
def encoder() -> TunableEncoder:
    return TunableEncoder(rank=2, seed=3, dropout=0.0, device="cpu").eval()


def test_a_change_begins_at_the_frozen_layer_and_only_it_learns() -> None:
    linear = torch.nn.Linear(5, 4).requires_grad_(False)
    changed = LowRankLinear(linear, rank=2, generator=torch.Generator().manual_seed(0))
    x = torch.randn(3, 5)
    torch.testing.assert_close(changed(x), linear(x))
    assert {name for name, _ in changed.named_parameters()} == {"down", "up"}
    with torch.no_grad():
        changed.up.fill_(0.5)
    expected = x @ (linear.weight + changed.up @ changed.down).T + linear.bias
    torch.testing.assert_close(changed(x), expected)


def test_untouched_it_is_the_published_model(encoder: TunableEncoder) -> None:
    with torch.no_grad():
        vectors = encoder(TEXTS).numpy()
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 1], abs=1e-5)
    built_in = MiniLMEncoder(threads=1).encode(TEXTS)  # int8
    assert ((vectors * built_in).sum(axis=1) > 0.98).all()


def test_padding_does_not_change_a_vector(encoder: TunableEncoder) -> None:
    with torch.no_grad():
        together, alone = encoder(TEXTS), encoder(TEXTS[2:])
    torch.testing.assert_close(together[2:], alone, atol=1e-5, rtol=0)


def test_what_it_learned_is_what_the_fast_encoder_computes(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("TRAILHOUND_CACHE", str(tmp_path_factory.mktemp("cache")))
    tuned = TunableEncoder(rank=2, seed=3, dropout=0.0, device="cpu").eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for change in tuned.changes.values():
            change.up.normal_(std=0.02, generator=generator)
        slow = tuned(TEXTS).numpy()
    fast = MiniLMEncoder(threads=1, adapter=tuned.adapter({})).encode(TEXTS)
    plain = MiniLMEncoder(threads=1).encode(TEXTS)
    assert ((slow * fast).sum(axis=1) > 0.97).all()
    assert ((slow * fast).sum(axis=1) > (slow * plain).sum(axis=1)).all()
