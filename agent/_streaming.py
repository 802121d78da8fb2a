"""Searches in threads of their own: their steps as they are done, and their end when nobody wants them any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any, TypeVar

from .search_result import SearchResult, Step

T = TypeVar("T")


async def aside(search: Callable[..., T]) -> T:
    """Call a search in a worker thread, and end it where the task is cancelled."""
    stop = Event()
    try:
        return await asyncio.to_thread(search, cancelled=stop)
    finally:
        stop.set()


def streamed(search: Callable[..., SearchResult], cancelled: Event | None) -> Iterator[Step | SearchResult]:
    """Iterate over the steps of a search, and its result; closing the iterator ends the search.

    Args:
        search: takes ``cancelled``, a list of events, and ``on_step``.
        cancelled: ends it as well.
    """
    stop, heard = Event(), SimpleQueue[Step | SearchResult | BaseException]()

    def run() -> None:
        try:
            heard.put(search(cancelled=[stop] if cancelled is None else [stop, cancelled], on_step=heard.put))
        except BaseException as error:  # it is raised where the steps are read
            heard.put(error)

    thread = Thread(target=run, name="trailhound-search")
    thread.start()
    try:
        while True:
            found = heard.get()
            if isinstance(found, BaseException):
                raise found
            yield found
            if isinstance(found, SearchResult):
                return
    finally:
        stop.set()
        thread.join()


async def streamed_aside(
    search: Callable[..., Coroutine[Any, Any, SearchResult]],
) -> AsyncIterator[Step | SearchResult]:
    """Iterate over the steps of an asynchronous search, which takes ``on_step``, and its result."""
    loop, heard = asyncio.get_running_loop(), asyncio.Queue[Step]()

    def tell(step: Step) -> None:
        loop.call_soon_threadsafe(heard.put_nowait, step)

    searching = asyncio.ensure_future(search(on_step=tell))
    try:
        while not searching.done() or not heard.empty():
            waiting = asyncio.ensure_future(heard.get())
            await asyncio.wait((waiting, searching), return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                yield waiting.result()
            else:
                waiting.cancel()
        yield await searching
    finally:
        searching.cancel()
