"""What limits a search from outside, and who hears of its steps while it goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from threading import Event
from time import monotonic

from ..errors import QuestionsError, SearchCancelledError
from ._decision import Decision

BY_ITSELF = "policy"

ENDED = {"seconds": "the time that it was given is over", "steps": "it was given no more steps"}
"""Why a search stopped that its system would have gone on with, in words."""


class Watch:
    """The limits of one search, and who hears of it.

    Args:
        seconds: from now on; then the search stops, and what it has is ranked. None for as long as it takes.
        steps: actions of a policy, or steps of a fixed system. None for as many as it takes.
        cancelled: events, each of which ends the search with an error once it is set.
        heard: called with every decision, once it is carried out, in the thread of the search.

    Attributes:
        ended_by: ``policy`` where the system itself ended, else ``seconds`` or ``steps``.

    Raises:
        QuestionsError: when a limit is negative or no number.
    """

    def __init__(
        self,
        seconds: float | None = None,
        steps: int | None = None,
        cancelled: Sequence[Event] = (),
        heard: Callable[[Decision], None] | None = None,
    ) -> None:
        if seconds is not None and not (_number(seconds) and seconds >= 0):
            raise QuestionsError(f"a search cannot take {seconds!r} seconds: give 0 or more, or None for no limit")
        if steps is not None and not (isinstance(steps, int) and _number(steps) and steps >= 0):
            raise QuestionsError(f"a search cannot take {steps!r} steps: give a whole number from 0, or None")
        wrong = next((event for event in cancelled if not hasattr(event, "is_set")), None)
        if wrong is not None:
            raise QuestionsError(f"cancelled={wrong!r} is no threading.Event: set one to end a search")
        self._until = None if seconds is None else monotonic() + seconds
        self._steps = steps
        self._cancelled = cancelled
        self._heard = heard
        self.ended_by = BY_ITSELF

    def again(self) -> Watch:
        """Return a watch with the same limits, and the same end of the time, for another search."""
        watch = copy(self)
        watch.ended_by = BY_ITSELF
        return watch

    def over(self, steps: int) -> bool:
        """Return whether the search has to end now, after so many steps.

        Raises:
            SearchCancelledError: when it was cancelled.
        """
        if any(event.is_set() for event in self._cancelled):
            raise SearchCancelledError("the search was cancelled")
        if self._until is not None and monotonic() >= self._until:
            self.ended_by = "seconds"
        elif self._steps is not None and steps >= self._steps:
            self.ended_by = "steps"
        return self.ended_by != BY_ITSELF

    def hear(self, decision: Decision) -> None:
        """Tell whoever wants to hear of it."""
        if self._heard is not None:
            self._heard(decision)


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


UNWATCHED = Watch()
"""No limit, and nobody who hears."""
