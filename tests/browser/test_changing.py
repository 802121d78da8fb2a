"""Documents come by typing and as files, and go after a question; jobs are followed to their end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from browser.visiting import Visit


def test_a_typed_document_is_added_found_and_deleted(visit: Callable[..., Visit]) -> None:
    one = visit()
    page = one.go("documents")
    page.wait_for_selector(".documents li")
    before = page.locator(".documents li").count()
    page.get_by_label("Title", exact=True).fill("Quorl Tide Mill")
    page.get_by_label("Text", exact=True).fill("The Quorl Tide Mill grinds barley at spring tide.")
    page.get_by_text("Id and metadata").click()
    page.get_by_label("Id", exact=True).fill("quorl")
    page.get_by_label("Metadata", exact=True).fill('{"year": 1811}')
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_text("“Quorl Tide Mill” is in the index.").first.wait_for()
    page.locator(".documents li[data-document=quorl]").wait_for()
    assert page.locator(".documents li").count() == before + 1

    page.get_by_role("link", name="Ask", exact=True).click()
    page.get_by_role("textbox", name="Question").fill("What does the Quorl Tide Mill grind?")
    page.keyboard.press("Enter")
    page.wait_for_selector(".answer")
    assert "barley" in page.locator("ol.evidence li").first.inner_text()

    page = one.go("documents", q="Quorl")
    delete = page.get_by_role("button", name="Delete Quorl Tide Mill")
    delete.click()
    page.get_by_role("button", name="Keep").click()
    assert page.locator(".documents li").count() == 1, "what is kept stays"
    delete.click()
    page.locator("dialog").get_by_role("button", name="Delete", exact=True).click()
    page.get_by_text("“Quorl Tide Mill” is deleted.").first.wait_for()
    page.get_by_text("No document is called “Quorl”.").wait_for()


def test_files_are_added_and_one_that_cannot_be_read_is_named(visit: Callable[..., Visit], tmp_path: Path) -> None:
    good, bad = tmp_path / "ferry.md", tmp_path / "broken.pdf"
    good.write_text("# Ferry of Lio\n\nThe ferry of Lio is drawn by oxen along a chain.", encoding="utf-8")
    bad.write_bytes(b"%PDF-1.4 not really")
    one = visit()
    page = one.go("documents")
    page.wait_for_selector(".documents li")
    page.set_input_files("#files", [good, bad])
    page.get_by_text("broken.pdf").first.wait_for()
    page.locator(".documents li", has_text="Ferry of Lio").wait_for()
    page.locator(".documents li", has_text="Ferry of Lio").get_by_role("button", name="Delete").click()
    page.locator("dialog").get_by_role("button", name="Delete", exact=True).click()
    page.locator(".documents li", has_text="Ferry of Lio").wait_for(state="detached")


def test_files_are_dropped_in_as_many_requests_as_they_need(visit: Callable[..., Visit]) -> None:
    one = visit()
    sent: list[int] = []
    one.page.route("**/documents*", lambda route: accept(route, sent))
    page = one.go("documents")
    page.wait_for_selector(".drop")
    files = page.evaluate_handle(DROPPED, {"a.txt": 5_000_000, "b.txt": 4_000_000, "c.txt": 1_000, "d.txt": 9_000_000})
    page.dispatch_event(".drop", "drop", {"dataTransfer": files})
    page.get_by_text("2 files sent: b.txt, c.txt").first.wait_for()
    assert len(sent) == 2
    assert "d.txt (9.0 MB)" in page.get_by_role("alert").inner_text()


DROPPED = """(sizes) => {
  const dropped = new DataTransfer();
  for (const [name, size] of Object.entries(sizes)) dropped.items.add(new File(["x".repeat(size)], name));
  return dropped;
}"""


def accept(route: Any, sent: list[int]) -> None:
    """Answer an upload as if its job were done, and let everything else through."""
    if route.request.method != "POST":
        return route.continue_()
    sent.append(1)
    return route.fulfill(status=202, json={"id": "1", "state": "done", "problems": [], "error": None})


def test_metadata_that_is_no_json_is_refused_and_nothing_typed_is_lost(visit: Callable[..., Visit]) -> None:
    page = visit().go("documents")
    page.get_by_label("Text", exact=True).fill("Some text.")
    page.get_by_text("Id and metadata").click()
    page.get_by_label("Metadata", exact=True).fill("{year: 1811}")
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_text("The metadata is no JSON").first.wait_for()
    assert page.get_by_label("Text", exact=True).input_value() == "Some text."
