"""Light and dark, narrow screens, contrast and names: what axe-core finds in every view, which must be nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from browser.isles import QUESTION
from browser.visiting import Visit

VIEWS = {
    "welcome": ({"view": ""}, ".welcome"),
    "ask": ({"view": "ask", "q": QUESTION}, ".answer"),
    "document": ({"view": "documents", "document": "long", "span": "long#2"}, "dialog .passage.here"),
    "compare": ({"view": "compare", "q": QUESTION, "systems": "lexical,policy"}, ".column"),
    "graph": ({"view": "graph", "passage": "lighthouse#0"}, ".map"),
    "documents": ({"view": "documents"}, ".documents li"),
    "index": ({"view": "index"}, ".cards dd"),
}
DARKNESS = "getComputedStyle(document.body.parentElement).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number)"

WIDTH = """() => Math.max(document.documentElement.scrollWidth,
    ...[...document.querySelectorAll("dialog[open]")].map((box) => box.scrollWidth))"""


def dark(colour: list[int]) -> bool:
    return sum(colour) < 3 * 128


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_any_view(visit: Callable[..., Visit], scheme: str) -> None:
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe-core is not installed: run make test-browser"
    )
    one = visit(color_scheme=scheme)
    found = []
    for name, (parameters, there) in VIEWS.items():
        page = one.go(**parameters)
        page.wait_for_selector(there)
        for violation in axe.Axe().run(page).response["violations"]:
            found += [f"{name}: {violation['id']}: {node['target']}" for node in violation["nodes"]]
    assert found == []


def test_the_system_s_theme_is_followed_and_can_be_changed(visit: Callable[..., Visit]) -> None:
    page = visit(color_scheme="dark").go()
    page.wait_for_selector(".welcome")
    assert dark(page.evaluate(DARKNESS))
    page.get_by_role("button", name="Light or dark").click()
    assert not dark(page.evaluate(DARKNESS))
    page.reload()
    page.wait_for_selector(".welcome")
    assert not dark(page.evaluate(DARKNESS)), "the choice is kept"
    page.keyboard.press("t")
    assert dark(page.evaluate(DARKNESS))


def test_nothing_is_wider_than_a_narrow_screen(visit: Callable[..., Visit]) -> None:
    one = visit(viewport={"width": 360, "height": 740})
    wide = {}
    for name, (parameters, there) in VIEWS.items():
        page = one.go(**parameters)
        page.wait_for_selector(there)
        wide[name] = page.evaluate(WIDTH)
    assert {name: width for name, width in wide.items() if width > 360} == {}


def test_nothing_moves_where_motion_is_to_be_reduced(visit: Callable[..., Visit]) -> None:
    page = visit().ask()
    assert page.evaluate("document.getAnimations().length") == 0


def test_parts_of_two_versions_of_the_page_do_not_mix(visit: Callable[..., Visit]) -> None:
    """A browser asks again before it takes a module from its cache, and takes nothing from elsewhere."""
    one = visit()
    answers: list[Any] = []
    one.page.on("response", lambda answer: answers.append(answer))
    one.go().wait_for_selector(".welcome")
    served = [answer for answer in answers if answer.url.startswith(one.address)]
    assert len(served) > 15
    assert {answer.headers["cache-control"] for answer in served} == {"no-cache"}
    assert all("default-src 'self'" in answer.headers["content-security-policy"] for answer in served)
