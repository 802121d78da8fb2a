"""What judges evidence instead of its labels."""

from __future__ import annotations

from typing import Protocol


class Judge(Protocol):
    """Judges evidence of one question by how likely it makes the answer.

    Both depend on nothing but the rows and their order.
    """

    rewards: bool
    """Whether ``value`` rewards episodes instead of recall; a judge of paths alone leaves the reward to the labels."""

    def log_likelihood(self, rows: tuple[int, ...]) -> float:
        """Return log p(y | z, q) of a path that took ``rows`` in this order; at most 0."""
        ...

    def value(self, rows: tuple[int, ...]) -> float:
        """Return what evidence is worth: 0 for none, 1 where it makes the answer certain, below 0 where it misleads.

        The unit is that of recall, so that it can be set against the price of search.
        """
        ...
