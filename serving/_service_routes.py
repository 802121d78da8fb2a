"""Routes that tell of the server itself: workspaces, jobs, misses, health, metrics."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import HTMLResponse, Response

from ._docs_page import docs_page
from ._keys import Key
from ._refusal import Refusal
from ._schemas import HealthBody, JobBody, MissBody, WorkspaceBody, where_of
from ._service import Administering, Asking, Served, json_of
from ._workspace import missing

router = APIRouter(tags=["service"])


@router.get("/health/live", response_model=dict[str, str])
def live() -> dict[str, str]:
    """Say that the server runs."""
    return {"status": "live"}


@router.get("/health/ready", response_model=dict[str, str])
def ready(service: Served) -> dict[str, str]:
    """Say whether searches are answered without waiting for anything to load."""
    if not service.ready:
        raise Refusal(503, "NotReady", "the server is loading: ask again", {"Retry-After": "1"})
    return {"status": "ready"}


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def metrics(service: Served, key: Asking) -> Response:
    """Return figures for Prometheus."""
    if not all(key.may(name, "admin") for name in service.workspaces):
        raise Refusal(403, "Forbidden", f"the key {key.name!r} may not see the metrics: they need  *:admin")
    return Response(service.metrics.text(), media_type=CONTENT_TYPE_LATEST)


@router.get("/v1/workspaces", response_model=list[WorkspaceBody])
def workspaces(service: Served, key: Asking) -> Response:
    """List the workspaces that the key has a right in."""
    where = where_of(None, key.principals)
    return json_of([one.about(where) for name, one in service.workspaces.items() if key.knows(name)])


@router.get("/v1/workspaces/{workspace}/misses", response_model=list[MissBody])
def misses(service: Served, access: Administering) -> Response:
    """Return the questions of late that were not answered, or not for sure, newest first."""
    return json_of(service.misses.of(access.workspace.name))


@router.get("/v1/workspaces/{workspace}/health", response_model=HealthBody)
def health(access: Administering) -> Response:
    """Return the segments of the index, its deletions and its drift."""
    return json_of(access.workspace.health())


@router.get("/v1/jobs", response_model=list[JobBody])
def jobs(service: Served, key: Asking) -> Response:
    """List the changes that the key may know of, newest first."""
    return json_of([job for job in service.jobs.all() if _may_know(key, job)])


@router.get("/v1/jobs/{job}", response_model=JobBody)
def one_job(service: Served, key: Asking, job: str) -> Response:
    """Return a change: how far it is, or how it ended."""
    found = service.jobs.get(job)
    if found is None or not _may_know(key, found):
        raise missing("job", job)
    return json_of(found)


def _may_know(key: Key, job: dict[str, Any]) -> bool:
    """Return whether a change is the key's own, or in a workspace that it administers."""
    workspace = str(job["workspace"])
    return key.may(workspace, "admin") or (key.may(workspace, "write") and job["by"] == key.name)


@router.get("/docs", include_in_schema=False)
def docs(request: Request) -> Response:
    """Return the documentation of all routes, which loads nothing from elsewhere."""
    return HTMLResponse(docs_page(request.app.openapi()))
