from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from trailhound.errors import PolicyError, RecipeError
from trailhound.retrievers._fusion import reciprocal_rank_fusion
from trailhound.retrievers._hashed_files import write_sealed_json
from trailhound.retrievers.differentiable.learned_fusion import FILE, LearnedFusion, fusion_features
from trailhound.retrievers.differentiable.objectives import listwise
from trailhound.retrievers.records import Hits


def hits(rows: list[int], scores: list[float] | None = None) -> Hits:
    values = scores if scores is not None else [1 / (k + 1) for k in range(len(rows))]
    return Hits(np.array(rows, np.int64), np.array(values, np.float32))


def test_features_by_hand() -> None:
    rows, features = fusion_features([hits([7, 2, 5], [9.0, 6.0, 3.0]), hits([5], [0.4]), hits([])])
    assert rows.tolist() == [2, 5, 7]
    assert features == pytest.approx(
        np.array(
            [
                [0.5, 60 / 62, 1, 0, 0, 0, 0, 0, 0],
                [0.0, 60 / 63, 1, 1, 60 / 61, 1, 0, 0, 0],
                [1.0, 60 / 61, 1, 0, 0, 0, 0, 0, 0],
            ],
            np.float32,
        )
    )


ROWS = st.lists(st.integers(0, 12), unique=True, max_size=8)


@given(ROWS, ROWS)
def test_before_it_has_learned_it_is_reciprocal_rank_fusion(first: list[int], second: list[int]) -> None:
    rankings = {"lexical": hits(first), "dense": hits(second)}
    fused = LearnedFusion(tuple(rankings)).fuse(rankings, 10)
    expected = reciprocal_rank_fusion(list(rankings.values()), 10)
    places = dict(zip(expected.rows.tolist(), expected.scores.tolist(), strict=True))
    assert sorted(places) == sorted(fused.rows.tolist()) or len(places) == 10
    known = [places[row] for row in fused.rows.tolist() if row in places]
    assert all(a >= b - 1e-6 for a, b in pairwise(known))


def test_gradients_hold_against_finite_differences() -> None:
    fusion = LearnedFusion(("a", "b")).double()
    features = torch.rand(2, 4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    targets = torch.tensor([[1.0, 0, 0, 0], [0, 0, 1.0, 1.0]], dtype=torch.float64)

    def loss(weights: torch.Tensor, log_temperature: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
        state = {"weights": weights, "log_temperature": log_temperature}
        return listwise(torch.func.functional_call(fusion, state, (given,)), targets)

    assert torch.autograd.gradcheck(loss, (*fusion.parameters(), features.requires_grad_()))


def test_it_learns_whom_to_trust() -> None:
    generator = np.random.default_rng(0)
    fusion = LearnedFusion(("right", "wrong"))
    optimizer = torch.optim.Adam(fusion.parameters(), lr=0.05)
    questions = []
    for _ in range(40):
        right, wrong = (generator.permutation(20)[:10].tolist() for _ in range(2))
        rows, features = fusion_features([hits(right), hits(wrong)])
        questions.append((right, wrong, torch.from_numpy(features), torch.from_numpy((rows == right[0]).astype("f4"))))
    for _, _, features, relevance in questions * 3:
        loss = listwise(fusion(features).unsqueeze(0), relevance.unsqueeze(0))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    found = [fusion.fuse({"right": hits(a), "wrong": hits(b)}, 1).rows[0] == a[0] for a, b, _, _ in questions]
    before = [
        LearnedFusion(("r", "w")).fuse({"r": hits(a), "w": hits(b)}, 1).rows[0] == a[0] for a, b, _, _ in questions
    ]
    assert np.mean(found) > 0.95 > np.mean(before) + 0.2


def test_weights_survive_their_file(tmp_path: Path) -> None:
    fusion = LearnedFusion(("lexical", "dense"), temperature=0.3)
    with torch.no_grad():
        fusion.weights.copy_(torch.arange(6.0))
    fusion.save(tmp_path)
    loaded = LearnedFusion.load(tmp_path)
    assert loaded.names == ("lexical", "dense")
    assert torch.equal(loaded.weights, fusion.weights)
    assert loaded.log_temperature.item() == pytest.approx(fusion.log_temperature.item())


@pytest.mark.parametrize("weights", [{"a": [1, 2]}, {"a": [1, 2, float("nan")]}, [1, 2, 3]])
def test_weights_that_cannot_be_used_are_refused(tmp_path: Path, weights: object) -> None:
    write_sealed_json(tmp_path / FILE, {"weights": weights, "temperature": 1})
    with pytest.raises(PolicyError, match="train it again"):
        LearnedFusion.load(tmp_path)


def test_a_damaged_or_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=f"{FILE} is missing"):
        LearnedFusion.load(tmp_path)
    LearnedFusion(("lexical", "dense")).save(tmp_path)
    content = (tmp_path / FILE).read_bytes()
    for damaged in (b"", content[:-5], content.replace(b"1.0", b"1.5", 1)):
        (tmp_path / FILE).write_bytes(damaged)
        with pytest.raises(PolicyError, match=f"{FILE} is damaged"):
            LearnedFusion.load(tmp_path)


def test_rankings_must_be_those_it_was_learned_for() -> None:
    with pytest.raises(RecipeError, match="lexical, dense, not for lexical, entity"):
        LearnedFusion(("lexical", "dense")).fuse({"lexical": hits([1]), "entity": hits([2])}, 5)
    with pytest.raises(RecipeError, match="sub-indexes"):
        LearnedFusion(())
