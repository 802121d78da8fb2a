"""A checkpoint brings back weights, optimizer and progress, all or nothing."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from torch import nn
from trailhound.errors import PolicyError
from trailhound.learning._run_folder import Progressed, load_checkpoint, save_checkpoint
from trailhound.retrievers._hashed_files import about_tensors, write_sealed_tensors


def made(seed: int) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    return network, torch.optim.AdamW(network.parameters(), lr=0.05, weight_decay=0.1)


def learn(network: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> None:
    inputs = torch.linspace(-1, 1, 12).reshape(4, 3)
    for _ in range(steps):
        optimizer.zero_grad()
        network(inputs).square().sum().backward()
        optimizer.step()


def test_training_goes_on_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    network, optimizer = made(0)
    learn(network, optimizer, 5)
    progressed = Progressed(3, 0.75, 1, 2, {"recall@5": 0.5}, 12.25)
    save_checkpoint(tmp_path / "c", network, optimizer, progressed)
    learn(network, optimizer, 5)

    again, its_optimizer = made(1)
    assert load_checkpoint(tmp_path / "c", again, its_optimizer) == progressed
    learn(again, its_optimizer, 5)
    for one, other in zip(network.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


def test_before_the_first_round_there_is_no_peak(tmp_path: Path) -> None:
    network, optimizer = made(0)
    save_checkpoint(tmp_path / "c", network, optimizer, Progressed())
    assert load_checkpoint(tmp_path / "c", *made(1)) == Progressed(peak=-math.inf)


def test_weights_alone(tmp_path: Path) -> None:
    network, optimizer = made(0)
    learn(network, optimizer, 2)
    save_checkpoint(tmp_path / "c", network, optimizer, Progressed(1))
    again, _ = made(1)
    assert load_checkpoint(tmp_path / "c", again).rounds == 1
    assert torch.equal(again.state_dict()["0.weight"], network.state_dict()["0.weight"])


def test_a_damaged_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "c"
    network, optimizer = made(0)
    learn(network, optimizer, 2)
    save_checkpoint(path, network, optimizer, Progressed())
    whole = path.read_bytes()
    for content in (b"", whole[:50], whole[:-1], b"\xff" * 400):
        path.write_bytes(content)
        with pytest.raises(PolicyError, match=r"is damaged.*delete the run's folder and train again"):
            load_checkpoint(path, *made(1))


def write(path: Path, tensors: dict[str, torch.Tensor], about: dict[str, object]) -> None:
    """Write what no run would, with a hash that is right."""
    write_sealed_tensors(path, save(tensors, about_tensors(about)))


def test_progress_that_cannot_be_read(tmp_path: Path) -> None:
    write(tmp_path / "c", {"network.0.weight": torch.zeros(4, 3)}, {"rounds": 1, "colour": 2})
    with pytest.raises(PolicyError, match="is damaged"):
        load_checkpoint(tmp_path / "c", *made(1))


@pytest.mark.parametrize("name", ["network.more", "optimizer.first.step", "network"])
def test_tensors_that_do_not_belong(tmp_path: Path, name: str) -> None:
    tensors = {f"network.{key}": value for key, value in made(0)[0].state_dict().items()}
    write(tmp_path / "c", {**tensors, name: torch.zeros(1)}, {})
    with pytest.raises(PolicyError, match="is damaged"):
        load_checkpoint(tmp_path / "c", *made(1))


def test_the_average_of_the_weights_comes_back_beside_them(tmp_path: Path) -> None:
    network, optimizer = made(0)
    average, _ = made(2)
    save_checkpoint(tmp_path / "c", network, optimizer, Progressed(1), average)
    again, its_average = made(3)[0], made(4)[0]
    assert load_checkpoint(tmp_path / "c", again, average=its_average).rounds == 1
    assert torch.equal(again.state_dict()["0.weight"], network.state_dict()["0.weight"])
    assert torch.equal(its_average.state_dict()["0.weight"], average.state_dict()["0.weight"])


def test_a_checkpoint_without_the_average_is_damaged(tmp_path: Path) -> None:
    network, optimizer = made(0)
    save_checkpoint(tmp_path / "c", network, optimizer, Progressed(1))
    with pytest.raises(PolicyError, match="damaged"):
        load_checkpoint(tmp_path / "c", made(1)[0], average=made(2)[0])
