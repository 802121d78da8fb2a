"""Threads are bounded: what is too much is told when to come back, and nobody runs for a client that has gone."""

from __future__ import annotations

import asyncio
from threading import Event

import pytest
from starlette.requests import Request
from trailhound.serving._refusal import CLIENT_GONE, Refusal
from trailhound.serving._searching import Threads

PATIENCE = 120


def request_of(gone: asyncio.Event) -> Request:
    """A request whose client goes away when the event is set."""

    async def receive() -> dict[str, str]:
        await gone.wait()
        return {"type": "http.disconnect"}

    return Request({"type": "http"}, receive)


async def until_empty(threads: Threads) -> None:
    while threads.inside:
        await asyncio.sleep(0.01)


def test_what_is_more_than_may_wait_is_refused_with_a_time_to_come_back() -> None:
    async def main() -> None:
        threads, free = Threads(1, 2, "test", "searches"), Event()
        running = [threads.start(lambda stop: free.wait(PATIENCE)) for _ in range(3)]
        with pytest.raises(Refusal) as refused:
            threads.start(lambda stop: True)
        assert refused.value.status_code == 503
        assert int((refused.value.headers or {})["Retry-After"]) >= 1
        free.set()
        assert await asyncio.gather(*(one.done for one in running)) == [True] * 3
        await until_empty(threads)
        assert await threads.run(request_of(asyncio.Event()), lambda stop: "again") == "again"
        threads.close()

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


def test_a_client_that_goes_away_ends_what_runs_and_what_waits() -> None:
    async def main() -> None:
        threads, gone, began, ended = Threads(1, 5, "test", "searches"), asyncio.Event(), Event(), []

        def search(stop: Event) -> None:
            began.set()
            ended.append(stop.wait(PATIENCE))

        asked = [asyncio.ensure_future(threads.run(request_of(gone), search)) for _ in range(3)]
        await asyncio.to_thread(began.wait, PATIENCE)
        gone.set()
        refused = await asyncio.gather(*asked, return_exceptions=True)
        assert [getattr(one, "status_code", one) for one in refused] == [CLIENT_GONE] * 3
        await until_empty(threads)
        assert ended  # one that waited may have begun just before it was ended
        assert all(ended)
        threads.close()

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


def test_an_error_is_raised_where_the_result_is_waited_for() -> None:
    async def main() -> None:
        threads = Threads(1, 1, "test", "searches")

        def fail(stop: Event) -> None:
            raise KeyError("lost")

        with pytest.raises(KeyError, match="lost"):
            await threads.run(request_of(asyncio.Event()), fail)
        await until_empty(threads)
        threads.close()

    asyncio.run(asyncio.wait_for(main(), PATIENCE))
