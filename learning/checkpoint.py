"""The state of a training run between two rounds, in one file that is whole or not there."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from textwrap import shorten

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from ..errors import PolicyError
from ..retrievers.hashed_files import about_tensors, read_sealed_tensors, write_sealed_tensors

_REMEDY = "delete the run's folder and train again"


@dataclass(slots=True)
class Progressed:
    """How far a run has come.

    Attributes:
        rounds: rounds that are done, warm start and PPO counted together.
        peak: the highest validation score so far.
        peak_round: the round that first reached it, -1 before the first.
        kept_round: the round whose policy is kept, the last one within a hair of the peak.
        kept: its validation figures.
        seconds: time spent training so far.
    """

    rounds: int = 0
    peak: float = -math.inf
    peak_round: int = -1
    kept_round: int = -1
    kept: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0


def save_checkpoint(
    path: Path,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    progressed: Progressed,
    average: nn.Module | None = None,
) -> None:
    """Write weights, their average, optimizer and progress atomically."""
    tensors: dict[str, Tensor] = {
        f"network.{name}": tensor.detach().contiguous() for name, tensor in network.state_dict().items()
    }
    if average is not None:
        tensors |= {f"average.{name}": tensor.contiguous() for name, tensor in average.state_dict().items()}
    for number, state in optimizer.state_dict()["state"].items():
        for name, value in state.items():
            tensors[f"optimizer.{number}.{name}"] = torch.as_tensor(value).contiguous()
    write_sealed_tensors(path, save(tensors, metadata=about_tensors(asdict(progressed))))


def load_checkpoint(
    path: Path,
    network: nn.Module,
    optimizer: torch.optim.Optimizer | None = None,
    average: nn.Module | None = None,
) -> Progressed:
    """Restore weights (and their average and the optimizer, when given) in place and return the progress.

    Raises:
        PolicyError: when the file is damaged.
    """
    weights: dict[str, dict[str, Tensor]] = {"network": {}, "average": {}}
    states: dict[int, dict[str, Tensor]] = {}
    content, about = read_sealed_tensors(path, PolicyError, _REMEDY)
    try:
        progressed = Progressed(**about)
        for name, tensor in load(content).items():
            kind, _, rest = name.partition(".")
            if kind in weights:
                weights[kind][rest] = tensor
            else:
                number, _, part = rest.partition(".")
                states.setdefault(int(number), {})[part] = tensor
        network.load_state_dict(weights["network"])
        if average is not None:
            average.load_state_dict(weights["average"])
    except (SafetensorError, KeyError, RuntimeError, ValueError, TypeError) as error:
        raise PolicyError(f"the checkpoint {path} is damaged ({shorten(str(error), 200)}); {_REMEDY}") from error
    if optimizer is not None:
        optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})
    return progressed
