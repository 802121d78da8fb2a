"""One episode of a search among those that run side by side."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..retrievers.records import Rows
from ._world import QuestionWorld
from .settings import SUB_INDEXES


@dataclass(slots=True)
class Lane:
    """The part of an episode's state that is not in the arrays.

    ``spent`` is what the episode has cost, in recall; ``owed`` the part of it that no reward has charged yet;
    ``value`` what the question's judge holds of the evidence, where there is a judge.
    """

    world: QuestionWorld
    places: Rows
    slot_of: NDArray[np.int16]
    count: int = 0
    evidence: list[int] = field(default_factory=list)
    steps: int = 0
    spent: float = 0.0
    owed: float = 0.0
    calls: int = 0
    found_gold: int = 0
    value: float = 0.0
    everything: bool = False
    pages: dict[tuple[int, int], int] = field(default_factory=dict)
    covered: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))

    @property
    def state(self) -> int:
        """Slot of the latest evidence, which tells query states apart, -1 when there is none."""
        return self.evidence[-1] if self.evidence else -1

    @property
    def held(self) -> tuple[int, ...]:
        """Places of the evidence in its world, in the order taken."""
        return tuple(self.places[self.evidence].tolist())

    @property
    def asked(self) -> dict[str, int]:
        """How often each sub-index was asked, and edges were followed (``hop``)."""
        counts = dict.fromkeys(SUB_INDEXES, 0)
        for (sub_index, _), pages in self.pages.items():
            counts[SUB_INDEXES[sub_index]] += pages
        return counts | {"hop": self.calls - sum(counts.values())}

    @property
    def taken_rows(self) -> tuple[int, ...]:
        """Rows of the evidence in the order it was taken."""
        return tuple(self.world.rows[self.places[self.evidence]].tolist())
