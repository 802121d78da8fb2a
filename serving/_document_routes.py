"""Routes to documents: list, read, add, delete; and the graph around a passage."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import Field, TypeAdapter, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.responses import Response

from ._jobs import Asked
from ._refusal import Refusal
from ._schemas import DocumentBody, DocumentsBody, GraphBody, JobBody, WholeDocumentBody
from ._service import Access, Searching, Served, Service, Writing, json_of
from ._workspace import missing

router = APIRouter(tags=["documents"])

PATIENCE = 10.0
"""Seconds that a deletion waits for its turn."""

_OFTEN = 0.02

DocumentId = Annotated[str, Path(min_length=1, max_length=1000)]

_LISTED = TypeAdapter(Annotated[list[DocumentBody], Field(min_length=1)])
_FORM = {
    "type": "object",
    "properties": {"files": {"type": "array", "items": {"type": "string", "format": "binary"}, "minItems": 1}},
    "required": ["files"],
}
_ADDED: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "array",
                    "items": {"$ref": "#/components/schemas/DocumentBody"},
                    "minItems": 1,
                },
                "example": [{"id": "fares", "title": "Fares", "text": "Dogs pay half of the fare."}],
            },
            "multipart/form-data": {"schema": _FORM},
        },
    }
}


@router.get("/v1/workspaces/{workspace}/documents", response_model=DocumentsBody)
def documents(
    access: Searching,
    after: Annotated[str, Query(description="Only ids behind this one.")] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    query: Annotated[str, Query(max_length=1000, description="What titles or ids contain.")] = "",
) -> Response:
    """List documents in the order of their ids."""
    return json_of(access.workspace.documents(after, limit, query, access.where()))


@router.post("/v1/workspaces/{workspace}/documents", status_code=202, response_model=JobBody, openapi_extra=_ADDED)
async def add(
    request: Request,
    service: Served,
    access: Writing,
    replace: Annotated[bool, Query(description="Whether documents take the place of others of their id.")] = True,
) -> Response:
    """Add documents, as JSON or as files; the job tells when they are searched, and what could not be read."""
    _check_changeable(access)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == "multipart/form-data":
        return await _add_files(request, service, access, replace)
    documents = await _listed(request)
    about = {"documents": [one.model_dump() for one in documents], "replace": replace}
    return json_of(service.jobs.submit(Asked(access.workspace.name, "add", access.key, about)), 202)


@router.get("/v1/workspaces/{workspace}/documents/{document:path}", response_model=WholeDocumentBody)
def document(access: Searching, document: DocumentId) -> Response:
    """Return a whole document, with the places of its passages."""
    return json_of(access.workspace.document(document, access.where()))


@router.delete("/v1/workspaces/{workspace}/documents/{document:path}", status_code=202, response_model=JobBody)
async def delete(service: Served, access: Writing, document: DocumentId) -> Response:
    """Delete a document, and wait a while for it to be gone; the job tells whether it is."""
    _check_changeable(access)
    if not await run_in_threadpool(access.workspace.having, [document], access.where()):
        raise missing("document", document)
    job = service.jobs.submit(Asked(access.workspace.name, "delete", access.key, {"delete": [document]}))
    until = monotonic() + PATIENCE
    while job["ended"] is None and monotonic() < until:
        await asyncio.sleep(_OFTEN)
        job = service.jobs.get(job["id"]) or job
    return json_of(job, 202)


@router.get("/v1/workspaces/{workspace}/graph", response_model=GraphBody)
def graph(
    access: Searching,
    passage: Annotated[str, Query(description="Id of the passage in the middle.")],
    depth: Annotated[int, Query(ge=1, le=3)] = 1,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
) -> Response:
    """Return the passages around one in the knowledge graph, and the edges among them."""
    return json_of(access.workspace.graph(passage, depth, limit, access.where()))


async def _listed(request: Request) -> list[DocumentBody]:
    try:
        return _LISTED.validate_json(await request.body())
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_url=False, include_context=False)) from error


async def _add_files(request: Request, service: Service, access: Access, replace: bool) -> Response:
    async with request.form() as form:
        files = [(one.filename or "", await one.read()) for one in form.getlist("files") if isinstance(one, UploadFile)]
    if not files:
        raise Refusal(422, "InvalidRequest", "the form has no files: send them in its field  files")
    asked = Asked(access.workspace.name, "add", access.key, {"replace": replace}, tuple(files))
    return json_of(service.jobs.submit(asked), 202)


def _check_changeable(access: Access) -> None:
    if not access.workspace.changeable:
        name = access.workspace.name
        raise Refusal(409, "UpdateError", f"{name} is a knowledge graph: change its graph.txt and build it again")
