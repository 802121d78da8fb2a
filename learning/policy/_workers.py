"""Several workers that train one policy together: questions and lanes are divided, gradients averaged.

Every worker is a process of its own, with the same network. Before each step of the optimizer the gradients of all are
averaged, so the networks stay equal bit for bit, and a run depends on its seed and on how many workers there are. They
talk by torch's gloo. Here they are processes of this machine, which meet in a file and use the loopback interface;
:mod:`._ray_workers` has those of a cluster. The process that started them computes nothing: it waits, and when one of
them fails or dies it ends the others.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ...errors import WorkerError

T = TypeVar("T")
A = TypeVar("A")

LONGEST_WAIT = timedelta(hours=6)
"""How long a worker waits for the others: the first may be training a reader. One that dies is noticed at once."""

LAST_WORDS = 5.0
"""Seconds in which a worker that is told to end must do so, and in which the cause of a failure must be heard."""


class Voice(Protocol):
    """What a worker says to whoever started the run."""

    def report(self, stage: str, done: int, total: int) -> None:
        """Say how far a stage has come."""

    def warn(self, message: str) -> None:
        """Say a warning."""


class Team:
    """The workers of a run, as one of them sees it; alone, everything here does nothing.

    Args:
        rank: number of this worker, from 0 on.
        size: how many there are.
        threads: CPU threads for this worker to encode texts with; None for all there are.
        voice: how this worker speaks, where it has no terminal.
    """

    def __init__(self, rank: int = 0, size: int = 1, threads: int | None = None, voice: Voice | None = None) -> None:
        self.rank = rank
        self.size = size
        self.threads = threads
        self.voice = voice

    def share(self, items: Sequence[T]) -> list[T]:
        """Return this worker's items."""
        return list(items[self.rank :: self.size])

    def part(self, number: int) -> int:
        """Return how many of ``number`` lanes or states each worker has: as many as any other, and at least one."""
        return max(1, round(number / self.size))

    def average_gradients(self, network: nn.Module, states: int) -> int:
        """Average the gradients of all workers, each weighted by the number of ``states`` that they come from.

        A parameter that has a gradient nowhere stays without one. Returns the number of states of all workers: 0 when
        none of them has any left.
        """
        if self.size == 1:
            return states
        parameters = list(network.parameters())
        given = [parameter.grad is not None for parameter in parameters]
        flat = [(p.new_zeros(p.shape) if p.grad is None else p.grad).reshape(-1).cpu() for p in parameters]
        summed = self._summed(torch.cat((torch.cat(flat) * states, torch.tensor([states, *given], dtype=torch.float))))
        *means, counts = torch.split(summed, [*(p.numel() for p in parameters), 1 + len(parameters)])
        for parameter, mean, count in zip(parameters, means, counts[1:], strict=True):
            parameter.grad = (mean / counts[0]).reshape(parameter.shape).to(parameter.device) if count else None
        return int(counts[0])

    def mean(self, value: float) -> float:
        """Return the mean of the workers' values."""
        return value if self.size == 1 else float(self._summed(torch.tensor(value, dtype=torch.double))) / self.size

    def gather(self, value: T) -> list[T]:
        """Return every worker's value, by rank."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        _together(lambda: dist.all_gather_object(values, value))
        return values

    def joined(self, values: list[T]) -> list[T]:
        """Return the workers' lists one behind the other, by rank."""
        return [value for part in self.gather(values) for value in part]

    def first(self, work: Callable[[], object]) -> None:
        """Let the first worker do something; the others wait until it is done."""
        if self.rank == 0:
            work()
        self.gather(None)

    def in_turn(self, work: Callable[[], T]) -> T:
        """Let the first worker do something, and then the others, who find what it left behind."""
        if self.rank:
            self.gather(None)
        done = work()
        if not self.rank:
            self.gather(None)
        return done

    def _summed(self, numbers: Tensor) -> Tensor:
        _together(lambda: dist.all_reduce(numbers))
        return numbers


ALONE = Team()
"""The team of a run that has one worker: this process."""


class LostError(WorkerError):
    """What a worker raises when another one is gone; never the cause of a failure."""


def _together(collective: Callable[[], object]) -> None:
    try:
        collective()
    except RuntimeError as error:
        raise LostError(f"a worker is gone, or has not answered for {LONGEST_WAIT}: {error}") from error


