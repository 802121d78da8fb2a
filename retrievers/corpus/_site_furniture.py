"""Blocks that the pages of a site repeat: link lists, licence lines, "was this page helpful?".

A page alone does not say which of its blocks are its own. Its reader names those that may be furniture by their place
and form (``ReadText.repeated``). Those that stand on many pages are left out.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from hashlib import blake2b

from ...errors import CorpusError, TrailhoundError
from ._html import HTML_SUFFIXES
from ._json_records import read_file
from ._listing import CorpusFile
from ._read_text import ReadText
from ._readers import READERS

_LEAST_PAGES = 5
_SHARE = 0.3
"""A block is furniture that stands on this share of the pages looked at, on three at least."""

_LOOKED_AT = 40
"""Pages of a folder that are read for it, evenly over the folder; 200 of all folders."""


def repeated_blocks(files: Sequence[CorpusFile]) -> frozenset[str]:
    """Return the hashes of the blocks that the pages of a folder repeat, by a sample of each folder at the top."""
    folders: defaultdict[str, list[CorpusFile]] = defaultdict(list)
    for file in files:
        if file.suffix in HTML_SUFFIXES:
            folders[file.name.partition("/")[0] if "/" in file.name else ""].append(file)
    found: set[str] = set()
    most = max(_LEAST_PAGES, min(_LOOKED_AT, 5 * _LOOKED_AT // max(1, len(folders))))
    for pages in folders.values():
        sample = pages[:: -(-len(pages) // most)]
        if len(sample) < _LEAST_PAGES:
            continue
        counts: Counter[str] = Counter()
        for page in sample:
            try:
                read = READERS[page.suffix](read_file(page.target, CorpusError, follow=False), page.path)
            except (TrailhoundError, ValueError, LookupError):
                continue  # it is reported when it is read for its document
            counts.update({_hash(read.text[start:end]) for start, end in read.repeated})
        found.update(block for block, count in counts.items() if count >= max(3, _SHARE * len(sample)))
    return frozenset(found)


def without_repeated(read: ReadText, blocks: Collection[str]) -> tuple[ReadText, int]:
    """Return a text without the blocks that are furniture, and how many were left out.

    Where hardly anything would be left, the page is one of lists, and keeps them.
    """
    if not blocks:
        return read, 0
    gone = [(start, end) for start, end in read.repeated if _hash(read.text[start:end]) in blocks]
    parts, position = [], 0
    for start, end in gone:
        parts.append(read.text[position:start])
        position = end
        while position < len(read.text) and read.text[position] == "\n":
            position += 1
    text = "".join([*parts, read.text[position:]]).rstrip("\n")
    if not gone or 5 * len(text) < len(read.text):
        return read, 0
    return replace(read, text=text, repeated=()), len(gone)


def _hash(block: str) -> str:
    return blake2b(" ".join(block.split()).encode("utf-8", "replace"), digest_size=8).hexdigest()
