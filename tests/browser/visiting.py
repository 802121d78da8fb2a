"""Runs a server as people do, and visits it with a browser."""

from __future__ import annotations

import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from browser.isles import QUESTION

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

STARTS = 120
"""Seconds that the server may take to be ready on a busy machine."""


class started:  # noqa: N801 - it reads as a verb
    """Runs ``trailhound serve`` on a free port, with further arguments, until the block ends."""

    def __init__(self, *arguments: Path | str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        self.command = [sys.executable, "-m", "trailhound", "serve", *map(str, arguments), "--port", str(port)]

    def __enter__(self) -> str:
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = monotonic() + STARTS
        while self.process.poll() is None and monotonic() < until:
            try:
                with urllib.request.urlopen(f"{self.address}/health/ready"):
                    return self.address
            except OSError:
                sleep(0.2)
        self.__exit__()
        raise AssertionError(f"the server is not ready: {' '.join(self.command)} ended with {self.process.poll()}")

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()


class Visit:
    """A page of a browser at a server, and everything in it that went wrong or went elsewhere."""

    def __init__(self, browser: Browser, address: str, **settings: Any) -> None:
        self.address = address
        self.context = browser.new_context(reduced_motion="reduce", **settings)
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(60_000)
        self.errors: list[str] = []
        self.elsewhere: list[str] = []
        self.page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", self._asked)

    def _asked(self, request: Any) -> None:
        if urlsplit(request.url).netloc != urlsplit(self.address).netloc:
            self.elsewhere.append(request.url)

    def go(self, view: str = "", **parameters: str) -> Page:
        """Open a view by its URL."""
        self.page.goto("about:blank")
        self.page.goto(
            f"{self.address}/#{view}?{urlencode({'workspace': 'isles', **parameters})}" if view else self.address
        )
        return self.page

    def ask(self, question: str = QUESTION, **parameters: str) -> Page:
        """Open the view of a question and wait for its result."""
        page = self.go("ask", q=question, **parameters)
        page.wait_for_selector(".answer")
        return page

    def caused(self, *parts: str) -> None:
        """Take from the errors the browser's own lines about requests that a test has made fail."""
        self.errors[:] = [error for error in self.errors if not any(part in error for part in parts)]
