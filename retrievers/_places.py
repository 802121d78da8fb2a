"""Where a passage stands, as people look it up: file and page, or file and line."""

from __future__ import annotations

from .records import Passage


def place_of(passage: Passage, offset: int | None = None, page: int | None = None) -> str:
    """Return the file of a passage with its page or line, "" where nothing is known.

    Args:
        passage: with ``page`` and ``last_page``, or ``line``, in its metadata where they are known.
        offset: of the place in the passage's text that is meant; its beginning when None.
        page: of that place, where it is known; those of the passage when None.
    """
    file = passage.source
    first, last = (passage.metadata.get(name) for name in ("page", "last_page"))
    if page is not None:
        first = last = page
    if isinstance(first, int):
        pages = f"page {first}" if not isinstance(last, int) or last == first else f"pages {first}-{last}"
        return f"{file}, {pages}" if file else pages
    line = passage.metadata.get("line")
    if isinstance(line, int):
        line += passage.text.count("\n", 0, offset or 0)
        return f"{file}:{line}" if file else f"line {line}"
    return file


def in_full(passage: Passage) -> str:
    """Return a passage's text after what is repeated before it, such as the header of a table."""
    return f"{passage.lead}\n{passage.text}" if passage.lead else passage.text
