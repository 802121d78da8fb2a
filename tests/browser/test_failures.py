"""What goes wrong is said with its remedy, and the page goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from browser.isles import QUESTION
from browser.visiting import Visit


def test_a_server_that_is_gone_is_said_and_found_again(visit: Callable[..., Visit]) -> None:
    one = visit()
    one.page.route("**/v1/**", lambda route: route.abort())
    page = one.go()
    page.get_by_text("The server does not answer").first.wait_for()
    page.unroute("**/v1/**")
    page.get_by_role("button", name="Try again").click()
    page.wait_for_selector(".welcome")
    one.caused("net::ERR_FAILED")


def test_a_connection_that_is_lost_during_a_search_is_said(visit: Callable[..., Visit]) -> None:
    one = visit()
    step = {
        "action": "expand",
        "detail": "ask the lexical index",
        "reason": "every search begins with it",
        "passages": [],
        "titles": [],
        "probability": 1.0,
    }
    body = f"event: step\ndata: {json.dumps(step)}\n\n"
    one.page.route("**/search/stream", lambda route: route.fulfill(content_type="text/event-stream", body=body))
    page = one.go("ask", q=QUESTION)
    page.get_by_text("The search ended without a result. Ask again.").first.wait_for()
    assert page.locator("ol.steps li").count() == 1, "what was seen stays"
    page.unroute("**/search/stream")
    page.get_by_role("button", name="Ask again").click()
    page.wait_for_selector(".answer")


def test_an_error_in_the_midst_of_a_search_is_shown(visit: Callable[..., Visit]) -> None:
    one = visit()
    body = (
        'event: error\ndata: {"error": {"type": "DamagedIndexError", "message": "a file is torn: build it again"}}\n\n'
    )
    one.page.route("**/search/stream", lambda route: route.fulfill(content_type="text/event-stream", body=body))
    page = one.go("ask", q=QUESTION)
    page.get_by_role("alert").wait_for()
    assert "a file is torn: build it again" in page.get_by_role("alert").inner_text()


def test_the_server_s_refusals_are_shown_with_their_remedy(visit: Callable[..., Visit]) -> None:
    one = visit()
    page = one.go("ask", q=QUESTION, filter='{"year": {"$near": 3}}')
    shown = page.get_by_role("alert")
    shown.wait_for()
    assert "$near" in shown.inner_text()
    page = one.go("ask", q=QUESTION, filter="year about 3")
    page.get_by_text("write one like").first.wait_for()
    page = one.go("ask", workspace="elsewhere")
    page.get_by_text("There is no workspace “elsewhere”").first.wait_for()
    one.caused("status of 4")


def test_a_workspace_without_documents_leads_to_adding_some(visit: Callable[..., Visit]) -> None:
    one = visit()
    empty = [
        {
            "name": "isles",
            "documents": 0,
            "passages": 0,
            "systems": ["lexical"],
            "encoder": "",
            "changed": None,
            "size_bytes": 0,
        }
    ]
    one.page.route("**/v1/workspaces", lambda route: route.fulfill(json=empty))
    page = one.go()
    page.get_by_role("link", name="Add some").click()
    page.get_by_role("heading", name="Add", exact=True).wait_for()


def test_a_thousand_results_stay_usable(visit: Callable[..., Visit]) -> None:
    one = visit()
    one.page.route(
        "**/search/stream",
        lambda route: route.fulfill(
            content_type="text/event-stream", body=f"event: result\ndata: {json.dumps(thousand())}\n\n"
        ),
    )
    page = one.ask(limit="1000")
    assert "1,000 passages" in page.locator("#evidence-heading").inner_text()
    assert page.locator("ol.evidence > li").count() == 50
    page.get_by_role("button", name="Show 50 more of 950").click()
    assert page.locator("ol.evidence > li").count() == 100
    assert page.evaluate("document.activeElement.textContent") == "Passage 51"
    assert page.locator(".drawing .spot").count() == 40
    page.get_by_text("and 960 more").first.wait_for()


def thousand() -> dict[str, Any]:
    """Return a result as the server sends it, of a thousand passages."""
    passages = [
        {
            "id": f"p{k}",
            "document_id": f"p{k}",
            "title": f"Passage {k}",
            "text": f"This is text {k}. " * 40,
            "start": 0,
            "end": 700,
            "sentences": [[0, 15]],
            "source": "",
            "metadata": {},
            "lead": "",
        }
        for k in range(1, 1001)
    ]
    evidence = [
        {
            "rank": rank,
            "passage": passage,
            "score": 1 / rank,
            "taken": False,
            "how": "ask the lexical index",
            "sentence": None,
            "page": None,
        }
        for rank, passage in enumerate(passages, start=1)
    ]
    step = {
        "action": "expand",
        "detail": "ask the lexical index",
        "reason": "a fixed system always does",
        "passages": [one["id"] for one in passages],
        "titles": [one["title"] for one in passages],
        "probability": 1.0,
    }
    return {
        "question": QUESTION,
        "evidence": evidence,
        "path": [step],
        "answered_by": "fixed system: lexical",
        "milliseconds": 3.0,
        "calls": 1,
        "confidence": None,
        "answer": None,
        "written": None,
        "unanswered": False,
    }
