"""Routes that search: one answer, a stream of steps, several systems side by side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from threading import Event
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from ..agent.search_result import Step
from ._refusal import as_json, body_of, told
from ._schemas import EVENTS, CompareBody, ResultBody, SearchBody
from ._searching import Running
from ._service import Found, Searching, Served, Service, json_of, told_of

router = APIRouter(tags=["search"])

HEARTBEAT = 10.0
"""Seconds of silence after which a stream says that it is still there."""

STREAM = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""Headers by which proxies pass a stream on as it comes."""


@router.post("/v1/workspaces/{workspace}/search", response_model=ResultBody)
async def search(request: Request, service: Served, access: Searching, body: SearchBody) -> Response:
    """Search, and return evidence, path and answer."""
    _, found = await service.found(request, access.workspace, body, access.where(body.where))
    return json_of(found)


@router.post("/v1/workspaces/{workspace}/compare", response_model=dict[str, ResultBody])
async def compare(request: Request, service: Served, access: Searching, body: CompareBody) -> Response:
    """Ask several systems, and return the result of each by its name."""
    where = access.where(body.where)
    for system in body.systems:
        access.workspace.check(system)
    asked: dict[str, Any] = {"question": body.question, "limit": body.limit, "seconds": body.seconds}
    calls = {
        system: service.call(access.workspace, SearchBody(system=system, **asked), where) for system in body.systems
    }

    def all_of_them(cancelled: Event) -> dict[str, Any]:
        return {system: call(cancelled)[1] for system, call in calls.items()}

    return json_of(await service.searches.run(request, all_of_them))


@router.post(
    "/v1/workspaces/{workspace}/search/stream",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "Events `step` with a step each, then `result` with the result, or `error` with the error.",
            "content": {"text/event-stream": {"schema": EVENTS}},
        }
    },
)
async def stream(service: Served, access: Searching, body: SearchBody) -> Response:
    """Search, and send every step as it is done; a client that goes away ends the search."""
    access.workspace.check(body.system)
    where = access.where(body.where)
    loop, steps = asyncio.get_running_loop(), asyncio.Queue[Step]()

    def tell(step: Step) -> None:
        loop.call_soon_threadsafe(steps.put_nowait, step)

    call = service.call(access.workspace, body, where)
    running = service.searches.start(partial(call, on_step=tell))
    return StreamingResponse(_events(service, body, running, steps), 200, STREAM, "text/event-stream")


async def _events(
    service: Service, body: SearchBody, running: Running[Found], steps: asyncio.Queue[Step]
) -> AsyncIterator[bytes]:
    """Yield the events of a search, and end it where nobody reads them."""
    try:
        async for step in _steps(running, steps):
            yield b": still searching\n\n" if step is None else event("step", vars_of(step))
        result, found = running.done.result()
        if service.writes(body, result):
            writing = service.writing.start(partial(service.written, result))
            try:
                async for beat in beating(writing.done):
                    yield beat
                found["written"] = told_of(writing.done.result())
            finally:
                writing.end()
        yield event("result", found)
    except Exception as error:
        _, kind, message = told(error)
        yield event("error", body_of(kind, message))
    finally:
        running.end()


async def _steps(running: Running[Found], steps: asyncio.Queue[Step]) -> AsyncIterator[Step | None]:
    """Yield the steps of a search, and None where nothing happened for a while."""
    while not running.done.done() or not steps.empty():
        waiting = asyncio.ensure_future(steps.get())
        try:
            await asyncio.wait((waiting, running.done), timeout=HEARTBEAT, return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                yield waiting.result()
            elif not running.done.done():
                yield None
        finally:
            waiting.cancel()


async def beating(done: asyncio.Future[Any]) -> AsyncIterator[bytes]:
    """Yield a comment now and then until something is done."""
    while not done.done():
        await asyncio.wait((done,), timeout=HEARTBEAT)
        if not done.done():
            yield b": still working\n\n"


def event(name: str, data: object) -> bytes:
    """Return one event of a stream."""
    return b"event: " + name.encode() + b"\ndata: " + as_json(data) + b"\n\n"


def vars_of(step: Step) -> dict[str, Any]:
    """Return a step as JSON."""
    return {
        "action": step.action,
        "detail": step.detail,
        "reason": step.reason,
        "passages": step.passages,
        "titles": step.titles,
        "probability": step.probability,
    }
