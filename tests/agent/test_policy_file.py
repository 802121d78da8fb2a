"""A policy folder: what is saved is loaded, what is damaged is refused, and nothing loaded can run code."""

from __future__ import annotations

import ast
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trailhound
from safetensors.torch import load_file, save_file
from trailhound import EnvironmentSettings
from trailhound.agent._confidence import Confidence
from trailhound.agent._network import PolicyNetwork, as_tensors
from trailhound.agent._network_settings import NetworkSettings
from trailhound.agent._policy_file import load_confidence, load_policy, save_confidence, save_policy
from trailhound.agent._search_signals import SIGNALS
from trailhound.envs.settings import QUESTION
from trailhound.errors import PolicyError
from trailhound.learning.policy._paths import Steps
from trailhound.retrievers._atomic_file import write_atomically
from trailhound.retrievers._calibration import LogisticCurve
from trailhound.retrievers._hashed_files import FIELD, fingerprint, write_sealed_json
from trailhound.retrievers.vectors._encoder import BUILT_IN
from trailhound.retrievers.vectors._minilm import Adapter, save_adapter

SETTINGS = EnvironmentSettings(max_candidates=30, hop_size=3, take_ms=0.5)
PACKAGE = Path(trailhound.__file__).parent


@pytest.fixture
def network() -> PolicyNetwork:
    torch.manual_seed(1)
    return PolicyNetwork(NetworkSettings(len(QUESTION), width=16, rounds=1, dropout=0.3))


@pytest.fixture
def folder(tmp_path: Path, network: PolicyNetwork) -> Path:
    save_policy(tmp_path / "new" / "policy", network, SETTINGS, "some-encoder", {"seed": 7})
    return tmp_path / "new" / "policy"