def run_team(size: int, work: Callable[[Team, A], T], argument: A) -> T:
    """Run ``work`` in ``size`` processes that know each other as a team; returns what the first one returns.

    A single worker runs in this process. Others are spawned, so ``work`` must be importable, and ``argument`` and the
    result go through pickle. To be called by the main thread.

    Raises:
        WorkerError: when a worker dies.
        Exception: what ``work`` raises in any of them.
    """
    if size == 1:
        return work(ALONE, argument)
    with TemporaryDirectory(prefix="trailhound-workers-") as folder:
        processes: list[BaseProcess] = []
        ends: list[Connection[Any, Any]] = []
        heard = signal.signal(signal.SIGINT, signal.SIG_IGN)  # inherited: Ctrl-C is for this process to hear
        try:
            for rank in range(size):
                mine, theirs = get_context("spawn").Pipe(duplex=False)
                process = get_context("spawn").Process(
                    target=_run_worker, args=(rank, size, Path(folder), theirs, work, argument), daemon=True
                )
                process.start()
                theirs.close()
                processes.append(process)
                ends.append(mine)
            signal.signal(signal.SIGINT, heard)
            result: T = _result(processes, ends)
            return result
        finally:
            signal.signal(signal.SIGINT, heard)
            _end(processes)


def _run_worker(
    rank: int, size: int, folder: Path, end: Connection[Any, Any], work: Callable[[Team, A], object], argument: A
) -> None:
    """Be one worker: meet the others, work, and say how it went."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    team = Team(rank, size, threads=max(1, (os.cpu_count() or 1) // size))
    end.send(outcome(team, {"init_method": f"file://{folder}/meeting"}, work, argument))


def outcome(
    team: Team, meeting: Mapping[str, Any], work: Callable[[Team, A], T], argument: A
) -> tuple[Exception | None, T | None]:
    """Meet the others of the team and work; returns the error if there was one, and what the first worker made.

    Args:
        team: as this worker sees it.
        meeting: where the team meets: arguments of ``init_process_group``.
        work: what all of them do.
        argument: of ``work``.
    """
    try:
        if team.size > 1:
            dist.init_process_group("gloo", rank=team.rank, world_size=team.size, timeout=LONGEST_WAIT, **meeting)
        result = work(team, argument)
        if team.size > 1:
            dist.destroy_process_group()
        return None, result if team.rank == 0 else None
    except Exception as error:
        error.add_note(f"This was in worker {team.rank + 1} of {team.size}:\n{traceback.format_exc()}")
        return _portable(error), None


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _portable(error: Exception) -> Exception:
    """Return an error, or its words where it cannot be put together again in another process."""
    try:
        pickle.loads(pickle.dumps(error))  # its constructor may not like its arguments
    except Exception:  # whatever it is that it holds
        return WorkerError(f"{type(error).__name__}: {error}")
    return error


def _result(processes: Sequence[BaseProcess], ends: Sequence[Connection[Any, Any]]) -> Any:
    """Wait for all workers and return what the first sent; at the first failure raise its cause."""
    waiting = dict(zip(ends, range(len(ends)), strict=True))
    results: dict[int, Any] = {}
    lost: Exception | None = None
    while waiting:
        ready = wait(list(waiting), None if lost is None else LAST_WORDS)
        if not ready:
            break
        for end in ready:
            assert isinstance(end, Connection)
            rank = waiting.pop(end)
            try:
                error, results[rank] = end.recv()
            except EOFError:
                error = _death(rank, processes)
            if isinstance(error, LostError):
                lost = error  # the cause is yet to be heard from another
            elif error is not None:
                raise error
    if lost is not None:
        raise lost
    return results[0]


def _death(rank: int, processes: Sequence[BaseProcess]) -> WorkerError:
    processes[rank].join(LAST_WORDS)
    code = processes[rank].exitcode
    how = f"was killed by signal {-code}" if code is not None and code < 0 else f"ended with exit code {code}"
    return WorkerError(
        f"worker {rank + 1} of {len(processes)} {how}, and the others were ended: if memory ran out, use fewer workers;"
        " the same call goes on from the last checkpoint"
    )


def _end(processes: Sequence[BaseProcess]) -> None:
    """End whoever is still there."""
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(LAST_WORDS)
        if process.is_alive():
            process.kill()
            process.join()
