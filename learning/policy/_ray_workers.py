"""A team whose workers are actors of a Ray cluster: when one is lost, all begin again from the last checkpoint.

They are the same team as processes of one machine (:mod:`._workers`): torch's gloo adds the gradients in the same
order, so a run comes to the same weights. The process that started them holds a store, in which they meet and leave
what the first of them says. They are placed together: no run holds half of its workers while it waits for the rest.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path
from textwrap import shorten
from typing import Any, TypeVar

import torch.distributed as dist
from torch._C._distributed_c10d import PrefixStore, Store, TCPStore

from ...errors import ClusterError, WorkerError
from ...retrievers._ray_cluster import about_cpus, ray
from ...retrievers.protocols import Progress
from ._workers import LAST_WORDS, LONGEST_WAIT, LostError, Team, outcome

T = TypeVar("T")
A = TypeVar("A")

SOON = 10.0
"""Seconds after which it is said which workers are waited for."""

LONGEST_ABSENCE = 1800.0
"""Seconds to wait for room for all workers: so long a machine may be away that is started again."""

MOST_LOSSES = 5
"""Times in a row that workers may be lost before a run comes to its next checkpoint."""

_TURN = 0.2
"""Seconds between two looks at what the workers say, and between two of their reports on one stage."""

_ADDRESS_OF_INTERFACE = 0x8915
"""Linux's request for the address of a network interface, SIOCGIFADDR of netdevice(7)."""


def run_team_on_ray(
    size: int,
    work: Callable[[Team, A], T],
    argument: A,
    reached: Callable[[], object],
    warn: Callable[[str], None],
    progress: Progress,
) -> T:
    """Run ``work`` in ``size`` actors that know each other as a team; returns what the first one returns.

    This process must be connected to the cluster. ``work`` must be importable on its machines, and all must see the
    files that it uses at the same paths.

    Args:
        size: how many workers there are; each takes one CPU.
        work: what all of them do; begun again, it must go on from its last checkpoint.
        argument: of ``work``.
        reached: says which checkpoint there is, by a value that changes with each.
        warn: called with each warning, of the workers and about them.
        progress: called with what the first worker reports.

    Raises:
        WorkerError: when workers are lost again and again before the next checkpoint.
        ClusterError: when the cluster has had no room for them for half an hour.
        Exception: what ``work`` raises in any of them.
    """
    losses = 0
    while True:
        before = reached()
        try:
            return _once(size, work, argument, warn, progress)
        except LostError as lost:
            losses = losses + 1 if reached() == before else 1
            if losses == MOST_LOSSES:
                raise WorkerError(
                    f"{lost}, and {losses} times in a row some were before the next checkpoint: if memory ran out, use"
                    " fewer workers or larger machines; the same call goes on from the last checkpoint"
                ) from lost
            warn(f"{lost}: all begin again from the last checkpoint")


def _once(size: int, work: Callable[[Team, A], T], argument: A, warn: Callable[[str], None], progress: Progress) -> T:
    """Run the team until it is done, fails, or one of it is lost."""
    address = ray.util.get_node_ip_address()
    store = TCPStore(address, 0, is_master=True, wait_for_workers=False)
    listener = _Listener(store, warn, progress)
    room = ray.util.placement_group([{"CPU": 1}] * size)
    actor = ray.remote(num_cpus=1, max_restarts=0)(_Worker)
    placed = [ray.util.scheduling_strategies.PlacementGroupSchedulingStrategy(room, rank) for rank in range(size)]
    actors = [actor.options(scheduling_strategy=place).remote() for place in placed]
    what = (size, address, store.port, Path.cwd(), work, argument)
    waiting = {worker.run.remote(rank, *what): rank for rank, worker in enumerate(actors)}
    running = list(waiting)
    try:
        _begin(size, running, listener, warn)
        result: T = _result(size, waiting, listener)
        return result
    finally:
        for worker in actors:
            ray.kill(worker)
        ray.wait(running, num_returns=size, timeout=LAST_WORDS)  # until none is left that could write
        ray.util.remove_placement_group(room)


