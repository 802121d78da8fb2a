"""HTML pages as text."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

from ...errors import CorpusError
from ._encodings import decode_text
from ._read_text import ReadText

_SKIPPED = frozenset({"script", "style", "nav", "noscript", "template", "svg", "iframe", "object", "select"})
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BLOCK_NAMES = """
    address article aside blockquote body caption center dd details dialog div dl dt fieldset figcaption
    figure footer form header hr html li main ol p pre section summary table tbody tfoot thead tr ul
"""
_BLOCKS = frozenset(_BLOCK_NAMES.split())
_CELLS = frozenset({"td", "th"})
_SPACE = re.compile(r"\s+")


class _TextCollector(HTMLParser):
    """Gathers paragraphs, the title and the first h1 while the parser walks the tags."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.paragraphs: list[str] = []
        self.title = ""
        self.first_heading = ""
        self._parts: list[str] = []
        self._heading = 0
        self._title_parts: list[str] | None = None
        self._skipped: list[str] = []
        self._preformatted = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open a paragraph, a heading or a part that is left out."""
        if tag in _SKIPPED:
            self._skipped.append(tag)
        elif self._skipped:
            return
        elif tag == "title":
            self._title_parts = []
        elif tag == "br":
            self._parts.append("\n" if self._preformatted else "\0")
        elif tag in _CELLS:
            self._parts.append(" ")
        elif tag in _HEADINGS:
            self.end_paragraph()
            self._heading = _HEADINGS[tag]
        elif tag in _BLOCKS:
            self.end_paragraph()
            self._preformatted += tag == "pre"

    def handle_endtag(self, tag: str) -> None:
        """Close what the tag closes; a closing tag without its opening one changes nothing."""
        if self._skipped:
            if tag in self._skipped:
                del self._skipped[self._skipped.index(tag) :]
        elif tag == "title" and self._title_parts is not None:
            self.title = self.title or _one_line("".join(self._title_parts))
            self._title_parts = None
        elif tag in _BLOCKS or tag in _HEADINGS:
            self.end_paragraph()
            if tag == "pre":
                self._preformatted = max(0, self._preformatted - 1)

    def handle_data(self, data: str) -> None:
        """Take text, with runs of white space as one space except in preformatted parts."""
        if self._skipped:
            return
        data = data.replace("\0", "")
        if self._title_parts is not None:
            self._title_parts.append(data)
        else:
            self._parts.append(data if self._preformatted else _SPACE.sub(" ", data))

    def end_paragraph(self) -> None:
        """Finish the paragraph or heading being gathered; an empty one leaves no trace."""
        lines = "".join(self._parts).replace("\0", "\n").split("\n")
        if not self._preformatted:
            lines = [_SPACE.sub(" ", line).strip() for line in lines]
        text = "\n".join(lines).strip("\n" if self._preformatted else None)
        self._parts.clear()
        if text.strip():
            if self._heading:
                text = _one_line(text)
                if self._heading == 1:
                    self.first_heading = self.first_heading or text
                text = "#" * self._heading + " " + text
            self.paragraphs.append(text)
        self._heading = 0


def _one_line(text: str) -> str:
    return " ".join(text.split())


def html_to_text(html: str, path: Path) -> tuple[str, str]:
    """Return the title (title tag, else first h1, else empty) and the text of an HTML page.

    Paragraphs are set apart by an empty line, headings are written ``# heading``; scripts, styles and
    navigation are left out.

    Raises:
        CorpusError: the page has a declaration that cannot be read; names file and line.
    """
    collector = _TextCollector()
    try:
        collector.feed(html)
        collector.close()
    except AssertionError as cause:
        # The standard parser reports an unreadable "<![...]" declaration this way.
        raise CorpusError(f"not readable as HTML ({cause})", path, collector.getpos()[0]) from cause
    collector.end_paragraph()
    return collector.title or collector.first_heading, "\n\n".join(collector.paragraphs)


def read_html(data: bytes, path: Path) -> ReadText:
    """Read an HTML page.

    Raises:
        CorpusError: the page has a declaration that cannot be read, or is no text.
    """
    decoded = decode_text(data, path)
    title, text = html_to_text(decoded.text, path)
    return ReadText(title, text, notes=tuple(filter(None, (decoded.note,))), encoding=decoded.encoding)
