"""Books in EPUB: their chapters in reading order."""

from __future__ import annotations

import posixpath
from pathlib import Path
from urllib.parse import unquote
from xml.etree.ElementTree import Element

from ...errors import CorpusError
from ._archive import Archive, attribute, local_name
from ._encodings import decode_text
from ._html import declared_encoding, html_to_text
from ._read_text import ReadText

_CONTAINER = "META-INF/container.xml"
_PAGES = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml")


def read_epub(data: bytes, path: Path) -> ReadText:
    """Read a book.

    Source: https://www.w3.org/TR/epub-33/.

    Raises:
        CorpusError: it is damaged, protected, or no book.
    """
    archive = Archive(data, path)
    package_name = next(
        (attribute(one, "full-path") for one in archive.xml(_CONTAINER).iter() if local_name(one) == "rootfile"), None
    )
    if package_name is None:
        raise CorpusError(f"{_CONTAINER} in it names no book: save it again, or leave it out", path)
    package = archive.xml(package_name)
    chapters, missing = [], 0
    for name in _chapters(package, package_name):
        if name not in archive.names:
            missing += 1
            continue
        content = archive.read(name)
        try:
            chapters.append(html_to_text(decode_text(content, path, declared_encoding(content)).text, xml=True))
        except CorpusError as cause:
            raise CorpusError(f"{name} in it is no text: is the book protected? Leave it out", path) from cause
    notes = (f"{missing} chapters are missing",) if missing else ()
    title = next((one.text or "" for one in package.iter() if local_name(one) == "title"), "")
    text = "\n\n".join(chapter.text for chapter in chapters if chapter.text)
    return ReadText(" ".join(title.split()), text, notes=notes)


def _chapters(package: Element, package_name: str) -> list[str]:
    """Return the names of the pages in the order of the spine, without the table of contents."""
    pages: dict[str, str] = {}
    order: list[str] = []
    for element in package.iter():
        kind = local_name(element)
        if kind == "item" and element.get("media-type") in _PAGES and "nav" not in (element.get("properties") or ""):
            name = posixpath.join(posixpath.dirname(package_name), unquote(element.get("href") or ""))
            pages[element.get("id") or ""] = posixpath.normpath(name)
        elif kind == "itemref":
            order.append(element.get("idref") or "")
    return [pages[one] for one in order if one in pages] or list(pages.values())
