"""What a reader makes of a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..records import Markup


@dataclass(frozen=True, slots=True)
class ReadText:
    """The text of a file, not yet normalised.

    Attributes:
        title: may be empty.
        text: of the whole file.
        markup: how it is written.
        page_starts: the offset in ``text`` at which each page begins; empty where there are no pages.
        first_line: the number of the text's first line in its file, where its lines are those of the file.
        notes: what is to be known of the file, such as "2 pages have no text".
        encoding: that was found for a file that is not UTF-8.
        left_out: how many parts were left out on purpose, by kind: ("parts of pages: navigation", 3).
        repeated: places ``[start, end)`` in ``text`` of what is page furniture if other pages of a site have it too.
        metadata: what the file says of itself, JSON values.
    """

    title: str
    text: str
    markup: Markup = "markdown"
    page_starts: tuple[int, ...] = ()
    first_line: int | None = None
    notes: tuple[str, ...] = ()
    encoding: str | None = None
    left_out: tuple[tuple[str, int], ...] = ()
    repeated: tuple[tuple[int, int], ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
