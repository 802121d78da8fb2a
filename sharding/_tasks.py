"""Work on a part of a corpus, which any process that can read its files can do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from ..retrievers.protocols import Progress

Warn = Callable[[str], None]


class Task(Protocol):
    """Work on one part; doing it again leads to the same files."""

    @property
    def stage(self) -> str:
        """What tasks like it are reported as."""
        ...

    def run(self, warn: Warn, progress: Progress | None) -> None:
        """Do it."""
        ...


RunTasks = Callable[[Sequence[Task], Warn, Progress | None], None]
"""Does several tasks; called with where to warn and to report as well."""


def run_here(tasks: Sequence[Task], warn: Warn, progress: Progress | None) -> None:
    """Do tasks in this process, one after the other."""
    for task in tasks:
        task.run(warn, progress)
