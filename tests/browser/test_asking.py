"""Asking: the search is watched as it goes, what it found is read in its document, and the URL says all of it."""

from __future__ import annotations

import re
from collections.abc import Callable

from browser.isles import EMOJI, HOSTILE, QUESTION
from browser.visiting import Visit

ORDER = """
window.order = [];
new MutationObserver(() => {
  const now = document.querySelector(".answer") ? "answer" : document.querySelectorAll(".steps > li").length;
  if (now && window.order.at(-1) !== now) window.order.push(now);
}).observe(document, {childList: true, subtree: true});
"""


def test_a_question_is_asked_watched_and_answered(visit: Callable[..., Visit]) -> None:
    page = visit().go()
    page.get_by_role("textbox", name="Question").fill(QUESTION)
    page.keyboard.press("Enter")
    page.wait_for_selector(".answer")
    assert "Mira Tolvane" in page.locator("ol.evidence").inner_text()
    steps = page.locator("ol.steps > li")
    assert steps.count() >= 3
    assert all("because" in text for text in steps.all_inner_texts())
    taken = page.locator("ol.evidence li.taken").count()
    assert page.locator(".drawing .spot.taken").count() == taken >= 1
    assert page.locator(".drawing .spot.seen").count() >= 1
    assert re.search(r"(probably|perhaps|certainly)[\w ]* hold all the evidence", page.locator(".answer").inner_text())


def test_steps_are_shown_while_the_search_goes_on(visit: Callable[..., Visit]) -> None:
    one = visit()
    one.page.add_init_script(ORDER)
    page = one.ask()
    order = page.evaluate("window.order")
    assert order[-1] == "answer"
    assert order[0] == 1, "the first step is seen before the result"
    spoken = page.locator("#live p").all_inner_texts()
    assert any("because" in text for text in spoken)
    assert spoken[-1].startswith("Found ")


def test_the_url_is_shared_and_the_back_button_works(visit: Callable[..., Visit]) -> None:
    one = visit()
    page = one.ask()
    first = page.url
    page.get_by_role("textbox", name="Question").fill("What is Cape Orr?")
    page.keyboard.press("Enter")
    page.wait_for_function("document.title.startsWith('What is Cape Orr')")
    page.wait_for_selector(".answer")
    page.go_back()
    page.wait_for_function("document.title.startsWith('In which town')")
    assert page.get_by_role("textbox", name="Question").input_value() == QUESTION
    assert page.url == first
    other = visit().page
    other.goto(first)
    other.wait_for_selector(".answer")
    assert other.get_by_role("textbox", name="Question").input_value() == QUESTION


def test_evidence_opens_in_its_document_at_the_marked_sentence(visit: Callable[..., Visit]) -> None:
    page = visit().ask("What slept on the jetty of the keeper?", system="lexical")
    page.get_by_role("button", name="Log of the keeper").first.click()
    mark = page.locator("dialog .document mark").first
    mark.wait_for()
    assert "walrus slept on the jetty" in mark.inner_text()
    page.wait_for_function("""() => { const box = document.querySelector("dialog mark").getBoundingClientRect();
        return box.top >= 0 && box.bottom <= innerHeight; }""")
    assert "walrus" in page.locator("dialog .passage.here").inner_text()
    assert "On day 1 the keeper" in (page.locator("dialog .document article").text_content() or "")
    page.reload()
    page.locator("dialog .document mark").first.wait_for()
    page.keyboard.press("Escape")
    page.wait_for_function("!document.querySelector('dialog[open]')")
    assert "document=" not in page.url


def test_marks_count_characters_beyond_the_basic_plane_as_the_server_does(visit: Callable[..., Visit]) -> None:
    page = visit().ask("How high is Mount Vessel?", system="lexical")
    page.get_by_role("button", name="Mount Vessel").first.click()
    mark = page.locator("dialog .document mark").first
    mark.wait_for()
    assert mark.inner_text() == "Mount Vessel is 2,114 metres high."
    assert EMOJI.strip() in page.locator("dialog article").inner_text()


def test_markup_in_documents_is_only_text(visit: Callable[..., Visit]) -> None:
    page = visit().ask("Which document is on zither strings?", system="lexical")
    page.locator("ol.evidence li button.plain").first.click()
    page.locator("dialog .document .passage").first.wait_for()
    assert HOSTILE in page.locator("dialog article").inner_text()
    assert HOSTILE in page.locator("dialog h2").inner_text()
    assert page.locator("main img, dialog img, dialog b, main script").count() == 0
    assert "stolen" not in page.title().split("<")[0]


def test_text_from_right_to_left_is_set_so(visit: Callable[..., Visit]) -> None:
    page = visit().ask("מתי נבנה המגדלור של חיפה?", system="lexical")
    text = page.locator("ol.evidence li .text").first
    assert "1864" in text.inner_text()
    assert text.evaluate("element => getComputedStyle(element).direction") == "rtl"


def test_what_the_corpus_does_not_answer_is_said(visit: Callable[..., Visit]) -> None:
    page = visit().ask("Who won the chess olympiad of 1988 in Thessaloniki?")
    assert "No passage states an answer" in page.locator(".answer").inner_text()


def test_a_filter_over_metadata_is_sent_and_kept_in_the_url(visit: Callable[..., Visit]) -> None:
    page = visit().ask(filter="letters > 16, letters <= 17", limit="5")
    titles = page.locator("ol.evidence h3 button").all_inner_texts()
    assert titles
    assert set(titles) <= {"Halden Lighthouse", "Log of the keeper"}
    assert page.get_by_label("Only documents whose metadata has").input_value() == "letters > 16, letters <= 17"


def test_filters_are_read_as_people_type_them(visit: Callable[..., Visit]) -> None:
    page = visit().go()
    read = "async (text) => (await import('/page/filter.js')).metadataOf(text)"
    assert page.evaluate(read, 'year >= 2020, year < 2024, lang = en | de, code = "12"') == {
        "year": {"$gte": 2020, "$lt": 2024},
        "lang": {"$in": ["en", "de"]},
        "code": {"$eq": "12"},
    }
    assert page.evaluate(read, "tags contains draft, source exists") == {
        "tags": {"$contains": "draft"},
        "source": {"$exists": True},
    }
    assert page.evaluate(read, '{"$or": [{"a": 1}]}') == {"$or": [{"a": 1}]}
    assert page.evaluate(read, "  ") is None
