"""One action of a search."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Decision:
    """One action of an episode: ``stop``, ``expand``, ``hop`` or ``take``, and which rows it brought or took.

    ``probability`` is the policy's; ``detail`` and ``reason`` are words, where the search was asked to explain itself.
    """

    kind: str
    probability: float
    rows: tuple[int, ...]
    detail: str = ""
    reason: str = ""
