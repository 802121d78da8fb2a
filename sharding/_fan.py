"""Asking shards side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..errors import ShardError
from ._shard import Shard


class LostShardError(ShardError):
    """A shard went away while a search was under way, which begins again without it."""


class Fan:
    """The shards that a search asks.

    Args:
        shards: all of a sharded index.

    Attributes:
        lost: numbers of shards that did not answer at the beginning, which are not asked again.
    """

    def __init__(self, shards: Sequence[Shard]) -> None:
        self._shards = shards
        self.lost: set[int] = set()

    @property
    def there(self) -> list[int]:
        """Numbers of the shards that are asked."""
        return [number for number in range(len(self._shards)) if number not in self.lost]

    def names(self, numbers: Iterable[int]) -> tuple[str, ...]:
        """Return the names of shards."""
        return tuple(self._shards[number].name for number in sorted(numbers))

    def begin(self, method: str, *given: Any) -> dict[int, Any]:
        """Ask all shards the same, and leave out from here on those that do not answer.

        Raises:
            ShardError: when none answers.
        """
        waiting = [(number, self._shards[number].call(method, *given)) for number in self.there]
        found, reasons = {}, []
        for number, wait in waiting:
            try:
                found[number] = wait()
            except ShardError as error:
                self.lost.add(number)
                reasons.append(str(error))
        if not found:
            raise ShardError(f"none of the shards can be reached ({'; '.join(reasons)}): start them again")
        return found

    def ask(self, method: str, given: dict[int, tuple[Any, ...]]) -> dict[int, Any]:
        """Ask some shards, each its own, in the middle of a search.

        Raises:
            LostShardError: when one does not answer.
        """
        waiting = [(number, self._shards[number].call(method, *one)) for number, one in given.items()]
        found = {}
        for number, wait in waiting:
            try:
                found[number] = wait()
            except ShardError as error:
                raise LostShardError(str(error)) from error
        return found
