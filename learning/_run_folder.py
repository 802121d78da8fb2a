"""The folder of a training run: whose it is, its log, and its checkpoint, which is whole or not there."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from ..errors import PolicyError
from ..retrievers._atomic_file import storing, write_atomically, write_json
from ..retrievers._hashed_files import about_tensors, read_sealed_tensors, write_sealed_tensors

_RUN = "run.json"


def claim(out: Path, described: Mapping[str, Any], resume: bool) -> None:
    """Make a folder a run's own, unless the run that is there is the same.

    Args:
        out: the folder.
        described: everything that decides what the run leads to; ``workers`` among it, where there are several.
        resume: whether a run that is there already may go on.

    Raises:
        PolicyError: when the folder holds another run, or one that may not go on.
    """
    path = out / _RUN
    if path.exists():
        there, workers = {"workers": 1, **_read(path)}, described.get("workers", 1)
        if there["workers"] != workers:
            raise PolicyError(
                f"{out} holds a run of {there['workers']} workers, not of {workers}, which would lead"
                " to another policy: go on with as many, choose another folder or delete it"
            )
        if there != json.loads(json.dumps({"workers": 1, **described})):
            raise PolicyError(f"{out} holds a run of other settings: choose another folder or delete it")
        if not resume:
            raise PolicyError(f"{out} holds a run already: choose another folder, delete it, or resume")
    elif (out / "policy.json").exists():
        raise PolicyError(f"{out} holds a policy already: choose another folder or delete it")
    else:
        out.mkdir(parents=True, exist_ok=True)
        write_json(path, described)


class RunLog:
    """Appends rounds to ``log.jsonl`` and to ``tensorboard/``; on resuming, rounds that will come again are dropped.

    Args:
        folder: of the run.
        rounds: how many rounds the run already holds.
        name: of the file of lines, where a folder holds the logs of several trainings.
    """

    def __init__(self, folder: Path, rounds: int, name: str = "log") -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._path = folder / f"{name}.jsonl"
        if self._path.exists():
            kept = self._path.read_text("utf-8").splitlines(keepends=True)[:rounds]
            write_atomically(self._path, "".join(kept).encode())
        curves = folder / "tensorboard" if name == "log" else folder / "tensorboard" / name
        self._writer = SummaryWriter(str(curves), purge_step=rounds)

    def write(self, number: int, phase: str, figures: Mapping[str, float]) -> None:
        """Log one round.

        Raises:
            StorageError: when the disk is full or cannot be written.
        """
        with storing(self._path):
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"round": number, "phase": phase, **figures}) + "\n")
            for name, value in figures.items():
                self._writer.add_scalar(f"{phase}/{name}", value, number)
            self._writer.flush()

    def close(self) -> None:
        """Close the TensorBoard file."""
        self._writer.close()


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise PolicyError(f"{path} is damaged ({error}): choose another folder or delete it") from error


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
    path: Path, network: nn.Module, optimizer: torch.optim.Optimizer | None = None, average: nn.Module | None = None
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
