"""Shards on a Ray cluster: a task builds one, an actor searches one. This process must be connected to the cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import ShardError, TrailhoundError
from ..retrievers._ray_cluster import ray
from ..retrievers.protocols import Encoder, Progress
from ._building import ShardTask
from ._shard import CHANGE, Waiting
from ._shard_server import ShardServer

_PATIENCE = 10.0
"""Seconds after which a shard that does not answer counts as lost."""

_SIDE_BY_SIDE = 4
"""Searches that an actor answers side by side."""

_RETRIES = 5
"""Times that a task begins again whose machine or process was lost."""


def run_on_ray(tasks: Sequence[ShardTask], warn: Callable[[str], None], progress: Progress | None) -> None:
    """Build every shard as a task that takes one CPU.

    Raises:
        TrailhoundError: when a shard cannot be built, wherever that is.
        ShardError: when the machines of one were lost again and again.
    """
    build = ray.remote(num_cpus=1, max_retries=_RETRIES)(_build)
    waiting = [build.remote(task) for task in tasks]
    try:
        while waiting:
            done, waiting = ray.wait(waiting)
            for message in _got(done[0], "a task that builds a shard", None):
                warn(message)
            if progress is not None:
                progress("building shards", len(tasks) - len(waiting), len(tasks))
    finally:
        for left in waiting:
            ray.cancel(left)


def _build(task: ShardTask) -> list[str]:
    """Build a shard, and return what is to be said of it."""
    said: list[str] = []
    task.run(said.append, None)
    return said


class RayShard:
    """A shard in an actor. While it is away it counts as lost; Ray starts it again wherever there is room."""

    def __init__(self, folder: Path, encoder: Encoder | None = None) -> None:
        self.name = folder.name
        server = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=0, max_concurrency=_SIDE_BY_SIDE)(ShardServer)
        self.actor: Any = server.remote(folder, encoder)

    def call(self, method: str, *given: Any) -> Waiting[Any]:
        """Begin a method of :class:`ShardServer`."""
        patience = None if method == CHANGE else _PATIENCE  # how long a change takes nobody knows
        return partial(_got, getattr(self.actor, method).remote(*given), self.name, patience)

    def close(self) -> None:
        """End the actor."""
        ray.kill(self.actor)


def _got(reference: Any, what: str, patience: float | None) -> Any:
    """Wait for what an actor or a task returns."""
    try:
        return ray.get(reference, timeout=patience)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, TrailhoundError):
            raise error.cause from error
        raise
    except (ray.exceptions.RayError, TimeoutError) as error:
        reason = str(error).strip().split("\n")[0]
        raise ShardError(f"{what} cannot be reached ({type(error).__name__}: {reason})") from error
