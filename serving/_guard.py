"""Stands before the application: limits what a request may send, checks whence it comes, counts, and adds headers."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse

from ._refusal import Refusal, body_of
from ._settings import LONGEST_BODY, LOOPBACK

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_SECURITY = "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
HEADERS = {
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": CONTENT_SECURITY,
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Sent with every response. Browsers ask again before they reuse one, so two versions of the page never mix."""

Counted = Callable[[str, str, int, float], None]
"""Called with method, path of the route, status and seconds."""


class Guard:
    """Wraps an application.

    Args:
        app: what it guards.
        open_to_browsers: no key is asked for, so only this machine's own names are answered to, and only pages of
            this server may ask: another page could else have the browser ask for it (DNS rebinding).
        counted: told of every response.
    """

    def __init__(self, app: ASGIApp, open_to_browsers: bool, counted: Counted) -> None:
        self._app = app
        self._open_to_browsers = open_to_browsers
        self._counted = counted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = perf_counter(), 500

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            refused = self._refused(Headers(scope=scope))
            if refused is not None:
                answer = JSONResponse(body_of(refused.kind, str(refused.detail)), refused.status_code, refused.headers)
                await answer(scope, receive, sent)
            else:
                await self._app(scope, limited(receive), sent)
        finally:
            route = scope.get("route")
            path = getattr(route, "path", "") or "other"
            self._counted(scope["method"], path, status, perf_counter() - began)

    def _refused(self, headers: Headers) -> Refusal | None:
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > LONGEST_BODY:
            return too_large()
        host = headers.get("host", "")
        if not self._open_to_browsers:
            return None
        if _name(host) not in LOOPBACK:
            return Refusal(
                421, "WrongHost", f"this server does not answer to the name {host[:100]!r}: ask 127.0.0.1 or localhost"
            )
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return Refusal(
                403, "WrongOrigin", "another page may not ask this server: open its own page, or start it with --keys"
            )
        return None


def limited(receive: Receive) -> Receive:
    """Return a way to receive no more than ``LONGEST_BODY`` bytes, whatever was said of their number."""
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > LONGEST_BODY:
            raise too_large()
        return message

    return counted


def too_large() -> Refusal:
    """Return the refusal of a request that sends too much; the connection ends with it."""
    message = f"the request has more than {LONGEST_BODY // 1_000_000} MB: send its documents in several"
    return Refusal(413, "TooLarge", message, {"Connection": "close"})


def _name(host: str) -> str:
    """Return the name in a Host header, without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()
