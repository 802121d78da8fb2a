"""A policy's ranker is kept beside its weights: it comes back as it was, and damage is noticed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from fixtures.seen import by_fusion, random_seen
from safetensors.numpy import load_file, save_file
from trailhound import EnvironmentSettings
from trailhound.agent._network import PolicyNetwork
from trailhound.agent._network_settings import NetworkSettings
from trailhound.agent._policy_file import RANKER, load_policy, save_policy, save_ranker
from trailhound.agent._ranker import Ranker
from trailhound.envs.settings import QUESTION
from trailhound.errors import PolicyError
from trailhound.retrievers._hashed_files import FIELD, fingerprint, write_sealed_json


@pytest.fixture
def network() -> PolicyNetwork:
    torch.manual_seed(1)
    return PolicyNetwork(NetworkSettings(len(QUESTION), width=16, rounds=1))


@pytest.fixture
def ranker() -> Ranker:
    generator = np.random.default_rng(0)
    plain = by_fusion(width=4).weights
    return Ranker({name: array + generator.random(array.shape).astype(np.float32) for name, array in plain.items()})


@pytest.fixture
def folder(tmp_path: Path, network: PolicyNetwork, ranker: Ranker) -> Path:
    save_policy(tmp_path, network, EnvironmentSettings(), "some-encoder", {"seed": 7})
    save_ranker(tmp_path, ranker)
    return tmp_path


def test_it_joins_what_was_saved(folder: Path, network: PolicyNetwork, ranker: Ranker) -> None:
    loaded = load_policy(folder)
    assert loaded.ranker is not None
    seen = random_seen(np.random.default_rng(3), 20)
    np.testing.assert_array_equal(loaded.ranker.scores(seen), ranker.scores(seen))
    assert loaded.training == {"seed": 7}
    for name, weight in network.state_dict().items():
        assert torch.equal(weight, loaded.network.state_dict()[name])
    with pytest.raises(PolicyError, match="holds no policy"):
        save_ranker(folder / "nowhere", ranker)


def test_a_policy_that_is_saved_again_has_none_until_one_is_fitted_to_it(folder: Path, network: PolicyNetwork) -> None:
    save_policy(folder, network, EnvironmentSettings(), "some-encoder", {"seed": 8})
    assert load_policy(folder).ranker is None


def test_the_digest_is_of_both(folder: Path, ranker: Ranker) -> None:
    before = load_policy(folder).digest
    save_ranker(folder, ranker)
    assert load_policy(folder).digest == before
    save_ranker(folder, Ranker(ranker.weights | {"prior": np.full(1, 9, np.float32)}))
    assert load_policy(folder).digest != before


def test_damage_is_noticed(folder: Path) -> None:
    path = folder / RANKER
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[-5] ^= 1
    for content in (b"", whole[:-1], whole + b"x", bytes(flipped)):
        path.write_bytes(content)
        with pytest.raises(PolicyError, match=r"is (damaged|missing).*train it again"):
            load_policy(folder)
    path.unlink()
    with pytest.raises(PolicyError, match=r"is (damaged|missing).*train it again"):
        load_policy(folder)


def rewrite(folder: Path, weights: dict[str, np.ndarray]) -> None:
    """Write other weights, with the hash that belongs to them."""
    save_file(weights, folder / RANKER)
    description = json.loads((folder / "policy.json").read_text())
    del description[FIELD]
    description["files"][RANKER] = fingerprint(folder / RANKER)
    write_sealed_json(folder / "policy.json", description)


def test_weights_that_cannot_be_are_refused(folder: Path) -> None:
    weights = load_file(folder / RANKER)
    rewrite(folder, {name: array for name, array in weights.items() if name != "out"})
    with pytest.raises(PolicyError, match=r"is damaged .*out"):
        load_policy(folder)
    rewrite(folder, weights | {"out": np.zeros((1, 3), np.float32)})
    with pytest.raises(PolicyError, match=r"is damaged .*do not fit together"):
        load_policy(folder)
    rewrite(folder, weights | {"prior": np.full(1, np.nan, np.float32)})
    with pytest.raises(PolicyError, match="not finite: train it again"):
        load_policy(folder)


@pytest.mark.parametrize("part", ["features", "edges"])
def test_one_that_ranks_by_other_features_is_of_another_version(folder: Path, part: str) -> None:
    description = json.loads((folder / "policy.json").read_text())
    del description[FIELD]
    description["ranker"][part].reverse()
    write_sealed_json(folder / "policy.json", description)
    with pytest.raises(PolicyError, match="another version of Trailhound: train it again"):
        load_policy(folder)
