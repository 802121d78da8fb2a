"""The application of a worker: routes, errors, the page, and what begins and ends with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from logging import getLogger
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from . import _chat_routes, _document_routes, _search_routes, _service_routes
from ._guard import Guard
from ._refusal import tell_errors
from ._schemas import CONDITION, CONDITION_NAME, DocumentBody, ErrorBody
from ._service import Service
from ._settings import ServerSettings

_LOG = getLogger("trailhound.serving")

PAGE = Path(__file__).parent / "page"

_ABOUT = "Searches indexes, shows the path of every search, and changes them. Errors are {error: {type, message}}."
_REFUSED: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": ErrorBody, "description": "The request cannot be answered; the message says what to do."},
    "5XX": {"model": ErrorBody, "description": "The server cannot answer now; the message says what to do."},
}
_OPEN = ("/health/",)
"""Beginnings of the paths that need no key."""


class _App(FastAPI):
    """Says in its schema which routes need a key."""

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI schema."""
        if self.openapi_schema is None:
            schema = get_openapi(title=self.title, version=self.version, description=_ABOUT, routes=self.routes)
            schemas = schema["components"]["schemas"]
            document = DocumentBody.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas.update({DocumentBody.__name__: document, CONDITION_NAME: CONDITION})
            if self.state.service.keys is not None:
                schema["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
                for path, operations in schema["paths"].items():
                    for about in operations.values():
                        about["security"] = [] if path.startswith(_OPEN) else [{"key": []}]
            self.openapi_schema = schema
        return self.openapi_schema


def create_app(settings: ServerSettings) -> ASGIApp:
    """Return the application that serves by these settings.

    Raises:
        IndexFolderError, PolicyError, QuestionsError: when an index, the policy or the file of keys cannot be used.
    """
    service = Service(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.jobs.start()
        warming = asyncio.ensure_future(asyncio.to_thread(_warm_up, service))
        yield
        await warming
        await asyncio.to_thread(service.close)

    app = _App(title="Trailhound", version=settings.version, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.service = service
    tell_errors(app)
    for routes in (_service_routes, _search_routes, _document_routes, _chat_routes):
        app.include_router(routes.router, responses=_REFUSED)
    _show_page(app)

    def counted(method: str, route: str, status: int, seconds: float) -> None:
        service.metrics.answered(method, route, status, seconds)
        service.metrics.inside(service.searches.inside)

    return Guard(app, settings.open_to_browsers, counted)


def _show_page(app: FastAPI) -> None:
    async def page() -> Response:
        return FileResponse(PAGE / "index.html")

    app.add_api_route("/", page, include_in_schema=False)
    app.mount("/page", StaticFiles(directory=PAGE), name="page")


def _warm_up(service: Service) -> None:
    try:
        service.warm_up()
    except Exception:  # the server stays "not ready", and its searches say why
        _LOG.exception("what searches need could not be loaded")


def told_app() -> ASGIApp:
    """Return the application of a worker, by what the server has told it."""
    return create_app(ServerSettings.told())
