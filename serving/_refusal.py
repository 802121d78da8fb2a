"""Errors as clients see them: one shape for all, a status, and never a traceback."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from ..errors import (
    CorpusError,
    DamagedIndexError,
    EncoderError,
    IndexBusyError,
    IndexFolderError,
    MissingExtraError,
    PolicyError,
    QuestionsError,
    RouterError,
    SearchCancelledError,
    StorageError,
    TrailhoundError,
    UpdateError,
)

if TYPE_CHECKING:
    from fastapi import FastAPI, Request

CLIENT_GONE = 499
"""Status of a request whose client did not wait; nobody reads it but the metrics."""

_STATUS: tuple[tuple[type[TrailhoundError], int], ...] = (
    (QuestionsError, 400),
    (CorpusError, 400),
    (UpdateError, 409),
    (SearchCancelledError, CLIENT_GONE),
    (IndexBusyError, 503),
    (DamagedIndexError, 500),
    (IndexFolderError, 503),
    (StorageError, 507),
    (PolicyError, 409),
    (RouterError, 409),
    (EncoderError, 500),
    (MissingExtraError, 501),
)
"""The first that fits counts."""

_NAMED = 5
"""Mistakes of a request that are named."""


class Refusal(HTTPException):
    """A request that is refused.

    Args:
        status: of HTTP.
        kind: a word for programs.
        message: what is wrong, and what to do.
        headers: to be sent beside.
    """

    def __init__(self, status: int, kind: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, message, dict(headers or {}))
        self.kind = kind


def as_json(content: object) -> bytes:
    """Return content as JSON. orjson is faster, but refuses numbers that documents may have in their metadata."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def body_of(kind: str, message: str) -> dict[str, Any]:
    """Return the one shape that errors have."""
    return {"error": {"type": kind, "message": message}}


def status_of(error: TrailhoundError) -> int:
    """Return the status that says what an error of the library is."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def told(error: BaseException) -> tuple[int, str, str]:
    """Return status, kind and message of an error; what nobody foresaw is not told to strangers."""
    if isinstance(error, Refusal):
        return error.status_code, error.kind, str(error.detail)
    if isinstance(error, HTTPException):
        return error.status_code, _kind(error.status_code), _said(error)
    if isinstance(error, TrailhoundError):
        return status_of(error), type(error).__name__, " ".join(str(error).split())
    return 500, "ServerError", "the server failed: its log says how; the same request may fail again"


def _kind(status: int) -> str:
    return HTTPStatus(status).phrase.replace(" ", "")


def _said(error: HTTPException) -> str:
    if error.status_code == 404:
        return "there is nothing at this path: /docs lists what there is"
    if error.status_code == 405:
        return "this path has no such method: /docs lists what there is"
    return str(error.detail)


def _methods(request: Request) -> set[str]:
    """Return the methods that a path has, whichever of its routes has them."""
    schema: dict[str, Any] = request.app.openapi()
    return {
        method.upper()
        for path, operations in schema["paths"].items()
        if _fits(path, request.url.path)
        for method in operations
    }


def _fits(path: str, asked: str) -> bool:
    """Return whether a path of the schema is the one that was asked."""
    kinds = {"{document}": ".+"}  # whose ids may have slashes
    parts = re.split(r"({\w+})", path)
    pattern = "".join(kinds.get(part, "[^/]+") if part.startswith("{") else re.escape(part) for part in parts)
    return re.fullmatch(pattern, asked) is not None


def mistakes(errors: Sequence[Mapping[str, Any]]) -> str:
    """Return what is wrong with a request, by the place of each mistake."""
    lines = []
    for error in errors[:_NAMED]:
        place = ".".join(str(part) for part in error["loc"] if part != "body") or "the body"
        lines.append(f"{place}: {error['msg']}")
    more = f"; and {len(errors) - _NAMED:,} more" if len(errors) > _NAMED else ""
    return "; ".join(lines) + more + " (see /docs)"


def tell_errors(app: FastAPI) -> None:
    """Let an application answer every error in the one shape."""

    async def refused(request: Request, error: Exception) -> Response:
        status, kind, message = told(error)
        headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
        if status == 405:
            headers["Allow"] = ", ".join(sorted(_methods(request)))
        return JSONResponse(body_of(kind, message), status, headers)

    async def mistaken(request: Request, error: Exception) -> Response:
        if not isinstance(error, RequestValidationError):
            raise error
        return JSONResponse(body_of("InvalidRequest", mistakes(error.errors())), 422)

    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(TrailhoundError, refused)
    app.add_exception_handler(RequestValidationError, mistaken)
    app.add_exception_handler(Exception, refused)
