"""Searches in a bounded number of threads: more wait, and more than may wait are refused with a time to come back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from math import ceil
from threading import Event
from time import perf_counter
from typing import TYPE_CHECKING, Generic, TypeVar

from ._refusal import CLIENT_GONE, Refusal

if TYPE_CHECKING:
    from starlette.requests import Request

T = TypeVar("T")

_REMEMBERED = 0.1
"""Weight of the newest call in the mean of how long they take."""


class Running(Generic[T]):
    """A call that waits for its thread or runs in it.

    Args:
        future: of the thread pool.
        stop: ends the call.
    """

    def __init__(self, future: Future[T], stop: Event) -> None:
        self._future = future
        self._stop = stop
        self.done = asyncio.wrap_future(future)
        self.done.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody else may look at it

    def end(self) -> None:
        """End the call, wherever it is; of one that is over nothing happens."""
        self._stop.set()
        self._future.cancel()


class Threads:
    """So many threads, and so many calls that may wait for one. All but the calls runs in the event loop's thread.

    Args:
        threads: calls side by side.
        waiting: more that may wait.
        name: of the threads.
        what: they do, in words.
    """

    def __init__(self, threads: int, waiting: int, name: str, what: str) -> None:
        self._pool = ThreadPoolExecutor(threads, name)
        self._threads = threads
        self._most = threads + waiting
        self._what = what
        self._seconds = 0.1
        self.inside = 0

    def start(self, call: Callable[[Event], T]) -> Running[T]:
        """Let a call wait for its thread. It is given an event, and ends early once that is set.

        Raises:
            Refusal: too many wait already.
        """
        if self.inside >= self._most:
            wait = max(ceil(self._seconds * self.inside / self._threads), 1)
            raise Refusal(
                503,
                "Busy",
                f"{self.inside} {self._what} are running or waiting, which is all that this worker takes: ask again",
                {"Retry-After": str(wait)},
            )
        stop = Event()
        loop = asyncio.get_running_loop()

        def timed() -> T:
            began = perf_counter()
            try:
                return call(stop)
            finally:
                self._seconds += _REMEMBERED * (perf_counter() - began - self._seconds)

        self.inside += 1
        future = self._pool.submit(timed)
        future.add_done_callback(lambda _: _soon(loop, self._leave))
        return Running(future, stop)

    async def run(self, request: Request, call: Callable[[Event], T]) -> T:
        """Return what a call returns; it is ended where its client goes away.

        Raises:
            Refusal: too many wait already, or nobody waits any more.
        """
        running = self.start(call)
        gone = asyncio.ensure_future(_until_gone(request))
        try:
            await asyncio.wait((running.done, gone), return_when=asyncio.FIRST_COMPLETED)
            if not running.done.done():
                raise Refusal(CLIENT_GONE, "ClientGone", "the client went away")
            return running.done.result()
        finally:
            gone.cancel()
            running.end()

    def close(self) -> None:
        """Wait for the calls that run."""
        self._pool.shutdown(cancel_futures=True)

    def _leave(self) -> None:
        self.inside -= 1


def _soon(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    """Call something in the thread of a loop, where that still runs."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(call)


async def _until_gone(request: Request) -> None:
    """Return when the client has gone away; what it sent was read before."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
