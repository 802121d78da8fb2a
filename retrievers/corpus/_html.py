"""HTML pages: their title and what they say, as Markdown, without navigation, headers and footers."""

from __future__ import annotations

import re
from pathlib import Path

from ._encodings import decode_text
from ._html_furniture import left_out
from ._html_source import bounded_html, opened_and_closed
from ._html_text import HtmlBlock, blocks_of, joined
from ._html_tree import Tree
from ._read_text import ReadText

_XHTML_SUFFIXES = (".xhtml", ".xht")
HTML_SUFFIXES = (".html", ".htm", *_XHTML_SUFFIXES)

_HEAD = 4096
"""Bytes among which a page declares its encoding; browsers read 1,024."""

_XML_DECLARATION = re.compile(rb"\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([\w.:-]+)")
_META_CHARSET = re.compile(rb"<meta\b[^>]{0,400}?charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_SAID_EVERYWHERE = re.compile(
    r"©|\(c\)|copyright|all rights reserved|powered by|generated (?:by|on)|built with|last (?:updated|modified)",
    re.IGNORECASE,
)
_FEW_WORDS = 6
_FACT = re.compile(r"[\d:=]")
_ENDS = ".!?:;。！？"


def read_html(data: bytes, path: Path) -> ReadText:
    """Read an HTML page.

    Raises:
        CorpusError: the bytes are no text in any encoding.
    """
    decoded = decode_text(data, path, declared_encoding(data))
    read = html_to_text(decoded.text, xml=path.suffix.lower() in _XHTML_SUFFIXES)
    notes = (*filter(None, (decoded.note,)), *read.notes)
    return ReadText(
        read.title, read.text, notes=notes, encoding=decoded.encoding, left_out=read.left_out, repeated=read.repeated
    )


def declared_encoding(data: bytes) -> str | None:
    """Return the encoding that a page or an XML file says it is in."""
    head = data[:_HEAD]
    found = _XML_DECLARATION.match(head) or _META_CHARSET.search(head)
    return found[1].decode("ascii", errors="replace") if found else None


def html_to_text(html: str, xml: bool = False) -> ReadText:
    """Return the title (title element, else first h1, else first heading) and the text of an HTML page, as Markdown.

    Blocks are set apart by an empty line; scripts, styles, hidden parts and page furniture are left out.

    Args:
        html: the page.
        xml: it is XHTML, whose elements may close themselves.
    """
    source, notes = bounded_html(opened_and_closed(html) if xml else html)
    tree = Tree(source)
    if tree.chars() == 0 and "<noscript" in source:
        tree = Tree(source, noscript=True)
    without, kinds = left_out(tree)
    blocks = blocks_of(tree, without)
    text, starts = joined(blocks)
    return ReadText(
        tree.title or _first_heading(tree, without),
        text,
        notes=tuple(notes),
        left_out=tuple(sorted(kinds.items())),
        repeated=_perhaps_repeated(blocks, starts),
    )


def _first_heading(tree: Tree, without: frozenset[int]) -> str:
    for names in (("h1",), ("h2", "h3", "h4", "h5", "h6")):
        for place, node in enumerate(tree.nodes):
            if node.name in names and place not in without and tree.chars(place):
                return tree.text(place)
    return ""


def _perhaps_repeated(blocks: list[HtmlBlock], starts: list[int]) -> tuple[tuple[int, int], ...]:
    """Return where blocks stand that are page furniture if other pages have them too.

    They are links or a few words, before the first sentence or at the end (one at the end may be another's), or stand
    outside of the main part.
    """
    first = next((number for number, block in enumerate(blocks) if _says_something(block)), len(blocks))
    found = {number for number in range(first) if _like_furniture(blocks[number])}
    others = 0
    for number in range(len(blocks) - 1, first, -1):
        if _like_furniture(blocks[number]):
            found.add(number)
        else:
            others += 1
        if others > 1 or blocks[number].kind == "heading":
            break
    found.update(number for number, block in enumerate(blocks) if block.outside and not _says_something(block))
    return tuple((starts[number], starts[number] + len(blocks[number].text)) for number in sorted(found))


def _says_something(block: HtmlBlock) -> bool:
    """Return whether a block has a sentence, or code."""
    if block.kind in ("code", "table"):
        return not block.links
    return not block.links and block.text[-1] in _ENDS and len(block.text.split()) > _FEW_WORDS


def _like_furniture(block: HtmlBlock) -> bool:
    if block.kind in ("heading", "code"):
        return False
    words = len(block.text.split())
    said_everywhere = words <= 40 and _SAID_EVERYWHERE.search(block.text) is not None
    # A few words with a number or a colon are a fact, such as "Status: approved".
    is_label = words <= _FEW_WORDS and block.text[-1] not in _ENDS and _FACT.search(block.text) is None
    return block.links or said_everywhere or is_label
