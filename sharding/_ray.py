"""Shards on a Ray cluster: tasks build and link them, actors search. This process must be connected to the cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import ShardError, TrailhoundError
from ..retrievers._ray_cluster import ray
from ..retrievers.protocols import Encoder, Progress
from ._replicas import ReplicatedShard
from ._shard_server import ShardServer
from ._tasks import Task

_SIDE_BY_SIDE = 4
"""Searches that an actor answers side by side."""

_RETRIES = 5
"""Times that a task begins again whose machine or process was lost."""


def run_on_ray(tasks: Sequence[Task], warn: Callable[[str], None], progress: Progress | None) -> None:
    """Do every task as one of Ray's that takes one CPU.

    Raises:
        TrailhoundError: when one cannot be done, wherever that is.
        ShardError: when the machines of one were lost again and again.
    """
    do = ray.remote(num_cpus=1, max_retries=_RETRIES)(_do)
    waiting = [do.remote(task) for task in tasks]
    try:
        while waiting:
            done, waiting = ray.wait(waiting)
            for message in _got(done[0], "a task of the build"):
                warn(message)
            if progress is not None:
                progress(tasks[0].stage, len(tasks) - len(waiting), len(tasks))
    finally:
        for left in waiting:
            ray.cancel(left)


def _do(task: Task) -> list[str]:
    """Do a task, and return what is to be said of it."""
    said: list[str] = []
    task.run(said.append, None)
    return said


class RayShard(ReplicatedShard):
    """A shard in actors, on as many machines as there are. Those that are lost Ray starts again where there is room.

    Args:
        folder: of the shard, which all machines see.
        encoder: instead of the one that the shard names.
        replicas: actors.
    """

    def __init__(self, folder: Path, encoder: Encoder | None = None, replicas: int = 1) -> None:
        super().__init__(folder.name, [RayReplica(folder, encoder) for _ in range(replicas)])


class RayReplica:
    """An actor that answers for a shard."""

    def __init__(self, folder: Path, encoder: Encoder | None) -> None:
        self._name = folder.name
        how = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": 0, "max_concurrency": _SIDE_BY_SIDE}
        server = ray.remote(**how, scheduling_strategy="SPREAD")(ShardServer)
        self.actor: Any = server.remote(folder, encoder)

    def begin(self, method: str, *given: Any) -> Future[Any]:
        """Begin a method of :class:`ShardServer`; the result is a :class:`ShardError` where the actor is lost."""
        answer: Future[Any] = Future()
        try:
            begun = getattr(self.actor, method).remote(*given).future()
        except ray.exceptions.RayError as error:
            answer.set_exception(_told(error, self._name))
        else:
            begun.add_done_callback(partial(self._answered, answer))
        return answer

    def close(self) -> None:
        """End the actor."""
        ray.kill(self.actor)

    def _answered(self, answer: Future[Any], begun: Future[Any]) -> None:
        error = begun.exception()
        if error is None:
            answer.set_result(begun.result())
        else:
            answer.set_exception(_told(error, self._name))


def _got(reference: Any, what: str) -> Any:
    """Wait for what a task returns."""
    try:
        return ray.get(reference)
    except ray.exceptions.RayError as error:
        raise _told(error, what) from error


def _told(error: BaseException, what: str) -> BaseException:
    """Return what an error of Ray's says: one of our own that was raised elsewhere, or that something is lost."""
    if isinstance(error, ray.exceptions.RayTaskError):
        cause = error.cause
        return cause if isinstance(cause, TrailhoundError) else error
    if not isinstance(error, ray.exceptions.RayError):
        return error
    reason = str(error).strip().split("\n")[0]
    return ShardError(f"{what} cannot be reached ({type(error).__name__}: {reason})")
