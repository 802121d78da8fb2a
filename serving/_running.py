"""Runs a server until it is told to stop."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from typing import Any

import uvicorn

from ._app import create_app
from ._metrics import share
from ._settings import LONGEST_SEARCH, ServerSettings

_GRACE = int(LONGEST_SEARCH) + 5
"""Seconds that running requests have to end in when the server is told to stop."""

_ARENA_MAX = -8
"""What ``mallopt`` of glibc calls the number of its arenas."""


def run(settings: ServerSettings) -> None:
    """Serve until Ctrl-C or SIGTERM; running searches and the running change end first.

    Raises:
        IndexFolderError, PolicyError, QuestionsError: as :func:`create_app`.
    """
    few_arenas()
    common: dict[str, Any] = {
        "host": settings.host,
        "port": settings.port,
        "timeout_graceful_shutdown": _GRACE,
        "server_header": False,
        "log_level": "warning",
        "proxy_headers": False,
    }
    if settings.workers == 1:
        uvicorn.run(create_app(settings), **common)
        return
    create_app(settings)  # what cannot be served is said once, and here
    share(settings.state / "metrics")
    settings.tell_workers()
    uvicorn.run("trailhound.serving._running:worker", factory=True, workers=settings.workers, **common)


def worker() -> object:
    """Return the application of a worker process."""
    from ._app import told_app

    few_arenas()
    return told_app()


def few_arenas() -> None:
    """Let threads share memory that they freed: with an arena each, every change of an index leaves some behind."""
    with suppress(AttributeError, OSError, TypeError):  # other C libraries have no arenas
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 2)
