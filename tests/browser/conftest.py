"""A real browser over a real server over a real index of a few invented documents."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from browser.isles import DOCUMENTS
from browser.visiting import Visit, started
from trailhound import Document, Index

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = shutil.which("chromium")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: run make test-browser")
    if CHROMIUM is None:
        pytest.skip("there is no chromium: run make test-browser")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture(scope="session")
def isles(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small index; tests leave in it what they found."""
    pytest.importorskip("fastapi", reason="the server's packages are not installed: run make test-browser")
    place = tmp_path_factory.mktemp("served") / "isles.index"
    documents = (Document(name, title, text, metadata={"letters": len(title)}) for name, title, text in DOCUMENTS)
    Index.build(documents, place)
    return place


@pytest.fixture(scope="session")
def served(isles: Path) -> Iterator[str]:
    """The address of a server over the small index."""
    with started(isles) as address:
        yield address


@pytest.fixture
def visit(browser: Browser, served: str) -> Iterator[Callable[..., Visit]]:
    """Opens pages with settings of the browser; afterwards none may have had an error or asked another host."""
    visits: list[Visit] = []

    def opened(address: str = served, **settings: Any) -> Visit:
        visits.append(Visit(browser, address, **settings))
        return visits[-1]

    yield opened
    for one in visits:
        one.context.close()
    assert [error for one in visits for error in one.errors] == []
    assert [url for one in visits for url in one.elsewhere] == []