def _begin(size: int, running: list[Any], listener: _Listener, warn: Callable[[str], None]) -> None:
    """Wait until all workers are there, or one has ended already.

    Raises:
        ClusterError: when that takes too long.
    """
    begun, told = time.monotonic(), False
    while missing := listener.missing(size):
        ended, _ = ray.wait(running, timeout=_TURN)
        listener.listen()
        if ended:
            return
        since = time.monotonic() - begun
        if since > SOON and not told:
            told = True
            warn(f"waiting for {_about(missing, size)}")
        if since > LONGEST_ABSENCE:
            raise ClusterError(
                f"waited {since / 60:.0f} minutes for {_about(missing, size)}: start more machines, or use fewer"
                " workers; the same call goes on from the last checkpoint"
            )


def _about(missing: int, size: int) -> str:
    return f"{missing} of {size} workers, each of which takes a CPU: {about_cpus()}"


def _result(size: int, waiting: dict[Any, int], listener: _Listener) -> Any:
    """Wait for all workers and return what the first made; at the first failure raise its cause."""
    results: dict[int, Any] = {}
    lost: LostError | None = None
    while waiting:
        ended, _ = ray.wait(list(waiting), timeout=_TURN if lost is None else LAST_WORDS)
        listener.listen()
        if lost is not None and not ended:
            break
        for reference in ended:
            rank = waiting.pop(reference)
            try:
                error, results[rank] = ray.get(reference)
            except ray.exceptions.RayError as failure:
                reason = shorten(f"{type(failure).__name__}: {failure}", 160)
                lost = LostError(f"worker {rank + 1} of {size} was lost ({reason})")
                continue
            if isinstance(error, LostError):
                lost = lost or error  # the cause is yet to be heard from another
            elif error is not None:
                raise error
    if lost is not None:
        raise lost
    return results[0]


class _Worker:
    """The actor that one worker is."""

    def run(
        self,
        rank: int,
        size: int,
        address: str,
        port: int,
        folder: Path,
        work: Callable[[Team, A], T],
        argument: A,
    ) -> tuple[Exception | None, T | None]:
        """Be a worker of a team that meets in the store at an address, in the folder where the run was started."""
        here = ray.util.get_node_ip_address()
        try:
            os.chdir(folder)
            store = TCPStore(address, port, is_master=False)
        except (OSError, dist.DistError) as error:
            trouble = f"worker {rank + 1} of {size}, on {here}, cannot begin ({error})"
            remedy = f"all machines must see {folder}, and reach {address}, where the run was started"
            return WorkerError(f"{trouble}: {remedy}"), None
        store.set_timeout(LONGEST_WAIT)
        store.set(f"here/{rank}", "")
        if interface := _interface_of(here):
            os.environ.setdefault("GLOO_SOCKET_IFNAME", interface)
        team = Team(rank, size, threads=1, voice=_Speaker(store))
        return outcome(team, {"store": PrefixStore("team", store)}, work, argument)


def _interface_of(address: str) -> str | None:
    """Return the network interface that has an address, for gloo to talk over; None where none has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        for _, name in socket.if_nameindex():
            try:
                told = fcntl.ioctl(asked, _ADDRESS_OF_INTERFACE, struct.pack("256s", name.encode()[:15]))
            except OSError:  # it has none
                continue
            if socket.inet_ntoa(told[20:24]) == address:
                return name
    return None


class _Speaker:
    """Leaves what the first worker says in the store of the team."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._warnings = 0
        self._stage = ""
        self._told = 0.0

    def report(self, stage: str, done: int, total: int) -> None:
        """Say how far a stage has come, not too often."""
        now = time.monotonic()
        if stage != self._stage or done == total or now - self._told >= _TURN:
            self._stage, self._told = stage, now
            self._store.set("progress", json.dumps([stage, done, total]))

    def warn(self, message: str) -> None:
        """Say a warning."""
        self._store.set(f"warning/{self._warnings}", message)
        self._warnings += 1


class _Listener:
    """Hears what workers leave in the store of the team."""

    def __init__(self, store: Store, warn: Callable[[str], None], progress: Progress) -> None:
        self._store = store
        self._warn = warn
        self._progress = progress
        self._warnings = 0
        self._last = b""

    def missing(self, size: int) -> int:
        """Return how many workers are not there yet."""
        return sum(not self._store.check([f"here/{rank}"]) for rank in range(size))

    def listen(self) -> None:
        """Pass on what is new."""
        while self._store.check([f"warning/{self._warnings}"]):
            self._warn(self._store.get(f"warning/{self._warnings}").decode())
            self._warnings += 1
        if self._store.check(["progress"]) and (said := self._store.get("progress")) != self._last:
            self._last = said
            self._progress(*json.loads(said))
