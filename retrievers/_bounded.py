"""A cache that is bounded in bytes: what was used last, as much as fits."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping
from threading import Lock
from typing import Generic, TypeVar

from ._forks import PerProcess

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Bounded(Generic[K, V]):
    """Keeps what was used last. Threads may share one.

    Args:
        most: bytes of everything together.
        weigh: says how many bytes a value takes, about.
    """

    def __init__(self, most: int, weigh: Callable[[V], int]) -> None:
        self._most, self._weigh = most, weigh
        self._lock = PerProcess(Lock)
        self._kept: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self.weight = 0

    def __len__(self) -> int:
        """Return how many values are kept."""
        return len(self._kept)

    def get(self, keys: Iterable[K]) -> dict[K, V]:
        """Return those of the values that are kept."""
        found: dict[K, V] = {}
        with self._lock():
            for key in keys:
                if key in self._kept:
                    self._kept.move_to_end(key)
                    found[key] = self._kept[key][0]
        return found

    def put(self, values: Mapping[K, V]) -> None:
        """Keep values, and drop what was not used for longest."""
        weighed = [(key, value, self._weigh(value)) for key, value in values.items()]
        with self._lock():
            for key, value, weight in weighed:
                self.weight += weight - self._kept.pop(key, (value, 0))[1]
                self._kept[key] = (value, weight)
            while self.weight > self._most:
                self.weight -= self._kept.popitem(last=False)[1][1]
