"""The typed edges of the knowledge graph as parallel arrays, and their file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DamagedIndexError
from ..retrievers._atomic_file import load_arrays
from ..retrievers.records import Rows


class Relation(IntEnum):
    """What an edge says: the source's text names the target's title or an alias of it, both share phrases, both
    stand side by side in a document.
    """

    TITLE_MENTION = 0
    ALIAS_MENTION = 1
    SHARES = 2
    ADJACENT = 3


SYMMETRIC = (Relation.SHARES, Relation.ADJACENT)
"""Relations that hold both ways; such an edge is kept once, from the smaller row to the greater."""

GROUPS = ("mentions", "mentioned_by", "shares", "adjacent")
"""Relation groups that a hop may follow; mentions and mentioned_by are one relation, read either way."""

FILE_NAME = "edges.safetensors"


@dataclass(frozen=True, slots=True)
class Edges:
    """Parallel arrays of length m, in this order: each (source, target, relation) once, none from a row to itself.

    Attributes:
        source, target: int32, passage rows.
        relation: int8, values of ``Relation``.
        start, end: int32, where the source's text mentions the target; 0 and 0 for symmetric relations.
        weight: float32, above 0: the summed idf of what is shared, 1 for the other relations.
    """

    source: NDArray[np.int32]
    target: NDArray[np.int32]
    relation: NDArray[np.int8]
    start: NDArray[np.int32]
    end: NDArray[np.int32]
    weight: NDArray[np.float32]

    def __len__(self) -> int:
        """Return the number of edges."""
        return len(self.source)

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """The arrays in the order of the attributes above: ends, relation, place, weight."""
        return self.source, self.target, self.relation, self.start, self.end, self.weight

    def where(self, chosen: NDArray[np.bool_]) -> Edges:
        """Return the chosen edges, bool [m]."""
        return Edges(*(array[chosen] for array in self.arrays))

    def reversed(self) -> Edges:
        """Return the edges read from their targets."""
        return replace(self, source=self.target, target=self.source)

    @classmethod
    def of(
        cls,
        source: Sequence[int] | NDArray[np.int64],
        target: Sequence[int] | NDArray[np.int64],
        relation: Relation,
        weight: Sequence[float] | NDArray[np.float32] | None = None,
    ) -> Edges:
        """Make edges of one relation that has no place in a text."""
        count = len(source)
        nowhere = np.zeros(count, np.int32)
        return cls(
            np.asarray(source, np.int32),
            np.asarray(target, np.int32),
            np.full(count, relation, np.int8),
            nowhere,
            nowhere,
            np.ones(count, np.float32) if weight is None else np.asarray(weight, np.float32),
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Edges]) -> Edges:
        """Put edges of several relations together."""
        return cls(*map(np.concatenate, zip(*(part.arrays for part in parts), strict=True)))

    def save(self, folder: Path, passages: int) -> None:
        """Write the arrays and the number of passages to ``folder``, which exists or is made."""
        from safetensors.numpy import save_file

        folder.mkdir(parents=True, exist_ok=True)
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        save_file({**arrays, "passages": np.array([passages], np.int64)}, str(folder / FILE_NAME))

    @classmethod
    def load(cls, folder: Path) -> tuple[Edges, int]:
        """Read what ``save`` wrote: the edges and the number of passages.

        Raises:
            DamagedIndexError: when the file cannot be read, or an array has another shape, type or range.
        """
        path = folder / FILE_NAME
        arrays = load_arrays(path)
        problem = _problem(arrays)
        if problem:
            raise DamagedIndexError(f"{path}: {problem}; build the index again")
        return cls(*(arrays[field.name] for field in fields(cls))), int(arrays["passages"][0])


@dataclass(frozen=True, slots=True)
class Links:
    """The neighbours of a passage, each row once.

    Attributes:
        rows: int64 [k].
        relations: int8 [k], values of ``Relation``.
        starts, ends: int32 [k], where the mention stands in the text of the passage that mentions (the asked one,
            or the neighbour for "mentioned_by"); 0 and 0 where nothing is mentioned.
    """

    rows: Rows
    relations: NDArray[np.int8]
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]

    def __len__(self) -> int:
        """Return the number of neighbours."""
        return len(self.rows)


_DTYPES = {
    "passages": np.int64,
    "source": np.int32,
    "target": np.int32,
    "relation": np.int8,
    "start": np.int32,
    "end": np.int32,
    "weight": np.float32,
}


def _problem(arrays: dict[str, NDArray[np.generic]]) -> str:
    """Return what is wrong with the arrays of an edge file, or nothing."""
    for name, kind in _DTYPES.items():
        if name not in arrays:
            return f"has no array {name!r}"
        array, length = arrays[name], 1 if name == "passages" else arrays["source"].size
        if array.shape != (length,) or array.dtype != kind:
            return f"{name} is {array.dtype} {array.shape}, not {np.dtype(kind)} ({length},)"
    passages = int(arrays["passages"].astype(np.int64)[0])
    if not 0 <= passages <= np.iinfo(np.int32).max:
        return f"says it has {passages} passages"
    for name, low, high in (("source", 0, passages), ("target", 0, passages), ("relation", 0, len(Relation))):
        values = arrays[name].astype(np.int64)
        if bool(((values < low) | (values >= high)).any()):
            return f"{name} has values from {values.min()} to {values.max()}, outside {low} to {high - 1}"
    start, end = arrays["start"].astype(np.int64), arrays["end"].astype(np.int64)
    if bool(((start < 0) | (end < start)).any()):
        return "a mention ends before it starts, or starts before the text"
    if bool((arrays["source"] == arrays["target"]).any()):
        return "a passage has an edge to itself"
    weight = arrays["weight"].astype(np.float32)
    return "" if bool((np.isfinite(weight) & (weight > 0)).all()) else "a weight is not a number above 0"