def change(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Edit what ``policy.json`` states; its hash is that of the new content."""
    description = json.loads((folder / "policy.json").read_text())
    del description[FIELD]
    edit(description)
    write_sealed_json(folder / "policy.json", description)


def change_weights(folder: Path, weights: dict[str, torch.Tensor]) -> None:
    """Write other weights, with the hash that belongs to them."""
    path = folder / "policy.safetensors"
    save_file(weights, path)
    change(folder, lambda description: description["files"].update({path.name: fingerprint(path)}))


def test_what_is_saved_is_loaded(folder: Path, network: PolicyNetwork, states: Steps) -> None:
    loaded = load_policy(folder)
    assert (loaded.settings, loaded.encoder, loaded.training) == (SETTINGS, "some-encoder", {"seed": 7})
    assert loaded.network.settings == network.settings
    assert not loaded.network.training
    for name, weight in network.state_dict().items():
        assert torch.equal(weight, loaded.network.state_dict()[name])
    observation = as_tensors(states.observation)
    assert torch.equal(loaded.network.scores(observation)[0], network.eval().scores(observation)[0])
    assert sorted(path.name for path in folder.iterdir()) == ["policy.json", "policy.safetensors"]


def test_saving_again_replaces(folder: Path, network: PolicyNetwork) -> None:
    torch.nn.init.ones_(network.take_score.weight)
    save_policy(folder, network, SETTINGS, "some-encoder", {"seed": 8})
    loaded = load_policy(folder)
    assert loaded.training == {"seed": 8}
    assert torch.equal(loaded.network.take_score.weight, network.take_score.weight)


def test_a_folder_without_a_policy(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(PolicyError, match=r"holds no policy .*give the folder that `trailhound train` wrote"):
            load_policy(path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe", b'{"format": 1'])
def test_a_damaged_description(folder: Path, content: bytes) -> None:
    (folder / "policy.json").write_bytes(content)
    with pytest.raises(PolicyError, match=r"policy\.json is damaged.*train it again"):
        load_policy(folder)


@pytest.mark.parametrize(
    "edit",
    [
        lambda d: d.update(format=2),
        lambda d: d.pop("format"),
        lambda d: d.pop("features"),
        lambda d: d.update(features=[1, 2]),
        lambda d: d.update(features={"static": 3}),
        lambda d: d["features"]["static"].append("colour"),
        lambda d: d["features"]["pair"].reverse(),
        lambda d: d["features"].pop("budget"),
    ],
)
def test_a_policy_of_other_features_or_another_format(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    change(folder, edit)
    with pytest.raises(PolicyError, match="another version of Trailhound: train it again"):
        load_policy(folder)


@pytest.mark.parametrize(
    "edit",
    [
        lambda d: d.pop("encoder"),
        lambda d: d.pop("training"),
        lambda d: d.update(training=5),
        lambda d: d.pop("network"),
        lambda d: d.update(network=[1]),
        lambda d: d["network"].update(width=17),
        lambda d: d["network"].update(width=-3),
        lambda d: d["network"].update(width="wide"),
        lambda d: d["network"].update(depth=3),
        lambda d: d["network"].update(rounds=2),
        lambda d: d["network"].update(dropout=2),
        lambda d: d["environment"].update(max_steps=0),
        lambda d: d["environment"].update(colour="red"),
        lambda d: d.pop("environment"),
    ],
)
def test_a_description_that_does_not_fit(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    change(folder, edit)
    with pytest.raises(PolicyError, match=r"is (damaged|missing).*train it again"):
        load_policy(folder)


def test_damaged_weights(folder: Path) -> None:
    path = folder / "policy.safetensors"
    whole = path.read_bytes()
    for content in (b"", whole[:7], whole[:200], whole[:-1], whole + b"x", b"\xff" * len(whole)):
        path.write_bytes(content)
        with pytest.raises(PolicyError, match=r"is (damaged|missing).*train it again"):
            load_policy(folder)
    path.unlink()
    with pytest.raises(PolicyError, match=r"is (damaged|missing).*train it again"):
        load_policy(folder)


def test_weights_that_are_missing_or_too_many(folder: Path) -> None:
    weights = load_file(folder / "policy.safetensors")
    change_weights(folder, {name: weight for name, weight in weights.items() if name != "value.0.bias"})
    with pytest.raises(PolicyError, match=r"is damaged .*value\.0\.bias"):
        load_policy(folder)
    change_weights(folder, {**weights, "more": torch.zeros(1)})
    with pytest.raises(PolicyError, match="is damaged"):
        load_policy(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(folder: Path, value: float) -> None:
    weights = load_file(folder / "policy.safetensors")
    weights["value.0.bias"][0] = value
    change_weights(folder, weights)
    with pytest.raises(PolicyError, match="not finite: train it again"):
        load_policy(folder)


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name.split(".")[0] for alias in node.names]
    return [(node.module or "").split(".")[0]] if isinstance(node, ast.ImportFrom) and not node.level else []


def test_no_file_of_the_package_loads_pickles() -> None:
    """Neither pickle and its kin, nor torch.load, nor numpy.load without ``allow_pickle=False``."""
    pickling = []
    for path in sorted(PACKAGE.glob("*.py")) + [p for room in trailhound_rooms() for p in sorted(room.rglob("*.py"))]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            place = f"{path.relative_to(PACKAGE)}:{getattr(node, 'lineno', 0)}"
            if set(imported(node)) & {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}:
                pickling.append(place)
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr != "load":
                continue
            owner = node.func.value
            if not isinstance(owner, ast.Name) or owner.id not in {"torch", "np", "numpy", "th"}:
                continue
            careful = any(k.arg == "allow_pickle" and ast.unparse(k.value) == "False" for k in node.keywords)
            if owner.id in {"torch", "th"} or not careful:
                pickling.append(place)
    assert pickling == []


def trailhound_rooms() -> list[Path]:
    return [PACKAGE / room for room in ("agent", "envs", "graph", "retrievers")]


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "policy.json"
    write_atomically(path, b"old")

    def interrupted(handle: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"new and longer")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_was_killed_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    write_atomically(path, b"old")
    script = (
        "import os, signal, pathlib\n"
        "from trailhound.retrievers._atomic_file import write_atomically\n"
        "os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"write_atomically(pathlib.Path({str(path)!r}), b'new')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    write_atomically(path, b"newer")
    assert path.read_bytes() == b"newer"


def test_a_copied_policy_folder_is_a_policy(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    assert load_policy(tmp_path / "copy").encoder == "some-encoder"


WIDTH = len(SIGNALS["policy"])
SURE = Confidence({}, {"policy": LogisticCurve((0.5,) * WIDTH, (0.0,) * WIDTH, (1.0,) * WIDTH, -1.0)}, {}, 40)


def test_confidence_joins_what_was_saved(folder: Path) -> None:
    assert load_policy(folder).confidence is None
    weights = (folder / "policy.safetensors").read_bytes()
    save_confidence(folder, SURE)
    loaded = load_policy(folder)
    assert loaded.confidence == SURE == load_confidence(folder)
    assert loaded.training == {"seed": 7}
    assert (folder / "policy.safetensors").read_bytes() == weights
    with pytest.raises(PolicyError, match="holds no policy"):
        save_confidence(folder / "nowhere", SURE)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("weights", [0.5] * (WIDTH - 1)),
        ("scales", [1.0] * (WIDTH - 1) + [0.0]),
        ("means", ["x"] * WIDTH),
        ("bias", None),
        ("signals", ["stop"]),
    ],
)
def test_damaged_confidence_is_refused(name: str, value: object, folder: Path) -> None:
    save_confidence(folder, SURE)
    change(folder, lambda description: description["confidence"]["complete"]["policy"].update({name: value}))
    with pytest.raises(PolicyError, match="is damaged"):
        load_policy(folder)


def adapter(scale: float) -> Adapter:
    down, up = np.ones((1, 384), np.float16), np.full((384, 1), scale, np.float16)
    return Adapter({"encoder.layer.0.attention.self.query": (down, up)}, {})


def test_a_hop_encoder_travels_with_the_policy(tmp_path: Path, network: PolicyNetwork) -> None:
    save_policy(tmp_path, network, SETTINGS, BUILT_IN, {}, adapter(0.01))
    loaded = load_policy(tmp_path)
    assert loaded.adapter is not None
    assert loaded.adapter.digest == adapter(0.01).digest
    encoder = loaded.hop_encoder(threads=1)
    assert encoder is not None
    assert encoder.name == f"{BUILT_IN}+{adapter(0.01).digest}"


def test_without_a_hop_encoder_there_is_none(folder: Path) -> None:
    assert load_policy(folder).hop_encoder() is None


def test_another_hop_encoder_than_the_policy_was_trained_with_is_refused(
    tmp_path: Path, network: PolicyNetwork
) -> None:
    save_policy(tmp_path, network, SETTINGS, BUILT_IN, {}, adapter(0.01))
    save_adapter(tmp_path, adapter(0.02))
    with pytest.raises(PolicyError, match="not the one"):
        load_policy(tmp_path)
