"""Opening what several commands work on."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import PolicyError
from .arguments import WrongUseError

if TYPE_CHECKING:
    from ..index.index import Index
    from ..learning.training_questions import TrainingSource


def open_index(
    path: Path, threads: int | None, router: Path | None = None, shard_mass: float = 0.9, lock_timeout: float = 600.0
) -> Index:
    """Open an index, with its router where one is given."""
    from ..index.index import Index

    return Index.open(path, threads=threads, router=router, shard_mass=shard_mass, lock_timeout=lock_timeout)


def set_threads(threads: int) -> None:
    """Let torch compute on so many threads.

    Torch's own default is slower: the policy's tensors are too small to be worth splitting."""
    import torch

    torch.set_num_threads(threads)


def policy_or_shipped(chosen: Path | None) -> Path:
    """Return the chosen policy, or the one that ships."""
    from ..agent.systems import shipped_policy

    folder = chosen or shipped_policy()
    if folder is None:
        raise PolicyError("no policy comes with this copy of the package: give --policy, a folder that was trained")
    return folder


def labelled(parsed: argparse.Namespace, threads: int | None) -> tuple[list[Index], list[TrainingSource]]:
    """Open what ``tune`` and ``train`` learn from."""
    from ..learning.training_questions import TrainingSource

    if len(parsed.index) != len(parsed.questions):
        raise WrongUseError(
            f"{len(parsed.index)} --index and {len(parsed.questions)} --questions: give one of each for every corpus"
        )
    routers = getattr(parsed, "router", None) or [None] * len(parsed.index)
    if len(routers) != len(parsed.index):
        raise WrongUseError(f"{len(parsed.index)} --index and {len(routers)} --router: give one for each, or none")
    indexes = [
        open_index(path, threads, router, getattr(parsed, "shard_mass", 0.9))
        for path, router in zip(parsed.index, routers, strict=True)
    ]
    pairs = zip(indexes, parsed.questions, strict=True)
    return indexes, [TrainingSource(index, folder, parsed.split) for index, folder in pairs]
