"""Systems side by side, the graph around a passage, and how the index is."""

from __future__ import annotations

from collections.abc import Callable

from browser.isles import DOCUMENTS, QUESTION
from browser.visiting import Visit


def test_systems_stand_side_by_side(visit: Callable[..., Visit]) -> None:
    page = visit().go("compare")
    page.get_by_role("textbox", name="Question").fill(QUESTION)
    for box in page.get_by_role("checkbox").all():
        box.uncheck()
    page.get_by_label("lexical", exact=True).check()
    page.get_by_label("policy", exact=True).check()
    page.get_by_role("button", name="Compare").click()
    page.wait_for_selector(".column")
    assert page.locator(".column h2").all_inner_texts() == ["lexical", "policy"]
    assert "systems=lexical%2Cpolicy" in page.url
    card = page.locator(".column").first.locator(".card", has_text="Halden Lighthouse").first
    assert "policy:" in card.inner_text(), "the rank that the other system gave it"
    card.get_by_role("button").focus()
    assert page.locator(".card.pointed").count() == 2, "both columns show where it is"
    card.get_by_role("button").press("Enter")
    page.locator("dialog .passage.here").wait_for()


def test_the_graph_is_walked_from_passage_to_passage(visit: Callable[..., Visit]) -> None:
    page = visit().go("graph")
    page.get_by_role("searchbox").fill("Halden")
    page.keyboard.press("Enter")
    page.locator(".chips button", has_text="Halden Lighthouse").click()
    page.locator(".center h2", has_text="Halden Lighthouse").wait_for()
    relations = dict(
        zip(
            page.locator(".relations h3").all_inner_texts(),
            page.locator(".relations ul").all_inner_texts(),
            strict=True,
        )
    )
    mentions = next(names for relation, names in relations.items() if relation.startswith("mentions"))
    assert {"Mira Tolvane", "Cape Orr"} <= set(mentions.splitlines())
    assert page.locator(".map .node").count() >= 3
    page.locator(".relations a", has_text="Mira Tolvane").first.click()
    page.locator(".center h2", has_text="Mira Tolvane").wait_for()
    inward = page.locator(".relations section", has_text="mentioned by")
    assert "Halden Lighthouse" in inward.inner_text()
    page.go_back()
    page.locator(".center h2", has_text="Halden Lighthouse").wait_for()
    page.locator(".map .node:not(.middle)", has_text="Cape Orr").click()
    page.locator(".center h2", has_text="Cape Orr").wait_for()


def test_the_graph_is_entered_from_evidence(visit: Callable[..., Visit]) -> None:
    page = visit().ask()
    page.locator("ol.evidence li", has_text="Mira Tolvane").first.get_by_role("link", name="neighbours").click()
    page.locator(".center h2").wait_for()
    assert page.locator(".center h2").inner_text() in {title for _, title, _ in DOCUMENTS}


def test_the_index_shows_its_figures_and_its_misses(visit: Callable[..., Visit]) -> None:
    one = visit()
    missed = "Who won the chess olympiad of 1988 in Thessaloniki?"
    one.ask(missed)
    page = one.go("index")
    page.wait_for_selector(".cards dd")
    figures = dict(
        zip(page.locator(".cards dt").all_inner_texts(), page.locator(".cards dd").all_inner_texts(), strict=True)
    )
    assert figures["Documents"] == str(len(DOCUMENTS))
    assert page.locator("table").first.locator("tbody tr").count() >= 1
    page.locator(".misses a", has_text=missed).first.click()
    page.wait_for_selector(".answer")
    assert page.get_by_role("textbox", name="Question").input_value() == missed
