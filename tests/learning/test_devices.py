"""Where networks compute: the names of devices, and that no part of a network forgets where it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from trailhound import EnvironmentSettings, Index, load_recipe
from trailhound.agent._network import PolicyNetwork, as_tensors
from trailhound.agent._network_settings import NetworkSettings
from trailhound.agent._rollout import search_worlds
from trailhound.envs._fact_world import fact_world
from trailhound.envs._world import QuestionWorld
from trailhound.envs.settings import QUESTION
from trailhound.errors import DeviceError
from trailhound.learning.policy._paths import Path as RetrievalPath
from trailhound.learning.policy._paths import Steps, path_loss
from trailhound.learning.policy.training import network_for
from trailhound.retrievers._device import device_called


def test_auto_is_a_gpu_where_there_is_one() -> None:
    assert device_called("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert device_called("cpu").type == "cpu"


@pytest.mark.parametrize("name", ["nowhere", "meta", "cuda:99"])
def test_a_device_that_cannot_compute_here_is_refused(name: str) -> None:
    with pytest.raises(DeviceError, match=f"torch cannot compute on '{name}' here: give cpu, or cuda where there is"):
        device_called(name)


def elsewhere(compute: Callable[[], Tensor]) -> Tensor:
    """Compute where a tensor that is made without saying where lies on another device, and so fits nothing."""
    torch.manual_seed(0)
    with torch.device("meta"):
        return compute()


def here(compute: Callable[[], Tensor]) -> Tensor:
    torch.manual_seed(0)
    return compute()


def test_over_texts(states: Steps, worlds: list[QuestionWorld], settings: EnvironmentSettings) -> None:
    network = PolicyNetwork(NetworkSettings(len(QUESTION), question_width=8, width=16))
    ends = [RetrievalPath(k // 2, np.array([2 * k, 2 * k + 1]), -0.5 * (k % 2)) for k in range(6)]
    paths = {question: ends[2 * question : 2 * question + 2] for question in range(3)}

    def loss() -> Tensor:
        found = path_loss(network.train(), states, paths, [0, 1, 2])
        network.zero_grad()
        (found.loss + found.collapse).backward()
        assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in network.parameters())
        return found.loss.detach()

    assert torch.equal(elsewhere(loss), here(loss))

    def scores() -> Tensor:
        return torch.from_numpy(search_worlds(network.eval(), settings, worlds[:3])[2].scores)

    assert torch.equal(elsewhere(scores), here(scores))


def test_over_facts(tmp_path: Path) -> None:
    facts = [
        ("ann", "mother_of", "bo"),
        ("bo", "mother_of", "cy"),
        ("ann", "grandmother_of", "cy"),
        ("cy", "knows", "ann"),
    ]
    (tmp_path / "graph.txt").write_text("".join("\t".join(fact) + "\n" for fact in facts))
    index = Index.build(tmp_path, tmp_path / "facts.index", threads=1)
    recipe = load_recipe("kg", {"width": "16", "question_width": "8"})
    network = network_for(index, recipe)
    settings = recipe.environment()

    def scores() -> Tensor:
        worlds = [
            fact_world(index, "ann grandmother_of", "cy", settings),
            fact_world(index, "bo mother_of", "cy", settings),
        ]
        return torch.from_numpy(
            np.concatenate([found.scores for found in search_worlds(network.train(), settings, worlds)])
        )

    assert torch.equal(elsewhere(scores), here(scores))


def test_observations_are_put_where_the_network_is() -> None:
    arrays = {"budget": np.zeros((2, 3), np.float16)}
    assert as_tensors(arrays, "meta")["budget"].device.type == "meta"
    assert as_tensors(arrays)["budget"].data_ptr() == arrays["budget"].ctypes.data, "on the CPU nothing is copied"
