"""What training writes as it goes: one line of JSON per round, and TensorBoard scalars."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from ..retrievers.atomic_file import write_atomically


class RunLog:
    """Appends rounds to ``log.jsonl`` and to ``tensorboard/``; on resuming, rounds that will come again are dropped.

    Args:
        folder: of the run.
        rounds: how many rounds the run already holds.
    """

    def __init__(self, folder: Path, rounds: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._path = folder / "log.jsonl"
        if self._path.exists():
            kept = self._path.read_text("utf-8").splitlines(keepends=True)[:rounds]
            write_atomically(self._path, "".join(kept).encode())
        self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=rounds)

    def write(self, number: int, phase: str, figures: Mapping[str, float]) -> None:
        """Log one round."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"round": number, "phase": phase, **figures}) + "\n")
        for name, value in figures.items():
            self._writer.add_scalar(f"{phase}/{name}", value, number)
        self._writer.flush()

    def close(self) -> None:
        """Close the TensorBoard file."""
        self._writer.close()
