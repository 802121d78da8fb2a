"""Everything that a worker serves with, and who may use what of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from fastapi import Depends, Request
from starlette.responses import Response

from ..agent.reader._citations import WrittenAnswer
from ..agent.reader._endpoint import AnsweringEndpoint
from ..agent.search_result import SearchResult, Step
from ..errors import PolicyError, TrailhoundError
from ._jobs import Jobs
from ._keys import NOBODY_ASKED, Key, KeyRing
from ._metrics import Metrics
from ._misses import Misses
from ._refusal import Refusal, as_json
from ._schemas import SearchBody, WhereBody, seconds_of, where_of
from ._searching import Threads
from ._settings import WAITING, ServerSettings
from ._sharded_workspace import open_workspace
from ._workspace import Workspace

if TYPE_CHECKING:
    from ..index.where import Where

T = TypeVar("T")

_WRITERS = 8
"""Answers that an endpoint is asked for side by side."""

Found = tuple[SearchResult, dict[str, Any]]
"""A result, and all of it as JSON."""


class Service:
    """What the routes of a worker share.

    Args:
        settings: of the server.

    Raises:
        IndexFolderError, PolicyError, QuestionsError: when an index, the policy or the file of keys cannot be used.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self.keys = None if settings.keys is None else KeyRing(settings.keys)
        self.workspaces = {
            name: open_workspace(name, place, settings.policy, settings.ask, settings.ask_mass)
            for name, place in settings.workspaces.items()
        }
        self.writer = None if settings.answer_with is None else AnsweringEndpoint(settings.answer_with)
        self.metrics = Metrics()
        self.misses = Misses(settings.misses)
        self.searches = Threads(settings.threads, WAITING, "search", "searches")
        self.writing = Threads(_WRITERS, WAITING, "write", "answers")
        self.jobs = Jobs(settings.state, self.workspaces, self.metrics, settings.resumable)
        self.ready = False

    def warm_up(self) -> None:
        """Load what first searches would wait for; then the worker is ready."""
        for workspace in self.workspaces.values():
            if len(workspace.index):
                workspace.warm_up()
        self.ready = True

    def key(self, request: Request) -> Key:
        """Return who asks.

        Raises:
            Refusal: when a key is needed and none was shown, or one that is none.
        """
        if self.keys is None:
            return NOBODY_ASKED
        kind, _, shown = request.headers.get("authorization", "").partition(" ")
        key = self.keys.key(shown.strip()) if kind.lower() == "bearer" else None
        if key is None:
            raise Refusal(
                401,
                "Unauthorized",
                "show a key: send  Authorization: Bearer KEY; whoever runs the server makes keys with --new-key",
                {"WWW-Authenticate": "Bearer"},
            )
        return key

    def call(self, workspace: Workspace, body: SearchBody, where: Where | None) -> Callable[..., Found]:
        """Return the call of a search, which counts it; it takes ``cancelled`` and ``on_step``."""

        def search(cancelled: Event, on_step: Callable[[Step], None] | None = None) -> Found:
            try:
                found = workspace.search(
                    body.question,
                    body.limit,
                    body.system,
                    where,
                    seconds_of(body.seconds),
                    body.steps,
                    body.answer,
                    cancelled,
                    on_step,
                )
            except (TrailhoundError, OSError) as error:
                self.metrics.failed(workspace.name, type(error).__name__)
                raise
            self.metrics.searched(workspace.name, found[0])
            self.misses.see(workspace.name, found[0])
            return found

        return search

    async def found(self, request: Request, workspace: Workspace, body: SearchBody, where: Where | None) -> Found:
        """Return what a search finds, with the answer that a model writes where one is configured."""
        result, told = await self.searches.run(request, self.call(workspace, body, where))
        if self.writes(body, result):
            written = await self.writing.run(request, partial(self.written, result))
            told["written"] = told_of(written)
        return result, told

    def writes(self, body: SearchBody, result: SearchResult) -> bool:
        """Return whether a model is to write an answer."""
        return self.writer is not None and body.answer and bool(result.evidence)

    def written(self, result: SearchResult, cancelled: Event) -> WrittenAnswer | None:
        """Return the answer that the model writes from a result, its citations checked.

        Raises:
            Refusal: when the model cannot be reached, or its reply is no answer.
        """
        if self.writer is None or cancelled.is_set():
            return None
        try:
            return self.writer.write(result.question, [one.passage for one in result.evidence])
        except PolicyError as error:
            raise Refusal(502, type(error).__name__, str(error)) from error

    def close(self) -> None:
        """End what runs, and let go of everything."""
        self.searches.close()
        self.writing.close()
        self.jobs.stop()
        for workspace in self.workspaces.values():
            workspace.close()


def told_of(written: WrittenAnswer | None) -> dict[str, Any] | None:
    """Return a written answer as JSON."""
    if written is None:
        return None
    claims = [{"text": one.text, "cites": list(one.cites), "problem": one.problem} for one in written.claims]
    return {"text": written.text, "written_by": written.written_by, "claims": claims}


def service_of(request: Request) -> Service:
    """Return the service that answers a request."""
    service: Service = request.app.state.service
    return service


def key_of(request: Request) -> Key:
    """Return who asks."""
    return service_of(request).key(request)


Served = Annotated[Service, Depends(service_of)]
Asking = Annotated[Key, Depends(key_of)]


@dataclass(frozen=True, slots=True)
class Access:
    """A workspace that somebody may use."""

    workspace: Workspace
    key: Key

    def where(self, body: WhereBody | None = None) -> Where | None:
        """Return which documents are seen: what is asked, narrowed to what the key may see."""
        return where_of(body, self.key.principals)


def access_to(service: Service, key: Key, workspace: str, right: str) -> Access:
    """Return a workspace that a key has a right in.

    Raises:
        Refusal: when it has not; a workspace in which it has no right at all is not there.
    """
    found = service.workspaces.get(workspace)
    if found is None or not key.knows(workspace):
        raise Refusal(
            404, "NotFound", f"there is no workspace {workspace[:200]!r} for you: /v1/workspaces lists what there is"
        )
    if not key.may(workspace, right):
        raise Refusal(403, "Forbidden", f"the key {key.name!r} has no right to {right} in {workspace}: use another")
    return Access(found, key)


def _needing(right: str) -> Callable[[Service, Key, str], Access]:
    def access(service: Served, key: Asking, workspace: str) -> Access:
        return access_to(service, key, workspace, right)

    return access


Searching = Annotated[Access, Depends(_needing("search"))]
Writing = Annotated[Access, Depends(_needing("write"))]
Administering = Annotated[Access, Depends(_needing("admin"))]


def json_of(content: object, status: int = 200) -> Response:
    """Return content as JSON."""
    return Response(as_json(content), status, media_type="application/json")
