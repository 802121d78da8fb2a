"""The folder of a training run: whose it is, and what is written as training goes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import PolicyError
from ..retrievers.atomic_file import storing, write_atomically, write_json

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
