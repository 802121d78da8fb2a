"""Everything can be done by the keyboard alone."""

from __future__ import annotations

from collections.abc import Callable

from browser.isles import QUESTION
from browser.visiting import Visit

FOCUSED = "document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent"


def test_ask_read_and_go_elsewhere_without_a_mouse(visit: Callable[..., Visit]) -> None:
    page = visit().go()
    page.wait_for_selector(".welcome")
    page.keyboard.press("/")
    assert page.evaluate(FOCUSED) == "Question"
    page.keyboard.type(QUESTION)
    page.keyboard.press("Enter")
    page.wait_for_selector(".answer")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert page.evaluate(FOCUSED).startswith("2. ")
    page.keyboard.press("k")
    assert page.evaluate(FOCUSED).startswith("1. ")
    page.keyboard.press("Enter")
    page.locator("dialog .passage.here").wait_for()
    page.keyboard.press("Escape")
    page.wait_for_function("!document.querySelector('dialog[open]')")
    assert page.evaluate(FOCUSED).startswith("1. "), "the focus returns to where it was"
    for letter, name in {"c": "Compare", "g": "Graph", "d": "Documents", "i": "Index"}.items():
        page.keyboard.press("g")
        page.keyboard.press(letter)
        page.locator("nav [aria-current]", has_text=name).wait_for()
    page.keyboard.press("g")
    page.keyboard.press("a")
    page.wait_for_selector(".answer")
    assert page.get_by_role("textbox", name="Question").input_value() == QUESTION


def test_tab_reaches_what_can_be_pressed_and_shows_where_it_is(visit: Callable[..., Visit]) -> None:
    page = visit().ask()
    page.evaluate("document.activeElement.blur()")
    names = []
    for _ in range(24):
        page.keyboard.press("Tab")
        names.append(page.evaluate(FOCUSED).strip())
        outline = page.evaluate("""() => { const now = document.activeElement;
            const shown = [now, now.parentElement].map((element) => getComputedStyle(element).outlineStyle);
            return shown.some((style) => style !== "none"); }""")
        assert outline, names[-1]
    assert names[0] == "Skip to the content"
    assert {"Ask", "Compare", "API key", "Light or dark", "Keyboard shortcuts", "Question"} <= set(names)


def test_shortcuts_are_listed_and_can_be_switched_off(visit: Callable[..., Visit]) -> None:
    page = visit().go()
    page.wait_for_selector(".welcome")
    page.keyboard.press("?")
    page.get_by_role("heading", name="Keyboard").wait_for()
    page.get_by_label("Shortcuts of a single key are on").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    page.keyboard.press("g")
    page.keyboard.press("d")
    assert page.locator("dialog[open]").count() == 0
    assert page.locator("nav [aria-current]").inner_text() == "Ask"


def test_escape_stops_a_search(visit: Callable[..., Visit]) -> None:
    one = visit()
    one.page.route("**/search/stream", lambda route: None)  # an answer that never comes
    page = one.go("ask", q=QUESTION)
    page.get_by_role("button", name="Stop").wait_for()
    page.keyboard.press("Escape")
    page.get_by_text("Stopped.").first.wait_for()
    page.unroute("**/search/stream")
    page.get_by_role("button", name="Ask again").click()
    page.wait_for_selector(".answer")
